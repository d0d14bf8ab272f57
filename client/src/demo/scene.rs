//! Who takes part: four banks, two anchors that issue, and what they have been told of the outcome of each
//! payment, from which the checks compute what everybody must hold.

use std::collections::BTreeMap;

use carat_client::keystore::{self, KeyStore};
use carat_client::outcome::Outcome;
use carat_client::{Client, Finality};
use carat_types::builder::operation::Options;
use carat_types::builder::{TransactionBuilder, amount, asset, operation};
use carat_types::transaction::{sign_envelope, test_root_key};
use carat_types::{Digest, PublicKey, SecretKey};
use stellar_xdr::{AccountId, Asset, Operation, TransactionEnvelope};

use crate::cli::Failure;

/// The banks.
pub(crate) const BANKS: [&str; 4] = ["bank-a", "bank-b", "bank-c", "bank-d"];

/// The currencies, each with the anchor that issues it.
pub(crate) const CURRENCIES: [(&str, &str); 2] = [("EUR", "anchor-eur"), ("USD", "anchor-usd")];

/// Native coin that each participant starts with. **Units**: stroops.
const STARTING_BALANCE: i64 = 10_000 * amount::UNIT;

/// An account, whoever must sign for it, and the client of its owner.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// For people.
    pub(crate) name: String,
    /// Its address.
    pub(crate) public: PublicKey,
    /// The keys that sign for it.
    pub(crate) keys: Vec<SecretKey>,
    /// Speaks to the owner's own node first.
    pub(crate) client: Client,
    sequence: i64,
}

impl Actor {
    /// An account with a key of its own, whose owner's node is `node`.
    pub(crate) fn new(name: &str, key: SecretKey, client: &Client, node: usize) -> Self {
        let client = client.clone().preferring(node);
        Actor { name: name.to_owned(), public: key.public(), keys: vec![key], client, sequence: 0 }
    }

    /// A new random key, kept in `store` for whoever plays on.
    pub(crate) fn generate(
        name: &str,
        store: &KeyStore,
        client: &Client,
        node: usize,
    ) -> Result<Self, Failure> {
        let key = keystore::generate()?;
        store.add_secret(name, &key)?;
        Ok(Actor::new(name, key, client, node))
    }

    /// The address as text.
    pub(crate) fn address(&self) -> String {
        keystore::address(&self.public)
    }

    /// Learns the account's sequence number.
    pub(crate) async fn load(&mut self) -> Result<(), Failure> {
        self.sequence = self.client.load_account(&self.address()).await?.sequence;
        Ok(())
    }

    /// What the account holds of an asset, by its owner's node. **Units**: stroops.
    pub(crate) async fn holding(&self, asset: &Asset) -> Result<i64, Failure> {
        Ok(self.client.load_account(&self.address()).await?.holding(asset)?)
    }

    /// The next transaction, unsigned. Its sequence number is used up.
    pub(crate) fn build(&mut self, operations: Vec<Operation>) -> Result<TransactionEnvelope, Failure> {
        let fee = self.client.network().genesis.genesis.ledger.base_fee.max(100);
        let builder = TransactionBuilder::new(self.public, self.sequence)?.fee_per_operation(fee);
        self.sequence += 1;
        Ok(operations.into_iter().fold(builder, TransactionBuilder::operation).build()?)
    }

    /// Gives back the sequence number of a transaction that was refused.
    pub(crate) fn unbuild(&mut self) {
        self.sequence -= 1;
    }

    /// The next transaction with the signatures of the first `signers` keys.
    pub(crate) fn sign(
        &mut self,
        operations: Vec<Operation>,
        signers: usize,
    ) -> Result<TransactionEnvelope, Failure> {
        let mut envelope = self.build(operations)?;
        let keys: Vec<&SecretKey> = self.keys.iter().take(signers).collect();
        sign_envelope(&self.client.network().genesis.network_id(), &mut envelope, &keys)?;
        Ok(envelope)
    }

    /// Signs with as many keys as are needed, submits, and takes nothing but proved success.
    pub(crate) async fn execute(&mut self, operations: Vec<Operation>) -> Result<Finality, Failure> {
        let signers = self.keys.len().min(2);
        let envelope = self.sign(operations, signers)?;
        succeed(&self.name, self.client.submit(envelope).await?)
    }
}

