//! Replays the recorded closes, where they are to be found.

use std::path::PathBuf;

use carat_ledger::replay::{Replayed, replay};

/// `CARAT_VECTORS`, or where the data lies beside a checkout.
fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("CARAT_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    let folder = folder.join("ledger-close");
    folder.is_dir().then_some(folder)
}

#[test]
fn recorded_closes_replay_without_a_mismatch() {
    let Some(folder) = recordings() else {
        println!("skipped: the recorded closes are not here; CARAT_VECTORS names their folder");
        return;
    };
    let (mut replayed, mut transactions, mut unsupported) = (0, 0, 0);
    let mut mismatches = Vec::new();
    for group in std::fs::read_dir(folder).expect("readable folder") {
        let group = group.expect("readable entry").path();
        if !group.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(group).expect("readable folder") {
            let path = file.expect("readable entry").path();
            let Replayed { transactions: count, mismatches: found, unsupported: skipped } =
                replay(&std::fs::read(&path).expect("readable file"))
                    .expect("a recording that can be replayed");
            mismatches.extend(found.into_iter().map(|mismatch| format!("{}: {mismatch}", path.display())));
            transactions += count;
            if skipped {
                unsupported += 1;
            } else {
                replayed += 1;
            }
        }
    }
    assert!(mismatches.is_empty(), "{} mismatches:\n{}", mismatches.len(), mismatches.join("\n"));
    assert_eq!((replayed, transactions, unsupported), (48, 752, 0));
}
