//! `carat audit`: the validators' books beside each other. Every figure is added up here from what each validator answers.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use carat_client::processes::sibling;
use carat_client::rest::{Account, Page, Rest, RestError};
use carat_client::{Network, NodeAddress};
use carat_types::builder::amount;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{Code, Failure, Session};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Records that are asked for at once.
const PAGE: u32 = 200;
/// How often an asset is counted again whose holders were paid meanwhile.
const TRIES: usize = 5;

/// What is audited.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The last ledgers of all validators: the same hash for each, which covers the state root, and each built on the one before
    Roots {
        /// How many ledgers
        #[arg(long, default_value_t = 100)]
        ledgers: u32,
    },
    /// Each asset: the balances of its holders, added up here, against the figure that the validator keeps
    Supply,
    /// Every block of a stopped validator, or of a copy of its home, executed again from the genesis file on, and every root compared
    Replay {
        /// The validator's home folder
        #[arg(long)]
        home: PathBuf,
    },
}

/// Does it.
///
/// **Errors**: [`Code::Failed`] if books differ, after the table; [`Code::NotReady`] if a validator does not answer.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Roots { ledgers } => roots(session, &session.present().await?, ledgers.max(1)).await,
        Command::Supply => supply(session, &session.present().await?).await,
        Command::Replay { home } => replay(session, &home),
    }
}

