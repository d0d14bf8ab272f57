//! The accounts of a run: made, funded and trusting one asset, with payments signed before the clock starts.

use anyhow::{Context, Result, bail};
use carat_client::client::Client;
use carat_types::builder::{TransactionBuilder, asset, operation};
use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, SecretKey};
use stellar_xdr::{AccountId, Asset, Operation, TransactionEnvelope};

/// One paying account and its payments, in the order of their sequence numbers.
#[derive(Debug)]
pub struct Payer {
    /// Signed envelopes, ready to send.
    pub payments: Vec<Vec<u8>>,
}

/// Operations in one transaction of the preparation.
const PREPARED_AT_ONCE: usize = 50;
/// What each account starts with, native. **Units**: stroops.
const COINS: i64 = 100 * 10_000_000;
/// What each account is issued. **Units**: stroops.
const UNITS: i64 = 1_000_000 * 10_000_000;
const FEE: u32 = 10_000;

/// Makes `count` accounts that hold an issued asset, and signs `payments` payments of each to its neighbour.
///
/// **Errors**: a network that is not a test network, or does not settle the preparation.
pub async fn prepare(client: &Client, count: usize, payments: usize, run: &str) -> Result<Vec<Payer>> {
    let network_id = client.network().genesis.network_id();
    let keys: Vec<SecretKey> = (0..count).map(|index| key_of(run, index)).collect();
    let issuer = key_of(run, usize::MAX);
    let asset = asset::issued("EUR", account(&issuer))?;
    create_accounts(client, &network_id, &keys, &issuer).await?;
    open_lines(client, &network_id, &keys, &asset).await?;
    issue(client, &network_id, &keys, &issuer, &asset).await?;
    let mut payers = Vec::with_capacity(count);
    for (index, key) in keys.iter().enumerate() {
        let mut sequence = sequence_of(client, key).await?;
        let to = keys.get((index + 1) % count).context("a neighbour")?;
        let mut signed = Vec::with_capacity(payments);
        for _ in 0..payments {
            let payment = operation::payment(account(to), asset.clone(), 1);
            let envelope = sign(&network_id, key, sequence, vec![payment], &[key])?;
            signed.push(SignedTransaction::from_envelope(&network_id, envelope)?.bytes().to_vec());
            sequence += 1;
        }
        payers.push(Payer { payments: signed });
    }
    Ok(payers)
}

async fn create_accounts(
    client: &Client,
    network_id: &Digest,
    keys: &[SecretKey],
    issuer: &SecretKey,
) -> Result<()> {
    let root = test_root_key(client.network().passphrase());
    let mut sequence =
        sequence_of(client, &root).await.context("only a test network has a known root key")?;
    let all: Vec<&SecretKey> = keys.iter().chain([issuer]).collect();
    for some in all.chunks(PREPARED_AT_ONCE) {
        let create = |key: &&SecretKey| operation::create_account(account(key), COINS);
        let operations = some.iter().map(create).collect();
        settle(client, sign(network_id, &root, sequence, operations, &[&root])?).await?;
        sequence += 1;
    }
    Ok(())
}

async fn open_lines(client: &Client, network_id: &Digest, keys: &[SecretKey], asset: &Asset) -> Result<()> {
    // Twenty signatures are the most that a transaction takes.
    for some in keys.chunks(19) {
        let Some(payer) = some.first() else { continue };
        let trust =
            |key: &SecretKey| operation::by(account(key), operation::change_trust(asset.clone(), i64::MAX));
        let signers: Vec<&SecretKey> = some.iter().collect();
        let sequence = sequence_of(client, payer).await?;
        settle(client, sign(network_id, payer, sequence, some.iter().map(trust).collect(), &signers)?)
            .await?;
    }
    Ok(())
}

async fn issue(
    client: &Client,
    network_id: &Digest,
    keys: &[SecretKey],
    issuer: &SecretKey,
    asset: &Asset,
) -> Result<()> {
    let mut sequence = sequence_of(client, issuer).await?;
    for some in keys.chunks(PREPARED_AT_ONCE) {
        let pay = |key: &SecretKey| operation::payment(account(key), asset.clone(), UNITS);
        settle(client, sign(network_id, issuer, sequence, some.iter().map(pay).collect(), &[issuer])?)
            .await?;
        sequence += 1;
    }
    Ok(())
}

async fn settle(client: &Client, envelope: TransactionEnvelope) -> Result<()> {
    let finality = client.submit(envelope).await?;
    let outcome = carat_client::outcome::Outcome::of(&finality.result);
    if !outcome.successful {
        bail!("a transaction of the preparation failed: {outcome:?}");
    }
    Ok(())
}

fn sign(
    network_id: &Digest,
    source: &SecretKey,
    sequence: i64,
    operations: Vec<Operation>,
    signers: &[&SecretKey],
) -> Result<TransactionEnvelope> {
    let mut builder = TransactionBuilder::new(account(source), sequence)?.fee_per_operation(FEE);
    for operation in operations {
        builder = builder.operation(operation);
    }
    Ok(builder.sign(network_id, signers)?)
}

async fn sequence_of(client: &Client, key: &SecretKey) -> Result<i64> {
    Ok(client.load_account(&stellar_strkey(key)).await?.sequence)
}

fn stellar_strkey(key: &SecretKey) -> String {
    AccountId::from(key.public()).to_string()
}

fn account(key: &SecretKey) -> AccountId {
    AccountId::from(key.public())
}

/// Keys of a run follow from its name, so that a run can be repeated exactly.
fn key_of(run: &str, index: usize) -> SecretKey {
    let seed = sha256(&[b"carat-bench", run.as_bytes(), &index.to_be_bytes()]);
    SecretKey::from_seed(seed.as_bytes())
}
