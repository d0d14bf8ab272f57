//! A learner beside a network: what it takes, from whom, and that its chain is that of the validators.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;

use carat_consensus::effect::{Halt, Report};
use carat_consensus::{
    Effect, Executed, FetchStates, Input, KeptTransfer, Learner, LearnerConfig, LearnerTip, Now, Rejection,
    Timer, VerifiedMessage,
};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::hash::h;
use carat_types::header::Header;
use carat_types::message::{Data, Fetch, Message, StableCheckpoint, Status};
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, Epoch, LeafRule, Slot, ValidatorId};

use crate::harness::*;
use crate::members::Members;

/// What a source makes of its answer.
type Lie = Box<dyn Fn(ValidatorId, Data) -> Option<Data>>;

/// A learner with its store, and the way from it to the validators of a cluster and back.
struct Student {
    learner: Learner,
    /// Headers of what it executed, from genesis or from a fetched state on.
    chain: Vec<Header>,
    transfer: Option<(Arc<SnapshotOffer>, Vec<Arc<StateChunk>>)>,
    asked: Vec<(ValidatorId, Fetch)>,
    rejections: Vec<(ValidatorId, Rejection)>,
    reports: Vec<Report>,
    halted: Option<Halt>,
    /// The epochs that execution knows of, and the one in which it is.
    epochs: Vec<Members>,
    epoch: usize,
    ended: Option<Arc<StableCheckpoint>>,
    states_asked_for: usize,
    lie: Lie,
}

/// Blocks of one answer.
const ANSWER: usize = 64;

impl Student {
    fn config(cluster: &Cluster, epoch: usize) -> LearnerConfig {
        LearnerConfig {
            validators: cluster.epochs[epoch].set.clone(),
            params: cluster.params,
            authenticator: Arc::new(HashAuthenticator),
            sources: (0..cluster.n).map(id).collect(),
            fetches_states: cluster.fetches_states,
            leaves: LeafRule::Open,
        }
    }

    /// Starts behind genesis, with answers that are the sources' own.
    fn start(cluster: &Cluster) -> Self {
        Student::start_with(cluster, Box::new(|_, data| Some(data)))
    }

    fn start_with(cluster: &Cluster, lie: Lie) -> Self {
        let tip = LearnerTip { header: genesis_header(), seals: None, transfer: None };
        let (learner, first) = Learner::start(Student::config(cluster, 0), Now::default(), tip);
        let mut student = Student {
            learner,
            chain: vec![genesis_header()],
            transfer: None,
            asked: Vec::new(),
            rejections: Vec::new(),
            reports: Vec::new(),
            halted: None,
            epochs: cluster.epochs.clone(),
            epoch: 0,
            ended: None,
            states_asked_for: 0,
            lie,
        };
        student.perform(first);
        student
    }

    /// A crash and a start: what it knows is what its store holds.
    fn restart(&mut self, cluster: &Cluster) {
        let kept = self.transfer.clone().map(|(offer, chunks)| KeptTransfer {
            offer,
            progress: chunks.last().map_or(Progress::At(Digest::ZERO), |chunk| chunk.end()),
        });
        let header = self.chain.last().expect("genesis at least").clone();
        let blocks = &cluster.nodes[0].blocks;
        let seals = blocks.iter().find(|block| block.0 == header).and_then(|block| block.2.clone());
        let tip = LearnerTip { header, seals, transfer: kept };
        let (learner, first) = Learner::start(Student::config(cluster, self.epoch), Now::default(), tip);
        self.learner = learner;
        self.asked.clear();
        self.perform(first);
    }

    /// Its epoch has ended: the next learner follows the next set.
    fn go_over(&mut self, cluster: &Cluster) {
        let last = self.ended.take().expect("the epoch has ended");
        assert_eq!(Some(&last.header), self.chain.last(), "its last block is executed");
        self.epoch += 1;
        self.restart(cluster);
    }

    /// What was refused, but for what else was on its way from who was caught.
    fn refused(&self) -> Vec<(ValidatorId, Rejection)> {
        let unrequested = |(_, reason): &&(ValidatorId, Rejection)| *reason != Rejection::Unrequested;
        let mut refused: Vec<_> = self.rejections.iter().filter(unrequested).copied().collect();
        refused.sort_unstable();
        refused
    }

    fn slot(&self) -> Slot {
        self.learner.last_executed()
    }

