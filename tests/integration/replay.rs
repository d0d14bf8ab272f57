//! Replay: the blocks of a stopped validator lead from the genesis file to its state, and a changed block is found.

use carat_node::Home;
use carat_node::replay::{Blocks, ReplayError, Replayed, replay};
use carat_storage::store::{Store, StoreError};
use carat_types::batch::{Body, Payload};
use carat_types::block::Block;
use carat_types::certificate::SealCertificate;
use carat_types::{Digest, Slot};

use crate::cluster::{Cluster, key};

/// What is done to a block; none takes it away.
type Change = fn(Block) -> Option<Block>;
/// What is done to its seals.
type SealsChange = fn(SealCertificate) -> SealCertificate;

/// A store of which one block was changed.
struct Changed<'a> {
    store: &'a Store,
    slot: Slot,
    change: Change,
    seals: SealsChange,
}

impl Blocks for Changed<'_> {
    fn last(&self) -> Slot {
        Blocks::last(self.store)
    }

    fn block(&self, slot: Slot) -> Result<Option<Block>, StoreError> {
        let block = self.store.block(slot)?;
        Ok(if slot == self.slot { block.and_then(self.change) } else { block })
    }

    fn certificate(&self, slot: Slot) -> Result<Option<SealCertificate>, StoreError> {
        let seals = self.store.certificate(slot)?;
        Ok(if slot == self.slot { seals.map(self.seals) } else { seals })
    }
}

fn with_header(mut block: Block, change: fn(&mut carat_types::header::Header)) -> Option<Block> {
    change(&mut block.header);
    Some(block)
}

/// Slot of the newest block that orders a transaction.
fn newest_with_payments(store: &Store) -> Slot {
    let full = |slot: &u64| {
        let block = store.block(Slot(*slot)).expect("readable").expect("there");
        block.payload.envelopes().next().is_some()
    };
    Slot((1..=store.tip().slot.0).rev().find(full).expect("payments were made"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_a_stopped_validator_lead_to_its_state_and_a_changed_one_is_found() {
    let mut cluster = Cluster::start(4).await;
    cluster.fund(0, &key(1)).await;
    cluster.fund(0, &key(2)).await;
    for amount in 1..=5 {
        cluster.pay(&key(1), &key(2), amount).await;
    }
    cluster.assert_same_state().await;
    cluster.stop_node(0).await;
    let home = Home::read(&cluster.homes[0]).expect("a home");
    let mut heard = Vec::new();
    let whole = home.replay(|slot, last| heard.push((slot, last))).expect("nothing was changed");
    assert_eq!((whole.blocks, whole.transactions), (heard.len() as u64, 7), "{whole:?}");
    assert!(whole.sealed > 0 && heard.last().is_some_and(|(slot, last)| slot == last));

    let (_journal, _, store) = home.open().expect("a store");
    let last = store.header(store.tip().slot).expect("readable").expect("there");
    assert_eq!((whole.header, whole.state_root), (last.hash(), last.state_root));
    refuses_every_change(&home, &store);
    drop((store, _journal));
    cluster.stop().await;
}

fn refuses_every_change(home: &Home, store: &Store) {
    let slot = newest_with_payments(store);
    let unchanged: SealsChange = |seals| seals;
    let table: [(&str, Change); 10] = [
        ("is not stored here", |_| None),
        ("chain", |block| with_header(block, |header| header.chain_id = Digest::ZERO)),
        ("parent", |block| with_header(block, |header| header.parent = Digest::ZERO)),
        ("time", |block| with_header(block, |header| header.time_ms += 1)),
        ("outcomes root", |block| with_header(block, |header| header.outcomes_root = Digest::ZERO)),
        ("drops root", |block| with_header(block, |header| header.drops_root = Digest::ZERO)),
        ("state root", |block| with_header(block, |header| header.state_root = Digest::ZERO)),
        ("hash", |block| with_header(block, |header| header.epoch.0 += 1)),
        // A payment that is taken out is no longer what was decided; nor is a slot without it.
        ("bodies are not those", |mut block| {
            let mut payload = (*block.payload).clone();
            payload.bodies[0] = Body { envelopes: Vec::new() }.into();
            block.payload = payload.into();
            Some(block)
        }),
        ("value", |mut block| {
            block.payload = Payload::null().into();
            Some(block)
        }),
    ];
    for (expected, change) in table {
        let changed = Changed { store, slot, change, seals: unchanged };
        let error = refusal(home, &changed);
        assert!(error.contains(&format!("block {slot}")) && error.contains(expected), "{expected}: {error}");
    }
    let table: [(&str, SealsChange); 2] = [
        ("they are of header", |mut seals| {
            seals.body.header = Digest::ZERO;
            seals
        }),
        ("signature", |mut seals| {
            seals.signatures[0] = seals.signatures[1];
            seals
        }),
    ];
    for (expected, seals) in table {
        let error = refusal(home, &Changed { store, slot, change: Some, seals });
        assert!(error.contains("seals do not hold") && error.contains(expected), "{expected}: {error}");
    }
}

fn refusal(home: &Home, blocks: &Changed<'_>) -> String {
    let replayed: Result<Replayed, ReplayError> = replay(home.genesis(), home.leaves(), blocks, |_| {});
    replayed.expect_err("refused").to_string()
}
