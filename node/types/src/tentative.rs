//! TREPLYs as a client counts them. **Source**: consensus specification, sections 11 and 13.

use std::collections::BTreeMap;

use crate::certificate::Certificate;
use crate::hash::Digest;
use crate::ids::{Slot, ValidatorId, View};
use crate::message::{Signed, TentativeReply};
use crate::signature::Signature;

/// TREPLYs of several validators on one block; with q of them as good as COMMIT and result.
pub type TentativeCertificate = Certificate<TentativeReply>;

/// Replies of one signer that are held at a time: a signer that goes on through more views starts over.
const BODIES_MAX: usize = 64;

/// Counts TREPLYs. **Invariant**: only those with equal view, slot and header count together; adding up views is unsafe.
#[derive(Clone, Debug, Default)]
pub struct ReplyTally {
    replies: BTreeMap<(View, Slot, Digest), BTreeMap<ValidatorId, Signature>>,
}

impl ReplyTally {
    /// Counts a TREPLY whose signature was checked, once for its signer.
    ///
    /// **Returns** how many signers have said the same.
    pub fn add(&mut self, reply: &Signed<TentativeReply>) -> usize {
        let TentativeReply { view, slot, header } = reply.body;
        self.make_room(reply.signer);
        let same = self.replies.entry((view, slot, header)).or_default();
        same.insert(reply.signer, reply.signature);
        same.len()
    }

    /// The TREPLYs that say the same as this one.
    pub fn certificate(&self, body: TentativeReply) -> TentativeCertificate {
        let same = self.replies.get(&(body.view, body.slot, body.header));
        let pairs = same.into_iter().flatten().map(|(signer, signature)| (*signer, *signature));
        Certificate::assemble(body, pairs)
    }

    /// What one signer says cannot fill memory: beyond a limit its own reply of the lowest view goes, the others' stay.
    fn make_room(&mut self, signer: ValidatorId) {
        let said = |(_, same): &(&_, &BTreeMap<_, _>)| same.contains_key(&signer);
        if self.replies.iter().filter(said).count() < BODIES_MAX {
            return;
        }
        let Some(lowest) = self.replies.iter().find(said).map(|(body, _)| *body) else { return };
        if let Some(same) = self.replies.get_mut(&lowest) {
            same.remove(&signer);
            if same.is_empty() {
                self.replies.remove(&lowest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(signer: u16, view: u64, header: u8) -> Signed<TentativeReply> {
        let body = TentativeReply { view: View(view), slot: Slot(9), header: Digest([header; 32]) };
        Signed { signer: ValidatorId(signer), body, signature: Signature([0; 64]) }
    }

    #[test]
    fn replies_of_one_view_slot_and_header_count_together_and_no_others() {
        let mut tally = ReplyTally::default();
        assert_eq!(tally.add(&reply(0, 1, 7)), 1);
        assert_eq!(tally.add(&reply(1, 2, 7)), 1, "another view");
        assert_eq!(tally.add(&reply(2, 1, 8)), 1, "another header");
        assert_eq!(tally.add(&reply(0, 1, 7)), 1, "the same signer");
        assert_eq!(tally.add(&reply(3, 1, 7)), 2);
        let certificate = tally.certificate(reply(0, 1, 7).body);
        assert_eq!(certificate.signers, [ValidatorId(0), ValidatorId(3)].into_iter().collect());
    }

    #[test]
    fn signer_that_replies_without_end_fills_no_memory_and_hides_nobody() {
        let mut tally = ReplyTally::default();
        tally.add(&reply(1, 0, 7));
        for view in 0..10_000 {
            tally.add(&reply(0, view, 7));
        }
        assert_eq!(tally.replies.len(), BODIES_MAX + 1, "its own, and that of the other one");
        assert_eq!(tally.certificate(reply(1, 0, 7).body).signers.len(), 1);
        // What it said of the latest views still counts.
        assert_eq!(tally.add(&reply(1, 9_990, 7)), 2);
    }
}
