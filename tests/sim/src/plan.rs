//! What a seed stands for: the size, the constants, which faults strike and how hard, who is Byzantine.
//!
//! Each seed draws a random subset of faults with random strength ("swarm testing"): runs in which everything
//! goes wrong at once seldom get far enough to show the deeper errors.

use carat_consensus::FetchStates;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::{Quorum, ValidatorId};

use crate::crypto::Scheme;
use crate::epochs::EpochPlan;
use crate::ledger::LedgerKind;
use crate::mix::mix;
use crate::rng::Rng;

/// Microseconds in a millisecond and in a second.
pub const MS: u64 = 1_000;
/// Microseconds in a second.
pub const SECOND: u64 = 1_000 * MS;

/// Sets the choice of signers apart from all else that a seed decides.
const SIGNERS: u64 = 0x5163;
/// The same of bodies, and of those who lie about them.
const BODIES: u64 = 0xb0d1;
const BODY_LIARS: u64 = 0xb0d2;
/// The same for the seeds in which slots are executed tentatively.
const REPLIES: u64 = 0x7265;

/// Numbers of validators, as often as they are drawn.
const SIZES: [u16; 40] = {
    let mut sizes = [4; 40];
    let others = [1, 1, 1, 5, 5, 5, 7, 7, 7, 7, 7, 7, 10, 13];
    let mut index = 0;
    while index < others.len() {
        sizes[index] = others[index];
        index += 1;
    }
    sizes
};

/// Everything about a run that is decided before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Validators.
    pub n: u16,
    /// Constants of the core.
    pub params: ConsensusConstants,
    /// What validators act on.
    pub trust: Trust,
    /// Signatures.
    pub scheme: Scheme,
    /// What executes blocks.
    pub ledger: LedgerKind,
    /// Whether every message is decoded from its bytes and compared.
    pub round_trip: bool,
    /// How long faults strike, in microseconds.
    pub chaos_us: u64,
    /// Network faults.
    pub network: NetworkPlan,
    /// Disk and process faults.
    pub process: ProcessPlan,
    /// Clients.
    pub clients: ClientPlan,
    /// Who lies, and how.
    pub adversaries: Vec<(ValidatorId, Behaviour)>,
    /// Whether the adversaries go on lying in the end phase; else they stop for good.
    pub adversaries_survive: bool,
    /// One validator is cut off while the others change views without end, and is needed when some of these die.
    pub latecomer: bool,
    /// A bit of one validator's journal flips: one of those that may be lost for good.
    pub disk_rots: bool,
    /// One validator loses its blocks and its state, and has to fetch them.
    pub store_lost: bool,
    /// When validators fetch a state.
    pub fetches_states: FetchStates,
    /// Whether the validators' keys are with signers, processes of their own.
    pub signs_elsewhere: bool,
    /// Whether transactions are spread in bodies; else they are gossiped, and the leader attaches them.
    pub spreads_bodies: bool,
    /// Whether slots are executed before they are final, and clients told.
    pub tentative: bool,
    /// The epochs above the first.
    pub epochs: Vec<EpochPlan>,
    /// One validator is cut off while epochs go by, until the faults end.
    pub sleeper: bool,
    /// Proposers that are machines of their own; 0 where each validator runs one.
    pub edge: u16,
    /// Which of those lie, and how.
    pub edge_liars: Vec<(ValidatorId, Behaviour)>,
}

/// How the network treats messages.
#[derive(Clone, Copy, Debug)]
pub struct NetworkPlan {
    /// Shortest delay. **Units**: microseconds, as all here.
    pub delay_min: u64,
    /// Longest usual delay.
    pub delay_max: u64,
    /// Per mille of messages that take up to twenty times as long.
    pub straggler: u64,
    /// Per mille of messages lost.
    pub loss: u64,
    /// Per mille of messages delivered twice.
    pub duplicate: u64,
    /// Whether messages of one link keep their order.
    pub ordered: bool,
    /// Per mille of (view, kind of vote, link) on which nothing of that kind gets through while the view lasts. It
    /// leaves slots half voted, half certified, in one view after another: what the rule of section 7.3 is for.
    pub withheld: u64,
    /// Mean time between clogs of one link, in which nothing arrives until it ends; 0 for none.
    pub clog_every: u64,
    /// Longest clog.
    pub clog_max: u64,
    /// Mean time between partitions; 0 for none.
    pub partition_every: u64,
    /// Longest partition.
    pub partition_max: u64,
}

