//! How soon a payment is believed by each of a client's rules: all three read on the very same payments, one under way at a time.
//!
//! The bytes go to the native entrances of all validators over sessions that stand. Every word and every receipt is verified
//! before it counts; a seal that comes before enough words is taken by their rules too, as clients do.

use std::fmt;
use std::time::Instant;

use anyhow::{Result, bail};
use carat_client::client::{EarlyRule, WordCount};
use carat_client::native::{Native, Reply};
use carat_client::network::Network;
use carat_network::entrance::Dialler;
use carat_types::batch::Envelope;
use carat_types::receipt::Verifier;
use carat_types::submission::RepliedOutcome;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::accounts::{Senders, Signed};
use crate::results::{Latency, Machine};

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleResults {
    /// Validators of the network.
    pub validators: usize,
    /// Payments, one after the other.
    pub payments: usize,
    /// A row for each rule.
    pub rules: Vec<RuleRow>,
    /// Where and what.
    pub machine: Machine,
}

/// One rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its name, as `--rule` takes it.
    pub rule: String,
    /// From the send to the moment at which the payment is believed by it.
    pub latency_ms: Latency,
    /// Payments believed before the first sealed receipt.
    pub before_seals: usize,
}

/// What is counted for one rule.
struct Row {
    rule: &'static str,
    needs: Option<EarlyRule>,
    latency_us: Histogram<u64>,
    before_seals: usize,
}

/// A payment on its way.
struct UnderWay {
    started: Instant,
    words: UnboundedReceiver<RepliedOutcome>,
    replies: JoinSet<Reply>,
}

/// Sends the first account's payments, one after the other.
///
/// **Errors**: a validator that does not answer; a payment that is not settled.
pub async fn measure(network: &Network, senders: &Senders, payments: usize) -> Result<RuleResults> {
    let machine = Machine::this();
    let sessions = connect(network, senders).await?;
    let mut rows = rows()?;
    let signed = senders.sign(1, payments)?;
    for payment in signed.iter().flatten() {
        pay(network, &sessions, payment, &mut rows).await?;
    }
    let row = |row: Row| RuleRow {
        rule: row.rule.to_owned(),
        latency_ms: Latency::of(&row.latency_us),
        before_seals: row.before_seals,
    };
    let rules = rows.into_iter().map(row).collect();
    Ok(RuleResults { validators: sessions.len(), payments, rules, machine })
}

fn rows() -> Result<Vec<Row>> {
    let rules = [
        ("tentative", Some(EarlyRule::Tentative)),
        ("quorum-tentative", Some(EarlyRule::QuorumTentative)),
        ("sealed", None),
    ];
    let row = |(rule, needs)| Ok(Row { rule, needs, latency_us: Histogram::new(3)?, before_seals: 0 });
    rules.into_iter().map(row).collect()
}

async fn connect(network: &Network, senders: &Senders) -> Result<Vec<Native>> {
    let dialler = Dialler::new(senders.key()?, &network.genesis.chain_id)?;
    let mut sessions = Vec::new();
    for (address, key) in network.entrances()? {
        sessions.push(Native::connect(&dialler, address, key).await?);
    }
    Ok(sessions)
}

/// One payment, until all validators have answered: the next one follows on what all have executed.
async fn pay(network: &Network, sessions: &[Native], payment: &Signed, rows: &mut [Row]) -> Result<()> {
    let mut under_way = send(sessions, payment);
    let mut verifier = Verifier::new(&network.genesis)?;
    let count =
        |row: &Row| row.needs.map(|rule| WordCount::new(&network.genesis, rule, payment.hash)).transpose();
    let mut counts = rows.iter().map(count).collect::<Result<Vec<_>, _>>()?;
    let mut believed = vec![false; rows.len()];
    loop {
        tokio::select! {
            Some(word) = under_way.words.recv() => {
                for ((row, count), believed) in rows.iter_mut().zip(&mut counts).zip(&mut believed) {
                    let enough = count.as_mut().is_some_and(|count| count.add(&word).is_some());
                    if enough && !*believed {
                        *believed = true;
                        row.before_seals += 1;
                        row.record(under_way.started)?;
                    }
                }
            }
            Some(reply) = under_way.replies.join_next() => {
                let Reply::Receipt(receipt) = reply? else { bail!("a payment is not settled") };
                verifier.check(&receipt)?;
                for (row, believed) in rows.iter_mut().zip(&mut believed).filter(|(_, believed)| !**believed) {
                    *believed = true;
                    row.record(under_way.started)?;
                }
            }
            else => return Ok(()),
        }
    }
}

fn send(sessions: &[Native], payment: &Signed) -> UnderWay {
    let (heard, words) = unbounded_channel();
    let mut replies = JoinSet::new();
    let started = Instant::now();
    for session in sessions {
        let (session, heard, hash) = (session.clone(), heard.clone(), payment.hash);
        let envelope = Envelope(payment.envelope.as_slice().into());
        replies.spawn(async move { session.submit_tentatively(hash, envelope, heard).await });
    }
    UnderWay { started, words, replies }
}

impl Row {
    fn record(&mut self, started: Instant) -> Result<()> {
        let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(self.latency_us.record(us)?)
    }
}

impl fmt::Display for RuleResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} payments one after the other, {} validators, load average {} before\n{:<17} {:>8} {:>8} {:>8}  before the seals",
            self.payments, self.validators, self.machine.load_average, "rule", "p50 ms", "p99 ms", "max ms"
        )?;
        for RuleRow { rule, latency_ms, before_seals } in &self.rules {
            let Latency { p50, p99, max, .. } = latency_ms;
            write!(f, "\n{rule:<17} {p50:>8.1} {p99:>8.1} {max:>8.1}  {before_seals}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names_every_rule_and_the_load_of_the_machine() {
        let row = |row: Row| RuleRow {
            rule: row.rule.to_owned(),
            latency_ms: Latency::of(&row.latency_us),
            before_seals: 7,
        };
        let rules = rows().expect("histograms").into_iter().map(row).collect();
        let results = RuleResults { validators: 4, payments: 9, rules, machine: Machine::this() };
        let text = results.to_string();
        for expected in ["tentative ", "quorum-tentative ", "sealed ", "load average", "9 payments", "p99 ms"]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
