//! A cluster by hand: replicas, a queue of messages, virtual clocks, journals that survive a crash. Everything that
//! a replica sends is checked against everything that it ever sent (I1, I2), and all blocks against each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use carat_consensus::effect::{Execute, Halt, Report};
use carat_consensus::{
    ChainTip, Config, Effect, ElsewhereSigner, Executed, FetchStates, Input, Now, RecentBlock, Record,
    Rejection, Replica, Statement, Timer, VerifiedMessage,
};
use carat_types::batch::{Payload, WellFormed};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::certificate::SealCertificate;
use carat_types::evidence::Evidence;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::hash::sha256;
use carat_types::header::Header;
use carat_types::message::{Data, Fetch, Message, StableCheckpoint};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, LeafRule, Slot, ValidatorId};

use crate::members::Members;
pub(crate) use crate::parties::*;
pub(crate) use crate::pieces::*;
use crate::states::{Incoming, state_root};
use crate::tentative::Desk;

/// What a validator has on disk, and its timers.
pub(crate) struct Node {
    pub(crate) replica: Option<Replica>,
    pub(crate) journal: Vec<Record>,
    pub(crate) blocks: Vec<(Header, Arc<Payload>, Option<SealCertificate>)>,
    pub(crate) timers: BTreeMap<Timer, u64>,
    pub(crate) halted: Option<Halt>,
    pub(crate) reports: Vec<Report>,
    pub(crate) evidence: Vec<Arc<Evidence>>,
    pub(crate) rejections: Vec<(ValidatorId, Rejection)>,
    pub(crate) executed: Vec<Execute>,
    /// Persists left until a power cut; none for ever.
    pub(crate) persists_left: Option<usize>,
    pub(crate) persists: usize,
    pub(crate) wall_offset_ms: i64,
    /// Transactions that its admission refuses.
    pub(crate) refuses: BTreeSet<u64>,
    /// Whether its ledger calls all transactions junk.
    pub(crate) sees_junk: bool,
    /// Executions wait in `held` while set.
    pub(crate) hold_execution: bool,
    pub(crate) held: VecDeque<Executed>,
    /// Every stable checkpoint that was journaled.
    pub(crate) checkpoints: BTreeMap<Slot, Arc<StableCheckpoint>>,
    /// What it executed tentatively.
    pub(crate) desk: Desk,
    /// A state on its way.
    pub(crate) incoming: Option<Incoming>,
    /// The states that were fetched.
    pub(crate) installed: Vec<Slot>,
    /// What its signer was asked for and has not answered.
    pub(crate) unsigned: VecDeque<Statement>,
    /// Whether its signer is away: then `unsigned` waits.
    pub(crate) signer_away: bool,
    /// The epoch of its replica.
    pub(crate) epoch: usize,
    /// How the epoch before ended.
    pub(crate) base: Option<Arc<StableCheckpoint>>,
    /// Whether the power goes when its epoch has ended, and the journal is that of the old one still.
    pub(crate) keeps_its_journal: bool,
}

/// A message on its way.
pub(crate) struct Letter {
    from: ValidatorId,
    to: ValidatorId,
    epoch: usize,
    message: Message,
}

pub(crate) type Filter = Box<dyn Fn(ValidatorId, ValidatorId, &Message) -> bool>;
pub(crate) type Twist = Box<dyn Fn(ValidatorId, Message) -> Message>;

