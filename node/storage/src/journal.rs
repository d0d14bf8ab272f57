//! The journal: what a validator must remember of its own votes, durable before they are sent.
//!
//! Append-only segment files of our own ([`format`] has the bytes). Records are collected by
//! [`Journal::append`] and written and synced as one frame by [`Journal::sync`]. At a stable checkpoint
//! [`Journal::compact`] begins a new segment with the state that is still needed and deletes old segments.
//!
//! What a start finds decides: a torn last frame was never synced and is cut; anything else that is unreadable,
//! missing or foreign refuses to open, because a validator that forgets a vote may cast it again differently.
//! A failed write or sync closes the journal for good: what is durable is then unknown until the next start.
//!
//! Records can be encrypted at rest (decision record 49). Each segment says of itself whether they are, so that a journal
//! follows the setting from one segment to the next.
//!
//! **Source**: consensus specification, section 4. The layout and the rules are drawn in `docs/storage.md`.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use carat_types::Slot;

mod error;
pub mod format;
#[cfg(test)]
mod tests;

pub use error::JournalError;
pub use format::Record;

use crate::disk::{self, Disk, FileDisk};
use crate::identity::Identity;
use crate::sealing::{self, DATA_KEY, DataKey, Encryption, RestingKey};
use crate::vault::Passphrase;
use format::{Header, Segment, Tail};

/// Sizes that do not change what is durable, only how it is cut into files.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment at least this long is followed by a new one.
    pub segment_bytes: u64,
    /// Records waiting for a sync are written early once they are this many bytes.
    pub frame_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 64 << 20, frame_bytes: 8 << 20 }
    }
}

/// An open journal. One process at a time has it.
#[derive(Debug)]
pub struct Journal<D = FileDisk> {
    disk: D,
    /// For messages to the operator.
    folder: PathBuf,
    options: Options,
    /// Seals what is written from now on; none, and it is in the clear.
    key: Option<DataKey>,
    /// All segments, oldest first; the last is being written.
    segments: VecDeque<SegmentInfo>,
    /// Header of the last segment.
    header: Header,
    /// Marker of its frames.
    marker: u32,
    /// Link of the last frame.
    link: u32,
    /// The body of the next frame: records not yet written.
    body: Vec<u8>,
    /// The frame being written. Kept, as the body is: frames come often, and memory that is given back costs more than it.
    frame: Vec<u8>,
    /// The highest slot in `body`.
    body_slot: Slot,
    /// Set by the first failure; nothing works afterwards.
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct SegmentInfo {
    number: u64,
    bytes: u64,
    highest_slot: Slot,
}

const UNFINISHED: &str = ".unfinished";
/// What the container of a journal's data key says that it holds.
const PURPOSE: &str = "key of a journal's records";

impl Journal {
    /// Makes the journal of a new key: a folder, and in it the birth record.
    ///
    /// **Errors**: the folder holds a journal already, or the disk's.
    pub fn create(folder: &Path, identity: Identity) -> Result<(), JournalError> {
        let failed = |source| JournalError::disk(folder, "create the folder", source);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let disk = Self::lock(folder)?;
        Journal::create_on(disk, folder, identity)?;
        disk::sync_parent(folder).map_err(failed)
    }

    /// Opens the journal of `expected` and reads all of it; what is written is in the clear.
    ///
    /// **Errors**: see [`JournalError`]; after any of them the validator must not vote.
    pub fn open(folder: &Path, expected: &Identity) -> Result<(Self, Vec<Record>), JournalError> {
        Journal::open_under(folder, expected, Encryption::None, None)
    }

