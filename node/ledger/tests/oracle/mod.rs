//! A second pipeline, written from the specification without a look at the first: trim, order, fees, execution.
//!
//! It knows accounts by number, one issued asset, and a few operations; it copies the whole ledger where the other
//! keeps a log, and builds queues where the other sorts. Slow and plain on purpose.

use std::collections::BTreeMap;

use carat_types::Digest;
use carat_types::hash::h;

pub(crate) const BASE_FEE: i64 = 100;
pub(crate) const BASE_RESERVE: i64 = 10;
pub(crate) const LIMIT: i64 = 5_000;
/// The account that issues the asset.
pub(crate) const ISSUER: usize = 0;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) sequence: i64,
    pub(crate) medium: u8,
    /// What it holds of the asset, if it has a line.
    pub(crate) line: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<usize, Account>,
    pub(crate) fee_pool: i64,
    pub(crate) starting_sequence: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    PayCoins { to: usize, amount: i64 },
    PayAsset { to: usize, amount: i64 },
    Create { who: usize, balance: i64 },
    Trust,
    Medium(u8),
    Bump(i64),
    Merge { into: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Right,
    Missing,
    Superfluous,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    Fine,
    Early,
    Late,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) source: usize,
    pub(crate) sequence: i64,
    pub(crate) fee: i64,
    pub(crate) operations: Vec<Operation>,
    pub(crate) signing: Signing,
    pub(crate) timing: Timing,
    /// Payer, fee, signing of the outer part.
    pub(crate) bump: Option<(usize, i64, Signing)>,
    pub(crate) hash: Digest,
    pub(crate) full_hash: Digest,
}

impl Envelope {
    fn payer(&self) -> usize {
        self.bump.map_or(self.source, |(payer, ..)| payer)
    }

    fn bid(&self) -> i64 {
        self.bump.map_or(self.fee, |(_, fee, _)| fee)
    }

    fn counted_operations(&self) -> i64 {
        self.operations.len() as i64 + i64::from(self.bump.is_some())
    }
}

/// What became of an envelope: dropped for a reason, or applied with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Dropped(String),
    Applied(String),
}

/// The fates by position, and the positions of the applied ones in order.
pub(crate) fn run(ledger: &mut Ledger, envelopes: &[Envelope], prefix: Digest) -> (Vec<Fate>, Vec<usize>) {
    let mut fates: Vec<Option<Fate>> = vec![None; envelopes.len()];
    let mut distinct = Vec::new();
    for position in 0..envelopes.len() {
        if distinct.iter().any(|earlier: &usize| envelopes[*earlier].hash == envelopes[position].hash) {
            fates[position] = Some(Fate::Dropped("Duplicate".into()));
        } else {
            distinct.push(position);
        }
    }
    let mut kept = Vec::new();
    let mut sequences = BTreeMap::new();
    let mut fees: BTreeMap<usize, i64> = BTreeMap::new();
    for position in order(envelopes, &distinct, prefix) {
        let envelope = &envelopes[position];
        let sequence = sequences.get(&envelope.source).copied();
        match refusal(ledger, envelope, sequence, *fees.get(&envelope.payer()).unwrap_or(&0)) {
            Some(code) => fates[position] = Some(Fate::Dropped(format!("Invalid(Tx{code})"))),
            None => {
                sequences.insert(envelope.source, envelope.sequence);
                *fees.entry(envelope.payer()).or_default() += envelope.bid();
                kept.push(position);
            }
        }
    }
    kept.sort_unstable();
    let applied = order(envelopes, &kept, prefix);
    for position in &applied {
        let envelope = &envelopes[*position];
        let asked = envelope.bid().min(BASE_FEE * envelope.counted_operations());
        let payer = ledger.accounts.get_mut(&envelope.payer()).expect("the trim has looked");
        let fee = asked.min(payer.balance);
        payer.balance -= fee;
        ledger.fee_pool += fee;
    }
    let block: Vec<&Envelope> = applied.iter().map(|position| &envelopes[*position]).collect();
    for position in &applied {
        let words = execute(ledger, &envelopes[*position], &block);
        let words = if envelopes[*position].bump.is_some() { format!("bump({words})") } else { words };
        fates[*position] = Some(Fate::Applied(words));
    }
    (fates.into_iter().map(|fate| fate.expect("every envelope has a fate")).collect(), applied)
}