/// The flag by which an issuer says that each holder of its assets needs its authorisation, and the one that lets it take
/// that back.
const AUTH_REQUIRED_AND_REVOCABLE: u32 = 1 | 2;
/// The flag of a line whose holder is authorised.
const AUTHORISED: u32 = 1;

impl Actor {
    /// Says, as an anchor, that each holder of its assets needs its authorisation: the network has no other assets.
    pub(crate) async fn require_authorisation(&mut self) -> Result<(), Failure> {
        let options = Options::default().flags(AUTH_REQUIRED_AND_REVOCABLE, 0);
        self.execute(vec![operation::set_options(options)]).await.map(drop)
    }

    /// Authorises, as an anchor, `holders` to hold `assets`.
    pub(crate) async fn authorise(&mut self, holders: &[PublicKey], assets: &[Asset]) -> Result<(), Failure> {
        let of_holder = |holder: &PublicKey| {
            let account = AccountId::from(*holder);
            let line =
                |asset: &Asset| operation::set_trustline_flags(account.clone(), asset.clone(), AUTHORISED, 0);
            assets.iter().map(line).collect::<Vec<_>>()
        };
        self.execute(holders.iter().flat_map(of_holder).collect()).await.map(drop)
    }
}

/// Makes the actors' accounts, paid for by the root account of the test network.
pub(crate) async fn create_accounts<'a>(
    client: &Client,
    actors: impl IntoIterator<Item = &'a mut Actor>,
) -> Result<(), Failure> {
    let mut actors: Vec<_> = actors.into_iter().collect();
    let mut root = Actor::new("root", test_root_key(client.network().passphrase()), client, 0);
    root.load().await?;
    let create = |actor: &&mut Actor| operation::create_account(actor.public.into(), STARTING_BALANCE);
    root.execute(actors.iter().map(create).collect()).await?;
    for actor in &mut actors {
        actor.load().await?;
    }
    Ok(())
}

/// Takes nothing but success.
pub(crate) fn succeed(who: &str, finality: Finality) -> Result<Finality, Failure> {
    let outcome = Outcome::of(&finality.result);
    if outcome.successful {
        Ok(finality)
    } else {
        Err(Failure::failed(format!("a transaction of {who} failed: {outcome} ({})", finality.hash)))
    }
}

/// A payment between banks whose success was proved.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    /// The transaction.
    pub(crate) hash: Digest,
    /// Index of the payer in [`BANKS`].
    pub(crate) from: usize,
    /// Index of the payee.
    pub(crate) to: usize,
    /// Index in [`CURRENCIES`].
    pub(crate) currency: usize,
    /// **Units**: stroops.
    pub(crate) amount: i64,
}

/// The participants and what they know.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// The banks, in the order of [`BANKS`].
    pub(crate) banks: Vec<Actor>,
    /// The anchors, in the order of [`CURRENCIES`].
    pub(crate) anchors: Vec<Actor>,
    /// The payments that were acknowledged.
    pub(crate) payments: Vec<Payment>,
    /// What each anchor issued to each bank. **Units**: stroops.
    pub(crate) issued: i64,
}

impl Scene {
    /// The asset of a currency.
    pub(crate) fn asset(&self, currency: usize) -> Result<Asset, Failure> {
        let (code, anchor) = (CURRENCIES[currency].0, &self.anchors[currency]);
        Ok(asset::issued(code, anchor.public.into())?)
    }

    /// What each bank must hold of each currency, by (bank, currency).
    pub(crate) fn expected(&self) -> BTreeMap<(usize, usize), i64> {
        let mut holdings = BTreeMap::new();
        for currency in 0..CURRENCIES.len() {
            for bank in 0..BANKS.len() {
                holdings.insert((bank, currency), self.issued);
            }
        }
        for payment in &self.payments {
            *holdings.entry((payment.from, payment.currency)).or_default() -= payment.amount;
            *holdings.entry((payment.to, payment.currency)).or_default() += payment.amount;
        }
        holdings
    }
}
