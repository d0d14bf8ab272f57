//! What is done to the network: rounds of faults, each followed by peace until payments are proved again.
//!
//! A round takes a seeded choice of victims, one, several or all, and of a weather between the validators. Peace comes
//! after every round, so that every fault is followed by the proof that the network goes on by itself.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use carat_sim::rng::Rng;

use crate::bank::Shared;
use crate::cluster::Cluster;
use crate::relay::Fault;

/// How long victims stay dead.
const DEAD_MS: (u64, u64) = (0, 1_500);
/// How long weather lasts before the first kill of its round.
const WEATHER_MS: (u64, u64) = (100, 800);
/// How long payments may fail to be proved after a round.
const PEACE_PATIENCE: Duration = Duration::from_secs(60);
/// Payments that must be proved after a round before the next.
const PROVED_IN_PEACE: u64 = 5;

/// How victims die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// SIGKILL: the kernel keeps what it was given.
    Kill,
    /// The power of the disk: what was not synced is gone.
    PowerCut,
}

/// What is done to datagrams during a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Calm,
    /// Lost, of a thousand, everywhere.
    Loss(u64),
    /// Late by up to so many ms, and so out of order, everywhere.
    Delay(u64),
    /// Twice, of a thousand, and out of order, everywhere.
    Duplicates(u64),
    /// One hears nothing of another, which hears it.
    OneWay(u16, u16),
    /// One is alone.
    Isolated(u16),
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weather::Calm => f.write_str("calm"),
            Weather::Loss(per_mille) => write!(f, "{per_mille} of 1000 datagrams lost"),
            Weather::Delay(ms) => write!(f, "datagrams up to {ms} ms late"),
            Weather::Duplicates(per_mille) => write!(f, "{per_mille} of 1000 datagrams twice"),
            Weather::OneWay(from, to) => write!(f, "v{to} hears nothing of v{from}"),
            Weather::Isolated(alone) => write!(f, "v{alone} alone"),
        }
    }
}

/// What the rounds did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Processes killed.
    pub kills: usize,
    /// Of these, with the power of their disk.
    pub power_cuts: usize,
    /// Rounds.
    pub rounds: usize,
    /// Rounds in which all validators died.
    pub blackouts: usize,
    /// From the end of each round to the next proved payment.
    pub recoveries: Vec<Duration>,
}

/// The one who does it.
pub struct Nemesis {
    rng: Rng,
    /// Whether there is weather.
    pub weather: bool,
}

impl Nemesis {
    /// The nemesis of a seed.
    pub fn new(seed: u64, weather: bool) -> Self {
        Nemesis { rng: Rng::new(seed), weather }
    }

    /// Rounds until at least `count` validators died in this way.
    ///
    /// **Errors**: the network does not go on, or a validator does not start again.
    pub async fn rounds(
        &mut self,
        cluster: &Cluster,
        shared: &Shared,
        death: Death,
        count: usize,
        done: &mut Done,
    ) -> Result<()> {
        let mut dead = 0;
        while dead < count {
            let victims = self.victims(cluster.nodes().len());
            let weather = if self.weather { self.weather(cluster.nodes().len()) } else { Weather::Calm };
            self.round(cluster, shared, death, &victims, weather).await?;
            let recovery = peace(shared).await?;
            dead += victims.len();
            done.rounds += 1;
            done.kills += victims.len();
            done.power_cuts += if death == Death::PowerCut { victims.len() } else { 0 };
            done.blackouts += usize::from(victims.len() == cluster.nodes().len());
            done.recoveries.push(recovery);
        }
        Ok(())
    }

    async fn round(
        &mut self,
        cluster: &Cluster,
        shared: &Shared,
        death: Death,
        victims: &[usize],
        weather: Weather,
    ) -> Result<()> {
        blow(cluster, weather);
        if weather != Weather::Calm {
            self.pause(WEATHER_MS).await;
        }
        for victim in victims {
            match death {
                Death::Kill => cluster.kill(*victim).await?,
                Death::PowerCut => cluster.cut_power(*victim).await?,
            }
        }
        self.pause(DEAD_MS).await;
        cluster.relay.faults.heal();
        victims.iter().try_for_each(|victim| {
            shared.history.died(&cluster.nodes()[*victim].api, shared.now());
            cluster.restart(*victim)
        })
    }