/// How processes and disks behave.
#[derive(Clone, Copy, Debug)]
pub struct ProcessPlan {
    /// Longest sync of the journal.
    pub sync_max: u64,
    /// Longest execution of a block.
    pub execute_max: u64,
    /// Mean time between crashes of some validator; 0 for none.
    pub crash_every: u64,
    /// Longest time that a crashed validator stays down.
    pub down_max: u64,
    /// Per million performed effects after which the validator crashes at once.
    pub crash_at_effect: u64,
    /// Whether timers are set as soon as they are asked for, instead of behind the journal: they promise nothing.
    pub timers_at_once: bool,
    /// Largest difference of a wall clock from the true time, in milliseconds.
    pub skew_ms: u64,
    /// Mean time between jumps of wall clocks; 0 for none.
    pub jump_every: u64,
    /// Farthest jump, in milliseconds.
    pub jump_max_ms: u64,
}

/// What clients do.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlan {
    /// Number of clients.
    pub count: u64,
    /// Mean time between a client's transactions.
    pub every: u64,
    /// Time after which a client sends the same bytes to all validators.
    pub retry: u64,
    /// Per mille of transactions that come with a competitor for the same number.
    pub double_spend: u64,
    /// Per mille of transactions that expire soon.
    pub expiring: u64,
}

/// How a faulty validator misbehaves: the named strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Runs, but most of what it says gets lost, a different part for each receiver.
    SelectiveSender,
    /// As leader, proposes two values for a slot to different halves; as acceptor, votes for both.
    Equivocator,
    /// Honest acceptor whose *proposer* equivocates: an untrusted proxy. All commit rules must hold, FAST too.
    BadProposer,
    /// As leader, shows another value to one victim, and its vote to one confidant, so that a certificate exists at
    /// few; then claims high votes for the victim's value in every later view change.
    Schemer,
    /// Votes so that FAST is met, and denies every vote afterwards.
    FastPathLiar,
    /// Leaves votes, certificates and checkpoints out of its VIEW-CHANGEs, or claims votes that never were.
    ViewChangeLiar,
    /// As new leader, sends different or invalid NEW-VIEWs, and withholds what it should send.
    NewViewLiar,
    /// Hears of no new view: goes on in old ones, and repeats what was said in them.
    StaleView,
    /// Calls for the next view all the time.
    ViewPusher,
    /// Votes for whatever anybody proposes or votes for, seals whatever anybody seals.
    YesSayer,
    /// Repeats old messages of everybody, sends its own with fields at their extremes, floods.
    Spammer,
    /// Loses its journal at every restart and crashes often.
    Amnesiac,
    /// Shows certificates that prove nothing: forged, too few, of another slot, PREPAREs as COMMITs.
    CertificateForger,
    /// Claims a great height, and answers with forged blocks or not at all.
    SyncLiar,
    /// Seals what never was, and shows checkpoints that nobody sealed.
    CheckpointLiar,
    /// Says everything late, proposals just under the time-out.
    Slow,
    /// Orders nothing but heartbeats.
    HeartbeatCensor,
    /// Orders nothing of half of the clients.
    Censor,
    /// Another strategy for each message.
    Mixed,
    /// Speaks for whoever had the keys that an epoch has removed.
    KeyThief,
    /// Spreads another body to each, claims to hold what it does not, and proposes what nobody has.
    BodyLiar,
}

impl Behaviour {
    /// Every strategy that needs no second epoch.
    pub const ALL: [Behaviour; 19] = [
        Behaviour::SelectiveSender,
        Behaviour::Equivocator,
        Behaviour::BadProposer,
        Behaviour::Schemer,
        Behaviour::FastPathLiar,
        Behaviour::ViewChangeLiar,
        Behaviour::NewViewLiar,
        Behaviour::StaleView,
        Behaviour::ViewPusher,
        Behaviour::YesSayer,
        Behaviour::Spammer,
        Behaviour::Amnesiac,
        Behaviour::CertificateForger,
        Behaviour::SyncLiar,
        Behaviour::CheckpointLiar,
        Behaviour::Slow,
        Behaviour::HeartbeatCensor,
        Behaviour::Censor,
        Behaviour::Mixed,
    ];

