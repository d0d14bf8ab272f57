//! What is written comes back; what is lost, damaged or foreign is noticed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use carat_ledger::StateRead as _;
use carat_types::certificate::SealCertificate;
use carat_types::codec::Encode as _;
use carat_types::evidence::Both;
use carat_types::message::{NewView, Seal, Signed};
use carat_types::{Digest, Epoch, LeafRule, PublicKey, Signature, SignerSet, Slot, ValidatorId, View};

use super::engine::{Column, Engine, EngineError};
use super::*;
use crate::{Identity, children};
use chain::{Chain, identity};

pub(super) mod chain;
mod encrypted;
mod full_disk;
mod kill;
mod prune;
mod put_back;
pub(super) mod transfer;

fn in_memory(engine: &Arc<MemoryEngine>) -> Result<Store, StoreError> {
    Store::open_in_memory(Arc::clone(engine) as Arc<dyn Engine>, &identity(), Chain::genesis)
}

fn on_disk(folder: &Path) -> Result<Store, StoreError> {
    let _undisturbed = children::none_begins();
    Store::open(folder, &identity(), None, Chain::genesis)
}

/// Commits the next `count` blocks of `chain`.
fn commit(store: &Store, chain: &mut Chain, count: u32) {
    for _ in 0..count {
        let (block, outcome) = chain.next();
        store.commit_block(&block, &outcome).expect("the store works");
    }
}

/// The store holds the first `blocks` blocks of the chain and the state after them, and nothing else.
fn check_holds(store: &Store, blocks: u64) {
    let mut chain = Chain::new();
    assert_eq!(store.tip().slot, Slot(blocks));
    for slot in (1..=blocks).map(Slot) {
        let (block, outcome) = chain.next();
        assert_eq!(store.block(slot).expect("reads"), Some(block));
        let execution = store.execution(slot).expect("reads").expect("is there");
        assert_eq!(execution.outcomes.len(), outcome.applied.len());
    }
    assert_eq!(store.block(Slot(blocks + 1)).expect("reads"), None);
    let tree = store.state_tree(&LeafRule::Open).expect("the state is that of the newest block");
    assert_eq!(tree.root(), chain.newest.state_root);
}

#[test]
fn memory_of_the_database_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = on_disk(folder.path()).expect("a new store");
    let before = store.memory();
    assert!(before.tables > 0, "{before:?}");
    commit(&store, &mut Chain::new(), 50);
    assert!(store.memory().tables > before.tables, "blocks are in tables that are being written");
    drop(store);
    let store = on_disk(folder.path()).expect("opens");
    check_holds(&store, 50);
    assert!(store.memory().cache > before.cache, "blocks of files were read: {:?}", store.memory());
}

/// What a store must do on any engine.
fn check_store(store: &Store) {
    let mut chain = Chain::new();
    let blocks = [chain.next(), chain.next_empty(), chain.next()];
    for (block, outcome) in &blocks {
        store.commit_block(block, outcome).expect("the store works");
    }
    for (block, outcome) in &blocks {
        let slot = block.header.slot;
        assert_eq!(store.header(slot).expect("reads").as_ref(), Some(&block.header));
        assert_eq!(store.block(slot).expect("reads").as_ref(), Some(block));
        let value = block.payload.value.digest();
        assert_eq!(store.slot_of_value(&value).expect("reads"), Some(slot));
        let execution = store.execution(slot).expect("reads").expect("is there");
        let leaves: Vec<Digest> = execution.outcomes.iter().map(Outcome::leaf).collect();
        assert_eq!(carat_types::merkle::root(&leaves), block.header.outcomes_root);
        assert_eq!(execution.dropped.len(), outcome.dropped.len());
        for (place, applied) in (0u32..).zip(&outcome.applied) {
            let found = store.transaction(applied.transaction.hash()).expect("reads");
            assert_eq!(found, Some(TransactionPlace { slot, outcome: place }));
        }
    }
    let (_, first) = &blocks[0];
    let applied = blocks.each_ref().map(|(_, outcome)| outcome.applied.len());
    assert_eq!((applied, first.dropped.len()), ([2, 0, 2], 1));
    let totals = store.execution(Slot(1)).expect("reads").expect("is there").totals;
    assert_eq!(totals.fee_pool, 200);
    check_many_are_read_as_one_by_one(store);
    assert_eq!(store.transaction(first.dropped[0].transaction.hash()).expect("reads"), None);
    assert_eq!(store.tip(), Tip { slot: Slot(3), header: chain.newest.hash() });
    assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
}

