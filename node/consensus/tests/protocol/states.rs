//! The harness's states: a few entries that follow from the log, served and fetched in four chunks.

use std::sync::Arc;

use carat_consensus::{Input, KeptTransfer, is_snapshot_slot};
use carat_types::hash::h;
use carat_types::header::Header;
use carat_types::leaf::open_leaf;
use carat_types::message::{ChunkRequest, Data, StableCheckpoint};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk, StateEntry};
use carat_types::state_proof::{subtree_root, tree_key};
use carat_types::{Digest, LeafRule, Slot};

use crate::harness::*;

/// A state on its way.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) offer: Arc<SnapshotOffer>,
    pub(crate) chunks: Vec<Arc<StateChunk>>,
}

/// What stands for the state after a block: it depends on every block before.
fn log_of(parent: &Header, batch: &Digest) -> Digest {
    h("test state", &[&parent.state_root.0, &batch.0])
}

/// Ascending by tree key.
fn entries(log: &Digest) -> Vec<StateEntry> {
    let fixed = (0..40u8).map(|number| StateEntry { key: vec![number], value: vec![number; 9] });
    let mut all: Vec<_> = fixed.chain([StateEntry { key: b"log".to_vec(), value: log.0.to_vec() }]).collect();
    all.sort_by_key(|entry| tree_key(&entry.key));
    all
}

fn root_of(depth: usize, entries: &[StateEntry]) -> Digest {
    let leaf = |entry: &StateEntry| {
        let key = tree_key(&entry.key);
        (key, open_leaf(&key, &entry.value))
    };
    subtree_root(depth, &entries.iter().map(leaf).collect::<Vec<_>>()).expect("distinct keys")
}

/// State root after a block.
pub(crate) fn state_root(parent: &Header, batch: &Digest) -> Digest {
    root_of(0, &entries(&log_of(parent, batch)))
}

/// The state in four chunks.
fn chunks(slot: Slot, log: &Digest) -> Vec<StateChunk> {
    let entries = entries(log);
    let quarter = |part: u8| {
        let of_part = entries.iter().filter(|entry| tree_key(&entry.key).0[0] >> 6 == part);
        of_part.cloned().collect::<Vec<_>>()
    };
    let quarters = [0, 1, 2, 3].map(quarter);
    let half =
        |part: usize| root_of(1, &[quarters[2 * part].clone(), quarters[2 * part + 1].clone()].concat());
    let chunk = |part: usize| {
        let mut from = Digest::ZERO;
        from.0[0] = u8::try_from(part).expect("four parts") << 6;
        let siblings = vec![half(1 - part / 2), root_of(2, &quarters[part ^ 1])];
        StateChunk { slot, from, siblings, entries: quarters[part].clone() }
    };
    (0..4).map(chunk).collect()
}

impl Cluster {
    /// The newest state that a node can send.
    pub(crate) fn offer(&self, index: usize, above: Slot) -> Option<Data> {
        let node = &self.nodes[index];
        let kept = node.checkpoints.values().rev();
        // That with which its epoch began is kept too.
        let begun = node.base.iter().filter(|base| base.header.slot > above);
        let kept = kept.filter(|stable| {
            is_snapshot_slot(&self.params, stable.header.slot) && stable.header.slot > above
        });
        let base = kept.chain(begun).next()?;
        let (next, _, next_seals) = node.blocks.get(index_of(base.header.slot) + 1)?.clone();
        let offer = SnapshotOffer { base: StableCheckpoint::clone(base), next, next_seals: next_seals? };
        Some(Data::Snapshot(Arc::new(offer)))
    }

    /// A part of a state that a node has been in.
    pub(crate) fn chunk(&self, index: usize, request: &ChunkRequest) -> Option<Data> {
        let blocks = &self.nodes[index].blocks;
        let place = index_of(request.slot);
        let log = log_of(&blocks.get(place.checked_sub(1)?)?.0, &blocks.get(place)?.0.batch);
        let chunk = chunks(request.slot, &log).into_iter().find(|chunk| chunk.from == request.from)?;
        Some(Data::Chunk(Arc::new(chunk)))
    }

    pub(crate) fn begin_transfer(&mut self, index: usize, offer: Arc<SnapshotOffer>) {
        self.nodes[index].incoming = Some(Incoming { offer, chunks: Vec::new() });
    }

    pub(crate) fn keep_chunk(&mut self, index: usize, chunk: Arc<StateChunk>) {
        let kept = self.kept_transfer(index).expect("a transfer has begun");
        assert_eq!(kept.progress, Progress::At(chunk.from), "chunks are kept in order");
        assert_eq!(
            chunk.root(&LeafRule::Open),
            Some(kept.offer.base.header.state_root),
            "only what is proved is kept"
        );
        let incoming = self.nodes[index].incoming.as_mut().expect("a transfer has begun");
        incoming.chunks.push(chunk);
        self.input(index, Input::ChunkKept);
    }

    pub(crate) fn kept_transfer(&self, index: usize) -> Option<KeptTransfer> {
        let Incoming { offer, chunks } = self.nodes[index].incoming.clone()?;
        let progress = chunks.last().map_or(Progress::At(Digest::ZERO), |chunk| chunk.end());
        Some(KeptTransfer { offer, progress })
    }

    /// Puts the fetched state in place. The blocks below are taken from another node, so that places stay places.
    pub(crate) fn install_state(&mut self, index: usize, offer: &SnapshotOffer) {
        let kept = self.kept_transfer(index).expect("a transfer has begun");
        assert_eq!(kept.progress, Progress::Complete, "a state is put in place when it is whole");
        let header = offer.base.header.clone();
        let server = (0..self.n).find(|other| self.nodes[*other].blocks.len() as u64 >= header.slot.0);
        let server = server.expect("somebody executed the base");
        let blocks = self.nodes[server].blocks[..=index_of(header.slot)].to_vec();
        assert_eq!(
            blocks.last().map(|block| &block.0),
            Some(&header),
            "only the agreed state is put in place"
        );
        let node = &mut self.nodes[index];
        node.blocks = blocks;
        node.incoming = None;
        node.installed.push(header.slot);
        self.input(index, Input::Installed(Box::new(header)));
    }
}
