//! A store whose values are encrypted: it does what every store does, shows nothing, and refuses what does not fit.

use carat_ledger::StateKey;

use super::super::database::PURPOSE;
use super::super::engine::{Batch, KeyRange, Pair, Read as _};
use super::super::sealed::SealedEngine;
use super::transfer::{check_goes_on, served};
use super::*;
use crate::sealing::{DATA_KEY, RestingKey};
use crate::vault::Passphrase;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple")
}

fn encrypted(folder: &Path) -> Result<Store, StoreError> {
    let _undisturbed = children::none_begins();
    Store::open(folder, &identity(), Some(&passphrase()), Chain::genesis)
}

/// A store with sealed values in memory, whose key is made here.
fn sealed_in_memory(below: &Arc<MemoryEngine>) -> (Arc<SealedEngine>, Store) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let resting = RestingKey::create(folder.path(), PURPOSE, &passphrase()).expect("made");
    let engine = Arc::new(SealedEngine::new(Arc::clone(below) as Arc<dyn Engine>, resting));
    let store = Store::open_in_memory(Arc::clone(&engine) as Arc<dyn Engine>, &identity(), Chain::genesis);
    (engine, store.expect("opens"))
}

fn all_pairs(engine: &dyn Engine, column: Column) -> Vec<Pair> {
    engine.scan(column, KeyRange::default()).collect::<Result<_, _>>().expect("reads")
}

/// Every byte of every file of a folder.
fn all_bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("lists").map(|entry| entry.expect("lists")) {
        match entry.file_type().expect("known").is_dir() {
            true => files.extend(all_bytes(&entry.path())),
            false => files.push((entry.path().display().to_string(), fs::read(entry.path()).expect("reads"))),
        }
    }
    files.sort();
    files
}

#[test]
fn encrypted_store_does_what_every_store_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    check_store(&encrypted(&folder.path().join("one")).expect("opens"));
    check_snapshot_is_not_changed_by_later_blocks(&encrypted(&folder.path().join("two")).expect("opens"));
    check_history(&Arc::new(encrypted(&folder.path().join("three")).expect("opens")));
    let mut chain = Chain::new();
    for reopened in 0..3 {
        let store = encrypted(&folder.path().join("four")).expect("opens");
        check_holds(&store, reopened * 4);
        commit(&store, &mut chain, 4);
        store.sync().expect("syncs");
    }
}

#[test]
fn state_is_fetched_and_old_blocks_are_dropped_in_an_encrypted_store() {
    let (_, store) = sealed_in_memory(&MemoryEngine::new());
    let (offer, chunks, mut chain) = served(20);
    store.begin_transfer(&offer).expect("begins");
    chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
    store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
    check_goes_on(&store, &mut chain, Slot(20));
    commit(&store, &mut chain, 10);
    let body = Seal { slot: Slot(28), header: store.header(Slot(28)).expect("reads").expect("there").hash() };
    let seals = SealCertificate { body, signers: SignerSet::default(), signatures: Vec::new() };
    store.put_certificate(&seals).expect("the store works");
    // The first call looks for what a transfer left below its base.
    let mut oldest = None;
    for _ in 0..4 {
        oldest = store.prune(&(Slot(1)..=Slot(30)), 10).expect("the store works");
    }
    assert_eq!(oldest, Some(Slot(29)));
    assert_eq!(store.block(Slot(28)).expect("reads"), None);
    assert!(store.block(Slot(29)).expect("reads").is_some());
}

#[test]
fn only_what_is_written_in_the_clear_is_seen_in_the_files() {
    // The chain's transactions write eight times their own number; the history gets a sentence.
    let secret = b"a payment of 17 francs to nobody";
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, is_encrypted) in [("clear", false), ("sealed", true)] {
        let path = folder.path().join(name);
        let store = if is_encrypted { encrypted(&path) } else { on_disk(&path) };
        let store = Arc::new(store.expect("opens"));
        let mut chain = Chain::new();
        commit(&store, &mut chain, 40);
        store.history().write(vec![(vec![7; 9], Some(secret.to_vec()))]).expect("writes");
        store.sync().expect("syncs");
        // The copy's tables on disk, and what stands in the log.
        store.checkpoint(&folder.path().join(format!("{name} copy"))).expect("copied");
        let header = chain.newest.parent;
        drop(store);
        let files = all_bytes(&path);
        let shows =
            |what: &[u8]| files.iter().any(|(_, bytes)| bytes.windows(what.len()).any(|it| it == what));
        assert_eq!(shows(secret), !is_encrypted, "{name}: the history");
        assert_eq!(shows(header.as_bytes()), !is_encrypted, "{name}: the parent that a header names");
        assert_eq!(shows(&chain.newest.state_root.0), !is_encrypted, "{name}: a state root");
        assert!(shows(&StateKey::Totals.to_bytes()), "{name}: keys stay in the clear");
    }
}

