//! Every metric of the node, declared here and listed in `docs/operations/monitoring.md`; a test compares the two.
//!
//! Names are `<component>_<what>_<unit>`, base units, `_total` for counters, labels from bounded sets only.

use std::cell::RefCell;

use carat_network::stats::HandshakeFailure;
use carat_storage::store::Memory;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// All metrics, with the registry that serves them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Names of what there is of each peer, before there are any.
    of_peers: Vec<String>,
    /// Height of the last executed slot.
    pub consensus_slot: IntGauge,
    /// Current view.
    pub consensus_view: IntGauge,
    /// Whether this validator leads the current view.
    pub consensus_leader: IntGauge,
    /// The stable checkpoint h.
    pub consensus_stable_slot: IntGauge,
    /// Bodies of transactions held in memory.
    pub consensus_bodies_held: IntGauge,
    /// Number of the current ledger.
    pub ledger_sequence: IntGauge,
    /// Views left, by trigger.
    pub consensus_view_changes_total: IntCounterVec,
    /// Leaders left by this validator because they broke a bound, by bound.
    pub consensus_demotions_total: IntCounterVec,
    /// Turns of leaders that this validator passed over.
    pub consensus_turns_passed_over_total: IntCounter,
    /// Slots for which a commit rule was met, by rule.
    pub consensus_rule_met_total: IntCounterVec,
    /// From the first sight of a proposal until a commit rule was met, by rule.
    pub consensus_finality_seconds: HistogramVec,
    /// Steps of a slot, by phase.
    pub consensus_phase_seconds: HistogramVec,
    /// Validators that are reached and in the same view, with this one.
    pub consensus_validators_agreeing: IntGauge,
    /// Validators that may fail before there is no quorum.
    pub consensus_quorum_slack: IntGauge,
    /// Messages of peers that were refused, by reason.
    pub consensus_rejections_total: IntCounterVec,
    /// Contradicting statements of validators that were seen.
    pub consensus_misbehaviour_total: IntCounter,
    /// Pieces of evidence kept, by code.
    pub consensus_evidence_total: IntCounterVec,
    /// Values that were final by FAST and were given up by a later view.
    pub consensus_fast_contradicted_total: IntCounter,
    /// Transactions applied, by success.
    pub ledger_transactions_total: IntCounterVec,
    /// Transactions that the trim dropped.
    pub ledger_dropped_total: IntCounter,
    /// Blocks that were executed before they were final, by what became of them.
    pub ledger_tentative_total: IntCounterVec,
    /// Time to execute a block and write it.
    pub ledger_apply_seconds: Histogram,
    /// First slot of decided rules that this build does not know; 0 where there are none.
    pub ledger_unknown_protocol_slot: IntGauge,
    /// Blocks that were executed and are not in the history yet.
    pub history_behind_blocks: IntGauge,
    /// Keys that the history has written.
    pub history_rows_total: IntCounter,
    /// The oldest block that is whole.
    pub store_oldest_block: IntGauge,
    /// Blocks that would be dropped were they archived.
    pub store_awaiting_archive_blocks: IntGauge,
    /// Whether the history was given up.
    pub history_halted: IntGauge,
    /// Submissions by what became of them at the front door.
    pub pool_submissions_total: IntCounterVec,
    /// TLS handshakes at the REST interface that came to nothing, by reason.
    pub api_tls_refused_total: IntCounterVec,
    /// Certificates of the REST interface that were put in place while the node ran, by outcome.
    pub api_tls_certificates_total: IntCounterVec,
    /// Sessions at the native entrance.
    pub entrance_sessions: IntGauge,
    /// Answers of the native entrance, by kind.
    pub entrance_answers_total: IntCounterVec,
    /// Sessions at the native entrance that this node ended, by reason.
    pub entrance_refused_total: IntCounterVec,
    /// Transactions that wait to be ordered.
    pub pool_pending: IntGauge,
    /// Signatures checked, by source: batched, computed alone or remembered.
    pub signature_checks_total: IntCounterVec,
    /// Time of one journal sync.
    pub storage_journal_sync_seconds: Histogram,
    /// Records appended to the journal.
    pub storage_journal_records_total: IntCounter,
    /// What the database keeps in memory, by part.
    pub storage_memory_bytes: IntGaugeVec,
    /// Whether there is somebody who signs.
    pub signer_present: IntGauge,
    /// One batch to the signer and back.
    pub signer_batch_seconds: Histogram,
    /// Statements that the signer refused.
    pub signer_refusals_total: IntCounter,
    /// Peers that are connected.
    pub network_peers: IntGauge,
    /// Bytes received from and sent to peers.
    pub network_bytes_total: IntCounterVec,
    /// Round-trip time to each peer.
    pub network_round_trip_seconds: GaugeVec,
    /// What may be under way to each peer at one time.
    pub network_window_bytes: IntGaugeVec,
    /// What waits to be sent to each peer.
    pub network_queued_bytes: IntGaugeVec,
    /// Datagrams to each peer that were lost.
    pub network_lost_datagrams_total: IntCounterVec,
    /// Frames that were dropped before they were sent.
    pub network_dropped_frames_total: IntCounter,
    /// Handshakes of strangers that were refused, by reason.
    pub network_refused_total: IntCounterVec,
    /// Followers that are connected.
    pub followers_connected: IntGauge,
    /// Questions of followers that were answered, by kind.
    pub followers_answers_total: IntCounterVec,
    /// Bytes sent to followers in answers.
    pub followers_bytes_total: IntCounter,
    /// Questions that waited for their follower's budget.
    pub followers_delayed_total: IntCounter,
    /// Frames of followers that were refused, by reason.
    pub followers_refused_total: IntCounterVec,
    /// Seconds since this process started.
    pub process_uptime_seconds: Gauge,
}