/// In whatever order they are asked for, with one that is absent and one that is asked for twice.
fn check_many_are_read_as_one_by_one(store: &Store) {
    let pairs = store.scan(&[], None, usize::MAX).expect("reads");
    let mut keys: Vec<Vec<u8>> = pairs.into_iter().rev().map(|(key, _)| key).collect();
    assert!(keys.len() > 2);
    keys.insert(1, b"absent".to_vec());
    keys.push(keys[0].clone());
    let singly: Vec<_> = keys.iter().map(|key| store.get(key).expect("reads")).collect();
    assert_eq!(store.get_many(&keys).expect("reads"), singly);
    assert_eq!(singly.iter().filter(|value| value.is_none()).count(), 1);
}

#[test]
fn block_committed_in_memory_is_read_back() {
    check_store(&in_memory(&MemoryEngine::new()).expect("opens"));
}

#[test]
fn block_committed_on_disk_is_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    check_store(&on_disk(folder.path()).expect("opens"));
}

#[test]
fn store_on_disk_reopened_holds_what_was_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("data/store");
    let mut chain = Chain::new();
    for reopened in 0..3 {
        let store = on_disk(&folder).expect("opens");
        check_holds(&store, reopened * 4);
        commit(&store, &mut chain, 4);
        assert_eq!(store.sync().expect("syncs"), Slot(reopened * 4 + 4));
    }
    check_holds(&on_disk(&folder).expect("opens"), 12);
}

#[test]
fn certificates_and_new_views_are_kept() {
    let store = in_memory(&MemoryEngine::new()).expect("opens");
    commit(&store, &mut Chain::new(), 1);
    assert_eq!(store.certified_block(Slot(1)).expect("reads"), None);
    let certificate = SealCertificate {
        body: Seal { slot: Slot(1), header: store.tip().header },
        signers: [ValidatorId(0), ValidatorId(2)].into_iter().collect::<SignerSet>(),
        signatures: vec![Signature([1; 64]), Signature([2; 64])],
    };
    store.put_certificate(&certificate).expect("writes");
    let certified = store.certified_block(Slot(1)).expect("reads").expect("is there");
    assert_eq!(certified.certificate, certificate);
    assert_eq!(certified.block.header.slot, Slot(1));
    let new_view = Signed {
        signer: ValidatorId(1),
        body: NewView { view: View(5), view_changes: Vec::new() },
        signature: Signature([3; 64]),
    };
    store.put_new_view(Epoch(0), &new_view).expect("writes");
    assert_eq!(store.new_view(Epoch(0), View(5)).expect("reads"), Some(new_view));
    assert_eq!(store.new_view(Epoch(1), View(5)).expect("reads"), None);
}

#[test]
fn evidence_beyond_the_limit_is_not_kept() {
    let store = in_memory(&MemoryEngine::new()).expect("opens");
    for slot in 0..EVIDENCE_MAX as u64 + 3 {
        let seal = |header| Signed {
            signer: ValidatorId(2),
            body: Seal { slot: Slot(slot), header: Digest([header; 32]) },
            signature: Signature([header; 64]),
        };
        let both = Both { first: seal(1), second: seal(2) };
        store.put_evidence(&Evidence::Seals(both)).expect("writes");
    }
    assert_eq!(store.evidence().expect("reads").len(), EVIDENCE_MAX);
}

#[test]
fn evidence_is_kept_once_and_found_after_a_restart() {
    let engine = MemoryEngine::new();
    let evidence = |header| {
        let seal = |header| Signed {
            signer: ValidatorId(2),
            body: Seal { slot: Slot(8), header: Digest([header; 32]) },
            signature: Signature([header; 64]),
        };
        Evidence::Seals(Both { first: seal(1), second: seal(header) })
    };
    let store = in_memory(&engine).expect("opens");
    assert_eq!(store.evidence().expect("reads"), []);
    for header in [2, 3, 2] {
        store.put_evidence(&evidence(header)).expect("writes");
    }
    drop(store);
    let kept = in_memory(&engine).expect("opens").evidence().expect("reads");
    assert!(kept.len() == 2 && [2, 3].iter().all(|header| kept.contains(&evidence(*header))));
}

