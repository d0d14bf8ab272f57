//! Crashes, damage and full disks, at every byte and at every step.

use std::io::ErrorKind;
use std::path::Path;

use carat_types::{Digest, PublicKey, Slot, ValidatorId};

use super::*;
use crate::children;
use crate::disk::{Failure, MemoryDisk};

mod sealed;

const FOLDER: &str = "journal";

fn identity() -> Identity {
    Identity { chain_id: Digest([7; 32]), key: PublicKey([9; 32]), validator: ValidatorId(3) }
}

fn record(slot: u64, text: &str) -> Record {
    Record { slot: Slot(slot), bytes: text.as_bytes().to_vec() }
}

fn new_disk() -> MemoryDisk {
    Journal::create_on(MemoryDisk::new(), Path::new(FOLDER), identity())
        .expect("an empty disk takes a journal")
}

/// Small sizes, so that few records already rotate segments.
fn small() -> Options {
    Options { segment_bytes: 400, frame_bytes: 100 }
}

fn open(disk: MemoryDisk) -> Result<(Journal<MemoryDisk>, Vec<Record>), JournalError> {
    Journal::open_on(disk, Path::new(FOLDER), &identity(), small())
}

/// A disk with `groups` of records, each group synced on its own.
fn disk_with(groups: &[&[Record]]) -> MemoryDisk {
    let (mut journal, found) = open(new_disk()).expect("a new journal opens");
    assert_eq!(found, []);
    for group in groups {
        for record in *group {
            journal.append(&record.bytes, record.slot).expect("the disk works");
        }
        journal.sync().expect("the disk works");
    }
    journal.into_disk()
}

fn segment_files(disk: &MemoryDisk) -> Vec<String> {
    disk.list().expect("the disk works")
}

#[test]
fn journal_reopened_returns_records_in_order() {
    let groups = [[record(1, "a"), record(2, "b")], [record(2, ""), record(0, "state")]];
    let (_, found) = open(disk_with(&[&groups[0], &groups[1]])).expect("opens");
    assert_eq!(found, groups.concat());
}

#[test]
fn journal_of_several_segments_returns_records_in_order() {
    let records: Vec<Record> = (1..100).map(|slot| record(slot, &format!("vote {slot}"))).collect();
    let groups: Vec<&[Record]> = records.chunks(3).collect();
    let disk = disk_with(&groups);
    assert!(segment_files(&disk).len() > 5, "the test wants rotation");
    assert_eq!(open(disk).expect("opens").1, records);
}

#[test]
fn unsynced_records_are_lost_with_the_power() {
    let (mut journal, _) = open(disk_with(&[&[record(1, "synced")]])).expect("opens");
    journal.append(b"never synced", Slot(2)).expect("the disk works");
    let mut disk = journal.into_disk();
    disk.crash(|growth| growth);
    assert_eq!(open(disk).expect("opens").1, [record(1, "synced")]);
}

#[test]
fn tail_torn_at_any_byte_is_cut() {
    let first = record(1, "the first record, synced");
    let last = [record(2, "the last frame"), record(3, "holds two records")];
    let whole = disk_with(&[std::slice::from_ref(&first), &last]);
    let name = segment_files(&whole).pop().expect("a segment");
    let length = whole.read(&name).expect("reads").len();
    let kept = disk_with(&[std::slice::from_ref(&first)]).read(&name).expect("reads").len();
    for cut in kept..length {
        for filling in [None, Some(0), Some(0xff)] {
            let mut disk = whole.clone();
            disk.damage(&name, |bytes| {
                bytes.truncate(cut);
                bytes.resize(filling.map_or(cut, |_| length), filling.unwrap_or_default());
            });
            let (mut journal, found) = open(disk).expect("a torn tail is no damage");
            assert_eq!(found, std::slice::from_ref(&first), "cut at {cut}, filled with {filling:?}");
            // What follows the cut is readable, and nothing of the torn frame comes back.
            journal.append(b"next", Slot(4)).expect("the disk works");
            journal.sync().expect("the disk works");
            assert_eq!(open(journal.into_disk()).expect("opens").1, [first.clone(), record(4, "next")]);
        }
    }
}

