//! Backups of a store: everything that a node needs to go on from a block, and the proof that it is that block's.
//!
//! A backup is one [container](crate::vault) of records. It is made from a [checkpoint](super::Store::checkpoint)
//! of the database, so the validator goes on while it is written. It holds no key and **never the journal**: a
//! validator that forgets votes may vote twice.
//!
//! ```text
//! head     version u32 | chain id | tip | whether the history is in it u8 | base: slot u64, transactions u32
//! record   column u8 | length of the key u32 | key | length of the value u32 | value
//!          genesis and the blocks from the base on, each: header, payload, execution, certificate if there is one;
//!          then state, NEW-VIEWs, evidence, history, each in the order of its keys
//! end      255 | number of records u64
//! ```
//!
//! The *base* is the block whose state the validator fetched from its peers (state transfer), and has its header alone. Where there
//! is none, slot 0 stands for it, and all blocks are there.
//!
//! [`walk`] reads one and believes nothing of it: every header names the one below, every payload and outcome is what its header
//! names, certificates carry f+1 valid seals of the genesis file's validators, the newest block is sealed, and the state has the
//! root that this block names. The indices of transactions and values are not in it; they are made anew.
//!
//! **Source**: consensus specification, sections 4 (a journal is never restored) and 11 (seals).

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use carat_types::certificate::{CertificateError, SealCertificate};
use carat_types::codec::{Decode as _, DecodeError, Encode as _, Reader};
use carat_types::{Digest, Slot};
use thiserror::Error;

use super::engine::{Column, Engine, EngineError, KeyRange, Pairs};
use super::open::DATABASE;
use super::record::{self, Tip};
use super::transfer::{Base, state_column};
use super::{StoreError, database, end_of_prefix};
use crate::disk::FileDisk;
use crate::vault::{Passphrase, VaultError, VaultReader, VaultWriter};

pub mod archive;
mod checks;
mod restore;
#[cfg(test)]
mod tests;
mod walk;

pub use restore::restore;
pub use walk::{Known, Report, walk};

/// What the container of a backup says that it holds.
pub const PURPOSE: &str = "backup of a Carat node";
/// The version of the records.
const VERSION: u32 = 1;
const END: u8 = u8::MAX;
const NO_BASE: Base = Base { slot: Slot(0), transactions: 0 };
/// Who hears of each block, and of the last one.
pub type Progress<'a> = &'a mut dyn FnMut(Slot, Slot);

/// Longest key and value that are read. The longest value is a payload: at most 64 bodies within one frame.
const KEY_BYTES_MAX: usize = 64 << 10;
const VALUE_BYTES_MAX: usize = 256 << 20;

/// Why a backup cannot be made, believed or put back.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The container.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Records of another version.
    #[error(
        "its records have version {seen}, this program knows {VERSION} (hint: use the release that wrote it)"
    )]
    Version {
        /// The version found.
        seen: u32,
    },
    /// Of another network.
    #[error(
        "it is of chain {seen}, the genesis file is {expected} (hint: name the genesis file of the backup's network)"
    )]
    Foreign {
        /// Its chain.
        seen: Digest,
        /// That of the genesis file.
        expected: Digest,
    },
    /// Something in it contradicts the chain.
    #[error(
        "it is not what the chain says: {0} (hint: do not use it; take an older one, or another validator's)"
    )]
    Contradiction(String),
    /// A certificate that proves nothing.
    #[error(
        "the certificate of block {slot} proves nothing: {error} (hint: do not use it; take another validator's)"
    )]
    Certificate {
        /// The block.
        slot: Slot,
        /// Why.
        error: CertificateError,
    },
    /// A value that does not decode.
    #[error("a value in {column} does not decode: {error} (hint: use the release that wrote it)")]
    Value {
        /// The column.
        column: &'static str,
        /// Why.
        error: DecodeError,
    },
    /// The newest block is not proven.
    #[error(
        "its newest block, {tip}, has no seals of f+1 validators, so nothing proves its state; block {sealed} is the newest that is \
         proven (hint: make it while the validator runs and agrees with others, or say --unsealed and trust whoever kept it)"
    )]
    Unsealed {
        /// The newest block.
        tip: Slot,
        /// The newest block with seals.
        sealed: Slot,
    },
}

/// The start of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    version: u32,
    chain_id: Digest,
    tip: Tip,
    history: bool,
    base: Base,
}