    fn input(&mut self, now: Now, input: Input) {
        let effects = self.learner.handle(now, input);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut inputs = VecDeque::new();
        for effect in effects {
            match effect {
                Effect::Send { to, message: Message::Fetch(fetch) } => self.asked.push((to, fetch)),
                Effect::Execute(execute) => {
                    let parent = self.chain.last().expect("genesis at least");
                    assert_eq!(execute.parent_prefix, parent.prefix);
                    let header = next_header(parent, &execute.payload);
                    let header = self.epochs[epoch_of(&header)].fix_end(header);
                    self.chain.push(header.clone());
                    let slot = execute.slot;
                    inputs.push_back(Input::Executed(Executed {
                        slot,
                        header,
                        settled: vec![],
                        junk_bytes: 0,
                    }));
                }
                Effect::BeginTransfer(offer) => self.transfer = Some((offer, Vec::new())),
                Effect::KeepChunk(chunk) => {
                    let (offer, chunks) = self.transfer.as_mut().expect("begun");
                    assert_eq!(chunk.root(&LeafRule::Open), Some(offer.base.header.state_root));
                    chunks.push(chunk);
                    inputs.push_back(Input::ChunkKept);
                }
                Effect::InstallState(offer) => {
                    let (_, chunks) = self.transfer.take().expect("begun");
                    assert_eq!(chunks.last().map(|chunk| chunk.end()), Some(Progress::Complete));
                    self.chain = vec![offer.base.header.clone()];
                    inputs.push_back(Input::Installed(Box::new(offer.base.header.clone())));
                }
                Effect::Reject { from, reason } => self.rejections.push((from, reason)),
                Effect::Report(report) => self.reports.push(report),
                Effect::Halt(halt) => self.halted = Some(halt),
                Effect::EpochEnds(last) => self.ended = Some(last),
                Effect::SetTimer { timer: Timer::Fetch, .. } => {}
                other => panic!("a learner has no use for {other:?}"),
            }
        }
        for input in inputs {
            self.input(Now::default(), input);
        }
    }

    /// Brings its questions to the cluster and the answers back, `ticks` times until nothing is left to ask.
    fn study(&mut self, cluster: &Cluster, ticks: u64) {
        for tick in 0..ticks {
            let now = Now { monotonic_us: tick * 250_000, wall_ms: 0 };
            // A learner at the end of the chain asks for what is not there yet: that is not answered.
            while !self.asked.is_empty() {
                for (to, fetch) in std::mem::take(&mut self.asked) {
                    self.answer(cluster, now, to, &fetch);
                }
            }
            self.input(now, Input::Timer(Timer::Fetch));
        }
    }

    fn answer(&mut self, cluster: &Cluster, now: Now, to: ValidatorId, fetch: &Fetch) {
        let index = to.index();
        if cluster.nodes[index].replica.is_none() {
            return;
        }
        self.states_asked_for += usize::from(matches!(fetch, Fetch::Snapshot(_)));
        let data: Vec<Data> = match fetch {
            Fetch::Blocks(from) => blocks(cluster, index, *from),
            Fetch::Snapshot(above) => cluster.offer(index, *above).into_iter().collect(),
            Fetch::Chunk(request) => cluster.chunk(index, request).into_iter().collect(),
            Fetch::Payload(_) | Fetch::HighestVotes(_) => panic!("a learner has no use for {fetch:?}"),
        };
        let came = !data.is_empty();
        for data in data {
            let Some(data) = (self.lie)(to, data) else { continue };
            self.hear(cluster, now, to, Message::Data(data));
        }
        let status = Status { last_executed: cluster.replica(index).last_executed(), ..Status::default() };
        if came {
            self.hear(cluster, now, to, Message::Status(status));
        }
    }

    /// A message, in the epoch of its sender.
    fn hear(&mut self, cluster: &Cluster, now: Now, from: ValidatorId, message: Message) {
        let message = cluster.verify(message).expect("well-formed");
        let epoch = cluster.nodes[from.index()].epoch;
        let input = match epoch == self.epoch {
            true => Input::Message { from, message },
            false => Input::OtherEpoch { from, epoch: Epoch(u32::try_from(epoch).expect("few")), message },
        };
        self.input(now, input);
    }

    /// Where it is, its chain is that of the cluster.
    fn assert_follows(&self, cluster: &Cluster) {
        assert_eq!(self.halted, None);
        for header in self.chain.iter().filter(|header| header.slot > Slot(0)) {
            assert_eq!(*header, cluster.nodes[0].blocks[index_of(header.slot)].0);
        }
    }
}

fn epoch_of(header: &Header) -> usize {
    usize::try_from(header.epoch.0).expect("few epochs")
}

