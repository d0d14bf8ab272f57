//! Opening a store: making a new one in a way that a crash cannot leave half done, and the checks of an old one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use carat_ledger::{StateKey, StateTree, Totals};
use carat_types::batch::Payload;
use carat_types::block::Block;
use carat_types::codec::{Decode, Encode};
use carat_types::header::Header;
use carat_types::{LeafRule, Slot};

use super::durable_mark::{self, Mark};
use super::engine::{Batch, Column, Engine, KeyRange, Pair};
use super::record::{self, Execution, Tip};
use super::state_cache::StateCache;
use super::{Store, StoreError, VERSION, database, put_block};
use crate::disk::{Disk as _, FileDisk, sync_parent};
use crate::identity::Identity;
use crate::vault::Passphrase;

/// What the genesis file says of the state, as a new store begins with it.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// Header of slot 0.
    pub header: Header,
    /// The entries of the state, key bytes and value bytes.
    pub entries: Vec<Pair>,
    /// How the leaves of the state are hashed.
    pub leaves: LeafRule,
}

pub(super) const DATABASE: &str = "rocksdb";
pub(super) const UNFINISHED: &str = "rocksdb.unfinished";
/// How many of the newest blocks a start looks through. More than a window of open slots.
const CHECKED_BLOCKS: u64 = 1_024;

impl Store {
    /// Opens the store in `folder` and checks it; makes it from `genesis` if there is none yet. With a passphrase its values are
    /// encrypted at rest, under a key of their own that the passphrase protects.
    ///
    /// **Errors**: see [`StoreError`]; the hint says what to do.
    pub fn open(
        folder: &Path,
        identity: &Identity,
        passphrase: Option<&Passphrase>,
        genesis: impl FnOnce() -> Genesis,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::disk(folder, "create the folder", &error);
        fs::create_dir_all(folder).map_err(failed)?;
        sync_parent(folder).map_err(failed)?;
        let disk = lock(folder)?;
        let database = folder.join(DATABASE);
        if !database.exists() {
            check_empty(folder, &disk)?;
            create(folder, &database, identity, passphrase, genesis())?;
        }
        Store::open_locked(folder, identity, passphrase, disk)
    }

    /// Opens the store in `folder` and checks it; makes none.
    ///
    /// **Errors**: as [`Store::open`]; [`StoreError::Absent`].
    pub fn open_existing(
        folder: &Path,
        identity: &Identity,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, StoreError> {
        if !folder.join(DATABASE).exists() {
            return Err(StoreError::Absent { folder: folder.into() });
        }
        Store::open_locked(folder, identity, passphrase, lock(folder)?)
    }

    fn open_locked(
        folder: &Path,
        identity: &Identity,
        passphrase: Option<&Passphrase>,
        disk: FileDisk,
    ) -> Result<Self, StoreError> {
        let mark = durable_mark::read(&disk);
        let mark =
            mark.map_err(|error| StoreError::disk(folder, "read the mark of the last sync", &error))?;
        let engine = database::open(&folder.join(DATABASE), passphrase)?;
        let store = Store::checked(engine, folder, identity)?;
        store.check_mark(mark)?;
        Ok(Store { disk: Some(Mutex::new(disk)), ..store })
    }

    /// Puts the key of a store's values under another passphrase; the validator may run meanwhile.
    ///
    /// **Returns** the key's file; none where there is no store, or its values are in the clear.
    ///
    /// **Errors**: a wrong passphrase, the disk's; the key is then under the one passphrase or the other.
    pub fn change_passphrase(
        folder: &Path,
        old: &Passphrase,
        new: &Passphrase,
    ) -> Result<Option<PathBuf>, StoreError> {
        database::change_passphrase(&folder.join(DATABASE), old, new)
    }

    /// [`Store::open`] on a database in memory, in the clear.
    ///
    /// **Errors**: as [`Store::open`].
    pub fn open_in_memory(
        engine: Arc<dyn Engine>,
        identity: &Identity,
        genesis: impl FnOnce() -> Genesis,
    ) -> Result<Self, StoreError> {
        let folder = Path::new("memory");
        let version = engine.get(Column::Meta, record::VERSION_KEY);
        if version.map_err(|error| StoreError::engine(folder, "read the version", error))?.is_none() {
            initialise(&*engine, folder, identity, genesis())?;
        }
        Store::checked(engine, folder, identity)
    }

    /// Says that the store is another's from now on, durably: its validator has other keys or another place in a new epoch.
    ///
    /// **Errors**: the engine's.
    pub fn hand_to(&self, identity: &Identity) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(Column::Meta, record::IDENTITY_KEY, identity.to_bytes());
        self.settled("write whose it is", self.engine.write(batch))?;
        self.settled("sync", self.engine.sync())
    }

