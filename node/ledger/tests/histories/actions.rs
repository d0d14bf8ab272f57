//! What people do at random: operations that often fit the state, and sometimes do not.

use std::sync::Arc;

use carat_types::PublicKey;
use carat_types::transaction::SignedTransaction;
use stellar_xdr::*;

use super::{ASSETS, Entries, NAMES, envelope};
use crate::support::*;

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// The same as a number of another type.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, bound: u64) -> T {
        T::try_from(self.below(bound)).unwrap_or_else(|_| panic!("{bound} is no bound for this type"))
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.number(u64::try_from(length).expect("few"))
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    fn account(&mut self) -> &'static str {
        // Mostly those who are there from the beginning.
        if self.below(12) == 0 { NAMES[8 + self.index(2)] } else { NAMES[self.index(8)] }
    }

    /// Mostly the first three, so that their books are full.
    fn asset(&mut self) -> &'static str {
        let most = if self.below(3) == 0 { ASSETS.len() } else { 3 };
        ASSETS[self.index(most)]
    }

    fn two_assets(&mut self) -> (&'static str, &'static str) {
        let first = self.asset();
        loop {
            let second = self.asset();
            if first != second {
                return (first, second);
            }
        }
    }

    fn amount(&mut self) -> i64 {
        match self.below(40) {
            0 => 1 + self.number::<i64>(100_000),
            1 => i64::MAX - self.number::<i64>(3),
            2..8 => 1 + self.number::<i64>(5),
            _ => 1 + self.number::<i64>(400),
        }
    }

    fn price(&mut self) -> (i32, i32) {
        match self.below(8) {
            0 => (1 + self.number::<i32>(1_000), 1 + self.number::<i32>(1_000)),
            1 => *self.pick(&[(1, 7_919), (7_919, 1), (99, 100), (100, 99)]),
            _ => (95 + self.number::<i32>(10), 95 + self.number::<i32>(10)),
        }
    }
}

