//! Archives: runs of blocks in files of their own, for whoever keeps or checks them without a state.
//!
//! An archive is one [container](crate::vault):
//!
//! ```text
//! head     version u32 | chain_id | first slot u64 | last slot u64
//! block    header | payload | execution | certificate       each: length u32, bytes; a certificate of no bytes is none
//! ```
//!
//! The last block has its seals, so that each archive proves itself: [`Check`] follows the hashes of the headers from block to block,
//! and from archive to archive, compares payloads and outcomes with what the headers name, and checks every certificate against
//! the genesis file. Which state they lead to, only executing them shows.
//!
//! **Source**: consensus specification, section 11 (headers and seals).

use std::io::{Read, Write};

use carat_types::batch::Payload;
use carat_types::block::Block;
use carat_types::certificate::SealCertificate;
use carat_types::codec::{Decode, Encode as _, Reader};
use carat_types::epoch::Epochs;
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::{Digest, Slot};

use super::super::StoreError;
use super::super::engine::Column;
use super::super::record::{self, Execution};
use super::checks::{check_execution, check_payload, check_seals};
use super::{BackupError, Progress, Source, VALUE_BYTES_MAX, contradiction, read};
use crate::vault::{VaultError, VaultReader, VaultWriter};

/// What the container of an archive says that it holds.
pub const PURPOSE: &str = "blocks of a Carat chain";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 4 + 32 + 8 + 8;

/// A block as an archive has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The block.
    pub block: Block,
    /// What its execution gave.
    pub execution: Execution,
    /// Its seals, if they were kept. The last of an archive has some.
    pub certificate: Option<SealCertificate>,
}

impl Source {
    /// The oldest block that is whole, genesis apart.
    pub fn first_block(&self) -> Slot {
        self.base.slot.next()
    }

