//! A process that is killed while it commits leaves a prefix of its blocks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

const FOLDER: &str = "CARAT_TEST_STORE_TO_FILL";

/// In the process to be killed: commits blocks for ever, and says which.
fn fill(folder: &Path) -> ! {
    let store = on_disk(folder).expect("opens");
    let mut chain = Chain::new();
    while chain.newest.slot < store.tip().slot {
        chain.next();
    }
    loop {
        commit(&store, &mut chain, 1);
        if chain.newest.slot.0.is_multiple_of(16) {
            store.sync().expect("syncs");
        }
        // Past the test harness, which keeps what is printed to itself.
        writeln!(std::io::stderr(), "committed {}", chain.newest.slot).expect("the parent reads");
    }
}

#[test]
fn process_killed_while_committing_leaves_a_prefix_of_blocks() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        fill(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for lines in [1, 7, 40, 16] {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args([
                "--exact",
                "store::tests::kill::process_killed_while_committing_leaves_a_prefix_of_blocks",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = children::begin(|| command.spawn()).expect("starts");
        let output = BufReader::new(child.stderr.take().expect("is piped"));
        let said = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("committed ").and_then(|slot| slot.parse::<u64>().ok()));
        let committed = said.take(lines).last().expect("the child commits");
        child.kill().expect("is running");
        child.wait().expect("ends");
        let store = on_disk(folder.path()).expect("a killed process is no damage");
        let tip = store.tip().slot.0;
        assert!(tip >= committed, "block {committed} was committed, and the store ends with {tip}");
        check_holds(&store, tip);
    }
}
