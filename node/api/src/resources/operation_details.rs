//! What an operation's kind adds to what is common to all.
//!
//! Operations of later stages are shown as well: they can stand in transactions that failed.

use carat_history::OperationRecord;
use carat_history::trades::amounts;
use carat_history::view::DecodedChanges;
use serde_json::{Value, json};
use stellar_xdr::{
    AccountMergeResult, AllowTrustOp, Asset, AssetCode, ChangeTrustAsset, ChangeTrustOp, Claimant,
    CreateClaimableBalanceOp, LedgerKey, LiquidityPoolDepositOp, LiquidityPoolWithdrawOp, MuxedAccount,
    OperationBody, OperationResult, OperationResultTr, PathPaymentStrictReceiveOp,
    PathPaymentStrictReceiveResult, PathPaymentStrictSendOp, PathPaymentStrictSendResult, Price,
    RevokeSponsorshipOp, SetOptionsOp, SetTrustLineFlagsOp, TrustLineAsset, TrustLineFlags,
};

use crate::format;
use crate::resources::fields::{self, Fields, set};
use crate::resources::{governance_call, muxed};

/// The fields of the operation's kind.
pub fn details(record: &OperationRecord, source: &MuxedAccount, body: &OperationBody) -> Fields {
    let mut found = Fields::new();
    let out = &mut found;
    match body {
        OperationBody::CreateAccount(op) => {
            muxed::add(out, "funder", source);
            set(out, "account", op.destination.to_string());
            set(out, "starting_balance", format::amount(op.starting_balance));
        }
        OperationBody::Payment(op) => {
            muxed::add(out, "from", source);
            muxed::add(out, "to", &op.destination);
            set(out, "amount", format::amount(op.amount));
            fields::asset(out, "", &op.asset);
        }
        OperationBody::PathPaymentStrictReceive(op) => strict_receive(out, record, source, op),
        OperationBody::PathPaymentStrictSend(op) => strict_send(out, record, source, op),
        OperationBody::ManageSellOffer(op) => {
            set(out, "offer_id", op.offer_id.to_string());
            offer(out, op.amount, &op.price, &op.buying, &op.selling);
        }
        OperationBody::ManageBuyOffer(op) => {
            set(out, "offer_id", op.offer_id.to_string());
            offer(out, op.buy_amount, &op.price, &op.buying, &op.selling);
        }
        OperationBody::CreatePassiveSellOffer(op) => {
            offer(out, op.amount, &op.price, &op.buying, &op.selling)
        }
        OperationBody::SetOptions(op) => set_options(out, op),
        OperationBody::ChangeTrust(op) => change_trust(out, source, op),
        OperationBody::AllowTrust(op) => allow_trust(out, source, op),
        OperationBody::AccountMerge(destination) => {
            muxed::add(out, "account", source);
            muxed::add(out, "into", destination);
            merged_amount(out, record);
        }
        OperationBody::ManageData(op) => {
            set(out, "name", format::text(&op.data_name));
            set(out, "value", op.data_value.as_ref().map(|value| format::base64(value)));
        }
        OperationBody::BumpSequence(op) => set(out, "bump_to", op.bump_to.0.to_string()),
        OperationBody::SetTrustLineFlags(op) => set_trust_line_flags(out, op),
        OperationBody::Clawback(op) => {
            fields::asset(out, "", &op.asset);
            muxed::add(out, "from", &op.from);
            set(out, "amount", format::amount(op.amount));
        }
        other => later_stages(out, record, source, other),
    }
    found
}

fn later_stages(out: &mut Fields, record: &OperationRecord, source: &MuxedAccount, body: &OperationBody) {
    match body {
        OperationBody::CreateClaimableBalance(op) => create_claimable_balance(out, op),
        OperationBody::ClaimClaimableBalance(op) => {
            set(out, "balance_id", fields::xdr_hex(&op.balance_id));
            muxed::add(out, "claimant", source);
        }
        OperationBody::ClawbackClaimableBalance(op) => {
            set(out, "balance_id", fields::xdr_hex(&op.balance_id))
        }
        OperationBody::BeginSponsoringFutureReserves(op) => {
            set(out, "sponsored_id", op.sponsored_id.to_string())
        }
        OperationBody::EndSponsoringFutureReserves => begin_sponsor(out, record, source),
        OperationBody::RevokeSponsorship(op) => revoke_sponsorship(out, op),
        OperationBody::LiquidityPoolDeposit(op) => deposit(out, record, op),
        OperationBody::LiquidityPoolWithdraw(op) => withdraw(out, record, op),
        OperationBody::InvokeHostFunction(op) => {
            set(out, "function", op.host_function.name());
            if let Some(call) = governance_call::of(op) {
                set(out, "governance", call);
            }
        }
        OperationBody::ExtendFootprintTtl(op) => set(out, "extend_to", op.extend_to),
        _ => {}
    }
}

