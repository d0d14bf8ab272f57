//! Reading a backup and believing nothing of it: the checks from the newest block's seals down to the genesis file.

use std::io::Read;

use carat_ledger::{StateKey, StateTree, Totals};
use carat_types::batch::Payload;
use carat_types::certificate::SealCertificate;
use carat_types::codec::{Decode, Encode as _};
use carat_types::epoch::Epochs;
use carat_types::evidence::Evidence;
use carat_types::genesis::GenesisFile;
use carat_types::header::Header;
use carat_types::message::{NewView, Signed};
use carat_types::{Digest, LeafRule, Slot};

use super::super::engine::Column;
use super::super::record::{self, Execution, Tip, TransactionPlace};
use super::checks::{check_execution, check_payload, check_seals};
use super::{BackupError, Head, NO_BASE, Pair, Progress, Reading, contradiction};
use crate::vault::VaultReader;

/// What a backup holds, all of it checked but what is said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The newest block.
    pub tip: Slot,
    /// Hash of its header.
    pub header: Digest,
    /// The root of the state after it.
    pub state_root: Digest,
    /// The block whose state the validator fetched, below which there are none; 0 where all are there.
    pub base: Slot,
    /// Blocks, genesis not counted.
    pub blocks: u64,
    /// Of them, with a certificate.
    pub sealed: u64,
    /// The newest block with a certificate.
    pub last_sealed: Slot,
    /// Transactions that were applied.
    pub transactions: u64,
    /// Entries of the state.
    pub state_entries: u64,
    /// Rows of the history: not checked, for they are made from the blocks and can be made anew.
    pub history_rows: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// Who is given each record after it was checked: column, key, value.
pub(super) type Taker<'a> = &'a mut dyn FnMut(Column, &[u8], &[u8]) -> Result<(), BackupError>;

/// Checks a whole backup against the genesis file. With `unsealed` the newest blocks need no seals: then nothing proves
/// them but who kept the backup. `progress` hears of each block.
///
/// **Errors**: [`BackupError`], for the first thing that is wrong.
pub fn walk<R: Read>(
    input: VaultReader<R>,
    known: &Known<'_>,
    unsealed: bool,
    progress: Progress<'_>,
) -> Result<Report, BackupError> {
    walk_with(input, known, unsealed, progress, &mut |_, _, _| Ok(())).map(|(report, _)| report)
}

/// As [`walk`]. What the taker was given counts only if this succeeds.
pub(super) fn walk_with<R: Read>(
    input: VaultReader<R>,
    known: &Known<'_>,
    unsealed: bool,
    progress: Progress<'_>,
    take: Taker<'_>,
) -> Result<(Report, Head), BackupError> {
    let encrypted = input.is_encrypted();
    let mut reading = Reading { input, records: 0, bytes: 0, last: None };
    let head = reading.head()?;
    let expected = known.genesis.chain_id;
    if head.chain_id != expected {
        return Err(BackupError::Foreign { seen: head.chain_id, expected });
    }
    let mut walk = Walk { known: *known, head, report: Report { encrypted, ..Report::default() } };
    let (tip, next) = walk.blocks(&mut reading, progress, take)?;
    let next = walk.state(&mut reading, next, &tip, take)?;
    walk.rest(&mut reading, next, take)?;
    walk.report.bytes = reading.bytes;
    reading.input.finish()?;
    let report = walk.report;
    if report.last_sealed != report.tip && !unsealed {
        return Err(BackupError::Unsealed { tip: report.tip, sealed: report.last_sealed });
    }
    Ok((report, head))
}

/// What a backup is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The genesis file.
    pub genesis: &'a GenesisFile,
    /// The epochs to which handovers lead from it.
    pub epochs: &'a Epochs,
    /// How the leaves of the state are hashed.
    pub leaves: &'a LeafRule,
}

struct Walk<'a> {
    known: Known<'a>,
    head: Head,
    report: Report,
}

/// The newest block, for what the state is compared with.
struct Newest {
    header: Header,
    /// None where the state was fetched and nothing executed since.
    totals: Option<Totals>,
}

