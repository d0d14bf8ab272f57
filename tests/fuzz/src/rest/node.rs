//! The node behind the fuzzed interface: the index of a small market, and nothing that settles.

#[path = "../../../../node/history/src/tests/chain.rs"]
mod chain;
#[path = "../../../../node/history/src/tests/market.rs"]
mod market;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_api::Node;
use carat_api::bank::{Bank, BankSettings, LoginKeys, Place};
use carat_api::port::{
    Acceptance, Account, BoxFuture, CheckedReceipt, Governance, Head, HistoryState, Network, NodeError,
    StateAnswer, Submission,
};
use carat_api::resources::network::NetworkState;
use carat_api::routes::ROUTES;
use carat_history::paths::{self, Found, PathQuery};
use carat_history::{History, HistoryStore, Order, Toid, TransactionRecord};
use carat_ledger::{MemoryState, StateRead as _};
use carat_types::accountability::Conviction;
use carat_types::builder::operation::payment;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::genesis::{ConsensusConstants, Deployment, GenesisValidator, Visibility};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Epoch, PublicKey};
use stellar_xdr::{Asset, Limits, TransactionEnvelope, WriteXdr as _};
use tokio::sync::watch;

use chain::{COIN, Chain, PASSPHRASE, key};

/// What was executed once for all inputs.
pub(crate) static MARKET: LazyLock<Market> = LazyLock::new(Market::open);
/// What the node serves for its bank: a directory, a login.
pub(crate) static BANK: LazyLock<Arc<Bank>> = LazyLock::new(|| Arc::new(bank()));

/// A market's rows and state.
pub(crate) struct Market {
    pub(crate) store: Arc<dyn HistoryStore>,
    /// The keys of all rows.
    pub(crate) keys: Vec<Vec<u8>>,
    state: MemoryState,
    network: Network,
    head: Head,
    indexed: watch::Sender<Toid>,
    network_state: watch::Sender<Arc<NetworkState>>,
    /// The newest transaction.
    hash: Digest,
    /// One that fits behind it.
    next: TransactionEnvelope,
}

impl Market {
    fn open() -> Self {
        let mut chain = Chain::new(&[]);
        let mut hash = Digest::ZERO;
        market::open(|signers, operations| {
            let envelope = market::signed(&chain, signers, operations);
            let mut applied = chain.block(300, &[envelope]);
            let applied = applied.remove(0);
            hash = *applied.transaction.hash();
            applied.result.result
        });
        chain.block(300, &[]);
        let store = Arc::clone(&chain.store);
        let pairs = store.scan(Vec::new()..vec![u8::MAX], Order::Ascending, usize::MAX).expect("in memory");
        let (indexed, _) = watch::channel(chain.history.position().expect("sound").expect("begun").now());
        let next = chain.signed(&key(2), vec![payment(key(3).public(), Asset::Native, COIN)]);
        Market {
            keys: pairs.into_iter().map(|(key, _)| key).collect(),
            network: network(&chain),
            head: Head { ledger: chain.header.ledger, protocol: chain.totals().protocol_version },
            state: chain.state,
            network_state: watch::channel(Arc::default()).0,
            store,
            indexed,
            hash,
            next,
        }
    }
}

fn network(chain: &Chain) -> Network {
    let own = PublicKey([9; 32]);
    let bank = GenesisValidator { name: "bank-a".to_owned(), acceptor: own, proposer: own, network: own };
    let consensus = ConsensusConstants::default();
    let deployment = Deployment::CoLocated;
    let set = EpochSet { epoch: Epoch(0), validators: vec![bank], deployment, consensus };
    Network {
        passphrase: PASSPHRASE.to_owned(),
        network_id: chain.network_id,
        chain_id: chain.header.chain_id,
        genesis: "{}".into(),
        is_test: true,
        visibility: Visibility::Open,
        auditors: Vec::new(),
        members: Vec::new(),
        version: "carat-node".to_owned(),
        supported_protocol: carat_ledger::NEWEST_PROTOCOL,
        epochs: Arc::new(Epochs::beginning_with(set, chain.header.chain_id).expect("one validator")),
    }
}

fn bank() -> Bank {
    let text =
        "domain = \"bank.example\"\ndirectory = \"d\"\n[login]\nsigning_key = \"s\"\ntoken_key = \"t\"\n";
    let settings: BankSettings = toml::from_str(text).expect("settings");
    let place = Place { passphrase: PASSPHRASE, validator: Some(("v0", key(9).public())) };
    let directory = format!("[[record]]\nname = \"alice\"\naccount = \"{}\"\n", address(2));
    let keys = LoginKeys { challenges: key(100), tokens: key(101) };
    Bank::new(&settings, place, Some(&directory), Some(keys), 1_800_000_000).expect("good")
}

fn address(number: u8) -> String {
    stellar_xdr::AccountId::from(key(number).public()).to_string()
}

/// A route's path with parameters that exist.
pub(crate) fn filled(path: &str) -> String {
    let pool = Digest(market::pool_id().0.0).to_string();
    path.replace("{account_id}", &address(2))
        .replace("{hash}", &MARKET.hash.to_string())
        .replace("{sequence}", "3")
        .replace("{id}", "12884905985")
        .replace("{offer_id}", "1")
        .replace("{liquidity_pool_id}", &pool)
        .replace("{claimable_balance_id}", &format!("00000000{}", MARKET.hash))
        .replace("{key}", "name")
        .replace("{ledger_key}", "AAAA")
}

