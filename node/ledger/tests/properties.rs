//! Random blocks: the pipeline against the oracle, conservation, and nothing below zero.

mod oracle;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_ledger::{StateKey, StateTree, StateValue, apply};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, LeafRule};
use oracle::{Envelope, Fate, Operation, Signing, Timing};
use proptest::prelude::*;
use stellar_xdr::{LedgerEntry, LedgerEntryData, OperationBody};
use support::*;

/// Accounts 0 to 4 exist at first; 5 and 6 may be created.
const NAMES: [&str; 7] = ["issuer", "a", "b", "c", "d", "new", "newer"];
const ASSET: &str = "EUR:issuer";

/// An envelope before it has hashes.
#[derive(Clone, Debug)]
struct Plan {
    source: usize,
    sequence: i64,
    fee: i64,
    operations: Vec<Operation>,
    signing: Signing,
    timing: Timing,
    bump: Option<(usize, i64, Signing)>,
}

fn operations() -> impl Strategy<Value = Operation> {
    let who = 0..NAMES.len();
    let amount = prop_oneof![8 => 1_i64..400, 1 => -1_i64..2, 1 => 2_000_i64..6_000];
    prop_oneof![
        6 => (who.clone(), amount.clone()).prop_map(|(to, amount)| Operation::PayCoins { to, amount }),
        6 => (who.clone(), amount.clone()).prop_map(|(to, amount)| Operation::PayAsset { to, amount }),
        2 => (5..NAMES.len(), 10_i64..300).prop_map(|(who, balance)| Operation::Create { who, balance }),
        2 => Just(Operation::Trust),
        1 => (0_u8..3).prop_map(Operation::Medium),
        1 => (-1_i64..6).prop_map(|by| Operation::Bump(if by < 0 { by } else { SEQUENCE + by })),
        1 => who.prop_map(|into| Operation::Merge { into }),
    ]
}

fn signing() -> impl Strategy<Value = Signing> {
    prop_oneof![12 => Just(Signing::Right), 1 => Just(Signing::Missing), 1 => Just(Signing::Superfluous)]
}

fn plans() -> impl Strategy<Value = Plan> {
    let timing = prop_oneof![14 => Just(Timing::Fine), 1 => Just(Timing::Early), 1 => Just(Timing::Late)];
    let fee = prop_oneof![6 => 100_i64..400, 1 => 0_i64..100];
    let bump = prop::option::weighted(0.2, (0..NAMES.len(), 150_i64..900, signing()));
    (
        0..NAMES.len(),
        prop_oneof![5 => 1_i64..3, 3 => 3_i64..6, 1 => 0_i64..1],
        fee,
        prop::collection::vec(operations(), 1..4),
        signing(),
        timing,
        bump,
    )
        .prop_map(|(source, sequence, fee, operations, signing, timing, bump)| {
            let sequence = SEQUENCE + sequence;
            Plan { source, sequence, fee, operations, signing, timing, bump }
        })
}

impl Plan {
    fn transaction(&self) -> Tx {
        let own = NAMES[self.source];
        let mut transaction = tx(own);
        for operation in &self.operations {
            transaction = transaction.op(body(operation));
        }
        let signers = signers(own, self.signing);
        let transaction =
            transaction.seq_is(self.sequence).fee(u32::try_from(self.fee).expect("small")).by(&signers);
        let transaction = match self.timing {
            Timing::Fine => transaction,
            Timing::Early => transaction.time(CLOSE_TIME + 1, 0),
            Timing::Late => transaction.time(0, CLOSE_TIME - 1),
        };
        match self.bump {
            None => transaction,
            Some((payer, fee, signing)) => {
                transaction.bump_by(NAMES[payer], fee, &self::signers(NAMES[payer], signing))
            }
        }
    }

    fn envelope(&self, signed: &SignedTransaction) -> Envelope {
        Envelope {
            source: self.source,
            sequence: self.sequence,
            fee: self.fee,
            operations: self.operations.clone(),
            signing: self.signing,
            timing: self.timing,
            bump: self.bump,
            hash: *signed.hash(),
            full_hash: *signed.full_hash(),
        }
    }
}

