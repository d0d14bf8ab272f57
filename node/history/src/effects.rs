//! What operations did to accounts, one effect each: derived from an operation, its result and what it changed.
//!
//! Effects are kept nowhere: the index keeps which account has which, and whoever reads one derives it again.
//! So they are a pure function of the record, in a fixed order; their numbers within an operation are their
//! names. **Source**: ledger specification B.2, "Effects numbering", and A.7.

mod sponsorship;
mod trust;

use std::collections::BTreeMap;

use carat_types::transaction::account_of;
use carat_types::{Digest, PublicKey};
use stellar_xdr::{
    AccountEntry, AccountMergeResult, Asset, ClaimPredicate, ClaimableBalanceEntry, ClaimableBalanceId,
    Claimant, LedgerEntryData, LiquidityPoolEntry, ManageDataOp, MuxedAccount, OperationBody,
    OperationResultTr, PathPaymentStrictReceiveResult, PathPaymentStrictSendResult, SetOptionsOp, SignerKey,
    Thresholds, TrustLineAsset,
};

use crate::trades;
use crate::view::{EntryPair, OperationView};

/// What an operation did to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The account.
    pub account: MuxedAccount,
    /// What was done.
    pub kind: EffectKind,
}

/// An amount of an asset. **Units**: ten-millionths of the asset's unit.
pub type Amount = (Asset, i64);

/// Whose support of an entry began, changed or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It began.
    Created {
        /// Who pays.
        sponsor: PublicKey,
    },
    /// Somebody else took over.
    Updated {
        /// Who paid.
        former: PublicKey,
        /// Who pays.
        new: PublicKey,
    },
    /// It ended.
    Removed {
        /// Who paid.
        former: PublicKey,
    },
}

/// Which entry is supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supported {
    /// The account itself.
    Account,
    /// A trustline.
    Trustline(TrustLineAsset),
    /// A data entry, by its name.
    Data(Vec<u8>),
    /// A claimable balance.
    Balance(ClaimableBalanceId),
    /// A signer.
    Signer(SignerKey),
}

/// How far a line was authorised by an operation that says it in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// For everything.
    Full,
    /// To keep offers only.
    MaintainLiabilities,
    /// For nothing.
    None,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was removed.
    Removed,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the operations that they come from")]
pub enum EffectKind {
    AccountCreated { starting_balance: i64 },
    AccountRemoved,
    AccountCredited(Amount),
    AccountDebited(Amount),
    ThresholdsUpdated { low: Option<u32>, medium: Option<u32>, high: Option<u32> },
    HomeDomainUpdated(Vec<u8>),
    FlagsUpdated { set: u32, clear: u32 },
    InflationDestinationUpdated(PublicKey),
    Signer { fate: Fate, key: SignerKey, weight: u32 },
    Trustline { fate: Fate, asset: TrustLineAsset, limit: i64 },
    TrustlineAuthorized { how: Authorization, trustor: PublicKey, asset: Asset },
    TrustlineFlagsUpdated { trustor: PublicKey, asset: Asset, set: u32, clear: u32 },
    Trade { other: MuxedAccount, offer_id: u64, sold: Amount, bought: Amount },
    Data { fate: Fate, name: Vec<u8>, value: Option<Vec<u8>> },
    SequenceBumped { new: i64 },
    BalanceCreated { id: ClaimableBalanceId, amount: Amount },
    BalanceClaimantCreated { id: ClaimableBalanceId, amount: Amount, predicate: ClaimPredicate },
    BalanceClaimed { id: ClaimableBalanceId, amount: Amount },
    BalanceClawedBack { id: ClaimableBalanceId },
    Sponsorship { what: Supported, support: Support },
    PoolDeposited { pool: Box<LiquidityPoolEntry>, deposited: [Amount; 2], shares: i64 },
    PoolWithdrew { pool: Box<LiquidityPoolEntry>, received: [Amount; 2], shares: i64 },
    PoolTrade { pool: Box<LiquidityPoolEntry>, sold: Amount, bought: Amount },
    PoolCreated { pool: Box<LiquidityPoolEntry> },
    PoolRemoved { pool: stellar_xdr::PoolId },
    PoolRevoked { pool: Box<LiquidityPoolEntry>, revoked: Vec<(Amount, ClaimableBalanceId)>, shares: i64 },
}

impl EffectKind {
    /// The liquidity pool in whose list the effect stands.
    pub fn pool(&self) -> Option<Digest> {
        match self {
            EffectKind::PoolDeposited { pool, .. }
            | EffectKind::PoolWithdrew { pool, .. }
            | EffectKind::PoolTrade { pool, .. }
            | EffectKind::PoolCreated { pool }
            | EffectKind::PoolRevoked { pool, .. } => Some(Digest(pool.liquidity_pool_id.0.0)),
            EffectKind::PoolRemoved { pool } => Some(Digest(pool.0.0)),
            _ => None,
        }
    }
}

