//! Where an epoch begins and ends, and what is said over that line. **Source**: consensus specification, section 11;
//! decision records 39, 40 and 63.
//!
//! A replica lives in one epoch. It begins at h = the end of the epoch before, in view 0, and ends when the last slot of its
//! own is a stable checkpoint and executed, and its blocks are sealed: then it emits [`Effect::EpochEnds`] and takes no more
//! input. Who validates next, and under which constants, is not for it to know.

use std::sync::Arc;

use carat_types::header::Header;
use carat_types::message::{Data, Fetch, Message, StableCheckpoint};
use carat_types::{Epoch, Slot, ValidatorId};

use crate::effect::Effect;
use crate::input::VerifiedMessage;
use crate::rejection::Rejection;
use crate::replica::{Replica, millis};

impl Replica {
    /// The header at which the epoch begins: that of slot 0, or of the last block of the epoch before. Everybody in the epoch
    /// has it as a stable checkpoint, so in this epoch it needs no certificate, as slot 0 needs none.
    pub(crate) fn base(&self) -> &Header {
        self.config.base.as_ref().map_or(&self.config.genesis_header, |base| &base.header)
    }

    /// The last slot that is voted on above a checkpoint, none for that of the epoch's beginning: h+L, and none beyond the end
    /// of the epoch.
    ///
    /// The end is read from the checkpoint and from nothing else, an execution that runs ahead least of all: so two validators
    /// with one h have one window. Whoever votes beyond g+L holds a checkpoint above g, whose header names it (section 11).
    pub(crate) fn window_above(&self, checkpoint: Option<&StableCheckpoint>) -> Slot {
        let header = checkpoint.map(|checkpoint| &checkpoint.header);
        let stable = header.map_or(self.base().slot, |header| header.slot);
        let top = stable.plus(self.config.params.window);
        let end = header.and_then(|header| header.epoch_end.as_ref());
        end.map_or(top, |end| top.min(end.slot))
    }

    /// The upper end of the own window.
    pub(crate) fn window_end(&self) -> Slot {
        self.window_above(self.chain.checkpoint.as_deref())
    }

    /// The checkpoint that ends the epoch, once it is stable and its slot executed here.
    pub(crate) fn reached_end(&self) -> Option<&Arc<StableCheckpoint>> {
        let last = self.chain.checkpoint.as_ref()?;
        (last.header.ends_epoch() && self.chain.executed >= last.header.slot).then_some(last)
    }

    /// Ends the epoch when its last slot is stable, executed and durable, and its blocks are sealed.
    ///
    /// Nobody sends SEALs of an epoch that is over. So nobody leaves before it can serve each block: the first to leave has the
    /// SEALs of those who are all still here, and the others are served by the first. That nobody gives them bars no way.
    pub(crate) fn end_epoch(&mut self) {
        let Some(last) = self.reached_end().cloned() else { return };
        if self.halted || self.is_over || self.waits_for_seals() {
            return;
        }
        self.emit(Effect::SyncBlocks { slot: last.header.slot });
        self.emit(Effect::EpochEnds(last));
        self.is_over = true;
    }

    /// A message of another epoch. No vote, view or question about votes crosses the line; what proves itself does: blocks,
    /// payloads and states, and the end of an epoch for those who have not reached it.
    pub(crate) fn on_other_epoch(
        &mut self,
        from: ValidatorId,
        epoch: Epoch,
        message: VerifiedMessage,
    ) -> Result<(), Rejection> {
        let own = self.config.validators.domain().epoch;
        match message {
            VerifiedMessage::Status(status) if epoch < own => {
                self.show_end(from, status.stable);
                Ok(())
            }
            VerifiedMessage::Status(status) => {
                // How far it is says that something is missing here; its view and its votes say nothing.
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.status.last_executed = peer.status.last_executed.max(status.last_executed);
                }
                Ok(())
            }
            message if proves_itself(&message, own) => self.on_message(from, message),
            _ => Err(Rejection::OtherEpoch),
        }
    }

    /// Shows a peer that is in an epoch before how the last one ended, at most once per T0/4.
    fn show_end(&mut self, to: ValidatorId, stable: Slot) {
        let Some(base) = self.config.base.clone().filter(|base| base.header.slot > stable) else { return };
        let (now, pause) = (self.now.monotonic_us, millis(self.config.params.timeout_ms) / 4);
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.answered_us.is_none_or(|last| now >= last.saturating_add(pause)) {
            peer.answered_us = Some(now);
            self.send(to, Message::Data(Data::Stable(base)));
        }
    }
}

/// Whether a message means the same in whatever epoch it was sent, to a replica of epoch `own`.
fn proves_itself(message: &VerifiedMessage, own: Epoch) -> bool {
    match message {
        VerifiedMessage::Fetch(fetch) => !matches!(fetch, Fetch::HighestVotes(_)),
        VerifiedMessage::Block { block, .. } => block.block.header.epoch == own,
        VerifiedMessage::Stable(checkpoint) => checkpoint.header.epoch == own,
        VerifiedMessage::Payload(_) | VerifiedMessage::Snapshot(_) | VerifiedMessage::Chunk(_) => true,
        _ => false,
    }
}
