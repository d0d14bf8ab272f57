//! Leaving a view and entering the next. **Source**: consensus specification, section 7 and J1, J2, J5.

use std::sync::Arc;

use carat_types::genesis::Trust;
use carat_types::message::{LastVote, Message, NewView, Signed, SlotReport, ViewChange};
use carat_types::validators::Verified;
use carat_types::{ValidatorId, View};

use crate::effect::{Effect, Report, Trigger};
use crate::pick::{Choice, choose};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::replica::{Position, Replica, invariant, millis};
use crate::statement::Statement;
use crate::timer::Timer;

impl Replica {
    // Leaving.

    /// Leaves the present view for the next one, for a reason of its own.
    pub(crate) fn leave_view(&mut self, trigger: Trigger) {
        self.change_view(self.next_view(), trigger);
    }

    /// Leaves every view below `view` for ever and sends VIEW-CHANGE (section 7.2). Before the start-up guard has
    /// passed nothing is signed, so nothing is left either. Without a vote a replica goes where others have gone (T4).
    pub(crate) fn change_view(&mut self, view: View, trigger: Trigger) {
        let may = self.has_vote() || trigger == Trigger::Followed;
        let left = self.position.view;
        if self.halted || self.guard.is_some() || view <= left || !may {
            return;
        }
        self.enter_passively(view, trigger);
        self.views_without_final = self.views_without_final.saturating_add(1);
        // J1 before J5 before the message.
        self.persist_view();
        self.report(Report::ViewChangeStarted { left, view, trigger });
        self.send_view_change();
        self.after_view_changes();
    }

    /// The state of a view whose NEW-VIEW is not known.
    fn enter_passively(&mut self, view: View, trigger: Trigger) {
        self.end_measuring();
        self.drop_tentative();
        let is_next = view == self.next_view();
        self.log.change_view(is_next, self.quorum.quorum());
        self.judge_turn(view, trigger);
        self.pending.release_in_flight();
        self.bodies.renew(self.other_holders());
        self.catch_up.forget_payloads();
        self.position =
            Position { view, active: false, entered_us: self.now.monotonic_us, ..Position::default() };
        self.look_ahead();
        self.reset_cursors();
        for timer in [Timer::Progress, Timer::Idle, Timer::Propose, Timer::NewView] {
            self.disarm(timer);
        }
    }

    fn persist_view(&mut self) {
        let epoch = self.config.validators.domain().epoch;
        self.emit(Effect::Persist(Record::View(epoch, self.position.view)));
    }

    /// J5: builds, journals and sends the VIEW-CHANGE of the current view, or sends again the very bytes.
    pub(crate) fn send_view_change(&mut self) {
        if !self.has_vote() {
            return;
        }
        let view = self.position.view;
        match self.own_view_change.clone().filter(|sent| sent.body.view == view) {
            Some(sent) => self.broadcast(Message::ViewChange(sent)),
            None if self.asked.view_change == Some(view) => {}
            None => {
                self.asked.view_change = Some(view);
                let body = Box::new(self.build_view_change());
                self.say(Statement::ViewChange(body));
            }
        }
    }

    /// I6: for each slot above h, the highest-view vote ever sent and the highest certificate known.
    fn build_view_change(&self) -> ViewChange {
        let top = self.window_end();
        let reports = self
            .log
            .above(self.chain.stable)
            .filter(|(slot, _)| *slot <= top)
            .filter_map(|(slot, state)| {
                let last_vote = state
                    .last_vote
                    .as_ref()
                    .map(|vote| LastVote { view: vote.ballot.view, digest: vote.ballot.digest });
                // Where acceptors only crash, q votes are a chosen value: the votes say it all (section 6).
                let prepared = state.prepared.clone().filter(|_| self.config.trust == Trust::Bft);
                let report = SlotReport { slot, last_vote, prepared };
                (report.last_vote.is_some() || report.prepared.is_some()).then_some(report)
            })
            .collect();
        let stable = self.chain.checkpoint.as_deref().cloned();
        ViewChange { view: self.position.view, stable, reports }
    }

    // Hearing that others leave.

    /// VIEW-CHANGE: only its outer signature was checked; what it holds is checked when it is used.
    pub(crate) fn on_view_change(
        &mut self,
        view_change: &Arc<Verified<ViewChange>>,
    ) -> Result<(), Rejection> {
        let signer = view_change.signer;
        let view = view_change.body.view;
        if signer == self.config.me {
            return Ok(());
        }
        let held = self.view_changes.get(&signer).map(|held| held.body.view);
        if held.is_some_and(|held| held > view) {
            return Err(Rejection::OldView);
        }
        if held == Some(view) {
            // Sent again; STATUS tells what its sender lacks.
            return Ok(());
        }
        self.check_rate(signer)?;
        let signed = Arc::new(view_change.signed().clone());
        self.highest_mut(signer).view_change = Some(Arc::clone(&signed));
        self.compare_view_change(&signed);
        self.view_changes.insert(signer, signed);
        if self.position.active && view == self.position.view {
            // The sender missed the NEW-VIEW of the view that it asks for.
            if let Some(new_view) = self.position.new_view.clone() {
                self.send(signer, Message::NewView(new_view));
            }
        }
        self.after_view_changes();
        Ok(())
    }