    /// Opens the journal of `expected` and reads all of it. With [`Encryption::Values`] what is written from now on is encrypted
    /// under a key that the passphrase protects; what was written before is read either way, with the passphrase where it is needed.
    ///
    /// **Errors**: as [`Journal::open`]; a wrong passphrase or none.
    pub fn open_under(
        folder: &Path,
        expected: &Identity,
        encryption: Encryption,
        passphrase: Option<&Passphrase>,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        if !folder.is_dir() {
            return Err(JournalError::NoBirthRecord { folder: folder.into() });
        }
        let mut disk = Self::lock(folder)?;
        let unusable = |error| JournalError::Key { path: folder.join(DATA_KEY), error };
        let key = match (passphrase, sealing::has_key(folder)) {
            (Some(passphrase), true) => {
                Some(RestingKey::open(folder, PURPOSE, passphrase).map_err(unusable)?.key)
            }
            _ => None,
        };
        let found = read_segments(&mut disk, folder, expected, key.as_ref())?;
        let key = match (encryption, passphrase, key) {
            (Encryption::None, _, _) => None,
            (Encryption::Values, _, Some(key)) => Some(key),
            (Encryption::Values, Some(passphrase), None) => {
                Some(RestingKey::create(folder, PURPOSE, passphrase).map_err(unusable)?.key)
            }
            (Encryption::Values, None, None) => return Err(JournalError::Locked { folder: folder.into() }),
        };
        Journal::begin(disk, folder, Options::default(), key, found)
    }

    /// Whether records may be encrypted in the journal of a folder: it has a key.
    pub fn has_key(folder: &Path) -> bool {
        sealing::has_key(folder)
    }

    /// Puts the key of a journal's records under another passphrase; the validator may run meanwhile.
    ///
    /// **Returns** the key's file; none where there is none.
    ///
    /// **Errors**: a wrong passphrase, the disk's; the key is then under the one passphrase or the other.
    pub fn change_passphrase(
        folder: &Path,
        old: &Passphrase,
        new: &Passphrase,
    ) -> Result<Option<PathBuf>, JournalError> {
        let changed = sealing::change_passphrase(folder, PURPOSE, old, new);
        changed.map_err(|error| JournalError::Key { path: folder.join(DATA_KEY), error })
    }

    /// Whose journal stands in a folder, by the header of its newest segment; none where there is no journal. Nothing else
    /// of it is read or checked.
    ///
    /// **Errors**: a header that cannot be read.
    pub fn owner(folder: &Path) -> Result<Option<Identity>, JournalError> {
        let failed = |doing| move |source| JournalError::disk(folder, doing, source);
        let listed = match std::fs::read_dir(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("list the folder")(error)),
        };
        let mut newest = None;
        for entry in listed {
            let name = entry.map_err(failed("list the folder"))?.file_name();
            newest = newest.max(name.to_str().and_then(segment_number));
        }
        let Some(number) = newest else { return Ok(None) };
        let path = folder.join(segment_name(number));
        let mut start = Vec::with_capacity(format::HEADER_BYTES);
        let file = std::fs::File::open(&path).map_err(failed("read a segment"))?;
        file.take(format::HEADER_BYTES as u64).read_to_end(&mut start).map_err(failed("read a segment"))?;
        let header = Header::from_bytes(&start).map_err(|error| JournalError::Damaged {
            path,
            offset: 0,
            what: error.to_string(),
        })?;
        Ok(Some(header.identity))
    }

    fn lock(folder: &Path) -> Result<FileDisk, JournalError> {
        match FileDisk::lock(folder) {
            Ok(Some(disk)) => Ok(disk),
            Ok(None) => Err(JournalError::InUse { folder: folder.into() }),
            Err(source) => Err(JournalError::disk(folder, "lock the folder", source)),
        }
    }
}

impl<D: Disk> Journal<D> {
    /// [`Journal::create`] on any disk; `folder` is only named in messages.
    ///
    /// **Returns** the disk.
    ///
    /// **Errors**: as there.
    pub fn create_on(mut disk: D, folder: &Path, identity: Identity) -> Result<D, JournalError> {
        let listed = disk.list().map_err(|source| JournalError::disk(folder, "list the folder", source))?;
        if listed.iter().any(|name| segment_number(name).is_some()) {
            return Err(JournalError::Exists { folder: folder.into() });
        }
        let header = Header { identity, sealed: false, number: 1, oldest: 1, previous_link: 0 };
        publish_segment(&mut disk, 1, &header.to_bytes())
            .map_err(|source| JournalError::disk(folder, "write the first segment", source))?;
        Ok(disk)
    }