    /// Checks all that can be checked without building the state tree.
    fn checked(engine: Arc<dyn Engine>, folder: &Path, identity: &Identity) -> Result<Self, StoreError> {
        let nowhere = Tip { slot: Slot(0), header: identity.chain_id };
        let mut store = Store {
            engine,
            folder: folder.into(),
            disk: None,
            tip: Mutex::new(nowhere),
            state_cache: StateCache::new(),
            uses_other_state: AtomicBool::new(false),
            may_have_stranded: AtomicBool::new(true),
            failed: AtomicBool::new(false),
        };
        match store.value(Column::Meta, record::VERSION_KEY)?.as_deref().map(u32::from_bytes) {
            Some(Ok(VERSION)) => {}
            Some(Ok(seen)) => {
                return Err(StoreError::Version { folder: folder.into(), seen, expected: VERSION });
            }
            _ => return Err(StoreError::damaged(folder, "it has no version")),
        }
        let found: Option<Identity> = store.read(Column::Meta, record::IDENTITY_KEY)?;
        let found = found.ok_or_else(|| StoreError::damaged(folder, "it does not say whose it is"))?;
        if let Some(difference) = found.difference(identity) {
            return Err(StoreError::foreign(folder, found, difference));
        }
        let tip: Option<Tip> = store.read(Column::Meta, record::TIP_KEY)?;
        let tip = tip.ok_or_else(|| StoreError::damaged(folder, "there is no tip"))?;
        store.check_blocks(&tip, identity)?;
        let column: Option<u8> = store.read(Column::Meta, record::STATE_COLUMN_KEY)?;
        store.uses_other_state = AtomicBool::new(column == Some(1));
        store.tip = Mutex::new(tip);
        Ok(store)
    }

    /// The newest blocks are all there, each on its parent, and nothing stands above the tip.
    fn check_blocks(&self, tip: &Tip, identity: &Identity) -> Result<(), StoreError> {
        let damaged = |what: String| StoreError::damaged(&self.folder, what);
        let above = KeyRange { from: record::slot_key(tip.slot.next()).into(), ..KeyRange::default() };
        if let Some(found) = self.engine.scan(Column::Headers, above).next() {
            self.settled("read the headers", found)?;
            return Err(damaged(format!("there are headers above the newest block, {}", tip.slot)));
        }
        let mut expected = tip.header;
        let base = self.base()?.map(|base| base.slot);
        let lowest = tip.slot.0.saturating_sub(CHECKED_BLOCKS);
        for slot in (lowest..=tip.slot.0).rev().map(Slot) {
            if base == Some(slot) {
                // Its state was fetched: there is nothing but its header, and below it nothing at all.
                if self.header(slot)?.map(|header| header.hash()) != Some(expected) {
                    return Err(damaged(format!("block {slot} is not the one that the block above names")));
                }
                break;
            }
            let block = self.block(slot)?.ok_or_else(|| damaged(format!("block {slot} is missing")))?;
            if block.header.slot != slot || block.header.hash() != expected {
                return Err(damaged(format!("block {slot} is not the one that the block above names")));
            }
            if slot.0 > 0 && block.header.batch != block.payload.value.digest() {
                return Err(damaged(format!("block {slot} has another payload than its header names")));
            }
            if self.execution(slot)?.is_none() {
                return Err(damaged(format!("block {slot} has no outcomes")));
            }
            expected = block.header.parent;
        }
        match self.header(Slot(0))? {
            Some(genesis) if genesis.chain_id == identity.chain_id => Ok(()),
            _ => Err(damaged("it does not begin with the genesis of its chain".into())),
        }
    }

