//! Replays the recorded closes, where they are to be found: every stream, all its transactions, no difference.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use carat_ledger::replay::replay;
use serde_json::Value;

/// `CARAT_VECTORS`, or where the data lies beside a checkout.
fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("CARAT_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors")),
        PathBuf::from,
    );
    let folder = folder.join("ledger-close");
    folder.is_dir().then_some(folder)
}

/// All recordings in a folder and below, by name.
fn streams(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            found.extend(streams(&path));
        } else if path.extension().is_some_and(|extension| extension == "xdr") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Past the test runner, which keeps the output of passing tests to itself.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error");
}

#[test]
fn recorded_closes_replay_without_a_mismatch() {
    let Some(folder) = recordings() else {
        say("SKIP recorded closes: they are not here; CARAT_VECTORS names the folder above ledger-close");
        return;
    };
    let index = std::fs::read_to_string(folder.join("index.json")).expect("an index");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let (mut transactions, mut unsupported) = (0, 0);
    let mut mismatches = Vec::new();
    let streams = streams(&folder);
    for path in &streams {
        let name = path.strip_prefix(&folder).expect("below the folder").to_str().expect("plain letters");
        let replayed = replay(&std::fs::read(path).expect("readable file"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // A replay that stopped early would have no mismatch either.
        let recorded = index[name]["transactions"].as_u64().unwrap_or_else(|| panic!("{name} in no index"));
        assert_eq!(u64::try_from(replayed.transactions), Ok(recorded), "transactions of {name}");
        mismatches.extend(replayed.mismatches.into_iter().map(|mismatch| format!("{name}: {mismatch}")));
        transactions += replayed.transactions;
        unsupported += usize::from(replayed.unsupported);
    }
    say(&format!(
        "streams={} transactions={transactions} mismatches={} unsupported={unsupported}",
        streams.len(),
        mismatches.len()
    ));
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    assert_eq!(unsupported, 0);
    assert_eq!(index.as_object().map(serde_json::Map::len), Some(streams.len()), "a stream is missing");
    assert!(transactions > 0, "nothing was recorded");
}