    /// Section 7.2: at most one VIEW-CHANGE per sender per T0/4.
    fn check_rate(&mut self, signer: ValidatorId) -> Result<(), Rejection> {
        let now = self.now.monotonic_us;
        let pause = millis(self.config.params.timeout_ms) / 4;
        let peer = self.peers.entry(signer).or_default();
        if peer.view_change_us.is_some_and(|last| now < last.saturating_add(pause)) {
            return Err(Rejection::TooSoon);
        }
        peer.view_change_us = Some(now);
        Ok(())
    }

    /// What the latest VIEW-CHANGEs make possible: follow (T4), lead, or start to wait for the leader (T2).
    pub(crate) fn after_view_changes(&mut self) {
        if let Some(view) = self.view_to_follow().filter(|view| *view > self.position.view) {
            return self.change_view(view, Trigger::Followed);
        }
        if self.position.active || self.guard.is_some() || self.halted {
            return;
        }
        let view = self.position.view;
        // Whoever has gone further has left this view too: were only VIEW-CHANGEs for this very view counted, two
        // validators here and one beyond, with the fourth dead, would wait for each other for ever.
        let others = self.view_changes.values().filter(|held| held.body.view >= view).count();
        let own = usize::from(self.has_vote());
        if others.saturating_add(own) < self.quorum.quorum() {
            return;
        }
        let asking = self.view_changes.values().filter(|held| held.body.view == view).count();
        self.position.could_lead |= asking.saturating_add(own) >= self.quorum.quorum();
        if !self.position.joined {
            self.position.joined = true;
            self.keep_pace();
        }
        if self.leads(view) {
            self.lead(view);
        }
        if !self.position.active && self.has_vote() {
            let patience = self.timeout_us();
            self.arm(Timer::NewView, patience);
        }
    }

    /// Takes over the pace of those who came after it: a quorum is here, and if that took longer than the own T(k), this replica was
    /// too hasty for the others, whose T(k) has grown while it restarted or caught up. Left as it is, it would leave each view alone as
    /// soon as it is entered, and where its vote is needed no view would last (decision record 62).
    fn keep_pace(&mut self) {
        let waited_us = self.now.monotonic_us.saturating_sub(self.position.entered_us);
        let longest_us = millis(self.config.params.timeout_max_ms);
        let times = waited_us.min(longest_us).div_ceil(millis(self.config.params.timeout_ms).max(1));
        let doublings = times.checked_next_power_of_two().map_or(0, u64::ilog2);
        let k = doublings.saturating_mul(self.views_a_doubling());
        self.views_without_final = self.views_without_final.max(k);
    }

    /// T4: the (f+1)-th highest view among the latest VIEW-CHANGEs of the others: one correct acceptor is there. Where
    /// acceptors only crash, the highest: every one of them is correct (section 6, TRUSTCHANGE).
    fn view_to_follow(&self) -> Option<View> {
        let mut views: Vec<View> = self.view_changes.values().map(|held| held.body.view).collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        let liars = match self.config.trust {
            Trust::Bft => self.quorum.faults(),
            Trust::Crash => 0,
        };
        views.get(liars).copied()
    }

    /// T2: q VIEW-CHANGEs were seen, and no acceptable NEW-VIEW came of them.
    pub(crate) fn on_new_view_timer(&mut self) {
        if !self.position.active {
            self.leave_view(Trigger::NoNewView);
        }
    }

    // Leading.

    /// Sends NEW-VIEW if q of the VIEW-CHANGEs at hand are valid (section 7.4).
    fn lead(&mut self, view: View) {
        let is_asked = self.asked.new_view == Some(view);
        if is_asked || self.barred_through.is_some_and(|barred| view <= barred) {
            return;
        }
        let own = self.own_view_change.iter().cloned();
        let mut candidates: Vec<Arc<Signed<ViewChange>>> = self
            .view_changes
            .values()
            .cloned()
            .chain(own)
            .filter(|candidate| candidate.body.view == view)
            .collect();
        candidates.sort_by_key(|candidate| candidate.signer);
        let mut view_changes = Vec::new();
        for candidate in candidates {
            match self.check_view_change(&candidate.body) {
                Ok(()) => view_changes.push(candidate),
                // A liar's VIEW-CHANGE is left out; it may send a valid one later.
                Err(_) => {
                    self.view_changes.remove(&candidate.signer);
                    self.misbehaviour(candidate.signer, "signed an invalid VIEW-CHANGE");
                }
            }
        }
        // I10: exactly q, never more.
        view_changes.truncate(self.quorum.quorum());
        if view_changes.len() < self.quorum.quorum() {
            return;
        }
        self.persist_led(view);
        self.asked.new_view = Some(view);
        self.say(Statement::NewView(Box::new(NewView { view, view_changes })));
    }