/// Who does what.
type Act = (&'static str, OperationBody);

/// The transactions of a block.
pub(super) fn block(dice: &mut Dice, entries: &Entries) -> Vec<Arc<SignedTransaction>> {
    let mut used: Vec<(PublicKey, i64)> = Vec::new();
    let mut envelopes = Vec::new();
    for _ in 0..=dice.index(12) {
        let mut acts = Vec::new();
        let count = [1, 1, 1, 1, 1, 2, 2, 4][dice.index(8)];
        let who = dice.account();
        for _ in 0..count {
            let actor = if dice.below(6) == 0 { dice.account() } else { who };
            acts.extend(act(dice, entries, actor));
        }
        let Some((source, _)) = acts.first() else { continue };
        let source = id(source);
        let Some(sequence) = sequence(entries, &source) else { continue };
        let last = used.iter().rev().find(|(id, _)| *id == source).map_or(sequence, |(_, last)| *last);
        let sequence = last + 1;
        used.push((source, sequence));
        envelopes.push(envelope(
            &source,
            sequence,
            acts.into_iter().map(|(who, body)| (id(who), body)).collect(),
        ));
    }
    envelopes
}

fn sequence(entries: &Entries, id: &PublicKey) -> Option<i64> {
    let key = LedgerKey::Account(LedgerKeyAccount { account_id: (*id).into() });
    match &entries.get(&key)?.data {
        LedgerEntryData::Account(account) => Some(account.seq_num.0),
        _ => None,
    }
}

fn act(dice: &mut Dice, entries: &Entries, who: &'static str) -> Vec<Act> {
    match dice.below(100) {
        0..38 => vec![(who, offer(dice, entries, who))],
        38..52 => vec![(who, payment_over_a_path(dice))],
        52..58 => vec![(who, pay(dice.account(), dice.amount(), dice.asset()))],
        58..66 => vec![(who, line(dice))],
        66..70 => control(dice),
        70..78 => claims(dice, entries, who),
        78..87 => vec![(who, pooling(dice))],
        87..90 => vec![(who, note(dice))],
        90..96 => sponsorship(dice, entries, who),
        96..98 => vec![(who, set_signer(hash_of(&[dice.number::<u8>(4)]), dice.number::<u32>(2)))],
        98 => vec![(who, create(NAMES[8 + dice.index(2)], dice.amount()))],
        _ => vec![(NAMES[8 + dice.index(2)], merge(dice.account()))],
    }
}

fn offer(dice: &mut Dice, entries: &Entries, who: &'static str) -> OperationBody {
    let (selling, buying) = dice.two_assets();
    let (amount, price) = (dice.amount(), dice.price());
    let own: Vec<i64> = entries
        .values()
        .filter_map(|entry| match &entry.data {
            LedgerEntryData::Offer(offer) if offer.seller_id == account_id(who) => Some(offer.offer_id),
            _ => None,
        })
        .collect();
    // The more offers there are, the sooner they go again.
    if !own.is_empty() && dice.index(16) < own.len() {
        let id = *dice.pick(&own);
        let amount = if dice.below(2) == 0 { 0 } else { amount };
        return sell(id, amount, selling, buying, price);
    }
    match dice.below(6) {
        0 => passive(amount, selling, buying, price),
        1 | 2 => buy(0, amount, buying, selling, price),
        _ => sell(0, amount, selling, buying, price),
    }
}

fn payment_over_a_path(dice: &mut Dice) -> OperationBody {
    let (mut path, length) = (vec![dice.asset()], [1, 1, 2, 3][dice.index(4)]);
    path.extend((0..length).map(|_| dice.asset()));
    let (to, amount) = (dice.account(), dice.amount());
    match dice.below(2) {
        0 => deliver(to, amount, amount.saturating_mul(3), &path),
        _ => spend(to, amount, amount / 3 + 1, &path),
    }
}

fn line(dice: &mut Dice) -> OperationBody {
    let limit = *dice.pick(&[0, 500, 20_000, 20_000, 20_000, i64::MAX]);
    if dice.below(3) > 0 {
        return trust(ASSETS[1 + dice.index(ASSETS.len() - 1)], limit);
    }
    let (a, b) = pair(dice);
    join(a, b, limit)
}

/// Two assets in the order in which pools name them.
fn pair(dice: &mut Dice) -> (&'static str, &'static str) {
    let (a, b) = dice.two_assets();
    if asset(a) < asset(b) { (a, b) } else { (b, a) }
}

/// What an issuer does to a holder.
fn control(dice: &mut Dice) -> Vec<Act> {
    let of = ASSETS[1 + dice.index(ASSETS.len() - 1)];
    let issuer = if of.ends_with("anchor") { "anchor" } else { "mint" };
    let holder = dice.account();
    let body = match dice.below(12) {
        0 => line_flags(holder, of, 0, 1),
        1 => line_flags(holder, of, 2, 1),
        2..4 => clawback(holder, dice.amount(), of),
        _ => line_flags(holder, of, 1, 0),
    };
    vec![(issuer, body)]
}

fn claims(dice: &mut Dice, entries: &Entries, who: &'static str) -> Vec<Act> {
    let waiting: Vec<&ClaimableBalanceEntry> = entries
        .values()
        .filter_map(|entry| match &entry.data {
            LedgerEntryData::ClaimableBalance(balance) => Some(balance),
            _ => None,
        })
        .collect();
    if waiting.is_empty() || dice.index(12) >= waiting.len() {
        let predicate = match dice.below(3) {
            0 => ClaimPredicate::BeforeRelativeTime(dice.number::<i64>(20)),
            _ => ClaimPredicate::Unconditional,
        };
        let (first, second) = (dice.account(), dice.account());
        let mut claimants = vec![(first, predicate)];
        if first != second {
            claimants.push((second, ClaimPredicate::Unconditional));
        }
        return vec![(who, set_aside(dice.amount(), dice.asset(), &claimants))];
    }
    let balance = *dice.pick(&waiting);
    if dice.below(6) == 0 {
        return vec![("anchor", clawback_balance(balance.balance_id.clone()))];
    }
    let Claimant::ClaimantTypeV0(claimant) = dice.pick(&balance.claimants);
    let claimant = NAMES.iter().find(|name| account_id(name) == claimant.destination).expect("one of us");
    vec![(claimant, claim(balance.balance_id.clone()))]
}

fn pooling(dice: &mut Dice) -> OperationBody {
    let (a, b) = pair(dice);
    match dice.below(3) {
        0 => withdraw(pool(a, b), dice.amount(), (0, 0)),
        1 => deposit(pool(a, b), (dice.amount(), dice.amount()), (1, 2), (2, 1)),
        _ => deposit(pool(a, b), (dice.amount(), dice.amount()), (1, 10_000), (10_000, 1)),
    }
}

fn note(dice: &mut Dice) -> OperationBody {
    let name = *dice.pick(&["one", "two", "three"]);
    data(name, (dice.below(3) > 0).then_some("value"))
}

/// Somebody pays for what somebody else does, or no longer.
fn sponsorship(dice: &mut Dice, entries: &Entries, who: &'static str) -> Vec<Act> {
    if dice.below(3) > 0 {
        let payer = dice.account();
        let middle = match dice.below(4) {
            0 => note(dice),
            1 => line(dice),
            2 => set_signer(hash_of(&[dice.number::<u8>(4)]), 1),
            _ => offer(dice, entries, who),
        };
        return vec![(payer, sponsor(who)), (who, middle), (who, end_sponsoring())];
    }
    let named: Vec<&LedgerKey> = entries
        .iter()
        .filter(|(_, entry)| matches!(&entry.ext, LedgerEntryExt::V1(_)))
        .map(|(key, _)| key)
        .filter(|key| !matches!(key, LedgerKey::LiquidityPool(_)))
        .collect();
    if named.is_empty() {
        return vec![(who, note(dice))];
    }
    let key = *dice.pick(&named);
    let sponsor_of = match &entries[key].ext {
        LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.clone(),
        LedgerEntryExt::V0 => None,
    };
    let known = NAMES.iter().find(|name| Some(account_id(name)) == sponsor_of);
    let revoker = known.copied().unwrap_or(who);
    let revocation = (revoker, revoke(&carat_ledger::StateKey::Ledger(key.clone())));
    match dice.below(2) {
        0 => vec![revocation],
        _ => vec![(dice.account(), sponsor(revoker)), revocation, (revoker, end_sponsoring())],
    }
}