fn strict_receive(
    out: &mut Fields,
    record: &OperationRecord,
    source: &MuxedAccount,
    op: &PathPaymentStrictReceiveOp,
) {
    let sent = successful(record).and_then(path_sent).unwrap_or(0);
    muxed::add(out, "from", source);
    muxed::add(out, "to", &op.destination);
    set(out, "amount", format::amount(op.dest_amount));
    set(out, "source_amount", format::amount(sent));
    set(out, "source_max", format::amount(op.send_max));
    fields::asset(out, "", &op.dest_asset);
    fields::asset(out, "source_", &op.send_asset);
    set(out, "path", fields::path(&op.path));
}

/// The inner result of an operation that took effect.
fn successful(record: &OperationRecord) -> Option<&OperationResultTr> {
    match record.result().filter(|_| record.transaction.is_successful()) {
        Some(OperationResult::OpInner(inner)) => Some(inner),
        _ => None,
    }
}

/// What the first hop took; later hops pass on what the hop before gave.
fn path_sent(result: &OperationResultTr) -> Option<i64> {
    let OperationResultTr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(success)) =
        result
    else {
        return None;
    };
    let Some((first, _)) = success.offers.first().map(|claim| amounts(claim).1) else {
        return Some(success.last.amount);
    };
    let bought = success.offers.iter().map(|claim| amounts(claim).1);
    let hop = bought.take_while(|(asset, _)| *asset == first);
    Some(hop.fold(0i64, |sum, (_, more)| sum.saturating_add(more)))
}

fn strict_send(
    out: &mut Fields,
    record: &OperationRecord,
    source: &MuxedAccount,
    op: &PathPaymentStrictSendOp,
) {
    let received = match successful(record) {
        Some(OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(success))) => {
            success.last.amount
        }
        _ => 0,
    };
    muxed::add(out, "from", source);
    muxed::add(out, "to", &op.destination);
    set(out, "amount", format::amount(received));
    set(out, "source_amount", format::amount(op.send_amount));
    set(out, "destination_min", format::amount(op.dest_min));
    fields::asset(out, "", &op.dest_asset);
    fields::asset(out, "source_", &op.send_asset);
    set(out, "path", fields::path(&op.path));
}

fn offer(out: &mut Fields, amount: i64, price: &Price, buying: &Asset, selling: &Asset) {
    set(out, "amount", format::amount(amount));
    fields::price(out, "price", price);
    fields::asset(out, "buying_", buying);
    fields::asset(out, "selling_", selling);
}

fn set_options(out: &mut Fields, op: &SetOptionsOp) {
    let mut set_some = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set_some("inflation_dest", op.inflation_dest.as_ref().map(|account| account.to_string().into()));
    set_some("master_key_weight", op.master_weight.map(Value::from));
    set_some("low_threshold", op.low_threshold.map(Value::from));
    set_some("med_threshold", op.med_threshold.map(Value::from));
    set_some("high_threshold", op.high_threshold.map(Value::from));
    set_some("home_domain", op.home_domain.as_ref().map(|domain| format::text(domain).into()));
    set_some("signer_key", op.signer.as_ref().map(|signer| signer.key.to_string().into()));
    set_some("signer_weight", op.signer.as_ref().map(|signer| signer.weight.into()));
    add_flags(out, "set", op.set_flags.unwrap_or(0), &fields::ACCOUNT_FLAGS);
    add_flags(out, "clear", op.clear_flags.unwrap_or(0), &fields::ACCOUNT_FLAGS);
}

/// The second word lacks a letter in the API that clients know.
const LINE_FLAGS: [(i32, &str); 3] = [
    (TrustLineFlags::AuthorizedFlag as i32, "authorized"),
    (TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag as i32, "authorized_to_maintain_liabilites"),
    (TrustLineFlags::TrustlineClawbackEnabledFlag as i32, "clawback_enabled"),
];

