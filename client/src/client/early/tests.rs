//! Words of validators as a client counts them, and what it says when another value becomes final.

use carat_types::ValidatorId;
use carat_types::epoch::Handover;
use carat_types::message::{Signed, TentativeReply};
use carat_types::receipt::Assumption;
use carat_types::submission::SettledOutcome;
use carat_types::{Signature, Slot, View};

use super::*;
use crate::fixture::{
    PASSPHRASE, genesis_of, handovers, result_receipt, sign, sign_in, transaction, validator,
};
use crate::network::Network;
use crate::rest::Problem;

fn client() -> Client {
    let genesis = genesis_of(PASSPHRASE);
    let network = Network::of(std::path::PathBuf::new(), genesis, Vec::new()).expect("four");
    Client::new(network).expect("connections")
}

/// What a validator says of the fixture's transaction in a view.
fn word(client: &Client, validator: u8, view: u64) -> RepliedOutcome {
    let genesis = &client.network().genesis;
    let Proof::Result(proof) = result_receipt(genesis, 2).proof else { panic!("the receipt of an outcome") };
    let body = TentativeReply { view: View(view), slot: proof.header.slot, header: proof.header.hash() };
    let (signer, signature) = sign(genesis, validator, body);
    RepliedOutcome {
        handovers: Vec::new(),
        reply: Signed { signer, body, signature },
        outcome: SettledOutcome {
            number: 1,
            envelope: proof.envelope,
            result: proof.result,
            path: proof.path,
        },
        header: proof.header,
    }
}

fn counting(client: &Client, rule: EarlyRule) -> WordCount {
    WordCount::new(&client.network().genesis, rule, *transaction(&client.network().genesis, 1).hash())
        .expect("four validators")
}

#[test]
fn quorum_of_one_view_is_believed_and_words_of_two_views_do_not_add_up() {
    let client = client();
    let mut counting = counting(&client, EarlyRule::QuorumTentative);
    for (validator, view) in [(0, 4), (1, 5), (2, 4), (2, 4), (2, 5)] {
        assert!(
            counting.add(&word(&client, validator, view)).is_none(),
            "validator {validator}, view {view}"
        );
    }
    let believed = counting.add(&word(&client, 3, 4)).expect("believed");
    assert_eq!(believed.verdict.rule, Rule::QuorumReplies);
    assert_eq!(believed.verdict.assumption, Assumption::AtMostDishonest(1));
    let verdict = Receipt::verify(&believed.receipt, &client.network().genesis).expect("holds offline");
    assert_eq!(verdict, believed.verdict);
}

#[test]
fn one_word_is_believed_by_who_wants_no_more_and_is_never_called_final() {
    let client = client();
    let believed = counting(&client, EarlyRule::Tentative).add(&word(&client, 2, 0)).expect("believed");
    assert_eq!((believed.verdict.rule, believed.verdict.assumption), (Rule::Reply, Assumption::OneWord));
    let assumption = believed.verdict.assumption.to_string();
    assert!(assumption.contains("one validator's word, not final"), "{assumption}");
}

#[test]
fn tampered_word_counts_nothing() {
    let client = client();
    let mut counting = counting(&client, EarlyRule::Tentative);
    let tampered: [fn(&mut RepliedOutcome); 6] = [
        |word| word.reply.signature = Signature([7; 64]),
        |word| word.reply.signer = ValidatorId(2),
        |word| word.reply.body.view = View(9),
        |word| word.header.ledger += 1,
        |word| word.outcome.result.0[0] ^= 1,
        |word| word.outcome.envelope.0[0] ^= 1,
    ];
    for (case, tamper) in tampered.into_iter().enumerate() {
        let mut word = word(&client, 1, 0);
        tamper(&mut word);
        assert!(counting.add(&word).is_none(), "case {case}");
    }
    let mut other = WordCount { hash: Digest([9; 32]), ..counting };
    assert!(other.add(&word(&client, 1, 0)).is_none(), "of another transaction");
}

#[test]
fn tampered_word_spoils_no_certificate_of_the_others() {
    let client = client();
    let mut counting = counting(&client, EarlyRule::QuorumTentative);
    let liar = RepliedOutcome {
        reply: Signed { signature: Signature([7; 64]), ..word(&client, 1, 0).reply },
        ..word(&client, 1, 0)
    };
    for word in [liar, word(&client, 0, 0), word(&client, 2, 0)] {
        assert!(counting.add(&word).is_none());
    }
    assert!(counting.add(&word(&client, 3, 0)).is_some(), "three that hold");
}

#[test]
fn other_value_that_becomes_final_is_reported_with_what_was_believed() {
    let client = client();
    let word = word(&client, 2, 0);
    let believed = counting(&client, EarlyRule::Tentative).add(&word).expect("believed");
    let header = word.header;
    let sealed = || {
        let receipt = result_receipt(&client.network().genesis, 2).to_bytes();
        client.check(&believed.hash, receipt).expect("holds").expect("an outcome")
    };
    assert!(judge(&believed, &header, Ok(sealed())).is_ok(), "the same");
    let other = Header { ledger: header.ledger + 1, ..header.clone() };
    let refused = || Err(ClientError::Refused(Box::<Problem>::default()));
    for outcome in [judge(&believed, &other, Ok(sealed())), judge(&believed, &header, refused())] {
        let error = outcome.expect_err("contradicted");
        assert!(matches!(error, ClientError::Contradicted { .. }), "{error}");
        let words = error.to_string();
        assert!(words.contains("TREPLY") && words.contains("hint"), "{words}");
    }
    let unknown = ClientError::Disagreement;
    let unknown = judge(&believed, &header, Err(unknown)).expect_err("not known");
    assert!(matches!(unknown, ClientError::Disagreement), "what is not known contradicts nothing");
}

/// What the validator in this place says in the epoch to which the handovers lead.
fn later_word(client: &Client, handovers: &[Handover], place: usize) -> RepliedOutcome {
    let (earlier, set) = (word(client, 0, 0), &handovers.last().expect("one").next);
    let header = Header { slot: Slot(17), epoch: set.epoch, ..earlier.header };
    let body = TentativeReply { view: View(4), slot: header.slot, header: header.hash() };
    let (signer, signature) = sign_in(&client.network().genesis, set, place, body);
    let reply = Signed { signer, body, signature };
    RepliedOutcome { handovers: handovers.to_vec(), reply, header, outcome: earlier.outcome }
}

#[test]
fn quorum_is_that_of_the_epoch_of_the_words() {
    let client = client();
    let seven = handovers(&client.network().genesis, &[(0..7).map(validator).collect()], 2);
    let mut counting = counting(&client, EarlyRule::QuorumTentative);
    for place in 0..4 {
        let word = later_word(&client, &seven, place);
        assert!(counting.add(&word).is_none(), "{place}: three of four are a quorum, of seven five are");
    }
    let believed = counting.add(&later_word(&client, &seven, 5)).expect("five of seven");
    assert_eq!(believed.verdict.rule, Rule::QuorumReplies);
    assert_eq!(believed.verdict.assumption, Assumption::AtMostDishonestInEach(2));
}
