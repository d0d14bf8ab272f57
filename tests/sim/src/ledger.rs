//! What executes final slots: the product's ledger in a share of the seeds, a model in the others.
//!
//! The model is a few sequence numbers and a hash chain: cheap, deterministic, and sensitive to every change of
//! order or content.

mod model;
mod real;

use std::cmp::Ordering;
use std::sync::Arc;

use carat_consensus::{Execute, Executed, PendingTransaction};
use carat_types::batch::{BlockLimits, Envelope, Payload, Value, WellFormed};
use carat_types::hash::h;
use carat_types::header::{EpochEnd, Header, ledger_of};
use carat_types::leaf::SaltSecret;
use carat_types::snapshot::{SnapshotOffer, StateEntry};
use carat_types::{Digest, Epoch, LeafRule, Slot};

use crate::epochs::Era;
use model::ModelState;
use real::RealState;

/// Wall clock of every run's genesis. **Units**: milliseconds since 1970.
pub const GENESIS_TIME_MS: u64 = 1_800_000_000_000;

/// How every run hashes leaves: salted, as a members' network does, so that whoever forgets the secret on the way of a state is
/// found out.
pub fn leaf_rule() -> LeafRule {
    LeafRule::Salted(SaltSecret::from_bytes(&[0x5a; 32]))
}

/// Which ledger a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    /// Sequence numbers and a hash chain.
    Model,
    /// `carat-ledger`, with accounts that pay each other.
    Real,
}

/// What a validator thinks of a transaction, given its last executed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Executable next.
    Due,
    /// Its sequence number is not yet due.
    Early,
    /// Never executable again.
    Dead,
}

/// The result of a slot.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// For the core.
    pub executed: Executed,
    /// Ids of the transactions that had an effect, in order.
    pub applied: Vec<Digest>,
}

/// What executing a payload does to a state, before it is put into a header.
#[derive(Debug)]
struct Effects {
    applied: Vec<Digest>,
    settled: Vec<Digest>,
    state_root: Digest,
    outcomes_root: Digest,
    drops_root: Digest,
    epoch_end: Option<EpochEnd>,
}

/// Place and time of a block.
#[derive(Clone, Copy, Debug)]
struct Place {
    chain_id: Digest,
    epoch: Epoch,
    slot: Slot,
    ledger: u32,
    time_ms: u64,
    /// c(s-1).
    below: Digest,
}

/// The state after some slot.
#[derive(Clone, Debug)]
pub struct Ledger {
    header: Header,
    /// Transactions applied in the newest block.
    applied: u32,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Model(ModelState),
    Real(Box<RealState>),
}

/// What a client wants to be done.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The client's number.
    pub client: u64,
    /// Sequence number to use.
    pub sequence: i64,
    /// Tells apart orders that compete for a number.
    pub salt: u64,
    /// Last second at which it may execute.
    pub valid_until: Option<u64>,
}

/// What is the same for all validators of a run: how transactions are read and written.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    kind: LedgerKind,
    chain_id: Digest,
    clients: u64,
    limits: BlockLimits,
}

/// Hash of the genesis of the run of `seed`.
pub fn chain_id(seed: u64) -> Digest {
    h("genesis", &[b"carat simulation", &seed.to_be_bytes()])
}

impl Rules {
    /// The rules of the run of `seed` with so many clients.
    pub fn new(kind: LedgerKind, seed: u64, clients: u64, limits: BlockLimits) -> Self {
        Rules { kind, chain_id: chain_id(seed), clients, limits }
    }

    /// The envelope of an order.
    pub fn envelope(&self, order: Order) -> Envelope {
        match self.kind {
            LedgerKind::Model => model::envelope(order),
            LedgerKind::Real => real::envelope(order, self.clients, &self.chain_id),
        }
    }

    /// Reads an envelope.
    pub fn decode(&self, envelope: &Envelope) -> Option<PendingTransaction> {
        match self.kind {
            LedgerKind::Model => model::decode(envelope),
            LedgerKind::Real => real::decode(envelope, &self.chain_id),
        }
    }

    /// The check before a payload may be voted for.
    pub fn well_formed(&self, payload: &Arc<Payload>) -> Option<WellFormed> {
        match self.kind {
            LedgerKind::Model => model::well_formed(payload),
            LedgerKind::Real => real::well_formed(payload, &self.chain_id, &self.limits),
        }
    }

    /// The envelope by which governance asks for an epoch's set: the model's alone.
    pub fn handover(&self, epoch: Epoch) -> Envelope {
        model::handover(epoch)
    }