fn add_flags(out: &mut Fields, prefix: &str, flags: u32, names: &[(i32, &str)]) {
    if flags == 0 {
        return;
    }
    let present = names.iter().filter(|(flag, _)| flags & flag.unsigned_abs() != 0);
    let (numbers, words): (Vec<i32>, Vec<&str>) = present.copied().unzip();
    set(out, &format!("{prefix}_flags"), numbers);
    set(out, &format!("{prefix}_flags_s"), words);
}

fn change_trust(out: &mut Fields, source: &MuxedAccount, op: &ChangeTrustOp) {
    let asset = match &op.line {
        ChangeTrustAsset::Native => Some(Asset::Native),
        ChangeTrustAsset::CreditAlphanum4(asset) => Some(Asset::CreditAlphanum4(asset.clone())),
        ChangeTrustAsset::CreditAlphanum12(asset) => Some(Asset::CreditAlphanum12(asset.clone())),
        ChangeTrustAsset::PoolShare(parameters) => {
            set(out, "asset_type", "liquidity_pool_shares");
            let id = carat_types::hash::sha256(&[&xdr_bytes(parameters)]);
            set(out, "liquidity_pool_id", id.to_string());
            None
        }
    };
    if let Some(asset) = asset {
        fields::asset(out, "", &asset);
        if let Some(issuer) = out.get("asset_issuer").cloned() {
            out.insert("trustee".to_owned(), issuer);
        }
    }
    muxed::add(out, "trustor", source);
    set(out, "limit", format::amount(op.limit));
}

fn allow_trust(out: &mut Fields, source: &MuxedAccount, op: &AllowTrustOp) {
    let (kind, code) = match &op.asset {
        AssetCode::CreditAlphanum4(code) => ("credit_alphanum4", format::code(&code.0)),
        AssetCode::CreditAlphanum12(code) => ("credit_alphanum12", format::code(&code.0)),
    };
    let has = |flag: TrustLineFlags| op.authorize & (flag as i32).unsigned_abs() != 0;
    let authorize = has(TrustLineFlags::AuthorizedFlag);
    let maintain = authorize || has(TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag);
    muxed::add(out, "trustee", source);
    set(out, "asset_type", kind);
    set(out, "asset_code", code);
    set(out, "asset_issuer", muxed::parts(source).0);
    set(out, "trustor", op.trustor.to_string());
    set(out, "authorize", authorize);
    set(out, "authorize_to_maintain_liabilities", maintain);
}

fn set_trust_line_flags(out: &mut Fields, op: &SetTrustLineFlagsOp) {
    fields::asset(out, "", &op.asset);
    set(out, "trustor", op.trustor.to_string());
    add_flags(out, "set", op.set_flags, &LINE_FLAGS);
    add_flags(out, "clear", op.clear_flags, &LINE_FLAGS);
}

/// Ours: how much a merge moved, which its own fields do not say.
fn merged_amount(out: &mut Fields, record: &OperationRecord) {
    if let Some(OperationResultTr::AccountMerge(AccountMergeResult::Success(amount))) = successful(record) {
        set(out, "amount", format::amount(*amount));
    }
}

fn create_claimable_balance(out: &mut Fields, op: &CreateClaimableBalanceOp) {
    set(out, "asset", format::canonical_asset(&op.asset));
    set(out, "amount", format::amount(op.amount));
    let one = |Claimant::ClaimantTypeV0(claimant): &Claimant| {
        json!({
            "destination": claimant.destination.to_string(),
            "predicate": fields::predicate(&claimant.predicate),
        })
    };
    set(out, "claimants", op.claimants.iter().map(one).collect::<Vec<Value>>());
}

/// Who began the sponsorship that this operation ends: the nearest begin before it for the same account.
fn begin_sponsor(out: &mut Fields, record: &OperationRecord, source: &MuxedAccount) {
    if !record.transaction.is_successful() {
        return;
    }
    let transaction = &record.transaction.transaction;
    let sponsored = muxed::parts(source).0;
    let before = transaction.operations().iter().take(record.index()).rev();
    let begin = before.into_iter().find(|operation| match &operation.body {
        OperationBody::BeginSponsoringFutureReserves(begin) => begin.sponsored_id.to_string() == sponsored,
        _ => false,
    });
    if let Some(begin) = begin {
        let sponsor = begin.source_account.as_ref().unwrap_or(&transaction.transaction().source_account);
        muxed::add(out, "begin_sponsor", sponsor);
    }
}

