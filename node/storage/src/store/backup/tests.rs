//! Backups that lie, of another chain, or not proven; and what comes back of a sound one. What is cut, reordered or
//! flipped in the file is the container's to notice: `vault/tests.rs`.

use std::path::Path;

use carat_types::certificate::Certificate;
use carat_types::epoch::Epochs;
use carat_types::genesis::{
    AssetRule, ConsensusConstants, Deployment, FORMAT, Genesis, GenesisFile, GenesisValidator,
    LedgerConstants, Profile, Trust,
};
use carat_types::header::Header;
use carat_types::message::Seal;
use carat_types::{LeafRule, PublicKey, SecretKey, ValidatorId};
use tempfile::TempDir;

use super::super::engine::{Batch, Read as _};
use super::super::rocks::RocksEngine;
use super::super::tests::chain::{Chain, identity};
use super::super::tests::transfer::served;
use super::super::{Store, StoreError};
use super::*;
use crate::vault::Passphrase;
use crate::{Encryption, Identity, children};

const BLOCKS: u64 = 12;

fn acceptor(index: u8) -> SecretKey {
    SecretKey::from_seed(&[index + 1; 32])
}

/// The genesis file of the chain of tests, with four validators.
fn genesis() -> GenesisFile {
    let header = Chain::genesis().header;
    let validator = |index: u8| GenesisValidator {
        name: format!("v{index}"),
        acceptor: acceptor(index).public(),
        proposer: SecretKey::from_seed(&[index + 101; 32]).public(),
        network: SecretKey::from_seed(&[index + 201; 32]).public(),
    };
    let genesis = Genesis {
        format: FORMAT.into(),
        network_passphrase: "storage tests".into(),
        profile: Profile::Test,
        trust: Trust::Bft,
        visibility: None,
        auditors: Vec::new(),
        salt_commitment: None,
        time_ms: header.time_ms,
        validators: (0..4).map(validator).collect(),
        deployment: Deployment::default(),
        consensus: ConsensusConstants::default(),
        ledger: LedgerConstants {
            total_coins: 1,
            base_fee: 100,
            base_reserve: 0,
            protocol_version: 23,
            root_account: PublicKey([4; 32]),
            admission_restricted: false,
            members: Vec::new(),
            assets: AssetRule::Any,
        },
        governance: None,
        state_root: header.state_root,
    };
    GenesisFile { genesis, chain_id: identity().chain_id, bytes: Vec::new() }
}

fn epochs() -> Epochs {
    Epochs::of(&genesis()).expect("four")
}

/// The seals of two validators on a block: f+1 of four.
fn seals(genesis: &GenesisFile, slot: Slot, header: Digest) -> SealCertificate {
    let body = Seal { slot, header };
    let set = genesis.validators().expect("four");
    let bytes = set.domain().signing_bytes(&body);
    Certificate::assemble(
        body,
        (0..2_u8).map(|index| (ValidatorId(index.into()), acceptor(index).sign(&bytes))),
    )
}

fn on_disk(folder: &Path) -> Store {
    let _undisturbed = children::none_begins();
    Store::open(folder, &identity(), None, Chain::genesis).expect("opens")
}

/// A store of twelve blocks, sealed up to `sealed`, and the copy that a backup is made from.
struct Scene {
    folder: TempDir,
    store: Store,
}

impl Scene {
    fn new(sealed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = on_disk(&folder.path().join("store"));
        let (mut chain, genesis) = (Chain::new(), genesis());
        for slot in (1..=BLOCKS).map(Slot) {
            let (block, outcome) = chain.next();
            store.commit_block(&block, &outcome).expect("the store works");
            if slot.0 <= sealed {
                store.put_certificate(&seals(&genesis, slot, block.header.hash())).expect("kept");
            }
        }
        store.engine.write(history()).expect("written");
        store.checkpoint(&folder.path().join("copy")).expect("copied");
        Scene { folder, store }
    }

    /// The backup, after the copy was changed by `change`.
    fn backup_of(self, change: impl FnOnce(&RocksEngine)) -> (TempDir, Vec<u8>) {
        let copy = self.folder.path().join("copy");
        change(&RocksEngine::open(&copy, false, Encryption::None).expect("opens"));
        let source = Source::open(&copy, None).expect("opens");
        let out = VaultWriter::begin(Vec::new(), PURPOSE, None).expect("begins");
        let (_, bytes) = source.write(out, None, true, &mut |_, _| ()).expect("written");
        (self.folder, bytes)
    }