    // Entering.

    /// NEW-VIEW (section 7.4).
    pub(crate) fn on_new_view(&mut self, new_view: &Arc<Verified<NewView>>) -> Result<(), Rejection> {
        let view = new_view.body.view;
        if new_view.signer != self.leader_of(view) {
            return Err(Rejection::NotLeader);
        }
        if view < self.position.view || view == View(0) {
            return Err(Rejection::OldView);
        }
        if view == self.position.view && self.position.active {
            let same = self.position.new_view.as_ref().is_some_and(|held| held.body == new_view.body);
            if same {
                return Ok(());
            }
            // T3: two different NEW-VIEWs for one view.
            if let Some(held) = self.position.new_view.clone() {
                self.convict_of_new_views(&held, new_view.signed());
            }
            self.accuse_leader(view, "signed two NEW-VIEWs for one view");
            return Err(Rejection::Conflict);
        }
        if let Err(reason) = self.check_new_view(&new_view.body) {
            // T3: a signed invalid one.
            self.accuse_leader(view, "signed an invalid NEW-VIEW");
            return Err(reason);
        }
        self.enter(Arc::new(new_view.signed().clone()));
        Ok(())
    }

    /// Enters a view by its NEW-VIEW, which was checked.
    pub(crate) fn enter(&mut self, new_view: Arc<Signed<NewView>>) {
        let view = new_view.body.view;
        invariant!("I10", new_view.body.view_changes.len() == self.quorum.quorum(), "NEW-VIEW({view})");
        let choice = choose(&new_view.body.view_changes, self.quorum, self.base().slot);
        if view > self.position.view {
            self.enter_passively(view, Trigger::Followed);
        }
        new_view.body.view_changes.iter().for_each(|view_change| self.compare_view_change(view_change));
        self.compare_choice(&new_view, &choice);
        // J1 and J2 before any vote in the view.
        self.persist_view();
        self.emit(Effect::Persist(Record::NewView(Arc::clone(&new_view))));
        self.emit(Effect::ArchiveNewView(Arc::clone(&new_view)));
        let forced = self.take_choice(new_view, choice);
        self.disarm(Timer::NewView);
        self.report(Report::ViewEntered { view, forced });
    }

    /// Makes the view's choice the current one; also when it is read back from the journal.
    ///
    /// **Returns** the number of slots still to be voted for by force.
    pub(crate) fn take_choice(&mut self, new_view: Arc<Signed<NewView>>, choice: Choice) -> u64 {
        let Choice { stable, forced, s_max } = choice;
        // Before h is raised: a journal begun anew must carry it (J2).
        self.position.new_view_hash = new_view.body.hash();
        self.position.new_view = Some(new_view);
        if let Some(stable) = stable.filter(|stable| stable.header.slot > self.chain.stable) {
            self.raise_stable(Arc::new(stable));
        }
        self.position.active = true;
        self.position.entered_us = self.now.monotonic_us;
        self.position.s_max = s_max;
        self.position.forced = forced;
        // Slots up to h are final and skipped.
        self.position.forced = self.position.forced.split_off(&self.chain.stable.next());
        self.begin_measuring();
        self.want_forced_payloads();
        u64::try_from(self.position.forced.len()).unwrap_or(u64::MAX)
    }

    /// Asks for the first missing payloads ahead, so that a long row of them does not cost a round trip each.
    fn want_forced_payloads(&mut self) {
        const AHEAD: usize = 16;
        let missing: Vec<_> = self
            .position
            .forced
            .iter()
            .filter(|(slot, forced)| {
                forced.digest != carat_types::batch::null_digest()
                    && self.payloads.get(&forced.digest).is_none()
                    && self.log.get(**slot).is_none_or(|state| !state.journaled.contains(&forced.digest))
            })
            .take(AHEAD)
            .map(|(slot, forced)| (*slot, *forced))
            .collect();
        for (slot, forced) in missing {
            self.want_payload(slot, forced.digest, forced.holders);
        }
    }

    /// Nothing is voted for in a view before its first slot above h.
    pub(crate) fn reset_cursors(&mut self) {
        self.position.voted = self.chain.stable;
        self.position.voted_prefix = self.chain.stable_prefix;
        self.position.committed = self.chain.stable;
    }
}