impl Metrics {
    /// Declares all of them.
    ///
    /// **Errors**: a name declared twice or malformed; the tests exclude it.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let declare = Declare { registry: &registry, of_peers: RefCell::default() };
        let build = declare.gauge("build_info", "Version of this node: the label; always 1")?;
        build.set(1);
        Ok(Metrics {
            consensus_slot: declare.gauge("consensus_slot", "Last executed slot")?,
            consensus_view: declare.gauge("consensus_view", "Current view")?,
            consensus_leader: declare
                .gauge("consensus_leader", "1 if this validator leads the current view")?,
            consensus_stable_slot: declare.gauge("consensus_stable_slot", "Slot of the stable checkpoint")?,
            consensus_bodies_held: declare
                .gauge("consensus_bodies_held", "Bodies of transactions held that are in no final slot")?,
            ledger_sequence: declare.gauge("ledger_sequence", "Number of the current ledger")?,
            consensus_view_changes_total: declare.counters(
                "consensus_view_changes_total",
                "Views left, by trigger",
                "trigger",
                &[
                    "waiting",
                    "nonewview",
                    "leaderproof",
                    "followed",
                    "slowleader",
                    "termend",
                    "idle",
                    "barred",
                ],
            )?,
            consensus_demotions_total: declare.counters(
                "consensus_demotions_total",
                "Leaders left because they broke a bound, by bound",
                "bound",
                &["wait", "unfairness", "rate", "pause", "junk"],
            )?,
            consensus_turns_passed_over_total: declare.counter(
                "consensus_turns_passed_over_total",
                "Turns of leaders passed over since they failed in their last one",
            )?,
            consensus_rule_met_total: declare.counters(
                "consensus_rule_met_total",
                "Slots for which a commit rule was met, by rule",
                "rule",
                &["FAST", "UNANIMOUS", "COMMIT", "SEAL"],
            )?,
            consensus_finality_seconds: declare.seconds_by(
                "consensus_finality_seconds",
                "First sight of a proposal until a commit rule was met, by rule",
                "rule",
                &["FAST", "UNANIMOUS", "COMMIT", "SEAL"],
            )?,
            consensus_phase_seconds: declare.seconds_by(
                "consensus_phase_seconds",
                "Steps of a slot, by phase",
                "phase",
                &["vote", "prepare", "decide", "execute", "seal"],
            )?,
            consensus_validators_agreeing: declare.gauge(
                "consensus_validators_agreeing",
                "Validators that are reached and in the same view, with this one",
            )?,
            consensus_quorum_slack: declare
                .gauge("consensus_quorum_slack", "Validators that may fail before there is no quorum")?,
            consensus_rejections_total: declare.counters(
                "consensus_rejections_total",
                "Messages of peers that were refused, by reason",
                "reason",
                &["undecodable", "bad_signature"],
            )?,
            consensus_misbehaviour_total: declare.counter(
                "consensus_misbehaviour_total",
                "Contradicting statements of validators that were seen",
            )?,
            consensus_evidence_total: declare.counters(
                "consensus_evidence_total",
                "Pieces of evidence kept, by code",
                "code",
                &["E1", "E2", "E3", "E4", "E5", "FAST"],
            )?,
            consensus_fast_contradicted_total: declare.counter(
                "consensus_fast_contradicted_total",
                "Values final by FAST that a later view gave up",
            )?,
            ledger_transactions_total: declare.counters(
                "ledger_transactions_total",
                "Transactions applied, by result",
                "result",
                &["success", "failed"],
            )?,
            ledger_dropped_total: declare
                .counter("ledger_dropped_total", "Transactions that the trim dropped")?,
            ledger_tentative_total: declare.counters(
                "ledger_tentative_total",
                "Blocks that were executed before they were final, by what became of them",
                "outcome",
                &["written", "undone"],
            )?,
            ledger_apply_seconds: declare
                .seconds("ledger_apply_seconds", "Time to execute and write a block")?,
            ledger_unknown_protocol_slot: declare.gauge(
                "ledger_unknown_protocol_slot",
                "First slot of a decided protocol version that this build does not know; 0 for none",
            )?,
            history_behind_blocks: declare
                .gauge("history_behind_blocks", "Blocks executed that are not in the history yet")?,
            history_rows_total: declare.counter("history_rows_total", "Keys that the history has written")?,
            store_oldest_block: declare.gauge(
                "store_oldest_block",
                "Oldest block that is kept; above 1 where old ones are dropped",
            )?,
            store_awaiting_archive_blocks: declare.gauge(
                "store_awaiting_archive_blocks",
                "Blocks that are kept only because they are in no archive yet",
            )?,
            history_halted: declare.gauge("history_halted", "1 if the history failed and is not served")?,
            pool_submissions_total: declare.counters(
                "pool_submissions_total",
                "Submissions, by what became of them at the front door",
                "outcome",
                &["admitted", "duplicate", "refused", "parked", "full"],
            )?,
            api_tls_refused_total: declare.counters(
                "api_tls_refused_total",
                "TLS handshakes at the REST interface that came to nothing, by reason",
                "reason",
                &["certificate", "handshake", "timeout", "busy"],
            )?,
            api_tls_certificates_total: declare.counters(
                "api_tls_certificates_total",
                "Certificates of the REST interface that were put in place while the node ran, by outcome",
                "outcome",
                &["shown", "refused"],
            )?,
            entrance_sessions: declare.gauge("entrance_sessions", "Sessions at the native entrance")?,
            entrance_answers_total: declare.counters(
                "entrance_answers_total",
                "Transactions and payloads answered at the native entrance, by kind of answer",
                "answer",
                &["settled", "refused", "busy", "open", "malformed", "kept", "fetched", "declined"],
            )?,
            entrance_refused_total: declare.counters(
                "entrance_refused_total",
                "Sessions at the native entrance that this node ended, by reason",
                "reason",
                &["no_account", "undecodable"],
            )?,
            pool_pending: declare.gauge("pool_pending", "Transactions that wait to be ordered")?,
            signature_checks_total: declare.counters(
                "signature_checks_total",
                "Signature checks, by source",
                "source",
                &["batched", "computed", "remembered"],
            )?,
            storage_journal_sync_seconds: declare
                .seconds("storage_journal_sync_seconds", "Time of one journal sync")?,
            storage_journal_records_total: declare
                .counter("storage_journal_records_total", "Records appended to the journal")?,
            storage_memory_bytes: declare.by_label(
                IntGaugeVec::new,
                ("storage_memory_bytes", "What the database keeps in memory, by part"),
                "part",
                &["tables", "cache", "files"],
            )?,
            signer_present: declare.gauge(
                "signer_present",
                "1 if votes can be signed: by keys of this process, or by a signer that is there",
            )?,
            signer_batch_seconds: declare
                .seconds("signer_batch_seconds", "Time of one batch to the signer and back")?,
            signer_refusals_total: declare
                .counter("signer_refusals_total", "Statements that the signer refused to sign")?,
            network_peers: declare.gauge("network_peers", "Peers that are connected")?,
            network_bytes_total: declare.counters(
                "network_bytes_total",
                "Bytes exchanged with peers, by direction",
                "direction",
                &["in", "out"],
            )?,
            network_round_trip_seconds: declare.of_each_peer(
                GaugeVec::new,
                "network_round_trip_seconds",
                "Round-trip time to a peer, as QUIC estimates it",
            )?,
            network_window_bytes: declare.of_each_peer(
                IntGaugeVec::new,
                "network_window_bytes",
                "How much QUIC lets be under way to a peer at one time",
            )?,
            network_queued_bytes: declare.of_each_peer(
                IntGaugeVec::new,
                "network_queued_bytes",
                "Bytes that wait to be sent to a peer",
            )?,
            network_lost_datagrams_total: declare.of_each_peer(
                IntCounterVec::new,
                "network_lost_datagrams_total",
                "Datagrams to a peer that QUIC took for lost and sent again",
            )?,
            network_refused_total: declare.counters(
                "network_refused_total",
                "Handshakes at the peers' port that were refused, by reason",
                "reason",
                &HandshakeFailure::ALL.map(HandshakeFailure::label),
            )?,
            network_dropped_frames_total: declare
                .counter("network_dropped_frames_total", "Frames dropped before they were sent")?,
            followers_connected: declare.gauge("followers_connected", "Followers that frames reach")?,
            followers_answers_total: declare.counters(
                "followers_answers_total",
                "Answers to followers, by what was asked for",
                "answer",
                &["blocks", "offer", "chunk"],
            )?,
            followers_bytes_total: declare
                .counter("followers_bytes_total", "Bytes that followers were charged for")?,
            followers_delayed_total: declare.counter(
                "followers_delayed_total",
                "Questions of followers that waited until their budget allowed the answer",
            )?,
            followers_refused_total: declare.counters(
                "followers_refused_total",
                "Frames of followers that were refused, by reason",
                "reason",
                &["undecodable", "other_epoch", "not_theirs", "over_budget"],
            )?,
            process_uptime_seconds: declare
                .float("process_uptime_seconds", "Seconds since this process started")?,
            of_peers: declare.of_peers.into_inner(),
            registry,
        })
    }

    /// Notes what the database keeps in memory.
    pub fn note_memory(&self, memory: Memory) {
        let Memory { tables, cache, files } = memory;
        for (part, bytes) in [("tables", tables), ("cache", cache), ("files", files)] {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.storage_memory_bytes.with_label_values(&[part]).set(bytes);
        }
    }

    /// The text that Prometheus scrapes.
    pub fn encode(&self) -> String {
        let mut out = Vec::new();
        let mut families = self.registry.gather();
        families.extend(prometheus::gather());
        if let Err(error) = TextEncoder::new().encode(&families, &mut out) {
            tracing::warn!(%error, "metrics cannot be encoded");
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// Views left, by trigger.
    pub(crate) fn view_changes(&self) -> Vec<(String, u64)> {
        labelled(&self.consensus_view_changes_total)
    }

    /// Messages refused, by reason.
    pub(crate) fn rejections(&self) -> Vec<(String, u64)> {
        labelled(&self.consensus_rejections_total)
    }

    /// Names of all own metrics.
    pub fn names(&self) -> Vec<String> {
        let gathered = self.registry.gather();
        let families = gathered.iter().map(|family| family.name().to_owned());
        families.chain(self.of_peers.iter().cloned()).collect()
    }
}

/// The counters of one family with their only label.
fn labelled(counters: &IntCounterVec) -> Vec<(String, u64)> {
    let families = counters.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    let name =
        |metric: &prometheus::proto::Metric| metric.get_label().first().map(|pair| pair.value().to_owned());
    let mut counts: Vec<(String, u64)> = metrics
        .filter_map(name)
        .map(|name| {
            let count = counters.with_label_values(&[name.as_str()]).get();
            (name, count)
        })
        .collect();
    counts.sort();
    counts
}

struct Declare<'a> {
    registry: &'a Registry,
    of_peers: RefCell<Vec<String>>,
}

