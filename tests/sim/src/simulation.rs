//! One run: validators, clients, network and disks under one virtual clock, with the oracle looking on.
//!
//! An event is one input delivered to a replica. Time stands still while a replica handles it; what it asks for
//! comes back later as another event. Reading order: here (the loop and the inputs), `perform` (the effects: what
//! a node's shell does), `tentative` (execution), `transfer` (states), `epochs` (from one set of validators to the next), `faults` (crashes, partitions, the end phase).

mod epochs;
mod faults;
mod perform;
mod tentative;
mod transfer;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::{Effect, Input, Now, PendingTransaction, Replica, SpreadBody, Statement, Timer};
use carat_types::batch::{Body, Envelope};
use carat_types::validators::Authenticator;
use carat_types::{Signature, Slot, ValidatorId};

use crate::adversary::{Adversary, Identity};
use crate::clients::{Client, Setting};
use crate::crypto;
use crate::disk::Disk;
use crate::epochs::Era;
use crate::ledger::{self, GENESIS_TIME_MS, Ledger, Rules};
use crate::mix::mix;
use crate::network::Network;
use crate::oracle::{HeardVote, Oracle, Standpoint, Verdict, Violation};
use crate::outbox::{Outbox, Position};
use crate::packet::{Packet, Reading};
use crate::plan::{MS, Plan, SECOND};
use crate::planted::{Planted, Speaker};
use crate::pool::Pool;
use crate::rng::Rng;
use crate::trace::{Line, Trace, Wanted};
use crate::witness::Witness;

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Inputs delivered to replicas.
    pub events: u64,
    /// Hash of the whole trace: equal for equal seeds.
    pub trace_hash: u64,
    /// Final slots.
    pub slots: u64,
    /// Epochs that ended.
    pub epochs: u64,
    /// Highest view reached.
    pub views: u64,
    /// Acknowledged transactions.
    pub acknowledged: usize,
    /// Crashes.
    pub crashes: u64,
    /// States that were fetched whole.
    pub transfers: u64,
    /// Virtual time from the end of the faults until everything was in order. **Units**: milliseconds.
    pub recovery_ms: u64,
    /// Codes of the evidence that correct validators kept.
    pub evidence: BTreeSet<&'static str>,
    /// Slots that clients were told of by TREPLY before they were final anywhere.
    pub told_early: usize,
    /// The broken rule, if one was.
    pub violation: Option<Violation>,
    /// What the run left for the properties, if it was observed.
    pub witness: Option<Witness>,
    /// The trace, if it was wanted.
    pub lines: Vec<Line>,
}

/// One run.
pub struct Simulation {
    plan: Plan,
    planted: Option<Planted>,
    /// Whether a rule that the oracle finds broken ends the run.
    strict: bool,
    /// Takes down what the papers' properties speak of, where it is wanted.
    witness: Option<Witness>,
    rng: Rng,
    now: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    /// Who validates in each epoch.
    eras: Vec<Era>,
    /// When the next change of validators may be proposed.
    governs_at: u64,
    authenticator: Arc<dyn Authenticator>,
    rules: Rules,
    genesis: Ledger,
    network: Network,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    oracle: Oracle,
    trace: Trace,
    end: Option<faults::EndPhase>,
    finished: bool,
    evidence: BTreeSet<&'static str>,
    events: u64,
    crashes: u64,
    transfers: u64,
    views: u64,
}

/// One validator: a machine, and what runs on it.
#[derive(Debug)]
struct Node {
    id: ValidatorId,
    /// The epoch of its journal.
    epoch: usize,
    adversary: Option<Adversary>,
    /// What its wall clock is off by. **Units**: milliseconds.
    skew_ms: i64,
    disk: Disk,
    /// Counts restarts, so that what was meant for an earlier process finds nobody.
    incarnation: u32,
    process: Option<Process>,
    /// Never started again: halted, or dead in the end phase.
    gone: bool,
}

