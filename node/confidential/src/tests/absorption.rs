//! The transcript is complete: whatever a claim says changes every challenge that follows. And the check of that can
//! fail: with any one item left out of the transcript it does.

use super::*;
use crate::encoding::{PointBytes, scalar};
use crate::generators::Generators;

/// A transcript that leaves one item out.
struct Lossy {
    inner: merlin::Transcript,
    left_out: Option<usize>,
    labels: Vec<&'static [u8]>,
    challenges: Vec<Scalar>,
}

impl Lossy {
    fn new(left_out: Option<usize>) -> Self {
        Lossy { inner: new_transcript(), left_out, labels: Vec::new(), challenges: Vec::new() }
    }
}

impl Transcript for Lossy {
    fn append(&mut self, label: &'static [u8], bytes: &[u8]) {
        if self.left_out != Some(self.labels.len()) {
            self.inner.append(label, bytes);
        }
        self.labels.push(label);
    }

    fn challenge(&mut self, label: &'static [u8]) -> Scalar {
        let challenge = self.inner.challenge(label);
        self.challenges.push(challenge);
        challenge
    }
}

impl Transcript for &mut Lossy {
    fn append(&mut self, label: &'static [u8], bytes: &[u8]) {
        (**self).append(label, bytes);
    }

    fn challenge(&mut self, label: &'static [u8]) -> Scalar {
        (**self).challenge(label)
    }
}

type Alter = Box<dyn Fn(&mut Statement, &mut Proof)>;

/// Something that is said, how to say something else, and the first challenge that comes after it.
struct Item {
    name: String,
    alter: Alter,
    before: usize,
}

/// Challenges in their order: c of the rows, then those of the range proof.
const AFTER_STATEMENT: usize = 0;
const AFTER_RESPONSES: usize = 1;
const AFTER_POLYNOMIAL: usize = 3;
const AFTER_EVALUATION: usize = 4;
const FIRST_ROUND: usize = 5;
const ROUNDS: usize = 7;

fn another_point(point: &mut [u8; 32]) {
    let old = PointBytes(*point).to_point("said").expect("a point");
    *point = PointBytes::from(&(old + Generators::value())).0;
}

fn another_scalar(bytes: &mut [u8; 32]) {
    *bytes = (scalar(bytes, "said").expect("a scalar") + Scalar::ONE).to_bytes();
}

/// Everything that a transfer says, counted out here and not by the code that absorbs it.
fn inventory(statement: &Statement, proof: &Proof) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item = |name: String, before: usize, alter: Alter| {
        items.push(Item { name, alter, before });
    };
    item("operation".into(), AFTER_STATEMENT, Box::new(|it, _| it.operation += 1));
    item("a factor".into(), AFTER_STATEMENT, Box::new(|it, _| it.relation.rows[1].left[1].0 += Scalar::ONE));
    item("a range".into(), AFTER_STATEMENT, Box::new(|it, _| it.relation.ranged.swap(0, 1)));
    assert_eq!(statement.inputs.len(), 11 + 3, "eleven of the context, three of the recipient");
    for input in 0..statement.inputs.len() {
        let name = String::from_utf8_lossy(statement.inputs[input].0).into_owned();
        item(name, AFTER_STATEMENT, Box::new(move |it, _| it.inputs[input].1[0] ^= 1));
    }
    assert_eq!(statement.points.len(), 3 + 4 + 6 + 6, "keys, old balance, amount, balance");
    for point in 0..statement.points.len() {
        let name = format!("{} {point}", statement.points[point].what);
        item(name, AFTER_STATEMENT, Box::new(move |it, _| another_point(&mut it.points[point].bytes.0)));
    }
    for row in 0..proof.commitments.len() {
        item(
            format!("R {row}"),
            AFTER_STATEMENT,
            Box::new(move |_, it| another_point(&mut it.commitments[row].0)),
        );
    }
    for secret in 0..proof.responses.len() {
        item(
            format!("z {secret}"),
            AFTER_RESPONSES,
            Box::new(move |_, it| another_scalar(&mut it.responses[secret])),
        );
    }
    let words = [AFTER_RESPONSES, AFTER_RESPONSES, AFTER_POLYNOMIAL, AFTER_POLYNOMIAL];
    for (word, before) in words.into_iter().enumerate() {
        item(format!("word {word}"), before, Box::new(move |_, it| another_point(&mut it.range[word])));
    }
    for word in 4..7 {
        item(
            format!("word {word}"),
            AFTER_EVALUATION,
            Box::new(move |_, it| another_scalar(&mut it.range[word])),
        );
    }
    for word in 7..7 + 2 * ROUNDS {
        let before = FIRST_ROUND + (word - 7) / 2;
        item(format!("word {word}"), before, Box::new(move |_, it| another_point(&mut it.range[word])));
    }
    // The last two words come after all challenges; the weights depend on them (`names_of_claims_cover_every_response`).
    assert_eq!(proof.range.len(), 7 + 2 * ROUNDS + 2);
    items
}