#[test]
fn value_that_was_changed_or_moved_is_refused_with_its_place() {
    let slot = |slot: u64| record::slot_key(Slot(slot));
    let check = |column: Column, key: &[u8], damage: &dyn Fn(&MemoryEngine) -> Vec<u8>| {
        let below = MemoryEngine::new();
        let (_, store) = sealed_in_memory(&below);
        commit(&store, &mut Chain::new(), 4);
        below.damage(column, key, Some(damage(&below)));
        let error = store.value(column, key).expect_err("refused").to_string();
        let place = format!("the value in {column} at key {} is not authentic", hex::encode(key));
        assert!(error.contains(&place) && error.contains("hint: "), "{error}");
        let error = store.engine.scan(column, KeyRange::default()).find_map(Result::err);
        assert!(matches!(error, Some(EngineError::Corrupt(_))), "a scan of {column} passes over it");
        let many = store.engine.get_many(column, &[key.to_vec()]);
        assert!(matches!(many, Err(EngineError::Corrupt(_))), "many of {column}");
        let snapshot = store.engine.snapshot();
        assert!(matches!(snapshot.get(column, key), Err(EngineError::Corrupt(_))), "a snapshot of {column}");
    };
    let stored = |engine: &MemoryEngine, column, key: &[u8]| {
        engine.get(column, key).expect("reads").expect("is there")
    };
    let totals = StateKey::Totals.to_bytes();
    check(Column::State, &totals, &|engine| {
        let mut bytes = stored(engine, Column::State, &totals);
        bytes[0] ^= 1;
        bytes
    });
    check(Column::Headers, &slot(3), &|engine| stored(engine, Column::Headers, &slot(2)));
    check(Column::Payloads, &slot(3), &|engine| stored(engine, Column::Executions, &slot(3)));
    check(Column::Executions, &slot(3), &|_| Vec::new());
}

#[test]
fn store_opened_under_another_setting_or_passphrase_is_refused_unchanged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (clear, sealed) = (folder.path().join("clear"), folder.path().join("sealed"));
    for store in [on_disk(&clear).expect("opens"), encrypted(&sealed).expect("opens")] {
        commit(&store, &mut Chain::new(), 3);
        store.sync().expect("syncs");
    }
    let refused = |folder: &Path, passphrase: Option<&str>, expected: &str| {
        let before = all_bytes(folder);
        let passphrase = passphrase.map(Passphrase::new);
        let undisturbed = children::none_begins();
        let opened = Store::open(folder, &identity(), passphrase.as_ref(), Chain::genesis);
        drop(undisturbed);
        let error = opened.err().expect("refused").to_string();
        assert!(error.contains(expected) && error.contains("hint: "), "{error}");
        assert!(all_bytes(folder) == before, "a refusal changes nothing");
    };
    refused(&clear, Some("any at all, twelve"), "store.encryption is \"values\" in the settings, and");
    refused(&sealed, None, "store.encryption is \"none\" in the settings, and");
    refused(&sealed, Some("correct horse battery stable"), "the passphrase is not the one");
    let key = sealed.join("rocksdb").join(DATA_KEY);
    let kept = fs::read(&key).expect("reads");
    fs::remove_file(&key).expect("removes");
    refused(&sealed, Some("correct horse battery staple"), "are encrypted, and it is missing");
    let error = on_disk(&sealed).err().expect("refused").to_string();
    assert!(error.contains("are encrypted, and it is missing"), "{error}");
    // The key of another store.
    RestingKey::create(&sealed.join("rocksdb"), PURPOSE, &passphrase()).expect("made");
    let error = encrypted(&sealed).err().expect("refused").to_string();
    assert!(error.contains("is not authentic"), "{error}");
    fs::write(&key, kept).expect("writes");
    check_holds(&encrypted(&sealed).expect("with everything in its place it opens"), 3);
}

#[test]
fn encrypted_store_opens_under_the_new_passphrase_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    commit(&encrypted(folder.path()).expect("opens"), &mut Chain::new(), 2);
    let new = Passphrase::new("another battery staple");
    let changed = Store::change_passphrase(folder.path(), &passphrase(), &new).expect("changed");
    assert_eq!(changed, Some(folder.path().join("rocksdb").join(DATA_KEY)));
    let error = encrypted(folder.path()).err().expect("the old one is refused").to_string();
    assert!(error.contains("the passphrase is not the one"), "{error}");
    let undisturbed = children::none_begins();
    let store = Store::open(folder.path(), &identity(), Some(&new), Chain::genesis).expect("opens");
    drop(undisturbed);
    check_holds(&store, 2);
}

#[test]
fn encrypted_store_half_made_in_a_crash_is_made_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unfinished = folder.path().join("rocksdb.unfinished");
    fs::create_dir(&unfinished).expect("creates");
    RestingKey::create(&unfinished, PURPOSE, &Passphrase::new("of the crash")).expect("made");
    check_holds(&encrypted(folder.path()).expect("opens"), 0);
}

#[test]
fn values_of_one_block_are_sealed_each_by_itself() {
    let below = MemoryEngine::new();
    let (engine, _store) = sealed_in_memory(&below);
    let mut batch = Batch::default();
    for key in 0..50_u8 {
        batch.put(Column::History, [key], *b"the same value");
    }
    engine.write(batch).expect("written");
    let mut stored: Vec<Vec<u8>> =
        all_pairs(&*below, Column::History).into_iter().map(|(_, value)| value).collect();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 50, "equal values look different");
    assert!(all_pairs(&*engine, Column::History).iter().all(|(_, value)| value == b"the same value"));
}
