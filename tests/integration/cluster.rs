//! A network of validators in this process, in a folder that goes away with it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use carat_client::client::Client;
use carat_client::network::Network;
use carat_genesis::init::{InitOptions, init};
use carat_node::{Home, Node, NodeError};
use carat_types::SecretKey;
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::genesis::Trust;
use carat_types::transaction::sign_envelope;
use serde_json::Value;
use stellar_xdr::{AccountId, Operation, TransactionEnvelope};
use tempfile::TempDir;

/// Nothing here takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    folder: TempDir,
    pub(crate) homes: Vec<PathBuf>,
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) network: Network,
    pub(crate) client: Client,
    http: reqwest::Client,
}

impl Cluster {
    /// A network of `validators`, started and ready.
    pub(crate) async fn start(validators: u16) -> Self {
        Cluster::start_trusting(validators, Trust::Bft).await
    }

    /// The same, where validators act on what `trust` says.
    pub(crate) async fn start_trusting(validators: u16, trust: Trust) -> Self {
        Cluster::make_trusting(validators, trust).started().await
    }

    /// The same, with other choices for the network; ports are chosen here.
    pub(crate) async fn start_with(options: impl FnOnce(&Path) -> InitOptions) -> Self {
        Cluster::make_with(options).started().await
    }

    /// Starts all its nodes and waits until they are ready.
    pub(crate) async fn started(mut self) -> Self {
        let cluster = &mut self;
        for index in 0..cluster.homes.len() {
            cluster.start_node(index).await.expect("starts");
        }
        for index in 0..cluster.homes.len() {
            cluster.await_ready(index).await;
        }
        self
    }

    /// The folders of a network; nothing runs yet.
    pub(crate) fn make(validators: u16) -> Self {
        Cluster::make_trusting(validators, Trust::Bft)
    }

    fn make_trusting(validators: u16, trust: Trust) -> Self {
        Cluster::make_with(|out| InitOptions { trust, ..InitOptions::test(validators, out) })
    }

    /// The folders of a network with these choices; ports are chosen here.
    pub(crate) fn make_with(options: impl FnOnce(&Path) -> InitOptions) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("net");
        let options = options(&out);
        let base_port = Some(free_ports(options.validators + options.proposers));
        let options = InitOptions { base_port, ..options };
        let made = init(&options).expect("a network");
        let mut network = Network::load(&out).expect("its description");
        let client = Client::new(network.clone()).expect("a client").patience(PATIENCE / 4, PATIENCE);
        // Here a node has the number of its process, the acceptors of an edge network before its proposers.
        network.nodes.splice(..0, network.acceptors.clone());
        let nodes = made.homes.iter().map(|_| None).collect();
        let http = carat_client::rest::Rest::pool().expect("a pool");
        Cluster { folder, homes: made.homes, nodes, network, client, http }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    pub(crate) async fn start_node(&mut self, index: usize) -> Result<(), NodeError> {
        let node = Node::start(Home::read(&self.homes[index])?).await?;
        self.nodes[index] = Some(node);
        Ok(())
    }

    pub(crate) async fn stop_node(&mut self, index: usize) {
        let node = self.nodes[index].take().expect("it runs");
        node.stop().await.expect("stops");
        self.await_port_free(index).await;
    }

    /// QUIC lets its socket go on a task of its own, a moment after a node stopped or failed to start.
    pub(crate) async fn await_port_free(&self, index: usize) {
        let settings = carat_node::Settings::load(&self.homes[index]).expect("valid");
        let released = async {
            // The native entrance, which an acceptor of an edge network has not, is at the address of the REST interface.
            let has_entrance = !self.network.nodes[index].api.is_empty();
            for address in
                [settings.network.listen].into_iter().chain(has_entrance.then_some(settings.api.listen))
            {
                while std::net::UdpSocket::bind(address).is_err() {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, released).await.expect("the port is free again");
    }

    pub(crate) async fn stop(mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_some() {
                self.stop_node(index).await;
            }
        }
    }

    /// GETs JSON of a validator's REST interface, whatever the status.
    pub(crate) async fn get(&self, index: usize, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.network.nodes[index].api);
        answer(self.http.get(url)).await
    }

