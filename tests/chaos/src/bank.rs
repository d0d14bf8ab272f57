//! What the clients do: each pays the others, one payment at a time, and asks now and then what an account holds.
//! Every call and every answer goes into the history with its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use carat_client::Client;
use carat_client::outcome::Outcome;
use carat_client::rest::Rest;
use carat_sim::rng::Rng;
use carat_types::builder::{TransactionBuilder, amount, operation};
use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, test_root_key};
use carat_types::{Digest, SecretKey};
use stellar_xdr::{AccountId, TransactionEnvelope};
use tokio::task::JoinSet;

use crate::history::{History, Payment, Read};

/// What each account starts with. **Units**: stroops.
pub const OPENING: i64 = 1_000_000 * amount::UNIT;
/// The fee of every payment. **Units**: stroops.
pub const FEE: u32 = 100;
/// Between two payments of one client: the load is steady, not the most that the machine can do.
const PAUSE: Duration = Duration::from_millis(20);
/// How long one read may take.
const READ_PATIENCE: Duration = Duration::from_secs(2);
/// One call of so many is a read.
const READS: u64 = 4;

/// The accounts of a run.
#[derive(Clone, Debug)]
pub struct Bank {
    /// One key for each client.
    pub keys: Vec<SecretKey>,
}

/// What all clients share.
pub struct Shared {
    /// What happened.
    pub history: History,
    /// Set when no new payment shall begin; those under way are finished.
    pub closing: AtomicBool,
    /// Payments that were acknowledged.
    pub acknowledged: AtomicU64,
    /// Payments whose outcome could not be learnt before the end: they may or may not be there.
    pub unresolved: AtomicU64,
    /// The clock of the history.
    pub started: Instant,
}

impl Shared {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Shared {
            history: History::default(),
            closing: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            unresolved: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Time since the beginning of the history.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Default for Shared {
    fn default() -> Self {
        Shared::new()
    }
}

impl Bank {
    /// Opens `count` accounts.
    ///
    /// **Errors**: the network does not settle it.
    pub async fn open(client: &Client, count: usize, seed: u64) -> Result<Self> {
        let key = |index: usize| {
            SecretKey::from_seed(
                sha256(&[b"carat-chaos", &seed.to_be_bytes(), &index.to_be_bytes()]).as_bytes(),
            )
        };
        let keys: Vec<SecretKey> = (0..count).map(key).collect();
        let root = test_root_key(client.network().passphrase());
        let sequence = client.load_account(&address(&root)).await?.sequence;
        let mut builder = TransactionBuilder::new(account(&root), sequence)?.fee_per_operation(FEE);
        for key in &keys {
            builder = builder.operation(operation::create_account(account(key), OPENING));
        }
        let finality = client.submit(builder.sign(&client.network().genesis.network_id(), &[&root])?).await?;
        let outcome = Outcome::of(&finality.result);
        anyhow::ensure!(outcome.successful, "the accounts could not be opened: {outcome}");
        Ok(Bank { keys })
    }

    /// Starts one client for each account; they pay until the run closes.
    pub fn start(&self, client: &Client, shared: &Arc<Shared>, seed: u64) -> JoinSet<Result<()>> {
        let mut tasks = JoinSet::new();
        let count = client.network().nodes.len();
        for (index, _) in self.keys.iter().enumerate() {
            let teller = Teller {
                bank: self.clone(),
                own: index,
                client: client.clone().preferring(index % count),
                shared: Arc::clone(shared),
                rng: Rng::new(seed.wrapping_mul(1_000).wrapping_add(index as u64)),
                sequence: 0,
            };
            tasks.spawn(teller.run());
        }
        tasks
    }
}

/// One client with one account.
struct Teller {
    bank: Bank,
    own: usize,
    client: Client,
    shared: Arc<Shared>,
    rng: Rng,
    sequence: i64,
}

impl Teller {
    async fn run(mut self) -> Result<()> {
        self.sequence = self.client.load_account(&address(self.key())).await?.sequence;
        while !self.shared.closing.load(Ordering::Relaxed) {
            if self.rng.below(READS) == 0 {
                self.read().await?;
            } else {
                self.pay().await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn key(&self) -> &SecretKey {
        &self.bank.keys[self.own]
    }

    /// Pays somebody, and submits the same bytes until their outcome is proved.
    async fn pay(&mut self) -> Result<()> {
        let to = (self.own + 1 + self.rng.index(self.bank.keys.len() - 1)) % self.bank.keys.len();
        let amount = i64::try_from(1 + self.rng.below(1_000))?;
        let network_id = self.client.network().genesis.network_id();
        let envelope = self.payment(&network_id, to, amount)?;
        let hash = *SignedTransaction::from_envelope(&network_id, envelope.clone())?.hash();
        let call =
            self.shared.history.called(Payment { hash, from: self.own, to, amount }, self.shared.now());
        loop {
            match self.client.submit(envelope.clone()).await {
                Ok(finality) => {
                    let successful = Outcome::of(&finality.result).successful;
                    let slot = finality.verdict.slot;
                    self.shared.history.answered(call, self.shared.now(), slot, successful);
                    self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                // Killed nodes, lagging nodes, lost answers: whatever it was, the same bytes cannot pay twice.
                Err(_) if !self.shared.closing.load(Ordering::Relaxed) => {}
                // The run is closing and the network is whole: one last, patient look.
                Err(_) => match self.client.await_finality(&hash).await {
                    Ok(_) => {}
                    Err(_) => {
                        self.shared.unresolved.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                },
            }
        }
    }

    fn payment(&mut self, network_id: &Digest, to: usize, amount: i64) -> Result<TransactionEnvelope> {
        let builder = TransactionBuilder::new(account(self.key()), self.sequence)?.fee_per_operation(FEE);
        self.sequence += 1;
        let payment = operation::payment(account(&self.bank.keys[to]), stellar_xdr::Asset::Native, amount);
        Ok(builder.operation(payment).sign(network_id, &[self.key()])?)
    }

    /// Asks one node what an account holds. A weak read: it may be old, but it must once have been true.
    async fn read(&mut self) -> Result<()> {
        let of = self.rng.index(self.bank.keys.len());
        let node = self.rng.index(self.client.network().nodes.len());
        let rest: &Rest = self.client.nodes().nth(node).context("a node")?;
        let name = rest.base().to_owned();
        let called = self.shared.now();
        // A dead node gives no answer, which is no statement either.
        let Ok(seen) = rest.account(&address(&self.bank.keys[of]), READ_PATIENCE).await else {
            return Ok(());
        };
        let native = seen.balances.iter().find(|balance| balance.asset_type == "native");
        let balance = amount::parse(&native.context("a native balance")?.balance)?;
        let read = Read {
            node: name,
            account: of,
            balance,
            sequence: seen.sequence,
            called,
            answered: self.shared.now(),
        };
        self.shared.history.read(read);
        Ok(())
    }
}

/// The address of a key.
pub fn address(key: &SecretKey) -> String {
    account(key).to_string()
}

fn account(key: &SecretKey) -> AccountId {
    AccountId::from(key.public())
}
