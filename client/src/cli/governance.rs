//! `carat governance`: what the validators propose and decide.
//!
//! Whoever approves computes the proposal's id from what was shown: a node that shows something else gets no approval of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carat_client::Client;
use carat_client::keystore;
use carat_types::epoch::EpochSet;
use carat_types::governance::{Call, Change, Parameter, Proposal, SET, SETS_SINCE};
use carat_types::key_file::KeyRole;
use carat_types::{Digest, PublicKey, SecretKey};
use carat_vault::{PassphraseSource, key_file};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::session::now_seconds;
use super::{Code, Failure, Session, epochs};

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

const SECONDS_A_DAY: u64 = 86_400;

/// What validators do to change parameters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What is in force, proposed and decided, and which protocol versions the validators' builds know
    Show,
    /// Propose a change, which approves it as well
    Propose {
        /// What to change
        #[arg(value_enum)]
        parameter: ParameterChoice,
        /// The new value; fee and reserve in stroops
        value: u32,
        /// Days for which it can be approved
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
        days: u64,
        #[command(flatten)]
        speaker: Speaker,
    },
    /// Propose the validators and constants of the next epoch, which approves them as well
    ProposeSet {
        /// The set, as `carat epochs draft` prints one
        #[arg(required_unless_present = "without_convicted")]
        set: Option<PathBuf>,
        /// The present set without whom the ledger has convicted, instead of one in a file
        #[arg(long, conflicts_with = "set")]
        without_convicted: bool,
        /// Days for which it can be approved
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
        days: u64,
        #[command(flatten)]
        speaker: Speaker,
    },
    /// Approve a proposal
    Approve {
        /// Its id, as `show` prints it, or the only one that begins so
        proposal: String,
        #[command(flatten)]
        speaker: Speaker,
    },
}

/// Who speaks, and who pays.
#[derive(Debug, Args)]
pub(crate) struct Speaker {
    /// The validator that speaks: its acceptor key file, plain or encrypted, or an identity
    #[arg(long, value_name = "FILE|IDENTITY")]
    signer: String,
    /// File with the passphrase of an encrypted key file, readable by its owner alone; else CARAT_PASSPHRASE_FILE,
    /// CARAT_PASSPHRASE or the credential carat-passphrase is asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The identity whose account pays the fee, and signs as well
    #[arg(long, value_name = "IDENTITY")]
    from: String,
    /// Although nodes of the network do not know the version; they will stop when it comes
    #[arg(long)]
    force: bool,
}

/// What can be changed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ParameterChoice {
    /// Version of the ledger's rules: the next one
    ProtocolVersion,
    /// Fee of one operation
    BaseFee,
    /// Reserve of one entry; it can only fall
    BaseReserve,
}

impl From<ParameterChoice> for Parameter {
    fn from(choice: ParameterChoice) -> Parameter {
        match choice {
            ParameterChoice::ProtocolVersion => Parameter::ProtocolVersion,
            ParameterChoice::BaseFee => Parameter::BaseFee,
            ParameterChoice::BaseReserve => Parameter::BaseReserve,
        }
    }
}

/// What a node says.
#[derive(Debug, Deserialize, Serialize)]
struct State {
    slot: String,
    threshold: u8,
    signers: Vec<Signer>,
    protocol_version: u32,
    base_fee: u32,
    base_reserve: u32,
    proposals: Vec<Shown>,
    scheduled: Option<Scheduled>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Signer {
    key: String,
    weight: u32,
}

#[derive(Debug, Deserialize, Serialize)]
struct Shown {
    id: String,
    number: String,
    proposer: String,
    parameter: String,
    value: Value,
    valid_until: String,
    approvals: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Scheduled {
    parameter: String,
    value: Value,
    from_slot: String,
}

/// What a build knows.
#[derive(Debug, Serialize)]
struct Build {
    validator: String,
    build: Option<String>,
    newest_protocol: Option<u64>,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    state: &'a State,
    builds: &'a [Build],
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Show => show(session).await,
        Command::Propose { parameter, value, days, speaker } => {
            let change = Change::Value { parameter: parameter.into(), value };
            let valid_until = now_seconds().saturating_add(days.saturating_mul(SECONDS_A_DAY));
            let client = session.client().await?;
            check_builds(&client, &change, speaker.force).await?;
            let call = |signer| Call::Propose { signer, change, valid_until };
            speak(session, &client, &speaker, call).await
        }
        // The parser has seen to it that there is a file unless the convicted are to be left out.
        Command::ProposeSet { set, without_convicted: _, days, speaker } => {
            let client = session.client().await?;
            let set = match set {
                Some(path) => set_of_file(session, &client, &path).await?,
                None => set_without_convicted(session).await?,
            };
            require_sets(&client).await?;
            session.say(&format!("proposing set {} for epoch {}", set.hash(), set.epoch));
            let valid_until = now_seconds().saturating_add(days.saturating_mul(SECONDS_A_DAY));
            let change = Change::Set(Box::new(set));
            let call = |signer| Call::Propose { signer, change, valid_until };
            speak(session, &client, &speaker, call).await
        }
        Command::Approve { proposal, speaker } => {
            let client = session.client().await?;
            let state = ask(&client).await?;
            let found = find(&state, &proposal)?;
            session.say(&format!("approving {} of {}", found.change, keystore::address(&found.proposer)));
            check_builds(&client, &found.change, speaker.force).await?;
            let proposal = found.id();
            speak(session, &client, &speaker, |signer| Call::Approve { signer, proposal }).await
        }
    }
}

/// The set in a file. Whom of it the ledger has convicted is said.
///
/// **Errors**: one that is nobody's.
async fn set_of_file(session: &Session, client: &Client, path: &Path) -> Result<EpochSet, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let set = EpochSet::parse(&text).map_err(|error| failed(&error))?;
    epochs::name_convicted(session, &set, &epochs::convictions(client).await?);
    Ok(set)
}

