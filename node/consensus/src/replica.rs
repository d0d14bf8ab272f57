//! `Replica`: the state of one validator, and the only `match` on [`Input`].
//!
//! The rules stand in the modules beside this one, each an `impl Replica`: `normal` (sections 5 and 6), `proposer` (section 1), `final_`
//! order and execution in `commit_rules`, execution before that in `tentative` (section 11), `checkpoint` (section 11), `view_change`
//! (section 7), `catch_up`, `state_transfer`,
//! `delivery` (section 10), `guard` and `recovery` (section 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::Header;
use carat_types::message::{HighestVotes, Message, NewView, Signed, StableCheckpoint, Status, ViewChange};
use carat_types::validators::{Authenticator, ValidatorSet};
use carat_types::{Digest, LeafRule, Quorum, Slot, ValidatorId, View};

use crate::bodies::Bodies;
use crate::catch_up::CatchUp;
use crate::checkpoint::SealBook;
use crate::chunks::FetchStates;
use crate::commit_rules::{Certified, InFlight};
use crate::doubt::Doubt;
use crate::effect::{Effect, Halt, Report, Trigger};
use crate::guard::Guard;
use crate::input::{Input, Now, VerifiedMessage};
use crate::log::Log;
use crate::payloads::Payloads;
use crate::pending::Pending;
use crate::performance::Performance;
use crate::pick::Forced;
use crate::rejection::Rejection;
use crate::signer::Signer;
use crate::state_transfer::StateTransfer;
use crate::statement::Asked;
use crate::tentative::Overlay;
use crate::timer::Timer;
use crate::turns::Turns;
use crate::verify::Checked;

/// States an invariant of section 8. A broken one is a bug of this program, never a peer's doing: the process
/// stops before it can break a promise.
macro_rules! invariant {
    ($id:literal, $condition:expr, $($what:tt)+) => {
        assert!($condition, "invariant {} broken: {}", $id, format_args!($($what)+))
    };
}
pub(crate) use invariant;

/// Who a replica is, and the rules that it plays by.
pub struct Config {
    /// The own number among the processes of the network: that of a validator, or behind those one of an edge proposer.
    pub me: ValidatorId,
    /// All validators, and who orders for them.
    pub validators: ValidatorSet,
    /// The constants of the genesis file.
    pub params: ConsensusConstants,
    /// Which faults of acceptors the network is run to survive: whether FAST decides.
    pub trust: Trust,
    /// Signs with the own keys.
    pub signer: Box<dyn Signer + Send>,
    /// Checks the signatures inside messages.
    pub authenticator: Arc<dyn Authenticator>,
    /// Header of block 0.
    pub genesis_header: Header,
    /// How the epoch before ended; none in epoch 0. Its certificate is by the validators of that epoch, and was checked.
    pub base: Option<Arc<StableCheckpoint>>,
    /// When a state is fetched instead of blocks.
    pub fetches_states: FetchStates,
    /// How the leaves of a state are hashed.
    pub leaves: LeafRule,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("me", &self.me).field("params", &self.params).finish_non_exhaustive()
    }
}

/// Where the replica stands in its view.
#[derive(Debug, Default)]
pub(crate) struct Position {
    pub(crate) view: View,
    /// The one to leave it for, if that is not the very next.
    pub(crate) next: Option<View>,
    /// Whether the view's NEW-VIEW was accepted (or the view is 0).
    pub(crate) active: bool,
    pub(crate) entered_us: u64,
    /// Whether it may be the own lines that keep the view from going on.
    pub(crate) doubt: Doubt,
    /// Whether a quorum has left the views below.
    pub(crate) joined: bool,
    /// Whether a quorum has asked for this very view, so that its leader could begin it.
    pub(crate) could_lead: bool,
    pub(crate) new_view: Option<Arc<Signed<NewView>>>,
    pub(crate) new_view_hash: Digest,
    /// O of section 7.3, above the stable checkpoint.
    pub(crate) forced: BTreeMap<Slot, Forced>,
    /// The last forced slot of the view; fresh proposals are above it.
    pub(crate) s_max: Slot,
    /// Voted in this view for every slot in (h, voted] ...
    pub(crate) voted: Slot,
    /// ... and this is c(voted).
    pub(crate) voted_prefix: Digest,
    /// Sent COMMIT in this view for every slot in (h, committed].
    pub(crate) committed: Slot,
    /// A final value contradicts the own votes of this view: no more votes in it (I7).
    pub(crate) blocked: bool,
    /// When this leader proposed last in this view.
    pub(crate) proposed_us: Option<u64>,
    /// When the timer for the next proposal runs out, while it runs.
    pub(crate) propose_at_us: u64,
    /// How many transactions the last proposal held.
    pub(crate) proposed_count: usize,
}