    fn backup(self) -> (TempDir, Vec<u8>) {
        self.backup_of(|_| ())
    }
}

fn history() -> Batch<'static> {
    let mut batch = Batch::default();
    batch.put(Column::History, *b"a row", *b"of the history");
    batch
}

fn reader(bytes: &[u8]) -> VaultReader<&[u8]> {
    VaultReader::open(bytes, PURPOSE, None).expect("a container")
}

/// The report, and the blocks that were heard of on the way.
fn walked(input: VaultReader<&[u8]>, genesis: &GenesisFile, unsealed: bool) -> Result<Report, BackupError> {
    let known = Known { genesis, epochs: &epochs(), leaves: &LeafRule::Open };
    let mut heard = Vec::new();
    let report = walk(input, &known, unsealed, &mut |slot, last| heard.push((slot, last)))?;
    assert_eq!(
        (heard.first(), heard.last()),
        (Some(&(Slot(0), report.tip)), Some(&(report.tip, report.tip)))
    );
    Ok(report)
}

fn put_back(bytes: &[u8], identity: &Identity, path: &Path) -> Result<Report, BackupError> {
    let known = Known { genesis: &genesis(), epochs: &epochs(), leaves: &LeafRule::Open };
    restore(reader(bytes), &known, identity, (path, None), false, &mut |_, _| ())
}

fn refusal(bytes: &[u8]) -> String {
    walked(reader(bytes), &genesis(), false).expect_err("refused").to_string()
}

#[test]
fn backup_put_back_is_the_store_that_it_was_made_from() {
    let (folder, bytes) = Scene::new(BLOCKS).backup();
    let report = walked(reader(&bytes), &genesis(), false).expect("sound");
    assert_eq!((report.tip, report.blocks, report.sealed), (Slot(BLOCKS), BLOCKS, BLOCKS));
    assert_eq!((report.transactions, report.history_rows), (2 * BLOCKS, 1));
    let original = on_disk(&folder.path().join("store"));
    let (path, other) =
        (folder.path().join("restored"), Identity { validator: ValidatorId(3), ..identity() });
    let restored = put_back(&bytes, &other, &path).expect("restored");
    assert_eq!(restored, report);
    let restored = Store::open(&path, &other, None, Chain::genesis).expect("opens as another validator's");
    restored.state_tree(&LeafRule::Open).expect("the state of its newest block");
    for column in Column::ALL.into_iter().filter(|column| *column != Column::Meta) {
        let all = |store: &Store| {
            store.engine.scan(column, KeyRange::default()).collect::<Result<Vec<_>, _>>().expect("reads")
        };
        assert_eq!(all(&restored), all(&original), "column {column}");
    }
    assert_eq!(restored.tip(), original.tip());
}

/// Encrypted or not, before and after.
#[test]
fn backup_of_an_encrypted_store_is_put_back_under_any_setting() {
    let (folder, genesis) = (tempfile::tempdir().expect("a folder"), genesis());
    let passphrases = ["of the store it is made from", "of the store it goes to"].map(Passphrase::new);
    let path = folder.path().join("store");
    let open = |path: &Path, passphrase: Option<&Passphrase>| {
        let _undisturbed = children::none_begins();
        Store::open(path, &identity(), passphrase, Chain::genesis).expect("opens")
    };
    let store = open(&path, Some(&passphrases[0]));
    let mut chain = Chain::new();
    for _ in 0..BLOCKS {
        let (block, outcome) = chain.next();
        store.commit_block(&block, &outcome).expect("the store works");
        store.put_certificate(&seals(&genesis, block.header.slot, block.header.hash())).expect("kept");
    }
    store.engine.write(history()).expect("written");
    let copy = folder.path().join("copy");
    store.checkpoint(&copy).expect("copied");
    for wrong in [None, Some(&passphrases[1])] {
        assert!(Source::open(&copy, wrong).is_err(), "the copy is as encrypted as the store");
    }
    let source = Source::open(&copy, Some(&passphrases[0])).expect("opens");
    let out = VaultWriter::begin(Vec::new(), PURPOSE, None).expect("begins");
    let (_, bytes) = source.write(out, None, true, &mut |_, _| ()).expect("written");
    for (name, passphrase) in [("clear", None), ("sealed", Some(&passphrases[1]))] {
        let path = folder.path().join(name);
        let known = Known { genesis: &genesis, epochs: &epochs(), leaves: &LeafRule::Open };
        let to = (path.as_path(), passphrase);
        restore(reader(&bytes), &known, &identity(), to, false, &mut |_, _| ()).expect("restored");
        let restored = open(&path, passphrase);
        restored.state_tree(&LeafRule::Open).expect("the state of its newest block");
        for column in Column::ALL.into_iter().filter(|column| *column != Column::Meta) {
            let all = |store: &Store| {
                store.engine.scan(column, KeyRange::default()).collect::<Result<Vec<_>, _>>().expect("reads")
            };
            assert_eq!(all(&restored), all(&store), "{name}, column {column}");
        }
    }
}

