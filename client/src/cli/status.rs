//! `carat status`: how the validators are.

use std::time::Duration;

use carat_client::rest::Rest;
use carat_client::{Network, NodeAddress};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Code, Failure, Session};

/// How long one validator may take to say how it is.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Every validator of the network, not only the first
    #[arg(long)]
    cluster: bool,
}

/// What a validator says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Status {
    /// Its place among the validators of the genesis file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validator: Option<u16>,
    /// Its place among the proposers of an edge network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposer: Option<u16>,
    /// State in a word.
    pub(crate) state: String,
    /// Everything that is wrong, in sentences.
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    /// Its release.
    pub(crate) version: String,
    /// Its view.
    pub(crate) view: u64,
    /// The number of the process that leads that view.
    pub(crate) leader: u16,
    /// leader or follower; acceptor or proposer on an edge network.
    pub(crate) role: String,
    /// Its last executed slot.
    pub(crate) slot: u64,
    /// That slot's ledger.
    pub(crate) ledger: u32,
    /// Its stable checkpoint.
    pub(crate) stable: u64,
    /// State root after the last executed slot.
    pub(crate) state_root: String,
}

/// A validator and what it says, if it says anything.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    #[serde(flatten)]
    status: Option<Status>,
    error: Option<String>,
    /// Whether it could be asked: else nobody here knows how it is.
    #[serde(skip)]
    is_known: bool,
}

/// Shows it.
///
/// **Errors**: a validator that does not answer or is not ready, after the table.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let network = session.present().await?;
    let mut rows = cluster(&network).await?;
    if !arguments.cluster {
        let first = network.processes().position(NodeAddress::is_reachable).unwrap_or_default();
        rows = rows.into_iter().skip(first).take(1).collect();
    }
    session.output.rows(&rows, &HEAD, rows.iter().map(cells).collect());
    let unwell: Vec<_> = rows.iter().filter_map(Row::complaint).collect();
    if unwell.is_empty() { Ok(()) } else { Err(Failure::new(Code::NotReady, unwell.join("; "))) }
}

/// Asks every validator at once.
pub(crate) async fn cluster(network: &Network) -> Result<Vec<Row>, Failure> {
    let http = Rest::pool()?;
    let questions: Vec<_> = network
        .processes()
        .map(|node| {
            let rest = Rest::new(&node.metrics, http.clone());
            tokio::spawn(async move { rest.get::<Status>("/status", TIMEOUT).await })
        })
        .collect();
    let mut rows = Vec::new();
    for (node, question) in network.processes().zip(questions) {
        let answer = question.await.map_err(|error| Failure::failed(error.to_string()))?;
        let (status, error) = match answer {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
        rows.push(Row { name: node.name.clone(), status, error, is_known: !node.metrics.is_empty() });
    }
    Ok(rows)
}

/// The columns of [`cells`].
pub(crate) const HEAD: [&str; 9] =
    ["validator", "state", "ledger", "slot", "state root", "view", "role", "stable", "version"];

/// A validator's row.
pub(crate) fn cells(row: &Row) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    match &row.status {
        Some(status) => cells.extend([
            status.state.clone(),
            status.ledger.to_string(),
            status.slot.to_string(),
            status.state_root.chars().take(16).collect(),
            status.view.to_string(),
            status.role.clone(),
            status.stable.to_string(),
            status.version.clone(),
        ]),
        None => cells.push(if row.is_known { "down" } else { "no address" }.into()),
    }
    cells.resize(HEAD.len(), String::new());
    cells
}

impl Row {
    /// What the validator says.
    pub(crate) fn status(&self) -> Option<&Status> {
        self.status.as_ref()
    }

    fn complaint(&self) -> Option<String> {
        match (&self.status, &self.error) {
            (Some(status), _) if status.reasons.is_empty() => None,
            (Some(status), _) => {
                Some(format!("{} is {}: {}", self.name, status.state, status.reasons.join(", ")))
            }
            (None, error) => {
                let state = if self.is_known { "down" } else { "not known" };
                Some(format!("{} is {state}: {}", self.name, error.as_deref().unwrap_or("no answer")))
            }
        }
    }
}
