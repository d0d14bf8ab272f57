//! Sets of an edge network by vote: keys of a proposer are replaced, proposers and validators come and go, and settling goes on.

use std::path::Path;

use carat_client::outcome::Outcome;
use carat_genesis::edge::proposer_keys;
use carat_genesis::init::InitOptions;
use carat_genesis::newcomer::{join_proposer, next_keys};
use carat_ledger::NEWEST_PROTOCOL;
use carat_node::Home;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::evidence::{Both, Evidence};
use carat_types::genesis::{Deployment, GenesisProposer};
use carat_types::message::NewView;
use carat_types::{Epoch, View};

use crate::cluster::{Cluster, key};
use crate::epochs::{
    decide, end_of_epoch, founders, go_over_together, introduce, newcomer, newcomer_to_be, pay_after,
};
use crate::evidence::sign_in;
use crate::governance::swift;
use crate::start_up::check;

/// Four acceptors, numbers 0 to 3, and behind them two proposers, numbers 4 and 5.
async fn start() -> Cluster {
    let options = |out: &Path| InitOptions { proposers: 2, ..swift(4, NEWEST_PROTOCOL, out) };
    let cluster = Cluster::start_with(options).await;
    cluster.fund(4, &key(1)).await;
    cluster.fund(5, &key(2)).await;
    cluster.assert_same_state().await;
    cluster
}

fn proposers(set: &mut EpochSet) -> &mut Vec<GenesisProposer> {
    match &mut set.deployment {
        Deployment::Edge { proposers } => proposers,
        Deployment::CoLocated => panic!("an edge network"),
    }
}

/// A proposer that is in no genesis file: its home, of which everybody is told.
fn new_proposer(cluster: &mut Cluster, place: u16) -> GenesisProposer {
    let made = newcomer_to_be(cluster, format!("p{place}"), place);
    let entry = join_proposer(&made).expect("a home");
    introduce(cluster, made, entry.network);
    entry
}

/// Starts one that comes, with the handovers of process 1.
async fn start_newcomer(cluster: &mut Cluster, index: usize) {
    let file = Path::new("data").join(carat_handovers::FILE_NAME);
    std::fs::copy(cluster.homes[1].join(&file), cluster.homes[index].join(&file)).expect("given to it");
    cluster.start_node(index).await.expect("starts in its first epoch");
    cluster.await_ready(index).await;
}

async fn own_place(cluster: &Cluster, index: usize, kind: &str) -> Option<u64> {
    cluster.status(index).await[kind].as_u64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposers_and_validators_of_an_edge_network_change_by_vote() {
    let mut cluster = start().await;
    // One proposer replaces its keys, one comes; one validator replaces its keys.
    let mut set = founders(&cluster);
    let next = proposer_keys(&cluster.homes[5].join("keys/next"), "p1", None).expect("made");
    proposers(&mut set)[1] = next;
    let come = new_proposer(&mut cluster, 2);
    proposers(&mut set).push(come);
    set.validators[3] = next_keys(&cluster.homes[3].join("keys/next"), "v3", None, None).expect("made");
    check(&cluster.start_node(6).await.expect_err("no proposer yet").to_string(), &["proposer 2", "hint"]);
    decide(&cluster, &set, &[1, 2]).await;
    go_over_together(&mut cluster, &[0, 1, 2, 3, 4, 5]).await;
    start_newcomer(&mut cluster, 6).await;
    pay_after(&cluster, 1).await;
    cluster.assert_same_state().await;
    // Without the founder whose keys stayed those that came order: whichever leads is none of the genesis file.
    cluster.stop_node(4).await;
    pay_after(&cluster, 1).await;
    cluster.start_node(4).await.expect("starts again");
    cluster.await_ready(4).await;

    // A validator comes, and the first proposer goes: the numbers of all proposers move.
    set.epoch = Epoch(2);
    set.validators.push(newcomer(&mut cluster, 4));
    proposers(&mut set).remove(0);
    decide(&cluster, &set, &[1, 2]).await;
    let last = end_of_epoch(&mut cluster, 4).await;
    cluster.nodes[4].take().expect("it runs").hand_over(&last).await.expect("handed over");
    let gone = cluster.start_node(4).await.expect_err("no proposer any more").to_string();
    check(&gone, &["no proposer of epoch 2", "proposer key", "hint"]);
    go_over_together(&mut cluster, &[0, 1, 2, 3, 5, 6]).await;
    start_newcomer(&mut cluster, 7).await;
    pay_after(&cluster, 2).await;
    assert_eq!(own_place(&cluster, 7, "validator").await, Some(4));
    for (index, place) in [(5, 0), (6, 1)] {
        assert_eq!(own_place(&cluster, index, "proposer").await, Some(place));
    }
    // Four of five are a quorum, and the newcomer is one of them.
    cluster.stop_node(1).await;
    pay_after(&cluster, 2).await;
    cluster.assert_same_state().await;

    // A client that knew the founders has learned who orders and who votes, from the receipts that it verified.
    let network = cluster.client.network();
    assert_eq!(network.epochs().present(), Epoch(2));
    assert_eq!(network.key_of(0), Some(proposers(&mut set)[0].network));
    assert_eq!((network.nodes.len(), network.acceptors.len(), network.one_correct()), (2, 5, 2));
    let notes = network.notes().join("\n");
    check(&notes, &["p0 is no proposer any more in epoch 2", "[[nodes]]", "[[acceptors]]"]);

    // Every block leads from the genesis file to the state, at a proposer too.
    cluster.stop_node(5).await;
    let replayed = Home::read(&cluster.homes[5]).expect("a home").replay(|_, _| {}).expect("leads there");
    assert!(replayed.sealed > 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn convicted_proposer_is_on_record_and_voted_out() {
    let mut cluster = start().await;
    let genesis = cluster.network.genesis.clone();
    let epochs = Epochs::of(&genesis).expect("four and two");
    let new_view = |times: usize| {
        let validators = epochs.validators();
        let change = carat_types::message::ViewChange { view: View(1), stable: None, reports: Vec::new() };
        let changes = (0..3).map(|id| sign_in(&cluster, validators, id, change.clone()).into());
        let view_changes = changes.cycle().skip(times).take(3).collect();
        sign_in(&cluster, validators, 1, NewView { view: View(1), view_changes })
    };
    let evidence = Evidence::NewViews(Both { first: new_view(0), second: new_view(1) });
    let prepared = carat_client::evidence::prepare(&genesis, &epochs, NEWEST_PROTOCOL, evidence.clone());
    let envelope = cluster.build(&key(1), vec![prepared.expect("holds").operation]).await;
    let finality = cluster.client.submit(envelope).await.expect("settles");
    assert_eq!(Outcome::of(&finality.result).to_string(), "tx_success [op_success]");
    cluster.assert_same_state().await;
    let (_, shown) = cluster.get(4, "/epochs").await;
    let conviction = &shown["convictions"][0];
    assert_eq!((&conviction["name"], &conviction["code"]), (&"p1".into(), &"E1".into()), "{shown}");
    assert_eq!((&conviction["place"], &conviction["epoch"]), (&1.into(), &0.into()), "{shown}");

    let key = serde_json::from_value(conviction["key"].clone()).expect("a key");
    let next = carat_types::accountability::without_convicted(epochs.set(), &[key]);
    assert_eq!((next.validators.len(), next.proposers().len()), (4, 1));
    decide(&cluster, &next, &[1, 2]).await;
    go_over_together(&mut cluster, &[0, 1, 2, 3, 4]).await;
    pay_after(&cluster, 1).await;
    cluster.stop().await;
}
