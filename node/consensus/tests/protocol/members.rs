//! The harness's epochs: who is in each, how a validator goes from one to the next, and what it hears of others.

use std::sync::Arc;

use carat_consensus::{Input, Record};
use carat_types::hash::h;
use carat_types::header::{EpochEnd, Header};
use carat_types::message::{Message, StableCheckpoint};
use carat_types::validators::ValidatorSet;
use carat_types::{Epoch, Slot, ValidatorId, View};

use crate::harness::*;

/// Who is in an epoch, and where it ends.
#[derive(Clone)]
pub(crate) struct Members {
    pub(crate) set: ValidatorSet,
    /// The number of each validator's keys.
    pub(crate) keys: Vec<usize>,
    /// The slot whose execution decided on the end, and the end.
    end: Option<(Slot, EpochEnd)>,
}

impl Members {
    /// Those of epoch 0.
    pub(crate) fn first(set: ValidatorSet) -> Self {
        let keys = (0..set.processes().count()).collect();
        Members { set, keys, end: None }
    }

    /// What execution in this epoch says of its end.
    pub(crate) fn fix_end(&self, header: Header) -> Header {
        let end = self.end.clone().filter(|(decided, _)| header.slot >= *decided);
        Header { epoch_end: end.map(|(_, end)| end), ..header }
    }
}

impl Cluster {
    /// Who is in a node's epoch.
    pub(crate) fn members(&self, index: usize) -> &Members {
        &self.epochs[self.nodes[index].epoch]
    }

    pub(crate) fn signer(&self, index: usize) -> HashSigner {
        HashSigner(keys_of(self.members(index).keys[index]))
    }

    /// The execution of slot `decided` decides that the validators with these keys follow upon those of the last epoch that is
    /// planned. **Returns** its end: the least multiple of K that is g+L or more.
    pub(crate) fn plan(&mut self, decided: u64, keys: &[usize]) -> u64 {
        let interval = self.params.checkpoint_interval;
        let slot = (decided + self.params.window).next_multiple_of(interval);
        let next_set = h("test set", &[&keys.iter().flat_map(|key| key.to_be_bytes()).collect::<Vec<_>>()]);
        let present = self.epochs.last_mut().expect("epoch 0");
        present.end = Some((Slot(decided), EpochEnd { slot: Slot(slot), next_set }));
        let epoch = Epoch(u32::try_from(self.epochs.len()).expect("few epochs"));
        let set = ValidatorSet::new(chain_id(), epoch, keys.iter().map(|key| keys_of(*key)).collect());
        self.epochs.push(Members { set: set.expect("a possible size"), keys: keys.to_vec(), end: None });
        slot
    }

    /// What execution says of the end of the epoch.
    pub(crate) fn fix_end(&self, header: Header) -> Header {
        let epoch = usize::try_from(header.epoch.0).expect("few epochs");
        self.epochs[epoch].fix_end(header)
    }

    /// The epoch of a node's replica is over: the journal is begun anew, and a new replica with it, if the node stays.
    pub(crate) fn hand_over(&mut self, index: usize, last: Arc<StableCheckpoint>) {
        let node = &mut self.nodes[index];
        let recorded = node.journal.iter().any(|record| matches!(record, Record::Stable(h) if *h == last));
        assert!(recorded, "J6: an epoch ends with what is not durable");
        assert!(node.blocks.len() as u64 >= last.header.slot.0, "an epoch ends with what is not executed");
        if node.keeps_its_journal {
            // The power goes before the journal is begun anew.
            node.keeps_its_journal = false;
            return self.crash(index);
        }
        node.epoch += 1;
        node.base = Some(last);
        node.journal = vec![Record::View(Epoch(u32::try_from(node.epoch).expect("few epochs")), View(0))];
        self.crash(index);
        if index < self.members(index).keys.len() {
            self.start(index);
        }
    }

    /// A validator that was in no epoch before starts in the present one, with nothing but the end of the one before.
    pub(crate) fn join(&mut self, from: usize) {
        let (epoch, base) = (self.nodes[from].epoch, self.nodes[from].base.clone());
        let journal = vec![Record::View(Epoch(u32::try_from(epoch).expect("few epochs")), View(0))];
        self.nodes.push(Node { epoch, base, journal, ..Node::new() });
        self.n = self.nodes.len();
        self.start(self.n - 1);
    }

    /// What a message becomes for its receiver: over the line between epochs nothing that is signed is even looked at.
    pub(crate) fn arrival(
        &self,
        from: ValidatorId,
        to: usize,
        epoch: usize,
        message: Message,
    ) -> Option<Input> {
        let receiver = self.nodes.get(to)?;
        let set = &self.epochs[receiver.epoch].set;
        if epoch == receiver.epoch {
            return Some(Input::Message { from, message: self.verify_by(set, message)? });
        }
        if !matches!(message, Message::Status(_) | Message::Fetch(_) | Message::Data(_)) {
            return None;
        }
        let message = self.verify_by(set, message)?;
        Some(Input::OtherEpoch { from, epoch: self.epochs[epoch].set.domain().epoch, message })
    }
}
