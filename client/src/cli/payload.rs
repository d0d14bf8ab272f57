//! `carat payload`: messages for the parties of a transaction, which travel beside the ledger.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_client::keystore;
use carat_client::outcome::Outcome;
use carat_client::payload::{self, DATA_NAME, MESSAGE_BYTES_MAX};
use carat_types::Digest;
use carat_types::builder::operation;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::sealed_payload::SealedPayload;
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

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Key { identity, publish } => key(session, &identity, publish).await,
        Command::Seal(arguments) => seal(session, arguments).await,
        Command::Open(arguments) => open(session, arguments).await,
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
    let sealed = SealedPayload::from_bytes(&read(&arguments.file, SEALED_BYTES_MAX)?)
        .map_err(payload::PayloadError::from)?;
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

/// The key that an account has published. A node that lied here would read what is sealed, so f+1 must say the same.
async fn published_key(session: &Session, address: &str) -> Result<Digest, Failure> {
    let path = format!("/accounts/{address}/data/{DATA_NAME}");
    let client = session.client()?;
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
    let client = session.client()?;
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