pub(crate) struct Cluster {
    /// Nodes: the validators, and the proposers of an edge network.
    pub(crate) n: usize,
    /// The validators of epoch 0.
    pub(crate) set: ValidatorSet,
    /// Who is in each epoch, and where it ends.
    pub(crate) epochs: Vec<Members>,
    pub(crate) params: ConsensusConstants,
    pub(crate) trust: Trust,
    pub(crate) fetches_states: FetchStates,
    /// Whether the keys are with signers, processes of their own.
    pub(crate) signs_elsewhere: bool,
    /// Whether replicas spread bodies, also when they start again.
    pub(crate) spreads_bodies: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) queue: VecDeque<Letter>,
    pub(crate) now_us: u64,
    /// Messages delivered since a timer went off.
    standing_still: u32,
    /// Whether a message passes.
    pub(crate) filter: Filter,
    /// What a message becomes on its way.
    pub(crate) twist: Twist,
    /// Every vote ever sent: (epoch, signer, kind, view, slot) -> what.
    pub(crate) sent: BTreeMap<(usize, u16, u8, u64, u64), Digest>,
    pub(crate) highest_view_change: BTreeMap<(usize, u16), u64>,
    /// How many messages of each kind were compared with the journal.
    pub(crate) checked: BTreeMap<&'static str, u64>,
}

/// Longer than any conversation that ends.
const STANDING_STILL_MAX: u32 = 1_000_000;

/// Where the block of a slot stands in a node's chain.
pub(crate) fn index_of(slot: Slot) -> usize {
    usize::try_from(slot.0 - 1).expect("a slot above genesis, of a short test")
}

pub(crate) fn id(index: usize) -> ValidatorId {
    ValidatorId(u16::try_from(index).expect("few validators"))
}

impl Node {
    /// With nothing on its disk, in epoch 0.
    pub(crate) fn new() -> Self {
        Node {
            replica: None,
            journal: Vec::new(),
            blocks: Vec::new(),
            timers: BTreeMap::new(),
            halted: None,
            reports: Vec::new(),
            evidence: Vec::new(),
            rejections: Vec::new(),
            executed: Vec::new(),
            persists_left: None,
            persists: 0,
            wall_offset_ms: 0,
            refuses: BTreeSet::new(),
            sees_junk: false,
            hold_execution: false,
            held: VecDeque::new(),
            checkpoints: BTreeMap::new(),
            desk: Desk::default(),
            incoming: None,
            installed: Vec::new(),
            unsigned: VecDeque::new(),
            signer_away: false,
            epoch: 0,
            base: None,
            keeps_its_journal: false,
        }
    }
}

impl Cluster {
    pub(crate) fn new(n: usize) -> Self {
        Self::with(n, params())
    }

    pub(crate) fn with(n: usize, params: ConsensusConstants) -> Self {
        Self::trusting(n, params, Trust::Bft)
    }

    pub(crate) fn trusting(n: usize, params: ConsensusConstants, trust: Trust) -> Self {
        Self::of(validators(n), params, trust)
    }

    /// An edge network: its nodes are n validators and, behind them, its proposers.
    pub(crate) fn edge(n: usize, proposers: usize) -> Self {
        Self::of(edge(n, proposers), params(), Trust::Bft)
    }

    pub(crate) fn of(set: ValidatorSet, params: ConsensusConstants, trust: Trust) -> Self {
        let n = set.processes().count();
        let mut cluster = Cluster {
            n,
            epochs: vec![Members::first(set.clone())],
            set,
            params,
            trust,
            fetches_states: FetchStates::WhenBehind,
            signs_elsewhere: false,
            spreads_bodies: false,
            nodes: Vec::new(),
            queue: VecDeque::new(),
            now_us: 1_000_000,
            standing_still: 0,
            filter: Box::new(|_, _, _| true),
            twist: Box::new(|_, message| message),
            sent: BTreeMap::new(),
            highest_view_change: BTreeMap::new(),
            checked: BTreeMap::new(),
        };
        for _ in 0..n {
            cluster.nodes.push(Node::new());
        }
        for index in 0..n {
            cluster.start(index);
        }
        cluster
    }

    pub(crate) fn config(&self, index: usize) -> Config {
        Config {
            me: id(index),
            validators: self.members(index).set.clone(),
            params: self.params,
            trust: self.trust,
            signer: if self.signs_elsewhere {
                Box::new(ElsewhereSigner)
            } else {
                Box::new(self.signer(index))
            },
            authenticator: Arc::new(HashAuthenticator),
            genesis_header: genesis_header(),
            base: self.nodes[index].base.clone(),
            fetches_states: self.fetches_states,
            leaves: LeafRule::Open,
        }
    }

