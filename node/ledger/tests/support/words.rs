//! Results and changes in words, for tables that people read.

use std::collections::BTreeMap;

use carat_ledger::{StateKey, StateValue};
use carat_types::PublicKey;
use carat_types::governance::{Governance, OpenProposal};
use stellar_xdr::*;

use super::World;

/// `success Payment(Success)`, `failed ...`, `BadSeq`, `bump(...)`.
pub(crate) fn in_words(result: &TransactionResult) -> String {
    match &result.result {
        TransactionResultResult::TxFeeBumpInnerSuccess(pair)
        | TransactionResultResult::TxFeeBumpInnerFailed(pair) => {
            assert_eq!(pair.result.fee_charged, 0);
            format!("bump({})", inner_in_words(&pair.result.result))
        }
        TransactionResultResult::TxSuccess(results) => format!("success {}", operations_in_words(results)),
        TransactionResultResult::TxFailed(results) => format!("failed {}", operations_in_words(results)),
        other => other.name().trim_start_matches("Tx").to_owned(),
    }
}

fn inner_in_words(result: &InnerTransactionResultResult) -> String {
    match result {
        InnerTransactionResultResult::TxSuccess(results) => {
            format!("success {}", operations_in_words(results))
        }
        InnerTransactionResultResult::TxFailed(results) => format!("failed {}", operations_in_words(results)),
        other => other.name().trim_start_matches("Tx").to_owned(),
    }
}

fn operations_in_words(results: &[OperationResult]) -> String {
    let words: Vec<String> = results
        .iter()
        .map(|result| match result {
            OperationResult::OpInner(result) => operation_in_words(result),
            other => format!("{other:?}"),
        })
        .collect();
    words.join(" ")
}