/// How far the log is final, executed and sealed.
#[derive(Debug)]
pub(crate) struct Chain {
    /// h.
    pub(crate) stable: Slot,
    /// c(h).
    pub(crate) stable_prefix: Digest,
    pub(crate) checkpoint: Option<Arc<StableCheckpoint>>,
    /// The last slot below which everything is final and known here.
    pub(crate) last_final: Slot,
    pub(crate) final_prefix: Digest,
    pub(crate) final_us: u64,
    /// Until then nobody is blamed for the lack of progress here: this replica was behind.
    pub(crate) excused_us: u64,
    /// Final by a certificate, above the last final slot: waiting for the slots between.
    pub(crate) certified: BTreeMap<Slot, Certified>,
    /// The last slot handed to execution.
    pub(crate) dispatched: Slot,
    /// c(dispatched).
    pub(crate) dispatched_prefix: Digest,
    pub(crate) in_flight: BTreeMap<Slot, InFlight>,
    /// The last slot executed and written.
    pub(crate) executed: Slot,
    /// Records up to here are gone from the journal.
    pub(crate) compacted: Slot,
}

/// What is known of another validator.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) status: Status,
    /// Whether that was a window behind when it came.
    pub(crate) is_far_behind: bool,
    /// When anything came from it last.
    pub(crate) heard_us: Option<u64>,
    pub(crate) answered_us: Option<u64>,
    pub(crate) view_change_us: Option<u64>,
    /// For the validator's own start-up guard.
    pub(crate) highest: Option<Box<HighestVotes>>,
}

/// One validator's consensus state machine. See the crate's documentation for its contract.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: Config,
    pub(crate) quorum: Quorum,
    pub(crate) now: Now,
    pub(crate) out: Vec<Effect>,
    pub(crate) halted: bool,
    /// The epoch has ended here: see [`Effect::EpochEnds`].
    pub(crate) is_over: bool,
    pub(crate) position: Position,
    pub(crate) chain: Chain,
    pub(crate) log: Log,
    pub(crate) payloads: Payloads,
    /// What was executed tentatively.
    pub(crate) overlay: Overlay,
    pub(crate) seals: SealBook,
    pub(crate) pending: Pending,
    pub(crate) bodies: Bodies,
    pub(crate) performance: Performance,
    pub(crate) turns: Turns,
    pub(crate) peers: BTreeMap<ValidatorId, Peer>,
    /// The latest VIEW-CHANGE of each other acceptor.
    pub(crate) view_changes: BTreeMap<ValidatorId, Arc<Signed<ViewChange>>>,
    /// J5: the own VIEW-CHANGE as last sent.
    pub(crate) own_view_change: Option<Arc<Signed<ViewChange>>>,
    /// k of section 10.
    pub(crate) views_without_final: u32,
    /// J7: the highest view that the own proposer may have led.
    pub(crate) led: Option<View>,
    /// J7 as found at the start: the own proposer never proposes in these views again.
    pub(crate) barred_through: Option<View>,
    pub(crate) guard: Option<Guard>,
    pub(crate) catch_up: CatchUp,
    pub(crate) transfer: StateTransfer,
    pub(crate) checked: Checked,
    /// Validators against whom evidence was kept, with its code.
    pub(crate) convicted: BTreeSet<(ValidatorId, &'static str)>,
    /// Whether evidence of a contradicted FAST was kept.
    pub(crate) contradicted: bool,
    pub(crate) armed: BTreeSet<Timer>,
    pub(crate) asked: Asked,
}

