//! The keys in a process of their own: what a signer refuses, and a network that runs without a key file. Handshakes wait for
//! the signer inside a worker of the runtime, and here the signers run in the same one: hence the many workers.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carat_node::signer::wire::{Answer, Question, VERSION, Welcome, read_answer};
use carat_node::signer::{Server, SignerError, SignerSettings, create_journal};
use carat_node::{Home, Settings};
use carat_storage::Identity;
use carat_storage::journal::{Journal, JournalError};
use carat_types::genesis::GenesisFile;
use carat_types::message::{Ballot, Domain, Prepare};
use carat_types::validators::{Authenticator as _, Ed25519};
use carat_types::{Digest, Epoch, SecretKey, Signature, Slot, ValidatorId, View};

use crate::cluster::Cluster;

const PATIENCE: Duration = Duration::from_secs(60);

/// A validator's signer: its home, with the keys that were the validator's.
struct Signer {
    home: PathBuf,
    running: Option<tokio::task::JoinHandle<SignerError>>,
}

impl Signer {
    /// Moves the keys of a validator to a signer's home, and tells the validator where they are.
    fn take_over(cluster: &Cluster, index: usize) -> Self {
        let home = cluster.path().join(format!("s{index}"));
        std::fs::create_dir(&home).expect("made");
        let validator = &cluster.homes[index];
        let user = std::fs::metadata(validator).expect("there").uid();
        std::fs::rename(validator.join("keys"), home.join("keys")).expect("moved");
        let text = format!("index = {index}\ngenesis = \"../genesis.json\"\nusers = [{user}]\n");
        std::fs::write(home.join("signer.toml"), text).expect("written");
        let settings = validator.join("node.toml");
        let text = std::fs::read_to_string(&settings).expect("read");
        let socket = home.join("signer.sock");
        let named = format!("[validator]\nsigner = \"unix:{}\"\n", socket.display());
        assert!(text.contains("[validator]\n"));
        std::fs::write(&settings, text.replace("[validator]\n", &named)).expect("written");
        create_journal(&SignerSettings::load(&home).expect("valid")).expect("a journal");
        Signer { home, running: None }
    }

    fn settings(&self) -> SignerSettings {
        SignerSettings::load(&self.home).expect("valid")
    }