const HEAD_BYTES: usize = 4 + 32 + 8 + 32 + 1 + 8 + 4;

impl Head {
    fn to_bytes(self) -> Vec<u8> {
        let Head { version, chain_id, tip, history, base } = self;
        [version.to_bytes(), chain_id.to_bytes(), tip.to_bytes(), vec![u8::from(history)], base.to_bytes()]
            .concat()
    }

    fn from_bytes(bytes: &[u8; HEAD_BYTES]) -> Result<Self, BackupError> {
        let undecodable = |error| BackupError::Value { column: "head", error };
        let mut input = Reader::new(bytes);
        let version = u32::decode(&mut input).map_err(undecodable)?;
        if version != VERSION {
            return Err(BackupError::Version { seen: version });
        }
        let chain_id = Digest::decode(&mut input).map_err(undecodable)?;
        let tip = Tip::decode(&mut input).map_err(undecodable)?;
        let [history] = input.array().map_err(undecodable)?;
        let base = Base::decode(&mut input).map_err(undecodable)?;
        Ok(Head { version, chain_id, tip, history: history == 1, base })
    }
}

/// A copied database, to be read.
pub struct Source {
    engine: Arc<dyn Engine>,
    tip: Tip,
    chain_id: Digest,
    base: Base,
    /// Which of the two columns for a state holds the present one.
    state: Column,
    _lock: Option<FileDisk>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The newest block.
    pub tip: Tip,
    /// Records.
    pub records: u64,
    /// Bytes of content.
    pub bytes: u64,
}

impl Source {
    /// Opens what [`super::Store::checkpoint`] made; with the store's passphrase, if its values are encrypted.
    ///
    /// **Errors**: the database's; one that is encrypted otherwise.
    pub fn open(folder: &Path, passphrase: Option<&Passphrase>) -> Result<Self, StoreError> {
        let failed = |error| StoreError::engine(folder, "read the copy of the database", error);
        let engine = database::open_to_read(folder, passphrase)?;
        let meta = |key| engine.get(Column::Meta, key).map_err(failed);
        let (tip, identity) = (meta(record::TIP_KEY)?, meta(record::IDENTITY_KEY)?);
        let state = state_column(meta(record::STATE_COLUMN_KEY)?.as_deref() == Some(&[1]));
        let base = meta(record::BASE_KEY)?.map(|bytes| Base::from_bytes(&bytes)).transpose();
        let base =
            base.map_err(|error| StoreError::undecodable(folder, Column::Meta, error))?.unwrap_or(NO_BASE);
        let tip = tip.and_then(|bytes| Tip::from_bytes(&bytes).ok());
        let identity = identity.and_then(|bytes| crate::Identity::from_bytes(&bytes).ok());
        let (Some(tip), Some(identity)) = (tip, identity) else {
            return Err(StoreError::damaged(folder, "the copy does not say whose it is and where it ends"));
        };
        Ok(Source { engine, tip, chain_id: identity.chain_id, base, state, _lock: None })
    }

    /// Opens the store of a validator that is stopped, and holds it.
    ///
    /// **Errors**: as [`Source::open`]; another process has it.
    pub fn open_stopped(folder: &Path, passphrase: Option<&Passphrase>) -> Result<Self, StoreError> {
        let failed = |error| StoreError::disk(folder, "lock the folder", &error);
        let lock = FileDisk::lock(folder).map_err(failed)?;
        let lock = lock.ok_or_else(|| StoreError::InUse { folder: folder.into() })?;
        Ok(Source { _lock: Some(lock), ..Source::open(&folder.join(DATABASE), passphrase)? })
    }

    /// The newest block.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Whether the newest block has its seals.
    ///
    /// **Errors**: the database's.
    pub fn is_sealed(&self) -> Result<bool, BackupError> {
        let key = record::slot_key(self.tip.slot);
        Ok(self.tip.slot == Slot(0) || read(self.engine.get(Column::Certificates, &key))?.is_some())
    }

    /// What a backup without those seals would be refused with.
    ///
    /// **Errors**: the database's.
    pub fn unsealed(&self) -> Result<BackupError, BackupError> {
        let newest = KeyRange { backwards: true, ..KeyRange::default() };
        let newest = self.engine.scan(Column::Certificates, newest).next().map(read).transpose()?;
        let sealed = newest.and_then(|(key, _)| Some(Slot(u64::from_be_bytes(key.try_into().ok()?))));
        Ok(BackupError::Unsealed { tip: self.tip.slot, sealed: sealed.unwrap_or_default() })
    }

