//! The load: a closed loop that keeps every account busy, or an open loop at a fixed rate.
//!
//! Latency runs from the *intended* moment of sending to the moment at which a receipt of the outcome is verified: a
//! slow answer cannot hide the sends that it delayed. Each account has one transaction under way at most, which bounds
//! what is under way at all; in an open loop an arrival that finds no account free waits, and its latency grows.
//!
//! All of it runs on one thread, beside what it measures.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carat_types::genesis::GenesisFile;
use carat_types::receipt::{ReceiptError, Verdict, Verifier};
use stellar_xdr::{Limits, ReadXdr as _, TransactionResult};
use tokio::sync::{Mutex, mpsc::UnboundedReceiver};
use tokio::task::JoinSet;

use crate::accounts::Signed;
use crate::arrivals::{self, Arrivals, Spread};
use crate::measure::{End, Measured};
use crate::transport::{Answer, Transport};

/// What to do for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long to send, the warm-up included.
    pub duration: Duration,
    /// What is sent in the beginning and not counted.
    pub warm_up: Duration,
    /// Transactions a second, and how they are spread; none for as fast as the answers come.
    pub rate: Option<(f64, Spread)>,
    /// How long one node may take before the same bytes go to the next.
    pub attempt: Duration,
    /// How long a transaction may take in all.
    pub patience: Duration,
    /// Whether all arrivals of an open loop are sent, however late; else those that find no free account are given up.
    pub drain: bool,
}

/// What a load left behind.
#[derive(Debug)]
pub struct Loaded {
    /// What was counted.
    pub measured: Measured,
    /// How many of its transactions each account used.
    pub used: Vec<usize>,
    /// Transactions without an outcome in time.
    pub unanswered: Vec<Signed>,
    /// Whether the load ended early, since the signed transactions were used up.
    pub exhausted: bool,
}

/// Between two attempts after a failure that came at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What is not sent so long after its time found no free account.
const LATE: Duration = Duration::from_millis(100);

struct Shared<T> {
    transport: Rc<T>,
    plan: Plan,
    nodes: usize,
    start: Instant,
    measured: RefCell<Measured>,
    settled: Rc<Cell<u64>>,
    verifier: RefCell<Verifier>,
    unanswered: RefCell<Vec<Signed>>,
    /// Intended times of an open loop. Whoever waits longest takes the next.
    due: Option<Mutex<UnboundedReceiver<Instant>>>,
}

/// What one account did.
struct Lane {
    index: usize,
    used: usize,
    exhausted: bool,
}

/// Sends the transactions of each account to a node of its own, one after another.
///
/// `settled` shows meanwhile how many receipts were verified. Returns when all that was sent has ended.
///
/// **Errors**: none of a transaction's; these are counted.
pub async fn run<T: Transport + 'static>(
    transport: Rc<T>,
    genesis: &GenesisFile,
    lanes: Vec<Vec<Signed>>,
    plan: Plan,
    start: Instant,
    settled: Rc<Cell<u64>>,
) -> Result<Loaded> {
    let due = match plan.rate {
        None => None,
        Some((rate, spread)) => {
            let arrivals = Arrivals::new(rate, spread, plan.duration, 1);
            Some(Mutex::new(arrivals::clock(arrivals, start)?))
        }
    };
    let shared = Rc::new(Shared {
        transport,
        plan,
        nodes: genesis.genesis.validators.len(),
        start,
        measured: RefCell::new(Measured::new(start, plan.warm_up, plan.duration)?),
        settled,
        verifier: RefCell::new(Verifier::new(genesis)?),
        unanswered: RefCell::default(),
        due,
    });
    let mut used = vec![0; lanes.len()];
    let mut tasks = JoinSet::new();
    for (index, lane) in lanes.into_iter().enumerate() {
        tasks.spawn_local(drive(Rc::clone(&shared), index, lane));
    }
    let mut exhausted = 0;
    while let Some(lane) = tasks.join_next().await {
        let lane = lane??;
        *used.get_mut(lane.index).context("a lane")? = lane.used;
        exhausted += usize::from(lane.exhausted);
    }
    let Ok(shared) = Rc::try_unwrap(shared).map(|shared| (shared.measured, shared.unanswered)) else {
        bail!("an account still sends");
    };
    let exhausted = exhausted == used.len();
    Ok(Loaded { measured: shared.0.into_inner(), used, unanswered: shared.1.into_inner(), exhausted })
}