/// The effects of an operation, in their order.
pub fn of_operation(view: &OperationView<'_>) -> Vec<Effect> {
    let mut effects = Effects { view, found: Vec::new() };
    effects.of_body();
    effects.of_sponsorships();
    effects.found
}

/// Effects being gathered.
struct Effects<'v> {
    view: &'v OperationView<'v>,
    found: Vec<Effect>,
}

impl Effects<'_> {
    fn on(&mut self, account: &MuxedAccount, kind: EffectKind) {
        self.found.push(Effect { account: account.clone(), kind });
    }

    fn on_source(&mut self, kind: EffectKind) {
        self.on(self.view.source(), kind);
    }

    fn on_account(&mut self, account: PublicKey, kind: EffectKind) {
        self.on(&account.into(), kind);
    }

    /// `amount` left the source for `to`.
    fn moved(&mut self, to: &MuxedAccount, amount: Amount) {
        self.on(to, EffectKind::AccountCredited(amount.clone()));
        self.on_source(EffectKind::AccountDebited(amount));
    }

    fn of_body(&mut self) {
        match &self.view.operation.body {
            OperationBody::CreateAccount(op) => {
                let starting_balance = op.starting_balance;
                let new = PublicKey::from(&op.destination);
                self.on_account(new, EffectKind::AccountCreated { starting_balance });
                self.on_source(EffectKind::AccountDebited((Asset::Native, starting_balance)));
                let key = SignerKey::Ed25519(stellar_xdr::Uint256(new.0));
                self.on_account(new, EffectKind::Signer { fate: Fate::Created, key, weight: 1 });
            }
            OperationBody::Payment(op) => self.moved(&op.destination, (op.asset.clone(), op.amount)),
            OperationBody::PathPaymentStrictReceive(_) | OperationBody::PathPaymentStrictSend(_) => {
                self.path_payment();
            }
            OperationBody::ManageSellOffer(_)
            | OperationBody::ManageBuyOffer(_)
            | OperationBody::CreatePassiveSellOffer(_) => self.trades(),
            OperationBody::SetOptions(op) => self.set_options(op),
            OperationBody::ChangeTrust(_) => self.change_trust(),
            OperationBody::AllowTrust(op) => self.allow_trust(op),
            OperationBody::SetTrustLineFlags(op) => self.set_trust_line_flags(op),
            OperationBody::AccountMerge(destination) => self.account_merge(destination),
            OperationBody::ManageData(op) => self.manage_data(op),
            OperationBody::BumpSequence(_) => self.bump_sequence(),
            OperationBody::CreateClaimableBalance(_) => self.created_balances(true),
            OperationBody::ClaimClaimableBalance(op) => {
                if let Some(balance) = self.removed_balance(&op.balance_id) {
                    let amount = (balance.asset.clone(), balance.amount);
                    self.on_source(EffectKind::BalanceClaimed {
                        id: op.balance_id.clone(),
                        amount: amount.clone(),
                    });
                    self.on_source(EffectKind::AccountCredited(amount));
                }
            }
            OperationBody::ClawbackClaimableBalance(op) => {
                self.on_source(EffectKind::BalanceClawedBack { id: op.balance_id.clone() });
                if let Some(balance) = self.removed_balance(&op.balance_id) {
                    let amount = (balance.asset.clone(), balance.amount);
                    self.on_source(EffectKind::AccountCredited(amount));
                }
            }
            OperationBody::Clawback(op) => {
                let amount = (op.asset.clone(), op.amount);
                self.on_source(EffectKind::AccountCredited(amount.clone()));
                self.on(&op.from, EffectKind::AccountDebited(amount));
            }
            OperationBody::LiquidityPoolDeposit(_) => self.pool_changed(1),
            OperationBody::LiquidityPoolWithdraw(_) => self.pool_changed(-1),
            // Sponsorships follow from what changed, for every operation. Contracts are not built yet.
            OperationBody::BeginSponsoringFutureReserves(_)
            | OperationBody::EndSponsoringFutureReserves
            | OperationBody::RevokeSponsorship(_)
            | OperationBody::Inflation
            | OperationBody::InvokeHostFunction(_)
            | OperationBody::ExtendFootprintTtl(_)
            | OperationBody::RestoreFootprint(_) => {}
        }
    }

    fn path_payment(&mut self) {
        use PathPaymentStrictReceiveResult as Receive;
        use PathPaymentStrictSendResult as Send;
        match (&self.view.operation.body, self.view.inner_result()) {
            (
                OperationBody::PathPaymentStrictReceive(op),
                Some(OperationResultTr::PathPaymentStrictReceive(Receive::Success(_))),
            ) => {
                let received = (op.dest_asset.clone(), op.dest_amount);
                self.on(&op.destination, EffectKind::AccountCredited(received));
                let sent = self.view.sent().unwrap_or(0);
                self.on_source(EffectKind::AccountDebited((op.send_asset.clone(), sent)));
            }
            (
                OperationBody::PathPaymentStrictSend(op),
                Some(OperationResultTr::PathPaymentStrictSend(Send::Success(success))),
            ) => {
                let received = (op.dest_asset.clone(), success.last.amount);
                self.on(&op.destination, EffectKind::AccountCredited(received));
                self.on_source(EffectKind::AccountDebited((op.send_asset.clone(), op.send_amount)));
            }
            _ => {}
        }
        self.trades();
    }

    /// Each exchange, seen from both sides.
    fn trades(&mut self) {
        for claim in self.view.claims() {
            let (sold, bought) = trades::amounts(claim);
            if sold.1 == 0 && bought.1 == 0 {
                continue;
            }
            let offer = match claim {
                stellar_xdr::ClaimAtom::V0(claim) => {
                    Some((PublicKey(claim.seller_ed25519.0), claim.offer_id))
                }
                stellar_xdr::ClaimAtom::OrderBook(claim) => {
                    Some((PublicKey::from(&claim.seller_id), claim.offer_id))
                }
                stellar_xdr::ClaimAtom::LiquidityPool(claim) => {
                    if let Some(pool) = self.pool_after(&claim.liquidity_pool_id) {
                        let (sold, bought) = (bought.clone(), sold.clone());
                        self.on_source(EffectKind::PoolTrade { pool: Box::new(pool), sold, bought });
                    }
                    None
                }
            };
            let Some((seller, offer_id)) = offer else { continue };
            let offer_id = u64::try_from(offer_id).unwrap_or(0);
            let other = seller.into();
            let (given, taken) = (bought.clone(), sold.clone());
            self.on_source(EffectKind::Trade { other, offer_id, sold: given, bought: taken });
            let other = self.view.source().clone();
            self.on_account(seller, EffectKind::Trade { other, offer_id, sold, bought });
        }
    }

    fn set_options(&mut self, op: &SetOptionsOp) {
        if let Some(domain) = &op.home_domain {
            self.on_source(EffectKind::HomeDomainUpdated(domain.to_vec()));
        }
        let (low, medium, high) = (op.low_threshold, op.med_threshold, op.high_threshold);
        if low.or(medium).or(high).is_some() {
            self.on_source(EffectKind::ThresholdsUpdated { low, medium, high });
        }
        let (set, clear) = (op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0));
        if set | clear != 0 {
            self.on_source(EffectKind::FlagsUpdated { set, clear });
        }
        if let Some(destination) = &op.inflation_dest {
            self.on_source(EffectKind::InflationDestinationUpdated(destination.into()));
        }
        self.signers();
    }

    /// Signers of the source that came, went or have another weight; first what was there before.
    fn signers(&mut self) {
        let Some((Some(before), Some(after))) = self.source_account() else { return };
        let (before, after) = (weights(before), weights(after));
        for (name, (key, weight)) in &before {
            let key = key.clone();
            match after.get(name) {
                None => self.on_source(EffectKind::Signer { fate: Fate::Removed, key, weight: 0 }),
                Some((_, new)) if new != weight => {
                    self.on_source(EffectKind::Signer { fate: Fate::Updated, key, weight: *new });
                }
                Some(_) => {}
            }
        }
        for (key, weight) in
            after.into_iter().filter(|(name, _)| !before.contains_key(name)).map(|(_, new)| new)
        {
            self.on_source(EffectKind::Signer { fate: Fate::Created, key, weight });
        }
    }

    fn account_merge(&mut self, destination: &MuxedAccount) {
        let Some(OperationResultTr::AccountMerge(AccountMergeResult::Success(amount))) =
            self.view.inner_result()
        else {
            return;
        };
        self.on_source(EffectKind::AccountDebited((Asset::Native, *amount)));
        self.on(destination, EffectKind::AccountCredited((Asset::Native, *amount)));
        self.on_source(EffectKind::AccountRemoved);
    }

    fn manage_data(&mut self, op: &ManageDataOp) {
        let pair =
            self.view.changes.iter().find(|pair| matches!(pair.data(), Some(LedgerEntryData::Data(_))));
        let Some(fate) = pair.and_then(EntryPair::fate) else { return };
        let name = op.data_name.to_vec();
        let value = op.data_value.as_ref().map(|value| value.to_vec());
        self.on_source(EffectKind::Data { fate, name, value });
    }

    fn bump_sequence(&mut self) {
        if let Some((Some(before), Some(after))) = self.source_account()
            && before.seq_num != after.seq_num
        {
            self.on_source(EffectKind::SequenceBumped { new: after.seq_num.0 });
        }
    }

    /// The claimable balances that the operation made: its own, or those that shares were turned into.
    fn created_balances(&mut self, paid_by_source: bool) {
        let created = self.view.changes.iter().filter(|pair| pair.before.is_none());
        let created: Vec<&ClaimableBalanceEntry> =
            created.filter_map(|pair| pair.after).filter_map(|entry| as_balance(&entry.data)).collect();
        for balance in created {
            let amount = (balance.asset.clone(), balance.amount);
            let id = balance.balance_id.clone();
            self.on_source(EffectKind::BalanceCreated { id: id.clone(), amount: amount.clone() });
            for Claimant::ClaimantTypeV0(claimant) in balance.claimants.iter() {
                let (id, amount, predicate) = (id.clone(), amount.clone(), claimant.predicate.clone());
                let kind = EffectKind::BalanceClaimantCreated { id, amount, predicate };
                self.on_account((&claimant.destination).into(), kind);
            }
            if paid_by_source {
                self.on_source(EffectKind::AccountDebited(amount));
            }
        }
    }

    fn removed_balance(&self, id: &ClaimableBalanceId) -> Option<ClaimableBalanceEntry> {
        let removed = self.view.changes.iter().filter(|pair| pair.after.is_none());
        removed
            .filter_map(|pair| pair.before)
            .filter_map(|entry| as_balance(&entry.data))
            .find(|balance| balance.balance_id == *id)
            .cloned()
    }

    /// The source's own entry before and after.
    fn source_account(&self) -> Option<(Option<&AccountEntry>, Option<&AccountEntry>)> {
        let source = account_of(self.view.source());
        let account = |entry: Option<&'_ stellar_xdr::LedgerEntry>| match entry.map(|entry| &entry.data) {
            Some(LedgerEntryData::Account(account)) => PublicKey::from(&account.account_id) == source,
            _ => false,
        };
        let pair = self.view.changes.iter().find(|pair| account(pair.before) || account(pair.after))?;
        Some((pair.before.and_then(as_account), pair.after.and_then(as_account)))
    }
}

