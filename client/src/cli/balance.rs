//! `carat balance`: money set aside for somebody who claims it.

use carat_client::{Finality, keystore};
use carat_types::builder::{amount, claimable};
use clap::{Args, Subcommand};
use serde_json::Value;
use stellar_xdr::{
    ClaimPredicate, ClaimableBalanceId, CreateClaimableBalanceResult, OperationResult, OperationResultTr,
    TransactionResultResult,
};

use super::query::{self, Query, text};
use super::session::now_seconds;
use super::{Failure, Session};

/// What can be done with balances that wait.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set an amount aside for others to claim
    #[command(name = "create")]
    Create(CreateArguments),
    /// Claim a balance, all of it
    Claim {
        /// The identity that claims and signs
        claimant: String,
        /// The balance's id, as list shows it
        id: String,
    },
    /// Balances that wait
    List {
        /// Only what this account may claim: an identity or an address
        #[arg(long)]
        claimant: Option<String>,
        /// Only what this account set aside
        #[arg(long)]
        sponsor: Option<String>,
        /// Only of this asset
        #[arg(long)]
        asset: Option<String>,
    },
}

/// A balance to set aside.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// What is made: `claimable` is the only kind
    #[arg(value_parser = ["claimable"])]
    kind: String,
    /// The identity that pays and signs
    from: String,
    /// How much
    amount: String,
    /// native, or CODE:ISSUER
    asset: String,
    /// Who may claim: identities or addresses, ten at most
    #[arg(long = "for", value_name = "ACCOUNT,...", value_delimiter = ',', required = true)]
    claimants: Vec<String>,
    /// Only within so many seconds from now; the payer may take it back afterwards
    #[arg(long, value_name = "SECONDS")]
    within: Option<u32>,
    /// Only so many seconds from now and later
    #[arg(long, value_name = "SECONDS")]
    after: Option<u32>,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create(session, arguments).await,
        Command::Claim { claimant, id } => {
            session.execute(&claimant, vec![claimable::claim_claimable_balance(parse_id(&id)?)]).await
        }
        Command::List { claimant, sponsor, asset } => list(session, claimant, sponsor, asset).await,
    }
}

async fn create(session: &Session, arguments: CreateArguments) -> Result<(), Failure> {
    let asset = session.asset(&arguments.asset)?;
    let now = i64::try_from(now_seconds()).unwrap_or(i64::MAX);
    let from = arguments.after.map(|seconds| now.saturating_add(seconds.into()));
    let until = arguments.within.map(|seconds| now.saturating_add(seconds.into()));
    let mut claimants = Vec::new();
    for claimant in &arguments.claimants {
        claimants.push((session.account(claimant)?.into(), condition(from, until)));
    }
    if let Some(until) = until {
        claimants.push((session.account(&arguments.from)?.into(), claimable::from(until)));
    }
    let operation = claimable::create_claimable_balance(asset, amount::parse(&arguments.amount)?, claimants)?;
    let finality = session.settle(&arguments.from, vec![operation]).await?;
    let more = created(&finality).map(|id| vec![("balance", id.to_string())]).unwrap_or_default();
    session.show_with(&finality, more)
}

fn condition(from: Option<i64>, until: Option<i64>) -> ClaimPredicate {
    match (from, until) {
        (None, None) => ClaimPredicate::Unconditional,
        (Some(from), None) => claimable::from(from),
        (None, Some(until)) => claimable::before(until),
        (Some(from), Some(until)) => claimable::both(claimable::from(from), claimable::before(until)),
    }
}

/// The id of the balance that a transaction made.
fn created(finality: &Finality) -> Option<ClaimableBalanceId> {
    let TransactionResultResult::TxSuccess(results) = &finality.result.result else { return None };
    match results.first()? {
        OperationResult::OpInner(OperationResultTr::CreateClaimableBalance(
            CreateClaimableBalanceResult::Success(id),
        )) => Some(id.clone()),
        _ => None,
    }
}

async fn list(
    session: &Session,
    claimant: Option<String>,
    sponsor: Option<String>,
    asset: Option<String>,
) -> Result<(), Failure> {
    let mut query = Query::default();
    for (name, account) in [("claimant", claimant), ("sponsor", sponsor)] {
        if let Some(account) = account {
            query = query.with(name, keystore::address(&session.account(&account)?));
        }
    }
    if let Some(asset) = asset {
        query = query.with("asset", carat_types::builder::asset::format(&session.asset(&asset)?));
    }
    let records = query::records(&session.client().await?, "/claimable_balances", query).await?;
    let rows = records.iter().map(|record| {
        vec![text(record, "id"), text(record, "amount"), text(record, "asset"), claimants(record)]
    });
    session.output.rows(&records, &["id", "amount", "asset", "claimants"], rows.collect());
    Ok(())
}

fn claimants(record: &Value) -> String {
    let claimants = record["claimants"].as_array().map(Vec::as_slice).unwrap_or_default();
    claimants.iter().map(|claimant| text(claimant, "destination")).collect::<Vec<_>>().join(", ")
}

/// The id of a balance: 72 hexadecimal digits as lists show it, or its address that begins with B.
fn parse_id(text: &str) -> Result<ClaimableBalanceId, Failure> {
    let refused = || {
        let expected = "expected 72 hexadecimal digits, or an address that begins with B";
        Failure::usage(format!("{text:?} is no balance, {expected} (hint: carat balance list)"))
    };
    // The text of the wire format's own type is the address; lists show the XDR in hexadecimal digits.
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let digits = text.strip_prefix("00000000").ok_or_else(refused)?;
    let hash: carat_types::Digest = digits.parse().map_err(|_| refused())?;
    Ok(ClaimableBalanceId::ClaimableBalanceIdTypeV0(stellar_xdr::Hash(*hash.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_read_in_both_forms() {
        let hash = [7; 32];
        let id = ClaimableBalanceId::ClaimableBalanceIdTypeV0(stellar_xdr::Hash(hash));
        let digits = format!("00000000{}", carat_types::Digest(hash));
        assert_eq!(parse_id(&digits).expect("good"), id);
        assert_eq!(parse_id(&id.to_string()).expect("good"), id);
        for text in ["", "00000000", "11111111", "B", &digits[1..]] {
            assert!(parse_id(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn condition_is_the_narrowest_that_was_asked_for() {
        assert_eq!(condition(None, None), ClaimPredicate::Unconditional);
        assert_eq!(condition(None, Some(9)), ClaimPredicate::BeforeAbsoluteTime(9));
        let from = ClaimPredicate::Not(Some(Box::new(ClaimPredicate::BeforeAbsoluteTime(5))));
        assert_eq!(condition(Some(5), None), from);
        let ClaimPredicate::And(both) = condition(Some(5), Some(9)) else { panic!("both") };
        assert_eq!(both.as_slice(), [from, ClaimPredicate::BeforeAbsoluteTime(9)]);
    }
}
