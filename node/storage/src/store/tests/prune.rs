//! Old blocks that are dropped: nothing of them is left, the rest stands on its base, and a crash anywhere leaves a sound store.

use carat_types::certificate::Certificate;

use super::super::engine::{KeyRange, Read as _};
use super::transfer::served;
use super::*;

/// Seals are checked elsewhere.
fn seal(store: &Store, slots: impl IntoIterator<Item = u64>) {
    for slot in slots.into_iter().map(Slot) {
        let header = store.header(slot).expect("reads").expect("is there").hash();
        let body = Seal { slot, header };
        let certificate = Certificate { body, signers: SignerSet::default(), signatures: Vec::new() };
        store.put_certificate(&certificate).expect("the store works");
    }
}

pub(super) fn with_blocks(engine: &Arc<MemoryEngine>, blocks: u32) -> (Store, Chain) {
    let (store, mut chain) = (in_memory(engine).expect("opens"), Chain::new());
    commit(&store, &mut chain, blocks);
    seal(&store, 1..=u64::from(blocks));
    (store, chain)
}

/// Of all blocks below `oldest` nothing is left but genesis, and of the one just below header and seals.
fn check_begins_at(store: &Store, oldest: u64, newest: u64) {
    assert_eq!(store.base().expect("reads").map(|base| base.slot), Some(Slot(oldest - 1)));
    let mut chain = Chain::new();
    for slot in (1..=newest).map(Slot) {
        let (block, outcome) = chain.next();
        let kept = slot.0 >= oldest;
        assert_eq!(store.block(slot).expect("reads"), kept.then_some(block.clone()));
        assert_eq!(store.execution(slot).expect("reads").is_some(), kept);
        assert_eq!(store.header(slot).expect("reads").is_some(), slot.0 >= oldest - 1);
        assert_eq!(store.certificate(slot).expect("reads").is_some(), slot.0 >= oldest - 1);
        let value = block.payload.value.digest();
        assert_eq!(store.slot_of_value(&value).expect("reads"), kept.then_some(slot));
        for applied in &outcome.applied {
            let found = store.transaction(applied.transaction.hash()).expect("reads");
            assert_eq!(found.is_some(), kept);
        }
    }
    assert!(store.block(Slot(0)).expect("reads").is_some(), "genesis stays");
    assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
}

#[test]
fn blocks_that_are_dropped_leave_nothing_and_the_store_goes_on() {
    let engine = MemoryEngine::new();
    let (store, mut chain) = with_blocks(&engine, 20);
    let mut oldest = Vec::new();
    // The first call looks for what a transfer left below its base.
    for _ in 0..5 {
        oldest.push(store.prune(&(Slot(1)..=Slot(10)), 4).expect("the store works").map(|slot| slot.0));
    }
    assert_eq!(
        oldest,
        [None, Some(5), Some(9), Some(11), Some(11)],
        "four at a time, and none above the limit"
    );
    check_begins_at(&store, 11, 20);
    store.sync().expect("the store works");
    drop(store);
    let store = in_memory(&engine).expect("opens again");
    check_begins_at(&store, 11, 20);
    commit(&store, &mut chain, 2);
    assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
}

#[test]
fn newest_block_is_never_dropped() {
    let (store, _) = with_blocks(&MemoryEngine::new(), 5);
    (0..3).for_each(|_| _ = store.prune(&(Slot(1)..=Slot(99)), 100).expect("the store works"));
    check_begins_at(&store, 5, 5);
    assert_eq!(store.applied_at_tip().expect("reads"), 2);
}

#[test]
fn base_is_a_sealed_block() {
    let (store, mut chain) = (in_memory(&MemoryEngine::new()).expect("opens"), Chain::new());
    commit(&store, &mut chain, 20);
    let prune = |last| store.prune(&(Slot(1)..=Slot(last)), 4).expect("the store works").map(|slot| slot.0);
    prune(20);
    assert_eq!(prune(20), None, "nothing is sealed");
    seal(&store, [3, 12]);
    assert_eq!(prune(20), Some(4), "the newest sealed one of four");
    assert_eq!(prune(11), Some(4), "none within the limit");
    assert_eq!(prune(20), Some(13), "the next sealed one, though it is farther");
    assert_eq!(store.base().expect("reads").map(|base| base.transactions), Some(2));
}

#[test]
fn power_lost_between_steps_leaves_a_store_that_opens() {
    for survive in 0..6 {
        let engine = MemoryEngine::new();
        let (store, chain) = with_blocks(&engine, 12);
        store.sync().expect("the store works");
        (0..5).for_each(|_| _ = store.prune(&(Slot(1)..=Slot(10)), 3).expect("the store works"));
        drop(store);
        engine.crash(|_| survive);
        let store = in_memory(&engine).expect("opens");
        assert_eq!(store.tip().slot, Slot(12));
        assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
        (0..6).for_each(|_| _ = store.prune(&(Slot(1)..=Slot(10)), 3).expect("the store works"));
        check_begins_at(&store, 11, 12);
    }
}

#[test]
fn blocks_from_before_a_fetched_state_are_dropped_too() {
    let engine = MemoryEngine::new();
    let (store, _) = with_blocks(&engine, 10);
    let (offer, chunks, mut chain) = served(30);
    store.begin_transfer(&offer).expect("begins");
    chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
    store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
    commit(&store, &mut chain, 10);
    seal(&store, 31..=40);
    assert!(store.block(Slot(10)).expect("reads").is_some());
    (0..8).for_each(|_| _ = store.prune(&(Slot(1)..=Slot(35)), 4).expect("the store works"));
    check_begins_at(&store, 36, 40);
    let headers = engine.scan(Column::Headers, KeyRange::default());
    assert_eq!(headers.count(), 1 + 6, "genesis, the base and five blocks");
}

#[test]
fn blocks_that_may_not_be_dropped_yet_stay() {
    let (store, _) = with_blocks(&MemoryEngine::new(), 10);
    let prune = |first, last| {
        (0..4).for_each(|_| _ = store.prune(&(Slot(first)..=Slot(last)), 4).expect("the store works"));
        store.base().expect("reads").map(|base| base.slot)
    };
    assert_eq!(prune(2, 9), None, "block 1 is not among them, and all above stands on it");
    assert_eq!(prune(1, 4), Some(Slot(4)));
    assert_eq!(prune(6, 9), Some(Slot(4)));
    assert_eq!(prune(5, 9), Some(Slot(9)));
}

#[test]
fn blocks_from_before_a_fetched_state_stay_where_they_may_not_be_dropped() {
    let engine = MemoryEngine::new();
    let (store, _) = with_blocks(&engine, 10);
    let (offer, chunks, mut chain) = served(30);
    store.begin_transfer(&offer).expect("begins");
    chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
    store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
    commit(&store, &mut chain, 10);
    seal(&store, 31..=40);
    (0..8).for_each(|_| _ = store.prune(&(Slot(31)..=Slot(35)), 4).expect("the store works"));
    assert_eq!(store.base().expect("reads").map(|base| base.slot), Some(Slot(35)));
    assert!(store.block(Slot(10)).expect("reads").is_some(), "of which there is no archive");
}