/// One queue an account; heads of all queues sorted by key; and again.
fn order(envelopes: &[Envelope], positions: &[usize], prefix: Digest) -> Vec<usize> {
    let mut queues: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for position in positions {
        queues.entry(envelopes[*position].source).or_default().push(*position);
    }
    for queue in queues.values_mut() {
        queue.sort_by_key(|position| (envelopes[*position].sequence, envelopes[*position].full_hash));
    }
    let mut all = Vec::new();
    while queues.values().any(|queue| !queue.is_empty()) {
        let mut heads: Vec<usize> =
            queues.values_mut().filter(|queue| !queue.is_empty()).map(|queue| queue.remove(0)).collect();
        heads.sort_by_key(|position| h("order", &[&prefix.0, &envelopes[*position].full_hash.0]));
        all.extend(heads);
    }
    all
}

fn reserve(account: &Account) -> i64 {
    (2 + i64::from(account.line.is_some())) * BASE_RESERVE
}

/// The code for which an envelope is dropped.
fn refusal(ledger: &Ledger, envelope: &Envelope, sequence: Option<i64>, fees: i64) -> Option<&'static str> {
    if let Some((payer, fee, signing)) = envelope.bump {
        let count = envelope.operations.len() as i64;
        if fee < BASE_FEE * (count + 1) || fee * count < envelope.fee * (count + 1) {
            return Some("InsufficientFee");
        }
        let Some(account) = ledger.accounts.get(&payer) else { return Some("NoAccount") };
        if signing == Signing::Missing {
            return Some("BadAuth");
        }
        if account.balance - reserve(account) < fees + fee {
            return Some("InsufficientBalance");
        }
        if signing == Signing::Superfluous {
            return Some("BadAuthExtra");
        }
    }
    match envelope.timing {
        Timing::Early => return Some("TooEarly"),
        Timing::Late => return Some("TooLate"),
        Timing::Fine => {}
    }
    if envelope.bump.is_none() && envelope.fee < BASE_FEE * envelope.operations.len() as i64 {
        return Some("InsufficientFee");
    }
    let Some(account) = ledger.accounts.get(&envelope.source) else { return Some("NoAccount") };
    if sequence.unwrap_or(account.sequence) + 1 != envelope.sequence
        || envelope.sequence == ledger.starting_sequence
    {
        return Some("BadSeq");
    }
    if envelope.signing == Signing::Missing {
        return Some("BadAuth");
    }
    if envelope.bump.is_none() && account.balance - reserve(account) < fees + envelope.fee {
        return Some("InsufficientBalance");
    }
    if envelope.operations.iter().any(|operation| !may(account, operation) || malformed(envelope, operation))
    {
        return Some("Failed");
    }
    (envelope.signing == Signing::Superfluous).then_some("BadAuthExtra")
}

/// Whether the one key, of weight 1, is enough.
fn may(account: &Account, operation: &Operation) -> bool {
    match operation {
        Operation::Bump(_) | Operation::Merge { .. } | Operation::Medium(_) => true,
        _ => account.medium <= 1,
    }
}

fn malformed(envelope: &Envelope, operation: &Operation) -> bool {
    match *operation {
        Operation::PayCoins { amount, .. } | Operation::PayAsset { amount, .. } => amount <= 0,
        Operation::Create { who, balance } => balance < 0 || who == envelope.source,
        Operation::Trust => envelope.source == ISSUER,
        Operation::Bump(to) => to < 0,
        Operation::Merge { into } => into == envelope.source,
        Operation::Medium(_) => false,
    }
}

fn execute(ledger: &mut Ledger, envelope: &Envelope, block: &[&Envelope]) -> String {
    let Some(account) = ledger.accounts.get_mut(&envelope.source) else { return "NoAccount".into() };
    if account.sequence + 1 != envelope.sequence {
        return "BadSeq".into();
    }
    account.sequence = envelope.sequence;
    if envelope.bump.is_none() && account.balance < reserve(account) {
        return "InsufficientBalance".into();
    }
    let words: Vec<&str> = envelope
        .operations
        .iter()
        .map(|operation| if may(account, operation) { success(operation) } else { "OpBadAuth" })
        .collect();
    if words.contains(&"OpBadAuth") {
        return format!("failed {}", shown(&words, &[]));
    }
    let before = ledger.clone();
    let (mut words, mut merged, mut failed) = (Vec::new(), Vec::new(), false);
    for operation in &envelope.operations {
        let copy = ledger.clone();
        match perform(ledger, envelope.source, operation, block) {
            Ok(coins) => {
                words.push(success(operation));
                merged.push(coins);
            }
            Err(code) => {
                *ledger = copy;
                failed = true;
                words.push(code);
                merged.push(0);
            }
        }
    }
    if failed {
        *ledger = before;
    }
    format!("{} {}", if failed { "failed" } else { "success" }, shown(&words, &merged))
}