#[test]
fn block_that_does_not_follow_is_refused() {
    let store = in_memory(&MemoryEngine::new()).expect("opens");
    let mut chain = Chain::new();
    commit(&store, &mut chain, 1);
    let (block, outcome) = chain.next();
    let check = |what: &str, change: fn(&mut Block, &mut BlockOutcome)| {
        let (mut block, mut outcome) = (block.clone(), outcome.clone());
        change(&mut block, &mut outcome);
        let error = store.commit_block(&block, &outcome).expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    };
    check("another slot is next", |block, _| block.header.slot = Slot(3));
    check("another slot is next", |block, _| block.header.slot = Slot(1));
    check("its parent is another block", |block, _| block.header.parent = Digest([1; 32]));
    check("its payload is another value", |block, _| block.payload = Arc::new(Payload::null()));
    check("its outcomes are others", |_, outcome| outcome.outcomes_root = Digest([1; 32]));
    check("its drops are others", |_, outcome| outcome.drops_root = Digest([1; 32]));
    store.commit_block(&block, &outcome).expect("a refusal does no harm");
}

#[test]
fn power_lost_with_any_number_of_unsynced_blocks_leaves_a_prefix() {
    for survivors in 0..=5 {
        let engine = MemoryEngine::new();
        let store = in_memory(&engine).expect("opens");
        let mut chain = Chain::new();
        commit(&store, &mut chain, 3);
        store.sync().expect("syncs");
        commit(&store, &mut chain, 5);
        drop(store);
        engine.crash(|_| survivors);
        check_holds(&in_memory(&engine).expect("a crash is no damage"), 3 + survivors as u64);
    }
}

fn check_snapshot_is_not_changed_by_later_blocks(store: &Store) {
    let mut chain = Chain::new();
    commit(store, &mut chain, 1);
    let snapshot = store.snapshot().expect("reads");
    let totals = StateKey::Totals.to_bytes();
    let before = snapshot.get(&totals).expect("reads");
    commit(store, &mut chain, 2);
    assert_eq!(snapshot.get(&totals).expect("reads"), before);
    assert_eq!(snapshot.tip().slot, Slot(1));
    assert_ne!(store.get(&totals).expect("reads"), before);
    assert_eq!(store.snapshot().expect("reads").tip().slot, Slot(3));
}

