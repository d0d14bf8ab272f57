//! `carat payload`: messages for the parties of a transaction, which travel beside the ledger.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_client::delivery;
use carat_client::keystore;
use carat_client::outcome::Outcome;
use carat_client::payload::{self, MESSAGE_BYTES_MAX};
use carat_client::rest::RestError;
use carat_network::entrance::Dialler;
use carat_types::Digest;
use carat_types::builder::operation;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::sealed_payload::{DATA_NAME, ERASED, FOLDER, SealedPayload};
use carat_types::transaction::SignedTransaction;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use stellar_xdr::Memo;

use super::{Failure, Session};

/// Longest file of a sealed payload.
const SEALED_BYTES_MAX: u64 = 2 << 20;
/// How long one validator may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What can be done with payloads.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// An identity's payload key, to which others seal
    Key {
        /// The identity
        identity: String,
        /// Write it into the account's data, so that others need only know the account
        #[arg(long)]
        publish: bool,
    },
    /// Seal a file to the parties and the auditor; the memo that it prints goes into the transaction
    Seal(SealArguments),
    /// Open a sealed payload as one of its recipients
    Open(OpenArguments),
    /// Have nodes keep a sealed payload for its recipients
    Deliver(DeliverArguments),
    /// Fetch a sealed payload from a node as one of its recipients
    Fetch(FetchArguments),
    /// Erase a payload that a validator keeps, for good; on the validator's machine
    Erase {
        /// The memo that names it
        memo: Digest,
        /// The validator's data folder
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// Whom to seal what for.
#[derive(Debug, Args)]
pub(crate) struct SealArguments {
    /// The file: a message, a contract, a picture of up to 1 MiB
    file: PathBuf,
    /// A recipient: a payload key, an identity of which the secret is here, or an account that has published its key
    #[arg(long = "to", required = true, value_name = "KEY|IDENTITY|G...")]
    recipients: Vec<String>,
    /// Where the sealed payload goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What to open.
#[derive(Debug, Args)]
pub(crate) struct OpenArguments {
    /// The sealed payload
    file: PathBuf,
    /// The identity that opens
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// The memo that it must have
    #[arg(
        long,
        value_name = "HASH",
        required_unless_present = "transaction",
        conflicts_with = "transaction"
    )]
    memo: Option<Digest>,
    /// The transaction whose memo it must have: its proof is asked for
    #[arg(long, value_name = "HASH")]
    transaction: Option<Digest>,
    /// Where the message goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What to deliver where.
#[derive(Debug, Args)]
pub(crate) struct DeliverArguments {
    /// The sealed payload
    file: PathBuf,
    /// The transaction whose memo names it
    #[arg(long, value_name = "HASH")]
    transaction: Digest,
    /// The identity that is the transaction's source
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// A node that is to keep it: those of the parties and of the auditor
    #[arg(long = "node", required = true, value_name = "NAME")]
    nodes: Vec<String>,
}

/// What to fetch where.
#[derive(Debug, Args)]
pub(crate) struct FetchArguments {
    /// The memo that names it
    memo: Digest,
    /// The identity that is a recipient, and has published its payload key
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: String,
    /// The node that keeps it
    #[arg(long, value_name = "NAME")]
    node: String,
    /// Where the sealed payload goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Key { identity, publish } => key(session, &identity, publish).await,
        Command::Seal(arguments) => seal(session, arguments).await,
        Command::Open(arguments) => open(session, arguments).await,
        Command::Deliver(arguments) => deliver(session, arguments).await,
        Command::Fetch(arguments) => fetch(session, arguments).await,
        Command::Erase { memo, data } => erase(session, &memo, &data),
    }
}

async fn key(session: &Session, name: &str, publish: bool) -> Result<(), Failure> {
    let (identity, secret) = session.signer(name)?;
    let key = payload::public_key(&secret);
    if publish {
        return session.execute(name, vec![operation::manage_data(DATA_NAME, Some(&key.0))?]).await;
    }
    let address = keystore::address(&identity.public);
    let value = json!({ "name": name, "address": address, "payload_key": key });
    session
        .output
        .fields(&value, &[("name", name.to_owned()), ("address", address), ("payload key", key.to_string())]);
    Ok(())
}