    /// Those that twist messages: what a mixed one draws from.
    pub const SPEAKING: [Behaviour; 12] = [
        Behaviour::SelectiveSender,
        Behaviour::Equivocator,
        Behaviour::Schemer,
        Behaviour::FastPathLiar,
        Behaviour::ViewChangeLiar,
        Behaviour::NewViewLiar,
        Behaviour::ViewPusher,
        Behaviour::YesSayer,
        Behaviour::Spammer,
        Behaviour::CertificateForger,
        Behaviour::SyncLiar,
        Behaviour::CheckpointLiar,
    ];

    /// Those of a proposer beside an acceptor that at worst crashes, or that loses or delays what it says or hears: all
    /// that a network with `trust = crash` is run to survive. Acceptor and proposer are one process here, so no
    /// strategy is allowed that lets the acceptor's key sign a lie, or that forgets what it signed.
    pub const OF_PROPOSERS: [Behaviour; 7] = [
        Behaviour::BadProposer,
        Behaviour::NewViewLiar,
        Behaviour::SelectiveSender,
        Behaviour::StaleView,
        Behaviour::Slow,
        Behaviour::HeartbeatCensor,
        Behaviour::Censor,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::SelectiveSender => "selective-send",
            Behaviour::Equivocator => "equivocate",
            Behaviour::BadProposer => "bad-proposer",
            Behaviour::Schemer => "schemer",
            Behaviour::FastPathLiar => "fast-path-liar",
            Behaviour::ViewChangeLiar => "view-change-liar",
            Behaviour::NewViewLiar => "new-view-liar",
            Behaviour::StaleView => "stale-view",
            Behaviour::ViewPusher => "view-pusher",
            Behaviour::YesSayer => "yes-sayer",
            Behaviour::Spammer => "spam",
            Behaviour::Amnesiac => "amnesia",
            Behaviour::CertificateForger => "wrong-certificate",
            Behaviour::SyncLiar => "sync-liar",
            Behaviour::CheckpointLiar => "checkpoint-liar",
            Behaviour::Slow => "slow",
            Behaviour::HeartbeatCensor => "heartbeat-only-censor",
            Behaviour::Censor => "censor",
            Behaviour::Mixed => "mixed",
            Behaviour::KeyThief => "key-thief",
            Behaviour::BodyLiar => "body-liar",
        }
    }

    /// The strategy of this name.
    pub fn named(name: &str) -> Option<Behaviour> {
        let others = [Behaviour::KeyThief, Behaviour::BodyLiar];
        Behaviour::ALL.into_iter().chain(others).find(|behaviour| behaviour.name() == name)
    }

    /// Whether it is most dangerous where few know what was voted and certified: a lie in a VIEW-CHANGE counts only if
    /// the truth is known to one or two.
    fn thrives_on_withheld_votes(self) -> bool {
        matches!(
            self,
            Behaviour::ViewChangeLiar
                | Behaviour::Equivocator
                | Behaviour::YesSayer
                | Behaviour::Schemer
                | Behaviour::FastPathLiar
        )
    }

    /// Whether the validator's votes can still be relied upon, and when they are due.
    pub fn acceptor_is_correct(self) -> bool {
        self == Behaviour::BadProposer
    }

    /// Whether its acceptor says nothing false: assumption A-crash.
    pub fn acceptor_only_crashes(self) -> bool {
        Behaviour::OF_PROPOSERS.contains(&self)
    }
}