#[test]
fn snapshot_is_not_changed_by_later_blocks() {
    check_snapshot_is_not_changed_by_later_blocks(&in_memory(&MemoryEngine::new()).expect("opens"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    check_snapshot_is_not_changed_by_later_blocks(&on_disk(folder.path()).expect("opens"));
}

fn check_history(store: &Arc<Store>) {
    let history = store.history();
    let pair = |key: u8| (vec![key], vec![key, key]);
    let written = |(key, value)| (key, Some(value));
    history.write((1..=7).map(pair).map(written).collect()).expect("writes");
    history.write(vec![(vec![7], None)]).expect("takes out");
    assert_eq!(history.get(&[7]).expect("reads"), None);
    assert_eq!(history.get(&[3]).expect("reads"), Some(vec![3, 3]));
    assert_eq!(history.get(&[9]).expect("reads"), None);
    let scan = |from: u8, to: u8, backwards, limit| {
        history.scan(vec![from]..vec![to], backwards, limit).expect("reads")
    };
    assert_eq!(scan(2, 5, false, 9), [pair(2), pair(3), pair(4)]);
    assert_eq!(scan(2, 5, true, 2), [pair(4), pair(3)]);
    assert_eq!(scan(5, 5, false, 9), []);
    assert_eq!(scan(5, 2, true, 9), []);
}

#[test]
fn history_column_is_scanned_in_both_directions() {
    check_history(&Arc::new(in_memory(&MemoryEngine::new()).expect("opens")));
    let folder = tempfile::tempdir().expect("a temporary folder");
    check_history(&Arc::new(on_disk(folder.path()).expect("opens")));
}

#[test]
fn foreign_store_refuses_to_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(on_disk(folder.path()).expect("opens"));
    let check = |what: &str, expected: Identity| {
        let undisturbed = children::none_begins();
        let opened = Store::open(folder.path(), &expected, None, Chain::genesis);
        drop(undisturbed);
        let error = opened.err().expect("a foreign store is refused").to_string();
        assert!(error.contains(&format!("another {what}")) && error.contains("hint: "), "{error}");
    };
    check("chain", Identity { chain_id: Digest([8; 32]), ..identity() });
    check("acceptor key", Identity { key: PublicKey([8; 32]), ..identity() });
    check("validator", Identity { validator: ValidatorId(2), ..identity() });
    check_holds(&on_disk(folder.path()).expect("a refusal does no harm"), 0);
}

#[test]
fn damaged_store_refuses_to_open() {
    let check = |expected: &str, damage: &dyn Fn(&MemoryEngine)| {
        let engine = MemoryEngine::new();
        let store = in_memory(&engine).expect("opens");
        commit(&store, &mut Chain::new(), 4);
        drop(store);
        damage(&engine);
        let opened = in_memory(&engine).and_then(|store| store.state_tree(&LeafRule::Open).map(|_| ()));
        let error = opened.expect_err("damage is noticed").to_string();
        assert!(error.contains(expected) && error.contains("hint: "), "{error}");
    };
    let slot = |slot: u64| record::slot_key(Slot(slot));
    let value =
        |engine: &MemoryEngine, column, key: &[u8]| engine.get(column, key).expect("reads").expect("there");
    let flip = |engine: &MemoryEngine, column, key: &[u8]| {
        let mut bytes = value(engine, column, key);
        bytes[40] ^= 1;
        engine.damage(column, key, Some(bytes));
    };
    check("block 2 is missing", &|engine| engine.damage(Column::Headers, &slot(2), None));
    check("block 4 is missing", &|engine| engine.damage(Column::Headers, &slot(4), None));
    check("block 2 has no payload", &|engine| engine.damage(Column::Payloads, &slot(2), None));
    check("block 2 has no outcomes", &|engine| engine.damage(Column::Executions, &slot(2), None));
    check("block 3 is not the one", &|engine| flip(engine, Column::Headers, &slot(3)));
    check("there is no tip", &|engine| engine.damage(Column::Meta, record::TIP_KEY, None));
    check("it has no version", &|engine| engine.damage(Column::Meta, record::VERSION_KEY, Some(vec![])));
    check("does not say whose", &|engine| engine.damage(Column::Meta, record::IDENTITY_KEY, None));
    check("a value in executions does not decode", &|engine| {
        engine.damage(Column::Executions, &slot(3), Some(vec![1]));
    });
    check("block 2 has another payload", &|engine| {
        engine.damage(Column::Payloads, &slot(2), Some(value(engine, Column::Payloads, &slot(3))));
    });
    check("headers above the newest block", &|engine| {
        engine.damage(Column::Headers, &slot(6), Some(value(engine, Column::Headers, &slot(4))));
    });
    check("the state has root", &|engine| {
        let totals = StateKey::Totals.to_bytes();
        let mut bytes = value(engine, Column::State, &totals);
        bytes[9] ^= 1;
        engine.damage(Column::State, &totals, Some(bytes));
    });
    check("format version 1, this program knows 2", &|engine| {
        engine.damage(Column::Meta, record::VERSION_KEY, Some(1u32.to_bytes()));
    });
}

#[test]
fn store_older_than_its_mark_refuses_to_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (store, older) = (folder.path().join("store"), folder.path().join("older"));
    let mut chain = Chain::new();
    let open = on_disk(&store).expect("opens");
    commit(&open, &mut chain, 3);
    open.sync().expect("syncs");
    drop(open);
    copy_folder(&store.join("rocksdb"), &older);
    let open = on_disk(&store).expect("opens");
    commit(&open, &mut chain, 2);
    open.sync().expect("syncs");
    drop(open);
    fs::remove_dir_all(store.join("rocksdb")).expect("removes");
    fs::rename(&older, store.join("rocksdb")).expect("renames");
    let error = on_disk(&store).err().expect("a rolled back store is refused").to_string();
    assert!(error.contains("ends with block 3, but was synced up to block 5"), "{error}");
    fs::write(store.join("durable"), b"garbage").expect("writes");
    let error = on_disk(&store).err().expect("a damaged mark is refused").to_string();
    assert!(error.contains("mark of the last sync is unreadable"), "{error}");
}

/// More blocks than one 32 KiB page of RocksDB's log holds, so that a reader could go on behind a damaged page.
const LOGGED_BLOCKS: u32 = 60;

