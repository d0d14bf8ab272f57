//! A client against four nodes that answer what they are told to: some refuse, some lie, some are dead.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::codec::Encode as _;
use carat_types::receipt::Proof;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::fixture::{PASSPHRASE, genesis_of, result_receipt, transaction};
use crate::network::NodeAddress;

/// What one node does.
#[derive(Clone, Debug)]
pub(super) enum Behaviour {
    /// Nobody listens.
    Dead,
    /// Refuses everything at its door.
    Refuses,
    /// Refuses it since one of its operations lacks a signature.
    RefusesOperation,
    /// Says that it executed everything, and shows this receipt.
    Executed(Option<Vec<u8>>),
    /// Takes nothing now.
    Busy,
    /// Knows every account, with this sequence number.
    Account(i64),
    /// Shows this for handovers, and does nothing else.
    Shows(String),
    /// The same, and refuses everything at its door.
    ShowsAndRefuses(String),
    /// Takes the question, and never answers.
    Silent,
}

/// The status line and body of a node's answer.
fn answer(behaviour: &Behaviour, post: bool, path: &str) -> (&'static str, String) {
    let receipt = path.ends_with("/receipt");
    let missing = ("404 Not Found", r#"{"status":404,"title":"Resource Missing"}"#.to_owned());
    match behaviour {
        Behaviour::Shows(handovers) | Behaviour::ShowsAndRefuses(handovers) if path == "/epochs" => {
            ("200 OK", format!(r#"{{"epoch":1,"handovers":"{handovers}"}}"#))
        }
        Behaviour::ShowsAndRefuses(_) => answer(&Behaviour::Refuses, post, path),
        Behaviour::Dead | Behaviour::Busy | Behaviour::Shows(_) | Behaviour::Silent => {
            ("503 Service Unavailable", r#"{"title":"Stale"}"#.into())
        }
        Behaviour::Refuses if post => {
            let problem = r#"{"title":"Failed","extras":{"result_codes":{"transaction":"tx_bad_seq"}}}"#;
            ("400 Bad Request", problem.into())
        }
        Behaviour::RefusesOperation if post => {
            let codes = r#"{"transaction":"tx_failed","operations":["op_bad_auth"]}"#;
            ("400 Bad Request", format!(r#"{{"title":"Failed","extras":{{"result_codes":{codes}}}}}"#))
        }
        Behaviour::Refuses | Behaviour::RefusesOperation => missing,
        Behaviour::Account(sequence) => {
            ("200 OK", format!(r#"{{"account_id":"G","sequence":"{sequence}"}}"#))
        }
        Behaviour::Executed(Some(proof)) if receipt => {
            ("200 OK", format!(r#"{{"receipt":"{}"}}"#, BASE64.encode(proof)))
        }
        Behaviour::Executed(None) if receipt => missing,
        Behaviour::Executed(_) => ("200 OK", r#"{"hash":"","ledger":1,"successful":true}"#.into()),
    }
}

/// Starts a node.
///
/// **Returns** its address.
pub(super) async fn node(behaviour: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    if matches!(behaviour, Behaviour::Dead) {
        return address;
    }
    let behaviour = Arc::new(behaviour);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let behaviour = Arc::clone(&behaviour);
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let Ok(length) = stream.read(&mut request).await else { return };
                let head = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = head.split_whitespace().nth(1).unwrap_or_default();
                if matches!(*behaviour, Behaviour::Silent) {
                    // Until the client has gone.
                    let _ = stream.read(&mut request).await;
                    return;
                }
                let (status, body) = answer(&behaviour, head.starts_with("POST"), path);
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(text.as_bytes()).await;
            });
        }
    });
    address
}

async fn client_of(nodes: [Behaviour; 4]) -> Client {
    let mut addresses = Vec::new();
    for behaviour in nodes {
        let api = node(behaviour).await;
        addresses.push(NodeAddress { name: String::new(), home: PathBuf::new(), metrics: api.clone(), api });
    }
    let genesis = genesis_of(PASSPHRASE);
    let network = Network::of(PathBuf::new(), genesis, addresses).expect("four");
    let client = Client::new(network).expect("connections");
    client.patience(Duration::from_millis(300), Duration::from_millis(600))
}

async fn submit(nodes: [Behaviour; 4]) -> Result<Finality, ClientError> {
    let client = client_of(nodes).await;
    // The fixture's receipt is of this transaction.
    let envelope = decode(&transaction(&client.network().genesis, 1));
    client.submit(envelope).await
}

pub(super) fn decode(transaction: &SignedTransaction) -> TransactionEnvelope {
    carat_types::transaction::decode_envelope(transaction.bytes()).expect("an envelope")
}

use Behaviour::{Account, Busy, Dead, Executed, Refuses, RefusesOperation};

#[tokio::test]
async fn outcome_is_what_the_receipt_proves() {
    let genesis = genesis_of(PASSPHRASE);
    let good = || Executed(Some(result_receipt(&genesis, 2).to_bytes()));
    for nodes in [
        [good(), good(), good(), good()],
        [Dead, Dead, Dead, good()],
        [Refuses, Busy, Refuses, good()],
        [Executed(None), Executed(None), Executed(None), good()],
    ] {
        let shown = format!("{:?}", nodes.each_ref().map(std::mem::discriminant));
        let finality = submit(nodes).await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(finality.verdict.slot, carat_types::Slot(7));
        assert!(matches!(finality.result.result, stellar_xdr::TransactionResultResult::TxBadAuth));
    }
}

#[tokio::test]
async fn word_of_nodes_without_a_proof_is_never_final() {
    let genesis = genesis_of(PASSPHRASE);
    let mut other = result_receipt(&genesis, 2);
    if let Proof::Result(proof) = &mut other.proof {
        proof.transaction = Digest([9; 32]);
    }
    let few = result_receipt(&genesis, 1).to_bytes();
    for lie in [Executed(None), Executed(Some(other.to_bytes())), Executed(Some(few))] {
        let outcome = submit([lie.clone(), lie.clone(), lie.clone(), lie]).await;
        assert!(matches!(outcome, Err(ClientError::TimedOut { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn refusal_counts_when_more_than_f_nodes_give_it_and_none_executed() {
    let half_signed = [RefusesOperation, RefusesOperation, RefusesOperation, RefusesOperation];
    for nodes in [[Refuses, Refuses, Refuses, Refuses], [Dead, Refuses, Refuses, Dead], half_signed] {
        let outcome = submit(nodes).await;
        assert!(matches!(outcome, Err(ClientError::Refused(_))), "{outcome:?}");
    }
    for nodes in [[Refuses, Dead, Dead, Dead], [Refuses, Busy, Busy, Busy], [Dead, Dead, Dead, Dead]] {
        let outcome = submit(nodes).await;
        assert!(matches!(outcome, Err(ClientError::TimedOut { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn sequence_number_is_that_of_the_furthest_of_one_more_than_f_nodes() {
    let cases = [
        ([Account(7), Account(9), Account(11), Dead], Some(9)),
        ([Account(9), Account(7), Dead, Dead], Some(9)),
        // A node that lags does not even know the account yet.
        ([Refuses, Account(7), Dead, Dead], Some(7)),
        ([Dead, Busy, Dead, Account(5)], Some(5)),
        ([Refuses, Refuses, Account(7), Account(7)], None),
        ([Dead, Dead, Busy, Dead], None),
    ];
    for (nodes, expected) in cases {
        let shown = format!("{nodes:?}");
        let account = client_of(nodes).await.load_account("G").await;
        assert_eq!(account.ok().map(|account| account.sequence), expected, "{shown}");
    }
}
