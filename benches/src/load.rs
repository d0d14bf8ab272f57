//! The load: a closed loop that keeps every account busy, or an open loop at a fixed rate.
//!
//! Latency runs from the *intended* moment of sending to the answer, which a node gives when f+1 validators have
//! sealed the block (so that a slow answer cannot hide the sends that it delayed).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use carat_client::rest::Rest;
use hdrhistogram::Histogram;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::accounts::Payer;

/// What to do for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long to send.
    pub duration: Duration,
    /// What is sent in the beginning and not counted.
    pub warm_up: Duration,
    /// Payments a second in all; none for as fast as the answers come.
    pub rate: Option<f64>,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// Microseconds from intended send to answer, of settled payments.
    pub latency_us: Histogram<u64>,
    /// Payments settled within the counted time.
    pub settled: u64,
    /// Answers that were no success.
    pub errors: u64,
    /// The first few of them, in words.
    pub samples: Vec<String>,
    /// The counted time.
    pub counted: Duration,
}

struct Shared {
    started: Instant,
    plan: Plan,
    measured: Mutex<Measured>,
}

/// An answer later than this is an error.
const PATIENCE: Duration = Duration::from_secs(35);

/// Sends the payers' payments to the nodes, each payer always to the same node, one after another.
///
/// **Errors**: none of a payment's; these are counted.
pub async fn run(nodes: &[Rest], payers: Vec<Payer>, plan: Plan) -> Result<Measured> {
    let measured = Measured {
        latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)?,
        settled: 0,
        errors: 0,
        samples: Vec::new(),
        counted: plan.duration.saturating_sub(plan.warm_up),
    };
    let shared = Arc::new(Shared { started: Instant::now(), plan, measured: Mutex::new(measured) });
    let payer_count = payers.len();
    let mut tasks = JoinSet::new();
    for (index, payer) in payers.into_iter().enumerate() {
        let Some(node) = nodes.get(index % nodes.len().max(1)).cloned() else { continue };
        tasks.spawn(pay(node, payer, index, payer_count, Arc::clone(&shared)));
    }
    while tasks.join_next().await.is_some() {}
    let shared = Arc::try_unwrap(shared).map_err(|_| anyhow::anyhow!("a payer is still running"))?;
    Ok(shared.measured.into_inner())
}

async fn pay(node: Rest, payer: Payer, index: usize, payers: usize, shared: Arc<Shared>) {
    for (sent, payment) in payer.payments.into_iter().enumerate() {
        let intended = match shared.plan.rate {
            None => Instant::now(),
            Some(rate) => {
                let place = sent * payers + index;
                shared.started + Duration::from_secs_f64(place as f64 / rate)
            }
        };
        if intended.duration_since(shared.started) >= shared.plan.duration {
            return;
        }
        tokio::time::sleep_until(intended.into()).await;
        let answer = node.submit(&payment, PATIENCE).await;
        let now = Instant::now();
        let mut measured = shared.measured.lock().await;
        match answer {
            Ok(record) if record.successful => {
                let since_start = now.duration_since(shared.started);
                if since_start >= shared.plan.warm_up && since_start < shared.plan.duration {
                    let latency = u64::try_from(now.duration_since(intended).as_micros()).unwrap_or(u64::MAX);
                    measured.latency_us.saturating_record(latency);
                    measured.settled += 1;
                }
            }
            Ok(record) => note(&mut measured, format!("{} failed", record.hash)),
            Err(error) => note(&mut measured, error.to_string()),
        }
    }
}

fn note(measured: &mut Measured, error: String) {
    measured.errors += 1;
    if measured.samples.len() < 5 {
        measured.samples.push(error);
    }
}