    /// One most often; several, a majority and all as well, since what only a quorum remembers must survive that.
    fn victims(&mut self, validators: usize) -> Vec<usize> {
        let count = match self.rng.below(10) {
            0..=5 => 1,
            6 | 7 => 2.min(validators),
            8 => 1 + self.rng.index(validators),
            _ => validators,
        };
        let mut order: Vec<usize> = (0..validators).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.rng.index(last + 1));
        }
        order.truncate(count);
        order
    }

    fn weather(&mut self, validators: usize) -> Weather {
        let count = validators as u64;
        // A validator's index fits: there are at most a few dozen.
        let one = |index: u64| u16::try_from(index % count).unwrap_or(0);
        let first = self.rng.below(count);
        let other = first + 1 + self.rng.below(count.max(2) - 1);
        match self.rng.below(8) {
            0 | 1 => Weather::Calm,
            2 | 3 => Weather::Loss(self.rng.between(10, 300)),
            4 => Weather::Delay(self.rng.between(5, 200)),
            5 => Weather::Duplicates(self.rng.between(50, 500)),
            6 => Weather::OneWay(one(first), one(other)),
            _ => Weather::Isolated(one(first)),
        }
    }

    async fn pause(&mut self, (low, high): (u64, u64)) {
        tokio::time::sleep(Duration::from_millis(self.rng.between(low, high))).await;
    }
}

fn blow(cluster: &Cluster, weather: Weather) {
    let cut = Fault { cut: true, ..Fault::default() };
    for (from, to) in cluster.relay.addresses.keys().copied() {
        let fault = match weather {
            Weather::Calm => Fault::default(),
            Weather::Loss(loss) => Fault { loss, ..Fault::default() },
            Weather::Delay(ms) => Fault { delay_ms: (0, ms), ..Fault::default() },
            Weather::Duplicates(duplicate) => Fault { duplicate, delay_ms: (0, 3), ..Fault::default() },
            Weather::OneWay(deaf_to, deaf) if (from, to) == (deaf_to, deaf) => cut,
            Weather::Isolated(alone) if from == alone || to == alone => cut,
            Weather::OneWay(..) | Weather::Isolated(_) => Fault::default(),
        };
        cluster.relay.faults.set((from, to), fault);
    }
}

/// Waits until payments are proved again.
///
/// **Returns** how long the first took.
async fn peace(shared: &Shared) -> Result<Duration> {
    let began = Instant::now();
    let before = shared.acknowledged.load(Ordering::Relaxed);
    let mut first = None;
    loop {
        let proved = shared.acknowledged.load(Ordering::Relaxed) - before;
        if proved > 0 {
            first.get_or_insert(began.elapsed());
        }
        if let (Some(first), true) = (first, proved >= PROVED_IN_PEACE) {
            return Ok(first);
        }
        if began.elapsed() > PEACE_PATIENCE {
            bail!("only {proved} payments were proved in {PEACE_PATIENCE:?} after the faults ended");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victims_are_distinct_and_every_number_of_them_comes() {
        let mut nemesis = Nemesis::new(7, true);
        let mut sizes = [0; 5];
        for _ in 0..1_000 {
            let mut victims = nemesis.victims(4);
            sizes[victims.len()] += 1;
            victims.sort_unstable();
            victims.dedup();
            assert_eq!(victims.len(), sizes.len().min(victims.len()));
            assert!(victims.iter().all(|victim| *victim < 4));
        }
        assert_eq!(sizes[0], 0);
        assert!(sizes[1..].iter().all(|count| *count > 0), "{sizes:?}");
    }

    #[test]
    fn weather_is_of_every_kind_and_never_between_one_and_itself() {
        let mut nemesis = Nemesis::new(7, true);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let weather = nemesis.weather(4);
            if let Weather::OneWay(from, to) = weather {
                assert_ne!(from, to);
            }
            kinds.insert(format!("{weather:?}").split('(').next().unwrap_or_default().to_owned());
        }
        assert_eq!(kinds.len(), 6, "{kinds:?}");
    }
}
