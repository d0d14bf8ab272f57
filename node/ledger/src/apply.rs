//! Applying a block: trim, fees, sequence numbers, operations, results.
//!
//! [`apply`] is a pure function of a state and a block; equal inputs give equal outcomes on every machine.
//! **Source**: ledger specification 0.2 and A.3.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::header::EpochEnd;
use carat_types::receipt::outcome_leaf;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Epoch, PublicKey, Slot, merkle};
use stellar_xdr::{
    OperationBody, SequenceNumber, SignerKey, TransactionResult, TransactionResultCode, Uint256,
};

use crate::authorization::{SignatureOracle, Signatures};
use crate::entry::{StateValue, Totals};
use crate::error::{ApplyError, StateError};
use crate::key::{StateKey, xdr};
use crate::operations::{self, Context, Ended};
use crate::order::{self, Candidate, SortKey};
use crate::overlay::{EntryChange, Level, Overlay};
use crate::results::{self, Verdict};
use crate::sponsorship::Sponsors;
use crate::state::{StateDelta, StateRead};
use crate::trim::{Dropped, trim};
use crate::validity::{self, Common, Moment, fee_asked};
use crate::{footprint, governance, sequence, sponsorship, supply};

/// A block to be applied.
#[derive(Clone, Copy)]
pub struct BlockInput<'a> {
    /// What the order of application is drawn from; on the chain [`SortKey::Prefix`] of the slot before.
    pub sort_key: SortKey,
    /// The ledger that the block belongs to.
    pub ledger_seq: u32,
    /// The chain.
    pub chain_id: Digest,
    /// The epoch of the slot.
    pub epoch: Epoch,
    /// The slot that the block fills.
    pub slot: Slot,
    /// Time of the block; the close time is its whole seconds. **Units**: milliseconds since 1970.
    pub time_ms: u64,
    /// The envelopes of its bodies, in order.
    pub envelopes: &'a [Arc<SignedTransaction>],
    /// Who answers whether a signature is valid.
    pub signatures: &'a dyn SignatureOracle,
    /// Whether entries before and after are wanted, for history; validators store envelopes and results alone.
    pub record_changes: bool,
}

/// What applying a block led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOutcome {
    /// What was kept, in the order of application.
    pub applied: Vec<Applied>,
    /// What was not, in the order of the envelopes.
    pub dropped: Vec<Dropped>,
    /// What changes in the state.
    pub delta: StateDelta,
    /// Root over the results: leaves [`outcome_leaf`] in order of application.
    pub outcomes_root: Digest,
    /// Root over the drops: leaves `M("drop", u32 position | u32 reason)`.
    pub drops_root: Digest,
    /// Where the epoch ends and who follows, once that is decided: what the block's header says.
    pub epoch_end: Option<EpochEnd>,
}

/// One applied transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Position among the block's envelopes.
    pub batch_index: u32,
    /// The transaction.
    pub transaction: Arc<SignedTransaction>,
    /// Its result.
    pub result: TransactionResult,
    /// The XDR of its result.
    pub result_xdr: Vec<u8>,
    /// What it changed; empty unless changes are recorded.
    pub changes: Changes,
}

impl Applied {
    /// The leaf of this outcome in the outcomes tree.
    pub fn leaf(&self) -> Digest {
        outcome_leaf(self.transaction.hash(), self.transaction.full_hash(), &self.result_xdr)
    }
}

/// The entries that a transaction changed, in the three steps in which it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By the fee.
    pub fee: Vec<EntryChange>,
    /// By use of the sequence number and of signers that count once.
    pub before_operations: Vec<EntryChange>,
    /// By each operation; empty if the transaction failed.
    pub operations: Vec<Vec<EntryChange>>,
}

/// Applies a block to the state before it.
///
/// **Errors**: the state cannot be read, contradicts itself, or would not conserve an asset; the node must stop.
pub fn apply(state: &impl StateRead, block: &BlockInput<'_>) -> Result<BlockOutcome, ApplyError> {
    let mut ledger = Overlay::new(&state, block.ledger_seq)?;
    governance::begin_block(&mut ledger, block.slot)?;
    ledger.reserve(block.envelopes.len());
    let (kept, dropped) =
        trim(&mut ledger, block.moment(), block.signatures, block.sort_key, block.envelopes)?;
    // The order of what was kept is that of the whole block if all of it was kept.
    let ordered = if dropped.is_empty() { kept } else { order::sort(kept) };
    finish(ledger, block, ordered, dropped)
}

/// Applies a block without the trim: for recorded closes of networks that have none.
///
/// **Errors**: as [`apply`], and a transaction whose fee source does not exist.
pub fn apply_untrimmed(state: &impl StateRead, block: &BlockInput<'_>) -> Result<BlockOutcome, ApplyError> {
    let mut ledger = Overlay::new(&state, block.ledger_seq)?;
    governance::begin_block(&mut ledger, block.slot)?;
    let candidates = (0..)
        .zip(block.envelopes)
        .map(|(batch_index, transaction)| {
            let key = block.sort_key.of(transaction);
            Candidate { batch_index, transaction: Arc::clone(transaction), key }
        })
        .collect();
    finish(ledger, block, order::sort(candidates), Vec::new())
}

