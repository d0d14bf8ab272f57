//! Plays one scenario: five instances of the real core in lock step, every message one millisecond under way.
//!
//! A split holds for the messages of its view, for some time after the first of them; what it swallows is lost, and comes
//! again only if somebody sends it again. After the last split view everything is whole, and slots must become
//! final again.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use carat_consensus::{
    ChainTip, Config, Effect, Execute, FetchStates, Input, Now, Replica, Timer, VerifiedMessage,
};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::certificate::SealCertificate;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::Header;
use carat_types::message::{Ballot, Data, Fetch, Message};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Slot, ValidatorId, View, batch::Payload};

use super::scenario::{COPY, INSTANCES, Scenario};
use crate::crypto::{self, Keys, MockAuthenticator, Scheme};
use crate::ledger::{GENESIS_TIME_MS, Ledger, LedgerKind, Rules, chain_id, leaf_rule};
use crate::packet::{Reading, read};

/// What a scenario came to.
#[derive(Debug)]
pub struct Outcome {
    /// Inputs delivered.
    pub events: u64,
    /// The broken rule, if one was.
    pub failure: Option<Failure>,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

const MS: u64 = 1_000;
/// How long a split holds after the first message of its view: longer than it takes to give the view up.
const SPLIT_US: u64 = 600 * MS;
/// Slots that must become final once everything is whole.
const FRESH_SLOTS: u64 = 2;
/// Virtual time after which a scenario that has not got there has failed.
const PATIENCE_US: u64 = 40_000 * MS;

/// One copy of a validator.
struct Instance {
    id: ValidatorId,
    replica: Replica,
    ledger: Ledger,
    blocks: Vec<(Header, Arc<Payload>)>,
    seals: BTreeMap<Slot, SealCertificate>,
}

#[derive(Clone)]
struct Delivery {
    at: u64,
    from: usize,
    to: usize,
    message: VerifiedMessage,
}

struct Run<'a> {
    scenario: &'a Scenario,
    set: Arc<ValidatorSet>,
    rules: Rules,
    instances: Vec<Instance>,
    now: u64,
    events: u64,
    /// In the order of their arrival, because all take the same time.
    on_the_way: VecDeque<Delivery>,
    timers: BTreeMap<(u64, usize, Timer), ()>,
    armed: BTreeMap<(usize, Timer), u64>,
    /// When the first message of a view was sent.
    opened: BTreeMap<View, u64>,
    votes: [BTreeMap<Ballot, u8>; 2],
    finals: BTreeMap<Slot, Digest>,
    /// The slot that all correct instances must reach, once everything is whole.
    target: Option<Slot>,
}

/// Plays a scenario to its end, or to the first broken rule.
pub fn play(scenario: &Scenario) -> Outcome {
    let mut run = Run::new(scenario);
    let ended = catch_unwind(AssertUnwindSafe(|| run.run_to_end()));
    let failure = ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        Err(Failure { rule: "no panic", detail: text })
    });
    Outcome { events: run.events, failure: failure.err() }
}