/// Becomes `carat-node replay`, which knows the store: this program does not.
///
/// **Errors**: it is not there.
fn replay(session: &Session, home: &Path) -> Result<(), Failure> {
    let mut program = process::Command::new(sibling("carat-node")?);
    program.arg("replay").arg("--home").arg(home);
    if session.output.is_json() {
        program.arg("--json");
    }
    let error = program.exec();
    Err(Failure::failed(format!("carat-node cannot be started: {error}")))
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Ledger {
    sequence: u32,
    hash: String,
    #[serde(default)]
    prev_hash: String,
}

/// One validator's ledgers.
#[derive(Debug, Serialize)]
struct RootsRow {
    validator: String,
    first: u32,
    last: u32,
    hash: String,
    differs_at: Option<u32>,
    broken_at: Option<u32>,
}

async fn roots(session: &Session, network: &Network, ledgers: u32) -> Result<(), Failure> {
    let http = Rest::pool()?;
    let asked: Vec<&NodeAddress> = network.nodes.iter().filter(|node| node.is_reachable()).collect();
    let nodes: Vec<Rest> = asked.iter().map(|node| Rest::new(&node.api, http.clone())).collect();
    let mut last = u32::MAX;
    for node in &nodes {
        let newest: Page<Ledger> = node.get("/ledgers?order=desc&limit=1", TIMEOUT).await?;
        last = last.min(newest.embedded.records.first().map_or(0, |ledger| ledger.sequence));
    }
    let first = last.saturating_sub(ledgers - 1).max(1);
    let mut books: Vec<Vec<Ledger>> = Vec::new();
    for node in &nodes {
        books.push(ledgers_of(node, first, last).await?);
    }
    let rows: Vec<RootsRow> =
        asked.iter().zip(&books).map(|(node, book)| roots_row(&node.name, book, &books)).collect();
    let cells = rows.iter().map(|row| {
        let state = match (row.differs_at, row.broken_at) {
            (Some(ledger), _) => format!("differs at ledger {ledger}"),
            (None, Some(ledger)) => format!("ledger {ledger} is not built on the one before"),
            (None, None) => "equal".to_owned(),
        };
        vec![
            row.validator.clone(),
            row.first.to_string(),
            row.last.to_string(),
            row.hash.chars().take(16).collect(),
            state,
        ]
    });
    session.output.rows(&rows, &["validator", "from", "to", "hash of the last", "result"], cells.collect());
    let bad = rows.iter().filter(|row| row.differs_at.is_some() || row.broken_at.is_some()).count();
    if bad > 0 {
        return Err(Failure::failed(format!(
            "the ledgers of {bad} validators do not fit the others', expected none (hint: stop payments, keep all data folders, \
             docs/operations/runbook/misbehaviour.md)"
        )));
    }
    session.say(&format!("ledgers {first} to {last} are equal at {} validators", rows.len()));
    Ok(())
}

async fn ledgers_of(node: &Rest, first: u32, last: u32) -> Result<Vec<Ledger>, RestError> {
    let mut found: Vec<Ledger> = Vec::new();
    let mut next = first;
    while next <= last {
        // The paging token of ledger n is n << 32; a page begins behind its cursor.
        let cursor = (u64::from(next) << 32).saturating_sub(1);
        let page: Page<Ledger> = node.get(&format!("/ledgers?limit={PAGE}&cursor={cursor}"), TIMEOUT).await?;
        let records = page.embedded.records;
        let Some(end) = records.last().map(|ledger| ledger.sequence) else { break };
        found.extend(records.into_iter().filter(|ledger| ledger.sequence <= last));
        next = end.saturating_add(1);
    }
    Ok(found)
}

/// Compares one book with the hash that most validators have for each ledger, and with itself.
fn roots_row(name: &str, book: &[Ledger], books: &[Vec<Ledger>]) -> RootsRow {
    let differs = book.iter().enumerate().find(|(place, ledger)| {
        let mut votes: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for other in books {
            let theirs = other.get(*place).filter(|theirs| theirs.sequence == ledger.sequence);
            *votes.entry(theirs.map(|theirs| theirs.hash.as_str())).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count).and_then(|(hash, _)| hash);
        most != Some(ledger.hash.as_str())
    });
    let pairs = book.windows(2);
    let broken = pairs.filter_map(|pair| match pair {
        [one, next] => {
            (next.prev_hash != one.hash || next.sequence != one.sequence + 1).then_some(next.sequence)
        }
        _ => None,
    });
    RootsRow {
        validator: name.to_owned(),
        first: book.first().map_or(0, |ledger| ledger.sequence),
        last: book.last().map_or(0, |ledger| ledger.sequence),
        hash: book.last().map(|ledger| ledger.hash.clone()).unwrap_or_default(),
        differs_at: differs.map(|(_, ledger)| ledger.sequence),
        broken_at: broken.min(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct AssetFigures {
    asset_code: String,
    asset_issuer: String,
    paging_token: String,
    accounts: BTreeMap<String, i64>,
    balances: BTreeMap<String, String>,
}

/// An asset as one validator has it.
#[derive(Debug, Serialize)]
struct SupplyRow {
    asset: String,
    validator: String,
    holders: usize,
    kept: String,
    counted: String,
    equal: bool,
}

async fn supply(session: &Session, network: &Network) -> Result<(), Failure> {
    let http = Rest::pool()?;
    let mut rows = Vec::new();
    for node in network.nodes.iter().filter(|node| node.is_reachable()) {
        let rest = Rest::new(&node.api, http.clone());
        for asset in assets(&rest).await? {
            rows.push(recount(&rest, &node.name, &asset).await?);
        }
    }
    rows.sort_by(|one, other| (&one.asset, &one.validator).cmp(&(&other.asset, &other.validator)));
    let cells = rows.iter().map(|row| {
        let result = if row.equal { "equal" } else { "DIFFERS" };
        vec![
            row.asset.clone(),
            row.validator.clone(),
            row.holders.to_string(),
            row.kept.clone(),
            row.counted.clone(),
            result.into(),
        ]
    });
    session.output.rows(
        &rows,
        &["asset", "validator", "holders", "kept", "counted", "result"],
        cells.collect(),
    );
    match rows.iter().filter(|row| !row.equal).count() {
        0 => Ok(()),
        bad => Err(Failure::new(
            Code::Failed,
            format!(
                "{bad} sums of balances differ from the figures kept, expected none (hint: ask again when less is paid; if it stays, \
                     keep that validator's data folder and run carat-node rebuild-history)"
            ),
        )),
    }
}

async fn assets(rest: &Rest) -> Result<Vec<AssetFigures>, RestError> {
    let mut found: Vec<AssetFigures> = Vec::new();
    loop {
        let cursor = found.last().map(|asset| asset.paging_token.clone()).unwrap_or_default();
        let page: Page<AssetFigures> =
            rest.get(&format!("/assets?limit={PAGE}&cursor={cursor}"), TIMEOUT).await?;
        let records = page.embedded.records;
        let is_last = records.len() < PAGE as usize;
        found.extend(records);
        if is_last {
            return Ok(found);
        }
    }
}

/// Counts until the figure is the same before and after, so that nothing moved between two pages.
async fn recount(rest: &Rest, validator: &str, asset: &AssetFigures) -> Result<SupplyRow, Failure> {
    let name = format!("{}:{}", asset.asset_code, asset.asset_issuer);
    let mut row = SupplyRow {
        asset: name.clone(),
        validator: validator.to_owned(),
        holders: 0,
        kept: String::new(),
        counted: String::new(),
        equal: false,
    };
    for _ in 0..TRIES {
        let counted = holders(rest, &name).await?;
        let path = format!("/assets?asset_code={}&asset_issuer={}", asset.asset_code, asset.asset_issuer);
        let page: Page<AssetFigures> = rest.get(&path, TIMEOUT).await?;
        let now = page.embedded.records.into_iter().next();
        let kept =
            now.iter().flat_map(|now| now.balances.values()).map(|text| amount::parse(text).map(i128::from));
        let kept: i128 = kept.sum::<Result<i128, _>>()?;
        let lines: i64 = now.iter().flat_map(|now| now.accounts.values()).sum();
        let sum: i128 = counted.values().sum();
        (row.holders, row.kept, row.counted) = (counted.len(), shown(kept), shown(sum));
        row.equal = kept == sum && usize::try_from(lines) == Ok(counted.len());
        if row.equal {
            break;
        }
    }
    Ok(row)
}

async fn holders(rest: &Rest, name: &str) -> Result<BTreeMap<String, i128>, Failure> {
    let mut found: BTreeMap<String, i128> = BTreeMap::new();
    let issued = carat_types::builder::asset::parse(name)?;
    let mut cursor = String::new();
    loop {
        let path = format!("/accounts?asset={}&limit={PAGE}&cursor={cursor}", name.replace(':', "%3A"));
        let page: Page<Account> = rest.get(&path, TIMEOUT).await?;
        let records = page.embedded.records;
        for account in &records {
            found.insert(account.account_id.clone(), i128::from(account.holding(&issued)?));
            cursor.clone_from(&account.account_id);
        }
        if records.len() < PAGE as usize {
            return Ok(found);
        }
    }
}

/// An amount that may be larger than one account holds.
fn shown(units: i128) -> String {
    let (whole, fraction) = (units / 10_000_000, (units % 10_000_000).unsigned_abs());
    format!("{whole}.{fraction:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(hashes: &[&str]) -> Vec<Ledger> {
        let before = std::iter::once(&"").chain(hashes);
        let ledgers = (7..).zip(hashes.iter().zip(before));
        ledgers
            .map(|(sequence, (hash, prev))| Ledger {
                sequence,
                hash: (*hash).into(),
                prev_hash: (*prev).into(),
            })
            .collect()
    }

    #[test]
    fn book_that_differs_from_most_or_from_itself_is_named_with_its_ledger() {
        let good = book(&["a", "b", "c"]);
        let forked = book(&["a", "b", "x"]);
        let books = [good.clone(), good.clone(), good.clone(), forked.clone()];
        let row = roots_row("v0", &good, &books);
        assert_eq!((row.first, row.last, row.differs_at, row.broken_at), (7, 9, None, None));
        assert_eq!(roots_row("v3", &forked, &books).differs_at, Some(9));
        let mut broken = good.clone();
        broken[1].prev_hash = "z".into();
        assert_eq!(roots_row("v0", &broken, &books).broken_at, Some(8));
    }

    #[test]
    fn sum_larger_than_any_balance_is_shown_whole() {
        assert_eq!(shown(92_233_720_368_547_758_070_000_001), "9223372036854775807.0000001");
    }
}
