//! What a node's operator hands on to others, metrics and logs, tells nothing of anybody's business.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use carat_client::rest::Rest;
use carat_genesis::init::InitOptions;
use carat_node::metrics::Metrics;
use carat_types::SecretKey;
use carat_types::builder::asset::issued;
use carat_types::builder::operation::{change_trust, create_account, payment};
use carat_types::genesis::Visibility;
use carat_types::transaction::{SignedTransaction, test_root_key};
use rustls_pki_types::ServerName;
use stellar_xdr::{Asset, Operation};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cluster::{Cluster, PATIENCE, address, eventually, id};

/// Amounts that nothing else has: in stroops, and as they are written.
const FUNDED: i64 = 7_310_000_731;
const PAID: i64 = 7_770_003;
const TOO_MUCH: i64 = 8_880_000_000_444;
const AMOUNTS: [&str; 6] =
    ["7310000731", "731.0000731", "7770003", "0.7770003", "8880000000444", "888000.0000444"];
const CODE: &str = "XQZLEAK";

/// A network of one validator, with TLS at its REST interface and this address of it.
async fn network() -> (Cluster, SocketAddr) {
    let cluster = Cluster::make_with(|out| InitOptions {
        visibility: Some(Visibility::Members),
        ..InitOptions::test(1, out)
    });
    let secure = free_address();
    let path = cluster.homes[0].join("node.toml");
    let mut settings = std::fs::read_to_string(&path).expect("settings");
    settings.push_str(&format!("\n[api.tls]\nlisten = \"{secure}\"\n"));
    std::fs::write(&path, settings).expect("written");
    (cluster.started().await, secure)
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Keys that no other test of this process has.
fn key(number: u8) -> SecretKey {
    let mut seed = [0xd7; 32];
    seed[0] = number;
    SecretKey::from_seed(&seed)
}

/// Asks over TLS as whoever holds `key`, without any token: status, and all that came.
async fn get(cluster: &Cluster, secure: SocketAddr, key: Option<&SecretKey>, path: &str) -> (u16, String) {
    let server = cluster.network.genesis.genesis.validators[0].network;
    let config = carat_network::https::client(key, server).expect("settings");
    let stream = TcpStream::connect(secure).await.expect("the node listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {secure}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), answer)
}

/// Hands in a transaction of `source`; its hash.
async fn settle(cluster: &Cluster, source: &SecretKey, operations: Vec<Operation>) -> String {
    let client = cluster.client.clone().logged_in(source.clone());
    let account = client.load_account(&address(source)).await.expect("its own account");
    let envelope = cluster.build_at(source, account.sequence, operations);
    let network_id = cluster.network.genesis.network_id();
    let signed = SignedTransaction::from_envelope(&network_id, envelope.clone()).expect("fits");
    client.submit(envelope).await.expect("a proved outcome, good or bad");
    signed.hash().to_string()
}

/// The names of all series in a text of metrics, labels and all.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').expect("a name and a value").0.to_owned()).collect()
}

/// Series that no node has before there is any business: every value of a label is known then.
fn made_by_business(metrics: &str) -> Vec<String> {
    let declared = series(&Metrics::new().expect("declared").encode());
    series(metrics).difference(&declared).cloned().collect()
}

/// The first of these that a text shows.
fn shown_in<'s>(text: &str, secrets: &'s [String]) -> Option<&'s String> {
    secrets.iter().find(|secret| text.contains(secret.as_str()))
}