fn operation_in_words(result: &OperationResultTr) -> String {
    use OperationResultTr as Tr;
    use {ManageBuyOfferResult as Buy, ManageSellOfferResult as Sell};
    use {PathPaymentStrictReceiveResult as Receive, PathPaymentStrictSendResult as Send};
    match result {
        Tr::ManageSellOffer(Sell::Success(done)) => managed_in_words("ManageSellOffer", done),
        Tr::ManageBuyOffer(Buy::Success(done)) => managed_in_words("ManageBuyOffer", done),
        Tr::PathPaymentStrictReceive(Receive::Success(done)) => {
            format!("PathPaymentStrictReceive(Success {}{})", claims_in_words(&done.offers), done.last.amount)
        }
        Tr::PathPaymentStrictSend(Send::Success(done)) => {
            format!("PathPaymentStrictSend(Success {}{})", claims_in_words(&done.offers), done.last.amount)
        }
        Tr::InvokeHostFunction(InvokeHostFunctionResult::Success(_)) => {
            "InvokeHostFunction(Success)".to_owned()
        }
        Tr::CreateClaimableBalance(CreateClaimableBalanceResult::Success(_)) => {
            "CreateClaimableBalance(Success)".to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn managed_in_words(operation: &str, done: &ManageOfferSuccessResult) -> String {
    let offer = match &done.offer {
        ManageOfferSuccessResultOffer::Created(offer) => format!("created {}", offer.amount),
        ManageOfferSuccessResultOffer::Updated(offer) => format!("updated {}", offer.amount),
        ManageOfferSuccessResultOffer::Deleted => "deleted".to_owned(),
    };
    format!("{operation}(Success {}{offer})", claims_in_words(&done.offers_claimed))
}

/// `#3 10 for 20, ` for an offer with id 3 that sold 10 for 20; `pool` in place of the number for a pool.
fn claims_in_words(claims: &[ClaimAtom]) -> String {
    let words = claims.iter().map(|claim| match claim {
        ClaimAtom::OrderBook(claim) => {
            format!("#{} {} for {}, ", claim.offer_id, claim.amount_sold, claim.amount_bought)
        }
        ClaimAtom::LiquidityPool(claim) => {
            format!("pool {} for {}, ", claim.amount_sold, claim.amount_bought)
        }
        ClaimAtom::V0(claim) => format!("{claim:?}"),
    });
    words.collect()
}

/// What differs between two states, one line an entry.
pub(crate) fn changes_in_words(before: &World, after: &World) -> Vec<String> {
    let mut keys: Vec<Vec<u8>> =
        before.state.entries().chain(after.state.entries()).map(|(k, _)| k.to_vec()).collect();
    keys.sort();
    keys.dedup();
    let mut words: Vec<String> = keys
        .into_iter()
        .filter_map(|key| {
            let key = StateKey::from_bytes(&key).expect("our key");
            let (old, new) =
                (before.state.value(&key).expect("readable"), after.state.value(&key).expect("readable"));
            (old != new).then(|| change_in_words(&before.names, &key, old, new))
        })
        .filter(|words| !words.is_empty())
        .collect();
    words.sort();
    words
}

fn name_of(names: &BTreeMap<PublicKey, String>, account: &AccountId) -> String {
    names.get(&PublicKey::from(account)).cloned().unwrap_or_else(|| "?".to_owned())
}

fn change_in_words(
    names: &BTreeMap<PublicKey, String>,
    key: &StateKey,
    old: Option<StateValue>,
    new: Option<StateValue>,
) -> String {
    let subject = match key {
        StateKey::Ledger(LedgerKey::Account(key)) => name_of(names, &key.account_id),
        StateKey::Ledger(LedgerKey::Trustline(key)) => {
            format!("{}/{}", name_of(names, &key.account_id), trustline_code(&key.asset))
        }
        StateKey::Ledger(LedgerKey::Data(key)) => {
            let mut entry = key.data_name.0.to_utf8_string_lossy();
            for (id, name) in names {
                entry = entry.replace(&AccountId::from(*id).to_string(), name);
            }
            format!("{}/data {entry}", name_of(names, &key.account_id))
        }
        StateKey::Ledger(LedgerKey::Offer(key)) => {
            format!("{}/offer {}", name_of(names, &key.seller_id), key.offer_id)
        }
        StateKey::Ledger(LedgerKey::ClaimableBalance(_)) => "balance".to_owned(),
        StateKey::Ledger(LedgerKey::LiquidityPool(_)) => "pool".to_owned(),
        // Indices follow from the rest: `assert_sound` compares them.
        StateKey::Book(_) | StateKey::OfferSeller(_) | StateKey::Claim(..) | StateKey::AssetPool(..) => {
            return String::new();
        }
        StateKey::Totals => "totals".to_owned(),
        StateKey::Governance => "governance".to_owned(),
        StateKey::Accountability => "accountability".to_owned(),
        StateKey::Supply(asset) => format!("supply {}", code_of(asset)),
        StateKey::Creator(id) => format!("creator of {}", name_of(names, &AccountId::from(*id))),
        other => format!("{other:?}"),
    };
    let aspects = match (old, new) {
        (None, Some(StateValue::Creator(member))) => vec![name_of(names, &AccountId::from(member))],
        (None, Some(new)) => vec![format!("new {}", value_in_words(&new))],
        (Some(_), None) => vec!["gone".to_owned()],
        (Some(old), Some(new)) => aspects(&old, &new),
        (None, None) => Vec::new(),
    };
    if aspects.is_empty() { String::new() } else { format!("{subject}: {}", aspects.join(", ")) }
}

fn code_of(asset: &Asset) -> String {
    let text = carat_ledger::asset::display(asset);
    text.split(':').next().unwrap_or_default().to_owned()
}

fn trustline_code(asset: &TrustLineAsset) -> String {
    match asset {
        TrustLineAsset::CreditAlphanum4(code) => code_of(&Asset::CreditAlphanum4(code.clone())),
        TrustLineAsset::CreditAlphanum12(code) => code_of(&Asset::CreditAlphanum12(code.clone())),
        TrustLineAsset::PoolShare(_) => "shares".to_owned(),
        TrustLineAsset::Native => "native".to_owned(),
    }
}

fn value_in_words(value: &StateValue) -> String {
    match value {
        StateValue::Ledger(entry) => match &entry.data {
            LedgerEntryData::Account(account) => format!("account {}", account.balance),
            LedgerEntryData::Trustline(line) => {
                format!("line {} limit {} flags {}", line.balance, line.limit, line.flags)
            }
            LedgerEntryData::Data(data) => format!("{:?}", String::from_utf8_lossy(&data.data_value.0)),
            LedgerEntryData::Offer(offer) => {
                let (selling, buying) = (code_of(&offer.selling), code_of(&offer.buying));
                let Price { n, d } = offer.price;
                format!("offer {} {selling} for {buying} at {n}/{d}", offer.amount)
            }
            LedgerEntryData::ClaimableBalance(balance) => {
                let clawback =
                    if matches!(balance.ext, ClaimableBalanceEntryExt::V1(_)) { " clawback" } else { "" };
                format!(
                    "{} {} for {}{clawback}",
                    balance.amount,
                    code_of(&balance.asset),
                    balance.claimants.len()
                )
            }
            LedgerEntryData::LiquidityPool(_) => "pool".to_owned(),
            other => format!("{other:?}"),
        },
        StateValue::Supply(amount) => format!("{amount}"),
        other => format!("{other:?}"),
    }
}

fn aspects(old: &StateValue, new: &StateValue) -> Vec<String> {
    let mut words = Vec::new();
    match (old, new) {
        (StateValue::Ledger(old), StateValue::Ledger(new)) => match (&old.data, &new.data) {
            (LedgerEntryData::Account(old), LedgerEntryData::Account(new)) => {
                account_aspects(old, new, &mut words)
            }
            (LedgerEntryData::Trustline(old), LedgerEntryData::Trustline(new)) => {
                moved("balance", old.balance, new.balance, &mut words);
                moved("limit", old.limit, new.limit, &mut words);
                moved("flags", old.flags.into(), new.flags.into(), &mut words);
                let (before, after) = (line_extras(old), line_extras(new));
                moved("buying", before.0, after.0, &mut words);
                moved("selling", before.1, after.1, &mut words);
                moved("pools", before.2, after.2, &mut words);
            }
            (LedgerEntryData::Offer(old), LedgerEntryData::Offer(new)) => {
                moved("amount", old.amount, new.amount, &mut words);
                if (&old.selling, &old.buying, &old.price) != (&new.selling, &new.buying, &new.price) {
                    let (selling, buying) = (code_of(&new.selling), code_of(&new.buying));
                    words.push(format!("{selling} for {buying} at {}/{}", new.price.n, new.price.d));
                }
            }
            (LedgerEntryData::LiquidityPool(old), LedgerEntryData::LiquidityPool(new)) => {
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(old) = &old.body;
                let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(new) = &new.body;
                moved("a", old.reserve_a, new.reserve_a, &mut words);
                moved("b", old.reserve_b, new.reserve_b, &mut words);
                moved("shares", old.total_pool_shares, new.total_pool_shares, &mut words);
                let (before, after) = (old.pool_shares_trust_line_count, new.pool_shares_trust_line_count);
                moved("lines", before, after, &mut words);
            }
            (old, new) if old == new => {}
            (LedgerEntryData::Data(_), LedgerEntryData::Data(data)) => {
                words.push(format!("{:?}", String::from_utf8_lossy(&data.data_value.0)));
            }
            other => words.push(format!("{other:?}")),
        },
        (StateValue::Totals(old), StateValue::Totals(new)) => {
            moved("fee pool", old.fee_pool, new.fee_pool, &mut words);
            moved("base fee", old.base_fee.into(), new.base_fee.into(), &mut words);
            moved("base reserve", old.base_reserve.into(), new.base_reserve.into(), &mut words);
            let versions = (old.protocol_version, new.protocol_version);
            moved("version", versions.0.into(), versions.1.into(), &mut words);
            let ids = |totals: &carat_ledger::Totals| i64::try_from(totals.id_pool).expect("few offers");
            moved("ids", ids(old), ids(new), &mut words);
        }
        (StateValue::Governance(old), StateValue::Governance(new)) => {
            governance_aspects(old, new, &mut words);
        }
        (StateValue::Supply(old), StateValue::Supply(new)) => words.push(format!("{:+}", new - old)),
        other => words.push(format!("{other:?}")),
    }
    if let (StateValue::Ledger(old), StateValue::Ledger(new)) = (old, new)
        && sponsor(old) != sponsor(new)
    {
        words.push(if sponsor(new).is_some() { "sponsored" } else { "unsponsored" }.to_owned());
    }
    words
}

/// Each open proposal by its number with the count of its approvals, and what is decided.
fn governance_aspects(old: &Governance, new: &Governance, words: &mut Vec<String>) {
    let open = |governance: &Governance| {
        let all = governance.open.iter();
        let words = all.map(|open| {
            let OpenProposal { proposal, approvals } = open;
            format!("#{} {} by {}", proposal.number, proposal.change, approvals.len())
        });
        words.collect::<Vec<_>>()
    };
    let (before, after) = (open(old), open(new));
    words.extend(before.iter().filter(|one| !after.contains(one)).map(|one| format!("not {one}")));
    words.extend(after.iter().filter(|one| !before.contains(one)).cloned());
    match (&old.scheduled, &new.scheduled) {
        (before, after) if before == after => {}
        (_, Some(scheduled)) => words.push(format!("{} from slot {}", scheduled.change, scheduled.from)),
        (_, None) => words.push("nothing decided".to_owned()),
    }
}

fn sponsor(entry: &LedgerEntry) -> Option<&AccountId> {
    match &entry.ext {
        LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref(),
        LedgerEntryExt::V0 => None,
    }
}

/// Liabilities, and the pools that use a line.
fn line_extras(line: &TrustLineEntry) -> (i64, i64, i64) {
    match &line.ext {
        TrustLineEntryExt::V0 => (0, 0, 0),
        TrustLineEntryExt::V1(v1) => {
            let pools = match &v1.ext {
                TrustLineEntryV1Ext::V2(v2) => v2.liquidity_pool_use_count,
                TrustLineEntryV1Ext::V0 => 0,
            };
            (v1.liabilities.buying, v1.liabilities.selling, pools.into())
        }
    }
}

fn account_aspects(old: &AccountEntry, new: &AccountEntry, words: &mut Vec<String>) {
    moved("balance", old.balance, new.balance, words);
    moved("sequence", old.seq_num.0, new.seq_num.0, words);
    moved("subentries", old.num_sub_entries.into(), new.num_sub_entries.into(), words);
    moved("flags", old.flags.into(), new.flags.into(), words);
    if old.thresholds != new.thresholds {
        words.push(format!("thresholds {:?}", new.thresholds.0));
    }
    if old.signers != new.signers {
        let weights: Vec<u32> = new.signers.iter().map(|signer| signer.weight).collect();
        words.push(format!("signers {weights:?}"));
    }
    if old.home_domain != new.home_domain {
        words.push(format!("domain {}", new.home_domain.0.to_utf8_string_lossy()));
    }
    let liabilities = |account: &AccountEntry| match &account.ext {
        AccountEntryExt::V1(v1) => (v1.liabilities.buying, v1.liabilities.selling),
        AccountEntryExt::V0 => (0, 0),
    };
    moved("buying", liabilities(old).0, liabilities(new).0, words);
    moved("selling", liabilities(old).1, liabilities(new).1, words);
    let (before, after) = (sponsorship_counts(old), sponsorship_counts(new));
    moved("sponsored", before.0, after.0, words);
    moved("sponsoring", before.1, after.1, words);
    if old.inflation_dest != new.inflation_dest {
        words.push("inflation destination".to_owned());
    }
}

fn sponsorship_counts(account: &AccountEntry) -> (i64, i64) {
    if let AccountEntryExt::V1(v1) = &account.ext
        && let AccountEntryExtensionV1Ext::V2(v2) = &v1.ext
    {
        return (v2.num_sponsored.into(), v2.num_sponsoring.into());
    }
    (0, 0)
}

fn moved(what: &str, old: i64, new: i64, words: &mut Vec<String>) {
    if old != new {
        words.push(format!("{what} {:+}", i128::from(new) - i128::from(old)));
    }
}