/// Blocks on disk, then for each of several places in the database's log: one byte of it flipped, and `check`.
fn check_flipped_log(synced: bool, mut check: impl FnMut(Result<Store, StoreError>)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = on_disk(folder.path()).expect("opens");
    commit(&store, &mut Chain::new(), LOGGED_BLOCKS);
    if synced {
        store.sync().expect("syncs");
    }
    drop(store);
    let (database, kept) = (folder.path().join("rocksdb"), folder.path().join("kept"));
    copy_folder(&database, &kept);
    let files = fs::read_dir(&database).expect("lists").map(|entry| entry.expect("lists").path());
    let mut logs = files.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    let log = logs.next().expect("blocks not yet flushed stand in a log");
    let whole = fs::read(&log).expect("reads");
    assert!(whole.len() > 2 * (32 << 10), "the log has {} bytes", whole.len());
    for eighth in 0..8 {
        fs::remove_dir_all(&database).expect("removes");
        copy_folder(&kept, &database);
        let mut bytes = whole.clone();
        bytes[whole.len() * eighth / 8 + 5] ^= 0x40;
        fs::write(&log, bytes).expect("writes");
        check(on_disk(folder.path()));
    }
}

#[test]
fn byte_flipped_in_a_synced_log_refuses_to_open() {
    check_flipped_log(true, |opened| {
        let error = opened.err().expect("a synced block is gone").to_string();
        assert!(error.contains("hint: "), "{error}");
    });
}

#[test]
fn byte_flipped_in_a_log_never_synced_leaves_a_prefix() {
    check_flipped_log(false, |opened| {
        let store = opened.expect("a torn log is no damage");
        assert!(store.tip().slot < Slot(LOGGED_BLOCKS.into()));
        check_holds(&store, store.tip().slot.0);
    });
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("creates");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

#[test]
fn store_that_must_be_there_is_not_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let refused = Store::open_existing(&path, &identity(), None).err().expect("refused").to_string();
    assert!(refused.contains("there is no store in") && !path.exists(), "{refused}");
    drop(on_disk(&path).expect("made"));
    Store::open_existing(&path, &identity(), None).expect("opens");
}

#[test]
fn folder_of_something_else_is_not_taken_for_a_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("letters.txt"), b"private").expect("writes");
    let error = on_disk(folder.path()).err().expect("refused").to_string();
    assert!(error.contains("is not a store: it holds letters.txt"), "{error}");
}

#[test]
fn store_is_held_by_one_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _held = on_disk(folder.path()).expect("opens");
    assert!(matches!(on_disk(folder.path()), Err(StoreError::InUse { .. })));
}

#[test]
fn store_half_made_in_a_crash_is_made_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("rocksdb.unfinished")).expect("creates");
    fs::write(folder.path().join("rocksdb.unfinished/CURRENT"), b"half").expect("writes");
    check_holds(&on_disk(folder.path()).expect("opens"), 0);
}

#[test]
fn genesis_of_another_state_root_is_refused() {
    let genesis = || {
        let mut genesis = Chain::genesis();
        genesis.header.state_root = Digest([1; 32]);
        genesis
    };
    let engine: Arc<dyn Engine> = MemoryEngine::new();
    let error = Store::open_in_memory(engine, &identity(), genesis).err().expect("refused").to_string();
    assert!(error.contains("genesis state has root"), "{error}");
}

#[test]
fn write_that_failed_closes_the_store_and_keeps_what_was_synced() {
    let engine = MemoryEngine::new();
    let store = in_memory(&engine).expect("opens");
    let mut chain = Chain::new();
    commit(&store, &mut chain, 2);
    store.sync().expect("syncs");
    engine.set_failure(Some(EngineError::Full("No space left on device".into())));
    let (block, outcome) = chain.next();
    let error = store.commit_block(&block, &outcome).expect_err("the disk is full");
    assert!(matches!(error, StoreError::DiskFull { .. }) && error.to_string().contains("hint: free space"));
    engine.set_failure(None);
    assert!(matches!(store.commit_block(&block, &outcome), Err(StoreError::Closed { .. })));
    assert!(matches!(store.sync(), Err(StoreError::Closed { .. })));
    drop(store);
    engine.crash(|_| 0);
    check_holds(&in_memory(&engine).expect("opens"), 2);
}