/// The sealed blocks of a node from `from` on.
fn blocks(cluster: &Cluster, index: usize, from: Slot) -> Vec<Data> {
    let stored = cluster.nodes[index].blocks.iter().skip(index_of(from)).take(ANSWER);
    let certified = stored.map_while(|(header, payload, certificate)| {
        let block = Block { header: header.clone(), payload: Arc::clone(payload) };
        Some(Data::Block(Arc::new(CertifiedBlock { block, certificate: certificate.clone()? })))
    });
    certified.collect()
}

/// Four validators that have made so many blocks.
fn network(slots: u64) -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.fetches_states = FetchStates::Never;
    cluster.run_to(slots);
    cluster
}

/// The last slot of which node 0 can show SEALs, without a gap.
fn sealed(cluster: &Cluster) -> Slot {
    let count = cluster.nodes[0].blocks.iter().take_while(|block| block.2.is_some()).count();
    Slot(count as u64)
}

/// Fast Paxos and the chapter have learners that are no acceptors: whoever hears what a quorum says knows what is chosen.
/// Here two who hear from different validators, have no key and are never asked anything learn what all acceptors chose.
#[test]
fn learners_apart_from_acceptors_learn_what_the_acceptors_chose() {
    let mut cluster = network(100);
    let mut students = [Student::start(&cluster), Student::start(&cluster)];
    students[0].lie = Box::new(|from, data| (from == id(1)).then_some(data));
    students[1].lie = Box::new(|from, data| (from == id(2)).then_some(data));
    let spoken = cluster.checked.clone();
    for student in &mut students {
        student.study(&cluster, 40);
        assert!(student.slot() >= sealed(&cluster), "{}", student.slot());
        student.assert_follows(&cluster);
    }
    assert_eq!(cluster.checked, spoken, "no acceptor had to say anything for it");
    // And it goes on, with a validator less: who learns is in no quorum.
    cluster.crash(3);
    cluster.run_to(120);
    students[0].study(&cluster, 40);
    assert!(students[0].slot() >= Slot(118), "{}", students[0].slot());
    students[0].assert_follows(&cluster);
}

/// Each row is a lie about a block or a state. The liar is counted and passed over.
#[test]
fn source_that_lies_is_counted_and_left_for_another() {
    fn check(what: &str, expected: Rejection, lie: fn(Data) -> Data) {
        let cluster = network(60);
        let mut student = Student::start_with(
            &cluster,
            Box::new(move |from, data| Some(if from == id(0) { lie(data) } else { data })),
        );
        student.study(&cluster, 40);
        assert_eq!(student.refused(), [(id(0), expected)], "{what}");
        assert!(student.slot() >= sealed(&cluster), "{what}: {}", student.slot());
        student.assert_follows(&cluster);
    }
    fn altered(data: Data, change: fn(&mut CertifiedBlock)) -> Data {
        let Data::Block(block) = data else { return data };
        let mut block = CertifiedBlock::clone(&block);
        change(&mut block);
        Data::Block(Arc::new(block))
    }
    check("another state", Rejection::BadBlock, |data| {
        altered(data, |block| block.block.header.state_root = Digest([7; 32]))
    });
    check("another payload", Rejection::BadBlock, |data| {
        altered(data, |block| block.block.header.batch = Digest([7; 32]))
    });
    check("seals on another header, and the header with them", Rejection::BadBlock, |data| {
        altered(data, |block| {
            block.block.header.state_root = Digest([7; 32]);
            block.certificate.body.header = block.block.header.hash();
        })
    });
    check("a block of another chain", Rejection::BadBlock, |data| {
        altered(data, |block| {
            block.block.header.chain_id = Digest([7; 32]);
            block.certificate.body.header = block.block.header.hash();
        })
    });
}

#[test]
fn block_with_f_seals_is_refused_and_one_with_f_plus_1_taken() {
    let cluster = network(20);
    for (seals, taken) in [(1, false), (2, true)] {
        let few = move |_: ValidatorId, data: Data| {
            let Data::Block(block) = data else { return Some(data) };
            let mut block = CertifiedBlock::clone(&block);
            let signers: Vec<_> = block.certificate.signers.iter().take(seals).collect();
            block.certificate.signers = signers.into_iter().collect();
            block.certificate.signatures.truncate(seals);
            Some(Data::Block(Arc::new(block)))
        };
        let mut student = Student::start_with(&cluster, Box::new(few));
        student.study(&cluster, 40);
        assert_eq!(student.slot() > Slot(0), taken, "{seals} seals");
        assert_eq!(student.rejections.is_empty(), taken);
    }
}

