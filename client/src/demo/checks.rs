//! What must hold at the end, asked of each of the four validators for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use carat_client::Network;
use carat_client::rest::{Page, Rest};
use carat_types::builder::amount;
use serde::Deserialize;
use stellar_xdr::Asset;

use super::report::Report;
use super::scene::{Actor, CURRENCIES, Scene};
use crate::cli::{Failure, status};

/// How long a validator may take to have indexed the last payments, or all to meet at one slot.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Records that are asked for at once.
const PAGE: usize = 200;

/// One payment as history tells it.
#[derive(Debug, Deserialize)]
struct PaymentRecord {
    paging_token: String,
    #[serde(rename = "type")]
    kind: String,
    transaction_hash: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    asset_code: String,
    #[serde(default)]
    asset_issuer: String,
}

/// Makes all checks.
///
/// **Errors**: only what keeps them from being made.
pub(crate) async fn all(scene: &Scene, network: &Network, report: &mut Report) -> Result<(), Failure> {
    let http = Rest::pool()?;
    let nodes: Vec<Rest> = network.nodes.iter().map(|node| Rest::new(&node.api, http.clone())).collect();
    let outcome = on_each(&nodes, |node| exactly_once(scene, node)).await;
    report.check("every acknowledged payment is there exactly once", outcome);
    let outcome = on_each(&nodes, |node| holdings_as_paid(scene, node)).await;
    report.check("every bank holds what its payments leave it", outcome);
    let outcome = on_each(&nodes, |node| conserved(scene, node)).await;
    report.check("holdings equal issuance for each asset", outcome);
    report.check("four equal state roots", equal_roots(network).await);
    Ok(())
}