/// The present set without whom the ledger has convicted.
///
/// **Errors**: nobody was; too few are left.
async fn set_without_convicted(session: &Session) -> Result<EpochSet, Failure> {
    let present = epochs::fetch(session).await?;
    let set = epochs::draft(session, &present, true).await?;
    if set.validators.len() == present.set().validators.len() {
        return Err(Failure::failed(
            "the ledger has convicted no validator of the present set (hint: carat evidence list)",
        ));
    }
    set.check().map_err(|error| {
        Failure::failed(format!(
            "the set without the convicted: {error} (hint: put others in their place in what carat epochs draft \
             --without-convicted prints)"
        ))
    })?;
    Ok(set)
}

/// **Errors**: rules in force that know no sets.
async fn require_sets(client: &Client) -> Result<(), Failure> {
    let version = ask(client).await?.protocol_version;
    if version < SETS_SINCE {
        return Err(Failure::failed(format!(
            "protocol version {version} is in force, sets are voted on from version {SETS_SINCE} on (hint: carat governance propose \
             protocol-version {}, one step at a time)",
            version.saturating_add(1)
        )));
    }
    Ok(())
}

/// The version of the ledger's rules and the fee of an operation, in stroops.
///
/// **Errors**: no node answers; a network without governance.
pub(super) async fn in_force(client: &Client) -> Result<(u32, u32), Failure> {
    let State { protocol_version, base_fee, .. } = ask(client).await?;
    Ok((protocol_version, base_fee))
}

async fn ask(client: &Client) -> Result<State, Failure> {
    Ok(client.ask(|node| node.get::<State>("/governance", TIMEOUT)).await?)
}

async fn speak(
    session: &Session,
    client: &Client,
    speaker: &Speaker,
    call: impl FnOnce(PublicKey) -> Call,
) -> Result<(), Failure> {
    let genesis = &client.network().genesis;
    let account = genesis.genesis.governance.ok_or_else(|| {
        Failure::failed(
            "the genesis file names no governance account: nothing can be changed on this network",
        )
    })?;
    let signer = signer(session, speaker)?;
    let (payer, payer_secret) = session.signer(&speaker.from)?;
    let operation = call(signer.public()).operation(&genesis.chain_id, &account);
    let builder = session.builder(client, &payer.public, vec![operation]).await?;
    let fee = ask(client).await?.base_fee.max(100);
    let mut keys = vec![&payer_secret];
    if signer.public() != payer.public {
        keys.push(&signer);
    }
    let envelope = builder.fee_per_operation(fee).sign(&genesis.network_id(), &keys)?;
    session.submit(client, envelope, Some(&payer_secret)).await
}

/// The key of who speaks: of a key file, else of an identity.
fn signer(session: &Session, speaker: &Speaker) -> Result<SecretKey, Failure> {
    let path = Path::new(&speaker.signer);
    if !path.is_file() {
        return Ok(session.signer(&speaker.signer)?.1);
    }
    acceptor_key(path, &PassphraseSource::of_keys(speaker.passphrase_file.clone()))
}

/// The key of a validator's acceptor key file, plain or encrypted.
fn acceptor_key(path: &Path, passphrase: &PassphraseSource) -> Result<SecretKey, Failure> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let read = key_file::read(KeyRole::Acceptor, &text, passphrase);
    read.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// The one open proposal whose id begins with `text`, as the ledger would name it.
///
/// **Errors**: none or several; a node that shows an id that its fields do not have.
fn find(state: &State, text: &str) -> Result<Proposal, Failure> {
    let fitting: Vec<&Shown> = state.proposals.iter().filter(|shown| shown.id.starts_with(text)).collect();
    let [shown] = fitting[..] else {
        let count = fitting.len();
        return Err(Failure::usage(format!(
            "{count} open proposals begin with {text:?}, expected 1 (hint: carat governance show)"
        )));
    };
    let lies =
        || Failure::failed(format!("the node shows proposal {}, which its own words contradict", shown.id));
    let proposal = Proposal {
        number: shown.number.parse().map_err(|_| lies())?,
        proposer: keystore::parse_address(&shown.proposer)?,
        change: change(&shown.parameter, &shown.value).ok_or_else(lies)?,
        valid_until: shown.valid_until.parse().map_err(|_| lies())?,
    };
    let id: Digest = proposal.id();
    if id.to_string() == shown.id { Ok(proposal) } else { Err(lies()) }
}

