//! A state that is fetched: it comes in parts, survives restarts, and takes the place of the old one whole or not at all.

use carat_ledger::SnapshotPlan;
use carat_types::LeafRule;
use carat_types::certificate::Certificate;
use carat_types::message::StableCheckpoint;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};

use super::*;

/// Seals are checked elsewhere.
fn certificate(header: &Header) -> SealCertificate {
    Certificate {
        body: Seal { slot: header.slot, header: header.hash() },
        signers: SignerSet::default(),
        signatures: Vec::new(),
    }
}

/// What a server sends of its state after `blocks` blocks, and the chain up to there.
pub(in crate::store) fn served(blocks: u32) -> (SnapshotOffer, Vec<StateChunk>, Chain) {
    let server = in_memory(&MemoryEngine::new()).expect("opens");
    let mut chain = Chain::new();
    commit(&server, &mut chain, blocks);
    let header = chain.newest.clone();
    let plan = SnapshotPlan::build(&LeafRule::Open, server.state_entries(), 600).expect("reads");
    let (block, outcome) = chain.next();
    server.commit_block(&block, &outcome).expect("the store works");
    // The plan is of the state before this block; the values are read from that one.
    let before = in_memory(&MemoryEngine::new()).expect("opens");
    commit(&before, &mut Chain::new(), blocks);
    let mut chunks = Vec::new();
    let mut next = Progress::At(Digest::ZERO);
    while let Progress::At(from) = next {
        let value = |key: &[u8]| before.get(key).expect("reads").expect("is there");
        let values = |keys: &[Box<[u8]>]| Ok::<_, StoreError>(keys.iter().map(|key| value(key)).collect());
        let chunk = plan.chunk(header.slot, &from, values).expect("reads").expect("begins there");
        assert_eq!(chunk.root(&LeafRule::Open), Some(header.state_root));
        next = chunk.end();
        chunks.push(chunk);
    }
    let base = StableCheckpoint { certificate: certificate(&header), header };
    let next_seals = certificate(&block.header);
    let mut chain = Chain::new();
    (0..blocks).for_each(|_| _ = chain.next());
    (SnapshotOffer { base, next: block.header, next_seals }, chunks, chain)
}

/// The store stands on the fetched state and goes on from there.
pub(super) fn check_goes_on(store: &Store, chain: &mut Chain, base: Slot) {
    assert_eq!(store.tip(), Tip { slot: chain.newest.slot, header: chain.newest.hash() });
    assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
    assert_eq!(store.base().expect("reads").map(|base| base.slot), Some(base));
    assert_eq!(store.block(base).expect("reads"), None);
    assert!(store.certified_block(base).expect("reads").is_none());
    commit(store, chain, 1);
    let newest = chain.newest.slot;
    assert!(store.block(newest).expect("reads").is_some());
    assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), chain.newest.state_root);
    let snapshot = store.snapshot().expect("reads");
    let keys = store.state_entries().map(|entry| entry.expect("reads").0);
    for key in keys {
        assert_eq!(snapshot.get(&key).expect("reads"), store.get(&key).expect("reads"));
    }
}

#[test]
fn state_that_is_fetched_over_restarts_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (offer, chunks, mut chain) = served(30);
    assert!(chunks.len() > 4, "{} chunks", chunks.len());
    {
        let store = on_disk(folder.path()).expect("opens");
        commit(&store, &mut Chain::new(), 3);
        let old = store.state_tree(&LeafRule::Open).expect("sound").root();
        // What an abandoned transfer left must not be part of the next one.
        store
            .begin_transfer(&SnapshotOffer { next: offer.base.header.clone(), ..offer.clone() })
            .expect("begins");
        store.keep_chunk(&StateChunk { from: Digest::ZERO, ..chunks[0].clone() }).expect("keeps");
        store.begin_transfer(&offer).expect("begins");
        store.keep_chunk(&chunks[0]).expect("keeps");
        store.keep_chunk(&chunks[1]).expect("keeps");
        assert_eq!(
            store.state_tree(&LeafRule::Open).expect("sound").root(),
            old,
            "the old state stays until the new one is whole"
        );
    }
    {
        let store = on_disk(folder.path()).expect("opens");
        let kept = store.transfer().expect("reads").expect("goes on");
        assert_eq!((kept.offer, kept.progress), (offer.clone(), chunks[1].end()));
        chunks[2..].iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
        let tree = store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
        assert_eq!(tree.root(), offer.base.header.state_root);
        assert_eq!(store.transfer().expect("reads"), None);
        check_goes_on(&store, &mut chain, Slot(30));
    }
    let store = on_disk(folder.path()).expect("opens");
    check_goes_on(&store, &mut chain, Slot(30));
}

