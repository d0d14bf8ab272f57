//! A small file beside the database that says up to which block it was synced.
//!
//! The database drops silently what follows an unreadable record of its log, which is right for what was never
//! synced and wrong for what was. With the mark the two can be told apart at the next start.

use std::io;

use carat_types::codec::{Decode, Encode};

use super::record::Tip;
use crate::disk::Disk;

const NAME: &str = "durable";
const UNFINISHED: &str = "durable.unfinished";

/// The mark as read: absent before the first sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Absent,
    Damaged,
    At(Tip),
}

/// Replaces the mark; call it after the database has been synced.
pub(super) fn write(disk: &mut dyn Disk, tip: &Tip) -> io::Result<()> {
    let mut bytes = tip.to_bytes();
    let checksum = crc32c::crc32c(&bytes);
    checksum.encode(&mut bytes);
    disk.write(UNFINISHED, &bytes)?;
    disk.sync(UNFINISHED)?;
    disk.rename(UNFINISHED, NAME)?;
    disk.sync_folder()
}

pub(super) fn read(disk: &dyn Disk) -> io::Result<Mark> {
    let bytes = match disk.read(NAME) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mark::Absent),
        Err(error) => return Err(error),
    };
    let tip = bytes.split_last_chunk::<4>().and_then(|(tip, checksum)| {
        let sound = crc32c::crc32c(tip) == u32::from_be_bytes(*checksum);
        if sound { Tip::from_bytes(tip).ok() } else { None }
    });
    Ok(tip.map_or(Mark::Damaged, Mark::At))
}