impl EntryPair<'_> {
    /// The entry's content, after if it is still there.
    pub fn data(&self) -> Option<&LedgerEntryData> {
        self.after.or(self.before).map(|entry| &entry.data)
    }

    fn fate(&self) -> Option<Fate> {
        match (self.before, self.after) {
            (None, Some(_)) => Some(Fate::Created),
            (Some(_), Some(_)) => Some(Fate::Updated),
            (Some(_), None) => Some(Fate::Removed),
            (None, None) => None,
        }
    }
}

impl OperationView<'_> {
    /// What a path payment with a fixed end took from its source: what its first hop took, which later hops pass on.
    pub fn sent(&self) -> Option<i64> {
        let OperationBody::PathPaymentStrictReceive(op) = &self.operation.body else { return None };
        let Some(OperationResultTr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(
            success,
        ))) = self.inner_result()
        else {
            return None;
        };
        if success.offers.is_empty() {
            return Some(success.last.amount);
        }
        let bought = success.offers.iter().map(|claim| trades::amounts(claim).1);
        Some(
            bought
                .take_while(|(asset, _)| *asset == op.send_asset)
                .fold(0i64, |sum, (_, more)| sum.saturating_add(more)),
        )
    }
}

fn as_account(entry: &stellar_xdr::LedgerEntry) -> Option<&AccountEntry> {
    match &entry.data {
        LedgerEntryData::Account(account) => Some(account),
        _ => None,
    }
}

fn as_balance(data: &LedgerEntryData) -> Option<&ClaimableBalanceEntry> {
    match data {
        LedgerEntryData::ClaimableBalance(balance) => Some(balance),
        _ => None,
    }
}

/// All keys that may sign for an account and their weights, by their text.
fn weights(account: &AccountEntry) -> BTreeMap<String, (SignerKey, u32)> {
    let Thresholds([master, ..]) = account.thresholds;
    let own = SignerKey::Ed25519(stellar_xdr::Uint256(PublicKey::from(&account.account_id).0));
    let own = (master > 0).then_some((own, u32::from(master)));
    let signers = account.signers.iter().map(|signer| (signer.key.clone(), signer.weight)).chain(own);
    signers.map(|(key, weight)| (key.to_string(), (key, weight))).collect()
}
