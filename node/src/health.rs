//! How this node is, in numbers and in words: what `/status`, `/consensus`, `/readyz` and `/livez` say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use carat_consensus::effect::Trigger;
use carat_network::Network;
use carat_network::stats::HandshakeFailure;
use carat_storage::store::Store;
use carat_types::genesis::Trust;
use carat_types::header::Header;
use carat_types::receipt::{Assumption, Rule};
use carat_types::{Quorum, Slot, ValidatorId};
use serde::Serialize;

use crate::clock::Clock;
use crate::core_loop::{Standing, as_gauge};
use crate::diagnosis::{Diagnosis, Heard, Observed};
use crate::evidence::alarms;
use crate::follow::FollowerStatus;
use crate::metrics::Metrics;
use crate::role::{Role, Who};

/// What health is judged by.
pub struct Health {
    /// This node's number among the processes of the network.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// What it does in its network.
    pub role: Role,
    /// The thresholds of the network.
    pub quorum: Quorum,
    /// What its validators act on.
    pub trust: Trust,
    /// Longest time without a newly final slot that is still healthy, microseconds: heartbeat and view time-outs.
    pub patience_us: u64,
    /// Checkpoint interval: how far behind its peers a validator may be.
    pub checkpoint_interval: u64,
    /// The event loop's last word.
    pub standing: Arc<RwLock<Standing>>,
    /// Header of the last executed block.
    pub tip: Arc<RwLock<Header>>,
    /// For the alarms that were kept.
    pub store: Arc<Store>,
    /// Peers that frames reach now.
    pub connected: Mutex<BTreeSet<u16>>,
    /// Every other process of the network.
    pub peers: Vec<u16>,
    /// For its counters.
    pub network: Arc<Network>,
    /// Whether somebody signs.
    pub signs: Arc<AtomicBool>,
    /// The clocks.
    pub clock: Clock,
}

/// Whether the validator is of use, and if not, why.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// Agrees with a quorum and progresses.
    pub ready: bool,
    /// State in a word: booting, synced, catching-up, no-quorum, stalled, changing-view, no-signer.
    pub state: &'static str,
    /// Everything that is wrong, in sentences.
    pub reasons: Vec<String>,
}

/// The whole status.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    #[serde(flatten)]
    who: Who,
    name: String,
    version: &'static str,
    #[serde(flatten)]
    readiness: Readiness,
    view: u64,
    /// The number of the leader's process.
    leader: u16,
    role: &'static str,
    active: bool,
    slot: u64,
    ledger: u32,
    stable: u64,
    last_final: u64,
    peers_at: u64,
    pending: usize,
    header: String,
    state_root: String,
    /// Of the highest class: what FAST decided was given up.
    alarms: Vec<String>,
    trust: Trust,
    /// On which everything said here rests.
    assumption: String,
    time_ms: u64,
    uptime_ms: u64,
    peers: Vec<PeerStatus>,
}

/// What is shown at `/status`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// By a validator.
    Validator(Box<Status>),
    /// By a node that follows.
    Follower(Box<FollowerStatus>),
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PeerStatus {
    #[serde(flatten)]
    who: Who,
    connected: bool,
}

/// Consensus as this node sees it: `/consensus`.
#[derive(Clone, Debug, Serialize)]
pub struct Consensus {
    #[serde(flatten)]
    who: Who,
    /// The number of the leader's process.
    leader: u16,
    quorum: usize,
    idle_ms: u64,
    own: ViewState,
    peers: Vec<PeerState>,
    diagnosis: Diagnosis,
    alarms: Vec<String>,
}

/// The network as this validator sees it, in the numbers that the pulse puts together.
pub(crate) struct NetworkView {
    pub(crate) leader: u16,
    pub(crate) view: u64,
    pub(crate) ledger: u32,
    pub(crate) slot: u64,
    pub(crate) state_root: String,
    pub(crate) idle_ms: u64,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) alarms: Vec<String>,
    pub(crate) assumption: String,
    /// All processes in order, this one among them.
    pub(crate) peers: Vec<Peer>,
}