#[test]
fn bit_flipped_anywhere_before_the_last_frame_refuses_to_open() {
    let groups = [record(1, "one"), record(2, "two, somewhat longer"), record(3, "three")];
    let disk = disk_with(&[&groups[..1], &groups[1..2], &groups[2..]]);
    let name = segment_files(&disk).pop().expect("a segment");
    let last_frame = disk_with(&[&groups[..1], &groups[1..2]]).read(&name).expect("reads").len();
    for at in 0..last_frame {
        for bit in 0..8 {
            let mut disk = disk.clone();
            disk.damage(&name, |bytes| bytes[at] ^= 1 << bit);
            let refused = matches!(open(disk), Err(JournalError::Damaged { .. }));
            assert!(refused, "bit {bit} of byte {at} flipped unnoticed");
        }
    }
}

#[test]
fn bit_flipped_in_a_full_segment_refuses_to_open() {
    let records: Vec<Record> = (1..40).map(|slot| record(slot, "a vote")).collect();
    let disk = disk_with(&records.chunks(2).collect::<Vec<_>>());
    let files = segment_files(&disk);
    assert!(files.len() > 2, "the test wants full segments");
    let (_, full) = files.split_last().expect("several");
    for name in full {
        let length = disk.read(name).expect("reads").len();
        for at in 0..length {
            let mut disk = disk.clone();
            disk.damage(name, |bytes| bytes[at] ^= 0x10);
            assert!(matches!(open(disk), Err(JournalError::Damaged { .. })), "{name}: byte {at}");
        }
        for cut in 0..length {
            let mut disk = disk.clone();
            disk.damage(name, |bytes| bytes.truncate(cut));
            assert!(matches!(open(disk), Err(JournalError::Damaged { .. })), "{name}: cut at {cut}");
        }
    }
}

#[test]
fn bytes_behind_the_end_of_a_full_segment_refuse_to_open() {
    let records: Vec<Record> = (1..40).map(|slot| record(slot, "a vote")).collect();
    let mut disk = disk_with(&records.chunks(2).collect::<Vec<_>>());
    let name = segment_files(&disk).remove(0);
    disk.damage(&name, |bytes| bytes.push(0));
    assert!(matches!(open(disk), Err(JournalError::Damaged { .. })));
}

#[test]
fn frame_lost_or_moved_as_a_whole_refuses_to_open() {
    let records = [record(1, "one"), record(2, "two"), record(3, "six")];
    let disk = disk_with(&records.each_ref().map(std::slice::from_ref));
    let name = segment_files(&disk).pop().expect("a segment");
    let frames = disk.read(&name).expect("reads").split_off(format::HEADER_BYTES);
    let frames: Vec<&[u8]> = frames.chunks(frames.len() / 3).collect();
    for order in [&[1, 2][..], &[0, 2], &[0, 2, 1], &[1, 0, 2], &[0, 0, 1, 2], &[2]] {
        let mut disk = disk.clone();
        disk.damage(&name, |bytes| {
            bytes.truncate(format::HEADER_BYTES);
            order.iter().for_each(|frame| bytes.extend_from_slice(frames[*frame]));
        });
        assert!(matches!(open(disk), Err(JournalError::Damaged { .. })), "frames {order:?}");
    }
}

#[test]
fn segment_missing_refuses_to_open() {
    let records: Vec<Record> = (1..40).map(|slot| record(slot, "a vote")).collect();
    let disk = disk_with(&records.chunks(2).collect::<Vec<_>>());
    let files = segment_files(&disk);
    let (_, needed) = files.split_last().expect("several");
    for name in needed {
        let mut disk = disk.clone();
        disk.remove(name).expect("the disk works");
        let Err(JournalError::Missing { path }) = open(disk) else { panic!("{name} is gone unnoticed") };
        assert!(path.ends_with(name));
    }
}

#[test]
fn journal_absent_refuses_to_open() {
    assert!(matches!(open(MemoryDisk::new()), Err(JournalError::NoBirthRecord { .. })));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let absent = Journal::open(&folder.path().join("absent"), &identity());
    assert!(matches!(absent, Err(JournalError::NoBirthRecord { .. })));
}

#[test]
fn foreign_journal_refuses_to_open() {
    let check = |what: &str, expected: Identity| {
        let opened = Journal::open_on(new_disk(), Path::new(FOLDER), &expected, small());
        let error = opened.expect_err("a foreign journal is refused").to_string();
        assert!(error.contains(&format!("another {what}")) && error.contains("hint: "), "{error}");
    };
    check("chain", Identity { chain_id: Digest([8; 32]), ..identity() });
    check("acceptor key", Identity { key: PublicKey([8; 32]), ..identity() });
    check("validator", Identity { validator: ValidatorId(2), ..identity() });
}

