//! `carat path`: payments that leave in one asset and arrive in another.

use carat_client::{Client, keystore};
use carat_types::builder::{amount, asset, market};
use clap::{Args, Subcommand};
use serde_json::Value;
use stellar_xdr::{Asset, Operation};

use super::query::{self, Query, asset_of, text};
use super::{Failure, Session};

/// What can be done with paths.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ways on which an account could deliver an amount, or with --into, what an amount would become
    Find(FindArguments),
    /// Pay: exactly AMOUNT of ASSET arrives, or with --into, exactly AMOUNT of ASSET leaves
    Pay(PayArguments),
}

/// Which ways.
#[derive(Debug, Args)]
pub(crate) struct FindArguments {
    /// Who would pay: an identity or an address
    from: String,
    /// How much
    amount: String,
    /// native, or CODE:ISSUER: what is to arrive, or with --into what leaves
    asset: String,
    /// What is to arrive, where the amount counts what leaves
    #[arg(long, value_name = "ASSET")]
    into: Option<String>,
}

/// A payment over a path.
#[derive(Debug, Args)]
pub(crate) struct PayArguments {
    /// The identity that pays and signs
    from: String,
    /// An identity, or an address that begins with G or M
    to: String,
    /// How much
    amount: String,
    /// native, or CODE:ISSUER: what arrives, or with --into what leaves
    asset: String,
    /// What leaves, where the amount counts what arrives
    #[arg(long, value_name = "ASSET", requires = "at_most", required_unless_present = "into")]
    with: Option<String>,
    /// The most of it that may leave
    #[arg(long, value_name = "AMOUNT")]
    at_most: Option<String>,
    /// What arrives, where the amount counts what leaves
    #[arg(long, value_name = "ASSET", requires = "at_least", conflicts_with = "with")]
    into: Option<String>,
    /// The least of it that must arrive
    #[arg(long, value_name = "AMOUNT")]
    at_least: Option<String>,
    /// Assets on the way, in order; the best way that a node knows, if not said
    #[arg(long, value_name = "ASSET,...", value_delimiter = ',')]
    through: Option<Vec<String>>,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Find(arguments) => find(session, arguments).await,
        Command::Pay(arguments) => {
            let from = arguments.from.clone();
            let operation = operation(session, arguments).await?;
            session.execute(&from, vec![operation]).await
        }
    }
}

async fn find(session: &Session, arguments: FindArguments) -> Result<(), Failure> {
    let client = session.client().await?;
    let (asset, amount) = (session.asset(&arguments.asset)?, checked(&arguments.amount)?);
    let records = match &arguments.into {
        Some(into) => sending(&client, &asset, &amount, &session.asset(into)?).await?,
        None => {
            let from = keystore::address(&session.account(&arguments.from)?);
            ways(&client, from, &asset, &amount).await?
        }
    };
    let rows = records.iter().map(|record| {
        vec![
            text(record, "source_amount"),
            asset_of(record, "source_"),
            query::way(record).join(" -> "),
            text(record, "destination_amount"),
            asset_of(record, "destination_"),
        ]
    });
    session.output.rows(&records, &["leaves", "of", "through", "arrives", "of"], rows.collect());
    if records.is_empty() {
        session.say("no way: the offers on the books do not lead there in this amount");
    }
    Ok(())
}

async fn operation(session: &Session, arguments: PayArguments) -> Result<Operation, Failure> {
    let client = session.client().await?;
    let destination = session.destination(&arguments.to)?;
    let (asset, amount) = (session.asset(&arguments.asset)?, amount::parse(&arguments.amount)?);
    let text = amount::format(amount);
    let through = match &arguments.through {
        Some(assets) => Some(assets.iter().map(|asset| session.asset(asset)).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let limit = |limit: &Option<String>| amount::parse(limit.as_deref().unwrap_or_default());
    match (&arguments.into, &arguments.with) {
        (Some(into), _) => {
            let into = session.asset(into)?;
            let path = match through {
                Some(path) => path,
                None => best(&sending(&client, &asset, &text, &into).await?)?,
            };
            let least = limit(&arguments.at_least)?;
            Ok(market::path_payment_strict_send(destination, (asset, amount), (into, least), path)?)
        }
        (None, Some(with)) => {
            let with = session.asset(with)?;
            let path = match through {
                Some(path) => path,
                None => {
                    let query = Query::default().with("source_assets", named(&with));
                    best(&delivering(&client, query, &asset, &text).await?)?
                }
            };
            let most = limit(&arguments.at_most)?;
            Ok(market::path_payment_strict_receive(destination, (with, most), (asset, amount), path)?)
        }
        (None, None) => Err(Failure::usage("what leaves? (hint: --with ASSET --at-most AMOUNT)")),
    }
}

/// The ways on which the account at `from` could deliver an amount, cheapest first.
///
/// **Errors**: the node's.
pub(crate) async fn ways(
    client: &Client,
    from: String,
    asset: &Asset,
    amount: &str,
) -> Result<Vec<Value>, Failure> {
    delivering(client, Query::default().with("source_account", from), asset, amount).await
}

async fn delivering(
    client: &Client,
    query: Query,
    asset: &Asset,
    amount: &str,
) -> Result<Vec<Value>, Failure> {
    let query = query.with_asset("destination_asset", asset).with("destination_amount", amount);
    query::all(client, "/paths/strict-receive", query).await
}

async fn sending(client: &Client, asset: &Asset, amount: &str, into: &Asset) -> Result<Vec<Value>, Failure> {
    let query = Query::default()
        .with_asset("source_asset", asset)
        .with("source_amount", amount)
        .with("destination_assets", named(into));
    query::all(client, "/paths/strict-send", query).await
}

/// The way that a node lists first: the cheapest, or the one on which the most arrives.
fn best(records: &[Value]) -> Result<Vec<Asset>, Failure> {
    let none = "no way: the offers on the books do not lead there in this amount (hint: carat path find, or --through)";
    let record = records.first().ok_or_else(|| Failure::failed(none))?;
    query::way(record).iter().map(|text| Ok(asset::parse(text)?)).collect()
}

/// An asset as lists of assets name it.
fn named(asset: &Asset) -> String {
    asset::format(asset)
}

/// An amount, in the form in which nodes write it.
fn checked(text: &str) -> Result<String, Failure> {
    Ok(amount::format(amount::parse(text)?))
}
