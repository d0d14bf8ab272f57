//! Payments between the banks: in quiet times, and while the leader dies and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carat_client::Network;
use carat_client::processes::Processes;
use carat_types::builder::{amount, operation};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::READY_PATIENCE;
use super::report::{Figures, Report};
use super::scene::{Actor, BANKS, CURRENCIES, Payment, Scene};
use crate::cli::{Failure, status};

/// Payments of each bank in quiet times.
const QUIET_PAYMENTS: usize = 12;

/// Payments that are proved before the leader is killed.
const BEFORE_KILL: usize = 12;

/// Payments that are proved without it before it is restarted.
const BEFORE_RESTART: usize = 24;

/// Payments that are proved after its restart.
const AFTER_RESTART: usize = 12;

/// How long nothing at all may be proved before the demo is given up.
const SILENCE_PATIENCE: Duration = Duration::from_secs(60);

/// A proved payment, and when.
struct Proved {
    payment: Payment,
    submitted: Instant,
    at: Instant,
}

/// A bank's endless payments, each a little different, to the others in turn.
struct Payer {
    bank: Actor,
    from: usize,
    count: usize,
    parties: Vec<carat_types::PublicKey>,
    assets: Vec<stellar_xdr::Asset>,
}

impl Payer {
    async fn pay(&mut self) -> Result<Proved, Failure> {
        let to = (self.from + 1 + self.count % (BANKS.len() - 1)) % BANKS.len();
        let currency = self.count % CURRENCIES.len();
        // No two payments of a bank are equal, so that a mix-up cannot cancel out.
        let amount = amount::UNIT + i64::try_from(self.count * BANKS.len() + self.from).unwrap_or(0);
        self.count += 1;
        let submitted = Instant::now();
        let payment = operation::payment(self.parties[to], self.assets[currency].clone(), amount);
        let finality = self.bank.execute(vec![payment]).await?;
        let payment = Payment { hash: finality.hash, from: self.from, to, currency, amount };
        Ok(Proved { payment, submitted, at: Instant::now() })
    }
}

/// Every bank pays a few times.
///
/// **Returns** the latencies from submission to proof.
pub(crate) async fn quiet(scene: &mut Scene) -> Result<Vec<Duration>, Failure> {
    let mut tasks = JoinSet::new();
    for mut payer in payers(scene, 0)? {
        tasks.spawn(async move {
            let mut proved = Vec::new();
            for _ in 0..QUIET_PAYMENTS {
                proved.push(payer.pay().await?);
            }
            Ok::<_, Failure>((payer, proved))
        });
    }
    let mut latencies = Vec::new();
    for (payer, proved) in joined(tasks).await? {
        scene.banks[payer.from] = payer.bank;
        latencies.extend(proved.iter().map(|one| one.at.saturating_duration_since(one.submitted)));
        scene.payments.extend(proved.into_iter().map(|one| one.payment));
    }
    Ok(latencies)
}