    pub(crate) fn tip(&self, index: usize) -> ChainTip {
        let blocks = &self.nodes[index].blocks;
        let first = blocks.len().saturating_sub(2 * index_of(Slot(self.params.window)) + 2);
        let recent = blocks
            .iter()
            .enumerate()
            .filter(|(index, (_, _, certificate))| *index >= first || certificate.is_none())
            .map(|(_, (header, _, certificate))| RecentBlock {
                header: header.clone(),
                sealed: certificate.is_some(),
            })
            .collect();
        let header = blocks.last().map_or_else(genesis_header, |(header, _, _)| header.clone());
        ChainTip { header, recent, transfer: self.kept_transfer(index) }
    }

    /// Starts, or restarts from disk.
    pub(crate) fn start(&mut self, index: usize) {
        let (config, tip) = (self.config(index), self.tip(index));
        let records = self.nodes[index].journal.clone();
        let now = self.now(index);
        let (replica, effects) = Replica::start(config, now, records, tip).expect("the own journal is sound");
        let node = &mut self.nodes[index];
        node.replica = Some(replica);
        node.timers.clear();
        node.executed.clear();
        node.held.clear();
        node.desk.crash();
        self.perform(index, effects);
        if self.spreads_bodies {
            self.input(index, Input::SpreadBodies(true));
        }
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.nodes[index].replica = None;
        self.nodes[index].timers.clear();
        self.nodes[index].unsigned.clear();
        self.queue.retain(|letter| letter.to != id(index));
    }

    pub(crate) fn now(&self, index: usize) -> Now {
        let wall_ms = 1_700_000_000_000 + self.now_us / 1_000;
        let offset_ms = self.nodes[index].wall_offset_ms;
        Now { monotonic_us: self.now_us, wall_ms: wall_ms.saturating_add_signed(offset_ms) }
    }

    pub(crate) fn replica(&self, index: usize) -> &Replica {
        self.nodes[index].replica.as_ref().expect("running")
    }

    pub(crate) fn input(&mut self, index: usize, input: Input) {
        let now = self.now(index);
        let Some(replica) = self.nodes[index].replica.as_mut() else { return };
        let effects = replica.handle(now, input);
        self.perform(index, effects);
    }

