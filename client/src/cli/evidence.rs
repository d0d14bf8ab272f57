//! `carat evidence`: what convicts validators, on its way into the ledger and there. Every piece that a node shows is checked
//! here against the genesis file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_client::evidence::{SubmitError, prepare, refusal_in_words};
use carat_client::outcome::Outcome;
use carat_client::rest::Rest;
use carat_types::accountability::Offence;
use carat_types::codec::Decode as _;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::evidence::Evidence;
use carat_types::validators::Ed25519;
use carat_types::{Digest, SignerSet};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::epochs::Conviction;
use super::{Failure, Session, epochs, governance};

/// How long one validator may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is done with evidence; nothing named, it is shown.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
enum Command {
    /// Submit a piece to the ledger, which checks it and records whom it convicts
    Submit {
        /// Its id, as `carat evidence` prints it, or how the id of only one begins
        id: Option<String>,
        /// A file with it, as bytes or base64, instead of what validators keep
        #[arg(long, conflicts_with = "id")]
        file: Option<PathBuf>,
        /// The identity whose account pays the fee: any
        #[arg(long, value_name = "IDENTITY")]
        from: String,
    },
    /// Which validators the ledger has on record
    List,
}

#[derive(Debug, Deserialize)]
struct Answer {
    evidence: Vec<Piece>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    bytes: String,
}

/// A piece that holds, and who keeps it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    code: &'static str,
    convicted: Vec<String>,
    slot: Option<u64>,
    what: &'static str,
    kept_by: Vec<String>,
    id: Digest,
    bytes: String,
}

/// Does it.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        None => show(session).await,
        Some(Command::List) => list(session).await,
        Some(Command::Submit { id, file, from }) => {
            let evidence = match file {
                Some(path) => read(&path)?,
                None => kept(session, id.as_deref().unwrap_or_default()).await?,
            };
            submit(session, evidence, &from).await
        }
    }
}

/// Shows what validators keep.
async fn show(session: &Session) -> Result<(), Failure> {
    let rows = gather(session).await?;
    session.output.rows(&rows, &HEAD, rows.iter().map(cells).collect());
    if rows.is_empty() {
        session.say("no validator has contradicted itself before one of those that answered");
    }
    Ok(())
}

/// Shows what the ledger has on record, as a node tells it.
async fn list(session: &Session) -> Result<(), Failure> {
    let convictions = epochs::convictions(&session.client().await?).await?;
    let cells = |it: &Conviction| {
        vec![
            it.code.clone(),
            it.name.clone().unwrap_or_else(|| it.key.to_string()),
            it.epoch.to_string(),
            it.slot.clone().unwrap_or_default(),
            it.recorded_slot.clone(),
            it.evidence.short(),
        ]
    };
    let head = ["code", "convicted", "epoch", "slot", "recorded in slot", "id"];
    session.output.rows(&convictions, &head, convictions.iter().map(cells).collect());
    if convictions.is_empty() {
        session
            .say("the ledger has convicted no validator (hint: carat evidence shows what validators keep)");
    }
    Ok(())
}

/// Submits evidence in a transaction, and says what came of it.
async fn submit(session: &Session, evidence: Evidence, from: &str) -> Result<(), Failure> {
    let client = session.client().await?;
    let epochs = epochs::fetch(session).await?;
    let genesis = &client.network().genesis;
    let failed = |error: SubmitError| Failure::failed(error.to_string());
    if genesis.genesis.governance.is_none() {
        return Err(failed(SubmitError::NoGovernance));
    }
    let (version, base_fee) = governance::in_force(&client).await?;
    let id = evidence.id();
    let prepared = prepare(genesis, &epochs, version, evidence).map_err(failed)?;
    let (payer, secret) = session.signer(from)?;
    let fee = base_fee.max(100).saturating_mul(prepared.fee_operations);
    let builder = session.builder(&client, &payer.public, vec![prepared.operation]).await?;
    let envelope = builder.fee_per_operation(fee).sign(&genesis.network_id(), &[&secret])?;
    let finality = session.hand_in(&client, envelope, Some(&secret)).await?;
    let outcome = Outcome::of(&finality.result);
    if let Some(why) = outcome.codes.operations.first().and_then(|code| refusal_in_words(code)) {
        session.say(&format!("the ledger refuses it: {why}"));
    }
    session.show_with(&finality, vec![("evidence", id.to_string())])
}

