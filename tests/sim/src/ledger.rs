//! What executes final slots. The model ledger is a few sequence numbers and a hash chain: cheap, deterministic,
//! and sensitive to every change of order or content. `real.rs` puts the product's ledger in its place.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use carat_consensus::{Executed, Execute, PendingTransaction};
use carat_types::batch::{Envelope, Payload, Value, WellFormed};
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::hash::{h, m, sha256};
use carat_types::header::{Header, ledger_of};
use carat_types::message::Domain;
use carat_types::{Digest, Epoch, Slot};

/// Wall clock of every run's genesis. **Units**: milliseconds since 1970.
pub const GENESIS_TIME_MS: u64 = 1_800_000_000_000;

/// An account of the model: any 32 bytes.
pub type Account = [u8; 32];

/// A transaction of the model ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelTransaction {
    /// Whose sequence number it uses.
    pub source: Account,
    /// That number; executes only if it is the account's plus 1.
    pub sequence: i64,
    /// Tells apart transactions that compete for a number.
    pub salt: u64,
    /// Last second at which it may execute.
    pub valid_until: Option<u64>,
}

impl Encode for ModelTransaction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.source);
        self.sequence.encode(out);
        self.salt.encode(out);
        self.valid_until.encode(out);
    }
}

impl Decode for ModelTransaction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(ModelTransaction {
            source: input.array()?,
            sequence: Decode::decode(input)?,
            salt: Decode::decode(input)?,
            valid_until: Decode::decode(input)?,
        })
    }
}

impl ModelTransaction {
    /// The bytes that travel.
    pub fn envelope(&self) -> Envelope {
        Envelope(self.to_bytes().into())
    }
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

/// The state after some slot.
#[derive(Clone, Debug)]
pub struct Ledger {
    header: Header,
    sequences: BTreeMap<Account, i64>,
    root: Digest,
}

/// Hash of the genesis of the run of `seed`.
pub fn chain_id(seed: u64) -> Digest {
    h("genesis", &[b"carat simulation", &seed.to_be_bytes()])
}

/// The header of slot 0.
pub fn genesis_header(domain: &Domain) -> Header {
    Header {
        chain_id: domain.chain_id,
        epoch: domain.epoch,
        slot: Slot(0),
        ledger: 1,
        first_transaction: 0,
        parent: Digest::ZERO,
        batch: Digest::ZERO,
        prefix: domain.chain_id,
        time_ms: GENESIS_TIME_MS,
        state_root: Digest::ZERO,
        outcomes_root: carat_types::merkle::empty(),
        drops_root: carat_types::merkle::empty(),
        epoch_end: None,
    }
}

impl Ledger {
    /// The state at genesis.
    pub fn genesis(seed: u64) -> Self {
        let domain = Domain { chain_id: chain_id(seed), epoch: Epoch(0) };
        Ledger { header: genesis_header(&domain), sequences: BTreeMap::new(), root: Digest::ZERO }
    }

    /// The newest header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sequence number of an account.
    pub fn sequence(&self, account: &Account) -> i64 {
        self.sequences.get(account).copied().unwrap_or(0)
    }

    /// Executes the next slot.
    pub fn execute(&mut self, slot: Slot, payload: &Payload, prefix: Digest, batch: Digest) -> Outcome {
        let parent = &self.header;
        let time_ms = match &payload.value {
            Value::Null => parent.time_ms + 1,
            Value::Batch(batch) => batch.time_ms.max(parent.time_ms + 1),
        };
        let ledger = ledger_of(parent.ledger, parent.time_ms, time_ms);
        let first_transaction = if ledger == parent.ledger { parent.first_transaction } else { 0 };
        let (mut applied, mut settled) = (Vec::new(), Vec::new());
        for envelope in payload.envelopes() {
            let Ok(transaction) = ModelTransaction::from_bytes(&envelope.0) else { continue };
            let id = sha256(&[&envelope.0]);
            let expected = self.sequence(&transaction.source) + 1;
            let expired = transaction.valid_until.is_some_and(|limit| time_ms / 1_000 > limit);
            if transaction.sequence == expected && !expired {
                self.sequences.insert(transaction.source, expected);
                self.root = m("entry", &[&self.root.0, &id.0]);
                applied.push(id);
            }
            if transaction.sequence <= expected {
                settled.push(id);
            }
        }
        let ids: Vec<&[u8]> = applied.iter().map(|id| id.0.as_slice()).collect();
        let header = Header {
            chain_id: parent.chain_id,
            epoch: parent.epoch,
            slot,
            ledger,
            first_transaction,
            parent: parent.hash(),
            batch,
            prefix,
            time_ms,
            state_root: self.root,
            outcomes_root: m("outcome", &ids),
            drops_root: carat_types::merkle::empty(),
            epoch_end: None,
        };
        self.header = header.clone();
        Outcome { executed: Executed { slot, header, settled }, applied }
    }

    /// Executes what the core asks for.
    pub fn perform(&mut self, execute: &Execute) -> Outcome {
        self.execute(execute.slot, execute.payload.payload(), execute.prefix, execute.payload.digest())
    }

    /// Judges a transaction as a node's front door does.
    pub fn standing(&self, pending: &PendingTransaction) -> Standing {
        let due = self.sequence(&pending.source) + 1;
        let expired = pending.valid_until.is_some_and(|limit| self.header.time_ms / 1_000 > limit);
        match pending.sequence.cmp(&due) {
            Ordering::Less => Standing::Dead,
            _ if expired => Standing::Dead,
            Ordering::Equal => Standing::Due,
            Ordering::Greater => Standing::Early,
        }
    }
}

/// Reads an envelope of the model.
pub fn decode(envelope: &Envelope) -> Option<PendingTransaction> {
    let transaction = ModelTransaction::from_bytes(&envelope.0).ok()?;
    Some(PendingTransaction {
        hash: sha256(&[&envelope.0]),
        source: transaction.source,
        sequence: transaction.sequence,
        valid_until: transaction.valid_until,
        envelope: envelope.clone(),
        operations: 1,
        signatures: 1,
    })
}

/// The check before a payload may be voted for, of the model's transactions.
pub fn well_formed(payload: &Arc<Payload>) -> Option<WellFormed> {
    let readable = |envelope: &Envelope| ModelTransaction::from_bytes(&envelope.0).is_ok();
    let fine = payload.is_consistent()
        && payload.bodies.iter().all(|body| !body.envelopes.is_empty())
        && payload.envelopes().all(readable);
    fine.then(|| WellFormed::trusted(payload.clone()))
}
