//! `carat epochs`: who validates, checked against the genesis file, and the set that comes next.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_client::Client;
use carat_client::rest::Rest;
use carat_types::accountability;
use carat_types::epoch::{EpochSet, Epochs, read_handovers, write_handovers};
use carat_types::validators::Ed25519;
use carat_types::{Digest, Epoch, PublicKey};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::output::{line, table};
use super::{Failure, Session};

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What can be asked of epochs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Who validates now, as handovers prove it against the genesis file
    Show,
    /// Write the handovers to a file, checked: a validator that comes, or was away for long, has it in its data folder
    Fetch {
        /// The file: `handovers` in the data folder of a validator
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the present set as the next one, to be edited and proposed (carat governance propose-set)
    Draft {
        /// Leave out whom the ledger has convicted
        #[arg(long)]
        without_convicted: bool,
    },
}

/// What a node says.
#[derive(Debug, Deserialize)]
struct Answer {
    handovers: String,
}

/// What a node says of the ledger's record; one of an earlier release says nothing.
#[derive(Debug, Default, Deserialize)]
struct OnRecord {
    #[serde(default)]
    convictions: Vec<Conviction>,
}

/// A validator that the ledger has convicted.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Conviction {
    pub(super) epoch: Epoch,
    pub(super) place: u16,
    pub(super) name: Option<String>,
    pub(super) key: PublicKey,
    pub(super) code: String,
    pub(super) slot: Option<String>,
    pub(super) evidence: Digest,
    pub(super) recorded_slot: String,
}

/// What it proves.
#[derive(Serialize)]
struct Report<'a> {
    epoch: Epoch,
    first_slot: String,
    hash: Digest,
    #[serde(flatten)]
    set: &'a EpochSet,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let epochs = fetch(session).await?;
    match command {
        Command::Show => show(session, &epochs),
        Command::Draft { without_convicted } => {
            let next = draft(session, &epochs, without_convicted).await?;
            if let Err(error) = next.check() {
                session.say(&format!("as it is, it cannot be proposed: {error}"));
            }
            line(&serde_json::to_string_pretty(&next).map_err(|error| failed(&error))?);
            Ok(())
        }
        Command::Fetch { out } => {
            let failed = |error| Failure::failed(format!("{}: {error}", out.display()));
            std::fs::write(&out, write_handovers(epochs.handovers())).map_err(failed)?;
            let count = epochs.handovers().len();
            session.say(&format!("{}: {count} handovers, to epoch {}", out.display(), epochs.present()));
            Ok(())
        }
    }
}

/// Whom the ledger has convicted, in the word of a node.
///
/// **Errors**: no node answers.
pub(super) async fn convictions(client: &Client) -> Result<Vec<Conviction>, Failure> {
    let answer = client.ask(|node| node.get::<OnRecord>("/epochs", TIMEOUT)).await?;
    Ok(answer.convictions)
}

/// The present set as the next one, and if asked so without whom the ledger has convicted, who is named.
///
/// **Errors**: no node answers.
pub(super) async fn draft(
    session: &Session,
    epochs: &Epochs,
    without_convicted: bool,
) -> Result<EpochSet, Failure> {
    let convictions = if without_convicted { convictions(&session.client()?).await? } else { Vec::new() };
    name_convicted(session, epochs.set(), &convictions);
    let keys: Vec<PublicKey> = convictions.iter().map(|it| it.key).collect();
    Ok(accountability::without_convicted(epochs.set(), &keys))
}

/// Says which validators of a set the ledger has convicted, and of what.
pub(super) fn name_convicted(session: &Session, set: &EpochSet, convictions: &[Conviction]) {
    for validator in &set.validators {
        for Conviction { code, epoch, slot, evidence, .. } in
            convictions.iter().filter(|it| accountability::is_convicted(validator, &[it.key]))
        {
            let slot = slot.as_ref().map(|slot| format!(", slot {slot}")).unwrap_or_default();
            let name = &validator.name;
            session
                .say(&format!("{name} was convicted of {code} in epoch {epoch}{slot}: evidence {evidence}"));
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(error.to_string())
}

/// The epochs of the network, of all that nodes show the longest chain that holds.
///
/// **Errors**: no node answers with one.
pub(super) async fn fetch(session: &Session) -> Result<Epochs, Failure> {
    let client = session.client()?;
    let genesis = &client.network().genesis;
    let mut longest: Option<Epochs> = None;
    let mut refused = Vec::new();
    for node in client.nodes() {
        match of_node(node, Epochs::of(genesis).map_err(|error| failed(&error))?).await {
            Ok(epochs) if longest.as_ref().is_none_or(|it| it.present() < epochs.present()) => {
                longest = Some(epochs);
            }
            Ok(_) => {}
            Err(why) => refused.push(why),
        }
    }
    for why in &refused {
        session.say(why);
    }
    longest.ok_or_else(|| Failure::failed("no node shows its epochs (hint: carat status --cluster)"))
}

async fn of_node(node: &Rest, mut epochs: Epochs) -> Result<Epochs, String> {
    let answer: Answer = node.get("/epochs", TIMEOUT).await.map_err(|error| error.to_string())?;
    let bytes = BASE64.decode(answer.handovers).map_err(|error| error.to_string())?;
    let handovers = read_handovers(&bytes).map_err(|error| error.to_string())?;
    epochs.follow(&handovers, &Ed25519).map_err(|error| error.to_string())?;
    Ok(epochs)
}

fn show(session: &Session, epochs: &Epochs) -> Result<(), Failure> {
    let (epoch, set) = (epochs.present(), epochs.set());
    let first_slot = epochs.last_slot_before(epoch).next().to_string();
    let report = Report { epoch, first_slot, hash: set.hash(), set };
    let fields = [
        ("epoch", epoch.to_string()),
        ("first slot", report.first_slot.clone()),
        ("validators", set.validators.len().to_string()),
        ("proved by", format!("{} handovers from the genesis file on", epochs.handovers().len())),
    ];
    session.output.fields(&report, &fields);
    if !session.output.is_json() {
        let row = |(index, it): (usize, &carat_types::genesis::GenesisValidator)| {
            vec![index.to_string(), it.name.clone(), it.acceptor.to_string(), it.network.to_string()]
        };
        let rows = set.validators.iter().enumerate().map(row).collect();
        line(&table(&["place", "name", "acceptor key", "network key"], rows));
    }
    Ok(())
}
