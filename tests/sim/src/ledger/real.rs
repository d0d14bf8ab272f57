//! The product's ledger: accounts that pay each other in the native coin.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::PendingTransaction;
use carat_ledger::{
    BlockInput, BlockOutcome, Ed25519, MemoryState, Moment, Pending, SignatureOracle, SortKey, StateKey,
    StateTree, StateValue,
};
use carat_types::batch::{BlockLimits, Envelope, Payload, WellFormed};
use carat_types::genesis::LedgerConstants;
use carat_types::header::Header;
use carat_types::signature::Claim;
use carat_types::transaction::{SignedTransaction, sign_envelope};
use carat_types::{Digest, PublicKey, SecretKey, payload};
use stellar_xdr::{
    Asset, LedgerEntryData, Limits, Memo, MuxedAccount, Operation, OperationBody, PaymentOp, Preconditions,
    SequenceNumber, TimeBounds, TimePoint, Transaction, TransactionEnvelope, TransactionExt,
    TransactionV1Envelope, VecM, WriteXdr,
};

use super::{Effects, Order, Place, leaf_rule};
use crate::mix::mix_bytes;

/// Coins of each client at genesis. **Units**: stroops.
const COINS: i64 = 1_000_000_000_000;
/// **Units**: stroops.
const FEE: u32 = 100;

/// The state, its tree, and the network that signatures name.
#[derive(Clone, Debug)]
pub(super) struct RealState {
    entries: MemoryState,
    tree: StateTree,
    network: Digest,
    total_coins: i64,
    signatures: KnownSignatures,
}

/// Remembers which signatures were valid, as a node does between admission and execution; here all nodes share one
/// memory, because all would find the same.
#[derive(Clone, Debug, Default)]
struct KnownSignatures(Rc<RefCell<BTreeSet<(u64, u64)>>>);

impl SignatureOracle for KnownSignatures {
    fn is_valid(&self, claim: Claim<'_>) -> bool {
        let hash = |start| {
            let key = mix_bytes(start, &claim.key.0);
            mix_bytes(mix_bytes(key, claim.message), &claim.signature.0)
        };
        let name = (hash(1), hash(2));
        if self.0.borrow().contains(&name) {
            return true;
        }
        let valid = Ed25519.is_valid(claim);
        if valid {
            self.0.borrow_mut().insert(name);
        }
        valid
    }
}

fn client_key(client: u64) -> SecretKey {
    let mut seed = [0xc1; 32];
    seed[..8].copy_from_slice(&client.to_be_bytes());
    SecretKey::from_seed(&seed)
}

impl RealState {
    /// A root account, and one account with coins for each client.
    ///
    /// **Panics** if the constants below make no genesis.
    pub(super) fn genesis(clients: u64, limits: &BlockLimits, network: Digest) -> Self {
        let constants = LedgerConstants {
            total_coins: COINS,
            base_fee: FEE,
            base_reserve: 5_000_000,
            protocol_version: 23,
            root_account: client_key(u64::MAX).public(),
            admission_restricted: false,
            members: Vec::new(),
            assets: carat_types::genesis::AssetRule::Any,
        };
        let entries = carat_ledger::genesis_entries(&constants, limits).expect("constants of a genesis");
        let mut entries = MemoryState::new(entries);
        let root_key = StateKey::account(&constants.root_account);
        let root = entries.value(&root_key).expect("genesis decodes").expect("genesis has a root account");
        let StateValue::Ledger(root) = root else { panic!("the root account is a ledger entry") };
        for client in 0..clients {
            let key = client_key(client).public();
            let mut entry = root.clone();
            if let LedgerEntryData::Account(account) = &mut entry.data {
                account.account_id = key.into();
            }
            entries.insert(&StateKey::account(&key), &StateValue::Ledger(entry));
        }
        let total_coins = COINS * (1 + i64::try_from(clients).expect("few clients"));
        let totals = entries.value(&StateKey::Totals).expect("genesis decodes").expect("genesis has totals");
        let StateValue::Totals(mut totals) = totals else { panic!("the totals are totals") };
        totals.total_coins = total_coins;
        entries.insert(&StateKey::Totals, &StateValue::Totals(totals));
        let tree = StateTree::build(&leaf_rule(), entries.entries());
        RealState { entries, tree, network, total_coins, signatures: KnownSignatures::default() }
    }

    pub(super) fn root(&self) -> Digest {
        self.tree.root()
    }

    pub(super) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.entries.entries().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    pub(super) fn install(&mut self, entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
        self.entries = MemoryState::new(entries);
        self.tree = StateTree::build(&leaf_rule(), self.entries.entries());
    }