    /// Writes the backup. `seals` are those of the newest block, if they came after the copy was made. `progress` hears of each
    /// block.
    ///
    /// **Errors**: the database's or the container's; what was written is to be thrown away then.
    pub fn write<W: Write>(
        &self,
        out: VaultWriter<W>,
        seals: Option<&SealCertificate>,
        history: bool,
        progress: Progress<'_>,
    ) -> Result<(Written, W), BackupError> {
        let mut records = Records { out, records: 0, bytes: 0 };
        let head =
            Head { version: VERSION, chain_id: self.chain_id, tip: self.tip, history, base: self.base };
        records.raw(&head.to_bytes())?;
        self.write_blocks(&mut records, seals, progress)?;
        self.write_state(&mut records)?;
        self.write_column(&mut records, Column::NewViews, KeyRange::default())?;
        let prefix = record::EVIDENCE_PREFIX;
        let evidence = KeyRange { from: prefix.into(), to: end_of_prefix(prefix), backwards: false };
        self.write_column(&mut records, Column::Meta, evidence)?;
        if history {
            self.write_column(&mut records, Column::History, KeyRange::default())?;
        }
        let count = records.records;
        records.raw(&[END])?;
        records.raw(&count.to_be_bytes())?;
        let written = Written { tip: self.tip, records: count, bytes: records.bytes };
        Ok((written, records.out.finish()?))
    }

    /// Block after block, so that whoever reads them need remember no more than one.
    fn write_blocks<W: Write>(
        &self,
        records: &mut Records<W>,
        seals: Option<&SealCertificate>,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        if self.base != NO_BASE {
            self.write_base(records)?;
        }
        // With a base: what lies below it hangs together with nothing above.
        let first = if self.base == NO_BASE { Slot(0) } else { self.base.slot.next() };
        let range = KeyRange { from: record::slot_key(first).into(), ..KeyRange::default() };
        let column = |column| self.engine.scan(column, range.clone());
        let mut payloads = column(Column::Payloads);
        let mut executions = column(Column::Executions);
        let mut certificates = column(Column::Certificates).peekable();
        for header in column(Column::Headers) {
            let (key, header) = read(header)?;
            records.pair(Column::Headers, &key, &header)?;
            records.pair(Column::Payloads, &key, &next_of(&mut payloads, &key)?)?;
            records.pair(Column::Executions, &key, &next_of(&mut executions, &key)?)?;
            let own = certificates.next_if(|pair| pair.as_ref().is_ok_and(|(slot, _)| *slot == key));
            let later = seals.filter(|seals| record::slot_key(seals.body.slot) == *key);
            match (own, later) {
                (Some(pair), _) => records.pair(Column::Certificates, &key, &read(pair)?.1)?,
                (None, Some(seals)) => records.pair(Column::Certificates, &key, &seals.to_bytes())?,
                (None, None) => {}
            }
            if let Ok(slot) = key.try_into() {
                progress(Slot(u64::from_be_bytes(slot)), self.tip.slot);
            }
        }
        Ok(())
    }