fn shown(words: &[&str], merged: &[i64]) -> String {
    let shown: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(index, word)| word.replace('#', &merged.get(index).unwrap_or(&0).to_string()))
        .collect();
    shown.join(" ")
}

fn success(operation: &Operation) -> &'static str {
    match operation {
        Operation::PayCoins { .. } | Operation::PayAsset { .. } => "Payment(Success)",
        Operation::Create { .. } => "CreateAccount(Success)",
        Operation::Trust => "ChangeTrust(Success)",
        Operation::Medium(_) => "SetOptions(Success)",
        Operation::Bump(_) => "BumpSequence(Success)",
        Operation::Merge { .. } => "AccountMerge(Success(#))",
    }
}

fn perform(
    ledger: &mut Ledger,
    source: usize,
    operation: &Operation,
    block: &[&Envelope],
) -> Result<i64, &'static str> {
    let Some(own) = ledger.accounts.get(&source).cloned() else { return Err("OpNoAccount") };
    match *operation {
        Operation::PayCoins { to, .. } if to == source => {}
        Operation::PayCoins { to, amount } => {
            let to = ledger.accounts.get_mut(&to).ok_or("Payment(NoDestination)")?;
            to.balance += amount;
            if own.balance - reserve(&own) < amount {
                return Err("Payment(Underfunded)");
            }
            ledger.accounts.get_mut(&source).expect("just read").balance -= amount;
        }
        Operation::PayAsset { to, amount } => {
            if to != ISSUER {
                let to = ledger.accounts.get_mut(&to).ok_or("Payment(NoDestination)")?;
                let line = to.line.as_mut().ok_or("Payment(NoTrust)")?;
                if *line + amount > LIMIT {
                    return Err("Payment(LineFull)");
                }
                *line += amount;
            }
            if source != ISSUER {
                let own = ledger.accounts.get_mut(&source).expect("just read");
                let line = own.line.as_mut().ok_or("Payment(SrcNoTrust)")?;
                if *line < amount {
                    return Err("Payment(Underfunded)");
                }
                *line -= amount;
            }
        }
        Operation::Create { who, balance } => {
            if ledger.accounts.contains_key(&who) {
                return Err("CreateAccount(AlreadyExist)");
            }
            if balance < 2 * BASE_RESERVE {
                return Err("CreateAccount(LowReserve)");
            }
            if own.balance - reserve(&own) < balance {
                return Err("CreateAccount(Underfunded)");
            }
            ledger.accounts.get_mut(&source).expect("just read").balance -= balance;
            let sequence = ledger.starting_sequence;
            ledger.accounts.insert(who, Account { balance, sequence, medium: 0, line: None });
        }
        Operation::Trust => {
            // Always to the same limit, so that a line that is there stays as it is.
            if !ledger.accounts.contains_key(&ISSUER) {
                return Err("ChangeTrust(NoIssuer)");
            }
            if own.line.is_none() {
                if own.balance - reserve(&own) < BASE_RESERVE {
                    return Err("ChangeTrust(LowReserve)");
                }
                ledger.accounts.get_mut(&source).expect("just read").line = Some(0);
            }
        }
        Operation::Medium(medium) => ledger.accounts.get_mut(&source).expect("just read").medium = medium,
        Operation::Bump(to) => {
            let own = ledger.accounts.get_mut(&source).expect("just read");
            own.sequence = own.sequence.max(to);
        }
        Operation::Merge { into } => {
            if !ledger.accounts.contains_key(&into) {
                return Err("AccountMerge(NoAccount)");
            }
            if own.line.is_some() {
                return Err("AccountMerge(HasSubEntries)");
            }
            let highest = block
                .iter()
                .filter(|envelope| envelope.source == source)
                .map(|envelope| envelope.sequence)
                .max();
            if own.sequence.max(highest.unwrap_or(0)) >= ledger.starting_sequence {
                return Err("AccountMerge(SeqnumTooFar)");
            }
            ledger.accounts.get_mut(&into).expect("just looked").balance += own.balance;
            ledger.accounts.remove(&source);
            return Ok(own.balance);
        }
    }
    Ok(0)
}