    /// Starts it; the one before may not have let go of its journal yet.
    async fn start(&mut self) {
        let settings = self.settings();
        let starting = async {
            loop {
                match Server::start(&settings) {
                    Ok(server) => break server,
                    Err(SignerError::Journal(JournalError::InUse { .. })) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let server = tokio::time::timeout(PATIENCE, starting).await.expect("in time");
        self.running = Some(tokio::spawn(server.serve()));
    }

    async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.abort();
        assert!(running.await.is_err_and(|ended| ended.is_cancelled()));
    }

    fn socket(&self) -> PathBuf {
        self.home.join("signer.sock")
    }
}

/// Somebody who asks a signer, be it a validator or not.
struct Asker(UnixStream);

impl Asker {
    fn greet(socket: &Path, chain_id: Digest, validator: u16) -> Result<(Self, Welcome), String> {
        let mut stream = UnixStream::connect(socket).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let validator = ValidatorId(validator);
        // Who is refused at once may find the socket closed.
        let _ = stream.write_all(&Question::Hello { version: VERSION, chain_id, validator }.frame());
        match read_answer(&mut stream).expect("an answer") {
            Answer::Welcome(welcome) => Ok((Asker(stream), *welcome)),
            Answer::NotYours(why) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    /// The signature; or whether the refusal is grave, and why.
    fn ask(&mut self, question: &Question) -> Result<Signature, (bool, String)> {
        self.0.write_all(&question.frame()).expect("sent");
        match read_answer(&mut self.0).expect("an answer") {
            Answer::Signed { signature, .. } => Ok(signature),
            Answer::Refused { grave, why, .. } => Err((grave, why)),
            other => panic!("{other:?}"),
        }
    }

    fn vote(&mut self, chain_id: Digest, value: u8) -> Result<Signature, (bool, String)> {
        self.ask(&Question::Sign { number: 3, bytes: vote(chain_id, value) })
    }
}

fn vote(chain_id: Digest, value: u8) -> Vec<u8> {
    let digest = Digest([value; 32]);
    let ballot = Ballot { view: View(0), slot: Slot(9), digest, prefix: digest };
    Domain { chain_id, epoch: Epoch(0) }.signing_bytes(&Prepare(ballot))
}

fn genesis(cluster: &Cluster) -> GenesisFile {
    let bytes = std::fs::read(cluster.path().join("genesis.json")).expect("read");
    GenesisFile::parse(&bytes).expect("valid")
}

/// Runs what blocks beside the runtime, which the signer needs.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn second_vote_is_refused_to_a_second_validator_and_after_a_restart() {
    let cluster = Cluster::make(4);
    let mut signer = Signer::take_over(&cluster, 0);
    let chain_id = genesis(&cluster).chain_id;
    signer.start().await;
    let socket = signer.socket();
    let first = aside(move || {
        let (mut first, welcome) = Asker::greet(&socket, chain_id, 0).expect("ours");
        let signature = first.vote(chain_id, 1).expect("signed");
        assert!(Ed25519.verify(&welcome.acceptor, &vote(chain_id, 1), &signature));

        let (mut second, _) = Asker::greet(&socket, chain_id, 0).expect("ours");
        let (grave, why) = second.vote(chain_id, 2).expect_err("another vote for the same slot");
        assert!(grave && why.contains("another PREPARE was signed for view 0, slot 9"), "{why}");
        assert_eq!(
            second.vote(chain_id, 1),
            Ok(signature),
            "the same vote is signed again, to the same bytes"
        );

        let blind = Question::Sign { number: 4, bytes: b"some bytes".to_vec() };
        assert!(second.ask(&blind).is_err_and(|(grave, _)| !grave), "nothing is signed blindly");
        let blind = Question::Handshake { number: 5, bytes: vote(chain_id, 1) };
        assert!(second.ask(&blind).is_err(), "a vote is no handshake");
        signature
    })
    .await;

    // The validator's memory is gone, and the signer was restarted.
    signer.stop().await;
    signer.start().await;
    let socket = signer.socket();
    aside(move || {
        let (mut third, _) = Asker::greet(&socket, chain_id, 0).expect("ours");
        assert!(third.vote(chain_id, 2).is_err_and(|(grave, _)| grave), "the journal of the signer knows");
        assert_eq!(third.vote(chain_id, 1), Ok(first));
    })
    .await;
    signer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn stranger_is_refused_by_user_by_place_and_by_chain() {
    let cluster = Cluster::make(4);
    let mut signer = Signer::take_over(&cluster, 0);
    let chain_id = genesis(&cluster).chain_id;
    signer.start().await;
    let socket = signer.socket();
    let mode = std::fs::metadata(&socket).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o660, "nobody else may open it");
    aside(move || {
        let place = Asker::greet(&socket, chain_id, 1).err().expect("refused");
        assert!(place.contains("it is validator 1"), "{place}");
        let chain = Asker::greet(&socket, Digest([9; 32]), 0).err().expect("refused");
        assert!(chain.contains("of chain 0909"), "{chain}");
    })
    .await;
    signer.stop().await;

    let own = std::fs::metadata(&signer.home).expect("there").uid();
    let text = format!("index = 0\ngenesis = \"../genesis.json\"\nusers = [{}]\n", own + 1);
    std::fs::write(signer.home.join("signer.toml"), text).expect("written");
    signer.start().await;
    let socket = signer.socket();
    aside(move || {
        let user = Asker::greet(&socket, chain_id, 0).err().expect("refused");
        assert!(user.contains(&format!("user {own} may not have anything signed")), "{user}");
    })
    .await;
    signer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn signer_without_its_journal_and_validator_without_its_signer_do_not_start() {
    let cluster = Cluster::make(4);
    let mut signer = Signer::take_over(&cluster, 0);
    let settings = signer.settings();
    assert!(matches!(create_journal(&settings), Err(SignerError::Journal(JournalError::Exists { .. }))));
    let home = cluster.homes[0].clone();
    let error = Home::read(&home).err().expect("no signer").to_string();
    assert!(error.contains("does not answer") && error.contains("hint"), "{error}");

    signer.start().await;
    let socket = signer.socket();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("set");
    let error = aside(move || Home::read(&home).err().expect("refused").to_string()).await;
    assert!(error.contains("has mode 666"), "{error}");
    signer.stop().await;
    std::fs::remove_dir_all(&settings.data).expect("removed");
    let refused = Server::start(&settings).err().expect("no journal");
    assert!(matches!(refused, SignerError::Journal(JournalError::NoBirthRecord { .. })), "{refused}");
}

/// A single validator has no peers that would remember its votes: only its signer can.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn validator_whose_journal_was_replaced_is_stopped_by_its_signer() {
    let cluster = Cluster::make(1);
    let mut signer = Signer::take_over(&cluster, 0);
    signer.start().await;
    let mut cluster = cluster.started().await;
    cluster.fund(0, &SecretKey::from_seed(&[42; 32])).await;
    cluster.stop_node(0).await;

    let data = Settings::load(&cluster.homes[0]).expect("valid").validator.data;
    std::fs::remove_dir_all(&data).expect("removed");
    let genesis = genesis(&cluster);
    let key = genesis.genesis.validators[0].acceptor;
    let identity = Identity { chain_id: genesis.chain_id, key, validator: ValidatorId(0) };
    Journal::create(&data.join("journal"), identity).expect("a new one");
    cluster.start_node(0).await.expect("starts");
    let failed = cluster.nodes[0].as_mut().expect("started").failed();
    let failure = tokio::time::timeout(PATIENCE, failed).await.expect("it stops").to_string();
    assert!(failure.contains("the signer refuses: ") && failure.contains("journal was lost"), "{failure}");
    signer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn network_without_key_files_settles_and_goes_on_when_a_signer_comes_back() {
    let cluster = Cluster::make(4);
    let mut signers: Vec<Signer> = (0..4).map(|index| Signer::take_over(&cluster, index)).collect();
    for signer in &mut signers {
        signer.start().await;
    }
    let mut cluster = cluster.started().await;
    for home in &cluster.homes {
        assert!(!home.join("keys").exists(), "no key file");
    }
    let key = |number: u8| SecretKey::from_seed(&[number; 32]);
    cluster.fund(0, &key(50)).await;

    signers[3].stop().await;
    cluster.await_status(3, "without its signer", |status| status["state"] == "no-signer").await;
    cluster.fund(1, &key(51)).await;
    let slot = cluster.status(0).await["slot"].as_u64();
    cluster.await_status(3, "following", |status| status["slot"].as_u64() >= slot).await;
    signers[3].start().await;
    cluster.await_ready(3).await;

    // The votes of the one whose signer was away are needed now.
    cluster.stop_node(2).await;
    cluster.fund(0, &key(52)).await;
    cluster.start_node(2).await.expect("starts");
    cluster.await_ready(2).await;
    cluster.assert_same_state().await;
    cluster.stop().await;
    for signer in &mut signers {
        signer.stop().await;
    }
}
