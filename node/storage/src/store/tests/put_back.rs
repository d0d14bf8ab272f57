//! Old blocks that are put back: they are there again as they were, and a crash in the middle leaves the store sound.

use carat_types::SecretKey;
use carat_types::certificate::Certificate;

use super::super::backup::archive::Archived;
use super::super::put_back::Below;
use super::prune::with_blocks;
use super::*;

const BLOCKS: u64 = 12;
const KEPT: u64 = 3;

/// What an archive has of all blocks.
fn archived(store: &Store) -> Vec<Archived> {
    let one = |slot| Archived {
        block: store.block(slot).expect("reads").expect("is there"),
        execution: store.execution(slot).expect("reads").expect("is there"),
        certificate: store.certificate(slot).expect("reads"),
    };
    (1..=BLOCKS).map(Slot).map(one).collect()
}

/// A store whose base is block 9, and all blocks.
fn dropped(engine: &Arc<MemoryEngine>) -> (Store, Vec<Archived>) {
    let (store, _) = with_blocks(engine, u32::try_from(BLOCKS).expect("few"));
    let all = archived(&store);
    (0..9).for_each(|_| _ = store.prune(&(Slot(1)..=Slot(BLOCKS - KEPT)), 4).expect("the store works"));
    store.sync().expect("the store works");
    assert_eq!(base(&store), Some(Slot(BLOCKS - KEPT)));
    (store, all)
}

fn base(store: &Store) -> Option<Slot> {
    store.base().expect("reads").map(|base| base.slot)
}

/// The blocks above `below` up to the base.
fn put_back(store: &Store, all: &[Archived], below: usize) -> Result<(), StoreError> {
    let begin = below.checked_sub(1).and_then(|index| Below::of(&all[index]));
    let end = usize::try_from(base(store).unwrap_or_default().0).expect("few");
    let mut run = store.put_back(begin)?;
    all[below..end].iter().try_for_each(|archived| run.block(archived))?;
    run.finish()
}

fn check_whole(store: &Store, all: &[Archived]) {
    assert_eq!(base(store), None);
    assert_eq!(archived(store), all);
    for archived in all {
        let (slot, header) = (archived.block.header.slot, &archived.block.header);
        assert_eq!(store.slot_of_value(&header.batch).expect("reads"), Some(slot));
        for (outcome, place) in archived.execution.outcomes.iter().zip(0..) {
            let found = store.transaction(&outcome.transaction).expect("reads");
            assert_eq!(found, Some(TransactionPlace { slot, outcome: place }));
        }
    }
}

#[test]
fn blocks_put_back_run_by_run_are_there_as_they_were() {
    let engine = MemoryEngine::new();
    let (store, all) = dropped(&engine);
    put_back(&store, &all, 5).expect("put back");
    assert_eq!((base(&store), store.block(Slot(5)).expect("reads")), (Some(Slot(5)), None));
    assert_eq!(store.base().expect("reads").map(|base| base.transactions), Some(2));
    assert_eq!(store.block(Slot(6)).expect("reads").as_ref(), Some(&all[5].block));
    put_back(&store, &all, 0).expect("put back");
    check_whole(&store, &all);
    drop(store);
    let store = in_memory(&engine).expect("opens again");
    check_whole(&store, &all);
    let refused = store.put_back(None).err().expect("refused").to_string();
    assert!(refused.contains("no block is missing"), "{refused}");
}

#[test]
fn crash_while_blocks_are_put_back_leaves_a_store_that_takes_them_again() {
    for survive in 0..12 {
        let engine = MemoryEngine::new();
        let (store, all) = dropped(&engine);
        let mut run = store.put_back(None).expect("begins");
        // A batch for each block, as if each were large.
        for archived in &all[..9] {
            run.block(archived).expect("put back");
            run.write_batch().expect("the store works");
        }
        if survive == 11 {
            run.finish().expect("put back");
        }
        drop(store);
        engine.crash(|_| survive);
        let store = in_memory(&engine).expect("opens");
        assert_eq!(base(&store), (survive < 11).then_some(Slot(9)), "after {survive} batches");
        assert_eq!(store.tip().slot, Slot(BLOCKS));
        if survive < 11 {
            put_back(&store, &all, 4).expect("put back");
            put_back(&store, &all, 0).expect("put back");
        }
        check_whole(&store, &all);
    }
}

#[test]
fn blocks_that_do_not_lead_to_what_is_there_are_refused() {
    let (store, all) = dropped(&MemoryEngine::new());
    let refusal = |refused: Result<(), StoreError>| refused.expect_err("refused").to_string();
    let mut run = store.put_back(Below::of(&all[3])).expect("begins");
    assert!(refusal(run.block(&all[5])).contains("out of order"), "a gap");
    assert!(refusal(run.block(&all[3])).contains("out of order"), "the one below");
    let mut other = all[4].clone();
    other.block.header.parent = Digest([7; 32]);
    assert!(refusal(run.block(&other)).contains("out of order"), "of another chain");
    all[4..8].iter().for_each(|archived| run.block(archived).expect("put back"));
    assert!(refusal(run.finish()).contains("do not lead to"), "one is missing");
    let mut run = store.put_back(Below::of(&all[3])).expect("begins");
    all[4..8].iter().for_each(|archived| run.block(archived).expect("put back"));
    let mut other = all[8].clone();
    other.block.header.state_root = Digest([7; 32]);
    run.block(&other).expect("stands on the one below it");
    assert!(refusal(run.finish()).contains("do not lead to"), "another block in the place of the base");
    assert!(refusal(store.put_back(None).and_then(|mut run| run.block(&all[1]))).contains("out of order"));
    assert_eq!(base(&store), Some(Slot(9)), "the store is as it was");
    put_back(&store, &all, 0).expect("put back");
    check_whole(&store, &all);
}

#[test]
fn what_the_store_knows_better_stays_when_blocks_are_put_back() {
    let engine = MemoryEngine::new();
    let (store, all) = dropped(&engine);
    let value = |index: usize| all[index].block.header.batch;
    // Left from an earlier block of the same value, and of a later one.
    engine.damage(Column::Values, &value(4).0, Some(Slot(2).to_bytes()));
    engine.damage(Column::Values, &value(5).0, Some(Slot(11).to_bytes()));
    let base = &all[8].block.header;
    let signature = SecretKey::from_seed(&[1; 32]).sign(b"one more");
    let body = Seal { slot: base.slot, header: base.hash() };
    let more = Certificate::assemble(body, [(ValidatorId(1), signature)]);
    store.put_certificate(&more).expect("the store works");
    put_back(&store, &all, 0).expect("put back");
    assert_eq!(store.slot_of_value(&value(4)).expect("reads"), Some(Slot(5)));
    assert_eq!(store.slot_of_value(&value(5)).expect("reads"), Some(Slot(11)));
    assert_eq!(store.certificate(base.slot).expect("reads"), Some(more), "perhaps of more validators");
}