    /// **Panics** if the state does not decode.
    pub(super) fn sequence(&self, account: &[u8; 32]) -> i64 {
        let key = StateKey::account(&PublicKey(*account));
        let value = self.entries.value(&key).expect("an account decodes");
        match value {
            Some(StateValue::Ledger(entry)) => match entry.data {
                LedgerEntryData::Account(account) => account.seq_num.0,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// **Panics** if the ledger fails, as a node would stop.
    pub(super) fn execute(&mut self, payload: &Payload, place: Place) -> Effects {
        let decode =
            |envelope: &Envelope| SignedTransaction::decode(&self.network, &envelope.0).map(Arc::new);
        let envelopes: Result<Vec<_>, _> = payload.envelopes().map(decode).collect();
        let envelopes = envelopes.expect("a well-formed payload decodes");
        let block = BlockInput {
            sort_key: SortKey::Prefix(place.below),
            ledger_seq: place.ledger,
            chain_id: place.chain_id,
            epoch: place.epoch,
            slot: place.slot,
            time_ms: place.time_ms,
            envelopes: &envelopes,
            signatures: &self.signatures,
            record_changes: false,
        };
        let BlockOutcome { applied, delta, outcomes_root, drops_root, epoch_end, .. } =
            carat_ledger::apply(&self.entries, &block).expect("the ledger applies a block");
        self.entries.apply(&delta);
        let state_root = self.tree.update(&delta);
        let applied = applied.iter().map(|applied| *applied.transaction.hash()).collect();
        let settled = envelopes
            .iter()
            .filter(|transaction| transaction.sequence() <= self.sequence(&transaction.source().0));
        let settled = settled.map(|transaction| *transaction.hash()).collect();
        Effects { applied, settled, state_root, outcomes_root, drops_root, epoch_end }
    }

    /// **Panics** if the state cannot be read.
    pub(super) fn admits(&self, pending: &PendingTransaction, header: &Header) -> bool {
        let Ok(transaction) = SignedTransaction::decode(&self.network, &pending.envelope.0) else {
            return false;
        };
        let moment = Moment {
            ledger_seq: header.ledger,
            close_time: header.time_ms / 1_000,
            epoch: header.epoch,
            slot: header.slot,
            chain_id: header.chain_id,
        };
        let verdict =
            carat_ledger::admit(&self.entries, moment, &self.signatures, &transaction, Pending::default());
        verdict.expect("the state can be read").is_ok()
    }

    /// Adds up what all accounts hold, by code of its own, and builds the tree anew.
    pub(super) fn audit(&self) -> Result<(), String> {
        let mut sum = 0i64;
        for (key, value) in self.entries.entries() {
            let key = StateKey::from_bytes(key).map_err(|error| error.to_string())?;
            match StateValue::from_bytes(&key, value).map_err(|error| error.to_string())? {
                StateValue::Ledger(entry) => {
                    if let LedgerEntryData::Account(account) = entry.data {
                        sum += account.balance;
                    }
                }
                StateValue::Totals(totals) => sum += totals.fee_pool,
                _ => {}
            }
        }
        if sum != self.total_coins {
            return Err(format!(
                "accounts and fee pool hold {sum} stroops, genesis gave {}",
                self.total_coins
            ));
        }
        let rebuilt = StateTree::build(&leaf_rule(), self.entries.entries()).root();
        if rebuilt != self.tree.root() {
            return Err(format!("state root {}, built anew {rebuilt}", self.tree.root()));
        }
        Ok(())
    }
}

/// A payment of the order's salt to the next client, signed.
///
/// **Panics** if the wire format has no room for one payment.
pub(super) fn envelope(order: Order, clients: u64, network: &Digest) -> Envelope {
    let key = client_key(order.client);
    let to = client_key((order.client + 1) % clients).public();
    let amount = i64::try_from(order.salt % 1_000_000).expect("a small amount") + 1;
    let body = OperationBody::Payment(PaymentOp { destination: to.into(), asset: Asset::Native, amount });
    let bounds = |limit: u64| TimeBounds { min_time: TimePoint(0), max_time: TimePoint(limit) };
    let transaction = Transaction {
        source_account: MuxedAccount::from(key.public()),
        fee: FEE,
        seq_num: SequenceNumber(order.sequence),
        cond: order.valid_until.map_or(Preconditions::None, |limit| Preconditions::Time(bounds(limit))),
        memo: Memo::None,
        operations: vec![Operation { source_account: None, body }].try_into().expect("one operation"),
        ext: TransactionExt::V0,
    };
    let signatures = VecM::default();
    let mut envelope = TransactionEnvelope::Tx(TransactionV1Envelope { tx: transaction, signatures });
    sign_envelope(network, &mut envelope, &[&key]).expect("one signature");
    Envelope(envelope.to_xdr(Limits::none()).expect("a payment encodes").into())
}

pub(super) fn decode(envelope: &Envelope, network: &Digest) -> Option<PendingTransaction> {
    let transaction = SignedTransaction::decode(network, &envelope.0).ok()?;
    let admitted = carat_ledger::Admitted::of(&transaction, carat_ledger::NEWEST_PROTOCOL);
    Some(PendingTransaction {
        hash: *transaction.hash(),
        source: admitted.source.0,
        sequence: admitted.sequence,
        valid_until: admitted.valid_until,
        envelope: envelope.clone(),
        operations: u32::try_from(admitted.operations).ok()?,
        signatures: u32::try_from(admitted.signatures).ok()?,
    })
}

pub(super) fn well_formed(
    payload: &Arc<Payload>,
    network: &Digest,
    limits: &BlockLimits,
) -> Option<WellFormed> {
    payload::check(payload.clone(), network, limits).ok().map(|(well_formed, _)| well_formed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_finds_a_coin_from_nowhere() {
        let mut state = RealState::genesis(2, &BlockLimits::default(), Digest::ZERO);
        assert_eq!(state.audit(), Ok(()));
        let key = StateKey::account(&client_key(1).public());
        let Ok(Some(StateValue::Ledger(mut entry))) = state.entries.value(&key) else { panic!("an account") };
        if let LedgerEntryData::Account(account) = &mut entry.data {
            account.balance += 1;
        }
        state.entries.insert(&key, &StateValue::Ledger(entry));
        assert!(state.audit().is_err_and(|what| what.contains("genesis gave")));
    }
}
