//! `carat receipt`: proofs to keep, and to check without asking anybody.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use carat_client::client::decode_result;
use carat_client::network::read_genesis;
use carat_client::outcome::Outcome;
use carat_client::receipt::{to_text, verify_text};
use carat_types::Digest;
use carat_types::receipt::{Rule, Verdict};
use clap::Subcommand;
use serde_json::json;

use super::{Failure, Session, output};

/// Longest receipt that is read: a result of the largest size, with its proof.
const RECEIPT_BYTES_MAX: u64 = 4 << 20;

/// What can be done with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask the network for a transaction's receipt, check it, and print it as one line of base64
    Fetch {
        /// The transaction's hash
        hash: Digest,
    },
    /// Check a receipt against a genesis file, and nothing else
    Verify {
        /// The receipt's file, or - for standard input
        #[arg(default_value = "-")]
        receipt: PathBuf,
        /// The genesis file [default: that of --network]
        #[arg(long)]
        genesis: Option<PathBuf>,
    },
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Fetch { hash } => {
            let finality = session.client().await?.await_finality(&hash).await?;
            output::line(&to_text(&finality.receipt));
            let verdict = &finality.verdict;
            session.say(&format!("{}: {}", verdict.rule, verdict.assumption));
            Ok(())
        }
        Command::Verify { receipt, genesis } => {
            let genesis = match genesis {
                Some(path) => read_genesis(&path)?,
                None => session.network()?.genesis,
            };
            let verdict = verify_text(&read(&receipt)?, &genesis)?;
            show(session, &verdict)
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::failed(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(RECEIPT_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(RECEIPT_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

fn show(session: &Session, verdict: &Verdict) -> Result<(), Failure> {
    let outcome = match &verdict.result {
        Some(xdr) => Some(Outcome::of(&decode_result(xdr)?)),
        None => None,
    };
    let worth = worth(verdict.rule);
    let value = json!({
        "verdict": worth,
        "transaction": verdict.transaction,
        "outcome": outcome,
        "slot": verdict.slot,
        "ledger": verdict.ledger,
        "time_ms": verdict.time_ms,
        "rule": verdict.rule.to_string(),
        "assumption": verdict.assumption.to_string(),
    });
    let unknown = || "position only, result unknown".to_owned();
    let fields = [
        ("verdict", format!("{worth}, by {}", verdict.rule)),
        ("transaction", verdict.transaction.to_string()),
        ("outcome", outcome.as_ref().map_or_else(unknown, ToString::to_string)),
        ("slot", verdict.slot.to_string()),
        ("ledger", verdict.ledger.map_or_else(|| "unknown".to_owned(), |ledger| ledger.to_string())),
        ("assumption", verdict.assumption.to_string()),
    ];
    session.output.fields(&value, &fields);
    Ok(())
}

/// What a receipt that holds is worth: one validator's word is never called more.
fn worth(rule: Rule) -> &'static str {
    match rule {
        Rule::Reply => "one validator's word",
        Rule::Fast | Rule::Unanimous | Rule::Commit | Rule::Seal | Rule::QuorumReplies => "valid",
    }
}
