//! Bugs that no seed shows within minutes: each names the test of the protocol that catches it. Those tests are compiled
//! here a second time, over the core with the bugs, and each is run in a process of its own with the bug switched on.

#[path = "../../../../node/consensus/tests/protocol/bodies.rs"]
mod bodies;
#[path = "../../../../node/consensus/tests/protocol/catch_up.rs"]
mod catch_up;
#[path = "../../../../node/consensus/tests/protocol/checks.rs"]
mod checks;
#[path = "../../../../node/consensus/tests/protocol/crash_only.rs"]
mod crash_only;
#[path = "../../../../node/consensus/tests/protocol/doubt.rs"]
mod doubt;
#[path = "../../../../node/consensus/tests/protocol/edge.rs"]
mod edge;
#[path = "../../../../node/consensus/tests/protocol/epochs.rs"]
mod epochs;
#[path = "../../../../node/consensus/tests/protocol/harness.rs"]
mod harness;
#[path = "../../../../node/consensus/tests/protocol/learner.rs"]
mod learner;
#[path = "../../../../node/consensus/tests/protocol/members.rs"]
mod members;
#[path = "../../../../node/consensus/tests/protocol/parties.rs"]
mod parties;
#[path = "../../../../node/consensus/tests/protocol/performance.rs"]
mod performance;
#[path = "../../../../node/consensus/tests/protocol/pieces.rs"]
mod pieces;
#[path = "../../../../node/consensus/tests/protocol/reading.rs"]
mod reading;
#[path = "../../../../node/consensus/tests/protocol/signers.rs"]
mod signers;
#[path = "../../../../node/consensus/tests/protocol/states.rs"]
mod states;
#[path = "../../../../node/consensus/tests/protocol/tentative.rs"]
mod tentative;
#[path = "../../../../node/consensus/tests/protocol/transfer.rs"]
mod transfer;
#[path = "../../../../node/consensus/tests/protocol/turns.rs"]
mod turns;
#[path = "../../../../node/consensus/tests/protocol/view_change.rs"]
mod view_change;

use std::env::current_exe;
use std::process::Command;

use carat_consensus::planted::{VARIABLE, all};

/// Whether a test passes over the core with this bug; with none, if it has no name.
fn passes(test: &str, bug: &str) -> bool {
    let own = current_exe().expect("a test knows where it lies");
    let output = Command::new(own).args(["--exact", test]).env(VARIABLE, bug).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{test}: no such test");
    output.status.success()
}

#[test]
fn bugs_that_name_a_test_are_caught_by_it() {
    let named = all().into_iter().filter_map(|bug| Some((bug.name, bug.test?)));
    let mut survivors = Vec::new();
    for (bug, test) in named {
        assert!(passes(test, ""), "{test} fails without any bug");
        if passes(test, bug) {
            survivors.push(bug);
        }
    }
    assert_eq!(survivors, [] as [&str; 0]);
}