    /// Nothing that was synced is gone.
    fn check_mark(&self, mark: Mark) -> Result<(), StoreError> {
        let durable = match mark {
            Mark::Absent => return Ok(()),
            Mark::Damaged => {
                return Err(StoreError::damaged(&self.folder, "the mark of the last sync is unreadable"));
            }
            Mark::At(durable) => durable,
        };
        let found = self.header(durable.slot)?.map(|header| header.hash());
        if found == Some(durable.header) {
            return Ok(());
        }
        let (tip, durable) = (self.tip().slot, durable.slot);
        let what =
            format!("it ends with block {tip}, but was synced up to block {durable}: the disk lost data");
        Err(StoreError::damaged(&self.folder, what))
    }
}

/// One process at a time.
fn lock(folder: &Path) -> Result<FileDisk, StoreError> {
    let disk = FileDisk::lock(folder).map_err(|error| StoreError::disk(folder, "lock the folder", &error))?;
    disk.ok_or_else(|| StoreError::InUse { folder: folder.into() })
}

/// A folder without a database may hold nothing but what a crash left of the making of one.
pub(super) fn check_empty(folder: &Path, disk: &FileDisk) -> Result<(), StoreError> {
    let names = disk.list().map_err(|error| StoreError::disk(folder, "list the folder", &error))?;
    match names.into_iter().find(|name| name != UNFINISHED) {
        Some(found) => Err(StoreError::NotAStore { folder: folder.into(), found }),
        None => Ok(()),
    }
}

/// Makes a database under another name and renames it when it is complete and synced.
fn create(
    folder: &Path,
    database: &Path,
    identity: &Identity,
    passphrase: Option<&Passphrase>,
    genesis: Genesis,
) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::disk(folder, "create the database", &error);
    let unfinished = folder.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    let engine = database::create(&unfinished, passphrase)?;
    initialise(&*engine, folder, identity, genesis)?;
    drop(engine);
    fs::rename(&unfinished, database).map_err(failed)?;
    sync_parent(database).map_err(failed)
}

fn initialise(
    engine: &dyn Engine,
    folder: &Path,
    identity: &Identity,
    genesis: Genesis,
) -> Result<(), StoreError> {
    let root =
        StateTree::build(&genesis.leaves, genesis.entries.iter().map(|(key, value)| (key, value))).root();
    if root != genesis.header.state_root {
        let what = format!("genesis state has root {root}, its header says {}", genesis.header.state_root);
        return Err(StoreError::damaged(folder, what));
    }
    let totals_key = StateKey::Totals.to_bytes();
    let totals = genesis.entries.iter().find(|(key, _)| *key == totals_key);
    let totals = totals.and_then(|(_, value)| Totals::from_bytes(value).ok());
    let totals = totals.ok_or_else(|| StoreError::damaged(folder, "the genesis state has no totals"))?;
    let mut batch = Batch::default();
    batch.put(Column::Meta, record::VERSION_KEY, VERSION.to_bytes());
    batch.put(Column::Meta, record::IDENTITY_KEY, identity.to_bytes());
    for (key, value) in genesis.entries {
        batch.put(Column::State, key, value);
    }
    let block = Block { header: genesis.header, payload: Arc::new(Payload::null()) };
    put_block(&mut batch, &block, &Execution { totals, outcomes: Vec::new(), dropped: Vec::new() });
    let written = engine.write(batch).and_then(|()| engine.sync());
    written.map_err(|error| StoreError::engine(folder, "write the genesis state", error))
}