async fn drive<T: Transport>(shared: Rc<Shared<T>>, index: usize, signed: Vec<Signed>) -> Result<Lane> {
    let mut lane = Lane { index, used: 0, exhausted: false };
    let mut node = index % shared.nodes;
    for transaction in signed {
        let Some(intended) = shared.next().await? else { return Ok(lane) };
        lane.used += 1;
        let end = shared.settle(&mut node, intended, &transaction).await;
        let answered = !matches!(end, End::Unanswered(_));
        let mut measured = shared.measured.borrow_mut();
        measured.end(intended, end)?;
        shared.settled.set(measured.settled_in_all);
        drop(measured);
        if !answered {
            // What follows it could not be applied before it.
            shared.unanswered.borrow_mut().push(transaction);
            return Ok(lane);
        }
    }
    lane.exhausted = true;
    Ok(lane)
}

impl<T: Transport> Shared<T> {
    /// When the next transaction is meant to be sent; none when the load is over.
    async fn next(&self) -> Result<Option<Instant>> {
        let Some(due) = &self.due else {
            let now = Instant::now();
            if now.saturating_duration_since(self.start) >= self.plan.duration {
                return Ok(None);
            }
            self.measured.borrow_mut().offer(now)?;
            return Ok(Some(now));
        };
        let mut due = due.lock().await;
        while let Some(intended) = due.recv().await {
            let mut measured = self.measured.borrow_mut();
            measured.offer(intended)?;
            if self.plan.drain || intended.elapsed() < LATE {
                return Ok(Some(intended));
            }
            measured.held_back += 1;
        }
        Ok(None)
    }

    /// Sends until there is an outcome or the time is over; `node` becomes the one that gave it. The same bytes are applied once at most, so that they can go
    /// to any node at any time.
    async fn settle(&self, node: &mut usize, intended: Instant, transaction: &Signed) -> End {
        let (mut refusals, mut last) = (0, String::from("not sent"));
        while intended.elapsed() < self.plan.patience {
            let sending = self.transport.submit(*node, transaction);
            let answer = tokio::time::timeout(self.plan.attempt, sending).await;
            let busy = matches!(answer, Ok(Answer::Busy(..)));
            let pause = match answer {
                Ok(Answer::Receipt(receipt)) => {
                    let verdict = self.verifier.borrow_mut().check(&receipt);
                    return judge(verdict, transaction);
                }
                Ok(Answer::ReceiptBytes(bytes)) => {
                    let verdict = self.verifier.borrow_mut().verify(&bytes);
                    return judge(verdict, transaction);
                }
                Ok(Answer::Busy(pause, words)) => {
                    last = words;
                    pause
                }
                Ok(Answer::Refused(words)) => {
                    // A node that lags refuses what the others accept: all have a say.
                    refusals += 1;
                    if refusals >= self.nodes {
                        return End::Wrong(format!("{}: {words}", transaction.hash));
                    }
                    last = words;
                    PAUSE
                }
                Ok(Answer::Elsewhere(words) | Answer::Nothing(words)) => {
                    last = words;
                    PAUSE
                }
                Err(_) => {
                    last = format!("no answer for {:?}", self.plan.attempt);
                    Duration::ZERO
                }
            };
            self.measured.borrow_mut().again(busy, &last);
            tokio::time::sleep(pause).await;
            // One that is busy may be one that lags: the others take what it does not.
            *node = (*node + 1) % self.nodes;
        }
        End::Unanswered(format!("{}: {last}", transaction.hash))
    }
}

/// Whether what a receipt proves is what was wanted.
fn judge(verdict: Result<Verdict, ReceiptError>, transaction: &Signed) -> End {
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => return End::Wrong(format!("{}: {error}", transaction.hash)),
    };
    if verdict.transaction != transaction.hash {
        return End::Wrong(format!("a receipt of {}, not of {}", verdict.transaction, transaction.hash));
    }
    let result = verdict.result.map(|xdr| {
        let limits = Limits { depth: 100, len: xdr.len() };
        TransactionResult::from_xdr(xdr, limits)
    });
    match result {
        Some(Ok(result)) => {
            let outcome = carat_client::outcome::Outcome::of(&result);
            if outcome.successful {
                End::Settled(verdict.rule.to_string())
            } else {
                End::Wrong(format!("{} failed: {outcome}", transaction.hash))
            }
        }
        _ => End::Wrong(format!("the receipt of {} proves no outcome", transaction.hash)),
    }
}