#[test]
fn second_transfer_uses_the_first_column_again() {
    let store = in_memory(&MemoryEngine::new()).expect("opens");
    for blocks in [10, 20] {
        let (offer, chunks, mut chain) = served(blocks);
        store.begin_transfer(&offer).expect("begins");
        chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
        store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
        check_goes_on(&store, &mut chain, Slot(u64::from(blocks)));
    }
}

#[test]
fn power_lost_anywhere_in_a_transfer_leaves_the_old_state_or_the_new_one() {
    let (offer, chunks, _) = served(20);
    let steps = chunks.len() + 4;
    for survive in 0..=steps {
        let engine = MemoryEngine::new();
        let old = {
            let store = in_memory(&engine).expect("opens");
            commit(&store, &mut Chain::new(), 2);
            store.sync().expect("syncs");
            store.begin_transfer(&offer).expect("begins");
            chunks.iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
            store.state_tree(&LeafRule::Open).expect("sound").root()
        };
        engine.crash(|written| survive.min(written));
        let store = in_memory(&engine).expect("opens");
        assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), old);
        // Whatever is kept, the rest can be put to it.
        if let Some(kept) = store.transfer().expect("reads") {
            let rest = chunks.iter().skip_while(|chunk| kept.progress != Progress::At(chunk.from));
            rest.for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
            store.install_state(&offer, &LeafRule::Open).expect("the state is whole");
            engine.crash(|_| 0);
            assert_eq!(
                in_memory(&engine).expect("opens").tip().slot,
                Slot(20),
                "an installed state is durable"
            );
        }
    }
}

#[test]
fn state_that_is_not_whole_or_damaged_is_not_put_in_place() {
    let (offer, chunks, _) = served(20);
    for damage in [false, true] {
        let engine = MemoryEngine::new();
        let store = in_memory(&engine).expect("opens");
        let old = store.state_tree(&LeafRule::Open).expect("sound").root();
        store.begin_transfer(&offer).expect("begins");
        let count = if damage { chunks.len() } else { chunks.len() - 1 };
        chunks[..count].iter().for_each(|chunk| store.keep_chunk(chunk).expect("keeps"));
        if damage {
            engine.damage(Column::OtherState, &chunks[0].entries[0].key, None);
        }
        assert!(matches!(store.install_state(&offer, &LeafRule::Open), Err(StoreError::Damaged { .. })));
        assert_eq!(store.transfer().expect("reads"), None, "the next start begins anew");
        assert_eq!(store.state_tree(&LeafRule::Open).expect("sound").root(), old);
    }
}

#[test]
fn part_that_does_not_follow_is_refused() {
    let (offer, chunks, _) = served(20);
    let store = in_memory(&MemoryEngine::new()).expect("opens");
    assert!(store.keep_chunk(&chunks[0]).is_err(), "no transfer");
    store.begin_transfer(&offer).expect("begins");
    assert!(store.keep_chunk(&chunks[1]).is_err(), "out of order");
    store.keep_chunk(&chunks[0]).expect("keeps");
    assert!(store.keep_chunk(&chunks[0]).is_err(), "twice");
}
