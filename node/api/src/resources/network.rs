//! The network as one validator observes it, for the page of that name and for programs.
//!
//! Everything here is *observed by this node since it started*: a vote that reached it late counts as not seen, and
//! nothing is asked of the other validators.

use serde::Serialize;

/// The network as this validator sees it now; made anew every second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NetworkState {
    /// Place of the observing validator in the genesis file.
    pub validator: u16,
    /// When this was observed. **Units**: milliseconds since 1970.
    pub observed_ms: u64,
    /// State in a word, as `/readyz` has it.
    pub state: &'static str,
    /// Everything that is wrong, in sentences.
    pub reasons: Vec<String>,
    /// Why there is no block, or that there are.
    pub diagnosis: String,
    /// What to do about it.
    pub hint: &'static str,
    /// FAST values that were given up.
    pub alarms: Vec<String>,
    /// Number of the current ledger.
    pub ledger: u32,
    /// The last executed slot.
    pub slot: u64,
    /// State root after it.
    pub state_root: String,
    /// The view.
    pub view: u64,
    /// Time since a slot last became final. **Units**: milliseconds.
    pub idle_ms: u64,
    /// What validators act on: `bft` or `crash`.
    pub trust: &'static str,
    /// On which everything said here rests.
    pub assumption: String,
    /// How many validators agree, and how many are needed.
    pub quorum: QuorumState,
    /// All of them, in the order of the genesis file.
    pub validators: Vec<ValidatorState>,
    /// The last ledgers, oldest first; the cells of each validator stand under them.
    pub ledgers: Vec<LedgerCells>,
    /// Transactions a second, oldest first.
    pub rates: Vec<Rate>,
    /// Transactions that wait to be ordered.
    pub pending: i64,
    /// How long slots took to become final, by commit rule.
    pub finality: Vec<RuleLatency>,
    /// Where the time went.
    pub phases: Vec<PhaseLatency>,
    /// Upper bounds of the classes of [`RuleLatency::classes`]; the last class has none. **Units**: milliseconds.
    pub class_bounds_ms: &'static [u64],
    /// Slots that the latencies are over: the most recent ones.
    pub slots_measured: usize,
    /// Views left since the start, by trigger.
    pub view_changes: Vec<Count>,
    /// Messages of peers refused since the start, by reason.
    pub rejections: Vec<Count>,
    /// What convicts validators.
    pub evidence: Vec<EvidenceLine>,
}

/// Whether there are enough.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct QuorumState {
    /// Validators of the network.
    pub validators: usize,
    /// Those that are reached and in the same view as this one, with itself.
    pub agree: usize,
    /// The quorum.
    pub needed: usize,
    /// Validators that may fail before nothing is final any more; negative while there is no quorum.
    pub can_lose: i64,
}

/// One validator.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValidatorState {
    /// Its place in the genesis file; the proposers of an edge network are numbered behind the validators.
    pub validator: u16,
    /// Its bank.
    pub name: String,
    /// `leader` or `follower` in this node's view; on an edge network `leader`, `acceptor` or `proposer, no vote`.
    pub role: &'static str,
    /// `this node`, `agrees`, `in another view`, `silent` or `unreached`.
    pub standing: &'static str,
    /// When it was last heard; none for this node and for one never heard. **Units**: milliseconds.
    pub heard_ms_ago: Option<u64>,
    /// Its view, as far as it said.
    pub view: Option<u64>,
    /// Its last executed slot, as far as it said.
    pub executed: Option<u64>,
    /// Slots that it was behind this node when it was last heard.
    pub behind: Option<u64>,
}

/// One ledger of the grid.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerCells {
    /// Its number.
    pub ledger: u32,
    /// Its slots.
    pub slots: u32,
    /// The leader of its last slot.
    pub leader: Option<u16>,
    /// One letter a validator: `v` its votes were seen for every slot, `p` for a part, `-` for none.
    pub votes: String,
}

/// One second. **Units**: transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// The second. **Units**: seconds since 1970.
    pub at: u64,
    /// Newly taken into the pool, from clients and other validators.
    pub submitted: u64,
    /// Applied with success.
    pub settled: u64,
    /// Applied without.
    pub failed: u64,
    /// Turned away at the front door.
    pub refused: u64,
}

/// How long slots took from the first sight of the proposal until a commit rule was met. **Units**: microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleLatency {
    /// The rule.
    pub rule: &'static str,
    /// Whether this network acts on it.
    pub acted_upon: bool,
    /// Slots for which it was met since the start.
    pub met: u64,
    /// Half were faster.
    pub p50_us: Option<u64>,
    /// Nine of ten were.
    pub p90_us: Option<u64>,
    /// 99 of 100 were.
    pub p99_us: Option<u64>,
    /// The slowest.
    pub max_us: Option<u64>,
    /// Slots in each class of `class_bounds_ms`.
    pub classes: Vec<u32>,
}

/// How long one step took. **Units**: microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PhaseLatency {
    /// The step.
    pub phase: &'static str,
    /// From what to what.
    pub what: &'static str,
    /// Half were faster.
    pub p50_us: Option<u64>,
    /// 99 of 100 were.
    pub p99_us: Option<u64>,
}

/// A count with its name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Count {
    /// Of what.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// One piece of evidence, without its bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EvidenceLine {
    /// E1 to E5, or FAST.
    pub code: &'static str,
    /// What happened.
    pub what: &'static str,
    /// The slot that it is about.
    pub slot: Option<u64>,
    /// Places of the convicted in the genesis file.
    pub convicted: Vec<u16>,
}