fn signers(own: &'static str, signing: Signing) -> Vec<&'static str> {
    match signing {
        Signing::Right => vec![own],
        Signing::Missing => vec!["stranger"],
        Signing::Superfluous => vec![own, "stranger"],
    }
}

fn body(operation: &Operation) -> OperationBody {
    match *operation {
        Operation::PayCoins { to, amount } => pay(NAMES[to], amount, "native"),
        Operation::PayAsset { to, amount } => pay(NAMES[to], amount, ASSET),
        Operation::Create { who, balance } => create(NAMES[who], balance),
        Operation::Trust => trust(ASSET, oracle::LIMIT),
        Operation::Medium(medium) => options(|op| op.med_threshold = Some(medium.into())),
        Operation::Bump(to) => bump_sequence(to),
        Operation::Merge { into } => merge(NAMES[into]),
    }
}

fn world() -> World {
    ["a", "b", "c", "d"].iter().enumerate().fold(
        World::new().account("issuer", 2_000).account("d", 230),
        |world, (index, name)| {
            let world = if *name == "d" { world } else { world.account(name, 900) };
            if index < 2 {
                world.line_with(name, ASSET, 300, |line| line.limit = oracle::LIMIT)
            } else {
                world
            }
        },
    )
}

/// What the model would be of a state.
fn model(world: &World) -> oracle::Ledger {
    let mut accounts = BTreeMap::new();
    for (number, name) in NAMES.iter().enumerate() {
        let Some(account) = world.read_account(&id(name)) else { continue };
        let line = match world.state.value(&StateKey::trustline(&id(name), &asset(ASSET))).expect("readable")
        {
            Some(StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Trustline(line), .. })) => {
                Some(line.balance)
            }
            _ => None,
        };
        let [_, _, medium, _] = account.thresholds.0;
        accounts.insert(
            number,
            oracle::Account { balance: account.balance, sequence: account.seq_num.0, medium, line },
        );
    }
    oracle::Ledger { accounts, fee_pool: world.totals().fee_pool, starting_sequence: i64::from(LEDGER) << 32 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn pipeline_and_oracle_agree_on_every_block(
        plans in prop::collection::vec(plans(), 1..24),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut plans = plans;
        for repeat in repeats {
            let again = plans[repeat.index(plans.len())].clone();
            plans.push(again);
        }
        let mut world = world();
        let mut tree = StateTree::build(&LeafRule::Open, world.state.entries());
        // A second block over the same envelopes meets the state that the first one left.
        for round in 0..2_u8 {
            let signed: Vec<Arc<SignedTransaction>> = plans.iter().map(|plan| plan.transaction().signed()).collect();
            let envelopes: Vec<Envelope> =
                plans.iter().zip(&signed).map(|(plan, signed)| plan.envelope(signed)).collect();
            let mut model = self::model(&world);
            let (fates, order) = oracle::run(&mut model, &envelopes, Digest([7; 32]));

            let outcome = apply(&world.state, &block(&signed)).expect("sound state");
            let applied: Vec<usize> = outcome.applied.iter().map(|applied| applied.batch_index as usize).collect();
            prop_assert_eq!(&applied, &order, "order in round {}", round);
            let mut ours: Vec<(usize, Fate)> = outcome
                .applied
                .iter()
                .map(|applied| (applied.batch_index as usize, Fate::Applied(in_words(&applied.result))))
                .chain(outcome.dropped.iter().map(|drop| {
                    (drop.batch_index as usize, Fate::Dropped(format!("{:?}", drop.reason)))
                }))
                .collect();
            ours.sort_by_key(|(index, _)| *index);
            let ours: Vec<Fate> = ours.into_iter().map(|(_, fate)| fate).collect();
            prop_assert_eq!(&ours, &fates, "round {}: {:#?}", round, plans);

            world.state.apply(&outcome.delta);
            prop_assert_eq!(self::model(&world), model, "state after round {}", round);
            world.assert_sound("random block");
            prop_assert_eq!(tree.update(&outcome.delta), StateTree::build(&LeafRule::Open, world.state.entries()).root());
        }
    }

    #[test]
    fn applying_twice_gives_the_same_outcome(plans in prop::collection::vec(plans(), 1..16)) {
        let world = world();
        let signed: Vec<Arc<SignedTransaction>> = plans.iter().map(|plan| plan.transaction().signed()).collect();
        let outcome = apply(&world.state, &block(&signed)).expect("sound state");
        prop_assert_eq!(&outcome, &apply(&world.state, &block(&signed)).expect("sound state"));
        // Recording changes does not change anything else.
        let silent = carat_ledger::BlockInput { record_changes: false, ..block(&signed) };
        let silent = apply(&world.state, &silent).expect("sound state");
        prop_assert_eq!(silent.delta, outcome.delta);
        prop_assert_eq!(silent.outcomes_root, outcome.outcomes_root);
    }
}