/// Evidence in a file: its bytes, or these in base64 as validators show them.
fn read(path: &Path) -> Result<Evidence, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()));
    let content = std::fs::read(path).map_err(|error| failed(&error))?;
    let decoded = BASE64.decode(content.trim_ascii()).unwrap_or(content);
    Evidence::from_bytes(&decoded).map_err(|error| failed(&error))
}

/// The one piece whose id begins with `text` of those that validators keep.
///
/// **Errors**: none or several.
async fn kept(session: &Session, text: &str) -> Result<Evidence, Failure> {
    let rows = gather(session).await?;
    let fitting: Vec<&Row> = rows.iter().filter(|row| row.id.to_string().starts_with(text)).collect();
    let [row] = fitting[..] else {
        let count = fitting.len();
        return Err(Failure::usage(format!(
            "{count} pieces of evidence begin with {text:?}, expected 1 (hint: carat evidence)"
        )));
    };
    let bytes = BASE64.decode(&row.bytes).map_err(|error| Failure::failed(error.to_string()))?;
    Evidence::from_bytes(&bytes).map_err(|error| Failure::failed(error.to_string()))
}

/// Asks every validator for what it keeps.
///
/// **Errors**: a network that cannot be read. Pieces that prove nothing are told, not returned.
async fn gather(session: &Session) -> Result<Vec<Row>, Failure> {
    let network = session.present().await?;
    // Who shows no epochs shows evidence all the same: then of epoch 0.
    let founding = || Epochs::of(&network.genesis).map_err(|error| Failure::failed(error.to_string()));
    let epochs = epochs::fetch(session).await.or_else(|_| founding())?;
    let http = Rest::pool()?;
    let mut rows: BTreeMap<Digest, Row> = BTreeMap::new();
    for node in network.processes() {
        let answer = Rest::new(&node.metrics, http.clone()).get::<Answer>("/evidence", TIMEOUT).await;
        let pieces = match answer {
            Ok(answer) => answer.evidence,
            Err(error) => {
                session.say(&format!("{}: {error}", node.name));
                continue;
            }
        };
        for piece in pieces {
            match check(&piece.bytes, &epochs) {
                Ok(row) => rows.entry(row.id).or_insert(row).kept_by.push(node.name.clone()),
                Err(why) => session.say(&format!("{} shows what is no evidence: {why}", node.name)),
            }
        }
    }
    Ok(rows.into_values().collect())
}

/// Decodes and verifies one piece by the genesis file, and the handovers that lead from it to the epoch of the piece.
fn check(text: &str, epochs: &Epochs) -> Result<Row, String> {
    let bytes = BASE64.decode(text).map_err(|error| error.to_string())?;
    let evidence = Evidence::from_bytes(&bytes).map_err(|error| error.to_string())?;
    let (epoch, convicted) = epochs.convicted(&evidence, &Ed25519).map_err(|error| error.to_string())?;
    Ok(Row {
        code: evidence.code(),
        convicted: names(epochs.set_of(epoch), convicted, Offence::of(&evidence)),
        slot: evidence.slot().map(|slot| slot.0),
        what: evidence.what(),
        kept_by: Vec::new(),
        id: evidence.id(),
        bytes: text.to_owned(),
    })
}

fn names(set: Option<&EpochSet>, convicted: SignerSet, offence: Offence) -> Vec<String> {
    let name = |place| set?.name_of(place, offence.role()).map(str::to_owned);
    convicted.iter().filter_map(name).collect()
}

const HEAD: [&str; 6] = ["code", "convicted", "slot", "what", "kept by", "id"];

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.code.to_owned(),
        row.convicted.join(", "),
        row.slot.map(|slot| slot.to_string()).unwrap_or_default(),
        row.what.to_owned(),
        row.kept_by.join(", "),
        row.id.short(),
    ]
}
