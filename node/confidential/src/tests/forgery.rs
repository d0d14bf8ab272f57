//! Forgeries by name: what each would gain, and that it is refused.

use super::*;
use crate::claim::{Registration, Withdrawal};
use crate::encoding::PointBytes;
use crate::error::Refusal;
use crate::generators::Generators;

/// Encodings that are no point: not below the field's prime, negative, or the small-order points of the curve below,
/// which the group does not have.
const NO_POINTS: [&str; 10] = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
];

/// The order of the group, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn hex(text: &str) -> [u8; 32] {
    let digit = |place: usize| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).expect("hexadecimal");
    std::array::from_fn(digit)
}

/// The places of all points of a transfer.
fn points_of(it: &mut Transfer) -> Vec<&mut PointBytes> {
    fn both(pair: &mut Pair<PointBytes>) -> [&mut PointBytes; 2] {
        [&mut pair.low, &mut pair.high]
    }
    let mut all = vec![&mut it.owner_key.0, &mut it.recipient_key.0];
    all.extend(it.auditor_keys.iter_mut().map(|key| &mut key.0));
    all.extend(both(&mut it.old.commitment));
    all.extend(both(&mut it.old.handle));
    for sealed in [&mut it.amount, &mut it.balance] {
        all.extend(both(&mut sealed.slot.commitment));
        all.extend(both(&mut sealed.slot.handle));
        all.extend(sealed.auditors.iter_mut().flat_map(both));
    }
    all.extend(&mut it.proof.commitments);
    all
}

/// Chunks out of range in all ways, with every row fulfilled: more in the low chunk than fits, less than nothing in the
/// high one, and the other way round.
pub(super) fn out_of_range() -> Vec<Claim> {
    let high = Scalar::from(1_u64 << 32);
    // What is moved from the high chunk of the new balance to its low one, in units of the high one.
    [Scalar::ONE, -Scalar::ONE]
        .map(|carry| {
            let mut cheat = Scene::new(5, 1, 5 << 32).cheat(1 << 32, 4 << 32);
            let base = Generators::value();
            let shift = |point: &mut PointBytes, by: Scalar| {
                *point = PointBytes::from(&(point.to_point("commitment").expect("a point") + by * base));
            };
            shift(&mut cheat.transfer.balance.slot.commitment.low, carry * high);
            shift(&mut cheat.transfer.balance.slot.commitment.high, -carry);
            cheat.witness.secrets[6] += carry * high;
            cheat.witness.secrets[7] -= carry;
            cheat.prove()
        })
        .into()
}

#[test]
fn overflow_of_chunks_is_refused() {
    for claim in out_of_range() {
        assert_eq!(claim.verify(), Err(Refusal::DoesNotHold));
    }
}

#[test]
fn overdraft_is_refused_however_the_new_balance_is_written() {
    // Wrapped around 64 bits: all chunks in range, value made of nothing.
    let wrapped = Scene::new(1, 1, 1_000).cheat(1_001, u64::MAX).prove();
    assert_eq!(wrapped.verify(), Err(Refusal::DoesNotHold));
    // Wrapped around the order of the group: value is conserved, the chunk is not in range.
    let mut cheat = Scene::new(1, 1, 1_000).cheat(1_001, 0);
    let minus_one = Scalar::ZERO - Scalar::ONE;
    let low = &mut cheat.transfer.balance.slot.commitment.low;
    *low = PointBytes::from(&(low.to_point("commitment").expect("a point") - Generators::value()));
    cheat.witness.secrets[6] = minus_one;
    assert_eq!(cheat.prove().verify(), Err(Refusal::DoesNotHold));
}

#[test]
fn amount_and_balance_that_are_not_the_old_balance_are_refused() {
    for (amount, left) in [(600, 401), (600, 399), (0, 1_001), (1_000, 1), (1 << 32, 0)] {
        let claim = Scene::new(1, 1, 1_000).cheat(amount, left).prove();
        assert_eq!(claim.verify(), Err(Refusal::DoesNotHold), "{amount} and {left} of 1,000");
    }
}

#[test]
fn proof_over_another_old_balance_is_refused() {
    // The balance as it was before the last transfer, of the same owner: what a double spend would show.
    let mut scene = Scene::new(1, 1, 1_000);
    let mut stale = transfer_of(&scene.transfer(600));
    let (commitment, handles) = seal(400, scene.blinding, &[point(scene.owner.public())]);
    stale.old = Slot { commitment, handle: handles[0] };
    assert_eq!(Claim::Transfer(Box::new(stale)).verify(), Err(Refusal::DoesNotHold));
}

#[test]
fn handles_for_another_auditor_are_refused() {
    let mut scene = Scene::new(1, 1, 1_000);
    let honest = scene.auditors[0].public();
    scene.auditors = vec![DecryptionKey::random(&mut rng(8))];
    // Everything is for an auditor of the sender's choice; the ledger puts in its own.
    let mut claim = transfer_of(&scene.transfer(600));
    assert!(Claim::Transfer(Box::new(claim.clone())).verify().is_ok());
    claim.auditor_keys = vec![honest];
    assert_eq!(Claim::Transfer(Box::new(claim)).verify(), Err(Refusal::DoesNotHold));
    // And proved anew over the ledger's key, with handles that are not for it.
    let mut cheat = scene.cheat(600, 400);
    cheat.transfer.auditor_keys = vec![honest];
    assert_eq!(cheat.prove().verify(), Err(Refusal::DoesNotHold));
}

