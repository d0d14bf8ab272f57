//! Clients: each has one account and one transaction under way, sends the same bytes again to everybody when no
//! answer comes, and now and then competes with itself.

use carat_types::batch::Envelope;
use carat_types::{Digest, ValidatorId};

use crate::ledger::{GENESIS_TIME_MS, Order, Rules};
use crate::plan::ClientPlan;
use crate::rng::Rng;

/// A client.
#[derive(Debug)]
pub struct Client {
    number: u64,
    sequence: i64,
    under_way: Option<UnderWay>,
    /// Transactions that came to an end, one way or another.
    pub done: u64,
}

#[derive(Debug)]
struct UnderWay {
    /// All compete for one sequence number.
    competitors: Vec<(Digest, Envelope)>,
    valid_until: Option<u64>,
    sent_at: u64,
}

/// What became of a client's transaction, as the chain shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Sealed, and told to callers.
    Acknowledged,
    /// Executed somewhere; its caller has not heard of it.
    Executed,
    /// Neither.
    Open,
}

/// What clients know of the run.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Their plan.
    pub plan: &'a ClientPlan,
    /// How transactions are written.
    pub rules: &'a Rules,
    /// The machines that they reach.
    pub entrances: &'a std::ops::Range<u16>,
}

/// Where to send an envelope.
#[derive(Debug)]
pub struct Submission {
    /// The bytes.
    pub envelope: Envelope,
    /// One machine, or all that clients reach.
    pub to: Option<ValidatorId>,
}

impl Client {
    /// The client with this number.
    pub fn new(number: u64) -> Self {
        Client { number, sequence: 0, under_way: None, done: 0 }
    }

    /// Looks at the chain, and sends what is to be sent.
    ///
    /// `fate` tells what became of a transaction, `chain_second` the time of the newest block executed by a correct
    /// validator: a transaction that expired before it and is not executed by then never will be.
    pub fn act(
        &mut self,
        rng: &mut Rng,
        setting: Setting<'_>,
        now: u64,
        chain_second: u64,
        fate: impl Fn(&Digest) -> Fate,
    ) -> Vec<Submission> {
        if let Some(under_way) = &self.under_way {
            let fates: Vec<Fate> = under_way.competitors.iter().map(|(id, _)| fate(id)).collect();
            let acknowledged = fates.contains(&Fate::Acknowledged);
            let expired = under_way.valid_until.is_some_and(|limit| chain_second > limit)
                && !fates.contains(&Fate::Executed);
            if acknowledged || expired {
                self.sequence += i64::from(acknowledged);
                self.done += 1;
                self.under_way = None;
            } else if now - under_way.sent_at > setting.plan.retry {
                return self.repeat(now);
            } else {
                return Vec::new();
            }
        }
        self.begin(rng, setting, now)
    }

    fn repeat(&mut self, now: u64) -> Vec<Submission> {
        let Some(under_way) = &mut self.under_way else { return Vec::new() };
        under_way.sent_at = now;
        let again = |(_, envelope): &(Digest, Envelope)| Submission { envelope: envelope.clone(), to: None };
        under_way.competitors.iter().map(again).collect()
    }

    fn begin(&mut self, rng: &mut Rng, setting: Setting<'_>, now: u64) -> Vec<Submission> {
        let Setting { plan, rules, entrances } = setting;
        let now_second = (GENESIS_TIME_MS + now / 1_000) / 1_000;
        let valid_until = rng.chance(plan.expiring).then(|| now_second + rng.between(0, 4));
        let count = if rng.chance(plan.double_spend) { 2 } else { 1 };
        let one = |rng: &mut Rng| {
            let order =
                Order { client: self.number, sequence: self.sequence + 1, salt: rng.bits(), valid_until };
            let envelope = rules.envelope(order);
            Some((rules.decode(&envelope)?.hash, envelope))
        };
        let competitors: Vec<(Digest, Envelope)> = (0..count).filter_map(|_| one(rng)).collect();
        let submit = |(_, envelope): &(Digest, Envelope)| Submission {
            envelope: envelope.clone(),
            to: Some(ValidatorId(
                entrances.start + u16::try_from(rng.below(count_of(entrances))).unwrap_or(0),
            )),
        };
        let submissions = competitors.iter().map(submit).collect();
        self.under_way = Some(UnderWay { competitors, valid_until, sent_at: now });
        submissions
    }
}

fn count_of(entrances: &std::ops::Range<u16>) -> u64 {
    u64::from(entrances.end - entrances.start)
}
