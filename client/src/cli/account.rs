//! `carat account` and `carat friendbot`.

use std::time::Duration;

use carat_client::rest::RestError;
use carat_client::{Client, ClientError, keystore};
use carat_types::builder::{amount, operation};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Failure, Session};

/// How long friendbot may take: it pays, and waits for the outcome.
const FRIENDBOT_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a node may take to show an account.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Holdings, signers, thresholds, as one node knows them
    Show {
        /// An identity or an address
        account: String,
    },
    /// Make an account, paid for by another
    Create {
        /// The new account: an identity or an address
        account: String,
        /// Native coin that it starts with
        #[arg(long, default_value = "1000")]
        balance: String,
        /// The identity that pays and signs
        #[arg(long, value_name = "IDENTITY")]
        from: String,
    },
}

/// Whom to give coins.
#[derive(Debug, Args)]
pub(crate) struct FriendbotArguments {
    /// An identity or an address
    account: String,
    /// Make the identity first
    #[arg(long)]
    new: bool,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Show { account } => show(session, &account).await,
        Command::Create { account, balance, from } => {
            let account = session.account(&account)?;
            let balance = amount::parse(&balance)?;
            session.execute(&from, vec![operation::create_account(account.into(), balance)]).await
        }
    }
}

/// Asks a test network for coins.
pub(crate) async fn friendbot(session: &Session, arguments: FriendbotArguments) -> Result<(), Failure> {
    let client = session.client().await?;
    if arguments.new {
        session.keys()?.add_secret(&arguments.account, &keystore::generate()?)?;
    }
    let address = keystore::address(&session.account(&arguments.account)?);
    let path = format!("/friendbot?addr={address}");
    let paid: Value = client.ask(|node| node.get(&path, FRIENDBOT_TIMEOUT)).await?;
    match fetch(&client, &address).await {
        Ok(account) => print(session, &account),
        // On a members' network whoever asks for the coins need not be who may see the account.
        Err(ClientError::Rest(RestError::Problem(problem))) if problem.status == 404 => {
            let transaction = paid["hash"].as_str().unwrap_or_default().to_owned();
            let fields = [("address", address), ("transaction", transaction)];
            session.output.fields(&paid, &fields);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn show(session: &Session, account: &str) -> Result<(), Failure> {
    let address = keystore::address(&session.account(account)?);
    print(session, &fetch(&session.client().await?, &address).await?);
    Ok(())
}

async fn fetch(client: &Client, address: &str) -> Result<Value, ClientError> {
    let path = format!("/accounts/{address}");
    client.ask(|node| node.get(&path, TIMEOUT)).await
}

fn print(session: &Session, account: &Value) {
    let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
    let mut fields = vec![("address", text("account_id")), ("sequence", text("sequence"))];
    let list = |name: &str| account[name].as_array().cloned().unwrap_or_default();
    for balance in list("balances") {
        let part = |name: &str| balance[name].as_str().unwrap_or_default().to_owned();
        let asset = match part("asset_code") {
            code if code.is_empty() => "native".to_owned(),
            code => format!("{code}:{}", part("asset_issuer")),
        };
        fields.push(("holds", format!("{} {asset}", part("balance"))));
    }
    for signer in list("signers") {
        let key = signer["key"].as_str().unwrap_or_default();
        fields.push(("signer", format!("{key} weight {}", signer["weight"])));
    }
    let thresholds = &account["thresholds"];
    let (low, medium, high) =
        (&thresholds["low_threshold"], &thresholds["med_threshold"], &thresholds["high_threshold"]);
    fields.push(("thresholds", format!("low {low}, medium {medium}, high {high}")));
    session.output.fields(account, &fields);
}