#[test]
fn learner_far_behind_follows_from_a_state_and_goes_on_through_a_restart() {
    let mut cluster = network(150);
    cluster.fetches_states = FetchStates::WhenNew;
    // The first state is cut off in the middle.
    let mut student = Student::start(&cluster);
    let cut = |_: ValidatorId, data: Data| match &data {
        Data::Chunk(chunk) if chunk.from.0[0] >= 0x80 => None,
        // Blocks come from slot 140 on alone: who has no state waits.
        Data::Block(block) => (block.block.header.slot > Slot(140)).then_some(data),
        _ => Some(data),
    };
    student.lie = Box::new(cut);
    student.study(&cluster, 40);
    assert_eq!(student.slot(), Slot(0));
    let kept = student.transfer.as_ref().map(|(_, chunks)| chunks.len());
    assert_eq!(kept, Some(2), "half of the state is kept");
    student.lie = Box::new(|_, data| Some(data));
    student.restart(&cluster);
    student.study(&cluster, 40);
    assert_eq!(student.chain.first().map(|header| header.slot), Some(Slot(128)));
    assert!(student.slot() >= sealed(&cluster));
    student.assert_follows(&cluster);
}

#[test]
fn chunks_and_offers_that_prove_nothing_are_refused() {
    let mut cluster = network(150);
    cluster.fetches_states = FetchStates::WhenBehind;
    let lie = |from: ValidatorId, data: Data| match data {
        Data::Chunk(chunk) if from == id(0) => {
            let mut chunk = StateChunk::clone(&chunk);
            chunk.entries.pop();
            Some(Data::Chunk(Arc::new(chunk)))
        }
        Data::Snapshot(offer) if from == id(1) => {
            let mut offer = SnapshotOffer::clone(&offer);
            offer.base.header.state_root = Digest([7; 32]);
            offer.base.certificate.body.header = offer.base.header.hash();
            Some(Data::Snapshot(Arc::new(offer)))
        }
        Data::Block(block) if block.block.header.slot <= Slot(100) => None,
        data => Some(data),
    };
    let mut student = Student::start_with(&cluster, Box::new(lie));
    student.study(&cluster, 80);
    assert_eq!(student.refused(), [(id(0), Rejection::BadChunk), (id(1), Rejection::BadOffer)]);
    assert!(student.slot() >= sealed(&cluster));
    student.assert_follows(&cluster);
}

/// Whatever is lost, altered and cut off on the way: what a learner has is what the validators have, root by root, and once the
/// faults are over it gets to the end.
#[test]
fn roots_of_a_learner_are_those_of_the_validators_whatever_its_sources_do() {
    let mut cluster = network(90);
    for seed in 0..40_u64 {
        cluster.fetches_states = if seed % 2 == 0 { FetchStates::Never } else { FetchStates::WhenBehind };
        let draws = Cell::new(seed);
        let chance = move |one_in: u8| {
            draws.set(draws.get() + 1_000);
            h("draw", &[&draws.get().to_be_bytes()]).0[0].is_multiple_of(one_in)
        };
        let faulty = move |_: ValidatorId, data: Data| match data {
            _ if chance(4) => None,
            Data::Block(block) if chance(6) => {
                let mut block = CertifiedBlock::clone(&block);
                block.block.header.state_root = Digest([7; 32]);
                if chance(2) {
                    block.certificate.body.header = block.block.header.hash();
                }
                Some(Data::Block(Arc::new(block)))
            }
            Data::Chunk(chunk) if chance(3) => {
                let mut chunk = StateChunk::clone(&chunk);
                chunk.entries.pop();
                Some(Data::Chunk(Arc::new(chunk)))
            }
            data => Some(data),
        };
        let mut student = Student::start_with(&cluster, Box::new(faulty));
        for _ in 0..5 {
            student.study(&cluster, 10);
            student.restart(&cluster);
            student.assert_follows(&cluster);
        }
        student.lie = Box::new(|_, data| Some(data));
        student.study(&cluster, 60);
        student.assert_follows(&cluster);
        assert!(student.slot() >= sealed(&cluster), "seed {seed}: {}", student.slot());
    }
}

