//! The trim: which transactions of a block are applied at all.
//!
//! A leader may lie, and a transaction that is applied costs its account a fee and a sequence number even if it
//! fails. So whatever would not pass the full check at the start of the block is dropped, without any effect.
//! **Source**: ledger specification 0.2.

#[expect(clippy::disallowed_types, reason = "asked by account or hash; never iterated")]
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use carat_types::receipt::drop_leaf;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, merkle};
use foldhash::fast::RandomState;
use stellar_xdr::TransactionResultCode;

use crate::authorization::SignatureOracle;
use crate::error::StateError;
use crate::footprint;
use crate::members;
use crate::order::{self, Candidate, SortKey};
use crate::overlay::Overlay;
use crate::validity::{self, Check, Moment, Pending};

/// Ed25519 verifications that a block may cost, counted by the rule and not by what a memory saves.
const VERIFICATIONS_MAX: u32 = 20_000;

/// Why a transaction was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// An earlier envelope of the block has the same transaction hash.
    Duplicate,
    /// An account that it acts for is suspended.
    Suspended,
    /// The block's verifications were used up before.
    Verifications,
    /// It would not pass the full check, with this code of the (inner) transaction.
    Invalid(TransactionResultCode),
}

impl DropReason {
    /// The number that the drops root commits to: 1 to 3, or 100 and the result code without its sign.
    pub fn code(&self) -> u32 {
        match self {
            DropReason::Duplicate => 1,
            DropReason::Suspended => 2,
            DropReason::Verifications => 3,
            DropReason::Invalid(code) => (*code as i32).unsigned_abs().saturating_add(100),
        }
    }
}

/// A dropped transaction: no fee, no sequence number, no effect. The same bytes may still succeed later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Position among the block's envelopes.
    pub batch_index: u32,
    /// The transaction.
    pub transaction: Arc<SignedTransaction>,
    /// Why.
    pub reason: DropReason,
}

impl Dropped {
    /// The root over the drops of a block, in the order of their positions.
    pub fn root(dropped: &[Dropped]) -> Digest {
        let leaves: Vec<Digest> =
            dropped.iter().map(|drop| drop_leaf(drop.batch_index, drop.reason.code())).collect();
        merkle::root(&leaves)
    }
}

/// What kept transactions mean for those behind them, by account.
#[derive(Default)]
#[expect(clippy::disallowed_types, reason = "asked by account; never iterated")]
struct Ahead(HashMap<PublicKey, Pending, RandomState>);

/// Parts a block's envelopes into those to be applied, in the order of the whole block, and those dropped, by position.
pub(crate) fn trim(
    ledger: &mut Overlay<'_>,
    moment: Moment,
    oracle: &dyn SignatureOracle,
    key: SortKey,
    envelopes: &[Arc<SignedTransaction>],
) -> Result<(Vec<Candidate>, Vec<Dropped>), StateError> {
    let mut dropped = Vec::new();
    let candidates = without_duplicates(envelopes, key, &mut dropped);
    let mut kept = Vec::with_capacity(candidates.len());
    let mut ahead = Ahead::default();
    let mut verifications = 0_u32;
    for some in order::sort(candidates).chunks(footprint::AT_A_TIME) {
        ledger.preload(some, |candidate, found| footprint::sources(&candidate.transaction, found))?;
        for candidate in some {
            let transaction = &candidate.transaction;
            let reason = if verifications >= VERIFICATIONS_MAX {
                Some(DropReason::Verifications)
            } else {
                let (reason, cost) = drop_reason(ledger, moment, oracle, transaction, &ahead)?;
                verifications = verifications.saturating_add(cost);
                if verifications > VERIFICATIONS_MAX { Some(DropReason::Verifications) } else { reason }
            };
            if let Some(reason) = reason {
                let transaction = Arc::clone(transaction);
                dropped.push(Dropped { batch_index: candidate.batch_index, transaction, reason });
            } else {
                ahead.add(transaction);
                kept.push(candidate.clone());
            }
        }
    }
    dropped.sort_by_key(|drop| drop.batch_index);
    Ok((kept, dropped))
}

#[expect(clippy::disallowed_types, reason = "asked by hash; never iterated")]
fn without_duplicates(
    envelopes: &[Arc<SignedTransaction>],
    key: SortKey,
    dropped: &mut Vec<Dropped>,
) -> Vec<Candidate> {
    let mut seen = HashSet::with_capacity_and_hasher(envelopes.len(), RandomState::default());
    let mut candidates = Vec::with_capacity(envelopes.len());
    for (batch_index, transaction) in (0..).zip(envelopes) {
        let transaction = Arc::clone(transaction);
        if seen.insert(*transaction.hash()) {
            let key = key.of(&transaction);
            candidates.push(Candidate { batch_index, transaction, key });
        } else {
            dropped.push(Dropped { batch_index, transaction, reason: DropReason::Duplicate });
        }
    }
    candidates
}

fn drop_reason(
    ledger: &mut Overlay<'_>,
    moment: Moment,
    oracle: &dyn SignatureOracle,
    transaction: &SignedTransaction,
    ahead: &Ahead,
) -> Result<(Option<DropReason>, u32), StateError> {
    if suspended(ledger, transaction)? {
        return Ok((Some(DropReason::Suspended), 0));
    }
    let (check, cost) = validity::check(ledger, moment, oracle, transaction, ahead.before(transaction))?;
    let reason = match check {
        Check::Valid => None,
        Check::Outer(code, _) => Some(DropReason::Invalid(code)),
        Check::Inner(verdict) => Some(DropReason::Invalid(verdict.code())),
    };
    Ok((reason, cost))
}

/// Whether an account that the transaction acts for, or that pays for it, is suspended.
pub(crate) fn suspended(
    ledger: &mut Overlay<'_>,
    transaction: &SignedTransaction,
) -> Result<bool, StateError> {
    if !ledger.totals().has_members() {
        return Ok(false);
    }
    let mut accounts = validity::acting_accounts(transaction);
    accounts.push(transaction.fee_source());
    for account in accounts {
        if members::is_suspended(ledger, &account)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Ahead {
    fn before(&self, transaction: &SignedTransaction) -> Pending {
        let (source, payer) = (transaction.source(), transaction.fee_source());
        let of_source = self.0.get(&source).copied().unwrap_or_default();
        let of_payer =
            if payer == source { of_source } else { self.0.get(&payer).copied().unwrap_or_default() };
        Pending { sequence: of_source.sequence, fees: of_payer.fees }
    }

    fn add(&mut self, transaction: &SignedTransaction) {
        self.0.entry(transaction.source()).or_default().sequence = Some(transaction.sequence());
        let fees = &mut self.0.entry(transaction.fee_source()).or_default().fees;
        *fees = fees.saturating_add(transaction.fee());
    }
}