/// The reads of all routes, each with the queries that clients ask.
pub(crate) fn reads() -> impl Iterator<Item = String> {
    let usd = format!("USD&{{}}_asset_issuer={}", address(1));
    let pair = format!(
        "selling_asset_type=credit_alphanum4&selling_asset_code={}&buying_asset_type=native",
        usd.replace("{}", "selling")
    );
    let base = "base_asset_type=native&counter_asset_type=credit_alphanum4&counter_asset_code=";
    let queries = [
        ("/order_book", pair),
        ("/trade_aggregations", format!("{base}{}&resolution=60000", usd.replace("{}", "counter"))),
        ("/trades", format!("{base}{}", usd.replace("{}", "counter"))),
        (
            "/paths/strict-send",
            "source_asset_type=native&source_amount=1&destination_assets=native".to_owned(),
        ),
        ("/federation", "q=alice*bank.example&type=name".to_owned()),
        ("/auth", format!("account={}", address(2))),
        ("/friendbot", format!("addr={}", address(8))),
        ("/accounts", format!("signer={}&limit=2", address(2))),
        ("/offers", format!("seller={}", address(2))),
    ];
    let queries: Vec<_> = queries.into_iter().map(|(path, query)| format!("{path}?{query}")).collect();
    let paths = ROUTES.iter().filter(|route| route.methods.contains(&"GET")).map(|route| filled(route.path));
    paths.chain(queries).chain(["/transactions?order=desc&limit=200&cursor=0".to_owned()])
}

/// What clients hand in, and bodies of the login.
pub(crate) fn submissions() -> Vec<Vec<u8>> {
    let xdr = MARKET.next.to_xdr(Limits::none()).unwrap_or_default();
    let text = STANDARD.encode(&xdr);
    let form = format!("tx={}", text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
    let with = |path: &str, kind: &str, body: &str| {
        format!("POST {path}\ncontent-type: {kind}\naccept: application/json\n\n{body}").into_bytes()
    };
    let of_form = "application/x-www-form-urlencoded";
    vec![
        with("/transactions", of_form, &form),
        with("/transactions_async", of_form, &form),
        with("/transactions", "application/json", &format!("{{\"tx\":\"{text}\"}}")),
        with("/auth", "application/json", &format!("{{\"transaction\":\"{text}\"}}")),
        with("/auth", of_form, &form.replace("tx=", "transaction=")),
        with("/friendbot", of_form, &format!("addr={}", address(8))),
        b"GET /accounts\nauthorization: Bearer a.b.c\naccept: application/octet-stream\n\n".to_vec(),
    ]
}

/// A node that shows an index and settles nothing.
pub(crate) struct Quiet {
    history: History,
}

impl Quiet {
    pub(crate) fn new(store: Arc<dyn HistoryStore>) -> Self {
        Quiet { history: History::new(store, MARKET.network.network_id) }
    }
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<T> {
    Box::pin(std::future::ready(value))
}

impl Node for Quiet {
    fn network(&self) -> &Network {
        &MARKET.network
    }

    fn head(&self) -> Head {
        MARKET.head
    }

    fn account(&self, account: &PublicKey) -> Result<Option<Account>, NodeError> {
        Ok(self.history.account(account)?)
    }

    fn bank_of(&self, _: &PublicKey) -> Result<Option<PublicKey>, NodeError> {
        Ok(None)
    }

    fn governance(&self) -> Result<Option<Governance>, NodeError> {
        Ok(None)
    }

    fn convictions(&self) -> Result<Vec<Conviction>, NodeError> {
        Ok(Vec::new())
    }

    fn paths(&self, query: &PathQuery) -> Result<Option<Found>, NodeError> {
        paths::search(&MARKET.state, query).map_err(|error| NodeError::Other(error.into()))
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_state(&self) -> HistoryState {
        HistoryState::Kept
    }

    fn transaction(&self, hash: &Digest) -> Result<Option<TransactionRecord>, NodeError> {
        Ok(self.history.transaction(hash)?)
    }

    fn indexed(&self) -> watch::Receiver<Toid> {
        MARKET.indexed.subscribe()
    }

    fn submit(&self, _: Arc<SignedTransaction>, _: Duration) -> BoxFuture<Submission> {
        ready(Submission::TimedOut)
    }

    fn submit_async(&self, _: Arc<SignedTransaction>) -> BoxFuture<Acceptance> {
        ready(Acceptance::Pending)
    }

    fn fund(&self, _: PublicKey, _: Duration) -> BoxFuture<Submission> {
        ready(Submission::Busy { retry_after: Duration::from_secs(1) })
    }

    fn receipt(&self, _: &Digest) -> Result<Option<CheckedReceipt>, NodeError> {
        Ok(None)
    }

    fn state_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        MARKET.state.get(key).map_err(|error| NodeError::Other(error.into()))
    }

    fn prove_state(&self, _: Vec<u8>, _: Duration) -> BoxFuture<StateAnswer> {
        ready(StateAnswer::Unprovable)
    }

    fn network_state(&self) -> watch::Receiver<Arc<NetworkState>> {
        MARKET.network_state.subscribe()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }
}