#[test]
fn copy_does_not_change_while_the_store_goes_on() {
    let scene = Scene::new(BLOCKS);
    let (mut chain, copy) = (Chain::new(), scene.folder.path().join("copy"));
    (0..BLOCKS).for_each(|_| drop(chain.next()));
    let (block, outcome) = chain.next();
    scene.store.commit_block(&block, &outcome).expect("commits go on");
    assert_eq!(Source::open(&copy, None).expect("opens").tip().slot, Slot(BLOCKS));
    assert_eq!(scene.store.tip().slot, Slot(BLOCKS + 1));
}

#[test]
fn newest_block_without_seals_needs_a_word() {
    let (_folder, bytes) = Scene::new(BLOCKS - 2).backup();
    let error = refusal(&bytes);
    assert!(error.contains("newest block, 12") && error.contains("block 10"), "{error}");
    let report = walked(reader(&bytes), &genesis(), true).expect("accepted by word");
    assert_eq!((report.tip, report.last_sealed), (Slot(12), Slot(10)));
}

#[test]
fn seals_that_came_after_the_copy_prove_it() {
    let scene = Scene::new(BLOCKS - 1);
    let source = Source::open(&scene.folder.path().join("copy"), None).expect("opens");
    assert!(!source.is_sealed().expect("reads"));
    let late = seals(&genesis(), source.tip().slot, source.tip().header);
    let passphrase = Passphrase::new("correct horse battery staple");
    let out = VaultWriter::begin(Vec::new(), PURPOSE, Some(&passphrase)).expect("begins");
    let (_, bytes) = source.write(out, Some(&late), false, &mut |_, _| ()).expect("written");
    let input = VaultReader::open(&*bytes, PURPOSE, Some(&passphrase)).expect("opens");
    let report = walked(input, &genesis(), false).expect("proven");
    assert!(report.encrypted && report.last_sealed == report.tip && report.history_rows == 0);
}