/// One process as it is heard here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) process: u16,
    pub(crate) connected: bool,
    pub(crate) heard_ms_ago: Option<u64>,
    /// The view that it takes part in or moves to.
    pub(crate) view: Option<u64>,
    pub(crate) executed: Option<u64>,
}

/// Where a validator stands.
#[derive(Clone, Debug, Serialize)]
struct ViewState {
    view: u64,
    active: bool,
    stable: u64,
    last_final: u64,
    last_executed: u64,
    highest_vote: u64,
    highest_commit: u64,
}

impl ViewState {
    fn of(status: &carat_types::message::Status) -> Self {
        ViewState {
            view: status.view.0,
            active: status.active,
            stable: status.stable.0,
            last_final: status.last_final.0,
            last_executed: status.last_executed.0,
            highest_vote: status.highest_vote.0,
            highest_commit: status.highest_commit.0,
        }
    }
}

/// A peer as it is heard here.
#[derive(Clone, Debug, Serialize)]
struct PeerState {
    #[serde(flatten)]
    who: Who,
    connected: bool,
    heard_ms_ago: Option<u64>,
    state: Option<ViewState>,
    /// The highest view for which it signed a VIEW-CHANGE.
    view_change: u64,
}

impl PeerState {
    fn of(who: Who, (connected, heard): &(bool, Option<Heard>), now_us: u64) -> Self {
        PeerState {
            who,
            connected: *connected,
            heard_ms_ago: heard.map(|heard| now_us.saturating_sub(heard.at_us) / 1_000),
            state: heard.map(|heard| ViewState::of(&heard.status)),
            view_change: heard.map_or(0, |heard| heard.view_change.0),
        }
    }
}

impl PeerState {
    fn summary(&self, process: u16) -> Peer {
        let state = self.state.as_ref();
        Peer {
            process,
            connected: self.connected,
            heard_ms_ago: self.heard_ms_ago,
            view: state.map(|state| state.view.max(self.view_change)),
            executed: state.map(|state| state.last_executed),
        }
    }
}

/// The event loop publishes after each round; with the once-a-second STATUS timer a longer silence means that it hangs.
const LOOP_SILENCE_US: u64 = 30_000_000;

impl Health {
    /// Whether it neither votes nor orders.
    fn follows(&self) -> bool {
        self.role == Role::Follower
    }

    /// Notes that frames reach a peer, or no longer do.
    pub fn peer(&self, index: u16, up: bool) {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if up {
            connected.insert(index);
        } else {
            connected.remove(&index);
        }
    }

    /// Why the process is not alive, if it is not.
    pub fn stuck(&self) -> Option<String> {
        let silent = self.clock.monotonic_us().saturating_sub(self.standing().published_at_us);
        (silent > LOOP_SILENCE_US)
            .then(|| format!("the event loop has been silent for {} s", silent / 1_000_000))
    }

    /// Whether this node agrees with a quorum and progresses.
    pub fn readiness(&self) -> Readiness {
        if self.follows() { self.follower_readiness() } else { self.member_readiness() }
    }

    /// That of a process of the network.
    fn member_readiness(&self) -> Readiness {
        let standing = self.standing();
        let mut reasons = Vec::new();
        let mut state = "synced";
        let idle_us = self.clock.monotonic_us().saturating_sub(standing.progressed_at_us);
        if idle_us > self.patience_us {
            state = "stalled";
            reasons.push(format!("no slot became final for {} ms", idle_us / 1_000));
        }
        if !standing.active {
            state = "changing-view";
            let why = standing.left.map_or("it was in before it started", said);
            reasons.push(format!("waits for the NEW-VIEW of view {}: {why}", standing.view));
        }
        let lag = standing.peers_at.0.saturating_sub(standing.last_executed.0);
        if lag > self.checkpoint_interval {
            state = "catching-up";
            reasons.push(format!("{lag} slots behind its peers at {}", standing.peers_at));
        }
        let reached = self.reached_validators();
        if reached < self.quorum.quorum() {
            state = "no-quorum";
            let (needed, itself) =
                (self.quorum.quorum(), if self.role.has_vote() { " with itself" } else { "" });
            reasons.push(format!("reaches {reached} validators{itself}, {needed} are needed for a quorum"));
        }
        if !self.signs.load(Ordering::Relaxed) {
            state = "no-signer";
            reasons.push(
                "the signer, or the token, is away: this validator follows and sends nothing until it is back (hint: start carat-node \
                 signer run, or see to the token)"
                    .into(),
            );
        }
        if self.trust == Trust::Crash {
            // What this network rests on does not hold.
            reasons.extend(self.alarms());
        }
        if standing.last_final == Slot(0) {
            state = "booting";
            reasons.push("no slot is final since the start of this network".into());
        }
        Readiness { ready: reasons.is_empty(), state, reasons }
    }

