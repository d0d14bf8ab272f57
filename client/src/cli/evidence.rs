//! `carat evidence`: what convicts validators. Every piece is checked here against the genesis file; no node is believed.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_client::rest::Rest;
use carat_types::codec::Decode as _;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::evidence::Evidence;
use carat_types::validators::Ed25519;
use carat_types::{Digest, SignerSet};
use serde::{Deserialize, Serialize};

use super::{Failure, Session, epochs};

/// How long one validator may take.
const TIMEOUT: Duration = Duration::from_secs(5);

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

/// Asks every validator, and shows what holds.
///
/// **Errors**: a network that cannot be read. Pieces that prove nothing are told, not shown.
pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let network = session.network()?;
    // Who shows no epochs shows evidence all the same: then of epoch 0.
    let founding = || Epochs::of(&network.genesis).map_err(|error| Failure::failed(error.to_string()));
    let epochs = epochs::fetch(session).await.or_else(|_| founding())?;
    let http = Rest::pool()?;
    let mut rows: BTreeMap<Digest, Row> = BTreeMap::new();
    for node in &network.nodes {
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
    let rows: Vec<Row> = rows.into_values().collect();
    session.output.rows(&rows, &HEAD, rows.iter().map(cells).collect());
    if rows.is_empty() {
        session.say("no validator has contradicted itself before one of those that answered");
    }
    Ok(())
}

/// Decodes and verifies one piece by the genesis file, and the handovers that lead from it to the epoch of the piece.
fn check(text: &str, epochs: &Epochs) -> Result<Row, String> {
    let bytes = BASE64.decode(text).map_err(|error| error.to_string())?;
    let evidence = Evidence::from_bytes(&bytes).map_err(|error| error.to_string())?;
    let (epoch, convicted) = epochs.convicted(&evidence, &Ed25519).map_err(|error| error.to_string())?;
    Ok(Row {
        code: evidence.code(),
        convicted: names(epochs.set_of(epoch), convicted),
        slot: evidence.slot().map(|slot| slot.0),
        what: evidence.what(),
        kept_by: Vec::new(),
        id: evidence.id(),
        bytes: text.to_owned(),
    })
}

fn names(set: Option<&EpochSet>, convicted: SignerSet) -> Vec<String> {
    let name = |index: usize| set?.validators.get(index).map(|it| it.name.clone());
    convicted.iter().filter_map(|id| name(id.index())).collect()
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
