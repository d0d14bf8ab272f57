//! What a correct validator may say, given what is durable in its journal and what it said before.

use std::collections::BTreeMap;

use carat_types::codec::Encode;
use carat_types::genesis::Trust;
use carat_types::header::prefix_digest;
use carat_types::message::{
    Ballot, Commit, Data, Justification, Message, NewView, PrePrepare, PrepareMessage, Seal, Signed,
    SignedBody, SlotReport, Status, ViewChange,
};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::chain::Chain;
use super::{Court, Verdict, Watch, choice, demand};
use crate::mix::mix_bytes;

/// What one validator has said, ever.
#[derive(Debug, Default)]
pub(super) struct Speech {
    prepares: BTreeMap<(Slot, View), Ballot>,
    commits: BTreeMap<(Slot, View), Ballot>,
    proposals: BTreeMap<(View, Slot), Digest>,
    new_views: BTreeMap<View, u64>,
    seals: BTreeMap<Slot, Digest>,
    /// The highest view for which it sent a VIEW-CHANGE.
    left_for: View,
    /// Views up to here were led before the last restart: nothing new may be proposed in them.
    barred: Option<View>,
}

impl Speech {
    /// The validator restarted; `led` is what its journal says of views led.
    pub(super) fn restarted(&mut self, led: Option<View>) {
        self.barred = led;
    }

    /// The highest view for which it sent a VIEW-CHANGE.
    pub(super) fn left_for(&self) -> View {
        self.left_for
    }
}

impl Court {
    /// Checks a message that a correct acceptor is about to send in this epoch.
    pub(super) fn judge_speech(&mut self, chain: &Chain, from: ValidatorId, message: &Message) -> Verdict {
        match message {
            Message::Proposal(proposal) => self.judge_proposal(from, &proposal.signed),
            Message::Prepare(prepare) => self.judge_prepare(chain, from, prepare),
            Message::Commit(commit) => self.judge_commit(chain, from, commit),
            Message::ViewChange(change) => self.judge_view_change(from, change),
            Message::NewView(new_view) => self.judge_new_view(from, new_view),
            Message::Seal(seal) => self.judge_seal(chain, from, seal),
            Message::Status(status) => self.judge_status(from, status),
            Message::Data(data) => self.judge_data(chain, from, data),
            Message::Announcement(announcement) => self.judge_proposal(from, &announcement.signed),
            Message::Body(body) => self.judge_claims(from, &[body.digest()]),
            Message::BodiesHeld(held) => self.judge_claims(from, &held.bodies),
            Message::Fetch(_) | Message::Transactions(_) => Ok(()),
        }
    }

    fn watch(&self, id: ValidatorId) -> &Watch {
        &self.watches[id.index()]
    }

    fn judge_proposal(&mut self, from: ValidatorId, signed: &Signed<PrePrepare>) -> Verdict {
        let body = &signed.body;
        let watch = self.watch(from);
        // Relays of other leaders' proposals are legal; a bad proposer's own are not judged.
        if self.certificates.machine_of(signed.signer) != from || !watch.proposer_is_correct {
            return Ok(());
        }
        let led = watch.history.led();
        demand(led >= Some(body.view), "J7 before the first PRE-PREPARE", from, || {
            format!("{body:?}, led {led:?} is durable")
        })?;
        demand(self.certificates.leader(body.view.0) == signed.signer, "leader of the view", from, || {
            format!("{body:?}")
        })?;
        demand(self.certificates.is_signed(signed), "signature", from, || format!("{body:?}"))?;
        let known = watch.speech.proposals.get(&(body.view, body.slot)).copied();
        demand(known.is_none_or(|known| known == body.digest), "E1 one PRE-PREPARE a slot", from, || {
            format!("{body:?} after {known:?}")
        })?;
        let barred = watch.speech.barred;
        demand(known.is_some() || barred < Some(body.view), "J7 no proposal after a restart", from, || {
            format!("{body:?}, barred up to view {barred:?}")
        })?;
        self.watches[from.index()].speech.proposals.insert((body.view, body.slot), body.digest);
        Ok(())
    }

    /// Who sends a body, or says that it holds some, has them in its journal.
    fn judge_claims(&self, from: ValidatorId, bodies: &[Digest]) -> Verdict {
        let history = &self.watch(from).history;
        let missing = bodies.iter().find(|body| !history.holds_body(body));
        demand(missing.is_none(), "a body is durable before it is spoken of", from, || format!("{missing:?}"))
    }