impl Replica {
    /// Tells the replica what happened.
    ///
    /// **Returns** what to do about it, in order; see [`Effect`] for the five rules. After [`Effect::Halt`] and
    /// [`Effect::EpochEnds`] nothing is ever returned again.
    ///
    /// **Panics** if one of the invariants I1 to I12 is broken: a bug of this program, not reachable by a peer.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        if self.halted || self.is_over {
            return Vec::new();
        }
        self.now = now;
        match input {
            Input::Message { from, message } => {
                let done = self.on_message(from, message);
                self.settle(from, done);
            }
            Input::OtherEpoch { from, epoch, message } => {
                let done = match self.is_peer(from) {
                    true => self.on_other_epoch(from, epoch, message),
                    false => Err(Rejection::Stranger),
                };
                self.settle(from, done);
            }
            Input::Admitted(transaction) => {
                self.pending.admit(transaction, now.monotonic_us);
            }
            Input::Submitted(transaction) => self.on_submitted(transaction),
            Input::Body { from, body } => {
                self.hear(from);
                let done = self.on_body(from, &body);
                self.settle(from, done);
            }
            Input::SpreadBodies(are_spread) => self.bodies.are_spread = are_spread,
            Input::Withdrawn(hashes) => self.pending.withdraw(&hashes, now.monotonic_us),
            Input::Timer(timer) => self.on_timer(timer),
            Input::Executed(executed) => self.on_executed(executed),
            Input::TentativelyExecuted(executed) => self.on_tentatively_executed(executed),
            Input::ChunkKept => self.on_chunk_kept(),
            Input::Installed(header) => self.on_installed(&header),
            Input::Signed(statement, signature) => self.on_signature(*statement, signature),
        }
        self.advance();
        std::mem::take(&mut self.out)
    }

    pub(crate) fn is_peer(&self, from: ValidatorId) -> bool {
        from != self.config.me && self.peers.contains_key(&from)
    }

    fn settle(&mut self, from: ValidatorId, done: Result<(), Rejection>) {
        if let Err(reason) = done {
            self.reject(from, reason);
        }
    }

    pub(crate) fn on_message(
        &mut self,
        from: ValidatorId,
        message: VerifiedMessage,
    ) -> Result<(), Rejection> {
        if !self.is_peer(from) {
            return Err(Rejection::Stranger);
        }
        self.hear(from);
        match message {
            VerifiedMessage::Proposal { signed, payload } => self.on_proposal(signed.into_signed(), payload),
            VerifiedMessage::BadProposal { signed, leader_is_to_blame } => {
                self.on_bad_proposal(signed.signed(), leader_is_to_blame)
            }
            VerifiedMessage::Announcement { signed, batch } => {
                self.on_announcement(signed.into_signed(), batch)
            }
            VerifiedMessage::BodiesHeld(bodies) => {
                self.on_bodies_held(from, &bodies);
                Ok(())
            }
            VerifiedMessage::Prepare { vote, justification } => {
                self.on_prepare(vote.signed(), &justification)
            }
            VerifiedMessage::Commit(vote) => self.on_commit(vote.signed()),
            VerifiedMessage::ViewChange(view_change) => self.on_view_change(&view_change),
            VerifiedMessage::NewView(new_view) => self.on_new_view(&new_view),
            VerifiedMessage::Seal(seal) => self.on_seal(seal.signed()),
            VerifiedMessage::Status(status) => {
                self.on_status(from, status);
                Ok(())
            }
            VerifiedMessage::Fetch(fetch) => {
                self.on_fetch(from, &fetch);
                Ok(())
            }
            VerifiedMessage::Payload(payload) => self.on_payload(payload),
            VerifiedMessage::Block { block, payload } => self.on_block(from, block, payload),
            VerifiedMessage::CommitCertificate(certificate) => self.on_commit_certificate(certificate),
            VerifiedMessage::Stable(checkpoint) => self.on_stable(checkpoint),
            VerifiedMessage::Snapshot(offer) => self.on_offer(from, offer),
            VerifiedMessage::Chunk(chunk) => self.on_chunk(from, chunk),
            VerifiedMessage::HighestVotes(votes) => self.on_highest_votes(from, &votes),
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        self.armed.remove(&timer);
        match timer {
            Timer::Status => self.on_status_timer(),
            Timer::Progress => self.on_progress_timer(),
            Timer::NewView => self.on_new_view_timer(),
            Timer::Idle => self.on_idle_timer(),
            Timer::Performance => self.on_performance_timer(),
            // `advance` looks again at what may be proposed or voted for.
            Timer::Propose | Timer::Recheck => {}
            Timer::Bodies => self.fetch_announced(),
            Timer::Fetch => self.on_fetch_timer(),
        }
    }

    /// Does everything that has become possible, until nothing more is.
    pub(crate) fn advance(&mut self) {
        while !self.halted {
            let moved = self.advance_votes()
                | self.advance_commits()
                | self.advance_tentative()
                | self.advance_final()
                | self.advance_execution()
                | self.end_term()
                | self.spread_bodies()
                | self.propose();
            if !moved {
                break;
            }
        }
        self.end_epoch();
        self.arm_view_timers();
    }

    // What the rules share.

    pub(crate) fn emit(&mut self, effect: Effect) {
        if !self.halted {
            self.out.push(effect);
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.emit(Effect::Report(report));
    }

    pub(crate) fn broadcast(&mut self, message: Message) {
        if self.peers.len() > 1 {
            self.emit(Effect::Broadcast(message));
        }
    }

    pub(crate) fn send(&mut self, to: ValidatorId, message: Message) {
        self.emit(Effect::Send { to, message });
    }

    pub(crate) fn reject(&mut self, from: ValidatorId, reason: Rejection) {
        self.emit(Effect::Reject { from, reason });
    }

    pub(crate) fn halt(&mut self, why: Halt) {
        self.emit(Effect::Halt(why));
        self.halted = true;
    }

    pub(crate) fn misbehaviour(&mut self, validator: ValidatorId, what: &'static str) {
        self.report(Report::Misbehaviour { validator, what });
    }

    /// Sets a timer unless it runs already.
    pub(crate) fn arm(&mut self, timer: Timer, after_us: u64) {
        if self.armed.insert(timer) {
            self.emit(Effect::SetTimer { timer, after_us });
        }
    }

    pub(crate) fn disarm(&mut self, timer: Timer) {
        if self.armed.remove(&timer) {
            self.emit(Effect::CancelTimer(timer));
        }
    }

    /// T(k) = T0 * 2^floor(k/r), at most T_max; r consecutive views hold a correct proposer (section 10).
    pub(crate) fn timeout_us(&self) -> u64 {
        let doublings = self.views_without_final.checked_div(self.views_a_doubling()).unwrap_or(0).min(32);
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let params = &self.config.params;
        millis(params.timeout_ms.saturating_mul(factor).min(params.timeout_max_ms))
    }

    /// r of section 10.
    pub(crate) fn views_a_doubling(&self) -> u32 {
        u32::try_from(self.config.validators.rotation_of_one_correct()).unwrap_or(u32::MAX)
    }

    pub(crate) fn leader_of(&self, view: View) -> ValidatorId {
        self.config.validators.leader(view)
    }

    pub(crate) fn is_checkpoint(&self, slot: Slot) -> bool {
        slot.0.checked_rem(self.config.params.checkpoint_interval) == Some(0)
    }

    /// Whether `slot` is in (h, h+L], and not beyond the end of the epoch.
    pub(crate) fn check_window(&self, slot: Slot) -> Result<(), Rejection> {
        if slot <= self.chain.stable {
            Err(Rejection::OldSlot)
        } else if slot > self.window_end() {
            Err(Rejection::FarSlot)
        } else {
            Ok(())
        }
    }

    fn arm_view_timers(&mut self) {
        if self.halted || self.is_over || !self.position.active || self.guard.is_some() || !self.has_vote() {
            return;
        }
        if let Some(left) = self.progress_left_us() {
            self.arm(Timer::Progress, left);
        }
        let left = self.idle_left_us();
        self.arm(Timer::Idle, left);
        self.arm_performance();
    }

    /// Until the oldest timed transaction has waited long enough under this view (T1).
    fn progress_left_us(&self) -> Option<u64> {
        let since = self.pending.oldest_timed_us()?.max(self.watching_since_us());
        let due = since.saturating_add(self.patience_us()).max(self.chain.excused_us);
        Some(due.saturating_sub(self.now.monotonic_us))
    }

    /// Until nothing was final for HEARTBEAT + T(k) under this view (T7).
    fn idle_left_us(&self) -> u64 {
        let since = self.chain.final_us.max(self.watching_since_us());
        let patience = millis(self.config.params.heartbeat_ms).saturating_add(self.timeout_us());
        let due = since.saturating_add(patience).max(self.chain.excused_us);
        due.saturating_sub(self.now.monotonic_us)
    }

    fn on_progress_timer(&mut self) {
        if self.position.active && self.progress_left_us() == Some(0) && !self.excuse() {
            self.leave_view(Trigger::Waiting);
        }
    }

    fn on_idle_timer(&mut self) {
        if self.position.active && self.idle_left_us() == 0 && !self.excuse() {
            self.leave_view(Trigger::Idle);
        }
    }

    // What the world may ask.

    /// The own number among the processes.
    pub fn me(&self) -> ValidatorId {
        self.config.me
    }

    /// The current view.
    pub fn view(&self) -> View {
        self.position.view
    }

    /// Whether the view's NEW-VIEW was accepted, so that this replica votes in it.
    pub fn is_active(&self) -> bool {
        self.position.active
    }

    /// The highest slot that somebody honest has executed, as far as validators have said: f higher claims may be lies. Of
    /// edge proposers all may lie.
    pub fn honest_peers_at(&self) -> Slot {
        let claims = self.peers.iter().filter(|(id, _)| self.is_acceptor(**id));
        let mut executed: Vec<Slot> = claims.map(|(_, peer)| peer.status.last_executed).collect();
        executed.sort_unstable_by(|a, b| b.cmp(a));
        executed.get(self.quorum.faults()).copied().unwrap_or_default()
    }

    /// Whether the start-up guard still holds back every signature.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Whether the replica stopped for good.
    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// Where the leader of the current view runs: a number among the processes.
    pub fn leader(&self) -> ValidatorId {
        self.config.validators.process_of(self.leader_of(self.position.view))
    }

    /// h: the highest stable checkpoint.
    pub fn stable(&self) -> Slot {
        self.chain.stable
    }

    /// The last slot up to which all is final.
    pub fn last_final(&self) -> Slot {
        self.chain.last_final
    }

    /// The last executed slot.
    pub fn last_executed(&self) -> Slot {
        self.chain.executed
    }

    /// Transactions that are not settled.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Bodies of transactions that are held and in no final slot.
    pub fn bodies_held(&self) -> usize {
        self.bodies.held()
    }

    /// Slots, blocks and payloads held in memory, in all the places that a peer's messages fill. Bounded by a few
    /// windows, whatever peers send.
    pub fn buffered(&self) -> usize {
        let chain = self.chain.certified.len().saturating_add(self.chain.in_flight.len());
        let log = self.log.len().saturating_add(self.seals.blocks.len()).saturating_add(self.bodies.len());
        let fetched = self.catch_up.len().saturating_add(self.transfer.len());
        chain.saturating_add(log).saturating_add(self.payloads.len()).saturating_add(fetched)
    }

    /// What this replica would say in a STATUS now; to be sent at once on every new connection.
    pub fn status(&self) -> Status {
        Status {
            view: self.position.view,
            active: self.position.active,
            stable: self.chain.stable,
            last_final: self.chain.last_final,
            last_executed: self.chain.executed,
            highest_vote: self.position.voted,
            highest_commit: self.position.committed,
        }
    }

    /// The state in one line, for logs and failing simulations.
    pub fn describe(&self) -> String {
        let Position { view, active, voted, committed, s_max, blocked, .. } = &self.position;
        format!(
            "{:?} view {view}{} leader {} h {} executed {} final {} voted {voted} committed {committed} s_max {s_max} \
             k {} pending {} open {}{}{}",
            self.config.me,
            if *active { "" } else { " (passive)" },
            self.leader(),
            self.chain.stable,
            self.chain.executed,
            self.chain.last_final,
            self.views_without_final,
            self.pending.len(),
            self.log.len(),
            if *blocked { " blocked" } else { "" },
            if self.guard.is_some() { " guarded" } else { "" },
        )
    }
}

/// Milliseconds as microseconds.
pub(crate) fn millis(ms: u64) -> u64 {
    ms.saturating_mul(1_000)
}