fn revoke_sponsorship(out: &mut Fields, op: &RevokeSponsorshipOp) {
    let key = match op {
        RevokeSponsorshipOp::Signer(signer) => {
            set(out, "signer_account_id", signer.account_id.to_string());
            set(out, "signer_key", signer.signer_key.to_string());
            return;
        }
        RevokeSponsorshipOp::LedgerEntry(key) => key,
    };
    match key {
        LedgerKey::Account(key) => set(out, "account_id", key.account_id.to_string()),
        LedgerKey::ClaimableBalance(key) => {
            set(out, "claimable_balance_id", fields::xdr_hex(&key.balance_id))
        }
        LedgerKey::Data(key) => {
            set(out, "data_account_id", key.account_id.to_string());
            set(out, "data_name", format::text(&key.data_name));
        }
        LedgerKey::Offer(key) => set(out, "offer_id", key.offer_id.to_string()),
        LedgerKey::Trustline(key) => {
            set(out, "trustline_account_id", key.account_id.to_string());
            match &key.asset {
                TrustLineAsset::PoolShare(pool) => {
                    set(out, "trustline_liquidity_pool_id", hex::encode(pool.0.0));
                }
                asset => set(out, "trustline_asset", fields::line_asset(asset)),
            }
        }
        _ => {}
    }
}

fn deposit(out: &mut Fields, record: &OperationRecord, op: &LiquidityPoolDepositOp) {
    let moved = pool_moved(record, 1);
    set(out, "liquidity_pool_id", hex::encode(op.liquidity_pool_id.0.0));
    set(out, "reserves_max", reserves(moved.as_ref(), [op.max_amount_a, op.max_amount_b]));
    fields::price(out, "min_price", &op.min_price);
    fields::price(out, "max_price", &op.max_price);
    let (deposited, shares) = moved.as_ref().map_or(([0, 0], 0), moved_amounts);
    set(out, "reserves_deposited", reserves(moved.as_ref(), deposited));
    set(out, "shares_received", format::amount(shares));
}

fn withdraw(out: &mut Fields, record: &OperationRecord, op: &LiquidityPoolWithdrawOp) {
    let moved = pool_moved(record, -1);
    set(out, "liquidity_pool_id", hex::encode(op.liquidity_pool_id.0.0));
    set(out, "reserves_min", reserves(moved.as_ref(), [op.min_amount_a, op.min_amount_b]));
    set(out, "shares", format::amount(op.amount));
    let (received, _) = moved.as_ref().map_or(([0, 0], 0), moved_amounts);
    set(out, "reserves_received", reserves(moved.as_ref(), received));
}

/// What came into a pool (`sign` 1) or went out (-1), and the shares for it.
type Moved = ([(Asset, i64); 2], i64);

/// What the operation moved; none where it failed, and nothing moved.
fn pool_moved(record: &OperationRecord, sign: i64) -> Option<Moved> {
    let changes = DecodedChanges::of(&record.transaction).ok()?;
    let view = record.transaction.view(record.index(), &changes)?;
    view.pool_moved(sign).map(|(_, amounts, shares)| (amounts, shares))
}

fn moved_amounts(([(_, a), (_, b)], shares): &Moved) -> ([i64; 2], i64) {
    ([*a, *b], *shares)
}

/// Amounts of both reserves, with their assets where these are known.
fn reserves(moved: Option<&Moved>, amounts: [i64; 2]) -> Value {
    match moved {
        Some(([(a, _), (b, _)], _)) => {
            let [of_a, of_b] = amounts;
            fields::amounts(&[(a.clone(), of_a), (b.clone(), of_b)])
        }
        None => amounts.iter().map(|amount| json!({ "amount": format::amount(*amount) })).collect(),
    }
}

fn xdr_bytes(value: &impl stellar_xdr::WriteXdr) -> Vec<u8> {
    // Writing to memory without limits has no way to fail.
    value.to_xdr(stellar_xdr::Limits::none()).unwrap_or_default()
}