/// What a crash takes away.
#[derive(Debug)]
struct Process {
    /// None while it is in no epoch: it has not come yet, or has gone.
    replica: Option<Replica>,
    /// When it showed a peer how epochs ended.
    showed: BTreeMap<ValidatorId, u64>,
    started_at: u64,
    outbox: Outbox,
    ledger: Ledger,
    pool: Pool,
    /// Number of the latest request for each timer that runs.
    timers: BTreeMap<Timer, u64>,
    executions: VecDeque<tentative::Job>,
    /// Above the ledger, in order.
    overlays: VecDeque<tentative::Overlay>,
    /// States for validators that are far behind.
    snapshots: Vec<transfer::Snapshot>,
    journal_syncing: bool,
    blocks_syncing: bool,
    /// When the signer, which is a process of its own, has answered all that it was asked.
    signed_until: u64,
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    number: u64,
    event: Event,
}

#[derive(Debug)]
enum Event {
    Deliver { from: ValidatorId, to: ValidatorId, packet: Rc<Packet> },
    Submit { to: ValidatorId, envelope: Envelope },
    Process { at: ValidatorId, incarnation: u32, what: Happening },
    Restart(ValidatorId),
    Client(usize),
    Crash,
    PartitionBegins,
    PartitionEnds,
    Clog,
    ClocksJump,
    Exile,
    LastStraw,
    DiskRots,
    StoreLost,
    Govern,
    FaultsEnd,
    Inspect,
}

/// What happens to one process; nothing, if it is no more.
#[derive(Debug)]
enum Happening {
    Timer { timer: Timer, number: u64 },
    JournalSynced(Position),
    JournalCompacted { stable: Slot, carry: Vec<carat_consensus::Record> },
    BlocksSynced(Slot),
    ExecutionDone,
    ChunkKept,
    StateInstalled,
    Signed(Box<Statement>, Signature),
    JournalRotated(usize),
    AskHandovers,
    HandoversBrought(Slot),
}

impl Simulation {
    /// Events in which every sound run ends; hundreds of times the usual number.
    const EVENTS_MAX: u64 = 5_000_000;

    /// Virtual time between two looks at the progress of the end phase.
    const INSPECT_EVERY: u64 = 100 * MS;

    /// The run of a plan, with an error planted in it or none.
    pub fn new(plan: Plan, planted: Option<Planted>, wanted: Wanted) -> Self {
        let chain_id = ledger::chain_id(plan.seed);
        let eras = plan.eras(chain_id);
        let authenticator = crypto::authenticator(plan.scheme);
        let mut rng = Rng::new(plan.seed);
        let rules = Rules::new(plan.ledger, plan.seed, plan.clients.count, plan.params.block);
        let genesis = rules.governed_genesis(&eras);
        let oracle = Oracle::new(&plan, &eras, authenticator.clone(), genesis.header());
        let nodes = (0..plan.machines()).map(ValidatorId).map(|id| {
            let behaviour = plan.behaviour(id);
            let adversary =
                behaviour.map(|behaviour| Adversary::new(behaviour, Identity::of(id, &eras[..1])));
            let skew = i64::try_from(rng.below(2 * plan.process.skew_ms + 1)).unwrap_or(0);
            let skew_ms = skew - i64::try_from(plan.process.skew_ms).unwrap_or(0);
            let disk = Disk::default();
            Node { id, epoch: 0, adversary, skew_ms, disk, incarnation: 0, process: None, gone: false }
        });
        let nodes = nodes.collect();
        Simulation {
            network: Network::new(plan.network, plan.machines(), plan.seed, plan.params.timeout_ms * MS),
            clients: (0..plan.clients.count).map(Client::new).collect(),
            plan,
            planted,
            strict: true,
            witness: None,
            rng,
            now: 0,
            queue: BinaryHeap::new(),
            scheduled: 0,
            eras,
            governs_at: 0,
            authenticator,
            rules,
            genesis,
            nodes,
            oracle,
            trace: Trace::new(wanted),
            end: None,
            finished: false,
            evidence: BTreeSet::new(),
            events: 0,
            crashes: 0,
            transfers: 0,
            views: 0,
        }
    }

    /// Takes down what happens, and lets broken rules pass: what comes of them is for the properties to say. The run goes
    /// on for a while after all is in order.
    #[must_use]
    pub fn observed(mut self) -> Self {
        self.strict = false;
        self.witness = Some(Witness::new(&self.plan));
        self
    }