    /// Genesis whole, and of the block whose state was fetched what there is.
    fn write_base<W: Write>(&self, records: &mut Records<W>) -> Result<(), BackupError> {
        let whole = [Column::Headers, Column::Payloads, Column::Executions];
        let of_genesis = whole.map(|column| (column, Slot(0)));
        let of_base = [Column::Headers, Column::Certificates].map(|column| (column, self.base.slot));
        for (column, slot) in of_genesis.into_iter().chain(of_base) {
            let key = record::slot_key(slot);
            match read(self.engine.get(column, &key))? {
                Some(value) => records.pair(column, &key, &value)?,
                None => {
                    return Err(StoreError::damaged(
                        Path::new("backup"),
                        format!("block {slot} is not whole"),
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    /// In whichever column it is, it is written as the one state.
    fn write_state<W: Write>(&self, records: &mut Records<W>) -> Result<(), BackupError> {
        for pair in self.engine.scan(self.state, KeyRange::default()) {
            let (key, value) = read(pair)?;
            records.pair(Column::State, &key, &value)?;
        }
        Ok(())
    }

    fn write_column<W: Write>(
        &self,
        records: &mut Records<W>,
        column: Column,
        range: KeyRange,
    ) -> Result<(), BackupError> {
        for pair in self.engine.scan(column, range) {
            let (key, value) = read(pair)?;
            records.pair(column, &key, &value)?;
        }
        Ok(())
    }
}

fn read<T>(outcome: Result<T, EngineError>) -> Result<T, BackupError> {
    outcome.map_err(|error| {
        StoreError::engine(Path::new("backup"), "read the copy of the database", error).into()
    })
}

/// The value that a block must have in a column that is read beside its header.
fn next_of(pairs: &mut Pairs<'_>, key: &[u8]) -> Result<Vec<u8>, BackupError> {
    match pairs.next().map(read).transpose()? {
        Some((found, value)) if found == key => Ok(value),
        _ => Err(StoreError::damaged(Path::new("backup"), "a block lacks its payload or outcomes").into()),
    }
}

struct Records<W> {
    out: VaultWriter<W>,
    records: u64,
    bytes: u64,
}

impl<W: Write> Records<W> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.bytes += bytes.len() as u64;
        self.out.write(bytes)
    }

    fn pair(&mut self, column: Column, key: &[u8], value: &[u8]) -> Result<(), VaultError> {
        self.records += 1;
        self.raw(&[tag(column)])?;
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(|_| VaultError::TooLong)?;
            self.raw(&length.to_be_bytes())?;
            self.raw(part)?;
        }
        Ok(())
    }
}

/// The columns of a backup. The numbers are never used again for something else.
const TAGS: [(u8, Column); 8] = [
    (1, Column::Headers),
    (2, Column::Payloads),
    (3, Column::Executions),
    (4, Column::Certificates),
    (5, Column::State),
    (6, Column::NewViews),
    (7, Column::Meta),
    (8, Column::History),
];

/// 0 for the columns that are made anew.
fn tag(column: Column) -> u8 {
    TAGS.iter().find(|(_, it)| *it == column).map_or(0, |(tag, _)| *tag)
}

/// A record as it is read.
struct Pair {
    column: Column,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Reads records, and counts them.
struct Reading<R> {
    input: VaultReader<R>,
    records: u64,
    bytes: u64,
    /// The last record of the column that is being read, for the order of its keys.
    last: Option<(Column, Vec<u8>)>,
}

impl<R: Read> Reading<R> {
    fn raw(&mut self, buffer: &mut [u8]) -> Result<(), VaultError> {
        self.bytes += buffer.len() as u64;
        self.input.read_exact(buffer)
    }

    fn head(&mut self) -> Result<Head, BackupError> {
        let mut bytes = [0; HEAD_BYTES];
        self.raw(&mut bytes)?;
        Head::from_bytes(&bytes)
    }

    /// The next record; none at the end, whose count must be right.
    fn next(&mut self) -> Result<Option<Pair>, BackupError> {
        let mut tag = [0];
        self.raw(&mut tag)?;
        let [tag] = tag;
        if tag == END {
            let mut count = [0; 8];
            self.raw(&mut count)?;
            let (seen, expected) = (self.records, u64::from_be_bytes(count));
            return match seen == expected {
                true => Ok(None),
                false => Err(contradiction(format!("it has {seen} records, and says {expected}"))),
            };
        }
        let Some((_, column)) = TAGS.iter().find(|(it, _)| *it == tag) else {
            return Err(contradiction(format!("there is no column {tag}")));
        };
        let (key, value) = (self.part(KEY_BYTES_MAX)?, self.part(VALUE_BYTES_MAX)?);
        self.records += 1;
        Ok(Some(Pair { column: *column, key, value }))
    }

    fn part(&mut self, limit: usize) -> Result<Vec<u8>, BackupError> {
        let mut length = [0; 4];
        self.raw(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(contradiction(format!("a record of {length} bytes, expected at most {limit}")));
        }
        let mut bytes = vec![0; length];
        self.raw(&mut bytes)?;
        Ok(bytes)
    }

    /// Keys rise within a column, so that nothing is given twice.
    fn check_order(&mut self, pair: &Pair) -> Result<(), BackupError> {
        let falls = |(column, key): &(Column, Vec<u8>)| *column == pair.column && *key >= pair.key;
        if self.last.as_ref().is_some_and(falls) {
            return Err(contradiction(format!("the keys of {} are not in order", pair.column)));
        }
        self.last = Some((pair.column, pair.key.clone()));
        Ok(())
    }
}

fn contradiction(what: String) -> BackupError {
    BackupError::Contradiction(what)
}