impl Walk<'_> {
    /// All blocks. **Returns** the newest, and the first record behind them.
    fn blocks<R: Read>(
        &mut self,
        reading: &mut Reading<R>,
        progress: Progress<'_>,
        take: Taker<'_>,
    ) -> Result<(Newest, Option<Pair>), BackupError> {
        let (genesis, mut base_seen) = (self.known.genesis.header(), false);
        let mut below: Option<(Header, Digest, Option<Totals>)> = None;
        let mut next = reading.next()?;
        while let Some(pair) = next.take_if(|pair| pair.column == Column::Headers) {
            let header: Header = decode(&pair)?;
            let (slot, hash) = (header.slot, header.hash());
            let is_base = self.head.base != NO_BASE && slot == self.head.base.slot;
            let fits = match &below {
                None => hash == genesis.hash(),
                // Only its state was fetched; what proves it is the chain from here to the newest block's seals.
                Some((below, ..)) if is_base => below.slot == Slot(0) && slot > Slot(0),
                Some((below, parent, _)) => slot == below.slot.next() && header.parent == *parent,
            };
            if !fits || pair.key != record::slot_key(slot) {
                return Err(contradiction(format!("block {slot} does not stand on the one below it")));
            }
            take(pair.column, &pair.key, &pair.value)?;
            base_seen |= is_base;
            let totals = match is_base {
                true => None,
                false => {
                    self.payload(reading, &header, take)?;
                    Some(self.execution(reading, &header, take)?)
                }
            };
            next = reading.next()?;
            if let Some(pair) = next.take_if(|pair| pair.column == Column::Certificates) {
                self.certificate(&pair, &header, &hash)?;
                take(pair.column, &pair.key, &pair.value)?;
                next = reading.next()?;
            }
            self.report.blocks += u64::from(slot > Slot(0) && !is_base);
            progress(slot, self.head.tip.slot);
            below = Some((header, hash, totals));
        }
        if self.head.base != NO_BASE && !base_seen {
            return Err(contradiction(format!("its base, block {}, is not in it", self.head.base.slot)));
        }
        let (header, hash, totals) = below.ok_or_else(|| contradiction("it has no blocks".into()))?;
        if (Tip { slot: header.slot, header: hash }) != self.head.tip {
            let (seen, expected) = (header.slot, self.head.tip.slot);
            return Err(contradiction(format!("it ends with block {seen}, and says {expected}")));
        }
        self.report.base = self.head.base.slot;
        (self.report.tip, self.report.header, self.report.state_root) =
            (header.slot, hash, header.state_root);
        Ok((Newest { header, totals }, next))
    }

    fn payload<R: Read>(
        &mut self,
        reading: &mut Reading<R>,
        header: &Header,
        take: Taker<'_>,
    ) -> Result<(), BackupError> {
        let (slot, pair) = (header.slot, demand(reading, Column::Payloads, header.slot)?);
        let payload: Payload = decode(&pair)?;
        check_payload(header, &payload)?;
        if payload != Payload::null() {
            take(Column::Values, &header.batch.0, &slot.to_bytes())?;
        }
        take(pair.column, &pair.key, &pair.value)
    }

    fn execution<R: Read>(
        &mut self,
        reading: &mut Reading<R>,
        header: &Header,
        take: Taker<'_>,
    ) -> Result<Totals, BackupError> {
        let (slot, pair) = (header.slot, demand(reading, Column::Executions, header.slot)?);
        let execution: Execution = decode(&pair)?;
        check_execution(header, &execution)?;
        for (outcome, place) in execution.outcomes.iter().zip(0_u32..) {
            let place = TransactionPlace { slot, outcome: place };
            take(Column::Transactions, &outcome.transaction.0, &place.to_bytes())?;
        }
        self.report.transactions += execution.outcomes.len() as u64;
        take(pair.column, &pair.key, &pair.value)?;
        Ok(execution.totals)
    }

    fn certificate(&mut self, pair: &Pair, header: &Header, hash: &Digest) -> Result<(), BackupError> {
        let slot = header.slot;
        let certificate: SealCertificate = decode(pair)?;
        if pair.key != record::slot_key(slot) {
            return Err(contradiction(format!("the certificate of block {slot} is of another block")));
        }
        check_seals(self.known.epochs, &certificate, header, hash)?;
        self.report.sealed += 1;
        self.report.last_sealed = slot;
        Ok(())
    }

    /// The state. **Returns** the first record behind it.
    fn state<R: Read>(
        &mut self,
        reading: &mut Reading<R>,
        first: Option<Pair>,
        newest: &Newest,
        take: Taker<'_>,
    ) -> Result<Option<Pair>, BackupError> {
        let totals_key = StateKey::Totals.to_bytes();
        let (mut next, mut failure, mut totals, mut entries) = (first, None, None, 0);
        let mut one = || -> Result<Option<Pair>, BackupError> {
            let Some(pair) = next.take_if(|pair| pair.column == Column::State) else { return Ok(None) };
            reading.check_order(&pair)?;
            take(pair.column, &pair.key, &pair.value)?;
            if pair.key == totals_key {
                totals = Some(decode::<Totals>(&pair)?);
            }
            entries += 1;
            next = reading.next()?;
            Ok(Some(pair))
        };
        let each = std::iter::from_fn(|| {
            one().unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        });
        let root = StateTree::build(self.known.leaves, each.map(|pair| (pair.key, pair.value))).root();
        if let Some(error) = failure {
            return Err(error);
        }
        let Header { slot, state_root: expected, .. } = newest.header;
        if root != expected {
            return Err(contradiction(format!("the state has root {root}, block {slot} says {expected}")));
        }
        if newest.totals.is_some() && totals != newest.totals {
            return Err(contradiction(format!("block {slot} has other totals than the state")));
        }
        self.report.state_entries = entries;
        Ok(next)
    }

    /// NEW-VIEWs, evidence and history: kept as they are. None of them changes what a validator holds true.
    fn rest<R: Read>(
        &mut self,
        reading: &mut Reading<R>,
        first: Option<Pair>,
        take: Taker<'_>,
    ) -> Result<(), BackupError> {
        let mut next = first;
        while let Some(pair) = next {
            match pair.column {
                Column::NewViews => decode::<Signed<NewView>>(&pair).map(|_| ())?,
                Column::Meta if pair.key.starts_with(record::EVIDENCE_PREFIX) => {
                    decode::<Evidence>(&pair).map(|_| ())?;
                }
                Column::History if self.head.history => self.report.history_rows += 1,
                column => {
                    return Err(contradiction(format!("a record of {column} in a place where none belongs")));
                }
            }
            reading.check_order(&pair)?;
            take(pair.column, &pair.key, &pair.value)?;
            next = reading.next()?;
        }
        Ok(())
    }
}

fn demand<R: Read>(reading: &mut Reading<R>, column: Column, slot: Slot) -> Result<Pair, BackupError> {
    let pair = reading.next()?.filter(|pair| pair.column == column && pair.key == record::slot_key(slot));
    pair.ok_or_else(|| contradiction(format!("block {slot} has nothing in {column}")))
}

fn decode<T: Decode>(pair: &Pair) -> Result<T, BackupError> {
    T::from_bytes(&pair.value).map_err(|error| BackupError::Value { column: pair.column.name(), error })
}
