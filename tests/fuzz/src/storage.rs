//! What a validator reads back from its own disk, which may be damaged.

use carat_consensus::Record;
use carat_storage::journal::format::{encode_frame, read_segment};
use carat_storage::store::{Execution, Tip, TransactionPlace};
use carat_types::block::Block;
use carat_types::header::Header;

use crate::seeds;
use crate::wire::canonical;

/// A segment of the journal: the bytes as they are, and as the body of a frame whose checksums are right.
pub fn journal_segment(bytes: &[u8]) {
    let segment = seeds::segment_header();
    let (frame, _) = encode_frame(segment.marker(), segment.marker(), bytes);
    for bytes in [bytes, &[segment.to_bytes(), frame].concat()] {
        if let Ok(segment) = read_segment(bytes) {
            assert!(segment.end <= bytes.len(), "read beyond the end");
        }
    }
}

/// A record of the journal.
pub fn journal_record(bytes: &[u8]) {
    canonical::<Record>(bytes);
}

/// Values of the store.
pub fn stored_values(bytes: &[u8]) {
    canonical::<Header>(bytes);
    canonical::<Block>(bytes);
    canonical::<Execution>(bytes);
    canonical::<Tip>(bytes);
    canonical::<TransactionPlace>(bytes);
}
