//! `carat federation`: names such as `alice*bank.example`.
//!
//! Each bank keeps its directory at its own node, and the nodes of the network are known; so they are asked, and nobody
//! else. Whose name it is decides the domain behind the `*`: a node answers for its own bank alone.

use std::time::Duration;

use carat_client::Client;
use carat_client::rest::RestError;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::query::Query;
use super::{Code, Failure, Session};

/// How long a node may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What can be done with names.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The account behind a name, or the name behind an account or a transaction
    Lookup {
        /// A name such as alice*bank.example, an address, or a transaction's hash
        subject: String,
    },
}

/// What a directory says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The name.
    #[serde(default)]
    pub(crate) stellar_address: Option<String>,
    /// The account.
    pub(crate) account_id: String,
    /// Kind of the memo that a payment must carry.
    #[serde(default)]
    pub(crate) memo_type: Option<String>,
    /// That memo.
    #[serde(default)]
    pub(crate) memo: Option<String>,
}

/// Does it.
pub(crate) async fn run(session: &Session, Command::Lookup { subject }: Command) -> Result<(), Failure> {
    let record = lookup(&session.client().await?, &subject).await?;
    let mut fields = vec![("account", record.account_id.clone())];
    fields.extend(record.stellar_address.iter().map(|name| ("name", name.clone())));
    fields.extend(record.memo_type.iter().map(|kind| ("memo type", kind.clone())));
    fields.extend(record.memo.iter().map(|memo| ("memo", memo.clone())));
    session.output.fields(&record, &fields);
    Ok(())
}

/// Asks the nodes in turn, until one knows.
pub(crate) async fn lookup(client: &Client, subject: &str) -> Result<Record, Failure> {
    let query = Query::default().with("q", subject).with("type", kind(subject));
    let path = query.path("/federation");
    let mut unreached = None;
    for node in client.nodes() {
        match node.get::<Record>(&path, TIMEOUT).await {
            Ok(record) => return Ok(record),
            Err(RestError::Problem(problem)) if problem.status == 404 => {}
            Err(error) => unreached = Some(error),
        }
    }
    match unreached {
        // One that did not answer may be the one that knows.
        Some(error) => {
            Err(Failure::new(Code::NotReady, format!("{subject} is not found where nodes answer; {error}")))
        }
        None => Err(Failure::failed(format!(
            "no bank of this network knows {subject} (hint: the bank's node must have a directory, see docs/operations/configuration.md)"
        ))),
    }
}

fn kind(subject: &str) -> &'static str {
    let hash = subject.len() == 64 && subject.bytes().all(|byte| byte.is_ascii_hexdigit());
    match subject {
        name if name.contains('*') => "name",
        _ if hash => "txid",
        _ => "id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_is_recognised_by_its_form() {
        assert_eq!(kind("alice*bank.example"), "name");
        assert_eq!(kind(&"0".repeat(64)), "txid");
        assert_eq!(kind("GCIBUCGPOHWMMMFPFTDWBSVHQRT4DIBJ7AD6BZJYDITBK2LCVBYW7HUQ"), "id");
    }
}