fn params(slots: u64) -> ConsensusConstants {
    ConsensusConstants {
        checkpoint_interval: 4,
        window: 16,
        term: slots,
        timeout_ms: 100,
        timeout_max_ms: 400,
        heartbeat_ms: 50,
        pipeline: 1,
        ..ConsensusConstants::default()
    }
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let rules = Rules::new(LedgerKind::Model, 0, 0, carat_types::batch::BlockLimits::default());
        let (keys, set) = crypto::validators(Scheme::Mock, 0, 4, chain_id(0));
        let mut run = Run {
            scenario,
            set,
            rules,
            instances: Vec::new(),
            now: 0,
            events: 0,
            on_the_way: VecDeque::new(),
            timers: BTreeMap::new(),
            armed: BTreeMap::new(),
            opened: BTreeMap::new(),
            votes: [BTreeMap::new(), BTreeMap::new()],
            finals: BTreeMap::new(),
            target: None,
        };
        let ids: Vec<ValidatorId> = run.set.ids().chain([scenario.twin]).collect();
        let mut first_effects = Vec::new();
        for id in ids {
            let (instance, effects) = run.start(id, &keys[id.index()]);
            run.instances.push(instance);
            first_effects.push(effects);
        }
        for (index, effects) in first_effects.into_iter().enumerate() {
            // A first start breaks no rule; if it does, the run shows it.
            let _ = run.perform(index, effects);
        }
        run
    }

    fn start(&self, id: ValidatorId, keys: &Keys) -> (Instance, Vec<Effect>) {
        let ledger = self.rules.genesis();
        let config = Config {
            me: id,
            validators: (*self.set).clone(),
            params: params(self.scenario.slice.slots()),
            trust: Trust::Bft,
            signer: Box::new(keys.clone()),
            authenticator: Arc::new(MockAuthenticator),
            genesis_header: ledger.header().clone(),
            base: None,
            fetches_states: FetchStates::WhenBehind,
            leaves: leaf_rule(),
        };
        let tip = ChainTip { header: ledger.header().clone(), recent: Vec::new(), transfer: None };
        let (replica, effects) = Replica::start(config, Now::default(), Vec::new(), tip)
            .expect("an empty journal is a first start");
        (Instance { id, replica, ledger, blocks: Vec::new(), seals: BTreeMap::new() }, effects)
    }

    fn run_to_end(&mut self) -> Result<(), Failure> {
        while self.now < PATIENCE_US {
            let next_timer = self.timers.first_key_value().map(|((at, ..), ())| *at);
            let next_message = self.on_the_way.front().map(|delivery| delivery.at);
            match (next_message, next_timer) {
                (Some(at), timer) if timer.is_none_or(|timer| at <= timer) => {
                    self.now = at;
                    let Some(Delivery { from, to, message, .. }) = self.on_the_way.pop_front() else { break };
                    let from = self.instances[from].id;
                    self.input(to, Input::Message { from, message })?;
                }
                (_, Some(at)) => {
                    self.now = at;
                    let Some(((_, index, timer), ())) = self.timers.pop_first() else { break };
                    self.armed.remove(&(index, timer));
                    self.input(index, Input::Timer(timer))?;
                }
                _ => break,
            }
            if self.is_done() {
                return Ok(());
            }
        }
        let states: Vec<String> = self.instances.iter().map(|it| it.replica.describe()).collect();
        Err(Failure { rule: "liveness", detail: states.join("; ") })
    }

    /// Instances of validators without a twin.
    fn correct(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().take(COPY).filter(|instance| instance.id != self.scenario.twin)
    }

    fn is_done(&mut self) -> bool {
        let Some(target) = self.target else {
            let whole = self.correct().all(|it| it.replica.view().0 >= self.scenario.slice.views());
            let highest = self.finals.last_key_value().map_or(Slot(0), |(slot, _)| *slot);
            self.target = whole.then(|| highest.plus(FRESH_SLOTS));
            return false;
        };
        self.correct().all(|it| it.replica.last_executed() >= target)
    }

    fn input(&mut self, index: usize, input: Input) -> Result<(), Failure> {
        self.events += 1;
        // The copies' clocks differ, and so do the values that they propose.
        let skew = u64::from(index == COPY);
        let now = Now { monotonic_us: self.now, wall_ms: GENESIS_TIME_MS + self.now / MS + skew };
        let effects = self.instances[index].replica.handle(now, input);
        self.perform(index, effects)
    }

    fn perform(&mut self, index: usize, effects: Vec<Effect>) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message } => self.send(index, Some(to), &message)?,
                Effect::Broadcast(message) => self.send(index, None, &message)?,
                Effect::Execute(execute) => answers.push(self.execute(index, &execute)?),
                Effect::Sealed { slot, certificate } => {
                    self.instances[index].seals.insert(slot, certificate);
                }
                Effect::Serve { to, fetch } => self.serve(index, to, &fetch)?,
                Effect::SetTimer { timer, after_us } => {
                    self.cancel(index, timer);
                    let at = self.now + after_us.max(1);
                    self.timers.insert((at, index, timer), ());
                    self.armed.insert((index, timer), at);
                }
                Effect::CancelTimer(timer) => self.cancel(index, timer),
                Effect::Halt(halt) if self.is_correct(index) => {
                    let detail = format!("instance {index}: {halt:?}");
                    return Err(Failure { rule: "no correct validator halts", detail });
                }
                // The journal is never read: nobody restarts here. Their keys are with them.
                Effect::Sign(_)
                | Effect::Persist(_)
                | Effect::SyncBlocks { .. }
                | Effect::Compact { .. }
                | Effect::ArchiveNewView(_)
                | Effect::KeepEvidence(_)
                | Effect::Reject { .. }
                | Effect::Report(_)
                | Effect::BeginTransfer(_)
                | Effect::KeepChunk(_)
                | Effect::InstallState(_)
                | Effect::ExecuteTentatively(_)
                | Effect::DropTentative
                | Effect::Reply(_)
                | Effect::EpochEnds(_)
                | Effect::Halt(_) => {}
            }
        }
        answers.into_iter().try_for_each(|answer| self.input(index, answer))
    }

    fn is_correct(&self, index: usize) -> bool {
        self.instances[index].id != self.scenario.twin
    }

    fn cancel(&mut self, index: usize, timer: Timer) {
        if let Some(at) = self.armed.remove(&(index, timer)) {
            self.timers.remove(&(at, index, timer));
        }
    }

    fn send(&mut self, from: usize, to: Option<ValidatorId>, message: &Message) -> Result<(), Failure> {
        self.count(from, message)?;
        let Reading::Core(read) = read(message, &self.set, &MockAuthenticator, &self.rules) else {
            return Ok(());
        };
        let view = match message {
            Message::Proposal(proposal) => proposal.signed.body.view,
            Message::Prepare(prepare) => prepare.signed.body.0.view,
            Message::Commit(commit) => commit.body.0.view,
            Message::ViewChange(change) => change.body.view,
            Message::NewView(new_view) => new_view.body.view,
            _ => self.instances[from].replica.view(),
        };
        let opened = *self.opened.entry(view).or_insert(self.now);
        // The start-up guard is not what is tested here.
        let guard =
            matches!(message, Message::Fetch(Fetch::HighestVotes(_)) | Message::Data(Data::HighestVotes(_)));
        let is_split = !guard && self.now < opened + SPLIT_US;
        for index in 0..INSTANCES {
            let id = self.instances[index].id;
            let meant = id != self.instances[from].id && to.is_none_or(|to| to == id);
            if meant && (!is_split || self.scenario.connects(message, view, from, index)) {
                let at = self.now + MS;
                self.on_the_way.push_back(Delivery { at, from, to: index, message: read.clone() });
            }
        }
        Ok(())
    }

    /// Counts votes of everybody: a slot is final by q COMMITs or n PREPAREs of one ballot, whoever knows of it.
    fn count(&mut self, from: usize, message: &Message) -> Result<(), Failure> {
        let (kind, ballot, needed) = match message {
            Message::Commit(commit) => (0, commit.body.0, 3),
            Message::Prepare(prepare) => (1, prepare.signed.body.0, 4),
            _ => return Ok(()),
        };
        let voters = self.votes[kind].entry(ballot).or_default();
        *voters |= 1 << self.instances[from].id.0;
        if voters.count_ones() < needed { Ok(()) } else { self.decide(ballot.slot, ballot.prefix) }
    }

    fn decide(&mut self, slot: Slot, prefix: Digest) -> Result<(), Failure> {
        let known = *self.finals.entry(slot).or_insert(prefix);
        if known == prefix {
            return Ok(());
        }
        Err(Failure { rule: "agreement", detail: format!("slot {slot}: {known} and {prefix} are final") })
    }

    fn execute(&mut self, index: usize, execute: &Execute) -> Result<Input, Failure> {
        if self.is_correct(index) {
            self.decide(execute.slot, execute.prefix)?;
        }
        let instance = &mut self.instances[index];
        let outcome = instance.ledger.perform(execute);
        instance.blocks.push((outcome.executed.header.clone(), execute.payload.payload().clone()));
        Ok(Input::Executed(outcome.executed))
    }

    fn serve(&mut self, index: usize, to: ValidatorId, fetch: &Fetch) -> Result<(), Failure> {
        let Instance { blocks, seals, .. } = &self.instances[index];
        let answers: Vec<Message> = match fetch {
            Fetch::Payload(digest) => {
                let found = blocks.iter().find(|(header, _)| header.batch == *digest);
                found.map(|(_, payload)| Message::Data(Data::Payload(payload.clone()))).into_iter().collect()
            }
            Fetch::Blocks(first) => {
                let from = usize::try_from(first.0).unwrap_or(usize::MAX).saturating_sub(1);
                let certified = blocks.iter().skip(from).map_while(|(header, payload)| {
                    let certificate = seals.get(&header.slot)?.clone();
                    let block = Block { header: header.clone(), payload: payload.clone() };
                    Some(Message::Data(Data::Block(Arc::new(CertifiedBlock { block, certificate }))))
                });
                certified.collect()
            }
            // Nobody falls so far behind.
            Fetch::Snapshot(_) | Fetch::Chunk(_) | Fetch::HighestVotes(_) => Vec::new(),
        };
        answers.iter().try_for_each(|answer| self.send(index, Some(to), answer))
    }
}