async fn seal(session: &Session, arguments: SealArguments) -> Result<(), Failure> {
    let message = read(&arguments.file, MESSAGE_BYTES_MAX as u64)?;
    let mut keys = Vec::new();
    for recipient in &arguments.recipients {
        keys.push(recipient_key(session, recipient).await?);
    }
    let network = session.network()?.genesis.network_id();
    let sealed = payload::seal(network, &message, &keys)?;
    write_new(&arguments.out, &sealed.to_bytes())?;
    let memo = sealed.memo();
    let value = json!({ "memo": memo, "recipients": keys, "file": arguments.out });
    let fields = [
        ("memo", memo.to_string()),
        ("recipients", keys.len().to_string()),
        ("file", arguments.out.display().to_string()),
    ];
    session.output.fields(&value, &fields);
    session.say("send the file to the recipients, and pay with --memo-hash MEMO");
    Ok(())
}

async fn open(session: &Session, arguments: OpenArguments) -> Result<(), Failure> {
    let sealed = read_sealed(&arguments.file)?;
    let (_, secret) = session.signer(&arguments.identity)?;
    let memo = match (arguments.memo, arguments.transaction) {
        (Some(memo), _) => Some(memo),
        (None, Some(hash)) => Some(memo_of(session, &hash).await?),
        (None, None) => None,
    };
    let network = session.network()?.genesis.network_id();
    let message = payload::open(&sealed, &network, memo.as_ref(), &secret)?;
    write_new(&arguments.out, &message)?;
    let value = json!({ "memo": sealed.memo(), "bytes": message.len(), "file": arguments.out });
    let fields = [
        ("memo", sealed.memo().to_string()),
        ("bytes", message.len().to_string()),
        ("file", arguments.out.display().to_string()),
    ];
    session.output.fields(&value, &fields);
    Ok(())
}

async fn deliver(session: &Session, arguments: DeliverArguments) -> Result<(), Failure> {
    let sealed = read_sealed(&arguments.file)?;
    let dialler = dialler(session, &arguments.identity)?;
    for name in &arguments.nodes {
        delivery::deliver(&dialler, node(session, name).await?, arguments.transaction, sealed.clone())
            .await?;
        session.say(&format!("{name} keeps it"));
    }
    let memo = sealed.memo();
    let value = json!({ "memo": memo, "kept_by": arguments.nodes });
    session.output.fields(&value, &[("memo", memo.to_string()), ("kept by", arguments.nodes.join(", "))]);
    Ok(())
}

async fn fetch(session: &Session, arguments: FetchArguments) -> Result<(), Failure> {
    let dialler = dialler(session, &arguments.identity)?;
    let sealed = delivery::fetch(&dialler, node(session, &arguments.node).await?, arguments.memo).await?;
    write_new(&arguments.out, &sealed.to_bytes())?;
    let value = json!({ "memo": arguments.memo, "file": arguments.out });
    let fields = [("memo", arguments.memo.to_string()), ("file", arguments.out.display().to_string())];
    session.output.fields(&value, &fields);
    Ok(())
}

/// Marks the payload as erased, so that nobody brings it back, and deletes it.
fn erase(session: &Session, memo: &Digest, data: &Path) -> Result<(), Failure> {
    let folder = data.join(FOLDER);
    if !folder.is_dir() {
        return Err(Failure::usage(format!(
            "{} keeps no payloads (hint: --data names the data folder of a validator's home)",
            data.display()
        )));
    }
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", folder.display()));
    std::fs::File::create(folder.join(format!("{memo}{ERASED}")))
        .and_then(|marker| marker.sync_all())
        .map_err(failed)?;
    let was_kept = match std::fs::remove_file(folder.join(memo.to_string())) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    std::fs::File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let value = json!({ "memo": memo, "was_kept": was_kept });
    let text = if was_kept { "erased" } else { "was not kept; will not be taken" };
    session.output.fields(&value, &[("memo", memo.to_string()), ("payload", text.to_owned())]);
    Ok(())
}

fn read_sealed(path: &Path) -> Result<SealedPayload, Failure> {
    let sealed = SealedPayload::from_bytes(&read(path, SEALED_BYTES_MAX)?);
    Ok(sealed.map_err(payload::PayloadError::from)?)
}

