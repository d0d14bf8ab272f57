//! One row at least for each result code that the operations can give. What nothing can give is listed in
//! `cases.rs`, where a test compares the tables with the wire format's own lists.

use carat_types::PublicKey;

use crate::support::{Tx, World};
use crate::{Case, Expect};

mod claims;
mod common;
mod control;
mod governing;
mod offers;
mod paths;
mod pools;
mod sponsoring;
mod trust;
mod value;

const PAID: &str = "totals: fee pool +100";
const ALICE_PAID: &str = "alice: balance -100, sequence +1";
const ANCHOR_PAID: &str = "anchor: balance -100, sequence +1";
/// A point of order one.
const WEAK: PublicKey = PublicKey([
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

const REQUIRED: u32 = 1;
const REVOCABLE: u32 = 2;
const IMMUTABLE: u32 = 4;
const CLAWBACK: u32 = 8;

fn row(
    name: &'static str,
    given: World,
    transaction: Tx,
    expect: Expect,
    changes: &'static [&'static str],
) -> Case {
    Case { name, given, block: vec![transaction], expect: vec![expect], changes }
}

fn two() -> World {
    World::new().account("alice", 1_000).account("bob", 500)
}

fn euros() -> World {
    two().account("anchor", 1_000).line("alice", "EUR:anchor", 50).line("bob", "EUR:anchor", 7)
}

pub(crate) fn table() -> Vec<Case> {
    let tables = [
        value::table(),
        trust::table(),
        control::table(),
        governing::table(),
        common::table(),
        offers::table(),
        paths::table(),
        claims::table(),
        sponsoring::table(),
        pools::table(),
    ];
    tables.into_iter().flatten().collect()
}