impl BlockInput<'_> {
    fn moment(&self) -> Moment {
        Moment {
            ledger_seq: self.ledger_seq,
            close_time: self.time_ms / 1000,
            epoch: self.epoch,
            slot: self.slot,
            chain_id: self.chain_id,
        }
    }
}

/// The pipeline of A.3 over transactions in their order of application.
fn finish(
    mut ledger: Overlay<'_>,
    block: &BlockInput<'_>,
    candidates: Vec<Candidate>,
    dropped: Vec<Dropped>,
) -> Result<BlockOutcome, ApplyError> {
    let highest_sequences = highest_sequences(&candidates);
    let fees = charge_fees(&mut ledger, &candidates, block.record_changes)?;
    let mut applied = Vec::with_capacity(candidates.len());
    let mut fees = fees.into_iter();
    for some in candidates.chunks(footprint::AT_A_TIME) {
        ledger.preload(some, |candidate, found| footprint::of_operations(&candidate.transaction, found))?;
        for (candidate, (fee, fee_changes)) in some.iter().zip(&mut fees) {
            let mut execution = Execution {
                ledger: &mut ledger,
                block,
                highest_sequences: &highest_sequences,
                changes: Changes::default(),
            };
            let verdict = execution.run(&candidate.transaction)?;
            let changes = Changes { fee: fee_changes, ..execution.changes };
            let result = results::result(&candidate.transaction, fee, verdict);
            let result_xdr = xdr(&result);
            let (batch_index, transaction) = (candidate.batch_index, Arc::clone(&candidate.transaction));
            applied.push(Applied { batch_index, transaction, result, result_xdr, changes });
        }
    }
    let epoch_end = governance::epoch_end(&mut ledger)?;
    let differences = ledger.into_differences();
    supply::assert_conserved(&differences)?;
    let leaves: Vec<Digest> = applied.iter().map(Applied::leaf).collect();
    Ok(BlockOutcome {
        applied,
        delta: differences.into_delta(),
        outcomes_root: merkle::root(&leaves),
        drops_root: Dropped::root(&dropped),
        dropped,
        epoch_end,
    })
}

/// If any transaction merges an account: the highest sequence number of each source in the block, used or not.
fn highest_sequences(candidates: &[Candidate]) -> BTreeMap<PublicKey, i64> {
    let mut highest = BTreeMap::new();
    let merges = |candidate: &Candidate| {
        let mut operations = candidate.transaction.operations().iter();
        operations.any(|operation| matches!(operation.body, OperationBody::AccountMerge(_)))
    };
    if candidates.iter().any(merges) {
        for Candidate { transaction, .. } in candidates {
            let highest = highest.entry(transaction.source()).or_insert(i64::MIN);
            *highest = transaction.sequence().max(*highest);
        }
    }
    highest
}

/// Pass 1: every transaction's fee, before any acts. A fee may dip into the reserve; it never exceeds the balance.
fn charge_fees(
    ledger: &mut Overlay<'_>,
    candidates: &[Candidate],
    record_changes: bool,
) -> Result<Vec<(i64, Vec<EntryChange>)>, StateError> {
    const NO_PAYER: StateError = StateError::Inconsistent("the source of a fee does not exist");
    const OVERFLOW: StateError = StateError::Inconsistent("the fee pool left its range");
    let parameters = *ledger.totals();
    let mut pool = ledger.totals().fee_pool;
    let mut charged = Vec::with_capacity(candidates.len());
    for Candidate { transaction, .. } in candidates {
        // A level is for reading off what changed; nothing here is undone.
        let level = record_changes.then(|| ledger.begin());
        let asked = transaction.fee().min(fee_asked(&parameters, transaction));
        let mut fee = 0;
        if asked > 0 {
            let payer = ledger.account_mut(&transaction.fee_source())?.ok_or(NO_PAYER)?;
            fee = asked.min(payer.balance);
            payer.balance = payer.balance.checked_sub(fee).ok_or(OVERFLOW)?;
            pool = pool.checked_add(fee).ok_or(OVERFLOW)?;
        }
        charged.push((fee, recorded(ledger, level)));
    }
    if pool != ledger.totals().fee_pool {
        let totals = Totals { fee_pool: pool, ..*ledger.totals() };
        ledger.put(&StateKey::Totals, StateValue::Totals(totals))?;
    }
    Ok(charged)
}

/// What changed since the level began, if there is one; ends it.
fn recorded(ledger: &mut Overlay<'_>, level: Option<Level>) -> Vec<EntryChange> {
    let Some(level) = level else { return Vec::new() };
    let changes = ledger.changes(&level);
    ledger.commit(level);
    changes
}

/// Pass 2 for one transaction.
struct Execution<'a, 's> {
    ledger: &'a mut Overlay<'s>,
    block: &'a BlockInput<'a>,
    highest_sequences: &'a BTreeMap<PublicKey, i64>,
    changes: Changes,
}

