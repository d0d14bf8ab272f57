//! The parts of a network's one validator, without threads and doors: for tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use carat_genesis::InitOptions;
use carat_genesis::init::{init, test_root_key};
use carat_types::batch::Envelope;
use carat_types::builder::TransactionBuilder;
use carat_types::genesis::GenesisFile;
use carat_types::key_file::{self, KeyRole};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, SecretKey};
use stellar_xdr::Operation;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::chronicle::chapters;
use crate::clock::Clock;
use crate::executor::Executor;
use crate::front_door::FrontDoor;
use crate::home::Home;
use crate::parts::Parts;
use crate::state_view::account_sequence;

/// A network of one validator.
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) genesis: GenesisFile,
    nodes: AtomicU32,
}

/// The validator of a [`Fixture`], or the same once more over a store of its own.
pub(crate) struct TestNode {
    pub(crate) parts: Parts,
    pub(crate) front_door: Arc<FrontDoor>,
    /// What the front door gossips.
    pub(crate) gossip: UnboundedReceiver<Envelope>,
    pub(crate) executor: Executor,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Nobody listens there.
        let options =
            InitOptions { base_port: Some(17_000), ..InitOptions::test(1, folder.path().join("net")) };
        let genesis = init(&options).expect("made").genesis;
        Fixture { folder, genesis, nodes: AtomicU32::new(0) }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("net/v0")
    }

    /// The validator over the state of the genesis file.
    pub(crate) fn node(&self) -> TestNode {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed);
        let mut home = Home::read(&self.home()).expect("a home");
        home.settings.validator.data = self.folder.path().join(format!("data{number}"));
        let store = home.open_without_journal().expect("a new store");
        let parts = Parts::new(&home, Clock::start(), store).expect("parts");
        let (sender, gossip) = unbounded_channel();
        let front_door = Arc::new(parts.front_door(&home, sender));
        // Nobody follows what happens.
        let (teller, _) = chapters();
        let executor = parts.executor(&home, Arc::clone(&front_door), teller, None).expect("an executor");
        TestNode { parts, front_door, gossip, executor }
    }

    /// The key with which the validator votes.
    pub(crate) fn acceptor(&self) -> SecretKey {
        let path = self.home().join("keys").join(KeyRole::Acceptor.file_name());
        key_file::read(KeyRole::Acceptor, &std::fs::read_to_string(path).expect("a file")).expect("a key")
    }

    /// A transaction of the root account, the `ahead`th behind what `node` has executed.
    pub(crate) fn signed(
        &self,
        node: &TestNode,
        ahead: i64,
        operations: Vec<Operation>,
    ) -> Arc<SignedTransaction> {
        let root = test_root_key(&self.genesis.genesis.network_passphrase);
        let executed =
            account_sequence(&*node.parts.store, &root.public()).expect("readable").expect("there");
        let builder = TransactionBuilder::new(root.public(), executed + ahead).expect("a small number");
        let builder =
            operations.into_iter().fold(builder.fee_per_operation(1_000), TransactionBuilder::operation);
        let network: Digest = self.genesis.network_id();
        let envelope = builder.sign(&network, &[&root]).expect("signed");
        Arc::new(SignedTransaction::from_envelope(&network, envelope).expect("well-formed"))
    }
}