    fn judge_prepare(&mut self, chain: &Chain, from: ValidatorId, message: &PrepareMessage) -> Verdict {
        let ballot = message.signed.body.0;
        if message.signed.signer != from {
            return self.judge_relay(from, &message.signed);
        }
        let watch = self.watch(from);
        if let Some(known) = watch.speech.prepares.get(&(ballot.slot, ballot.view)) {
            return demand(*known == ballot, "I1 one PREPARE a view and slot", from, || {
                format!("{known:?} and {ballot:?} were sent")
            });
        }
        demand(self.certificates.is_signed(&message.signed), "I11 signed by the acceptor", from, || {
            format!("{ballot:?}")
        })?;
        demand(
            watch.history.vote(ballot.slot, ballot.view) == Some(&ballot),
            "J3 durable before PREPARE",
            from,
            || format!("{ballot:?}, durable is {:?}", watch.history.vote(ballot.slot, ballot.view)),
        )?;
        self.judge_view_of_vote(from, &ballot)?;
        let below = self.judge_chain(chain, from, &ballot, |watch, slot| {
            let speech = watch.speech.prepares.get(&(slot, ballot.view));
            speech.or_else(|| watch.history.vote(slot, ballot.view)).copied()
        })?;
        self.judge_justification(from, &ballot, below, &message.justification)?;
        self.ballots.link(ballot, below);
        self.watches[from.index()].speech.prepares.insert((ballot.slot, ballot.view), ballot);
        Ok(())
    }

    fn judge_commit(&mut self, chain: &Chain, from: ValidatorId, commit: &Signed<Commit>) -> Verdict {
        let ballot = commit.body.0;
        if commit.signer != from {
            return self.judge_relay(from, commit);
        }
        demand(self.trust == Trust::Bft, "no COMMIT where FAST decides", from, || format!("{ballot:?}"))?;
        let watch = self.watch(from);
        if let Some(known) = watch.speech.commits.get(&(ballot.slot, ballot.view)) {
            return demand(*known == ballot, "one COMMIT a view and slot", from, || {
                format!("{known:?} and {ballot:?} were sent")
            });
        }
        demand(self.certificates.is_signed(commit), "I11 signed by the acceptor", from, || {
            format!("{ballot:?}")
        })?;
        demand(
            watch.history.prepared(ballot.slot, ballot.view) == Some(&ballot),
            "I5/J4 certificate durable before COMMIT",
            from,
            || format!("{ballot:?}, durable is {:?}", watch.history.prepared(ballot.slot, ballot.view)),
        )?;
        demand(
            !watch.history.is_late(ballot.slot, ballot.view),
            "I5 COMMIT while in its view",
            from,
            || format!("{ballot:?} on a late certificate"),
        )?;
        self.judge_view_of_vote(from, &ballot)?;
        self.judge_chain(chain, from, &ballot, |watch, slot| {
            let speech = watch.speech.commits.get(&(slot, ballot.view));
            speech.or_else(|| watch.history.prepared(slot, ballot.view)).copied()
        })?;
        self.watches[from.index()].speech.commits.insert((ballot.slot, ballot.view), ballot);
        Ok(())
    }

    /// I2, I5, J1, J2 and the window, for a vote that is sent for the first time.
    fn judge_view_of_vote(&self, from: ValidatorId, ballot: &Ballot) -> Verdict {
        let watch = self.watch(from);
        let (view, left_for) = (watch.history.view(), watch.speech.left_for);
        demand(ballot.view >= left_for, "I2 no vote below a VIEW-CHANGE", from, || {
            format!("{ballot:?} after VIEW-CHANGE({left_for})")
        })?;
        // The next view may be durable already: records are appended ahead of what waits for an earlier sync.
        demand(ballot.view <= view, "J1 the vote's view is durable", from, || {
            format!("{ballot:?}, durable view is {view}")
        })?;
        let entered = ballot.view == View(0) || watch.history.entered(ballot.view).is_some();
        demand(entered, "J2 NEW-VIEW durable before a vote", from, || format!("{ballot:?}"))?;
        let top = watch.history.stable().0.plus(self.params.window);
        demand(ballot.slot <= top, "votes inside the window", from, || format!("{ballot:?}, top is {top}"))?;
        // Whoever votes beyond g+L holds a checkpoint above g: so the end is known to the oracle before anybody gets there.
        demand(self.end.is_none_or(|end| ballot.slot <= end), "votes inside the epoch", from, || {
            format!("{ballot:?}, the epoch ends with slot {:?}", self.end)
        })
    }