    /// All of it.
    pub fn status(&self) -> Shown {
        match self.follows() {
            true => Shown::Follower(Box::new(self.follower_status())),
            false => Shown::Validator(Box::new(self.validator_status())),
        }
    }

    fn validator_status(&self) -> Status {
        let (standing, tip) = (self.standing(), self.tip());
        Status {
            who: self.who(self.index),
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            readiness: self.readiness(),
            view: standing.view.0,
            leader: standing.leader.0,
            role: self.role.word(standing.leader.0 == self.index),
            active: standing.active,
            slot: tip.slot.0,
            ledger: tip.ledger,
            stable: standing.stable.0,
            last_final: standing.last_final.0,
            peers_at: standing.peers_at.0,
            pending: standing.pending,
            header: tip.hash().to_string(),
            state_root: tip.state_root.to_string(),
            alarms: self.alarms(),
            trust: self.trust,
            assumption: self.assumption(),
            time_ms: tip.time_ms,
            uptime_ms: self.clock.monotonic_us() / 1_000,
            peers: self.peer_statuses(),
        }
    }

    pub(crate) fn peer_statuses(&self) -> Vec<PeerStatus> {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |peer: &u16| PeerStatus { who: self.who(*peer), connected: connected.contains(peer) };
        self.peers.iter().map(status).collect()
    }

    /// Why there is no block, or that there are: with each peer's view state.
    pub fn consensus(&self) -> Consensus {
        let standing = self.standing();
        let now_us = self.clock.monotonic_us();
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let heard = |peer: &u16| (connected.contains(peer), standing.peers.get(&ValidatorId(*peer)).copied());
        let peers: BTreeMap<_, _> = self.peers.iter().map(|peer| (ValidatorId(*peer), heard(peer))).collect();
        let observed = Observed {
            me: ValidatorId(self.index),
            quorum: self.quorum,
            leader: standing.leader,
            own: standing.status,
            idle_us: now_us.saturating_sub(standing.progressed_at_us),
            patience_us: self.patience_us,
            checkpoint_interval: self.checkpoint_interval,
            peers_at: standing.peers_at,
            peers,
            now_us,
        };
        Consensus {
            who: self.who(self.index),
            leader: standing.leader.0,
            quorum: self.quorum.quorum(),
            idle_ms: observed.idle_us / 1_000,
            own: ViewState::of(&standing.status),
            peers: (observed.peers.iter())
                .map(|(peer, heard)| PeerState::of(self.who(peer.0), heard, now_us))
                .collect(),
            diagnosis: if self.follows() { self.follower_diagnosis() } else { observed.diagnose() },
            alarms: self.alarms(),
        }
    }

    /// What the pulse shows of consensus.
    pub(crate) fn network_view(&self) -> NetworkView {
        let (consensus, tip) = (self.consensus(), self.tip());
        let own = Peer {
            process: self.index,
            connected: true,
            heard_ms_ago: None,
            view: Some(consensus.own.view),
            executed: Some(consensus.own.last_executed),
        };
        // In the order of their numbers, as they were put there.
        let others = self.peers.iter().zip(&consensus.peers);
        let mut peers: Vec<Peer> =
            others.map(|(process, state)| state.summary(*process)).chain([own]).collect();
        peers.sort_by_key(|peer| peer.process);
        NetworkView {
            leader: consensus.leader,
            view: consensus.own.view,
            ledger: tip.ledger,
            slot: tip.slot.0,
            state_root: tip.state_root.to_string(),
            idle_ms: consensus.idle_ms,
            diagnosis: consensus.diagnosis,
            alarms: consensus.alarms,
            assumption: self.assumption(),
            peers,
        }
    }

