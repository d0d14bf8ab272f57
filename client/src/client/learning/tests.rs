//! What a client learns of nodes that show handovers, lie about them, or say nothing, and what it counts then.

use carat_types::Epoch;
use carat_types::epoch::write_handovers;
use carat_types::genesis::{GenesisFile, GenesisValidator};

use super::super::tests::Behaviour::{Dead, Refuses, Shows, ShowsAndRefuses, Silent};
use super::super::tests::{Behaviour, decode, node};
use super::*;
use crate::client::ClientError;
use crate::fixture::{PASSPHRASE, genesis_of, handovers, transaction, validator};

fn genesis() -> GenesisFile {
    genesis_of(PASSPHRASE)
}

fn validators(numbers: std::ops::Range<u8>) -> Vec<GenesisValidator> {
    numbers.map(validator).collect()
}

fn shown(handovers: &[Handover]) -> String {
    BASE64.encode(write_handovers(handovers))
}

/// A client of the four founders, and of newcomers that its description has behind them.
async fn client_of(founders: [Behaviour; 4], newcomers: Vec<(&str, Behaviour)>) -> Client {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("genesis.json"), &genesis().bytes).expect("written");
    let mut text = String::from("genesis = \"genesis.json\"\n");
    let names = ["v0", "v1", "v2", "v3"];
    for (name, behaviour) in names.into_iter().zip(founders).chain(newcomers) {
        let api = node(behaviour).await;
        text.push_str(&format!("[[nodes]]\nname = \"{name}\"\napi = \"{api}\"\nmetrics = \"{api}\"\n"));
    }
    std::fs::write(folder.path().join("network.toml"), text).expect("written");
    let network = Network::load(folder.path()).expect("described");
    Client::new(network).expect("connections")
}

/// What becomes of a submission that no node executes.
async fn submit(client: Client, deadline: Duration) -> ClientError {
    let client = client.patience(deadline / 4, deadline);
    client.submit(decode(&transaction(&genesis(), 1))).await.expect_err("no node executes anything")
}

async fn is_refused(founders: [Behaviour; 4], newcomers: Vec<(&str, Behaviour)>) -> bool {
    let error = submit(client_of(founders, newcomers).await, Duration::from_secs(60)).await;
    matches!(error, ClientError::Refused(_))
}

async fn stays_open(founders: [Behaviour; 4], newcomers: Vec<(&str, Behaviour)>) -> bool {
    let error = submit(client_of(founders, newcomers).await, Duration::from_secs(2)).await;
    matches!(error, ClientError::TimedOut { .. })
}

#[tokio::test]
async fn longest_chain_that_holds_is_followed_and_who_lies_is_named() {
    let genesis = genesis();
    let chain = handovers(&genesis, &[validators(0..5), validators(1..5)], 2);
    let few_seals = handovers(&genesis, &[validators(0..4), validators(0..4), validators(0..4)], 1);
    // One validator of the two that would be enough: everybody is asked.
    let founders = [Shows("not base64".into()), Shows(shown(&few_seals)), Shows(shown(&chain)), Dead];
    let client = client_of(founders, vec![("bank 4", Shows(shown(&chain[..1])))]).await;
    let shared = client.clone();
    let learned = client.learn().await;
    assert_eq!((learned.answers, learned.is_new, learned.refused.len()), (2, true, 3), "{learned:?}");
    assert!(learned.refused.iter().any(|why| why.starts_with("v1: handover 0 does not hold")), "{learned:?}");
    for client in [&client, &shared] {
        assert_eq!(client.network().epochs().present(), Epoch(2));
        assert_eq!(client.network().key_of(0), Some(validator(1).network));
    }
    assert!(!client.learn().await.is_new, "it knows all of it");
}

#[tokio::test]
async fn node_that_says_nothing_holds_nobody_up_and_others_than_validators_bring_news() {
    let genesis = genesis();
    let chain = handovers(&genesis, &[validators(0..5)], 2);
    let founders = [Silent, Silent, Shows(shown(&chain)), Shows(shown(&chain))];
    let learned = client_of(founders, vec![]).await.learn().await;
    assert_eq!((learned.answers, learned.is_new), (2, true));
    // All founders are gone; the newcomer alone is there.
    let chain = handovers(&genesis, &[validators(4..8)], 2);
    let newcomer = vec![("bank 4", Shows(shown(&chain)))];
    let client = client_of([Dead, Dead, Dead, Dead], newcomer).await;
    assert!(client.learn().await.is_new);
    let names: Vec<_> = client.network().nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["bank 4", "bank 5", "bank 6", "bank 7"]);
    assert_eq!(client.nodes().count(), 1, "nobody is asked at no address");
    let learned = client_of([Dead, Dead, Dead, Dead], vec![]).await.learn().await;
    assert_eq!((learned.answers, learned.is_new, learned.refused.len()), (0, false, 4));
}

#[tokio::test]
async fn refusal_counts_by_the_validators_of_the_present_epoch() {
    let genesis = genesis();
    let seven = shown(&handovers(&genesis, &[validators(0..7)], 2));
    let says = || ShowsAndRefuses(seven.clone());
    // Two of four are one correct, of seven they are not.
    assert!(stays_open([says(), Refuses, Dead, Dead], vec![]).await);
    assert!(is_refused([says(), Refuses, Refuses, Dead], vec![]).await);
    // Whoever has left has no say.
    let moved = || ShowsAndRefuses(shown(&handovers(&genesis, &[validators(1..5)], 2)));
    assert!(stays_open([Refuses, moved(), Dead, Dead], vec![]).await);
    assert!(is_refused([Dead, moved(), Dead, Dead], vec![("bank 4", Refuses)]).await);
}