impl Declare<'_> {
    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = if name == "build_info" {
            IntGauge::with_opts(Opts::new(name, help).const_label("version", env!("CARGO_PKG_VERSION")))?
        } else {
            IntGauge::new(name, help)?
        };
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn float(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        let gauge = Gauge::new(name, help)?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    /// Something of each peer. Which there are is known when the network runs.
    fn of_each_peer<C: Collector + Clone + 'static>(
        &self,
        new: fn(Opts, &[&str]) -> prometheus::Result<C>,
        name: &str,
        help: &str,
    ) -> prometheus::Result<C> {
        let of_each = new(Opts::new(name, help), &["peer"])?;
        self.registry.register(Box::new(of_each.clone()))?;
        self.of_peers.borrow_mut().push(name.to_owned());
        Ok(of_each)
    }

    /// A counter or gauge for each of the label's known values exists from the start, at zero: a rate needs a first point.
    fn by_label<B: MetricVecBuilder + 'static>(
        &self,
        new: fn(Opts, &[&str]) -> prometheus::Result<MetricVec<B>>,
        (name, help): (&str, &str),
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<MetricVec<B>> {
        let family = new(Opts::new(name, help), &[label])?;
        for value in values {
            family.with_label_values(&[value]);
        }
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.by_label(IntCounterVec::new, (name, help), label, values)
    }

    fn seconds_by(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let buckets = prometheus::exponential_buckets(0.000_1, 2.0, 18)?;
        let histograms = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), &[label])?;
        for value in values {
            histograms.with_label_values(&[value]);
        }
        self.registry.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        let buckets = prometheus::exponential_buckets(0.000_1, 2.0, 18)?;
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
        self.registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}