impl Execution<'_, '_> {
    fn run(&mut self, transaction: &SignedTransaction) -> Result<Verdict, StateError> {
        // What happens before the operations stays even if they fail.
        let level = self.block.record_changes.then(|| self.ledger.begin());
        let refused = self.prepare(transaction)?;
        self.changes.before_operations = recorded(self.ledger, level);
        match refused {
            Some(verdict) => Ok(verdict),
            None => self.operate(transaction),
        }
    }

    /// Uses the sequence number, checks signatures, removes signers that count once.
    ///
    /// **Returns** the verdict if it does not come to operations.
    fn prepare(&mut self, transaction: &SignedTransaction) -> Result<Option<Verdict>, StateError> {
        let moment = self.block.moment();
        if transaction.fee_bump().is_some() {
            self.remove_one_time_signer(&transaction.fee_source(), transaction.hash())?;
        }
        let mut signatures = Signatures::of_inner(self.block.signatures, transaction);
        let charge = transaction.fee_bump().is_none().then_some(0);
        let common = validity::common(self.ledger, moment, transaction, None, charge, &mut signatures)?;
        if !matches!(common, Common::Refused(_)) {
            self.use_sequence(transaction, moment)?;
        }
        let verdict = match common {
            Common::Refused(code) | Common::RefusedLate(code) => Some(Verdict::Refused(code)),
            Common::Valid => self.check_signatures(transaction, &mut signatures)?,
        };
        for account in validity::acting_accounts(transaction) {
            self.remove_one_time_signer(&account, transaction.inner_hash())?;
        }
        Ok(verdict)
    }

    fn use_sequence(&mut self, transaction: &SignedTransaction, moment: Moment) -> Result<(), StateError> {
        let Some(account) = self.ledger.account_mut(&transaction.source())? else { return Ok(()) };
        account.seq_num = SequenceNumber(transaction.sequence());
        sequence::note_use(account, moment.ledger_seq, moment.close_time)
    }

    fn check_signatures(
        &mut self,
        transaction: &SignedTransaction,
        signatures: &mut Signatures<'_>,
    ) -> Result<Option<Verdict>, StateError> {
        let mut refused = Vec::new();
        for index in 0..transaction.operations().len() {
            if let Some(result) = validity::signature_refusal(self.ledger, transaction, index, signatures)? {
                refused.push((index, result));
            }
        }
        if refused.is_empty() {
            return Ok(
                (!signatures.all_used()).then_some(Verdict::Refused(TransactionResultCode::TxBadAuthExtra))
            );
        }
        let mut results = operations::initial_results(transaction, self.ledger.totals().protocol_version);
        for (index, refusal) in refused {
            if let Some(result) = results.get_mut(index) {
                *result = refusal;
            }
        }
        Ok(Some(Verdict::Failed(results)))
    }

    /// A signer that names this very transaction has served its purpose, or never can.
    fn remove_one_time_signer(&mut self, account: &PublicKey, hash: &Digest) -> Result<(), StateError> {
        let key = SignerKey::PreAuthTx(Uint256(hash.0));
        let Some(entry) = self.ledger.account(account)? else { return Ok(()) };
        match entry.signers.iter().position(|signer| signer.key == key) {
            Some(position) => sponsorship::remove_signer(self.ledger, account, position),
            None => Ok(()),
        }
    }

    /// Every operation runs, so that clients see all results; nothing stays unless all succeed.
    fn operate(&mut self, transaction: &SignedTransaction) -> Result<Verdict, StateError> {
        let whole = self.ledger.begin();
        let mut all_succeeded = true;
        let mut sponsors = Sponsors::new();
        let mut results = Vec::with_capacity(transaction.operations().len());
        for (index, operation) in (0..).zip(transaction.operations()) {
            let level = self.ledger.begin();
            let mut context = Context {
                ledger: &mut *self.ledger,
                moment: self.block.moment(),
                source: operations::source(transaction, operation),
                highest_sequences: self.highest_sequences,
                sponsors: &mut sponsors,
                transaction,
                index,
            };
            let (result, succeeded) = match operations::apply(&mut context, operation)? {
                Ended::Succeeded(result) => (result, true),
                Ended::Failed(result) => (result, false),
                Ended::Fault => {
                    self.ledger.rollback(level);
                    return Ok(self.undo(whole, Verdict::Refused(TransactionResultCode::TxInternalError)));
                }
            };
            results.push(result);
            all_succeeded &= succeeded;
            if !succeeded {
                self.ledger.rollback(level);
                continue;
            }
            if self.block.record_changes && all_succeeded {
                self.changes.operations.push(self.ledger.changes(&level));
            }
            self.ledger.commit(level);
        }
        Ok(if !all_succeeded {
            self.undo(whole, Verdict::Failed(results))
        } else if !sponsors.is_empty() {
            self.undo(whole, Verdict::Refused(TransactionResultCode::TxBadSponsorship))
        } else {
            self.ledger.commit(whole);
            Verdict::Success(results)
        })
    }

    fn undo(&mut self, whole: Level, verdict: Verdict) -> Verdict {
        self.changes.operations.clear();
        self.ledger.rollback(whole);
        verdict
    }
}