/// Every bank pays without end; meanwhile the leader is killed, and restarted when the others have shown that
/// they can do without it.
pub(crate) async fn without_leader(
    scene: &mut Scene,
    network: &Network,
    processes: &Processes,
    latencies: Vec<Duration>,
    report: &mut Report,
) -> Result<(), Failure> {
    let over = Arc::new(AtomicBool::new(false));
    let (sender, mut proofs) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for mut payer in payers(scene, QUIET_PAYMENTS)? {
        let (over, sender) = (Arc::clone(&over), sender.clone());
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let proved = payer.pay().await?;
                if sender.send(proved).is_err() {
                    break;
                }
            }
            Ok::<_, Failure>((payer, ()))
        });
    }
    drop(sender);

    take(scene, &mut proofs, BEFORE_KILL, began).await?;
    let leader = leader(network).await?;
    let node = &network.nodes[leader];
    if !processes.kill(node).await? {
        return Err(Failure::failed(format!("{} was not running when it was to be killed", node.name)));
    }
    let killed = Instant::now();
    report.step(format!("{}, the leader, killed with SIGKILL while all banks pay", node.name));

    let first = take(scene, &mut proofs, 1, killed).await?;
    let outage = first.map_or(Duration::ZERO, |at| at.saturating_duration_since(killed));
    take(scene, &mut proofs, BEFORE_RESTART - 1, killed).await?;
    report.step(format!(
        "{BEFORE_RESTART} payments proved without it, the first after {:.2} s",
        outage.as_secs_f64()
    ));

    processes.start(node)?;
    take(scene, &mut proofs, AFTER_RESTART, Instant::now()).await?;
    over.store(true, Ordering::Relaxed);
    processes.await_ready(node, READY_PATIENCE).await?;
    for (payer, ()) in joined(tasks).await? {
        scene.banks[payer.from] = payer.bank;
    }
    while let Some(proved) = proofs.recv().await {
        scene.payments.push(proved.payment);
    }
    report.step(format!("{} restarted, caught up and agrees again", node.name));
    report.figures(Figures {
        acknowledged: scene.payments.len(),
        while_leader_dead: BEFORE_RESTART,
        outage_seconds: outage.as_secs_f64(),
        latency_p50_seconds: percentile(&latencies, 50),
        latency_p99_seconds: percentile(&latencies, 99),
    });
    Ok(())
}

/// Notes proved payments until `count` of them were submitted at or after `since`.
///
/// **Returns** when the last of them was proved.
async fn take(
    scene: &mut Scene,
    proofs: &mut mpsc::UnboundedReceiver<Proved>,
    count: usize,
    since: Instant,
) -> Result<Option<Instant>, Failure> {
    let mut last = None;
    let mut counted = 0;
    while counted < count {
        match tokio::time::timeout(SILENCE_PATIENCE, proofs.recv()).await {
            Ok(Some(proved)) => {
                if proved.submitted >= since {
                    counted += 1;
                    last = Some(proved.at);
                }
                scene.payments.push(proved.payment);
            }
            // All payers ended: their failure is reported where they are joined.
            Ok(None) => break,
            Err(_) => {
                let seconds = SILENCE_PATIENCE.as_secs();
                return Err(Failure::failed(format!("no payment was proved for {seconds} s")));
            }
        }
    }
    Ok(last)
}

/// The place of the validator that most others take for their leader.
async fn leader(network: &Network) -> Result<usize, Failure> {
    let rows = status::cluster(network).await?;
    let views = rows.iter().filter_map(|row| row.status()).map(|status| (status.view, status.leader));
    let (_, leader) = views.max().ok_or_else(|| Failure::failed("no validator says who leads"))?;
    Ok(usize::from(leader))
}

fn payers(scene: &Scene, count: usize) -> Result<Vec<Payer>, Failure> {
    let parties: Vec<_> = scene.banks.iter().map(|bank| bank.public).collect();
    let assets = [scene.asset(0)?, scene.asset(1)?];
    let payer = |(from, bank): (usize, &Actor)| Payer {
        bank: bank.clone(),
        from,
        count,
        parties: parties.clone(),
        assets: assets.to_vec(),
    };
    Ok(scene.banks.iter().enumerate().map(payer).collect())
}

async fn joined<T: 'static>(
    mut tasks: JoinSet<Result<(Payer, T), Failure>>,
) -> Result<Vec<(Payer, T)>, Failure> {
    let mut done = Vec::new();
    while let Some(task) = tasks.join_next().await {
        done.push(task.map_err(|error| Failure::failed(error.to_string()))??);
    }
    Ok(done)
}

fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_nearest_rank() {
        let latencies: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&latencies, 50), 0.1);
        assert_eq!(percentile(&latencies, 99), 0.198);
        assert_eq!(percentile(&latencies[..1], 99), 0.2);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