    /// Brings the gauges up to date that nobody else sets.
    pub fn refresh(&self, metrics: &Metrics) {
        let tip = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        metrics.consensus_slot.set(as_gauge(tip.slot.0));
        metrics.ledger_sequence.set(i64::from(tip.ledger));
        metrics.network_peers.set(as_gauge(self.reached() as u64));
        self.refresh_traffic(metrics);
        metrics
            .process_uptime_seconds
            .set(std::time::Duration::from_micros(self.clock.monotonic_us()).as_secs_f64());
    }

    /// Counters that the network keeps: ours follow.
    fn refresh_traffic(&self, metrics: &Metrics) {
        let (mut received, mut sent, mut dropped) = (0, 0, 0);
        let stats = self.network.stats();
        let follow = |counter: &prometheus::IntCounter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()))
        };
        for (index, peer) in &stats.peers {
            let mut queued = 0;
            for lane in [&peer.lanes.urgent, &peer.lanes.bulk] {
                received += lane.bytes_in;
                sent += lane.bytes_out;
                dropped += lane.dropped;
                queued += lane.queued_bytes;
            }
            let label = [index.to_string()];
            metrics.network_queued_bytes.with_label_values(&label).set(as_gauge(queued));
            follow(&metrics.network_lost_datagrams_total.with_label_values(&label), peer.lost_datagrams);
            // Of a peer that is not reached there is no way to speak of.
            let (round_trip, window) =
                peer.path.map_or((f64::NAN, 0), |path| (path.round_trip.as_secs_f64(), path.window));
            metrics.network_round_trip_seconds.with_label_values(&label).set(round_trip);
            metrics.network_window_bytes.with_label_values(&label).set(as_gauge(window));
        }
        follow(&metrics.network_bytes_total.with_label_values(&["in"]), received);
        follow(&metrics.network_bytes_total.with_label_values(&["out"]), sent);
        follow(&metrics.network_dropped_frames_total, dropped);
        for reason in HandshakeFailure::ALL {
            let refused = stats.refused.get(&reason).copied().unwrap_or_default();
            follow(&metrics.network_refused_total.with_label_values(&[reason.label()]), refused);
        }
    }

    pub(crate) fn alarms(&self) -> Vec<String> {
        alarms(&self.store).unwrap_or_else(|error| vec![error.to_string()])
    }

    pub(crate) fn reached(&self) -> usize {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Validators that frames reach, with this one if it is one.
    fn reached_validators(&self) -> usize {
        let connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let validators = connected.iter().filter(|process| usize::from(**process) < self.quorum.n()).count();
        validators.saturating_add(usize::from(self.role.has_vote()))
    }

    pub(crate) fn who(&self, process: u16) -> Who {
        Who::of(process, self.quorum)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Header of the last executed block.
    pub(crate) fn tip(&self) -> Header {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What validators act on, in a word.
    pub(crate) fn trust_name(&self) -> &'static str {
        match self.trust {
            Trust::Bft => "bft",
            Trust::Crash => "crash",
        }
    }

    /// The rule by which a block is known here, and what it rests on, as receipts say it. Who follows knows sealed blocks alone.
    pub(crate) fn assumption(&self) -> String {
        let rule = match self.trust {
            Trust::Crash if !self.follows() => Rule::Fast,
            Trust::Bft | Trust::Crash => Rule::Seal,
        };
        format!("{rule}: {}", Assumption::behind(rule, self.quorum))
    }
}

/// Why a view was left, in words.
fn said(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Waiting => "a transaction waited too long for the leader (T1)",
        Trigger::NoNewView => "no NEW-VIEW came in time for the one before (T2)",
        Trigger::LeaderProof => "there is proof against the leader (T3)",
        Trigger::Followed => "others left, one of them honest (T4)",
        Trigger::SlowLeader => "the leader was slow or unfair (T5)",
        Trigger::TermEnd => "the leader's term is over (T6)",
        Trigger::Idle => "nothing became final for too long (T7)",
        Trigger::Barred => "this validator may not lead the view that it was in when it stopped",
    }
}
