//! A journal whose records are encrypted: as safe as one in the clear, and silent about what is in it.

use super::*;
use crate::sealing::DATA_KEY;

fn key() -> DataKey {
    DataKey::new(&[5; 32])
}

fn open_sealed(mut disk: MemoryDisk) -> Result<(Journal<MemoryDisk>, Vec<Record>), JournalError> {
    let found = read_segments(&mut disk, Path::new(FOLDER), &identity(), Some(&key()))?;
    Journal::begin(disk, Path::new(FOLDER), small(), Some(key()), found)
}

/// A disk with these records, each synced on its own.
fn sealed_disk(records: &[Record]) -> MemoryDisk {
    let (mut journal, _) = open_sealed(new_disk()).expect("opens");
    for record in records {
        journal.append(&record.bytes, record.slot).expect("the disk works");
        journal.sync().expect("the disk works");
    }
    journal.into_disk()
}

fn newest(disk: &MemoryDisk) -> String {
    segment_files(disk).pop().expect("a segment")
}

fn records() -> [Record; 3] {
    [record(1, "one"), record(2, "two, somewhat longer"), record(3, "three")]
}

#[test]
fn sealed_journal_torn_at_any_byte_is_cut() {
    let records = records();
    let (kept, whole) = (sealed_disk(&records[..2]), sealed_disk(&records));
    let name = newest(&whole);
    let (kept, length) = (kept.read(&name).expect("reads").len(), whole.read(&name).expect("reads").len());
    for cut in kept..length {
        let mut disk = whole.clone();
        disk.damage(&name, |bytes| bytes.truncate(cut));
        let (mut journal, found) = open_sealed(disk).expect("a torn tail is no damage");
        assert_eq!(found, records[..2], "cut at {cut}");
        journal.append(b"next", Slot(4)).expect("the disk works");
        journal.sync().expect("the disk works");
        let found = open_sealed(journal.into_disk()).expect("opens").1;
        assert_eq!(found, [&records[..2], &[record(4, "next")]].concat());
    }
}

#[test]
fn bit_flipped_in_a_sealed_journal_refuses_to_open() {
    let records = records();
    let disk = sealed_disk(&records);
    let name = newest(&disk);
    let last_frame = sealed_disk(&records[..2]).read(&name).expect("reads").len();
    for at in 0..last_frame {
        let mut disk = disk.clone();
        disk.damage(&name, |bytes| bytes[at] ^= 0x10);
        let refused = matches!(open_sealed(disk), Err(JournalError::Damaged { .. }));
        assert!(refused, "byte {at} flipped unnoticed");
    }
}

/// Whoever can write to the disk can make every checksum fit.
#[test]
fn frame_that_was_moved_or_made_without_the_key_refuses_to_open() {
    let disk = sealed_disk(&records()[..2]);
    let name = newest(&disk);
    let bytes = disk.read(&name).expect("reads");
    let header = Header::from_bytes(&bytes).expect("a header");
    let first = &bytes[format::HEADER_BYTES..];
    let length =
        usize::try_from(u32::from_be_bytes([first[8], first[9], first[10], first[11]])).expect("short");
    let (first, second) = (first[16..16 + length].to_vec(), first[16 + length + 16..].to_vec());
    let mut forged = Vec::new();
    format::encode_record(Slot(1), b"another vote", &mut forged);
    for bodies in [vec![second], vec![first.clone(), first.clone()], vec![forged]] {
        let (mut changed, mut link) = (header.to_bytes(), header.marker());
        for body in &bodies {
            link = format::append_frame(header.marker(), link, body, &mut changed);
        }
        let mut disk = disk.clone();
        disk.damage(&name, |bytes| *bytes = changed);
        assert!(matches!(open_sealed(disk), Err(JournalError::Damaged { .. })), "{} frames", bodies.len());
    }
}

