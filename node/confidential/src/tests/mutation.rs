//! Every byte and every field altered is refused; nothing is valid anywhere but where it was made for.

use carat_types::codec::{Decode, Encode};

use super::*;
use crate::encoding::PointBytes;
use crate::generators::Generators;

#[test]
fn claims_are_valid_as_they_are_made() {
    for claim in one_of_each() {
        assert_eq!(claim.verify(), Ok(()));
    }
}

#[test]
fn every_byte_altered_is_refused() {
    for claim in one_of_each() {
        let bytes = claim.to_bytes();
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1 << (place % 8);
            let valid = Claim::from_bytes(&altered).is_ok_and(|claim| claim.verify().is_ok());
            assert!(!valid, "byte {place} of {}", bytes.len());
        }
    }
}

#[test]
fn claim_cut_or_prolonged_is_refused() {
    for claim in one_of_each() {
        let mut bytes = claim.to_bytes();
        bytes.push(0);
        assert!(Claim::from_bytes(&bytes).is_err(), "one byte more");
        bytes.truncate(bytes.len() - 2);
        assert!(Claim::from_bytes(&bytes).is_err(), "one byte less");
    }
}

/// Replay: the same proof under another value of each public input.
#[test]
fn proof_is_worth_nothing_in_another_context() {
    type Alter = fn(&mut Context);
    let alterations: &[(&str, Alter)] = &[
        ("network", |it| it.network = Digest([9; 32])),
        ("source", |it| it.source = PublicKey([9; 32])),
        ("sequence", |it| it.sequence += 1),
        ("operation index", |it| it.operation_index += 1),
        ("account", |it| it.account = PublicKey([9; 32])),
        ("asset", |it| it.asset = Digest([9; 32])),
        ("lane", |it| it.lane += 1),
        ("version", |it| it.version += 1),
        ("key epoch", |it| it.key_epoch += 1),
        ("auditor epoch", |it| it.auditor_epoch += 1),
        ("payload", |it| it.payload = Digest([9; 32])),
    ];
    for claim in one_of_each() {
        for (name, alter) in alterations {
            let mut replayed = claim.clone();
            match &mut replayed {
                Claim::Registration(it) => alter(&mut it.context),
                Claim::Transfer(it) => alter(&mut it.context),
                Claim::Withdrawal(it) => alter(&mut it.context),
            }
            assert!(replayed.verify().is_err(), "{name}");
        }
    }
}