    /// The state at genesis, of a chain whose epochs are to be `eras`.
    pub fn governed_genesis(&self, eras: &[Era]) -> Ledger {
        let mut ledger = self.genesis();
        if let State::Model(state) = &mut ledger.state {
            state.govern(eras);
        }
        ledger
    }

    /// The state at genesis.
    pub fn genesis(&self) -> Ledger {
        let state = match self.kind {
            LedgerKind::Model => State::Model(ModelState::default()),
            LedgerKind::Real => {
                State::Real(Box::new(RealState::genesis(self.clients, &self.limits, self.chain_id)))
            }
        };
        let header = Header::genesis(self.chain_id, GENESIS_TIME_MS, state.root());
        Ledger { header, applied: 0, state }
    }
}

impl State {
    fn root(&self) -> Digest {
        match self {
            State::Model(state) => state.root(),
            State::Real(state) => state.root(),
        }
    }
}

impl Ledger {
    /// The newest header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Root of the state.
    pub fn root(&self) -> Digest {
        self.state.root()
    }

    /// All entries of the state.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        match &self.state {
            State::Model(state) => state.entries(),
            State::Real(state) => state.entries(),
        }
    }

    /// Stands on a fetched state from now on.
    pub fn install(&mut self, offer: &SnapshotOffer, entries: Vec<StateEntry>) {
        let entries = entries.into_iter().map(|entry| (entry.key, entry.value));
        match &mut self.state {
            State::Model(state) => state.install(entries),
            State::Real(state) => state.install(entries),
        }
        self.header = offer.base.header.clone();
        self.applied = offer.base_transactions();
    }

    /// Executes the next slot.
    pub fn execute(&mut self, slot: Slot, payload: &Payload, prefix: Digest, batch: Digest) -> Outcome {
        let parent = &self.header;
        let time_ms = match &payload.value {
            Value::Null => parent.time_ms + 1,
            Value::Batch(batch) => batch.time_ms.max(parent.time_ms + 1),
        };
        let ledger = ledger_of(parent.ledger, parent.time_ms, time_ms);
        let same_ledger = ledger == parent.ledger;
        let first_transaction = if same_ledger { parent.first_transaction + self.applied } else { 0 };
        let epoch = match &parent.epoch_end {
            Some(end) if slot > end.slot => parent.epoch.next(),
            _ => parent.epoch,
        };
        let place = Place { chain_id: parent.chain_id, epoch, slot, ledger, time_ms, below: parent.prefix };
        let effects = match &mut self.state {
            State::Model(state) => state.execute(payload, place),
            State::Real(state) => state.execute(payload, place),
        };
        let header = Header {
            chain_id: parent.chain_id,
            epoch,
            slot,
            ledger,
            first_transaction,
            parent: parent.hash(),
            batch,
            prefix,
            time_ms,
            state_root: effects.state_root,
            outcomes_root: effects.outcomes_root,
            drops_root: effects.drops_root,
            epoch_end: effects.epoch_end,
        };
        self.header = header.clone();
        self.applied = u32::try_from(effects.applied.len()).unwrap_or(u32::MAX);
        Outcome {
            executed: Executed { slot, header, settled: effects.settled, junk_bytes: 0 },
            applied: effects.applied,
        }
    }

    /// Executes what the core asks for.
    pub fn perform(&mut self, execute: &Execute) -> Outcome {
        self.execute(execute.slot, execute.payload.payload(), execute.prefix, execute.payload.digest())
    }

    /// Judges a transaction that the front door has let in.
    pub fn standing(&self, pending: &PendingTransaction) -> Standing {
        let sequence = match &self.state {
            State::Model(state) => state.sequence(&pending.source),
            State::Real(state) => state.sequence(&pending.source),
        };
        let expired = pending.valid_until.is_some_and(|limit| self.header.time_ms / 1_000 > limit);
        match pending.sequence.cmp(&(sequence + 1)) {
            Ordering::Less => Standing::Dead,
            _ if expired => Standing::Dead,
            Ordering::Equal => Standing::Due,
            Ordering::Greater => Standing::Early,
        }
    }

    /// The front door: whether a transaction that is due would be applied now.
    pub fn admits(&self, pending: &PendingTransaction) -> bool {
        match &self.state {
            State::Model(_) => true,
            State::Real(state) => state.admits(pending, &self.header),
        }
    }

    /// Checks that nothing of an asset appeared or vanished.
    ///
    /// **Errors**: the figures that differ.
    pub fn audit(&self) -> Result<(), String> {
        match &self.state {
            State::Model(_) => Ok(()),
            State::Real(state) => state.audit(),
        }
    }
}