/// Makes a check on each validator, again until it holds or the time is over: history follows execution.
async fn on_each<'a, F>(nodes: &'a [Rest], check: impl Fn(&'a Rest) -> F) -> Result<String, String>
where
    F: Future<Output = Result<String, String>>,
{
    let mut said = String::new();
    for node in nodes {
        let began = Instant::now();
        said = loop {
            match check(node).await {
                Ok(detail) => break detail,
                Err(reason) if began.elapsed() > PATIENCE => {
                    return Err(format!("{}: {reason}", node.base()));
                }
                Err(_) => tokio::time::sleep(INTERVAL).await,
            }
        };
    }
    Ok(format!("{said}, on each of {} validators", nodes.len()))
}

/// Every acknowledged payment stands once in its payer's history, and nothing else does.
async fn exactly_once(scene: &Scene, node: &Rest) -> Result<String, String> {
    for (from, bank) in scene.banks.iter().enumerate() {
        let address = bank.address();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for record in history(node, bank).await? {
            if record.kind == "payment" && record.from == address {
                *seen.entry(record.transaction_hash).or_default() += 1;
            }
        }
        let paid: BTreeSet<String> = scene
            .payments
            .iter()
            .filter(|payment| payment.from == from)
            .map(|p| p.hash.to_string())
            .collect();
        for hash in &paid {
            match seen.get(hash) {
                Some(1) => {}
                Some(count) => return Err(format!("payment {hash} of {} is there {count} times", bank.name)),
                None => return Err(format!("acknowledged payment {hash} of {} is not there", bank.name)),
            }
        }
        if let Some(hash) = seen.keys().find(|hash| !paid.contains(*hash)) {
            return Err(format!("payment {hash} of {} is there but was never acknowledged", bank.name));
        }
    }
    Ok(format!("{} payments", scene.payments.len()))
}

/// Every bank's balance is what it was issued, less what it paid, plus what it was paid.
async fn holdings_as_paid(scene: &Scene, node: &Rest) -> Result<String, String> {
    let expected = scene.expected();
    for (bank, actor) in scene.banks.iter().enumerate() {
        for (currency, (code, _)) in CURRENCIES.iter().enumerate() {
            let seen = holding(node, actor, &asset(scene, currency)?).await?;
            let expected = expected.get(&(bank, currency)).copied().unwrap_or(0);
            if seen != expected {
                let (seen, expected) = (amount::format(seen), amount::format(expected));
                return Err(format!("{} holds {seen} {code}, expected {expected}", actor.name));
            }
        }
    }
    Ok(format!("{} holdings", expected.len()))
}

/// The sum of all holdings of an asset is what its issuer paid out less what came back, by its own history.
async fn conserved(scene: &Scene, node: &Rest) -> Result<String, String> {
    let mut totals = Vec::new();
    for (currency, (anchor, (code, _))) in scene.anchors.iter().zip(CURRENCIES).enumerate() {
        let issuer = anchor.address();
        let mut issued: i64 = 0;
        for record in history(node, anchor).await? {
            if record.kind == "payment" && record.asset_code == code && record.asset_issuer == issuer {
                let amount = amount::parse(&record.amount).map_err(|error| error.to_string())?;
                issued += if record.from == issuer { amount } else { -amount };
            }
        }
        let mut held: i64 = 0;
        for bank in &scene.banks {
            held += holding(node, bank, &asset(scene, currency)?).await?;
        }
        let (held, issued) = (amount::format(held), amount::format(issued));
        if held != issued {
            return Err(format!("{held} {code} are held, {issued} were issued"));
        }
        totals.push(format!("{held} {code}"));
    }
    Ok(totals.join(" and "))
}

/// All validators show the same state root at the same slot.
async fn equal_roots(network: &Network) -> Result<String, String> {
    let began = Instant::now();
    loop {
        let rows = status::cluster(network).await.map_err(|failure| failure.to_string())?;
        let shown: Vec<(u64, &str)> = rows
            .iter()
            .filter_map(|row| row.status())
            .map(|status| (status.slot, status.state_root.as_str()))
            .collect();
        let roots: BTreeMap<u64, BTreeSet<&str>> =
            shown.iter().fold(BTreeMap::new(), |mut roots, (slot, root)| {
                roots.entry(*slot).or_insert_with(BTreeSet::new).insert(root);
                roots
            });
        if let Some((slot, roots)) = roots.iter().find(|(_, roots)| roots.len() > 1) {
            let roots: Vec<_> = roots.iter().copied().collect();
            return Err(format!("different state roots at slot {slot}: {}", roots.join(", ")));
        }
        if let (Some((slot, root)), 1, true) = (shown.first(), roots.len(), shown.len() == rows.len()) {
            return Ok(format!("{} at slot {slot}", root.chars().take(16).collect::<String>()));
        }
        if began.elapsed() > PATIENCE {
            let slots: Vec<_> = shown.iter().map(|(slot, _)| slot.to_string()).collect();
            return Err(format!("the validators do not meet at one slot: they are at {}", slots.join(", ")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// All payments of an account, page by page.
async fn history(node: &Rest, actor: &Actor) -> Result<Vec<PaymentRecord>, String> {
    let mut records: Vec<PaymentRecord> = Vec::new();
    loop {
        let cursor = records.last().map_or_else(|| "0".to_owned(), |record| record.paging_token.clone());
        let path = format!("/accounts/{}/payments?order=asc&limit={PAGE}&cursor={cursor}", actor.address());
        let page: Page<PaymentRecord> = node.get(&path, TIMEOUT).await.map_err(|error| error.to_string())?;
        let count = page.embedded.records.len();
        records.extend(page.embedded.records);
        if count < PAGE {
            return Ok(records);
        }
    }
}

fn asset(scene: &Scene, currency: usize) -> Result<Asset, String> {
    scene.asset(currency).map_err(|failure| failure.to_string())
}

/// What an account holds of an asset, by one node. **Units**: stroops.
async fn holding(node: &Rest, actor: &Actor, asset: &Asset) -> Result<i64, String> {
    let account = node.account(&actor.address(), TIMEOUT).await.map_err(|error| error.to_string())?;
    account.holding(asset).map_err(|error| error.to_string())
}