/// Each change of the copied database is one lie; the container around it is sound.
#[test]
fn backup_that_lies_is_refused() {
    type Change = fn(&RocksEngine, &mut Batch<'_>);
    let table: [(&str, Change, &str); 9] = [
        (
            "a balance",
            |engine, batch| {
                let (key, mut value) =
                    engine.scan(Column::State, KeyRange::default()).next().expect("one").expect("reads");
                let last = value.len() - 1;
                value[last] ^= 1;
                batch.put(Column::State, key, value);
            },
            "the state has root",
        ),
        ("an entry more", |_, batch| batch.put(Column::State, [9; 40], [1]), "the state has root"),
        (
            "another payload",
            |engine, batch| {
                let eighth =
                    engine.get(Column::Payloads, &record::slot_key(Slot(8))).expect("reads").expect("one");
                batch.put(Column::Payloads, record::slot_key(Slot(7)), eighth);
            },
            "block 7 has another payload",
        ),
        (
            "other outcomes",
            |engine, batch| {
                let eighth =
                    engine.get(Column::Executions, &record::slot_key(Slot(8))).expect("reads").expect("one");
                batch.put(Column::Executions, record::slot_key(Slot(7)), eighth);
            },
            "block 7 has other outcomes",
        ),
        (
            "another header",
            |engine, batch| {
                let key = record::slot_key(Slot(7));
                let bytes = engine.get(Column::Headers, &key).expect("reads").expect("one");
                let mut header = carat_types::header::Header::from_bytes(&bytes).expect("a header");
                header.time_ms += 1;
                batch.delete(Column::Certificates, key);
                batch.put(Column::Headers, key, header.to_bytes());
            },
            "does not stand on the one below",
        ),
        (
            "seals of another block",
            |engine, batch| {
                let eighth = engine
                    .get(Column::Certificates, &record::slot_key(Slot(8)))
                    .expect("reads")
                    .expect("one");
                batch.put(Column::Certificates, record::slot_key(Slot(7)), eighth);
            },
            "certificate of block 7 is of another",
        ),
        (
            "a forged seal",
            |engine, batch| {
                let key = record::slot_key(Slot(7));
                let bytes = engine.get(Column::Certificates, &key).expect("reads").expect("one");
                let mut certificate = SealCertificate::from_bytes(&bytes).expect("one");
                certificate.signatures[1] = certificate.signatures[0];
                batch.put(Column::Certificates, key, certificate.to_bytes());
            },
            "signature of validator 1 is invalid",
        ),
        (
            "one seal",
            |engine, batch| {
                let key = record::slot_key(Slot(7));
                let bytes = engine.get(Column::Certificates, &key).expect("reads").expect("one");
                let full = SealCertificate::from_bytes(&bytes).expect("one");
                let one = Certificate::assemble(full.body, [(ValidatorId(0), full.signatures[0])]);
                batch.put(Column::Certificates, key, one.to_bytes());
            },
            "1 distinct signers, 2 needed",
        ),
        (
            "another tip",
            |_, batch| {
                let tip = Tip { slot: Slot(11), header: Digest([1; 32]) };
                batch.put(Column::Meta, record::TIP_KEY, tip.to_bytes());
            },
            "it ends with block 12, and says 11",
        ),
    ];
    for (what, change, expected) in table {
        let (folder, bytes) = Scene::new(BLOCKS).backup_of(|engine| {
            let mut batch = Batch::default();
            change(engine, &mut batch);
            engine.write(batch).expect("written");
            engine.sync().expect("synced");
        });
        let error = refusal(&bytes);
        assert!(error.contains(expected) && error.contains("hint:"), "{what}: {error}");
        let path = folder.path().join("restored");
        assert!(put_back(&bytes, &identity(), &path).is_err(), "{what}");
        assert!(
            !path.join("rocksdb").exists() && !path.join("rocksdb.unfinished").exists(),
            "{what} leaves nothing"
        );
    }
}

#[test]
fn block_that_is_missing_is_noticed_when_the_backup_is_made() {
    let scene = Scene::new(BLOCKS);
    let copy = scene.folder.path().join("copy");
    let engine = RocksEngine::open(&copy, false, Encryption::None).expect("opens");
    let mut batch = Batch::default();
    batch.delete(Column::Payloads, record::slot_key(Slot(5)));
    engine.write(batch).expect("written");
    drop(engine);
    let out = VaultWriter::begin(Vec::new(), PURPOSE, None).expect("begins");
    let Err(error) = Source::open(&copy, None).expect("opens").write(out, None, true, &mut |_, _| ()) else {
        panic!("it was written");
    };
    assert!(matches!(error, BackupError::Store(StoreError::Damaged { .. })), "{error}");
}

#[test]
fn backup_of_another_chain_is_refused() {
    let (_folder, bytes) = Scene::new(BLOCKS).backup();
    let other = GenesisFile { chain_id: Digest([8; 32]), ..genesis() };
    let error = walked(reader(&bytes), &other, false).expect_err("refused").to_string();
    assert!(error.contains("it is of chain") && error.contains("hint:"), "{error}");
}

#[test]
fn restore_never_touches_a_store_that_is_there() {
    let (folder, bytes) = Scene::new(BLOCKS).backup();
    let there = folder.path().join("store");
    let error = put_back(&bytes, &identity(), &there).expect_err("refused").to_string();
    assert!(error.contains("hint:"), "{error}");
    assert_eq!(on_disk(&there).tip().slot, Slot(BLOCKS));
}

/// A validator that fetched a state has none of the blocks below it, and its backup is proven all the same.
#[test]
fn backup_of_a_fetched_state_begins_with_its_block() {
    let (folder, genesis) = (tempfile::tempdir().expect("a folder"), genesis());
    let store = on_disk(&folder.path().join("store"));
    let (offer, chunks, mut chain) = served(20);
    store.begin_transfer(&offer).expect("begins");
    chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
    store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
    let base = offer.base.header.clone();
    store.put_certificate(&seals(&genesis, base.slot, base.hash())).expect("kept");
    for blocks in [20, 21] {
        if blocks > 20 {
            let (block, outcome) = chain.next();
            store.commit_block(&block, &outcome).expect("the store works");
            store.put_certificate(&seals(&genesis, block.header.slot, block.header.hash())).expect("kept");
        }
        let place = |name: &str| folder.path().join(format!("{name}-{blocks}"));
        store.checkpoint(&place("copy")).expect("copied");
        let out = VaultWriter::begin(Vec::new(), PURPOSE, None).expect("begins");
        let source = Source::open(&place("copy"), None).expect("opens");
        let (_, bytes) = source.write(out, None, true, &mut |_, _| ()).expect("written");
        let report = put_back(&bytes, &identity(), &place("restored")).expect("sound");
        assert_eq!((report.tip, report.base, report.blocks), (Slot(blocks), Slot(20), blocks - 20));
        let restored = on_disk(&place("restored"));
        restored.state_tree(&LeafRule::Open).expect("the state of its newest block");
        assert_eq!(restored.base().expect("reads"), store.base().expect("reads"));
        assert_eq!(
            restored.certified_block(Slot(21)).expect("reads"),
            store.certified_block(Slot(21)).expect("reads")
        );
    }
}

/// An archive of all blocks, after the copy was changed by `change`.
fn archive_of(change: impl FnOnce(&RocksEngine)) -> Vec<u8> {
    let copy = Scene::new(BLOCKS).folder;
    let copy = copy.path().join("copy");
    change(&RocksEngine::open(&copy, false, Encryption::None).expect("opens"));
    let source = Source::open(&copy, None).expect("opens");
    let out = VaultWriter::begin(Vec::new(), archive::PURPOSE, None).expect("begins");
    source.write_archive(out, source.first_block(), Slot(BLOCKS), &mut |_, _| ()).expect("written")
}

fn check_archive(bytes: &[u8]) -> Result<archive::Report, BackupError> {
    let input = VaultReader::open(bytes, archive::PURPOSE, None).expect("a container");
    let mut archive = archive::ArchiveReader::open(input)?;
    let epochs = epochs();
    let mut check = archive::Check::new(&genesis(), &epochs);
    check.begin(&archive)?;
    while let Some(archived) = archive.next_block()? {
        check.block(&archived)?;
    }
    archive.finish()?;
    check.end()
}

#[test]
fn archive_holds_every_block_and_proves_itself() {
    let report = check_archive(&archive_of(|_| ())).expect("sound");
    assert_eq!((report.first, report.last), (Slot(1), Slot(BLOCKS)));
    assert_eq!((report.sealed, report.transactions), (BLOCKS, 2 * BLOCKS));
}

#[test]
fn archive_that_lies_is_refused_with_what_it_lies_about() {
    // What block 5 has is taken from block 6.
    let swapped = |column| {
        archive_of(move |copy: &RocksEngine| {
            let other = copy.get(column, &record::slot_key(Slot(6))).expect("reads").expect("is there");
            let mut batch = Batch::default();
            batch.put(column, record::slot_key(Slot(5)), other);
            copy.write(batch).expect("written");
        })
    };
    let unsealed = archive_of(|copy| {
        let mut batch = Batch::default();
        batch.delete(Column::Certificates, record::slot_key(Slot(BLOCKS)));
        copy.write(batch).expect("written");
    });
    let forged = archive_of(|copy| {
        let key = record::slot_key(Slot(5));
        let header = copy.get(Column::Headers, &key).expect("reads").expect("is there");
        let header = Header::from_bytes(&header).expect("a header");
        let mut batch = Batch::default();
        batch.put(Column::Headers, key, Header { time_ms: 7, ..header }.to_bytes());
        batch.delete(Column::Certificates, key);
        copy.write(batch).expect("written");
    });
    for (bytes, expected) in [
        (swapped(Column::Headers), "block 6 where block 5 belongs"),
        (swapped(Column::Payloads), "block 5 has another payload"),
        (swapped(Column::Executions), "block 5 has other outcomes"),
        (swapped(Column::Certificates), "the certificate of block 5 is of another block"),
        (forged, "block 6 does not stand on the one below it"),
        (unsealed, "has no seals of f+1 validators"),
    ] {
        let error = check_archive(&bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
