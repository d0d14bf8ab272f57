//! `carat epochs`: who validates, checked against the genesis file, and the set that comes next.

use std::path::PathBuf;
use std::time::Duration;

use carat_client::Client;
use carat_client::network::{HANDOVERS, Network, NodeAddress};
use carat_client::rest::Rest;
use carat_types::accountability;
use carat_types::epoch::{EpochSet, Epochs, write_handovers};
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
    /// Who validates now, as handovers prove it against the genesis file, and whom this description reaches
    Show,
    /// Write the handovers to a file, checked: a validator that comes, or was away for long, has it in its data folder
    Fetch {
        /// The file: `handovers` in the data folder of a validator [default: the one beside network.toml]
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Print the present set as the next one, to be edited and proposed (carat governance propose-set)
    Draft {
        /// Leave out whom the ledger has convicted
        #[arg(long)]
        without_convicted: bool,
    },
}

/// What a node says of itself.
#[derive(Debug, Deserialize)]
struct Answer {
    epoch: Epoch,
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

/// What it proves, and whom the description reaches: `nodes` are the validators in their order, or the proposers of an edge network.
#[derive(Serialize)]
struct Report<'a> {
    epoch: Epoch,
    first_slot: String,
    hash: Digest,
    #[serde(flatten)]
    set: &'a EpochSet,
    nodes: Vec<Reach>,
    /// Described nodes that are no members of this epoch.
    others: Vec<&'a str>,
}

/// How a node is reached.
#[derive(Debug, Serialize)]
struct Reach {
    name: String,
    api: Option<String>,
    /// The epoch that it says it is in.
    epoch: Option<Epoch>,
    error: Option<String>,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let epochs = fetch(session).await?;
    match command {
        Command::Show => show(session, &session.present().await?).await,
        Command::Draft { without_convicted } => {
            let next = draft(session, &epochs, without_convicted).await?;
            if let Err(error) = next.check() {
                session.say(&format!("as it is, it cannot be proposed: {error}"));
            }
            line(&serde_json::to_string_pretty(&next).map_err(|error| failed(&error))?);
            Ok(())
        }
        Command::Fetch { out } => {
            let path = match out {
                Some(out) => {
                    // Into what is named, which may be no file: a pipe, or a device.
                    let failed = |error| {
                        let hint = "(hint: name a file in a folder that exists and may be written)";
                        Failure::failed(format!("{}: {error} {hint}", out.display()))
                    };
                    std::fs::write(&out, write_handovers(epochs.handovers())).map_err(failed)?;
                    out
                }
                None => {
                    let network = session.present().await?;
                    network.keep_handovers().map_err(|error| failed(&error))?;
                    network.folder.join(HANDOVERS)
                }
            };
            let count = epochs.handovers().len();
            session.say(&format!("{}: {count} handovers, to epoch {}", path.display(), epochs.present()));
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
    let convictions =
        if without_convicted { convictions(&session.client().await?).await? } else { Vec::new() };
    name_convicted(session, epochs.set(), &convictions);
    let keys: Vec<PublicKey> = convictions.iter().map(|it| it.key).collect();
    Ok(accountability::without_convicted(epochs.set(), &keys))
}

/// Says which members of a set the ledger has convicted, and of what.
pub(super) fn name_convicted(session: &Session, set: &EpochSet, convictions: &[Conviction]) {
    for Conviction { code, epoch, slot, evidence, key, .. } in convictions {
        let slot = slot.as_ref().map(|slot| format!(", slot {slot}")).unwrap_or_default();
        for name in accountability::convicted_of(set, &[*key]) {
            session
                .say(&format!("{name} was convicted of {code} in epoch {epoch}{slot}: evidence {evidence}"));
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(error.to_string())
}

/// The epochs of the network, as far as nodes show them and handovers prove them.
///
/// **Errors**: no node shows any.
pub(super) async fn fetch(session: &Session) -> Result<Epochs, Failure> {
    let client = session.client().await?;
    let learned = client.learn().await;
    learned.refused.iter().for_each(|why| session.say(why));
    match learned.answers {
        0 => Err(Failure::failed("no node shows its epochs (hint: carat status --cluster)")),
        _ => Ok(client.network().epochs().clone()),
    }
}

/// Asks every node at once which epoch it is in: validators, or the proposers of an edge network, whose validators nobody asks.
async fn reach(network: &Network) -> Result<Vec<Reach>, Failure> {
    let http = Rest::pool()?;
    let ask = |node: &NodeAddress| {
        let rest = Rest::new(&node.api, http.clone());
        tokio::spawn(async move { rest.get::<Answer>("/epochs", TIMEOUT).await })
    };
    let questions: Vec<_> = network.nodes.iter().map(ask).collect();
    let mut reached = Vec::new();
    for (node, question) in network.nodes.iter().zip(questions) {
        let answer = question.await.map_err(|error| failed(&error))?;
        let error = answer.as_ref().err().map(ToString::to_string);
        let api = node.is_reachable().then(|| node.api.clone());
        reached.push(Reach { name: node.name.clone(), api, epoch: answer.ok().map(|it| it.epoch), error });
    }
    Ok(reached)
}

async fn show(session: &Session, network: &Network) -> Result<(), Failure> {
    let (epochs, nodes) = (network.epochs(), reach(network).await?);
    let (epoch, set) = (epochs.present(), epochs.set());
    let first_slot = epochs.last_slot_before(epoch).next().to_string();
    let others = network.others.iter().map(|node| node.name.as_str()).collect();
    let report = Report { epoch, first_slot, hash: set.hash(), set, nodes, others };
    let fields = [
        ("epoch", epoch.to_string()),
        ("first slot", report.first_slot.clone()),
        ("validators", set.validators.len().to_string()),
        (
            "proposers",
            if set.is_edge() { set.proposers().len().to_string() } else { "the validators".to_owned() },
        ),
        ("proved by", format!("{} handovers from the genesis file on", epochs.handovers().len())),
    ];
    session.output.fields(&report, &fields);
    if !session.output.is_json() {
        let validators = set.validators.iter().map(|it| (&it.name, it.acceptor, it.network));
        let proposers = set.proposers().iter().map(|it| (&it.name, it.proposer, it.network));
        match set.is_edge() {
            false => line(&members("acceptor key", validators, &report.nodes)),
            true => {
                line(&members("acceptor key", validators, &[]));
                line(&members("proposer key", proposers, &report.nodes));
            }
        }
    }
    Ok(())
}

/// The members of one kind; how they are reached, if clients go to them.
fn members<'a>(
    key: &str,
    listed: impl Iterator<Item = (&'a String, PublicKey, PublicKey)>,
    reached: &[Reach],
) -> String {
    let rows = listed.enumerate().map(|(place, (name, key, network))| {
        let own = [place.to_string(), name.clone(), key.to_string(), network.to_string()];
        own.into_iter().chain(reached.get(place).into_iter().flat_map(how)).collect()
    });
    let head = ["place", "name", key, "network key", "address", "answers"];
    let shown = if reached.is_empty() { 4 } else { head.len() };
    table(head.get(..shown).unwrap_or(&head), rows.collect())
}

/// Where a node is, and what it answers.
fn how(reach: &Reach) -> [String; 2] {
    let answers = match (&reach.api, reach.epoch, &reach.error) {
        (None, ..) => "not asked".to_owned(),
        (_, Some(epoch), _) => format!("epoch {epoch}"),
        (_, None, error) => format!("no: {}", error.as_deref().unwrap_or("no answer")),
    };
    [reach.api.clone().unwrap_or_else(|| "none".to_owned()), answers]
}
