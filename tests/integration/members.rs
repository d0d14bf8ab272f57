//! A members' network: nobody reads without a login, everybody what concerns him, and unmodified programs through a gateway.

use carat_client::gateway::Gateway;
use carat_client::login::{Login, Pass};
use carat_client::rest::Rest;
use carat_client::{Client, keystore};
use carat_genesis::init::InitOptions;
use carat_types::SecretKey;
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::genesis::Visibility;
use carat_types::transaction::test_root_key;
use stellar_xdr::{Asset, Operation};
use tokio::net::TcpListener;

use crate::cluster::{Cluster, eventually, key};

const COIN: i64 = 10_000_000;

/// A network of one validator, whose members are the keys 1 and 2 and whose auditor is key 9.
async fn network() -> Cluster {
    Cluster::start_with(|out| InitOptions {
        visibility: Some(Visibility::Members),
        members: vec![key(1).public(), key(2).public()],
        auditors: vec![key(9).public()],
        ..InitOptions::test(1, out)
    })
    .await
}

async fn settle(client: &Client, source: &SecretKey, operations: Vec<Operation>) -> String {
    let account = client.load_account(&keystore::address(&source.public())).await.expect("its own account");
    let builder = TransactionBuilder::new(source.public(), account.sequence).expect("a next number");
    let builder = operations.into_iter().fold(builder, TransactionBuilder::operation);
    let envelope = builder.sign(&client.network().genesis.network_id(), &[source]).expect("well-formed");
    let finality = client.submit(envelope).await.expect("settles, and is proved");
    finality.hash.to_string()
}

/// The address of a gateway that reads as `key`.
async fn gateway(cluster: &Cluster, key: &SecretKey) -> String {
    let (api, http) = (&cluster.network.nodes[0].api, Rest::pool().expect("a pool"));
    let login = Login::new(key.clone(), cluster.network.passphrase());
    let pass = Pass::new(login, api, http.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let gateway = Gateway::new(api, pass, http).named(address);
    tokio::spawn(async move { gateway.serve(listener).await.expect("serves") });
    format!("http://{address}")
}

async fn status(base: &str, path: &str) -> u16 {
    let http = Rest::pool().expect("a pool");
    http.get(format!("{base}{path}")).send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_network_shows_each_bank_its_own_business_directly_and_through_a_gateway() {
    let cluster = network().await;
    let root = test_root_key(cluster.network.passphrase());
    let create = |number: u8| operation::create_account(key(number).public().into(), 1_000 * COIN);
    let of_root = cluster.client.clone().logged_in(root.clone());
    settle(&of_root, &root, vec![create(1), create(2), create(3)]).await;

    let bank = cluster.client.clone().logged_in(key(1));
    let hash = settle(&bank, &key(1), vec![operation::payment(key(2).public(), Asset::Native, 7)]).await;
    let (transaction, own) =
        (format!("/transactions/{hash}"), format!("/accounts/{}", keystore::address(&key(1).public())));
    let api = cluster.network.nodes[0].api.clone();
    for path in ["/", "/ledgers", "/genesis", &transaction, &own] {
        assert_eq!(status(&api, path).await, 401, "{path}");
    }
    // A proof may be there before the index knows of the transaction.
    let (base, path) = (gateway(&cluster, &key(1)).await, format!("{transaction}/receipt"));
    eventually("the payment is shown", async || status(&base, &path).await == 200).await;
    // Payer, payee, an account that has nothing to do with it, auditor; a key without an account.
    for (number, expected) in [(1, 200), (2, 200), (3, 404), (9, 200), (77, 403)] {
        let base = gateway(&cluster, &key(number)).await;
        assert_eq!(status(&base, &transaction).await, expected, "key {number}");
        assert_eq!(status(&base, &format!("{transaction}/receipt")).await, expected, "key {number}");
    }
    let (payer, payee) = (gateway(&cluster, &key(1)).await, gateway(&cluster, &key(2)).await);
    assert_eq!(
        (status(&payer, &own).await, status(&payee, &own).await),
        (200, 404),
        "a position is its owner's"
    );

    // Links lead back to the gateway, pages of other origins do not get in, and a stream is one.
    let http = Rest::pool().expect("a pool");
    let page = http.get(format!("{payer}/payments?limit=1")).send().await.expect("an answer");
    assert!(page.headers().get("access-control-allow-origin").is_none());
    assert!(page.text().await.expect("text").contains(&format!("{payer}/payments")));
    let foreign = http.get(format!("{payer}{own}")).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.expect("an answer").status(), 403);
    let stream = http.get(format!("{payee}/payments")).header("accept", "text/event-stream");
    let mut stream = stream.send().await.expect("a stream");
    let mut text = String::new();
    while !text.contains("0.0000007") {
        let chunk = stream.chunk().await.expect("no error").expect("the payment before the end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.starts_with("retry: 1000"), "{text}");
    cluster.stop().await;
}