    /// Runs to the end, or to the first broken rule.
    pub fn run(mut self) -> Outcome {
        // The core states its own invariants as assertions: a panic is a broken rule.
        let ended = catch_unwind(AssertUnwindSafe(|| self.run_to_end()));
        let violation = ended.unwrap_or_else(|panic| Err(Violation::of_panic(&*panic))).err();
        if let Some(violation) = &violation {
            self.trace.note(self.now, violation.validator, || {
                format!("VIOLATION of {}: {}", violation.rule, violation.detail)
            });
        }
        Outcome {
            events: self.events,
            trace_hash: self.trace.hash(),
            slots: self.oracle.final_tip().0,
            epochs: u64::from(self.oracle.tip().epoch.0),
            views: self.views,
            acknowledged: self.oracle.acknowledged(),
            crashes: self.crashes,
            transfers: self.transfers,
            recovery_ms: self.end.as_ref().map_or(0, |end| (self.now - end.began_at) / MS),
            told_early: self.told_early(),
            evidence: self.evidence,
            violation,
            witness: self.witness,
            lines: self.trace.into_lines(),
        }
    }

    fn run_to_end(&mut self) -> Verdict {
        self.begin()?;
        while !self.finished
            && let Some(Reverse(next)) = self.queue.pop()
        {
            self.now = next.at;
            self.happen(next.event)?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Verdict {
        for index in
            (0..self.nodes.len()).filter(|index| self.eras[0].has(self.nodes[*index].id)).collect::<Vec<_>>()
        {
            self.boot(index)?;
        }
        for client in 0..self.clients.len() {
            self.schedule_soon(self.plan.clients.every, Event::Client(client));
        }
        self.schedule_soon(self.plan.process.crash_every, Event::Crash);
        self.schedule_soon(self.plan.network.partition_every, Event::PartitionBegins);
        self.schedule_soon(self.plan.network.clog_every, Event::Clog);
        self.schedule_soon(self.plan.process.jump_every, Event::ClocksJump);
        if self.plan.latecomer {
            self.schedule(SECOND, Event::Exile);
            self.schedule(self.plan.chaos_us - 5 * SECOND, Event::LastStraw);
        }
        if self.plan.disk_rots {
            self.schedule(self.plan.chaos_us / 2, Event::DiskRots);
        }
        if self.plan.store_lost {
            self.schedule(self.plan.chaos_us / 2, Event::StoreLost);
        }
        self.begin_governing();
        self.schedule(self.plan.chaos_us, Event::FaultsEnd);
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Verdict {
        match event {
            Event::Deliver { from, to, packet } => self.deliver(from, to, &packet),
            Event::Submit { to, envelope } => self.offer(to.index(), &envelope, true),
            Event::Process { at, incarnation, what } => {
                let node = &self.nodes[at.index()];
                let alive = node.incarnation == incarnation && node.process.is_some();
                if alive { self.happen_to_process(at.index(), what) } else { Ok(()) }
            }
            Event::Restart(id) => self.restart(id.index()),
            Event::Client(client) => {
                self.client_acts(client);
                Ok(())
            }
            Event::Crash => self.crash_somebody(),
            Event::PartitionBegins => {
                self.begin_partition();
                Ok(())
            }
            Event::PartitionEnds => {
                self.end_partition();
                Ok(())
            }
            Event::Clog => {
                self.clog_a_link();
                Ok(())
            }
            Event::ClocksJump => {
                self.jump_clocks();
                Ok(())
            }
            Event::Exile => {
                self.exile_somebody();
                Ok(())
            }
            Event::LastStraw => self.lose_the_spare(),
            Event::DiskRots => self.let_a_disk_rot(),
            Event::StoreLost => self.lose_a_store(),
            Event::Govern => {
                self.govern();
                Ok(())
            }
            Event::FaultsEnd => self.end_faults(),
            Event::Inspect => self.inspect(),
        }
    }

    /// Schedules an event `after` microseconds from now.
    fn schedule(&mut self, after: u64, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at: self.now + after, number: self.scheduled, event }));
    }