/// What a node shows as the name and value of a change.
fn change(parameter: &str, value: &Value) -> Option<Change> {
    if parameter == SET {
        return serde_json::from_value(value.clone()).ok().map(|set| Change::Set(Box::new(set)));
    }
    let value = value.as_u64().and_then(|value| u32::try_from(value).ok())?;
    Some(Change::Value { parameter: Parameter::named(parameter)?, value })
}

/// The same in words: of a set its hash.
fn in_words(parameter: &str, value: &Value) -> String {
    change(parameter, value).map_or_else(|| format!("{parameter} = {value}"), |change| change.to_string())
}

/// Refuses to bring a version that a quorum could not execute.
async fn check_builds(client: &Client, change: &Change, force: bool) -> Result<(), Failure> {
    let version = match change {
        Change::Value { parameter: Parameter::ProtocolVersion, value } if !force => u64::from(*value),
        _ => return Ok(()),
    };
    let builds = builds(client).await;
    let behind: Vec<String> = builds
        .iter()
        .filter(|build| build.newest_protocol.is_none_or(|newest| newest < version))
        .map(|build| match build.newest_protocol {
            Some(newest) => format!("{} knows up to {newest}", build.validator),
            None => format!("{} does not answer", build.validator),
        })
        .collect();
    if behind.is_empty() {
        return Ok(());
    }
    let list = behind.join(", ");
    Err(Failure::new(
        Code::NotReady,
        format!(
            "not all validators know protocol version {version}: {list}; each that does not will stop when it is in force \
             (hint: upgrade them first, or --force)"
        ),
    ))
}

/// What each validator's build knows.
async fn builds(client: &Client) -> Vec<Build> {
    let mut builds = Vec::new();
    for (node, address) in client.nodes().zip(&client.network().nodes) {
        let root = node.get::<Value>("/", TIMEOUT).await.ok();
        builds.push(Build {
            validator: address.name.clone(),
            build: root.as_ref().and_then(|root| root["core_version"].as_str().map(str::to_owned)),
            newest_protocol: root.as_ref().and_then(|root| root["supported_protocol_version"].as_u64()),
        });
    }
    builds
}

async fn show(session: &Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let state = ask(&client).await?;
    let builds = builds(&client).await;
    let mut fields = vec![
        ("slot", state.slot.clone()),
        ("protocol version", state.protocol_version.to_string()),
        ("base fee", format!("{} stroops", state.base_fee)),
        ("base reserve", format!("{} stroops", state.base_reserve)),
        ("decides", format!("weight {} of {} signers", state.threshold, state.signers.len())),
    ];
    fields.push(match &state.scheduled {
        Some(Scheduled { parameter, value, from_slot }) => {
            ("decided", format!("{} from slot {from_slot} on", in_words(parameter, value)))
        }
        None => ("decided", "nothing that is not in force".to_owned()),
    });
    for shown in &state.proposals {
        let Shown { id, parameter, value, approvals, .. } = shown;
        fields.push((
            "proposal",
            format!("{id}: {}, approved by {}", in_words(parameter, value), approvals.len()),
        ));
    }
    for build in &builds {
        let known = match (&build.build, build.newest_protocol) {
            (Some(version), Some(newest)) => format!("{version}, protocol versions up to {newest}"),
            _ => "no answer".to_owned(),
        };
        fields.push(("build", format!("{}: {known}", build.validator)));
    }
    session.output.fields(&Report { state: &state, builds: &builds }, &fields);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use carat_types::key_file::write;
    use carat_vault::Passphrase;

    use super::*;

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        path
    }

    #[test]
    fn validator_speaks_with_a_key_file_in_the_clear_or_encrypted() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = SecretKey::from_seed(&[3; 32]);
        let (words, others) = ("six random words in a row", "six other words in a row");
        let right = PassphraseSource::of_keys(Some(file(&folder, "right", words)));
        let wrong = PassphraseSource::of_keys(Some(file(&folder, "wrong", others)));
        let none = PassphraseSource { file: None, variable: "CARAT_NOT_SET", credential: "carat-not-set" };
        let plain = file(&folder, "plain.json", &write(KeyRole::Acceptor, &key));
        assert_eq!(acceptor_key(&plain, &none).expect("in the clear").public(), key.public());
        let text = key_file::write_encrypted(KeyRole::Acceptor, &key, &Passphrase::new(words));
        let sealed = file(&folder, "sealed.json", &text.expect("encrypted"));
        assert_eq!(acceptor_key(&sealed, &right).expect("opens").public(), key.public());
        let refusal = |path, source| format!("{:?}", acceptor_key(path, source).expect_err("refused"));
        assert!(refusal(&sealed, &wrong).contains("the passphrase is not the one"));
        assert!(refusal(&sealed, &none).contains("no passphrase was given"));
        let proposer = file(&folder, "proposer.json", &write(KeyRole::Proposer, &key));
        assert!(refusal(&proposer, &none).contains("Proposer"));
    }
}