#[test]
fn second_birth_in_one_folder_is_refused() {
    let again = Journal::create_on(disk_with(&[&[record(1, "a vote")]]), Path::new(FOLDER), identity());
    assert!(matches!(again, Err(JournalError::Exists { .. })));
}

#[test]
fn frame_of_an_older_segment_is_not_taken_for_a_newer_one() {
    let (mut journal, _) = open(disk_with(&[&[record(1, "old vote")]])).expect("opens");
    journal.compact(Slot(0), &[]).expect("the disk works");
    let mut disk = journal.into_disk();
    let [old, new] = segment_files(&disk).try_into().expect("two segments");
    let old_frame = disk.read(&old).expect("reads").split_off(format::HEADER_BYTES);
    disk.damage(&new, |bytes| bytes.extend_from_slice(&old_frame));
    assert_eq!(open(disk).expect("opens").1, [record(1, "old vote")]);
}

#[test]
fn record_over_the_limit_is_refused_and_harms_nothing() {
    let (mut journal, _) = open(new_disk()).expect("opens");
    let long = vec![0; format::RECORD_BYTES_MAX + 1];
    assert!(matches!(journal.append(&long, Slot(1)), Err(JournalError::RecordTooLong { .. })));
    journal.append(b"short", Slot(1)).expect("still usable");
    journal.sync().expect("still usable");
    assert_eq!(open(journal.into_disk()).expect("opens").1, [record(1, "short")]);
}

#[test]
fn compaction_deletes_what_the_checkpoint_covers() {
    let records: Vec<Record> = (1..=60).map(|slot| record(slot, "a vote")).collect();
    let disk = disk_with(&records.chunks(2).collect::<Vec<_>>());
    let (mut journal, _) = open(disk).expect("opens");
    let before = journal.bytes();
    journal.compact(Slot(50), &[record(0, "view 4")]).expect("the disk works");
    assert!(journal.bytes() < before / 2);
    journal.append(b"a later vote", Slot(61)).expect("the disk works");
    journal.sync().expect("the disk works");
    let (mut journal, found) = open(journal.into_disk()).expect("opens");
    let (tail, kept) = (&found[found.len() - 2..], &found[..found.len() - 2]);
    assert_eq!(tail, [record(0, "view 4"), record(61, "a later vote")]);
    assert!(records.ends_with(kept) && kept.len() >= 10);
    journal.compact(Slot(61), &[]).expect("the disk works");
    let (journal, found) = open(journal.into_disk()).expect("opens");
    assert_eq!((found, journal.segments.len()), (vec![], 1));
}

/// A history that fills, rotates and compacts. Stops at the first error; tells what was promised until then.
#[derive(Default)]
struct History {
    /// All records in the order of their appending.
    appended: Vec<Record>,
    /// How many of them were synced.
    synced: usize,
    /// Checkpoints whose compaction was begun, and whether it was finished.
    compactions: Vec<(u64, bool)>,
}

impl History {
    fn carry(stable: u64) -> Record {
        record(0, &format!("state at {stable}"))
    }

    fn play(&mut self, journal: &mut Journal<MemoryDisk>) -> Result<(), JournalError> {
        for slot in 1..=24 {
            for what in ["vote", "certificate"] {
                let record = record(slot, &format!("{what} {slot}"));
                self.appended.push(record.clone());
                journal.append(&record.bytes, record.slot)?;
                journal.sync()?;
                self.synced = self.appended.len();
            }
            if slot % 8 == 0 {
                self.compactions.push((slot - 4, false));
                journal.compact(Slot(slot - 4), &[Self::carry(slot - 4)])?;
                self.compactions.pop();
                self.compactions.push((slot - 4, true));
            }
        }
        Ok(())
    }