#[test]
fn sealed_journal_is_rotated_and_compacted_as_any_other() {
    let records: Vec<Record> = (1..60).map(|slot| record(slot, &format!("vote {slot}"))).collect();
    let disk = sealed_disk(&records);
    assert!(segment_files(&disk).len() > 5, "the test wants rotation");
    let (mut journal, found) = open_sealed(disk).expect("opens");
    assert_eq!(found, records);
    let carry = [record(0, "view 7"), record(0, &"x".repeat(300))];
    journal.compact(Slot(59), &carry).expect("the disk works");
    let disk = journal.into_disk();
    assert_eq!(segment_files(&disk).len(), 1);
    let bytes = disk.read(&newest(&disk)).expect("reads");
    assert!(!bytes.windows(4).any(|it| it == b"view" || it == b"xxxx"), "what is carried over is sealed too");
    let (mut journal, found) = open_sealed(disk).expect("opens");
    assert_eq!(found, carry);
    let successor = Identity { validator: ValidatorId(5), ..identity() };
    journal.begin_anew(successor, &carry[..1]).expect("the disk works");
    journal.append(b"the next epoch", Slot(60)).expect("the disk works");
    journal.sync().expect("the disk works");
    let mut disk = journal.into_disk();
    let found = read_segments(&mut disk, Path::new(FOLDER), &successor, Some(&key())).expect("opens");
    let found: Vec<Record> = found.into_iter().flat_map(|segment| segment.records).collect();
    assert_eq!(found, [record(0, "view 7"), record(60, "the next epoch")]);
}

/// Opens the journal under a setting, finds `expected`, and writes `text`.
fn go_on(folder: &Path, setting: (Encryption, Option<&str>), expected: &[Record], text: &str) {
    let _undisturbed = children::none_begins();
    let passphrase = setting.1.map(Passphrase::new);
    let (mut journal, found) =
        Journal::open_under(folder, &identity(), setting.0, passphrase.as_ref()).expect("opens");
    assert_eq!(found, expected);
    journal.append(text.as_bytes(), Slot(1)).expect("the disk works");
    journal.sync().expect("the disk works");
}

fn shows(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("lists").map(|entry| entry.expect("lists").path());
    files
        .map(|path| std::fs::read(path).expect("reads"))
        .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn journal_follows_the_setting_and_opens_under_its_passphrase_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("journal");
    Journal::create(&folder, identity()).expect("made");
    let words = Some("correct horse battery staple");
    let texts = ["written in the clear", "written encrypted", "encrypted once more", "in the clear again"];
    let written: Vec<Record> = texts.iter().map(|text| record(1, text)).collect();
    go_on(&folder, (Encryption::None, None), &[], texts[0]);
    go_on(&folder, (Encryption::Values, words), &written[..1], texts[1]);
    go_on(&folder, (Encryption::Values, words), &written[..2], texts[2]);
    assert_eq!(texts.map(|text| shows(&folder, text)), [true, false, false, false]);

    let refusal = |passphrase: Option<&str>| {
        let _undisturbed = children::none_begins();
        let passphrase = passphrase.map(Passphrase::new);
        let opened = Journal::open_under(&folder, &identity(), Encryption::None, passphrase.as_ref());
        let error = opened.expect_err("refused").to_string();
        assert!(error.contains("hint: "), "{error}");
        error
    };
    assert!(refusal(None).contains("no passphrase was given"));
    assert!(refusal(Some("another passphrase")).contains("the passphrase is not the one"));
    let (key, away) = (folder.join(DATA_KEY), folder.join("away"));
    std::fs::rename(&key, &away).expect("moves");
    assert!(refusal(words).contains("data.key, is not beside them"));
    std::fs::rename(&away, &key).expect("moves");

    go_on(&folder, (Encryption::None, words), &written[..3], texts[3]);
    assert_eq!(texts.map(|text| shows(&folder, text)), [true, false, false, true]);
    let (old, new) = (Passphrase::new("correct horse battery staple"), Passphrase::new("another one"));
    let changed = Journal::change_passphrase(&folder, &old, &new).expect("changed");
    assert_eq!(changed, Some(key));
    go_on(&folder, (Encryption::Values, Some("another one")), &written, "the last");
}