#[test]
fn message_of_nobody_that_was_asked_does_nothing() {
    let cluster = network(20);
    let mut config = Student::config(&cluster, 0);
    config.sources = [id(0), id(1)].into();
    let tip = LearnerTip { header: genesis_header(), seals: None, transfer: None };
    let (mut learner, _) = Learner::start(config, Now::default(), tip);
    let block = blocks(&cluster, 0, Slot(1)).remove(0);
    for (from, reason) in [(id(1), Rejection::Unrequested), (id(2), Rejection::Stranger)] {
        let message = cluster.verify(Message::Data(block.clone())).expect("well-formed");
        let effects = learner.handle(Now::default(), Input::Message { from, message });
        assert_eq!(effects, [Effect::Reject { from, reason }]);
    }
}

/// Four validators of which the last gets another key behind slot 24, and how far they have come.
fn network_over_the_end(slots: u64) -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.fetches_states = FetchStates::Never;
    assert_eq!(cluster.plan(5, &[0, 1, 2, 13]), 24);
    cluster.run_to(slots);
    cluster
}

/// Sources that are an epoch ahead show the blocks that end the learner's own, and are believed by its validators' SEALs alone.
#[test]
fn learner_follows_over_the_end_of_an_epoch_whose_validators_have_left_it() {
    let cluster = network_over_the_end(60);
    let mut student = Student::start(&cluster);
    student.study(&cluster, 10);
    assert_eq!(student.slot(), Slot(24), "SEALs of the next epoch's validators prove nothing in this one");
    assert!(student.refused().iter().all(|(_, reason)| *reason == Rejection::OtherEpoch), "nobody lied");
    assert!(student.asked.is_empty(), "it takes no more input, and asks nothing");
    student.go_over(&cluster);
    student.study(&cluster, 20);
    assert!(student.slot() >= sealed(&cluster) && student.slot() > Slot(40), "{}", student.slot());
    student.assert_follows(&cluster);
}

/// The epoch ended, and the power went before anybody wrote who comes next.
#[test]
fn learner_that_stops_behind_the_last_block_of_an_epoch_ends_it_at_its_start() {
    let cluster = network_over_the_end(60);
    let mut student = Student::start(&cluster);
    student.study(&cluster, 10);
    let last = student.ended.take().expect("the end");
    student.restart(&cluster);
    assert_eq!(student.ended, Some(last));
    // Behind it the same block ends nothing.
    student.go_over(&cluster);
    assert_eq!(student.ended, None);
}

/// SEALs by f+1 of the validators that come next do not end an epoch, nor do their states lead there.
#[test]
fn validators_of_the_next_epoch_end_none_and_their_states_are_not_asked_for() {
    let mut cluster = network_over_the_end(150);
    cluster.fetches_states = FetchStates::WhenBehind;
    // Nobody has the last block of the epoch any more.
    let late = |_: ValidatorId, data: Data| match &data {
        Data::Block(block) => (block.block.header.slot != Slot(24)).then_some(data),
        _ => Some(data),
    };
    let mut student = Student::start_with(&cluster, Box::new(late));
    student.study(&cluster, 80);
    assert_eq!((student.slot(), student.ended.clone()), (Slot(23), None));
    assert_eq!(student.learner.honest_sources_in(), Epoch(1));
    assert!(student.refused().iter().all(|(_, reason)| *reason == Rejection::OtherEpoch), "nobody lied");
    assert_eq!(student.states_asked_for, 0);
}

/// f sources that claim to be in a later epoch keep nobody from a state, and a state of another epoch is no lie.
#[test]
fn claim_of_a_later_epoch_needs_more_than_f_and_its_state_is_no_lie() {
    let mut cluster = network_over_the_end(150);
    cluster.fetches_states = FetchStates::WhenBehind;
    let mut student = Student::start(&cluster);
    let status =
        |executed| VerifiedMessage::Status(Status { last_executed: Slot(executed), ..Status::default() });
    let alone = Input::OtherEpoch { from: id(1), epoch: Epoch(9), message: status(u64::MAX) };
    student.input(Now::default(), alone);
    for honest in [0, 2, 3] {
        student.input(Now::default(), Input::Message { from: id(honest), message: status(150) });
    }
    let honest = (student.learner.honest_sources_at(), student.learner.honest_sources_in());
    assert_eq!(honest, (Slot(150), Epoch(0)));
    student.asked.clear();
    student.input(Now::default(), Input::Timer(Timer::Fetch));
    assert!(student.asked.contains(&(id(0), Fetch::Snapshot(Slot(0)))), "{:?}", student.asked);
    let offer = cluster.offer(0, Slot(0)).expect("a state of epoch 1");
    student.hear(&cluster, Now::default(), id(0), Message::Data(offer));
    assert_eq!(student.rejections, [(id(0), Rejection::OtherEpoch)]);
}
