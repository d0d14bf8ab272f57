//! The journal's bytes, in the format of the product's segment files: `node/storage/src/journal/format.rs`, compiled here
//! a second time, because the storage crate links a database.

use carat_consensus::Record;
use carat_types::codec::{Decode, Encode};
use carat_types::{Digest, PublicKey, Slot, ValidatorId};

use crate::format::{self, HEADER_BYTES, Header, Tail};
use crate::identity::Identity;
use crate::rng::Rng;

/// Whose journal it is: the chain and the place.
pub type Whose = (Digest, ValidatorId);

/// A frame of which a power cut left a part.
#[derive(Clone, Debug)]
pub(super) struct Torn {
    records: Vec<Record>,
    /// How much of it was written.
    per_mille: u64,
    /// Whether the last sectors are there and hold nothing: the file was longer than what was written.
    zeroed: bool,
}

impl Torn {
    pub(super) fn of(records: Vec<Record>, rng: &mut Rng) -> Self {
        Torn { records, per_mille: rng.below(1_000), zeroed: rng.chance(300) }
    }
}

/// Why a journal cannot be read: something that was synced is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A segment with these frames, and with what is left of a torn one.
///
/// **Panics** if the frames do not hold all records.
pub(super) fn write(whose: Whose, records: &[Record], frames: &[usize], torn: Option<&Torn>) -> Vec<u8> {
    let (chain_id, validator) = whose;
    let identity = Identity { chain_id, key: PublicKey([0; 32]), validator };
    let header = Header { identity, sealed: false, number: 1, oldest: 1, previous_link: 0 };
    let marker = header.marker();
    let (mut bytes, mut link, mut rest) = (header.to_bytes(), marker, records);
    for count in frames {
        let (of_frame, behind) = rest.split_at(*count);
        let (frame, next) = format::encode_frame(marker, link, &body(of_frame));
        bytes.extend(frame);
        (link, rest) = (next, behind);
    }
    assert!(rest.is_empty(), "every durable record is in a frame");
    if let Some(Torn { records, per_mille, zeroed }) = torn {
        let (mut frame, _) = format::encode_frame(marker, link, &body(records));
        let written = usize::try_from(frame.len() as u64 * per_mille / 1_000).unwrap_or(0);
        // Where nothing but zeros is missing, the frame would be whole.
        if *zeroed && frame[written..].iter().any(|byte| *byte != 0) {
            frame[written..].fill(0);
        } else {
            frame.truncate(written);
        }
        bytes.extend(frame);
    }
    bytes
}

fn body(records: &[Record]) -> Vec<u8> {
    let mut body = Vec::new();
    for record in records {
        format::encode_record(record.slot().unwrap_or(Slot(0)), &record.to_bytes(), &mut body);
    }
    body
}

/// Flips one bit of the header or of a frame that has another one behind it.
///
/// **Panics** if the segment is none.
pub(super) fn flip_a_bit(bytes: &mut [u8], chooser: u64) {
    let sound = format::read_segment(bytes).expect("a segment before it rots");
    let last = last_frame(bytes, sound.end);
    let bit = usize::try_from(chooser % (8 * last as u64)).unwrap_or(0);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// Where the last whole frame begins; the end of the header, if there is none.
fn last_frame(bytes: &[u8], end: usize) -> usize {
    const LENGTH_AT: usize = 8;
    const HEAD: usize = 16;
    let (mut at, mut next) = (HEADER_BYTES, HEADER_BYTES);
    while next < end {
        at = next;
        let length = bytes[at + LENGTH_AT..].first_chunk().map_or(0, |it| u32::from_be_bytes(*it));
        next = at + HEAD + usize::try_from(length).unwrap_or(0);
    }
    at
}

/// The records of a segment whose end may be torn.
///
/// **Errors**: [`Unreadable`].
///
/// **Panics** if a frame that reads well holds no record of consensus.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Record>, Unreadable> {
    let segment = format::read_segment(bytes).map_err(|_| Unreadable)?;
    if segment.tail == Tail::Damaged {
        return Err(Unreadable);
    }
    let decode =
        |record: &format::Record| Record::from_bytes(&record.bytes).expect("a journal record decodes");
    Ok(segment.records.iter().map(decode).collect())
}

#[cfg(test)]
mod tests {
    use carat_types::{Epoch, View};

    use super::*;

    const WHOSE: Whose = (Digest([1; 32]), ValidatorId(2));

    fn records(count: u64) -> Vec<Record> {
        (0..count).map(|view| Record::View(Epoch(0), View(view))).collect()
    }

    #[test]
    fn torn_frame_is_cut_wherever_it_broke_off() {
        for per_mille in 0..1_000 {
            for zeroed in [false, true] {
                let torn = Torn { records: records(5), per_mille, zeroed };
                let bytes = write(WHOSE, &records(6), &[1, 2, 3], Some(&torn));
                assert_eq!(read(&bytes), Ok(records(6)), "{per_mille} {zeroed}");
            }
        }
    }

    #[test]
    fn flipped_bit_before_the_last_frame_is_always_found() {
        let torn = Torn { records: records(5), per_mille: 500, zeroed: false };
        for torn in [None, Some(&torn)] {
            for chooser in 0..8 * 400 {
                let mut bytes = write(WHOSE, &records(6), &[1, 2, 3], torn);
                flip_a_bit(&mut bytes, chooser);
                assert_eq!(read(&bytes), Err(Unreadable), "bit {chooser}");
            }
        }
    }
}