    fn perform(&mut self, index: usize, effects: Vec<Effect>) {
        let me = id(index);
        for effect in effects {
            match effect {
                Effect::Persist(record) => {
                    if let Record::Stable(stable) = &record {
                        self.nodes[index].checkpoints.insert(stable.header.slot, Arc::clone(stable));
                    }
                    self.nodes[index].journal.push(record);
                    self.nodes[index].persists += 1;
                    if let Some(left) = &mut self.nodes[index].persists_left {
                        *left -= 1;
                        if *left == 0 {
                            self.nodes[index].persists_left = None;
                            return self.crash(index);
                        }
                    }
                }
                Effect::SyncBlocks { slot } => {
                    assert!(
                        self.nodes[index].blocks.len() as u64 >= slot.0,
                        "only written blocks are synced"
                    );
                }
                Effect::Compact { stable, carry } => {
                    let journal = &mut self.nodes[index].journal;
                    let proven =
                        |record: &Record| matches!(record, Record::Stable(h) if h.header.slot >= stable);
                    assert!(journal.iter().any(proven), "J6: deletes before the checkpoint is durable");
                    let kept = std::mem::take(journal).into_iter();
                    journal.extend(carry);
                    journal.extend(kept.filter(|record| record.slot().is_some_and(|slot| slot > stable)));
                }
                Effect::Sign(statement) => self.nodes[index].unsigned.push_back(statement),
                Effect::Send { to, message } => self.transmit(me, to, message),
                Effect::Broadcast(message) => {
                    for to in self.members(index).set.processes().filter(|to| *to != me) {
                        self.transmit(me, to, message.clone());
                    }
                }
                Effect::Execute(execute) => self.execute(index, *execute),
                tentative @ (Effect::ExecuteTentatively(_) | Effect::DropTentative | Effect::Reply(_)) => {
                    self.perform_tentative(index, tentative);
                }
                Effect::Serve { to, fetch } => self.serve(index, to, &fetch),
                Effect::Sealed { slot, certificate } => {
                    self.nodes[index].blocks[index_of(slot)].2 = Some(certificate);
                }
                Effect::ArchiveNewView(_) => {}
                Effect::BeginTransfer(offer) => self.begin_transfer(index, offer),
                Effect::KeepChunk(chunk) => self.keep_chunk(index, chunk),
                Effect::InstallState(offer) => self.install_state(index, &offer),
                Effect::KeepEvidence(evidence) => {
                    evidence
                        .verify(&self.members(index).set, &HashAuthenticator)
                        .expect("what is kept convicts");
                    self.nodes[index].evidence.push(evidence);
                }
                Effect::SetTimer { timer, after_us } => {
                    let due = self.now_us + after_us;
                    self.nodes[index].timers.insert(timer, due);
                }
                Effect::CancelTimer(timer) => {
                    self.nodes[index].timers.remove(&timer);
                }
                Effect::Reject { from, reason } => self.nodes[index].rejections.push((from, reason)),
                Effect::Report(report) => self.nodes[index].reports.push(report),
                Effect::EpochEnds(last) => return self.hand_over(index, last),
                Effect::Halt(halt) => self.nodes[index].halted = Some(halt),
            }
        }
        // Answers come when all that was asked before them is done.
        self.answer_tentative(index);
        if !self.nodes[index].hold_execution {
            self.release_executions(index);
        }
        self.sign(index);
    }

    /// A node's signer answers what it was asked, in order, unless it is away.
    pub(crate) fn sign(&mut self, index: usize) {
        while !self.nodes[index].signer_away
            && let Some(statement) = self.nodes[index].unsigned.pop_front()
        {
            let bytes = statement.signing_bytes(self.members(index).set.domain());
            let signature = self.signer(index).signature(statement.role(), &bytes);
            self.input(index, Input::Signed(Box::new(statement), signature));
        }
    }

    /// Every node's keys are with a signer from its next start on.
    pub(crate) fn with_signers(mut self) -> Self {
        self.signs_elsewhere = true;
        (0..self.n).for_each(|index| self.crash(index));
        self.queue.clear();
        (0..self.n).for_each(|index| self.start(index));
        self
    }

    /// Of what a node executed for good.
    pub(crate) fn newest_header(&self, index: usize) -> Header {
        let node = &self.nodes[index];
        let held = node.held.back().map(|held| held.header.clone());
        held.or_else(|| node.blocks.last().map(|block| block.0.clone())).unwrap_or_else(genesis_header)
    }

    fn execute(&mut self, index: usize, execute: Execute) {
        self.confirm_overlay(index, &execute);
        let parent = self.newest_header(index);
        assert_eq!(execute.slot, parent.slot.next(), "blocks are executed in order");
        assert_eq!(execute.parent_prefix, parent.prefix);
        let header = self.fix_end(next_header(&parent, &execute.payload));
        let node = &mut self.nodes[index];
        let settled = execute.payload.payload().envelopes().map(|envelope| sha256(&[&envelope.0])).collect();
        let junk_bytes = if node.sees_junk { payload_bytes(&execute) } else { 0 };
        let slot = execute.slot;
        node.executed.push(execute);
        node.held.push_back(Executed { slot, header, settled, junk_bytes });
    }

