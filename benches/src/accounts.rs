//! The accounts of a run: made, funded and trusting its assets, with transactions signed before the clock starts.

use anyhow::{Context, Result, bail};
use carat_client::client::{Client, Finality};
use carat_client::outcome::Outcome;
use carat_types::builder::operation::{self, LIMIT_MAX};
use carat_types::builder::{TransactionBuilder, amount};
use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, SecretKey};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use stellar_xdr::{AccountId, Operation, TransactionEnvelope};

use crate::scenario::{Scenario, Stage};

/// Operations in one transaction of the preparation.
const PREPARED_AT_ONCE: usize = 100;
/// Signatures that a transaction can have.
const SIGNATURES_MAX: usize = 20;
/// Transactions of the preparation that are under way at one time, where their order does not matter.
const UNDER_WAY: usize = 16;
/// What each account starts with, native. **Units**: stroops.
const COINS: i64 = 1_000 * amount::UNIT;
/// What each account is issued of each asset. **Units**: stroops.
const UNITS: i64 = 1_000_000 * amount::UNIT;
/// **Units**: stroops for each operation.
const FEE: u32 = 10_000;

/// A signed transaction, ready to send.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The envelope, XDR.
    pub envelope: Vec<u8>,
    /// Its hash, which the receipt must name.
    pub hash: Digest,
}

/// One account that sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The keys that sign, its own first.
    keys: Vec<SecretKey>,
    /// Sequence number last used.
    sequence: i64,
}

/// All accounts of a run.
#[derive(Debug)]
pub struct Senders {
    network_id: Digest,
    stage: Stage,
    senders: Vec<Sender>,
}

