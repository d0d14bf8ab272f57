//! What was paid lately, in figures.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use carat_types::PublicKey;
use serde::Serialize;
use stellar_xdr::Asset;

use crate::activity::{PAYMENTS_MAX, Payment, WINDOW_MS};
use crate::format;
use crate::resources::fields::address;
use crate::visibility::Seen;

/// Participants of a matrix; all others are added up.
const PARTICIPANTS_MAX: usize = 12;

/// Payments of the last day, by asset; with participants where one asset is asked for.
#[derive(Clone, Debug, Serialize)]
pub struct ActivityReport {
    /// Begin and end of what was looked at.
    since: String,
    until: String,
    /// Whether all payments of that time were looked at; else only the newest.
    complete: bool,
    payments_max: usize,
    assets: Vec<AssetActivity>,
    participants: Vec<Participant>,
    /// Accounts that are not among the participants.
    other_participants: usize,
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug, Serialize)]
struct AssetActivity {
    asset: String,
    payments: u64,
    amount: String,
    largest: String,
    median: String,
    failed: Vec<Failed>,
}

#[derive(Clone, Debug, Serialize)]
struct Failed {
    result_code: &'static str,
    count: u64,
}

/// One account's positions: what it paid and received, and the difference.
#[derive(Clone, Debug, Serialize)]
struct Participant {
    account: String,
    payments: u64,
    paid: String,
    received: String,
    net: String,
}

/// What one participant paid another.
#[derive(Clone, Debug, Serialize)]
struct Pair {
    from: String,
    to: String,
    payments: u64,
    amount: String,
}

impl ActivityReport {
    /// The report at `now_ms`; with the participants of `asset`, if one is named. `complete` says whether nothing of the
    /// window is missing.
    pub(crate) fn new(seen: &[Seen<Payment>], complete: bool, asset: Option<&Asset>, now_ms: u64) -> Self {
        let of_asset = || seen.iter().filter(|payment| asset.is_none_or(|asset| *asset == payment.asset));
        let mut by_asset: BTreeMap<String, Vec<&Payment>> = BTreeMap::new();
        for payment in of_asset() {
            by_asset.entry(format::canonical_asset(&payment.asset)).or_default().push(payment);
        }
        let start = now_ms.saturating_sub(WINDOW_MS);
        let oldest = seen.first().map_or(start, |payment| payment.time_ms);
        let matrix = asset.map(|_| Matrix::of(of_asset().map(|payment| &**payment)));
        let (participants, other_participants, pairs) =
            matrix.map(|matrix| matrix.shown()).unwrap_or_default();
        ActivityReport {
            since: format::time(if complete { start } else { oldest }),
            until: format::time(now_ms),
            complete,
            payments_max: PAYMENTS_MAX,
            assets: by_asset.into_iter().map(|(asset, payments)| asset_activity(asset, &payments)).collect(),
            participants,
            other_participants,
            pairs,
        }
    }
}

fn asset_activity(asset: String, payments: &[&Payment]) -> AssetActivity {
    let mut amounts: Vec<i64> = payments.iter().filter_map(|payment| payment.outcome.ok()).collect();
    amounts.sort_unstable();
    let mut failed: BTreeMap<&'static str, u64> = BTreeMap::new();
    for code in payments.iter().filter_map(|payment| payment.outcome.err()) {
        *failed.entry(code).or_default() += 1;
    }
    let mut failed: Vec<Failed> =
        failed.into_iter().map(|(result_code, count)| Failed { result_code, count }).collect();
    failed.sort_by_key(|failed| Reverse(failed.count));
    AssetActivity {
        asset,
        payments: amounts.len() as u64,
        amount: format::total(amounts.iter().map(|amount| i128::from(*amount)).sum()),
        largest: format::amount(amounts.last().copied().unwrap_or(0)),
        median: format::amount(amounts.get(amounts.len() / 2).copied().unwrap_or(0)),
        failed,
    }
}

/// Who paid whom.
#[derive(Default)]
struct Matrix {
    pairs: BTreeMap<(PublicKey, PublicKey), (u64, i128)>,
}

/// What one account paid and received, and in how many payments.
#[derive(Clone, Copy, Default)]
struct Position {
    payments: u64,
    paid: i128,
    received: i128,
}

impl Matrix {
    fn of<'a>(payments: impl Iterator<Item = &'a Payment>) -> Self {
        let mut matrix = Matrix::default();
        for payment in payments {
            if let Ok(amount) = payment.outcome {
                let (count, sum) = matrix.pairs.entry((payment.from, payment.to)).or_default();
                *count += 1;
                *sum += i128::from(amount);
            }
        }
        matrix
    }

    /// The participants with the greatest gross positions, the number of the others, and what the former paid each other.
    fn shown(&self) -> (Vec<Participant>, usize, Vec<Pair>) {
        let mut positions: BTreeMap<PublicKey, Position> = BTreeMap::new();
        for ((from, to), (count, sum)) in &self.pairs {
            let payer = positions.entry(*from).or_default();
            payer.payments += count;
            payer.paid += sum;
            let payee = positions.entry(*to).or_default();
            payee.payments += if from == to { 0 } else { *count };
            payee.received += sum;
        }
        let mut ranked: Vec<(PublicKey, Position)> = positions.into_iter().collect();
        ranked.sort_by_key(|(_, position)| Reverse(position.paid + position.received));
        let others = ranked.len().saturating_sub(PARTICIPANTS_MAX);
        ranked.truncate(PARTICIPANTS_MAX);
        let is_shown = |account: &PublicKey| ranked.iter().any(|(shown, _)| shown == account);
        let pairs = self.pairs.iter().filter(|((from, to), _)| is_shown(from) && is_shown(to));
        let pairs = pairs.map(|((from, to), (payments, sum))| Pair {
            from: address(from),
            to: address(to),
            payments: *payments,
            amount: format::total(*sum),
        });
        let pairs = pairs.collect();
        let participants = ranked.iter().map(|(account, position)| Participant {
            account: address(account),
            payments: position.payments,
            paid: format::total(position.paid),
            received: format::total(position.received),
            net: format::total(position.received - position.paid),
        });
        (participants.collect(), others, pairs)
    }
}