    /// Schedules an event at a random time with this mean; never, if the mean is 0.
    fn schedule_soon(&mut self, mean: u64, event: Event) {
        if mean > 0 {
            let after = self.rng.between(1, 2 * mean);
            self.schedule(after, event);
        }
    }

    fn deliver(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Verdict {
        let index = to.index();
        if self.nodes[index].process.is_none() {
            return Ok(());
        }
        self.adversary_hears(index, from, &packet.message)?;
        let adversary = self.nodes[index].adversary.as_ref();
        if adversary.is_some_and(|it| !it.hears(&mut self.rng, &packet.message)) {
            return Ok(());
        }
        self.shell_hears(index, from, packet)?;
        if packet.epoch != self.nodes[index].epoch {
            return self.hear_from_other_epoch(index, from, packet);
        }
        match &packet.reading {
            Reading::Refused => Ok(()),
            Reading::Transactions(envelopes) => {
                envelopes.iter().try_for_each(|envelope| self.offer(index, envelope, false))
            }
            Reading::Body(body) => self.hear_body(index, from, body, packet.hash),
            Reading::Core(message) => {
                if self.planted == Some(Planted::Deaf) && packet.message.name() == "NEW-VIEW" {
                    return Ok(());
                }
                self.trace.note(self.now, to, || format!("← v{from} {}", describe(&packet.message)));
                self.input(index, Input::Message { from, message: message.clone() }, packet.hash)
            }
        }
    }

    /// Delivers one input to a replica and performs what it asks for. `fingerprint` stands for the input in the
    /// trace's hash.
    fn input(&mut self, index: usize, input: Input, fingerprint: u64) -> Verdict {
        let now = self.clocks(index);
        let node = &mut self.nodes[index];
        let Some(replica) = node.process.as_mut().and_then(|process| process.replica.as_mut()) else {
            return Ok(());
        };
        self.events += 1;
        self.trace.step(self.now, node.id, fingerprint);
        if self.events > Self::EVENTS_MAX {
            let detail = format!("{} events, and the run is not over", self.events);
            return Err(Violation { rule: "no endless loop", validator: Some(node.id), detail });
        }
        let heard = match &input {
            Input::Message { message, .. } => HeardVote::of(message),
            _ => None,
        };
        let mut effects = replica.handle(now, input);
        if let Some(vote) = heard {
            let refused = effects.iter().any(|effect| matches!(effect, Effect::Reject { .. }));
            let stands = (replica.view(), replica.stable());
            heed(self.strict, self.oracle.heard_vote(node.id, vote, refused, stands))?;
        }
        if let Some(planted) = self.planted {
            let Era { keys, set, .. } = &self.eras[node.epoch];
            let speaker = Speaker { id: node.id, keys: &keys[node.id.index()], set };
            effects = effects.into_iter().flat_map(|effect| planted.mangle(effect, speaker)).collect();
        }
        self.take_effects(index, effects)?;
        self.check_standpoint(index)?;
        self.drain(index)
    }

    /// Hands effects to the outbox; those about timers go at once, in runs that say so.
    fn take_effects(&mut self, index: usize, effects: Vec<Effect>) -> Verdict {
        let is_timer = |effect: &Effect| matches!(effect, Effect::SetTimer { .. } | Effect::CancelTimer(_));
        let at_once = self.plan.process.timers_at_once;
        let (timers, effects) = effects
            .into_iter()
            .filter(|effect| !self.ignores(effect))
            .partition(|effect| at_once && is_timer(effect));
        if let Some(process) = &mut self.nodes[index].process {
            process.outbox.extend(effects);
        }
        Vec::into_iter(timers).try_for_each(|timer| self.perform(index, timer))
    }

    fn happen_to_process(&mut self, index: usize, what: Happening) -> Verdict {
        match what {
            Happening::Timer { timer, number } => {
                let Some(process) = &mut self.nodes[index].process else { return Ok(()) };
                if process.timers.get(&timer) != Some(&number) {
                    return Ok(());
                }
                process.timers.remove(&timer);
                let id = self.nodes[index].id;
                self.trace.note(self.now, id, || format!("timer {timer:?}"));
                self.input(index, Input::Timer(timer), mix(2, number))
            }
            Happening::JournalSynced(upto) => self.journal_synced(index, upto),
            Happening::JournalCompacted { stable, carry } => self.journal_compacted(index, stable, &carry),
            Happening::BlocksSynced(slot) => {
                self.nodes[index].disk.blocks_synced(slot);
                if let Some(process) = &mut self.nodes[index].process {
                    process.blocks_syncing = false;
                }
                self.drain(index)
            }
            Happening::ExecutionDone => self.execution_done(index),
            Happening::ChunkKept => self.chunk_kept(index),
            Happening::StateInstalled => self.state_installed(index),
            Happening::Signed(statement, signature) => {
                self.input(index, Input::Signed(statement, signature), mix(7, self.scheduled))
            }
            Happening::JournalRotated(epoch) => self.journal_rotated(index, epoch),
            Happening::AskHandovers => self.ask_for_handovers(index),
            Happening::HandoversBrought(slot) => self.handovers_brought(index, slot),
        }
    }

    /// A transaction reaches a node; the first node that admits it spreads it to the others.
    fn offer(&mut self, index: usize, envelope: &Envelope, spread: bool) -> Verdict {
        let Some(process) = &mut self.nodes[index].process else { return Ok(()) };
        let admitted = process.pool.offer(&self.rules, &process.ledger, envelope);
        let in_body = spread && self.plan.spreads_bodies && admitted.is_some();
        if spread && !in_body {
            let envelopes = vec![envelope.clone()];
            let gossip = carat_types::message::Transactions { envelopes };
            self.broadcast(index, carat_types::message::Message::Transactions(gossip))?;
        }
        match admitted {
            Some(pending) if in_body => self.tell_core(index, pending, Input::Submitted),
            Some(pending) => self.admit(index, pending),
            None => Ok(()),
        }
    }

    /// A body reaches a node: its transactions first, then, if all of them are such, it itself.
    fn hear_body(&mut self, index: usize, from: ValidatorId, body: &Arc<Body>, hash: u64) -> Verdict {
        body.envelopes.iter().try_for_each(|envelope| self.offer(index, envelope, false))?;
        let known: Option<Vec<PendingTransaction>> =
            body.envelopes.iter().map(|envelope| self.rules.decode(envelope)).collect();
        let Some(known) = known else { return Ok(()) };
        let operations = known.iter().map(|it| it.operations).sum();
        let signatures = known.iter().map(|it| it.signatures).sum();
        let body = SpreadBody { digest: body.digest(), body: body.clone(), operations, signatures };
        self.input(index, Input::Body { from, body }, hash)
    }

    fn admit(&mut self, index: usize, pending: PendingTransaction) -> Verdict {
        self.tell_core(index, pending, Input::Admitted)
    }

    /// Tells a core of a transaction, unless its validator is a censor.
    fn tell_core(
        &mut self,
        index: usize,
        pending: PendingTransaction,
        input: fn(PendingTransaction) -> Input,
    ) -> Verdict {
        if self.nodes[index].adversary.as_ref().is_some_and(|it| !it.admits(&pending)) {
            return Ok(());
        }
        let fingerprint = mix(3, u64::from_be_bytes(pending.hash.0[..8].try_into().unwrap_or_default()));
        self.input(index, input(pending), fingerprint)
    }

    fn client_acts(&mut self, index: usize) {
        let chain_second = self.oracle.tip().time_ms / 1_000;
        let oracle = &self.oracle;
        let client = &mut self.clients[index];
        let content = self.end.as_ref().is_some_and(|end| client.done >= end.goals[index]);
        if content {
            return;
        }
        let entrances = self.plan.entrances();
        let setting = Setting { plan: &self.plan.clients, rules: &self.rules, entrances: &entrances };
        let submissions = client.act(&mut self.rng, setting, self.now, chain_second, |id| oracle.fate(id));
        for submission in submissions {
            let everybody = || self.nodes.iter().map(|node| node.id).filter(|id| self.plan.serves(*id));
            let targets: Vec<ValidatorId> =
                submission.to.map_or_else(|| everybody().collect(), |to| vec![to]);
            for to in targets {
                let delay = self.network.delay(&mut self.rng);
                self.schedule(delay, Event::Submit { to, envelope: submission.envelope.clone() });
            }
        }
        self.schedule_soon(self.plan.clients.every, Event::Client(index));
    }

    /// The two clocks of a validator.
    fn clocks(&self, index: usize) -> Now {
        let node = &self.nodes[index];
        let started_at = node.process.as_ref().map_or(self.now, |process| process.started_at);
        let wall_ms = GENESIS_TIME_MS + self.now / MS;
        Now { monotonic_us: self.now - started_at, wall_ms: wall_ms.saturating_add_signed(node.skew_ms) }
    }

    fn check_standpoint(&mut self, index: usize) -> Verdict {
        let node = &self.nodes[index];
        let Some(replica) = node.process.as_ref().and_then(|process| process.replica.as_ref()) else {
            return Ok(());
        };
        self.views = self.views.max(replica.view().0);
        let standpoint = Standpoint {
            view: replica.view(),
            stable: replica.stable(),
            last_final: replica.last_final(),
            buffered: replica.buffered(),
        };
        if let Some(witness) = &mut self.witness {
            witness.stands(self.now, node.id, standpoint.view);
        }
        heed(self.strict, self.oracle.stands(node.id, standpoint))
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").field("plan", &self.plan).field("now", &self.now).finish_non_exhaustive()
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What a broken rule comes to.
fn heed(strict: bool, verdict: Verdict) -> Verdict {
    if strict { verdict } else { Ok(()) }
}

/// A message in one line.
fn describe(message: &carat_types::message::Message) -> String {
    use carat_types::message::{Data, Message};
    let ballot = |ballot: &carat_types::message::Ballot| {
        format!("view {} slot {} value {}", ballot.view, ballot.slot, ballot.digest.short())
    };
    let text = match message {
        Message::Proposal(proposal) => {
            let body = &proposal.signed.body;
            let count = proposal.payload.envelopes().count();
            format!("view {} slot {} value {} ({count} tx)", body.view, body.slot, body.digest.short())
        }
        Message::Prepare(prepare) => {
            format!("{} of v{}", ballot(&prepare.signed.body.0), prepare.signed.signer)
        }
        Message::Commit(commit) => format!("{} of v{}", ballot(&commit.body.0), commit.signer),
        Message::ViewChange(change) => format!(
            "view {} of v{}, checkpoint {}, {} reports",
            change.body.view,
            change.signer,
            change.body.stable_slot(),
            change.body.reports.len()
        ),
        Message::NewView(new_view) => {
            let senders: Vec<u16> = new_view.body.view_changes.iter().map(|change| change.signer.0).collect();
            format!("view {} from {senders:?}", new_view.body.view)
        }
        Message::Seal(seal) => format!("slot {} header {}", seal.body.slot, seal.body.header.short()),
        Message::Data(Data::Block(block)) => format!("block {}", block.block.header.slot),
        Message::Data(Data::Commit(certificate)) => {
            format!("commit certificate {}", ballot(&certificate.body.0))
        }
        Message::Data(Data::Stable(stable)) => format!("stable checkpoint {}", stable.header.slot),
        Message::Data(Data::Payload(payload)) => format!("payload {}", payload.value.digest().short()),
        Message::Data(Data::Snapshot(offer)) => format!("state of slot {}", offer.slot()),
        Message::Data(Data::Chunk(chunk)) => {
            format!("{} entries of slot {} from {}", chunk.entries.len(), chunk.slot, chunk.from.short())
        }
        Message::Data(Data::HighestVotes(votes)) => format!("highest votes of v{}", votes.of),
        Message::Status(status) => format!("{status:?}"),
        Message::Fetch(fetch) => format!("{fetch:?}"),
        Message::Transactions(transactions) => format!("{} envelopes", transactions.envelopes.len()),
        Message::Body(body) => format!("{} ({} tx)", body.digest().short(), body.envelopes.len()),
        Message::BodiesHeld(held) => format!("{} bodies", held.bodies.len()),
        Message::Announcement(announcement) => {
            let body = &announcement.signed.body;
            let count = announcement.batch.bodies.len();
            format!("view {} slot {} value {} ({count} bodies)", body.view, body.slot, body.digest.short())
        }
    };
    format!("{} {text}", message.name())
}
