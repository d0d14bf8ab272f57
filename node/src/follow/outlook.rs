//! How a node that follows is, in numbers and in words: what its `/status`, `/readyz`, `/network` and pages say.

use std::sync::Arc;
use std::time::Duration;

use carat_api::resources::network::{NetworkState, QuorumState};
use carat_types::{Epoch, Slot};
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::wall_ms;
use crate::diagnosis::{Cause, Diagnosis};
use crate::health::{Health, PeerStatus, Readiness};
use crate::metrics::Metrics;

/// Between two observations.
const EVERY: Duration = Duration::from_secs(1);
/// What it is.
const ROLE: &str = "follows, no vote";

/// The status of a node that follows. What a validator says of views and votes, it does not know.
#[derive(Clone, Debug, Serialize)]
pub struct FollowerStatus {
    role: &'static str,
    name: String,
    version: &'static str,
    #[serde(flatten)]
    readiness: Readiness,
    slot: u64,
    ledger: u32,
    peers_at: u64,
    pending: usize,
    header: String,
    state_root: String,
    alarms: Vec<String>,
    assumption: String,
    time_ms: u64,
    uptime_ms: u64,
    peers: Vec<PeerStatus>,
}

impl Health {
    /// Whether what a follower shows is what the network has now.
    pub(crate) fn follower_readiness(&self) -> Readiness {
        let standing = self.standing();
        let mut reasons = Vec::new();
        let mut state = "synced";
        let idle_us = self.clock.monotonic_us().saturating_sub(standing.progressed_at_us);
        if idle_us > self.patience_us {
            state = "stalled";
            reasons.push(format!("no sealed block came for {} ms", idle_us / 1_000));
        }
        let lag = standing.peers_at.0.saturating_sub(standing.last_executed.0);
        if lag > self.checkpoint_interval {
            state = "catching-up";
            let later = standing.peers_in.map(in_later_epoch).unwrap_or_default();
            reasons.push(format!("{lag} slots behind the validators at {}{later}", standing.peers_at));
        }
        if self.reached() == 0 {
            state = "no-source";
            reasons.push(
                "reaches no validator (hint: their operators list this node under [[followers.peers]], and both sides reach each \
                 other's UDP address)"
                    .to_owned(),
            );
        }
        if standing.last_executed == Slot(0) {
            state = "booting";
            reasons.push("no block has been proved since the genesis file".to_owned());
        } else if standing.peers.is_empty() {
            state = "booting";
            reasons.push("no validator has said since the start how far the chain is".to_owned());
        }
        Readiness { ready: reasons.is_empty(), state, reasons }
    }

    pub(crate) fn follower_status(&self) -> FollowerStatus {
        let (standing, tip) = (self.standing(), self.tip());
        FollowerStatus {
            role: ROLE,
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            readiness: self.follower_readiness(),
            slot: tip.slot.0,
            ledger: tip.ledger,
            peers_at: standing.peers_at.0,
            pending: standing.pending,
            header: tip.hash().to_string(),
            state_root: tip.state_root.to_string(),
            alarms: self.alarms(),
            assumption: self.assumption(),
            time_ms: tip.time_ms,
            uptime_ms: self.clock.monotonic_us() / 1_000,
            peers: self.peer_statuses(),
        }
    }

    /// Why there is no block, as far as one without a vote can tell.
    pub(crate) fn follower_diagnosis(&self) -> Diagnosis {
        let readiness = self.follower_readiness();
        let (cause, hint) = match readiness.ready {
            true => (Cause::None, "nothing to do"),
            false => (
                Cause::CatchingUp,
                "ask a validator: it knows the agreement, this node sees its outcome alone",
            ),
        };
        let what = match readiness.ready {
            true => format!("{ROLE}; proved up to slot {}", self.tip().slot),
            false => readiness.reasons.join("; "),
        };
        Diagnosis { cause, what, missing: Vec::new(), hint }
    }

    fn follower_view(&self, metrics: &Metrics) -> NetworkState {
        let (readiness, tip, diagnosis) = (self.follower_readiness(), self.tip(), self.follower_diagnosis());
        let idle_us = self.clock.monotonic_us().saturating_sub(self.standing().progressed_at_us);
        NetworkState {
            validator: self.index,
            observed_ms: wall_ms(),
            state: readiness.state,
            reasons: readiness.reasons,
            diagnosis: diagnosis.what,
            hint: diagnosis.hint,
            alarms: self.alarms(),
            ledger: tip.ledger,
            slot: tip.slot.0,
            state_root: tip.state_root.to_string(),
            idle_ms: idle_us / 1_000,
            trust: self.trust_name(),
            assumption: self.assumption(),
            quorum: QuorumState {
                validators: self.quorum.n(),
                needed: self.quorum.quorum(),
                ..QuorumState::default()
            },
            pending: metrics.pool_pending.get(),
            ..NetworkState::default()
        }
    }
}

/// What to do about validators that are an epoch ahead, if it does not pass by itself.
fn in_later_epoch(epoch: Epoch) -> String {
    format!(
        ", who are in epoch {epoch} (hint: if this stays so, no validator keeps the blocks of this node's epoch any more; stop it, \
         write the file handovers of its data folder with carat epochs fetch --out, and start it)"
    )
}

/// Looks once a second until it is cut off.
pub(super) async fn run(health: Arc<Health>, metrics: Arc<Metrics>, out: watch::Sender<Arc<NetworkState>>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (looked_at, counters) = (Arc::clone(&health), Arc::clone(&metrics));
        // Alarms are read from the disk.
        let view = tokio::task::spawn_blocking(move || looked_at.follower_view(&counters));
        let Ok(view) = view.await else { return };
        out.send_replace(Arc::new(view));
    }
}
