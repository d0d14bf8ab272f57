//! Replays recorded ledger closes and compares results and entry changes.
//!
//! `replay-ledger-close [DIR]`, where DIR holds the recordings in folders, by default `ledger-close` in
//! `CARAT_VECTORS`. Prints each mismatch, and last a line of counts: streams replayed, transactions compared,
//! mismatches, and streams that need operations that are not built. Exit status 1 on a mismatch.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use carat_ledger::replay::replay;

fn main() -> anyhow::Result<ExitCode> {
    let folder = std::env::args_os().nth(1).map_or_else(default_folder, PathBuf::from);
    let mut out = std::io::stdout().lock();
    let (mut streams, mut transactions, mut mismatches, mut unsupported) =
        (0_usize, 0_usize, 0_usize, 0_usize);
    for path in recordings(&folder)? {
        let name = path.strip_prefix(&folder).unwrap_or(&path).display();
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let replayed = replay(&bytes).with_context(|| format!("cannot replay {}", path.display()))?;
        if replayed.unsupported {
            unsupported += 1;
            continue;
        }
        streams += 1;
        transactions += replayed.transactions;
        mismatches += replayed.mismatches.len();
        for mismatch in &replayed.mismatches {
            writeln!(out, "{name}: {mismatch}")?;
        }
    }
    if streams + unsupported == 0 {
        anyhow::bail!(
            "no recording (*.xdr) in the folders of {} (hint: give the folder, or set CARAT_VECTORS)",
            folder.display()
        );
    }
    writeln!(
        out,
        "streams={streams} transactions={transactions} mismatches={mismatches} unsupported={unsupported}"
    )?;
    Ok(if mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn default_folder() -> PathBuf {
    std::env::var_os("CARAT_VECTORS")
        .map_or_else(|| PathBuf::from("../shared/vectors"), PathBuf::from)
        .join("ledger-close")
}

/// All recordings in `folder` and below, by name.
fn recordings(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "xdr") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
