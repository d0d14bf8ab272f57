//! What correct validators executed: one header a slot for ever, each transaction once.

use std::collections::BTreeMap;

use carat_types::header::Header;
use carat_types::{Digest, Slot, ValidatorId};

use crate::clients::Fate;

use super::{Verdict, Violation, demand};

/// The one chain.
#[derive(Debug)]
pub(super) struct Chain {
    /// By slot, from genesis: what the first validator to get there found.
    blocks: Vec<Entry>,
    /// Slot of each transaction that had an effect.
    transactions: BTreeMap<Digest, Slot>,
    acknowledged: usize,
}

#[derive(Debug)]
struct Entry {
    hash: Digest,
    header: Header,
    applied: Vec<Digest>,
    acknowledged: bool,
}

impl Chain {
    pub(super) fn new(genesis: Header) -> Self {
        let entry = Entry { hash: genesis.hash(), header: genesis, applied: Vec::new(), acknowledged: true };
        Chain { blocks: vec![entry], transactions: BTreeMap::new(), acknowledged: 0 }
    }

    /// c(s); zero above what was executed.
    pub(super) fn prefix(&self, slot: Slot) -> Digest {
        self.entry(slot).map_or(Digest::ZERO, |entry| entry.header.prefix)
    }

    /// Hash of the header; zero above what was executed.
    pub(super) fn hash(&self, slot: Slot) -> Digest {
        self.entry(slot).map_or(Digest::ZERO, |entry| entry.hash)
    }

    /// What was executed at a slot; zero above that.
    pub(super) fn payload(&self, slot: Slot) -> Digest {
        self.entry(slot).map_or(Digest::ZERO, |entry| entry.header.batch)
    }

    /// State root after a slot; zero above what was executed.
    pub(super) fn state_root(&self, slot: Slot) -> Digest {
        self.entry(slot).map_or(Digest::ZERO, |entry| entry.header.state_root)
    }

    /// The newest header.
    pub(super) fn tip(&self) -> &Header {
        &self.blocks[self.blocks.len() - 1].header
    }

    pub(super) fn fate(&self, transaction: &Digest) -> Fate {
        let entry = self.transactions.get(transaction).and_then(|slot| self.entry(*slot));
        match entry {
            None => Fate::Open,
            Some(entry) if entry.acknowledged => Fate::Acknowledged,
            Some(_) => Fate::Executed,
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// A correct validator executed a slot.
    pub(super) fn executed(&mut self, at: ValidatorId, header: &Header, applied: &[Digest]) -> Verdict {
        if let Some(known) = self.entry(header.slot) {
            return demand(known.header == *header, "no fork: one header a slot", at, || {
                format!("slot {}: {header:?}, another has {:?}", header.slot, known.header)
            });
        }
        let (next, below) = (self.blocks.len() as u64, &self.blocks[self.blocks.len() - 1]);
        let follows = header.slot.0 == next
            && header.parent == below.hash
            && header.time_ms > below.header.time_ms
            && header.ledger >= below.header.ledger;
        demand(follows, "a header continues its parent", at, || {
            format!("{header:?} upon {:?}", below.header)
        })?;
        for id in applied {
            if let Some(first) = self.transactions.insert(*id, header.slot) {
                let detail = format!("transaction {id} executed in slot {first} and in slot {}", header.slot);
                return Err(Violation { rule: "exactly once", validator: Some(at), detail });
            }
        }
        self.blocks.push(Entry {
            hash: header.hash(),
            header: header.clone(),
            applied: applied.to_vec(),
            acknowledged: false,
        });
        Ok(())
    }

    /// Callers were told that a block is sealed. What is executed by anyone stays in every later chain: the
    /// headers above cover it.
    pub(super) fn acknowledge(&mut self, slot: Slot) {
        let index = usize::try_from(slot.0).unwrap_or(usize::MAX);
        if let Some(entry) = self.blocks.get_mut(index).filter(|entry| !entry.acknowledged) {
            entry.acknowledged = true;
            self.acknowledged += entry.applied.len();
        }
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.blocks.get(usize::try_from(slot.0).ok()?)
    }
}
