//! Measures how fast the journal makes records durable, in a folder of the disk that is asked about.
//!
//! `cargo run --release -p carat-storage --example journal_rate -- FOLDER`

use std::path::PathBuf;
use std::time::Instant;

use carat_storage::Identity;
use carat_storage::journal::{Journal, JournalError};
use carat_types::{Digest, PublicKey, Slot, ValidatorId};

#[expect(clippy::print_stdout, reason = "a program that reports figures")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("record bytes  syncs/s  MB/s");
    for (bytes, count) in [(200, 2_000), (4 << 10, 2_000), (64 << 10, 1_000), (1 << 20, 200)] {
        let folder = folder.join(format!("journal-rate-{}", std::process::id()));
        let seconds = measure(&folder, bytes, count)?;
        std::fs::remove_dir_all(&folder)?;
        let rate = f64::from(count) / seconds;
        println!("{bytes:>12}  {rate:>7.0}  {:>4.0}", rate * f64::from(bytes) / 1e6);
    }
    Ok(())
}

/// Seconds for `count` records of `bytes` each, every one synced on its own.
fn measure(folder: &std::path::Path, bytes: u32, count: u32) -> Result<f64, JournalError> {
    let identity = Identity { chain_id: Digest::ZERO, key: PublicKey([1; 32]), validator: ValidatorId(0) };
    Journal::create(folder, identity)?;
    let (mut journal, _) = Journal::open(folder, &identity)?;
    let record = vec![0x5a; bytes as usize];
    let started = Instant::now();
    for slot in 0..count {
        journal.append(&record, Slot(slot.into()))?;
        journal.sync()?;
    }
    Ok(started.elapsed().as_secs_f64())
}