    pub(crate) fn release_executions(&mut self, index: usize) {
        while let Some(executed) = self.nodes[index].held.pop_front() {
            let node = &mut self.nodes[index];
            let slot = executed.slot;
            let payload = node.executed.iter().rev().find(|execute| execute.slot == slot).expect("asked for");
            let payload = Arc::clone(payload.payload.payload());
            self.check_block(&executed.header);
            self.nodes[index].blocks.push((executed.header.clone(), payload, None));
            self.input(index, Input::Executed(executed));
        }
    }

    /// Agreement: one block for each slot, for ever.
    fn check_block(&self, header: &Header) {
        for node in &self.nodes {
            if let Some((other, _, _)) = node.blocks.get(index_of(header.slot)) {
                assert_eq!(other, header, "two blocks for slot {}", header.slot);
            }
        }
    }

    fn serve(&mut self, index: usize, to: ValidatorId, fetch: &Fetch) {
        let data: Vec<Data> = match fetch {
            Fetch::Payload(digest) => self.nodes[index]
                .blocks
                .iter()
                .filter(|(header, _, _)| header.batch == *digest)
                .map(|(_, payload, _)| Data::Payload(Arc::clone(payload)))
                .take(1)
                .collect(),
            Fetch::Blocks(from) => self.nodes[index]
                .blocks
                .iter()
                .filter(|(header, _, _)| header.slot >= *from)
                .take(index_of(Slot(carat_consensus::BLOCKS_PER_FETCH)) + 1)
                .filter_map(|(header, payload, certificate)| {
                    let block = Block { header: header.clone(), payload: Arc::clone(payload) };
                    let certificate = certificate.clone()?;
                    Some(Data::Block(Arc::new(CertifiedBlock { block, certificate })))
                })
                .collect(),
            Fetch::Snapshot(above) => self.offer(index, *above).into_iter().collect(),
            Fetch::Chunk(request) => self.chunk(index, request).into_iter().collect(),
            Fetch::HighestVotes(_) => panic!("the core answers this one itself"),
        };
        for data in data {
            self.transmit(id(index), to, Message::Data(data));
        }
    }

    fn transmit(&mut self, from: ValidatorId, to: ValidatorId, message: Message) {
        self.check_sent(self.nodes[usize::from(from.0)].epoch, &message);
        self.check_recorded(from, &message);
        if (self.filter)(from, to, &message) {
            let epoch = self.nodes[usize::from(from.0)].epoch;
            self.queue.push_back(Letter { from, to, epoch, message: (self.twist)(from, message) });
        }
    }

    // Running.

    /// Delivers one message, or else advances time to the next timer.
    pub(crate) fn step(&mut self) {
        if let Some(Letter { from, to, epoch, message }) = self.queue.pop_front() {
            self.standing_still += 1;
            if let Message::Body(body) = message {
                return self.hear_body(from, usize::from(to.0), body);
            }
            assert!(self.standing_still < STANDING_STILL_MAX, "they talk without end\n{}", self.describe());
            if let Some(input) = self.arrival(from, usize::from(to.0), epoch, message) {
                self.input(usize::from(to.0), input);
            }
            return;
        }
        let next = self
            .nodes
            .iter()
            .enumerate()
            .flat_map(|(index, node)| node.timers.iter().map(move |(timer, due)| (*due, index, *timer)))
            .min();
        let Some((due, index, timer)) = next else { panic!("nothing is left to happen") };
        self.now_us = self.now_us.max(due);
        self.standing_still = 0;
        self.nodes[index].timers.remove(&timer);
        self.input(index, Input::Timer(timer));
    }

    /// Delivers the messages that are on their way, and none that they give rise to: one message delay.
    pub(crate) fn delay(&mut self) {
        for _ in 0..self.queue.len() {
            self.step();
        }
    }

    /// Delivers all messages; time stands still.
    pub(crate) fn settle(&mut self) {
        while !self.queue.is_empty() {
            self.step();
        }
    }

