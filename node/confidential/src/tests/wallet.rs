//! What owners, recipients and auditors read, and what a prover refuses to prove.

use proptest::prelude::*;

use super::*;
use crate::discrete_log::Table;
use crate::error::ProveError;
use crate::generators::Generators;

fn table() -> &'static Table {
    static TABLE: std::sync::LazyLock<Table> = std::sync::LazyLock::new(|| Table::new(16));
    &TABLE
}

fn read(key: &DecryptionKey, slot: &Slot) -> Option<u128> {
    key.open(slot, table()).expect("points").map(Pair::sum)
}

#[test]
fn everybody_reads_its_part_and_nobody_else_does() {
    let mut scene = Scene::new(1, 2, 10_000_000_000);
    let transfer = transfer_of(&scene.transfer(4_294_967_297));
    assert_eq!(read(&scene.recipient, &transfer.amount.slot), Some(4_294_967_297));
    assert_eq!(read(&scene.owner, &transfer.balance.slot), Some(5_705_032_703));
    for (place, auditor) in scene.auditors.iter().enumerate() {
        let read = |sealed: &Sealed| read(auditor, &sealed.for_auditor(place).expect("a handle"));
        assert_eq!(read(&transfer.amount), Some(4_294_967_297));
        assert_eq!(read(&transfer.balance), Some(5_705_032_703));
    }
    assert!(transfer.amount.for_auditor(2).is_none());
    assert_eq!(read(&DecryptionKey::random(&mut rng(5)), &transfer.amount.slot), None);
}

#[test]
fn discrete_logarithm_is_found_at_the_ends_and_not_beyond() {
    for value in [0, 1, 65_535, 65_536, 65_537, u64::from(u32::MAX) - 1, u64::from(u32::MAX)] {
        let point = Scalar::from(value) * Generators::value();
        assert_eq!(table().find(&point).map(u64::from), Some(value));
    }
    assert_eq!(table().find(&(Scalar::from(1_u64 << 32) * Generators::value())), None);
    assert_eq!(table().find(&(-Generators::value())), None);
}

/// Amounts at every edge of the chunks, from balances that just suffice.
#[test]
fn amounts_at_the_edges_are_proved_and_read() {
    let edges = [0, 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 63) - 1, u64::MAX];
    for balance in edges {
        for amount in [0, balance] {
            let claim = Scene::new(balance, 1, balance).transfer(amount);
            assert_eq!(claim.verify(), Ok(()), "{amount} of {balance}");
        }
    }
}

#[test]
fn credits_add_up_and_grown_chunks_can_be_spent() {
    let mut scene = Scene::new(3, 1, (7 << 32) | 0xffff_fff0);
    // What came in publicly, and what came in hidden; the low chunk grows beyond 32 bits.
    let mut credits = Sealed::public(0xffff_fff0, 1);
    for _ in 0..3 {
        let hidden = transfer_of(&Scene::new(8, 1, 0xffff_fff0).transfer(0)).balance;
        let own = Scene::new(8, 1, 0).owner;
        assert!(own.opens_to(&hidden.slot, Pair::of(0xffff_fff0)));
        credits = credits.plus(&Sealed::public(0xffff_fff0, 1)).expect("points");
    }
    let pending = Sealed { slot: scene.old, auditors: credits.auditors.clone() };
    scene.old = pending.plus(&credits).expect("points").slot;
    let chunks = Pair { low: 5 * 0xffff_fff0, high: 7 };
    assert!(scene.owner.opens_to(&scene.old, chunks));
    assert!(scene.owner.open(&scene.old, table()).expect("points").is_none(), "too large to search");
    let balance = OwnBalance { key: &scene.owner, slot: scene.old, chunks };
    let (keys, to) = (scene.auditor_keys(), (to(), scene.recipient.public()));
    let claim = prover::transfer(context(), to, &keys, balance, 1 << 33, &mut rng(1)).expect("provable");
    assert_eq!(claim.verify(), Ok(()));
    let left = read(&scene.owner, &transfer_of(&claim).balance.slot);
    assert_eq!(left, Some(chunks.sum() - (1 << 33)));
}

#[test]
fn amounts_for_different_sets_of_auditors_do_not_add_up() {
    assert!(Sealed::public(1, 1).plus(&Sealed::public(1, 2)).is_err());
}

#[test]
fn prover_refuses_what_does_not_hold() {
    let scene = Scene::new(2, 1, 1_000);
    let (keys, to) = (scene.auditor_keys(), (to(), scene.recipient.public()));
    let prove = |own, keys: &[EncryptionKey], amount| {
        prover::transfer(context(), to.clone(), keys, own, amount, &mut rng(1)).expect_err("refused")
    };
    assert_eq!(prove(scene.own(), &keys, 1_001), ProveError::Overdraft { amount: 1_001, balance: 1_000 });
    let wrong = OwnBalance { chunks: Pair::of(1_001), ..scene.own() };
    assert_eq!(prove(wrong, &keys, 1), ProveError::WrongBalance);
    let others = OwnBalance { key: &scene.recipient, ..scene.own() };
    assert_eq!(prove(others, &keys, 1), ProveError::WrongBalance);
    assert!(matches!(prove(scene.own(), &[], 1), ProveError::Refused(_)), "no auditor");
    let many = vec![keys[0]; 4];
    assert!(matches!(prove(scene.own(), &many, 1), ProveError::Refused(_)), "four auditors");
}

#[test]
fn key_survives_being_written_and_read() {
    let key = DecryptionKey::random(&mut rng(1));
    let read = DecryptionKey::from_bytes(&key.to_bytes()).expect("canonical");
    assert_eq!(read.public(), key.public());
    assert!(DecryptionKey::from_bytes(&[0; 32]).is_err(), "zero");
    assert!(DecryptionKey::from_bytes(&[0xff; 32]).is_err(), "not canonical");
    assert_eq!(format!("{key:?}"), "DecryptionKey([REDACTED])");
}

#[test]
fn prover_with_a_broken_source_of_randomness_repeats_no_nonce() {
    let scene = Scene::new(4, 1, 1_000);
    let prove = |sequence| {
        let context = Context { sequence, ..context() };
        let claim = prover::registration(context, &scene.owner, &mut rng(7)).expect("provable");
        claim.proof().commitments.clone()
    };
    assert_ne!(prove(1), prove(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is moved, both sides add up to what was there, and everything verifies after a trip over the wire.
    #[test]
    fn transfers_conserve_value(balance: u64, share in 0..=u64::MAX, auditors in 1..=3_usize, seed: u64) {
        use carat_types::codec::{Decode, Encode};
        let amount = if balance == u64::MAX { share } else { share % (balance + 1) };
        let mut scene = Scene::new(seed, auditors, balance);
        for claim in [scene.transfer(amount), scene.withdrawal(amount)] {
            let read = Claim::from_bytes(&claim.to_bytes()).expect("its own bytes");
            prop_assert_eq!(&read, &claim);
            prop_assert_eq!(read.verify(), Ok(()));
        }
        let transfer = transfer_of(&scene.transfer(amount));
        prop_assert!(scene.recipient.opens_to(&transfer.amount.slot, Pair::of(amount)));
        prop_assert!(scene.owner.opens_to(&transfer.balance.slot, Pair::of(balance - amount)));
    }
}