    /// POSTs an envelope as a client library does.
    pub(crate) async fn post(&self, index: usize, path: &str, tx: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.network.nodes[index].api);
        answer(self.http.post(url).form(&[("tx", tx)])).await
    }

    pub(crate) async fn status(&self, index: usize) -> Value {
        self.operator(index, "/status").await
    }

    /// GETs a page of a validator's operator.
    pub(crate) async fn operator(&self, index: usize, page: &str) -> Value {
        answer(self.http.get(format!("{}{page}", self.network.nodes[index].metrics))).await.1
    }

    /// The value of a metric: its name, with its labels if it has any.
    pub(crate) async fn metric(&self, index: usize, name: &str) -> u64 {
        let url = format!("{}/metrics", self.network.nodes[index].metrics);
        let text = self.http.get(url).send().await.expect("served").text().await.expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
    }

    /// What a validator saw of a slot, asked for until it is as wanted.
    pub(crate) async fn await_trace(
        &self,
        index: usize,
        slot: u64,
        what: &str,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let page = format!("/consensus/trace?slot={slot}");
        let seen = |answer: &Value| answer["messages"].as_array().is_some_and(|messages| wanted(messages));
        let answer = self.await_operator(index, &page, what, seen).await;
        answer["messages"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) async fn await_ready(&self, index: usize) {
        self.await_status(index, "ready", |status| status["ready"] == true).await;
    }

    /// Waits until these validators show their readers all that is executed now: an index may be behind its state.
    pub(crate) async fn await_histories(&self, validators: &[usize]) {
        let ledger = async |index: usize, field: &str| self.get(index, "/").await.1[field].as_u64();
        let mut executed = None;
        for index in validators {
            executed = executed.max(ledger(*index, "core_latest_ledger").await);
        }
        let asking = async {
            let mut pause = tokio::time::interval(Duration::from_millis(50));
            for index in validators {
                // Shown are ledgers that are over: idle leaders propose, and so the last one ends.
                while ledger(*index, "history_latest_ledger").await < executed {
                    pause.tick().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("histories catch up");
    }

    /// Asks for the status until it is as wanted.
    pub(crate) async fn await_status(
        &self,
        index: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.await_operator(index, "/status", what, wanted).await
    }

    /// Asks for a page of a validator's operator until it is as wanted.
    pub(crate) async fn await_operator(
        &self,
        index: usize,
        page: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let asking = async {
            let mut pause = tokio::time::interval(Duration::from_millis(50));
            loop {
                pause.tick().await;
                last = self.operator(index, page).await;
                if wanted(&last) {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, asking).await.is_ok();
        if !in_time {
            panic!("validator {index} is not {what}: {last}; all of them:\n{}", self.why().await);
        }
        last
    }

    /// What each running validator says of the agreement.
    async fn why(&self) -> String {
        let mut answers = String::new();
        for index in self.running() {
            let url = format!("{}/consensus", self.network.nodes[index].metrics);
            answers.push_str(&format!("{index}: {}\n", answer(self.http.get(url)).await.1));
        }
        answers
    }

    /// The first node that clients reach.
    pub(crate) fn serving(&self) -> usize {
        let serves = |node: &Option<Node>| node.as_ref().is_some_and(Node::serves_clients);
        self.nodes.iter().position(serves).expect("one that serves clients")
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].is_some())
    }

    /// The slot that the furthest validator has executed.
    async fn furthest(&self) -> Option<u64> {
        let mut slot = None;
        for index in self.running() {
            slot = slot.max(self.status(index).await["slot"].as_u64());
        }
        slot
    }

    /// Waits until a validator has executed what any other has now: a proof is a quorum's word, of which it need not be.
    pub(crate) async fn await_caught_up(&self, index: usize) {
        let slot = self.furthest().await;
        self.await_status(index, "as far as the others", |status| status["slot"].as_u64() >= slot).await;
    }

    /// The validators that run, at the slot of the furthest or above, with the state root that each has there.
    pub(crate) async fn assert_same_state(&self) {
        let slot = self.furthest().await;
        let mut roots = Vec::new();
        for index in self.running() {
            let settled = |status: &Value| status["slot"].as_u64() >= slot && status["pending"] == 0;
            let status = self.await_status(index, "as far as the others", settled).await;
            roots.push(status["state_root"].clone());
        }
        assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "state roots differ: {roots:?}");
    }

    /// A new account with coins from the root account.
    pub(crate) async fn fund(&self, index: usize, key: &SecretKey) {
        let (status, body) = self.get(index, &format!("/friendbot?addr={}", address(key))).await;
        assert_eq!(status, 200, "{body}");
    }

    /// The account's sequence number where it is highest: one validator may not have executed what another proved.
    pub(crate) async fn sequence(&self, key: &SecretKey) -> i64 {
        let mut highest = None;
        for index in self.running() {
            let (_, account) = self.get(index, &format!("/accounts/{}", address(key))).await;
            let sequence = account["sequence"].as_str().and_then(|text| text.parse::<i64>().ok());
            highest = highest.max(sequence);
        }
        highest.expect("an account")
    }

    /// A transaction of `key`'s account with the next sequence number.
    pub(crate) async fn build(&self, key: &SecretKey, operations: Vec<Operation>) -> TransactionEnvelope {
        let sequence = self.sequence(key).await;
        self.build_at(key, sequence, operations)
    }

    pub(crate) fn build_at(
        &self,
        key: &SecretKey,
        sequence: i64,
        operations: Vec<Operation>,
    ) -> TransactionEnvelope {
        let mut builder =
            TransactionBuilder::new(id(key), sequence).expect("a sequence number").fee_per_operation(1_000);
        for operation in operations {
            builder = builder.operation(operation);
        }
        builder.sign(&self.network.genesis.network_id(), &[key]).expect("signs")
    }

    pub(crate) fn sign(&self, envelope: &mut TransactionEnvelope, key: &SecretKey) {
        sign_envelope(&self.network.genesis.network_id(), envelope, &[key]).expect("signs");
    }

    /// Pays natively and waits for proof.
    pub(crate) async fn pay(&self, from: &SecretKey, to: &SecretKey, stroops: i64) {
        let payment = operation::payment(id(to), stellar_xdr::Asset::Native, stroops);
        let envelope = self.build(from, vec![payment]).await;
        let finality = self.client.submit(envelope).await.expect("settles");
        assert!(carat_client::outcome::Outcome::of(&finality.result).successful);
    }

    /// Native balance in stroops as validator `index` tells it.
    pub(crate) async fn balance(&self, index: usize, key: &SecretKey) -> i64 {
        let (status, account) = self.get(index, &format!("/accounts/{}", address(key))).await;
        assert_eq!(status, 200, "{account}");
        let balances = account["balances"].as_array().expect("balances");
        let native = balances.iter().find(|balance| balance["asset_type"] == "native").expect("native");
        carat_types::builder::amount::parse(native["balance"].as_str().expect("text")).expect("an amount")
    }
}

/// The first of the ports of a network, three a node. Each test has its own, and nobody else has them now.
pub(crate) fn free_ports(validators: u16) -> u16 {
    // Processes that run beside each other begin in different places: between this look and the start of a node one could
    // take the other's.
    static OFFSET: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new((std::process::id() % 50) as u16 * 200));
    for _ in 0..1_000 {
        let base = 20_000 + OFFSET.fetch_add(3 * validators, Ordering::Relaxed) % 10_000;
        let free = |port| {
            std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
                && std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok()
        };
        if (base..base + 3 * validators).all(free) {
            return base;
        }
    }
    panic!("no free ports");
}

/// Asks until it is so.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let asking = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        while !is_so().await {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never so: {what}"));
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    match request.timeout(PATIENCE).send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            (status, response.json().await.unwrap_or(Value::Null))
        }
        Err(error) => (0, Value::String(error.to_string())),
    }
}

pub(crate) fn id(key: &SecretKey) -> AccountId {
    AccountId::from(key.public())
}

pub(crate) fn address(key: &SecretKey) -> String {
    id(key).to_string()
}

pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}