/// The leaks are planted here: what the test below looks with must see them.
#[test]
fn label_and_log_line_that_name_an_account_are_noticed() {
    let logs = Logs::captured();
    let account = address(&key(99));
    let metrics = Metrics::new().expect("declared");
    assert_eq!(made_by_business(&metrics.encode()), [""; 0]);
    metrics.ledger_transactions_total.with_label_values(&[account.as_str()]).inc();
    let text = metrics.encode();
    assert_eq!(made_by_business(&text), [format!("ledger_transactions_total{{result=\"{account}\"}}")]);
    assert_eq!(shown_in(&text, std::slice::from_ref(&account)), Some(&account));
    tracing::info!(account, "paid");
    assert_eq!(shown_in(&logs.text(), std::slice::from_ref(&account)), Some(&account));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_and_log_lines_show_nobody_and_nothing_of_the_business() {
    let logs = Logs::captured();
    let (cluster, secure) = network().await;
    let root = test_root_key(cluster.network.passphrase());
    let (one, two, three) = (key(1), key(2), key(3));
    let create = |key: &SecretKey| create_account(id(key), FUNDED);
    let asset = issued(CODE, id(&one)).expect("a code");
    let mut secrets: Vec<String> = AMOUNTS.map(str::to_owned).to_vec();
    secrets.push(CODE.to_owned());
    for key in [&one, &two, &three] {
        secrets.extend([address(key), key.public().to_string()]);
    }
    secrets.push(settle(&cluster, &root, vec![create(&one), create(&two), create(&three)]).await);
    secrets.push(settle(&cluster, &two, vec![change_trust(asset.clone(), i64::MAX)]).await);
    secrets.push(settle(&cluster, &one, vec![payment(id(&two), asset, PAID)]).await);
    let failed = settle(&cluster, &two, vec![payment(id(&one), Asset::Native, TOO_MUCH)]).await;

    // The certificate does for a token, and who has none is asked for one.
    let own = format!("/accounts/{}", address(&two));
    let (status, text) = get(&cluster, secure, Some(&two), &own).await;
    assert!(status == 200 && text.contains("0.7770003") && text.contains("https://"), "{text}");
    assert_eq!(get(&cluster, secure, Some(&three), &own).await.0, 404);
    assert_eq!(get(&cluster, secure, Some(&key(4)), &own).await.0, 403);
    assert_eq!(get(&cluster, secure, None, &own).await.0, 401);
    // A proof may be there before the index knows of the transaction.
    let seen = async || get(&cluster, secure, Some(&two), &format!("/transactions/{failed}")).await.0 == 200;
    eventually("the transaction is shown to its source", seen).await;
    // No TLS at all, by which the refusal is counted.
    let mut plain = TcpStream::connect(secure).await.expect("the node listens");
    plain.write_all(format!("GET {own} HTTP/1.1\r\n\r\n").as_bytes()).await.expect("sent");
    plain.read_to_end(&mut Vec::new()).await.ok();
    secrets.push(failed);

    let rest = Rest::new(&cluster.network.nodes[0].metrics, Rest::pool().expect("a pool"));
    let metrics = async || rest.text("/metrics", PATIENCE).await.expect("metrics");
    let refused = "api_tls_refused_total{reason=\"handshake\"} 1";
    eventually("the refusal is counted", async || metrics().await.contains(refused)).await;
    let metrics = metrics().await;
    assert!(
        metrics.contains("ledger_transactions_total{result=\"failed\"} 1"),
        "there was business: {metrics}"
    );
    assert_eq!(made_by_business(&metrics), [""; 0], "label values that business has made");
    let (status, health) =
        (cluster.status(0).await.to_string(), cluster.operator(0, "/consensus").await.to_string());
    cluster.stop().await;
    let logged = logs.text();
    assert!(logged.contains("view"), "there is a log: {logged}");
    for (what, text) in
        [("a metric", metrics), ("the status", status), ("the diagnosis", health), ("a log line", logged)]
    {
        assert_eq!(shown_in(&text, &secrets), None, "{what} shows it");
    }
}

/// Log lines of this process at the level at which nodes run.
#[derive(Clone)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    fn captured() -> Logs {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        let logs = LOGS.get_or_init(|| {
            let logs = Logs(Arc::default());
            let writer = logs.clone();
            let log = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(tracing_subscriber::filter::LevelFilter::INFO);
            log.with_writer(move || writer.clone()).init();
            logs
        });
        logs.clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("whole")).into_owned()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
