//! Plays random histories of the whole ledger and recounts it after every transaction.
//!
//! `cargo run --release -p carat-ledger --example histories [-- --operations N] [--seed FIRST]`, by default 1,000,000
//! operations from seed 0 on. Ends with a line of figures; a history in which something does not hold ends the program
//! with its seed. The ordinary tests play a slice of the same histories.

#[path = "../tests/histories/mod.rs"]
mod histories;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use histories::{Tally, play};

/// Operations of a history, as in the tests.
const OPERATIONS: usize = 2_500;

#[expect(clippy::print_stdout, reason = "the output of the program")]
fn main() {
    let (operations, first) = arguments();
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.operations < operations {
        tally.add(play(seed, OPERATIONS.min(operations - tally.operations)));
        seed += 1;
    }
    let Tally { operations, transactions, succeeded, dropped, blocks, trades } = tally;
    println!(
        "histories={} operations={operations} transactions={transactions} succeeded={succeeded} dropped={dropped} \
         blocks={blocks} trades={trades} violations=0 seconds={:.1}",
        seed - first,
        start.elapsed().as_secs_f64()
    );
}

/// How many operations, from which seed on.
fn arguments() -> (usize, u64) {
    let (mut operations, mut seed) = (1_000_000, 0);
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().unwrap_or_else(|| panic!("{name} needs a number"));
        let value: u64 = value.parse().unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        match name.as_str() {
            "--operations" => operations = usize::try_from(value).expect("a 64-bit machine"),
            "--seed" => seed = value,
            _ => panic!("unknown argument {name}: --operations N and --seed FIRST are known"),
        }
    }
    (operations, seed)
}