    /// [`Journal::open`] on any disk; `folder` is only named in messages.
    ///
    /// **Errors**: as there.
    pub fn open_on(
        mut disk: D,
        folder: &Path,
        expected: &Identity,
        options: Options,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        let found = read_segments(&mut disk, folder, expected, None)?;
        Journal::begin(disk, folder, options, None, found)
    }

    /// Goes on behind what was read: in a new segment, where the last one is not as encrypted as the next frame is to be.
    fn begin(
        disk: D,
        folder: &Path,
        options: Options,
        key: Option<DataKey>,
        found: VecDeque<Segment>,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        let last = found.back().map(|segment| (segment.header, segment.link));
        let (header, link) = last.ok_or_else(|| JournalError::NoBirthRecord { folder: folder.into() })?;
        let mut records = Vec::new();
        let mut segments = VecDeque::new();
        for segment in found {
            segments.push_back(SegmentInfo {
                number: segment.header.number,
                bytes: segment.end as u64,
                highest_slot: highest_slot(&segment.records),
            });
            records.extend(segment.records);
        }
        let mut journal = Journal {
            disk,
            folder: folder.into(),
            options,
            key,
            segments,
            header,
            marker: header.marker(),
            link,
            body: Vec::new(),
            frame: Vec::new(),
            body_slot: Slot(0),
            failed: false,
        };
        if header.sealed != journal.key.is_some() {
            journal.begin_segment(journal.oldest(), &[])?;
        }
        Ok((journal, records))
    }

    /// Adds a record to those that the next [`Journal::sync`] makes durable. `slot` is the one up to which the
    /// record matters; 0 for state that [`Journal::compact`] is given anew each time.
    ///
    /// **Errors**: the record is longer than [`format::RECORD_BYTES_MAX`], or an early write failed.
    pub fn append(&mut self, bytes: &[u8], slot: Slot) -> Result<(), JournalError> {
        self.check_usable()?;
        if bytes.len() > format::RECORD_BYTES_MAX {
            return Err(JournalError::RecordTooLong { bytes: bytes.len() });
        }
        if !self.body.is_empty() && self.body.len() + bytes.len() > self.options.frame_bytes {
            self.sync()?;
        }
        format::encode_record(slot, bytes, &mut self.body);
        self.body_slot = self.body_slot.max(slot);
        Ok(())
    }