/// Every field of a transfer, replaced by another value that is well-formed.
#[test]
fn every_field_of_a_transfer_replaced_is_refused() {
    let honest = transfer_of(&Scene::new(1, 2, 9_000_000_000).transfer(5_000_000_000));
    let other = transfer_of(&Scene::new(2, 2, 9_000_000_000).transfer(5_000_000_000));
    type Replace = fn(&mut Transfer, &Transfer);
    let replacements: &[(&str, Replace)] = &[
        ("recipient's account", |it, _| it.recipient.account = PublicKey([9; 32])),
        ("recipient's lane", |it, _| it.recipient.lane += 1),
        ("recipient's key epoch", |it, _| it.recipient.key_epoch += 1),
        ("owner's key", |it, other| it.owner_key = other.owner_key),
        ("recipient's key", |it, other| it.recipient_key = other.recipient_key),
        ("an auditor's key", |it, other| it.auditor_keys[1] = other.auditor_keys[1]),
        ("auditors swapped", |it, _| it.auditor_keys.swap(0, 1)),
        ("auditors and their handles swapped", |it, _| {
            it.auditor_keys.swap(0, 1);
            it.amount.auditors.swap(0, 1);
            it.balance.auditors.swap(0, 1);
        }),
        ("one auditor less", |it, _| {
            it.auditor_keys.pop();
            it.amount.auditors.pop();
            it.balance.auditors.pop();
        }),
        ("no auditor", |it, _| {
            it.auditor_keys.clear();
            it.amount.auditors.clear();
            it.balance.auditors.clear();
        }),
        ("an auditor's handle too few", |it, _| {
            it.amount.auditors.pop();
        }),
        ("old balance", |it, other| it.old = other.old),
        ("old commitment", |it, other| it.old.commitment.low = other.old.commitment.low),
        ("old handle", |it, other| it.old.handle.high = other.old.handle.high),
        ("amount", |it, other| it.amount = other.amount.clone()),
        ("amount's chunks swapped", |it, _| {
            let pair = &mut it.amount.slot.commitment;
            std::mem::swap(&mut pair.low, &mut pair.high);
        }),
        ("recipient's handle", |it, other| it.amount.slot.handle = other.amount.slot.handle),
        ("auditor's handle", |it, other| it.amount.auditors[0] = other.amount.auditors[0]),
        ("balance", |it, other| it.balance = other.balance.clone()),
        ("amount for balance", |it, _| std::mem::swap(&mut it.amount, &mut it.balance)),
        ("proof", |it, other| it.proof = other.proof.clone()),
        ("range proof", |it, other| it.proof.range = other.proof.range.clone()),
        ("responses", |it, other| it.proof.responses = other.proof.responses.clone()),
        ("a response too many", |it, _| it.proof.responses.push([0; 32])),
        ("a row too few", |it, _| {
            it.proof.commitments.pop();
        }),
        ("a round too few", |it, _| it.proof.range.truncate(21)),
        ("no range proof", |it, _| it.proof.range.clear()),
    ];
    assert!(Claim::Transfer(Box::new(honest.clone())).verify().is_ok());
    for (name, replace) in replacements {
        let mut altered = honest.clone();
        replace(&mut altered, &other);
        assert!(Claim::Transfer(Box::new(altered)).verify().is_err(), "{name}");
    }
}

/// Every point and every scalar of a proof, replaced by another one that is well-formed.
#[test]
fn every_word_of_a_proof_replaced_is_refused() {
    let honest = transfer_of(&Scene::new(1, 1, 9_000_000_000).transfer(5_000_000_000));
    let refused = |what: &str, place: usize, alter: &dyn Fn(&mut Proof)| {
        let mut altered = honest.clone();
        alter(&mut altered.proof);
        assert!(Claim::Transfer(Box::new(altered)).verify().is_err(), "{what} {place}");
    };
    let add_base = |bytes: &mut [u8; 32]| {
        let point = PointBytes(*bytes).to_point("a word").expect("a point");
        *bytes = PointBytes::from(&(point + Generators::blinding())).0;
    };
    let add_one = |bytes: &mut [u8; 32]| {
        let scalar = crate::encoding::scalar(bytes, "a word").expect("a scalar");
        *bytes = (scalar + Scalar::ONE).to_bytes();
    };
    for place in 0..honest.proof.commitments.len() {
        refused("row", place, &|it| add_base(&mut it.commitments[place].0));
    }
    for place in 0..honest.proof.responses.len() {
        refused("response", place, &|it| add_one(&mut it.responses[place]));
    }
    let words = honest.proof.range.len();
    for place in 0..words {
        let is_scalar = (4..7).contains(&place) || place >= words - 2;
        refused("word of the range proof", place, &|it| match is_scalar {
            true => add_one(&mut it.range[place]),
            false => add_base(&mut it.range[place]),
        });
    }
}

#[test]
fn names_of_claims_differ_from_those_of_signatures_over_the_same_bytes() {
    use carat_types::Signature;
    use carat_types::signature::Claim as Signed;
    use carat_types::verifiable::Verifiable;
    let claim = &one_of_each()[1];
    let bytes = [b"carat-confidential".as_slice(), &claim.to_bytes()].concat();
    let key = PublicKey(bytes[..32].try_into().expect("32"));
    let signature = Signature(bytes[32..96].try_into().expect("64"));
    let signed = Signed { key: &key, signature: &signature, message: &bytes[96..] };
    assert_ne!(claim.id(), signed.id());
}
