//! What the validators say in the end, each for itself: the same ledgers, the same transactions, the same balances.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carat_client::rest::{Page, Rest};
use carat_types::Digest;
use serde::Deserialize;

use crate::bank::{Bank, address};
use crate::cluster::Cluster;
use crate::history::Committed;

/// Records that are asked for at once.
const PAGE: usize = 200;
/// How long one page may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a validator may take to have indexed what it executed.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct TransactionRecord {
    hash: String,
    paging_token: String,
    successful: bool,
}

#[derive(Debug, Deserialize)]
struct LedgerRecord {
    sequence: u32,
    hash: String,
    paging_token: String,
}

trait Record {
    fn cursor(&self) -> &str;
}

impl Record for TransactionRecord {
    fn cursor(&self) -> &str {
        &self.paging_token
    }
}

impl Record for LedgerRecord {
    fn cursor(&self) -> &str {
        &self.paging_token
    }
}

/// What all validators agree upon, and how often they do not.
#[derive(Debug)]
pub struct Agreed {
    /// The transactions behind the opening of the accounts, in the order of the first validator.
    pub committed: Vec<Committed>,
    /// Ledgers, transactions or balances in which two validators differ.
    pub forked: usize,
    /// Ledgers that all validators have.
    pub ledgers: usize,
}

/// Asks every validator for everything and compares.
///
/// `opened` is the position behind which the payments begin; `told` is what clients were told, which the first validator is given
/// time to have indexed.
///
/// **Errors**: a validator does not answer, or lacks what the others have when the time is over.
pub async fn compare(cluster: &Cluster, bank: &Bank, opened: u64, told: &BTreeSet<Digest>) -> Result<Agreed> {
    let http = Rest::pool()?;
    let nodes: Vec<Rest> = cluster.nodes().iter().map(|node| Rest::new(&node.api, http.clone())).collect();
    let first = nodes.first().context("a validator")?;
    let reference = with(first, told).await?;
    let mut forked = 0;
    let mut ledgers: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for node in &nodes {
        let own = at_least(node, reference.len()).await?;
        forked += usize::from(own.iter().zip(&reference).any(|(own, other)| own != other));
        for ledger in all::<LedgerRecord>(node, "/ledgers").await? {
            ledgers.entry(ledger.sequence).or_default().insert(ledger.hash);
        }
    }
    forked += ledgers.values().filter(|hashes| hashes.len() > 1).count();
    for key in &bank.keys {
        let mut shown = BTreeSet::new();
        for node in &nodes {
            let account = node.account(&address(key), TIMEOUT).await?;
            let balances: Vec<&str> = account.balances.iter().map(|it| it.balance.as_str()).collect();
            shown.insert(format!("{} {}", account.sequence, balances.join(" ")));
        }
        forked += usize::from(shown.len() > 1);
    }
    let committed = reference.into_iter().filter(|it| it.position > opened).collect();
    Ok(Agreed { committed, forked, ledgers: ledgers.len() })
}

/// The position of the newest transaction that a validator has.
///
/// **Errors**: it does not answer, or has none.
pub async fn newest(cluster: &Cluster) -> Result<u64> {
    let node = cluster.nodes().first().context("a validator")?;
    let rest = Rest::new(&node.api, Rest::pool()?);
    let transactions = transactions(&rest).await?;
    Ok(transactions.last().context("a transaction")?.position)
}

/// All transactions of a node, once those that clients were told of are among them: history follows execution. What is not there
/// when the time is over is lost.
async fn with(node: &Rest, told: &BTreeSet<Digest>) -> Result<Vec<Committed>> {
    let began = Instant::now();
    loop {
        let own = transactions(node).await?;
        let there: BTreeSet<Digest> = own.iter().map(|it| it.hash).collect();
        if told.is_subset(&there) || began.elapsed() > PATIENCE {
            return Ok(own);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// All transactions of a node, once there are at least `count`: history follows execution.
async fn at_least(node: &Rest, count: usize) -> Result<Vec<Committed>> {
    let began = Instant::now();
    loop {
        let own = transactions(node).await?;
        if own.len() >= count {
            return Ok(own);
        }
        if began.elapsed() > PATIENCE {
            bail!("{} has {} transactions, another validator has {count}", node.base(), own.len());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn transactions(node: &Rest) -> Result<Vec<Committed>> {
    let records = all::<TransactionRecord>(node, "/transactions?include_failed=true").await?;
    records
        .into_iter()
        .map(|record| {
            let hash: Digest =
                record.hash.parse().map_err(|_| anyhow::anyhow!("{} is no hash", record.hash))?;
            Ok(Committed { hash, position: record.paging_token.parse()?, successful: record.successful })
        })
        .collect()
}

/// A whole collection, page by page.
async fn all<T: for<'de> Deserialize<'de> + Record>(node: &Rest, path: &str) -> Result<Vec<T>> {
    let mut records: Vec<T> = Vec::new();
    let joint = if path.contains('?') { '&' } else { '?' };
    loop {
        let cursor = records.last().map_or("0", Record::cursor).to_owned();
        let path = format!("{path}{joint}order=asc&limit={PAGE}&cursor={cursor}");
        let page: Page<T> = node.get(&path, TIMEOUT).await?;
        let count = page.embedded.records.len();
        records.extend(page.embedded.records);
        if count < PAGE {
            return Ok(records);
        }
    }
}