    /// Makes every appended record durable. Only then may what they announce be sent.
    ///
    /// **Errors**: the disk's; the journal is closed for good.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.check_usable()?;
        if self.body.is_empty() {
            return Ok(());
        }
        let outcome = self.write_frame();
        self.settle("write and sync", outcome)?;
        if self.segments.back().is_some_and(|last| last.bytes >= self.options.segment_bytes) {
            self.begin_segment(self.oldest(), &[])?;
        }
        Ok(())
    }

    /// After a stable checkpoint at `stable`: begins a new segment with `carry`, and deletes the oldest segments,
    /// as far as all their records are of slots at or below `stable`. `carry` must hold every record
    /// of such a slot that is still needed. A crash at any point leaves either the old segments or the new one.
    ///
    /// **Errors**: the disk's; the journal is closed for good.
    pub fn compact(&mut self, stable: Slot, carry: &[Record]) -> Result<(), JournalError> {
        self.sync()?;
        let next = self.next_number();
        let needed = self.segments.iter().find(|segment| segment.highest_slot > stable);
        let oldest = needed.map_or(next, |segment| segment.number);
        self.begin_segment(oldest, carry)?;
        self.remove_below(oldest)
    }

    /// Deletes the segments that the newest one's header does not name any more.
    fn remove_below(&mut self, oldest: u64) -> Result<(), JournalError> {
        let mut outcome = Ok(());
        while let Some(segment) = self.segments.front().filter(|segment| segment.number < oldest) {
            outcome = outcome.and_then(|()| self.disk.remove(&segment_name(segment.number)));
            self.segments.pop_front();
        }
        let outcome = outcome.and_then(|()| self.disk.sync_folder());
        self.settle("delete old segments", outcome)
    }

    /// Ends what the journal remembers, and begins it anew for `identity` with `carry`: after the last slot of an epoch, of
    /// which nothing is voted on any more. A crash at any point leaves either the old segments or the new one.
    /// **Source**: decision record 39, point 6.
    ///
    /// **Errors**: the disk's; the journal is closed for good.
    pub fn begin_anew(&mut self, identity: Identity, carry: &[Record]) -> Result<(), JournalError> {
        self.sync()?;
        let next = self.next_number();
        self.header.identity = identity;
        self.begin_segment(next, carry)?;
        self.remove_below(next)
    }

    /// What the journal takes on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Gives the disk back. Records not yet synced are lost, as in a crash.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Writes the collected records as one frame and syncs it. One frame at a time: see [`format`] on torn tails.
    fn write_frame(&mut self) -> io::Result<()> {
        self.frame.clear();
        if let Some(key) = &self.key {
            key.batch()?.seal(&format::associated(&self.header, self.link), &mut self.body)?;
        }
        let link = format::append_frame(self.marker, self.link, &self.body, &mut self.frame);
        let last = self.segments.back_mut().ok_or(io::ErrorKind::NotFound)?;
        let name = segment_name(last.number);
        self.disk.append(&name, &self.frame)?;
        self.disk.sync(&name)?;
        last.bytes += self.frame.len() as u64;
        last.highest_slot = last.highest_slot.max(self.body_slot);
        self.link = link;
        self.body.clear();
        self.body_slot = Slot(0);
        Ok(())
    }

    fn begin_segment(&mut self, oldest: u64, carry: &[Record]) -> Result<(), JournalError> {
        let number = self.next_number();
        let (identity, sealed) = (self.header.identity, self.key.is_some());
        let header = Header { identity, sealed, number, oldest, previous_link: self.link };
        let outcome = carried(&header, carry, self.key.as_ref(), self.options.frame_bytes);
        let (bytes, link) = self.settle("begin a segment", outcome)?;
        let outcome = publish_segment(&mut self.disk, number, &bytes);
        self.settle("begin a segment", outcome)?;
        let info = SegmentInfo { number, bytes: bytes.len() as u64, highest_slot: highest_slot(carry) };
        self.segments.push_back(info);
        (self.header, self.marker, self.link) = (header, header.marker(), link);
        Ok(())
    }

    fn oldest(&self) -> u64 {
        self.segments.front().map_or(1, |first| first.number)
    }

    fn next_number(&self) -> u64 {
        self.segments.back().map_or(1, |last| last.number.saturating_add(1))
    }

    fn check_usable(&self) -> Result<(), JournalError> {
        if self.failed { Err(JournalError::Closed { folder: self.folder.clone() }) } else { Ok(()) }
    }

    /// A disk that failed once is not asked again: after a failed sync the system may claim success for lost bytes.
    fn settle<T>(&mut self, doing: &'static str, outcome: io::Result<T>) -> Result<T, JournalError> {
        outcome.map_err(|source| {
            self.failed = true;
            JournalError::disk(&self.folder, doing, source)
        })
    }
}

/// A segment that begins with `carry`, and the link of its last frame.
fn carried(
    header: &Header,
    carry: &[Record],
    key: Option<&DataKey>,
    frame_bytes: usize,
) -> io::Result<(Vec<u8>, u32)> {
    let marker = header.marker();
    let (mut bytes, mut link, mut body) = (header.to_bytes(), marker, Vec::new());
    for (index, record) in carry.iter().enumerate() {
        format::encode_record(record.slot, &record.bytes, &mut body);
        if body.len() >= frame_bytes || index + 1 == carry.len() {
            if let Some(key) = key {
                key.batch()?.seal(&format::associated(header, link), &mut body)?;
            }
            link = format::append_frame(marker, link, &body, &mut bytes);
            body.clear();
        }
    }
    Ok((bytes, link))
}

