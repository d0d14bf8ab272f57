//! Many claims together: the same verdict as each by itself, and no two wrong ones that cancel each other.

use carat_types::verifiable::{Verifiable, check_ahead};

use super::*;
use crate::batch::{self, add};
use crate::encoding::PointBytes;
use crate::error::Refusal;
use crate::generators::Generators;
use crate::linear;
use crate::range;

/// 256 claims of all kinds; a dozen are made, and stand several times.
fn many() -> Vec<Claim> {
    let mut claims = one_of_each();
    for seed in 0..3 {
        let mut scene = Scene::new(seed, 1 + usize::try_from(seed).expect("small"), 1 << 40);
        claims.extend([scene.transfer(seed), scene.withdrawal(seed), scene.registration()]);
    }
    claims.iter().cycle().take(256).cloned().collect()
}

/// Not valid, and nothing about it looks wrong.
fn forged() -> Claim {
    Scene::new(1, 1, 1_000).cheat(600, 401).prove()
}

#[test]
fn one_forged_among_256_is_refused_and_found() {
    let honest = many();
    let all: Vec<&Claim> = honest.iter().collect();
    assert_eq!(batch::verify(&all), Ok(()));
    let forged = forged();
    for place in [0, 100, 255] {
        let mut batch = all.clone();
        batch[place] = &forged;
        assert_eq!(batch::verify(&batch), Err(Refusal::DoesNotHold), "at {place}");
    }
    // Halving leaves out only those next to the forged one, and never takes it.
    let mut batch = all.clone();
    batch[100] = &forged;
    let mut found = 0;
    check_ahead(&batch, &mut (), &mut |_| (), &mut |places| {
        assert!(!places.contains(&100));
        found += places.len();
    });
    assert!((253..256).contains(&found), "{found} found");
}

#[test]
fn batches_agree_with_single_checks() {
    let (valid, forged) = (one_of_each(), forged());
    for mask in 0..16_u32 {
        let pick = |place: u32| if mask & (1 << place) == 0 { &valid[place as usize % 3] } else { &forged };
        let batch: Vec<&Claim> = (0..4).map(pick).collect();
        assert_eq!(<&Claim>::all_valid(&batch, &mut ()), batch.iter().all(|it| it.is_valid()), "{mask:04b}");
    }
    assert_eq!(batch::verify(&[]), Ok(()));
}

/// Says another commitment than the prover did, for one row.
struct Tampered {
    inner: merlin::Transcript,
    row: usize,
    by: RistrettoPoint,
}

impl Transcript for Tampered {
    fn append(&mut self, label: &'static [u8], bytes: &[u8]) {
        if label == b"R" && self.row == 0 {
            self.inner.append(label, &shifted(bytes, &self.by));
        } else {
            self.inner.append(label, bytes);
        }
        self.row = self.row.wrapping_sub(usize::from(label == b"R"));
    }

    fn challenge(&mut self, label: &'static [u8]) -> Scalar {
        self.inner.challenge(label)
    }
}

fn shifted(bytes: &[u8], by: &RistrettoPoint) -> [u8; 32] {
    let point = PointBytes(bytes.try_into().expect("32")).to_point("R").expect("a point");
    PointBytes::from(&(point + by)).0
}

/// A transfer whose row is wrong by exactly this point.
fn wrong_by(row: usize, by: RistrettoPoint) -> Claim {
    let mut cheat = Scene::new(7, 1, 1_000).cheat(600, 400);
    let statement = Claim::Transfer(Box::new(cheat.transfer.clone())).statement().expect("fits");
    let mut transcript = Tampered { inner: new_transcript(), row, by };
    statement.absorb(&mut transcript);
    let points = statement.decode().expect("points");
    let secrets = &cheat.witness.secrets;
    let (mut commitments, responses) =
        linear::prove(&mut transcript, &statement.relation, &points, secrets, &mut rng(3));
    commitments[row] = PointBytes(shifted(&commitments[row].0, &by));
    let (numbers, blindings) = (&cheat.witness.numbers, &cheat.witness.blindings);
    let range = range::prove(&mut transcript.inner, numbers, blindings, &mut rng(4)).expect("four");
    cheat.transfer.proof = Proof { commitments, responses, range };
    Claim::Transfer(Box::new(cheat.transfer))
}

/// Two wrong claims whose errors add up to nothing: weights of one would take both. So would weights that a forger knows.
#[test]
fn errors_that_cancel_each_other_are_refused() {
    let error = Generators::value();
    let pair = [wrong_by(1, error), wrong_by(1, -error)];
    let mut sum = Sum::new();
    for claim in &pair {
        assert!(claim.verify().is_err());
        add(claim, &mut sum, &mut || Scalar::ONE).expect("well-formed");
    }
    assert!(sum.vanishes(), "with weights of one they cancel");
    assert_eq!(batch::verify(&[&pair[0], &pair[1]]), Err(Refusal::DoesNotHold));
}

#[test]
fn names_of_claims_cover_every_response() {
    let honest = transfer_of(&one_of_each()[1]);
    let id = |it: &Transfer| (&Claim::Transfer(Box::new(it.clone()))).id();
    for place in 0..honest.proof.responses.len() {
        let mut altered = honest.clone();
        altered.proof.responses[place][0] ^= 1;
        assert_ne!(id(&altered), id(&honest));
    }
    for place in 0..honest.proof.range.len() {
        let mut altered = honest.clone();
        altered.proof.range[place][0] ^= 1;
        assert_ne!(id(&altered), id(&honest), "the weights depend on word {place}");
    }
}