impl Plan {
    /// The plan of a seed. `n` overrides the number of validators, `adversary` what the liars do (and that there is one),
    /// `trust` what validators act on.
    pub fn of(seed: u64, n: Option<u16>, adversary: Option<Behaviour>, trust: Option<Trust>) -> Plan {
        let mut rng = Rng::new(seed ^ 0x0c0f_fee0_ca7a_7000);
        let drawn = SIZES[rng.index(SIZES.len())];
        let n = n.unwrap_or(drawn);
        let checkpoint_interval = rng.pick(&[2, 4, 8, 16]);
        let params = ConsensusConstants {
            checkpoint_interval,
            window: checkpoint_interval * rng.pick(&[2, 2, 3, 4]),
            term: checkpoint_interval * rng.pick(&[2, 8, 64]),
            pipeline: rng.pick(&[1, 2, 4, 8]),
            timeout_ms: rng.pick(&[250, 1_000]),
            heartbeat_ms: rng.pick(&[100, 1_000]),
            ..ConsensusConstants::default()
        };
        let mut adversaries = draw_adversaries(n, adversary, &mut rng);
        let trust = trust.unwrap_or_else(|| draw_trust(seed, adversary));
        if trust == Trust::Crash {
            for (_, behaviour) in &mut adversaries {
                if !behaviour.acceptor_only_crashes() {
                    *behaviour = rng.pick(&Behaviour::OF_PROPOSERS);
                }
            }
        }
        let mut network = NetworkPlan::draw(&mut rng);
        if adversaries.iter().any(|(_, behaviour)| behaviour.thrives_on_withheld_votes()) && rng.chance(800) {
            network.withheld = rng.between(300, 900);
        }
        Plan {
            seed,
            n,
            params,
            trust,
            scheme: if rng.chance(10) { Scheme::Ed25519 } else { Scheme::Mock },
            ledger: if rng.chance(50) { LedgerKind::Real } else { LedgerKind::Model },
            round_trip: rng.chance(60),
            chaos_us: rng.between(5, 30) * SECOND,
            network,
            process: ProcessPlan::draw(&mut rng),
            clients: ClientPlan::draw(&mut rng),
            adversaries,
            adversaries_survive: rng.chance(500),
            latecomer: false,
            disk_rots: false,
            store_lost: false,
            fetches_states: FetchStates::WhenBehind,
            // Not drawn: every other choice of a seed stays what it was.
            signs_elsewhere: mix(seed, SIGNERS).is_multiple_of(5),
            spreads_bodies: mix(seed, BODIES).is_multiple_of(3) || adversary == Some(Behaviour::BodyLiar),
            tentative: mix(seed, REPLIES).is_multiple_of(4),
            epochs: Vec::new(),
            sleeper: false,
            edge: 0,
            edge_liars: Vec::new(),
        }
        .with_bodies()
        .with_rare_faults(&mut rng)
    }

    /// A body takes a transaction two message delays and a sync more: with the slowest disks and links of a seed longer than the
    /// shorter T0. In some runs with bodies, it is about them that is lied.
    fn with_bodies(mut self) -> Plan {
        if self.spreads_bodies {
            self.params.timeout_ms = 1_000;
        }
        if self.spreads_bodies && self.trust == Trust::Bft && mix(self.seed, BODY_LIARS).is_multiple_of(3) {
            self.adversaries.iter_mut().for_each(|(_, behaviour)| *behaviour = Behaviour::BodyLiar);
        }
        self
    }

    /// In a few runs nothing else happens but that views go by at once, without one of the validators; in others a disk
    /// rots.
    fn with_rare_faults(mut self, rng: &mut Rng) -> Plan {
        let spare = usize::from((self.n - 1) / 3) > self.adversaries.len();
        self.latecomer = spare && rng.chance(30);
        if self.latecomer {
            self.params.checkpoint_interval = 2;
            (self.params.window, self.params.term, self.params.heartbeat_ms) = (4, 4, 100);
            (self.clients.every, self.chaos_us) = (50 * MS, rng.between(40, 60) * SECOND);
            (self.process.crash_every, self.process.crash_at_effect) = (0, 0);
            (self.network.partition_every, self.network.withheld) = (0, 0);
        }
        self.disk_rots = spare && !self.latecomer && rng.chance(100);
        self.store_lost = spare && !self.latecomer && !self.disk_rots && rng.chance(100);
        if self.store_lost {
            // Small steps, so that there is something to be far behind of.
            self.params.checkpoint_interval = 2;
            (self.params.window, self.params.heartbeat_ms) = (2 * rng.pick(&[2, 3, 4]), 100);
            self.params.term = self.params.term.max(8);
            self.chaos_us = self.chaos_us.max(20 * SECOND);
        }
        if rng.chance(500) {
            self.fetches_states = FetchStates::WhenNew;
        }
        self
    }

    /// The thresholds of the first epoch, recomputed from the plan's size by its users' own means.
    ///
    /// **Panics** if the plan was made for an impossible size.
    pub fn quorum(&self) -> Quorum {
        Quorum::of(usize::from(self.n)).expect("a possible number of validators")
    }

    /// How `id` misbehaves, if it does.
    pub fn behaviour(&self, id: ValidatorId) -> Option<Behaviour> {
        let liars = self.adversaries.iter().chain(&self.edge_liars);
        liars.into_iter().find(|(liar, _)| *liar == id).map(|(_, behaviour)| *behaviour)
    }