#[test]
fn bytes_that_are_no_point_are_refused_wherever_they_stand() {
    let honest = transfer_of(&Scene::new(1, 1, 1_000).transfer(600));
    let places = points_of(&mut honest.clone()).len();
    assert_eq!(places, 3 + 4 + 12 + 14);
    for place in 0..places {
        for bytes in NO_POINTS {
            let mut altered = honest.clone();
            points_of(&mut altered)[place].0 = hex(bytes);
            let refusal = Claim::Transfer(Box::new(altered)).verify();
            assert!(matches!(refusal, Err(Refusal::NotAPoint(_))), "{bytes} at {place}: {refusal:?}");
        }
    }
    for word in (0..4).chain(7..21) {
        for bytes in NO_POINTS {
            let mut altered = honest.clone();
            altered.proof.range[word] = hex(bytes);
            let refusal = Claim::Transfer(Box::new(altered)).verify();
            assert!(matches!(refusal, Err(Refusal::NotAPoint(_))), "{bytes} at word {word}: {refusal:?}");
        }
    }
}

/// The group has one point of small order, the identity. As a key it would let anybody read nothing; as a commitment or
/// handle it would hide nothing; said first, it fits any challenge.
#[test]
fn identity_is_refused_everywhere_but_in_an_old_balance() {
    let honest = transfer_of(&Scene::new(1, 1, 1_000).transfer(600));
    let places = points_of(&mut honest.clone()).len();
    for place in 0..places {
        let mut altered = honest.clone();
        *points_of(&mut altered)[place] = PointBytes::IDENTITY;
        let refusal = Claim::Transfer(Box::new(altered)).verify();
        let in_old_balance = (3..7).contains(&place);
        match refusal {
            Err(Refusal::Identity(_)) => assert!(!in_old_balance, "{place}"),
            Err(Refusal::DoesNotHold) => assert!(in_old_balance, "{place}"),
            other => panic!("{other:?} at {place}"),
        }
    }
    for word in (0..4).chain(7..21) {
        let mut altered = honest.clone();
        altered.proof.range[word] = [0; 32];
        let refusal = Claim::Transfer(Box::new(altered)).verify();
        assert!(matches!(refusal, Err(Refusal::Identity(_))), "word {word}: {refusal:?}");
    }
}

#[test]
fn balance_that_was_paid_in_publicly_can_be_spent() {
    let scene = Scene::new(1, 1, 0);
    let slot = Sealed::public(1_000, 1).slot;
    let own = OwnBalance { key: &scene.owner, slot, chunks: Pair::of(1_000) };
    let to = (to(), scene.recipient.public());
    let claim =
        prover::transfer(context(), to, &scene.auditor_keys(), own, 999, &mut rng(1)).expect("provable");
    assert_eq!(claim.verify(), Ok(()));
}

#[test]
fn scalar_written_with_the_order_added_is_refused() {
    let honest = transfer_of(&Scene::new(1, 1, 1_000).transfer(600));
    let plus_order = |bytes: &mut [u8; 32]| {
        let mut carry = 0;
        for (byte, order) in bytes.iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    };
    let refused = |name: &str, altered: Transfer| {
        let refusal = Claim::Transfer(Box::new(altered)).verify();
        assert!(matches!(refusal, Err(Refusal::NotAScalar(_))), "{name}: {refusal:?}");
    };
    for place in 0..honest.proof.responses.len() {
        let mut altered = honest.clone();
        plus_order(&mut altered.proof.responses[place]);
        refused("response", altered);
    }
    for word in [4, 5, 6, 21, 22] {
        let mut altered = honest.clone();
        plus_order(&mut altered.proof.range[word]);
        refused("word of the range proof", altered);
    }
}

#[test]
fn key_made_out_of_anothers_key_cannot_be_registered() {
    let mut scene = Scene::new(1, 1, 0);
    let Claim::Registration(honest) = scene.registration() else { panic!("a registration") };
    // Another's proof for one's own account.
    let mut stolen = (*honest).clone();
    stolen.context.account = PublicKey([9; 32]);
    assert!(Claim::Registration(Box::new(stolen)).verify().is_err());
    // The sum of another's key and one's own, of which nobody knows the secret.
    let sum = point(honest.key) + point(DecryptionKey::random(&mut scene.rng).public());
    let rogue = Registration { key: EncryptionKey(PointBytes::from(&sum)), ..*honest };
    assert!(Claim::Registration(Box::new(rogue)).verify().is_err());
}

#[test]
fn proof_of_a_transfer_is_none_of_a_withdrawal() {
    let it = transfer_of(&Scene::new(1, 1, 1_000).transfer(600));
    let withdrawal = Withdrawal {
        context: it.context,
        owner_key: it.owner_key,
        auditor_keys: it.auditor_keys,
        amount: 600,
        old: it.old,
        balance: it.balance,
        proof: it.proof,
    };
    assert!(Claim::Withdrawal(Box::new(withdrawal)).verify().is_err());
}

#[test]
fn withdrawal_of_another_amount_is_refused() {
    let mut scene = Scene::new(1, 1, 1_000);
    let Claim::Withdrawal(honest) = scene.withdrawal(600) else { panic!("a withdrawal") };
    for amount in [0, 599, 601, 1_000, u64::MAX] {
        let altered = Withdrawal { amount, ..(*honest).clone() };
        assert_eq!(Claim::Withdrawal(Box::new(altered)).verify(), Err(Refusal::DoesNotHold), "{amount}");
    }
}