fn challenges(statement: &Statement, proof: &Proof, left_out: Option<usize>) -> Lossy {
    let mut transcript = Lossy::new(left_out);
    statement.absorb(&mut transcript);
    replay(&mut transcript, statement, proof).expect("well-formed");
    assert_eq!(transcript.challenges.len(), FIRST_ROUND + ROUNDS);
    transcript
}

/// What is said and does not change every later challenge, where the transcript leaves this item out.
fn unbound(statement: &Statement, proof: &Proof, left_out: Option<usize>) -> Vec<String> {
    let honest = challenges(statement, proof, left_out).challenges;
    let mut unbound = Vec::new();
    for item in inventory(statement, proof) {
        let (mut statement, mut proof) = (statement.clone(), proof.clone());
        (item.alter)(&mut statement, &mut proof);
        let altered = challenges(&statement, &proof, left_out).challenges;
        assert_eq!(altered[..item.before], honest[..item.before], "{} is said later", item.name);
        if (item.before..honest.len()).any(|at| altered[at] == honest[at]) {
            unbound.push(item.name);
        }
    }
    unbound
}

fn honest() -> (Statement, Proof) {
    let claim = Scene::new(1, 1, 1_000).transfer(600);
    (claim.statement().expect("fits"), claim.proof().clone())
}

#[test]
fn transcript_is_complete() {
    let (statement, proof) = honest();
    assert_eq!(unbound(&statement, &proof, None), Vec::<String>::new());
}

/// Leaves out each item in turn. What the prover of this crate says itself must be missed by the check above; what the
/// library's prover says as well makes an honest proof fail.
#[test]
fn any_absorption_left_out_is_noticed() {
    let (statement, proof) = honest();
    let labels = challenges(&statement, &proof, None).labels;
    let range_begins = labels.iter().position(|it| *it == b"dom-sep").expect("the range proof");
    assert_eq!(range_begins, 1 + 14 + 1 + 19 + 14 + 10);
    for (left_out, label) in labels.iter().enumerate() {
        let label = String::from_utf8_lossy(label);
        if left_out < range_begins {
            let unbound = unbound(&statement, &proof, Some(left_out));
            assert!(!unbound.is_empty(), "nobody noticed that {label} (item {left_out}) was left out");
        }
        let mut transcript = Lossy::new(Some(left_out));
        statement.absorb(&mut transcript);
        let mut weights = rng(4);
        let holds = holds_with(&mut transcript, &statement, &proof, &mut || Scalar::random(&mut weights));
        assert!(!holds, "an honest proof still fits without {label} (item {left_out})");
    }
}

/// What leaving out would cost: prover and verifier both forget one public input, and the proof is replayed under
/// another value of it. The complete verifier refuses what the forgetful one takes.
#[test]
fn forgotten_public_input_would_allow_a_replay() {
    let mut scene = Scene::new(1, 1, 1_000);
    for input in 0..14 {
        let cheat = scene.cheat(600, 400);
        let statement = Claim::Transfer(Box::new(cheat.transfer)).statement().expect("fits");
        // The operation comes first.
        let forgetful = |statement: &Statement| {
            let mut transcript = Lossy::new(Some(1 + input));
            statement.absorb(&mut transcript);
            transcript.inner
        };
        let proof = prover::prove_unchecked(forgetful(&statement), &statement, &cheat.witness, &mut rng(2))
            .expect("points");
        let mut elsewhere = statement.clone();
        elsewhere.inputs[input].1[0] ^= 1;
        let mut weights = rng(4);
        let mut weight = || Scalar::random(&mut weights);
        assert!(holds_with(forgetful(&elsewhere), &elsewhere, &proof, &mut weight), "the replay works");
        let mut complete = new_transcript();
        elsewhere.absorb(&mut complete);
        assert!(!holds_with(complete, &elsewhere, &proof, &mut weight), "and is refused");
    }
}