    /// I7: slot order within the view, and a prefix that agrees with what the signer knows to be final.
    ///
    /// **Returns** c(s-1).
    fn judge_chain(
        &self,
        chain: &Chain,
        from: ValidatorId,
        ballot: &Ballot,
        vote_below: impl Fn(&Watch, Slot) -> Option<Ballot>,
    ) -> Result<Digest, super::Violation> {
        let watch = self.watch(from);
        let (stable, stable_prefix) = watch.history.stable();
        let below_slot = ballot.slot.previous();
        let below = vote_below(watch, below_slot).map(|vote| vote.prefix);
        let below = below.or_else(|| (below_slot == stable).then_some(stable_prefix));
        // A vote journaled before the checkpoint rose may still be on its way out.
        let below = below.or_else(|| (below_slot < stable).then(|| chain.prefix(below_slot)));
        let Some(below) = below else {
            let detail = format!("{ballot:?} without a vote for slot {below_slot}; checkpoint is {stable}");
            return Err(super::Violation { rule: "I7 slot order", validator: Some(from), detail });
        };
        let expected = prefix_digest(&below, ballot.slot, &ballot.digest);
        demand(ballot.prefix == expected, "I7 prefix of a vote", from, || {
            format!("{ballot:?}, expected prefix {expected}")
        })?;
        let known = if ballot.slot <= watch.executed { self.ballots.final_prefix(ballot.slot) } else { None };
        demand(
            known.is_none_or(|known| known == ballot.prefix),
            "I7 agrees with what is final",
            from,
            || format!("{ballot:?}, final is {known:?}"),
        )?;
        Ok(below)
    }

    /// I3: what made a PREPARE legal. `below` is c(s-1) of the voter's own log.
    fn judge_justification(
        &self,
        from: ValidatorId,
        ballot: &Ballot,
        below: Digest,
        why: &Justification,
    ) -> Verdict {
        let rule = "I3 the vote's justification";
        let watch = self.watch(from);
        let entered = watch.history.entered(ballot.view);
        let top = entered.map_or(self.base.0, |entered| entered.choice.top);
        if ballot.slot > top {
            demand(ballot.slot.0 - top.0 <= self.params.term, "term limit", from, || {
                format!("{ballot:?}, fresh slots begin above {top}")
            })?;
            let Justification::Proposal(proposal) = why else {
                return demand(false, rule, from, || format!("{ballot:?}: slot is free, {why:?}"));
            };
            demand(proposal.parent == below, "5.2 the proposal's parent is the own log", from, || {
                format!("{ballot:?}: parent {}, own log {below}", proposal.parent)
            })?;
            let Ballot { view, slot, digest, .. } = *ballot;
            let body = PrePrepare { view, slot, parent: below, digest };
            let leader = self.certificates.leader(view.0);
            let signed = self.certificates.signature(leader, &body, &proposal.signature);
            return demand(signed, rule, from, || format!("{ballot:?}: no PRE-PREPARE of {leader}"));
        }
        let forced = entered.and_then(|entered| entered.choice.forced.get(&ballot.slot));
        demand(forced == Some(&ballot.digest), rule, from, || format!("{ballot:?}: forced is {forced:?}"))?;
        let named = entered.map(|entered| Justification::NewView(entered.hash));
        demand(named.as_ref() == Some(why), rule, from, || format!("{ballot:?}: {why:?}"))
    }

    /// I6 and J5.
    fn judge_view_change(&mut self, from: ValidatorId, change: &Signed<ViewChange>) -> Verdict {
        if change.signer != from {
            return self.judge_relay(from, change);
        }
        let watch = self.watch(from);
        let view = change.body.view;
        let known = watch.history.view_change(view);
        demand(
            known == Some(mix_bytes(0, &change.to_bytes())),
            "J5 durable before VIEW-CHANGE",
            from,
            || format!("VIEW-CHANGE({view})"),
        )?;
        demand(watch.history.view() >= view, "J1 durable before VIEW-CHANGE", from, || {
            format!("VIEW-CHANGE({view}), durable view is {}", watch.history.view())
        })?;
        if watch.speech.left_for >= view {
            return Ok(());
        }
        choice::check_view_change(from, change, &self.certificates, &self.params)?;
        self.judge_reports(from, &change.body)?;
        self.watches[from.index()].speech.left_for = view;
        Ok(())
    }