/// Makes a whole segment appear at once: a crash leaves it complete or absent.
fn publish_segment<D: Disk>(disk: &mut D, number: u64, bytes: &[u8]) -> io::Result<()> {
    let name = segment_name(number);
    let unfinished = format!("{name}{UNFINISHED}");
    disk.write(&unfinished, bytes)?;
    disk.sync(&unfinished)?;
    disk.rename(&unfinished, &name)?;
    // Without this a power cut can undo the rename.
    disk.sync_folder()
}

/// Reads all segments, oldest first, checks them against each other, and removes what crashes left over.
fn read_segments<D: Disk>(
    disk: &mut D,
    folder: &Path,
    expected: &Identity,
    key: Option<&DataKey>,
) -> Result<VecDeque<Segment>, JournalError> {
    let failed = |doing| move |source| JournalError::disk(folder, doing, source);
    let names = disk.list().map_err(failed("list the folder"))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut segments = VecDeque::new();
    let mut oldest =
        numbers.last().copied().ok_or_else(|| JournalError::NoBirthRecord { folder: folder.into() })?;
    // From the newest down: its header says how far down the journal goes.
    let newest = oldest;
    let mut number = newest;
    while number >= oldest {
        let name = segment_name(number);
        if !numbers.contains(&number) {
            return Err(JournalError::Missing { path: folder.join(name) });
        }
        let bytes = disk.read(&name).map_err(failed("read a segment"))?;
        let segment = read_segment(&folder.join(name), &bytes, number, (expected, key), segments.front())?;
        if number == newest {
            oldest = segment.header.oldest;
        }
        segments.push_front(segment);
        number -= 1;
    }
    let dispensable = |name: &String| {
        name.ends_with(UNFINISHED) || segment_number(name).is_some_and(|number| number < oldest)
    };
    for name in names.iter().filter(|name| dispensable(name)) {
        disk.remove(name).map_err(failed("delete what a crash left over"))?;
    }
    if let Some(last) = segments.back_mut().filter(|last| last.tail == Tail::Torn) {
        tracing::info!(segment = last.header.number, end = last.end, "cut the torn end of the journal");
        disk.truncate(&segment_name(newest), last.end as u64).map_err(failed("cut the torn end"))?;
    }
    Ok(segments)
}

/// Reads one segment and checks it against the one above it.
fn read_segment(
    path: &Path,
    bytes: &[u8],
    number: u64,
    (expected, key): (&Identity, Option<&DataKey>),
    above: Option<&Segment>,
) -> Result<Segment, JournalError> {
    let damaged = |offset: usize, what: String| JournalError::Damaged { path: path.into(), offset, what };
    let open = |associated: &[u8], body: &[u8]| {
        let mut body = body.to_vec();
        key?.open(associated, &mut body).ok()?;
        Some(body)
    };
    let segment = format::read_segment_with(bytes, &open).map_err(|error| damaged(0, error.to_string()))?;
    if segment.header.sealed && key.is_none() {
        return Err(JournalError::locked(path));
    }
    if let Some(difference) = segment.header.identity.difference(expected) {
        return Err(JournalError::foreign(path, difference));
    }
    let header = &segment.header;
    if header.number != number || header.oldest > number || header.oldest == 0 {
        return Err(damaged(0, format!("it says to be segment {} from {}", header.number, header.oldest)));
    }
    // Only the last segment was ever written to while power could fail; the others were synced to their end.
    let sound = match above {
        None => segment.tail != Tail::Damaged,
        Some(above) => segment.tail == Tail::Clean && above.header.previous_link == segment.link,
    };
    if sound {
        Ok(segment)
    } else {
        Err(damaged(segment.end, "a record that was synced is unreadable".into()))
    }
}

fn highest_slot(records: &[Record]) -> Slot {
    records.iter().map(|record| record.slot).max().unwrap_or_default()
}

fn segment_name(number: u64) -> String {
    format!("{number:016}.journal")
}

fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(".journal").filter(|digits| digits.len() == 16)?.parse().ok()
}