    /// Every promise holds in what a start found.
    fn check(&self, found: &[Record]) {
        let carried = |stable: u64| found.contains(&Self::carry(stable));
        for (stable, finished) in &self.compactions {
            let replaced = self.compactions.iter().any(|(later, _)| later > stable && carried(*later));
            assert!(!finished || replaced || carried(*stable), "the state carried at {stable} is gone");
        }
        let checkpoint =
            self.compactions.iter().map(|(stable, _)| *stable).filter(|stable| carried(*stable)).max();
        let (promised, _) = self.appended.split_at(self.synced);
        for record in promised.iter().filter(|record| record.slot.0 > checkpoint.unwrap_or(0)) {
            assert!(found.contains(record), "a synced record of slot {} is gone", record.slot);
        }
        let own: Vec<&Record> = found.iter().filter(|record| record.slot.0 > 0).collect();
        let known: Vec<&Record> = self.appended.iter().filter(|record| own.contains(record)).collect();
        assert_eq!(own, known, "records changed their order, or came from nowhere");
    }
}

/// Lets the disk fail at every operation of the history in turn, loses power, and opens again.
fn check_failure_at_every_step(error: ErrorKind, survives: fn(usize) -> usize) {
    let mut whole = History::default();
    let (mut journal, _) = open(new_disk()).expect("opens");
    whole.play(&mut journal).expect("the disk works");
    let steps = journal.into_disk().operations();
    assert!(steps > 100, "the history is too short to be worth it");
    for after in 0..steps {
        let mut disk = new_disk();
        disk.set_failure(Some(Failure { after, error }));
        let Ok((mut journal, _)) = open(disk) else { continue };
        let mut history = History::default();
        let failure = history.play(&mut journal).err();
        if let Some(failure) = &failure {
            let full = matches!(failure, JournalError::DiskFull { .. });
            assert_eq!(full, error == ErrorKind::StorageFull, "{failure}");
            assert!(matches!(journal.append(b"more", Slot(99)), Err(JournalError::Closed { .. })));
            assert!(matches!(journal.sync(), Err(JournalError::Closed { .. })));
        }
        let mut disk = journal.into_disk();
        disk.crash(survives);
        let (journal, found) = open(disk).expect("a crash is no damage");
        history.check(&found);
        // Opening is itself safe to repeat.
        assert_eq!(open(journal.into_disk()).expect("opens again").1, found);
    }
}

#[test]
fn power_lost_at_any_step_keeps_what_was_synced() {
    check_failure_at_every_step(ErrorKind::Other, |_| 0);
    check_failure_at_every_step(ErrorKind::Other, |growth| growth / 2);
    check_failure_at_every_step(ErrorKind::Other, |growth| growth);
}

#[test]
fn disk_full_at_any_step_is_said_and_keeps_what_was_synced() {
    check_failure_at_every_step(ErrorKind::StorageFull, |growth| growth);
}

#[test]
fn power_lost_while_opening_after_a_crash_keeps_what_was_synced() {
    let mut disk = disk_with(&[&[record(1, "synced")]]);
    let name = segment_files(&disk).pop().expect("a segment");
    disk.damage(&name, |bytes| bytes.extend_from_slice(b"torn"));
    disk.write("0000000000000002.journal.unfinished", b"half").expect("the disk works");
    for after in 0..2 {
        let mut disk = disk.clone();
        disk.set_failure(Some(Failure { after, error: ErrorKind::Other }));
        assert!(read_segments(&mut disk, Path::new(FOLDER), &identity(), None).is_err());
        disk.crash(|_| 0);
        assert_eq!(open(disk).expect("opens").1, [record(1, "synced")]);
    }
}

#[test]
fn journal_in_files_survives_reopening_and_is_held_by_one() {
    let _undisturbed = children::none_begins();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("data/journal");
    Journal::create(&folder, identity()).expect("creates");
    assert!(matches!(Journal::create(&folder, identity()), Err(JournalError::Exists { .. })));
    let (mut journal, _) = Journal::open(&folder, &identity()).expect("opens");
    assert!(matches!(Journal::open(&folder, &identity()), Err(JournalError::InUse { .. })));
    let records: Vec<Record> = (1..=20).map(|slot| record(slot, "a vote")).collect();
    for record in &records {
        journal.append(&record.bytes, record.slot).expect("the disk works");
    }
    journal.sync().expect("the disk works");
    journal.compact(Slot(5), &[record(0, "view 1")]).expect("the disk works");
    drop(journal);
    let (mut journal, found) = Journal::open(&folder, &identity()).expect("opens");
    assert_eq!(found, [records, vec![record(0, "view 1")]].concat());
    journal.compact(Slot(20), &[record(0, "view 1")]).expect("the disk works");
    drop(journal);
    let (_, found) = Journal::open(&folder, &identity()).expect("opens");
    assert_eq!(found, [record(0, "view 1")]);
}