    /// The newest block at `last` or below that has its seals, above `above`.
    ///
    /// **Errors**: the database's.
    pub fn sealed_block(&self, above: Slot, last: Slot) -> Result<Option<Slot>, BackupError> {
        for slot in (above.next().0..=last.min(self.tip.slot).0).rev().map(Slot) {
            if read(self.engine.get(Column::Certificates, &record::slot_key(slot)))?.is_some() {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Writes the blocks from `first` to `last`, a block with seals, as an archive. `progress` hears of each block.
    ///
    /// **Errors**: the database's or the container's; blocks that are not there. What was written is to be thrown away then.
    pub fn write_archive<W: Write>(
        &self,
        mut out: VaultWriter<W>,
        first: Slot,
        last: Slot,
        progress: Progress<'_>,
    ) -> Result<W, BackupError> {
        let head = [VERSION.to_bytes(), self.chain_id.to_bytes(), first.to_bytes(), last.to_bytes()];
        out.write(&head.concat())?;
        for slot in (first.0..=last.0).map(Slot) {
            let key = record::slot_key(slot);
            for column in [Column::Headers, Column::Payloads, Column::Executions, Column::Certificates] {
                let value = read(self.engine.get(column, &key))?;
                if value.is_none() && column != Column::Certificates {
                    let what = format!("block {slot} has nothing in {column}");
                    return Err(StoreError::damaged(std::path::Path::new("archive"), what).into());
                }
                let value = value.unwrap_or_default();
                let length = u32::try_from(value.len()).map_err(|_| VaultError::TooLong)?;
                out.write(&length.to_be_bytes())?;
                out.write(&value)?;
            }
            progress(slot, self.tip.slot);
        }
        Ok(out.finish()?)
    }
}

/// Reads an archive block by block, and believes nothing of it: [`Check`] does not either.
pub struct ArchiveReader<R> {
    input: VaultReader<R>,
    chain_id: Digest,
    next: Slot,
    last: Slot,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the head.
    ///
    /// **Errors**: the container's; another version.
    pub fn open(mut input: VaultReader<R>) -> Result<Self, BackupError> {
        let mut bytes = [0; HEAD_BYTES];
        input.read_exact(&mut bytes)?;
        let undecodable = |error| BackupError::Value { column: "head", error };
        let mut head = Reader::new(&bytes);
        let version = u32::decode(&mut head).map_err(undecodable)?;
        if version != VERSION {
            return Err(BackupError::Version { seen: version });
        }
        let chain_id = Digest::decode(&mut head).map_err(undecodable)?;
        let next = Slot::decode(&mut head).map_err(undecodable)?;
        let last = Slot::decode(&mut head).map_err(undecodable)?;
        Ok(ArchiveReader { input, chain_id, next, last })
    }

    /// The block that is read next, and the last one.
    pub fn range(&self) -> (Slot, Slot) {
        (self.next, self.last)
    }

    /// The next block; none behind the last.
    ///
    /// **Errors**: the container's; a block that does not decode, or is not the next.
    pub fn next_block(&mut self) -> Result<Option<Archived>, BackupError> {
        if self.next > self.last {
            return Ok(None);
        }
        let header: Header = decode("headers", &self.part()?)?;
        let payload: Payload = decode("payloads", &self.part()?)?;
        let execution: Execution = decode("executions", &self.part()?)?;
        let certificate = self.part()?;
        let certificate = match certificate.is_empty() {
            true => None,
            false => Some(decode("certificates", &certificate)?),
        };
        if header.slot != self.next {
            return Err(contradiction(format!("block {} where block {} belongs", header.slot, self.next)));
        }
        self.next = self.next.next();
        Ok(Some(Archived { block: Block { header, payload: payload.into() }, execution, certificate }))
    }

    /// The end: nothing may follow.
    ///
    /// **Errors**: the container's.
    pub fn finish(self) -> Result<(), BackupError> {
        Ok(self.input.finish()?)
    }

    fn part(&mut self) -> Result<Vec<u8>, BackupError> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > VALUE_BYTES_MAX {
            return Err(contradiction(format!(
                "a part of {length} bytes, expected at most {VALUE_BYTES_MAX}"
            )));
        }
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn decode<T: Decode>(column: &'static str, bytes: &[u8]) -> Result<T, BackupError> {
    T::from_bytes(bytes).map_err(|error| BackupError::Value { column, error })
}

/// What a run of archives holds, all of it checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first block. Above 1, what is below it is known by its hash alone.
    pub first: Slot,
    /// The last one, which is sealed.
    pub last: Slot,
    /// Hash of its header.
    pub header: Digest,
    /// Blocks with seals of their own.
    pub sealed: u64,
    /// Transactions that were applied.
    pub transactions: u64,
}

/// Checks archives one after the other, from the oldest on.
pub struct Check<'a> {
    chain_id: Digest,
    genesis: Digest,
    epochs: &'a Epochs,
    report: Report,
    last_sealed: Slot,
}

impl<'a> Check<'a> {
    /// Against this genesis file, and the epochs to which handovers lead from it.
    pub fn new(genesis: &GenesisFile, epochs: &'a Epochs) -> Self {
        Check {
            chain_id: genesis.chain_id,
            genesis: genesis.header().hash(),
            epochs,
            report: Report::default(),
            last_sealed: Slot(0),
        }
    }

    /// The archive is of this chain, and goes on where the last one ended.
    ///
    /// **Errors**: [`BackupError`].
    pub fn begin<R: Read>(&self, archive: &ArchiveReader<R>) -> Result<(), BackupError> {
        if archive.chain_id != self.chain_id {
            return Err(BackupError::Foreign { seen: archive.chain_id, expected: self.chain_id });
        }
        let (first, last) = archive.range();
        let expected = self.report.last.next();
        if first == Slot(0) || last < first || (self.report.last > Slot(0) && first != expected) {
            return Err(contradiction(format!(
                "it has the blocks {first} to {last}, expected those from {expected} on"
            )));
        }
        Ok(())
    }

    /// The next block.
    ///
    /// **Errors**: [`BackupError`].
    pub fn block(&mut self, archived: &Archived) -> Result<(), BackupError> {
        let (header, report) = (&archived.block.header, &mut self.report);
        let (slot, hash) = (header.slot, header.hash());
        let parent = match (slot, report.first) {
            (Slot(1), _) => Some(self.genesis),
            (_, Slot(0)) => None,
            _ => Some(report.header),
        };
        if parent.is_some_and(|parent| parent != header.parent) || header.chain_id != self.chain_id {
            return Err(contradiction(format!("block {slot} does not stand on the one below it")));
        }
        check_payload(header, &archived.block.payload)?;
        check_execution(header, &archived.execution)?;
        if let Some(certificate) = &archived.certificate {
            check_seals(self.epochs, certificate, header, &hash)?;
            report.sealed += 1;
            self.last_sealed = slot;
        }
        if report.first == Slot(0) {
            report.first = slot;
        }
        (report.last, report.header) = (slot, hash);
        report.transactions += archived.execution.outcomes.len() as u64;
        Ok(())
    }

    /// The end of an archive: its last block is sealed, and so everything below it is proven.
    ///
    /// **Errors**: [`BackupError::Unsealed`].
    pub fn end(&self) -> Result<Report, BackupError> {
        if self.last_sealed != self.report.last {
            return Err(BackupError::Unsealed { tip: self.report.last, sealed: self.last_sealed });
        }
        Ok(self.report)
    }
}