/// A socket that speaks as an identity.
fn dialler(session: &Session, identity: &str) -> Result<Dialler, Failure> {
    let (_, secret) = session.signer(identity)?;
    let chain_id = session.network()?.genesis.chain_id;
    Dialler::new(&secret, &chain_id).map_err(|error| Failure::failed(error.to_string()))
}

/// The native entrance of a node, at the address of its REST interface, and the key that it has now.
async fn node(session: &Session, name: &str) -> Result<delivery::Node, Failure> {
    let network = session.present().await?;
    let unknown = || {
        let known: Vec<_> = network.nodes.iter().map(|node| node.name.as_str()).collect();
        Failure::usage(format!("there is no node {name} (hint: one of {})", known.join(", ")))
    };
    let index = network.nodes.iter().position(|node| node.name == name).ok_or_else(unknown)?;
    let entrance = network.entrance(index).map_err(|error| Failure::failed(error.to_string()))?;
    let (address, key) = entrance.ok_or(RestError::NoAddress)?;
    Ok(delivery::Node { address, key })
}

/// The key of somebody to seal to.
async fn recipient_key(session: &Session, text: &str) -> Result<Digest, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    if let Ok((_, secret)) = session.signer(text) {
        return Ok(payload::public_key(&secret));
    }
    let address = keystore::address(&session.account(text)?);
    published_key(session, &address).await
}

#[derive(Debug, Deserialize)]
struct DataEntry {
    value: String,
}

/// The key that an account has published. A node that lied here would read what is sealed, so f+1 must say the same, or
/// all proposers of an edge network.
async fn published_key(session: &Session, address: &str) -> Result<Digest, Failure> {
    let path = format!("/accounts/{address}/data/{DATA_NAME}");
    let client = session.client().await?;
    let entry = client.agreed(|node| {
        let path = path.clone();
        async move { node.get::<DataEntry>(&path, TIMEOUT).await.map(|entry| entry.value) }
    });
    let missing = |why: &str| {
        Failure::failed(format!(
            "{address} has published no payload key: {why} (hint: its owner says carat payload key NAME --publish, or tells you the key)"
        ))
    };
    let value = entry.await.map_err(|error| missing(&error.to_string()))?;
    let bytes = BASE64.decode(value).map_err(|_| missing("its data entry is no base64"))?;
    Ok(Digest(bytes.try_into().map_err(|_| missing("its data entry has not 32 bytes"))?))
}

#[derive(Debug, Deserialize)]
struct Record {
    envelope_xdr: String,
}

/// The memo of a transaction that succeeded. The transaction's hash covers it, and the receipt proves the rest: no node
/// is believed.
async fn memo_of(session: &Session, hash: &Digest) -> Result<Digest, Failure> {
    let client = session.client().await?;
    let finality = client.await_finality(hash).await?;
    let outcome = Outcome::of(&finality.result);
    if !outcome.successful {
        return Err(Failure::failed(format!(
            "transaction {hash} failed: {outcome} (hint: nothing was paid)"
        )));
    }
    let path = format!("/transactions/{hash}");
    let record = client.ask(|node| node.get::<Record>(&path, TIMEOUT)).await?;
    let bytes = BASE64.decode(record.envelope_xdr).map_err(|error| Failure::failed(error.to_string()))?;
    let transaction = SignedTransaction::decode(&client.network().genesis.network_id(), &bytes)?;
    if transaction.hash() != hash && transaction.inner_hash() != hash {
        return Err(Failure::failed(format!(
            "a node gave another transaction for {hash} (hint: ask another node)"
        )));
    }
    match &transaction.transaction().memo {
        Memo::Hash(memo) => Ok(Digest(memo.0)),
        _ => Err(Failure::failed(format!(
            "transaction {hash} has no hash as its memo (hint: it names no payload)"
        ))),
    }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::failed(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Failure::failed(format!("{} is longer than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// Writes a new file that the owner alone can read: nothing is ever overwritten.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| {
        Failure::failed(format!(
            "{}: {error} (hint: --out names a file that does not exist yet)",
            path.display()
        ))
    };
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}
