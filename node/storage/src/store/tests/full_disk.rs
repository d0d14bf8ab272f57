//! A real disk that is full: a small file system in memory, where this user may mount one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::journal::{Journal, JournalError};

/// A mounted file system, unmounted at the end of the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder);
        let mounted = children::begin(|| mount.output());
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            let line = "SKIP full disk: this user may not mount a small file system (needs root)";
            writeln!(std::io::stderr(), "{line}").expect("stderr is there");
        }
        mounted.then(|| SmallDisk(folder.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = children::begin(|| Command::new("umount").arg(&self.0).output());
    }
}

#[test]
fn store_on_a_full_disk_says_so_and_keeps_what_was_synced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = SmallDisk::mount(folder.path(), "6m") else { return };
    let (ballast, data) = (disk.0.join("ballast"), disk.0.join("store"));
    fs::write(&ballast, vec![0; 4 << 20]).expect("there is room");
    let store = on_disk(&data).expect("opens");
    let mut chain = Chain::new();
    commit(&store, &mut chain, 3);
    store.sync().expect("syncs");
    let error = loop {
        let (block, outcome) = chain.next();
        if let Err(error) = store.commit_block(&block, &outcome) {
            break error;
        }
        assert!(chain.newest.slot < Slot(10_000), "the disk never filled");
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    drop(store);
    fs::remove_file(ballast).expect("frees space");
    let store = on_disk(&data).expect("opens again");
    let tip = store.tip().slot.0;
    assert!(tip >= 3);
    check_holds(&store, tip);
}

#[test]
fn journal_on_a_full_disk_says_so_and_keeps_what_was_synced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = SmallDisk::mount(folder.path(), "1m") else { return };
    let data = disk.0.join("journal");
    Journal::create(&data, identity()).expect("creates");
    let open = || {
        let _undisturbed = children::none_begins();
        Journal::open(&data, &identity())
    };
    let (mut journal, _) = open().expect("opens");
    let vote = |slot: u64| vec![slot.to_be_bytes()[7]; 1_000];
    let mut synced = 0;
    let error = loop {
        let slot = synced + 1;
        let outcome = journal.append(&vote(slot), Slot(slot)).and_then(|()| journal.sync());
        if let Err(error) = outcome {
            break error;
        }
        synced = slot;
    };
    assert!(matches!(error, JournalError::DiskFull { .. }), "{error}");
    assert!(matches!(journal.sync(), Err(JournalError::Closed { .. })));
    drop(journal);
    let (_, found) = open().expect("opens on a disk that is still full");
    assert!(synced > 500 && found.len() as u64 >= synced);
    assert!((1..=synced).zip(&found).all(|(slot, record)| record.bytes == vote(slot)));
}