    fn judge_reports(&self, from: ValidatorId, change: &ViewChange) -> Verdict {
        let watch = self.watch(from);
        let stable = change.stable.as_ref().map_or(self.base.0, |stable| stable.header.slot);
        let reports: BTreeMap<Slot, &SlotReport> =
            change.reports.iter().map(|report| (report.slot, report)).collect();
        let above = (stable.next(), View(0));
        let mut slots: Vec<Slot> = reports.keys().copied().collect();
        slots.extend(watch.speech.prepares.range(above..).map(|((slot, _), _)| *slot));
        slots.extend(watch.speech.commits.range(above..).map(|((slot, _), _)| *slot));
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            let report = reports.get(&slot);
            let told = report.and_then(|report| report.last_vote).map(|vote| (vote.view, vote.digest));
            let durable = watch.history.last_vote_below(slot, change.view);
            let durable = durable.map(|ballot| (ballot.view, ballot.digest));
            demand(told == durable, "I6 the highest vote is reported", from, || {
                format!("slot {slot}: reports {told:?}, journal has {durable:?}")
            })?;
            let committed = watch.speech.commits.range((slot, View(0))..(slot, change.view)).next_back();
            let committed = committed.map(|((_, view), _)| *view);
            let told = report.and_then(|report| report.prepared.as_ref()).map(|found| found.body.0.view);
            demand(told >= committed, "I6 the highest certificate is reported", from, || {
                format!("slot {slot}: reports view {told:?}, committed in view {committed:?}")
            })?;
        }
        Ok(())
    }

    fn judge_new_view(&mut self, from: ValidatorId, new_view: &Signed<NewView>) -> Verdict {
        let watch = self.watch(from);
        if self.certificates.machine_of(new_view.signer) != from || !watch.proposer_is_correct {
            return Ok(());
        }
        let view = new_view.body.view;
        let hash = mix_bytes(0, &new_view.to_bytes());
        if let Some(known) = watch.speech.new_views.get(&view) {
            return demand(*known == hash, "E1 one NEW-VIEW a view", from, || format!("view {view}"));
        }
        choice::check(from, new_view, &self.certificates, &self.params)?;
        self.watches[from.index()].speech.new_views.insert(view, hash);
        Ok(())
    }

    /// I9 and J8.
    fn judge_seal(&mut self, chain: &Chain, from: ValidatorId, seal: &Signed<Seal>) -> Verdict {
        if seal.signer != from {
            return self.judge_relay(from, seal);
        }
        let watch = self.watch(from);
        let Seal { slot, header } = seal.body;
        if let Some(known) = watch.speech.seals.get(&slot) {
            return demand(*known == header, "E5 one SEAL a slot", from, || format!("{known} and {header}"));
        }
        demand(slot <= watch.executed, "J8 executed before SEAL", from, || {
            format!("seals {slot}, executed {}", watch.executed)
        })?;
        let executed = watch.skipped.is_none_or(|(above, base)| slot <= above || slot > base);
        demand(executed, "J8 executed before SEAL", from, || {
            format!("seals {slot}, of which it fetched the state")
        })?;
        demand(chain.hash(slot) == header, "SEAL of the executed header", from, || {
            format!("slot {slot}: {header}, executed {}", chain.hash(slot))
        })?;
        demand(self.certificates.is_signed(seal), "I11 signed by the acceptor", from, || {
            format!("{seal:?}")
        })?;
        self.ballots.demand_final(from, slot, &chain.prefix(slot), "I9 SEAL only after finality")?;
        self.watches[from.index()].speech.seals.insert(slot, header);
        Ok(())
    }

    fn judge_status(&self, from: ValidatorId, status: &Status) -> Verdict {
        let watch = self.watch(from);
        let honest = status.stable <= watch.history.stable().0
            && status.last_executed <= watch.executed
            && status.last_final <= self.ballots.final_tip();
        demand(honest, "STATUS tells what is", from, || {
            format!("{status:?}, executed {}, final {}", watch.executed, self.ballots.final_tip())
        })
    }

    /// What holds for whoever knows the validators of this epoch: the caller has found the epoch that a proof is of.
    pub(super) fn judge_data(&self, chain: &Chain, from: ValidatorId, data: &Data) -> Verdict {
        match data {
            Data::Payload(payload) => {
                demand(payload.is_consistent(), "DATA holds", from, || format!("{:?}", payload.value))
            }
            Data::Block(block) => {
                let header = block.block.header.hash();
                demand(block.certificate.body.header == header, "DATA holds", from, || {
                    format!("block {header}")
                })?;
                self.certificates.seals(from, &block.certificate, self.thresholds.faults + 1)
            }
            Data::Commit(certificate) => self.certificates.commits(from, certificate),
            Data::Stable(stable) => self.certificates.stable(from, stable, self.params.checkpoint_interval),
            Data::Chunk(chunk) => chain.judge_chunk(from, chunk),
            Data::Snapshot(_) | Data::HighestVotes(_) => Ok(()),
        }
    }

    /// Somebody else's signed word, passed on.
    fn judge_relay<B: SignedBody>(&self, from: ValidatorId, signed: &Signed<B>) -> Verdict {
        demand(self.certificates.is_signed(signed), "relays are signed", from, || {
            format!("a message of {} without its signature", signed.signer)
        })
    }
}
