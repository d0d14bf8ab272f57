//! What is sent is checked: against everything that was ever sent (I1, I2, I7), and against the sender's journal (J1 to J8).

use carat_consensus::Record;
use carat_types::hash::h;
use carat_types::message::{Message, Signed, TentativeReply};
use carat_types::{Digest, Slot, ValidatorId, View};

use crate::harness::{Cluster, index_of};

impl Cluster {
    /// I1 and its kin: nobody signs two different things for one (kind, view, slot); I2: no vote below a view left.
    pub(crate) fn check_sent(&mut self, epoch: usize, message: &Message) {
        let (signer, kind, ballot) = match message {
            Message::Prepare(prepare) => (prepare.signed.signer, 2, prepare.signed.body.0),
            Message::Commit(commit) => (commit.signer, 3, commit.body.0),
            Message::Seal(seal) => {
                let Signed { signer, body, .. } = seal;
                return self.check_one((epoch, signer.0, 6, 0, body.slot.0), body.header);
            }
            Message::ViewChange(signed) => {
                let highest = self.highest_view_change.entry((epoch, signed.signer.0)).or_default();
                *highest = (*highest).max(signed.body.view.0);
                let digest = h("vc", &[&carat_types::codec::Encode::to_bytes(signed.as_ref())]);
                return self.check_one((epoch, signed.signer.0, 4, signed.body.view.0, 0), digest);
            }
            Message::Proposal(proposal) => {
                let Signed { signer, body, .. } = &proposal.signed;
                return self.check_one((epoch, signer.0, 1, body.view.0, body.slot.0), body.digest);
            }
            Message::Announcement(announcement) => {
                let Signed { signer, body, .. } = &announcement.signed;
                return self.check_one((epoch, signer.0, 1, body.view.0, body.slot.0), body.digest);
            }
            _ => return,
        };
        let left = self.highest_view_change.get(&(epoch, signer.0)).copied().unwrap_or(0);
        assert!(
            ballot.view.0 >= left,
            "I2: {signer:?} votes in view {} after leaving for {left}",
            ballot.view
        );
        self.check_one((epoch, signer.0, kind, ballot.view.0, ballot.slot.0), ballot.prefix);
    }

    /// The same of a TREPLY: it follows the COMMIT of its view, and so J4.
    pub(crate) fn check_reply(&mut self, index: usize, signed: &Signed<TentativeReply>) {
        let TentativeReply { view, slot, header } = signed.body;
        let (epoch, signer) = (self.nodes[index].epoch, signed.signer);
        let left = self.highest_view_change.get(&(epoch, signer.0)).copied().unwrap_or(0);
        assert!(view.0 >= left, "I2: {signer:?} replies in view {view} after leaving for {left}");
        let committed = self.sent.contains_key(&(epoch, signer.0, 3, view.0, slot.0)) || self.n == 1;
        assert!(committed, "{signer:?} replies for slot {slot} without a COMMIT in view {view}");
        self.check_one((epoch, signer.0, 7, view.0, slot.0), header);
    }

    /// J1 to J8: what a message of a running node rests on is in its journal already. (A filter may hold the message
    /// back; it was sent all the same.)
    pub(crate) fn check_recorded(&mut self, from: ValidatorId, message: &Message) {
        let node = &self.nodes[from.0 as usize];
        let has = |wanted: &dyn Fn(&Record) -> bool| node.journal.iter().any(wanted);
        let stable = node
            .journal
            .iter()
            .filter_map(|record| match record {
                Record::Stable(stable) => Some(stable.header.slot),
                _ => None,
            })
            .max()
            .unwrap_or(Slot(0));
        let leads = |signer: ValidatorId| self.epochs[node.epoch].set.process_of(signer) == from;
        let in_view = |view: View| view == View(0) || has(&|r| matches!(r, Record::View(_, v) if *v == view));
        let holds =
            |body: &Digest| has(&|r| matches!(r, Record::Body { body: held, .. } if held.digest == *body));
        let (rule, recorded) = match message {
            Message::Prepare(prepare) if prepare.signed.signer == from => {
                let ballot = prepare.signed.body.0;
                let entered = ballot.view == View(0)
                    || has(&|r| matches!(r, Record::NewView(nv) if nv.body.view == ballot.view));
                let voted = has(&|r| matches!(r, Record::Vote(vote, ..) if *vote == ballot));
                ("J1 J2 J3", in_view(ballot.view) && entered && (voted || ballot.slot <= stable))
            }
            Message::Commit(commit) if commit.signer == from => {
                let ballot = commit.body.0;
                let prepared = has(&|r| matches!(r, Record::Prepared(held) if held.body.0 == ballot));
                ("J1 J4", in_view(ballot.view) && (prepared || ballot.slot <= stable))
            }
            Message::ViewChange(signed) if signed.signer == from => {
                let sent = has(&|r| matches!(r, Record::ViewChange(held) if held == signed));
                ("J1 J5", in_view(signed.body.view) && sent)
            }
            Message::NewView(signed) if leads(signed.signer) => {
                ("J7", has(&|r| matches!(r, Record::Led(_, led) if *led >= signed.body.view)))
            }
            Message::Proposal(proposal) if leads(proposal.signed.signer) => {
                ("J7", has(&|r| matches!(r, Record::Led(_, led) if *led >= proposal.signed.body.view)))
            }
            Message::Announcement(it) if leads(it.signed.signer) => {
                ("J7", has(&|r| matches!(r, Record::Led(_, led) if *led >= it.signed.body.view)))
            }
            Message::Body(sent) => ("a body", holds(&sent.digest())),
            Message::BodiesHeld(held) => ("bodies", held.bodies.iter().all(holds)),
            Message::Seal(seal) if seal.signer == from => {
                let written = node.blocks.get(index_of(seal.body.slot));
                ("J8", written.is_some_and(|(header, ..)| header.hash() == seal.body.header))
            }
            _ => return,
        };
        assert!(recorded, "{rule}: {from:?} sent {message:?} before it was recorded");
        *self.checked.entry(message.name()).or_default() += 1;
        self.check_order(from, message);
    }

    /// I7: in one view, a slot's first PREPARE or COMMIT follows that of the slot below, down to a checkpoint.
    fn check_order(&mut self, from: ValidatorId, message: &Message) {
        let (kind, ballot) = match message {
            Message::Prepare(prepare) => (2, prepare.signed.body.0),
            Message::Commit(commit) => (3, commit.body.0),
            _ => return,
        };
        let epoch = self.nodes[usize::from(from.0)].epoch;
        let checkpoint = ballot.slot.0 % self.params.checkpoint_interval == 1;
        let below = (epoch, from.0, kind, ballot.view.0, ballot.slot.0 - 1);
        assert!(
            checkpoint || self.sent.contains_key(&below),
            "I7: {from:?} skips the slot below in {message:?}"
        );
    }

    fn check_one(&mut self, key: (usize, u16, u8, u64, u64), what: Digest) {
        let earlier = *self.sent.entry(key).or_insert(what);
        assert_eq!(earlier, what, "I1: two different messages for {key:?}");
    }
}