    /// Runs until `done` holds.
    pub(crate) fn run_until(&mut self, what: &str, done: impl Fn(&Cluster) -> bool) {
        let deadline = self.now_us + 600_000_000;
        while !done(self) {
            self.step();
            assert!(self.now_us < deadline, "{what}: not within ten minutes\n{}", self.describe());
        }
    }

    pub(crate) fn run_for(&mut self, us: u64) {
        let end = self.now_us + us;
        loop {
            let due = self.nodes.iter().flat_map(|node| node.timers.values()).min().copied();
            if self.queue.is_empty() && due.is_none_or(|due| due > end) {
                self.now_us = end;
                return;
            }
            self.step();
        }
    }

    /// In many clusters one power cut at validator 0 or 1, after each of its first records in turn; all go on from there, and
    /// nobody says two things (`checks`). Every kind of record is hit where views end by term and checkpoints pass.
    pub(crate) fn power_cuts(records: usize, make: impl Fn() -> Cluster, load: impl Fn(&mut Cluster, usize)) {
        for k in 1..records {
            for victim in [0, 1] {
                let mut cluster = make();
                cluster.nodes[victim].persists_left = Some(k);
                load(&mut cluster, victim);
                cluster.run_for(3_000_000);
                if cluster.nodes[victim].replica.is_none() {
                    cluster.start(victim);
                }
                let newest = cluster.running().map(|replica| replica.last_executed().0).max().unwrap_or(0);
                cluster.run_to(newest + 12);
            }
        }
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Replica> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref())
    }

    /// Runs until every running replica has executed `slot`.
    pub(crate) fn run_to(&mut self, slot: u64) {
        self.run_until(&format!("slot {slot}"), |cluster| {
            cluster.running().all(|replica| replica.last_executed() >= Slot(slot) && !replica.is_guarded())
        });
    }

    /// Runs until these have executed `slot`.
    pub(crate) fn run_to_among(&mut self, nodes: &[usize], slot: u64) {
        self.run_until(&format!("slot {slot}"), |cluster| {
            nodes.iter().all(|index| cluster.replica(*index).last_executed() >= Slot(slot))
        });
    }

    pub(crate) fn describe(&self) -> String {
        self.running().map(|replica| replica.describe() + "\n").collect()
    }

    /// Gives a transaction to every running replica.
    pub(crate) fn admit(&mut self, number: u64) {
        for index in 0..self.n {
            self.input(index, Input::Admitted(transaction(number)));
        }
    }

    /// At which slots of a node's chain a transaction stands.
    pub(crate) fn slots_of(&self, index: usize, number: u64) -> Vec<u64> {
        let envelope = transaction(number).envelope;
        self.nodes[index]
            .blocks
            .iter()
            .filter(|(_, payload, _)| payload.envelopes().any(|other| *other == envelope))
            .map(|(header, _, _)| header.slot.0)
            .collect()
    }

    // Making messages.

    pub(crate) fn verify(&self, message: Message) -> Option<VerifiedMessage> {
        self.verify_by(&self.set, message)
    }

    /// Hands a message to a replica as if it came from `from`.
    pub(crate) fn deliver(&mut self, from: usize, to: usize, message: Message) {
        let message = self.verify(message).expect("valid outer signature");
        self.input(to, Input::Message { from: id(from), message });
    }

    /// What node `to` refused last.
    pub(crate) fn last_rejection(&self, to: usize) -> Option<Rejection> {
        self.nodes[to].rejections.last().map(|(_, reason)| *reason)
    }
}

fn payload_bytes(execute: &Execute) -> u64 {
    execute.payload.payload().bodies.iter().map(|body| body.bytes() as u64).sum()
}

pub(crate) fn next_header(parent: &Header, payload: &WellFormed) -> Header {
    let above = parent.above(0, &payload.payload().value);
    // The harness's ledgers are all one: their numbers are not its matter.
    let state_root = state_root(parent, &payload.digest());
    Header { ledger: parent.ledger, first_transaction: 0, state_root, ..above }
}