impl Senders {
    /// Makes `count` accounts for `scenario`. Another name of the `run` makes other accounts.
    ///
    /// **Errors**: a network that is not a test network, or does not settle the preparation.
    pub async fn prepare(client: &Client, scenario: Scenario, count: usize, run: &str) -> Result<Self> {
        if count < 2 {
            bail!("{count} accounts cannot pay each other (hint: --accounts 2 or more)");
        }
        let network_id = client.network().genesis.network_id();
        let issuer = key_of(run, usize::MAX, 0);
        let assets = scenario.assets(&account(&issuer))?;
        let further = |index: usize| move |number| key_of(run, index, number);
        let keys = (0..count).map(|index| {
            let own = key_of(run, index, 0);
            let more = scenario.further_keys(&own, further(index));
            [vec![own], more].concat()
        });
        let senders = keys.map(|keys| Sender { keys, sequence: 0 }).collect::<Vec<_>>();
        let accounts = senders.iter().map(Sender::account).collect::<Result<Vec<_>>>()?;
        let mut all = Senders { network_id, stage: Stage { scenario, assets, accounts }, senders };
        let mut issuer = Sender { keys: vec![issuer], sequence: 0 };
        all.create(client, run, &mut issuer).await?;
        all.open(client, &issuer).await?;
        all.quote(client, &mut issuer).await?;
        Ok(all)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// The key of one of them.
    ///
    /// **Errors**: there is none.
    pub fn key(&self) -> Result<&SecretKey> {
        self.senders.first().and_then(|sender| sender.keys.first()).context("no account")
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Signs the next `each` transactions of the first `count` accounts, on all processors.
    ///
    /// **Errors**: one cannot be built.
    pub fn sign(&self, count: usize, each: usize) -> Result<Vec<Vec<Signed>>> {
        let senders = self.senders.get(..count).unwrap_or(&self.senders);
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = senders.len().div_ceil(workers).max(1);
        std::thread::scope(|scope| {
            let parts = senders.chunks(share).enumerate();
            let signing = parts.map(|(part, senders)| {
                scope.spawn(move || {
                    let places = part * share..;
                    places.zip(senders).map(|(who, sender)| self.sign_of(who, sender, each)).collect()
                })
            });
            let signing: Vec<_> = signing.collect();
            let mut all = Vec::with_capacity(senders.len());
            for part in signing {
                let part: Result<Vec<_>> = part.join().unwrap_or_else(|_| bail!("a signing thread panicked"));
                all.extend(part?);
            }
            Ok(all)
        })
    }

    fn sign_of(&self, who: usize, sender: &Sender, each: usize) -> Result<Vec<Signed>> {
        let signers: Vec<&SecretKey> = sender.keys.iter().take(2).collect();
        let sign = |sequence: i64| {
            let operation = self.stage.operation(who, sequence.unsigned_abs())?;
            let envelope = sign(&self.network_id, sender, sequence, vec![operation], &signers)?;
            let signed = SignedTransaction::from_envelope(&self.network_id, envelope)?;
            Ok(Signed { envelope: signed.bytes().to_vec(), hash: *signed.hash() })
        };
        (sender.sequence..).take(each).map(sign).collect()
    }

    /// Notes how many of its signed transactions each account has used up.
    pub fn used(&mut self, counts: &[usize]) {
        for (sender, used) in self.senders.iter_mut().zip(counts) {
            sender.sequence += i64::try_from(*used).unwrap_or(0);
        }
    }

    /// The root pays. It has one sequence number at a time, so that others send, side by side.
    async fn create(&mut self, client: &Client, run: &str, issuer: &mut Sender) -> Result<()> {
        let key = test_root_key(client.network().passphrase());
        let address = account(&key).to_string();
        let root = client.load_account(&address).await.context("only a test network has a known root key")?;
        let mut root = Sender { keys: vec![key.clone()], sequence: root.sequence };
        let funder =
            |number| Sender { keys: vec![key_of(run, usize::MAX, number), key.clone()], sequence: 0 };
        let mut funders: Vec<Sender> = (1..).take(UNDER_WAY).map(funder).collect();
        let first = funders.iter_mut().chain([issuer]).collect();
        let payer = account(&key);
        root.create(client, &self.network_id, &payer, first).await?;
        let network_id = self.network_id;
        let share = self.senders.len().div_ceil(UNDER_WAY).max(1);
        let parts = self.senders.chunks_mut(share).zip(&mut funders).map(|(part, funder)| {
            let payer = &payer;
            async move {
                for some in part.chunks_mut(PREPARED_AT_ONCE) {
                    funder.create(client, &network_id, payer, some.iter_mut().collect()).await?;
                }
                anyhow::Ok(())
            }
        });
        stream::iter(parts).buffer_unordered(UNDER_WAY).try_collect::<()>().await
    }

    /// Trustlines, what else everybody must sign himself, and what the issuer gives them.
    async fn open(&mut self, client: &Client, issuer: &Sender) -> Result<()> {
        let (stage, network_id) = (&self.stage, self.network_id);
        let issuer_key = issuer.keys.first().context("a key")?;
        let each = 2 * stage.assets.len()
            + stage.scenario.settings(&stage.accounts[0], &self.senders[0].keys[1..]).len();
        let at_once = (PREPARED_AT_ONCE / each).clamp(1, SIGNATURES_MAX - 1);
        let groups = self.senders.chunks_mut(at_once).map(|some| async move {
            let mut operations = Vec::new();
            for sender in some.iter() {
                let who = sender.account()?;
                let trust = |asset: &stellar_xdr::Asset| {
                    operation::by(who.clone(), operation::change_trust(asset.clone(), LIMIT_MAX))
                };
                let pay = |asset: &stellar_xdr::Asset| {
                    operation::by(account(issuer_key), operation::payment(who.clone(), asset.clone(), UNITS))
                };
                operations.extend(stage.assets.iter().map(trust));
                operations.extend(stage.assets.iter().map(pay));
                operations.extend(stage.scenario.settings(&who, sender.keys.get(1..).unwrap_or_default()));
            }
            let keys: Vec<SecretKey> =
                some.iter().filter_map(|sender| sender.keys.first().cloned()).collect();
            let signers: Vec<&SecretKey> = keys.iter().chain([issuer_key]).collect();
            let first = some.first_mut().context("a group")?;
            let envelope = sign(&network_id, first, first.sequence, operations, &signers)?;
            first.sequence += 1;
            settled(client.submit(envelope).await?)?;
            anyhow::Ok(())
        });
        stream::iter(groups).buffer_unordered(UNDER_WAY).try_collect::<()>().await
    }

    /// The issuer is also the market maker: it has of every asset as much as it wants.
    async fn quote(&self, client: &Client, issuer: &mut Sender) -> Result<()> {
        let quotes = self.stage.scenario.quotes(&self.stage.assets);
        if !quotes.is_empty() {
            issuer.settle(client, &self.network_id, quotes).await?;
        }
        Ok(())
    }
}

impl Sender {
    fn account(&self) -> Result<AccountId> {
        self.keys.first().map(account).context("a key")
    }

    /// Makes accounts, with coins of the payer, whose key is among its own.
    async fn create(
        &mut self,
        client: &Client,
        network_id: &Digest,
        payer: &AccountId,
        new: Vec<&mut Sender>,
    ) -> Result<()> {
        let create = |new: &&mut Sender| {
            Ok(operation::by(payer.clone(), operation::create_account(new.account()?, COINS)))
        };
        let operations = new.iter().map(create).collect::<Result<_>>()?;
        let done = self.settle(client, network_id, operations).await?;
        let ledger = done.verdict.ledger.context("a receipt of the outcome")?;
        // An account begins with the number of its ledger in the upper half (ledger specification A.3).
        new.into_iter().for_each(|new| new.sequence = i64::from(ledger) << 32);
        Ok(())
    }

    /// Takes nothing but proved success.
    async fn settle(
        &mut self,
        client: &Client,
        network_id: &Digest,
        operations: Vec<Operation>,
    ) -> Result<Finality> {
        let keys: Vec<&SecretKey> = self.keys.iter().collect();
        let envelope = sign(network_id, self, self.sequence, operations, &keys)?;
        self.sequence += 1;
        settled(client.submit(envelope).await?)
    }
}

fn settled(finality: Finality) -> Result<Finality> {
    let outcome = Outcome::of(&finality.result);
    if outcome.successful {
        Ok(finality)
    } else {
        bail!("a transaction of the preparation failed: {outcome}")
    }
}

fn sign(
    network_id: &Digest,
    source: &Sender,
    sequence: i64,
    operations: Vec<Operation>,
    signers: &[&SecretKey],
) -> Result<TransactionEnvelope> {
    let builder = TransactionBuilder::new(source.account()?, sequence)?.fee_per_operation(FEE);
    let builder = operations.into_iter().fold(builder, TransactionBuilder::operation);
    Ok(builder.sign(network_id, signers)?)
}

fn account(key: &SecretKey) -> AccountId {
    AccountId::from(key.public())
}

/// Keys of a run follow from its name, so that a run can be repeated exactly. Number 0 is an account's own.
fn key_of(run: &str, index: usize, number: u8) -> SecretKey {
    let seed = sha256(&[b"carat-bench", run.as_bytes(), &index.to_be_bytes(), &[number]]);
    SecretKey::from_seed(seed.as_bytes())
}