    /// Whether every acceptor is at worst crashing: assumption A-crash of the specification.
    pub fn acceptors_only_crash(&self) -> bool {
        self.adversaries.iter().all(|(_, behaviour)| behaviour.acceptor_only_crashes())
    }
}

/// A fault that strikes in about half of the runs.
fn maybe(rng: &mut Rng, low: u64, high: u64) -> u64 {
    if rng.chance(500) { rng.between(low, high) } else { 0 }
}

impl NetworkPlan {
    fn draw(rng: &mut Rng) -> Self {
        let delay_min = rng.pick(&[50, 500, 5 * MS, 20 * MS]);
        NetworkPlan {
            delay_min,
            delay_max: delay_min * rng.pick(&[1, 2, 5]),
            straggler: maybe(rng, 1, 100),
            loss: maybe(rng, 1, 300),
            duplicate: maybe(rng, 1, 200),
            ordered: rng.chance(300),
            withheld: maybe(rng, 100, 700),
            clog_every: maybe(rng, SECOND / 10, 4 * SECOND),
            clog_max: rng.between(SECOND / 10, 5 * SECOND),
            partition_every: maybe(rng, SECOND, 8 * SECOND),
            partition_max: rng.between(SECOND / 2, 6 * SECOND),
        }
    }

    /// A network without faults, with the same delays or those of T0/8: the end phase.
    #[must_use]
    pub fn calm(self, timeout_us: u64) -> Self {
        let delay_max = self.delay_max.min(timeout_us / 8);
        let delay_min = self.delay_min.min(delay_max);
        let (straggler, loss, duplicate, withheld) = (0, 0, 0, 0);
        let (clog_every, partition_every) = (0, 0);
        NetworkPlan {
            delay_min,
            delay_max,
            straggler,
            loss,
            duplicate,
            withheld,
            clog_every,
            partition_every,
            ..self
        }
    }
}

impl ProcessPlan {
    fn draw(rng: &mut Rng) -> Self {
        ProcessPlan {
            sync_max: rng.pick(&[100, 2 * MS, 10 * MS, 40 * MS]),
            execute_max: rng.pick(&[100, 5 * MS, 50 * MS]),
            crash_every: maybe(rng, SECOND / 2, 8 * SECOND),
            down_max: rng.between(10 * MS, 6 * SECOND),
            crash_at_effect: maybe(rng, 100, 3_000),
            timers_at_once: rng.chance(500),
            skew_ms: maybe(rng, 1, 2_000),
            jump_every: if rng.chance(200) { rng.between(SECOND, 8 * SECOND) } else { 0 },
            jump_max_ms: rng.pick(&[6_000, 60_000, 2_592_000_000]),
        }
    }

    /// The same machines without crashes.
    #[must_use]
    pub fn calm(self) -> Self {
        ProcessPlan { crash_every: 0, crash_at_effect: 0, jump_every: 0, ..self }
    }
}

impl ClientPlan {
    fn draw(rng: &mut Rng) -> Self {
        ClientPlan {
            count: rng.between(1, 6),
            every: rng.pick(&[50 * MS, 200 * MS, SECOND]),
            retry: rng.pick(&[SECOND, 3 * SECOND]),
            double_spend: maybe(rng, 10, 200),
            expiring: maybe(rng, 10, 100),
        }
    }
}

/// In an eighth of the seeds whose liars nobody chose, acceptors only crash and FAST decides.
fn draw_trust(seed: u64, adversary: Option<Behaviour>) -> Trust {
    let chosen = adversary.is_none_or(Behaviour::acceptor_only_crashes);
    // A generator of its own: the other seven eighths are what they were before there was a choice.
    if chosen && Rng::new(seed ^ 0x7275_7374).chance(125) { Trust::Crash } else { Trust::Bft }
}

fn draw_adversaries(n: u16, wanted: Option<Behaviour>, rng: &mut Rng) -> Vec<(ValidatorId, Behaviour)> {
    let faults = (n - 1) / 3;
    let count =
        if wanted.is_some() || rng.chance(600) { rng.between(1, u64::from(faults).max(1)) } else { 0 };
    let mut ids: Vec<ValidatorId> = (0..n).map(ValidatorId).collect();
    rng.shuffle(&mut ids);
    ids.truncate(usize::try_from(count).unwrap_or(0).min(usize::from(faults)));
    ids.into_iter().map(|id| (id, wanted.unwrap_or_else(|| rng.pick(&Behaviour::ALL)))).collect()
}
