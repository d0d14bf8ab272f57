//! Who may be the cause itself blames nobody: before a replica leaves a view for want of progress (T1, T5, T7), it asks whether it is
//! cut off or behind, or has still to execute. Whoever leaves alone has no vote until the others leave too, up to a whole term.
//! **Source**: decision records 8, 72 and 75.

use carat_types::{Slot, ValidatorId};

use crate::delivery::STATUS_US;
use crate::replica::{Peer, Replica, millis};

/// Within this part of T(k) before it blames a leader, a replica must have heard a quorum. It is less than the whole, so that T1 does not
/// take the silence of a line that broke when a transaction came for the leader's; and nearly the whole, since with nothing else to say
/// everybody acknowledges the body of that transaction within T0/10.
const HEARD_SIXTEENTHS: u64 = 15;

/// What a replica thinks of its own lines.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// Since when a quorum must be heard before it blames anybody, while it waits for that.
    since_us: Option<u64>,
    /// Whether it has waited for so long that it must have been cut off.
    is_cut_off: bool,
    /// When it found that it no longer is.
    rejoined_us: u64,
    /// When the oldest transaction came, and the last slot that was final when it had waited for its time.
    waited: Option<(u64, Slot)>,
}

impl Replica {
    /// Anything came from a peer.
    pub(crate) fn hear(&mut self, from: ValidatorId) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.heard_us = Some(self.now.monotonic_us);
        }
    }

    /// Since when the leader of this view has had its time: the view was entered, and no line was broken.
    pub(crate) fn watching_since_us(&self) -> u64 {
        self.position.entered_us.max(self.position.doubt.rejoined_us)
    }

    /// Whether nobody is to be blamed yet. If so it asks for what is missing, and the triggers look again in a while.
    pub(crate) fn excuse(&mut self) -> bool {
        let excused = self.doubts_its_lines() || self.is_behind() || self.may_have_ordered();
        if excused {
            let pause = millis(self.config.params.timeout_ms) / 4;
            self.chain.excused_us = self.now.monotonic_us.saturating_add(pause);
            self.look_behind();
        }
        excused
    }

    /// Whether fewer acceptors than a quorum, itself among them, were heard of late: without them no view orders anything, neither this
    /// one nor the next.
    fn doubts_its_lines(&mut self) -> bool {
        let (now, timeout) = (self.now.monotonic_us, self.timeout_us());
        let since = self.position.doubt.since_us;
        let since = since.unwrap_or(now.saturating_sub(timeout.saturating_mul(HEARD_SIXTEENTHS) / 16));
        let hears = self.hears_a_quorum(|heard_us| heard_us >= since);
        if hears {
            return self.settle_doubt();
        }
        let doubt = &mut self.position.doubt;
        doubt.since_us = Some(since);
        let is_long = now.saturating_sub(since) > timeout.max(STATUS_US).saturating_mul(2);
        if is_long || !self.hears_a_quorum(|_| true) {
            self.position.doubt.is_cut_off = true;
        }
        true
    }

    /// A quorum is heard, or a slot is final: who was cut off is so no longer, and gives the leader its time once more.
    ///
    /// **Returns** whether it was.
    pub(crate) fn settle_doubt(&mut self) -> bool {
        let doubt = &mut self.position.doubt;
        doubt.since_us = None;
        let was_cut_off = std::mem::take(&mut doubt.is_cut_off);
        if was_cut_off {
            doubt.rejoined_us = self.now.monotonic_us;
            self.begin_measuring();
        }
        was_cut_off
    }

    /// Whether a quorum with this replica has been heard at such times.
    fn hears_a_quorum(&self, is_heard: impl Fn(u64) -> bool) -> bool {
        let is_heard = |peer: &Peer| peer.heard_us.is_some_and(&is_heard);
        let heard = self.peers.iter().filter(|(id, peer)| self.is_acceptor(**id) && is_heard(peer)).count();
        heard.saturating_add(usize::from(self.has_vote())) >= self.quorum.quorum()
    }

    /// Whether somebody honest has executed more than is final here: the network goes on, and what is missing must be fetched. Not for
    /// ever: after a restart nobody may be able to prove what one has executed, but a new view orders it again.
    fn is_behind(&self) -> bool {
        let patience =
            millis(self.config.params.heartbeat_ms).saturating_add(self.timeout_us().saturating_mul(2));
        let since = self.chain.final_us.max(self.watching_since_us());
        self.honest_peers_at() > self.chain.last_final
            && self.now.monotonic_us < since.saturating_add(patience)
    }

    /// Whether the oldest transaction may be in a slot that is final and not executed: it waits for this replica then, not for the
    /// leader. What becomes final later is no excuse, or a leader that leaves out one transaction of many would never be left.
    fn may_have_ordered(&mut self) -> bool {
        let Some(oldest_us) = self.pending.oldest_timed_us() else { return false };
        let waited = self.position.doubt.waited.filter(|(since_us, _)| *since_us == oldest_us);
        let (_, slot) =
            *self.position.doubt.waited.insert(waited.unwrap_or((oldest_us, self.chain.last_final)));
        self.chain.executed < slot
    }
}
