//! The bytes of a journal's segment files: writing frames, and reading them back with a verdict on the tail.
//!
//! Pure: bytes in, bytes out, so that a simulated disk holds the same format as a real one.
//!
//! ```text
//! segment = header, then frames
//!   header   magic 8 | version u16: 2 if bodies are sealed, else 1 | validator u16 | chain_id 32 | acceptor key 32
//!            | number u64 | oldest u64 | previous link u32 | CRC-32C of all before u32
//!   frame    marker u32 | previous link u32 | body length u32 | link u32 | body
//!   body     records, each: slot u64 | length u32 | bytes
//! ```
//!
//! A sealed body (decision record 49) is bound to the segment's header and to the link of the frame before. Links are made of
//! what is stored, so that torn tails are found without a key.
//!
//! A frame is what one sync made durable. Its *link* is the CRC-32C of its previous link, its body length and
//! its body; its *marker* is the CRC of the segment's header. So frames form a chain from the header on, a frame
//! of an older segment or of another validator fits nowhere, and a frame can be recognised without knowing
//! what stands before it. The last is how a torn tail is told from damage: frame n+1 is written only after
//! frame n is synced, so an unreadable frame with a readable one behind it was synced once, and is damaged.

use carat_types::{Digest, PublicKey, Slot, ValidatorId};

use crate::identity::Identity;

/// One journaled line: opaque bytes, and the slot up to which they matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record may go once this slot is behind a stable checkpoint. 0 for state that compaction carries over.
    pub slot: Slot,
    /// The line itself.
    pub bytes: Vec<u8>,
}

/// The start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose journal it is: the birth record, which every segment repeats.
    pub identity: Identity,
    /// Whether the bodies of its frames are sealed.
    pub sealed: bool,
    /// This segment's number, from 1, without gaps.
    pub number: u64,
    /// The lowest segment that was still needed when this one was made.
    pub oldest: u64,
    /// The link of the last frame before this segment; 0 for the first segment.
    pub previous_link: u32,
}

/// What stands behind the last readable frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// Bytes of a write that was never synced. They may be cut.
    Torn,
    /// Something that was synced once and cannot be read any more.
    Damaged,
}

/// A segment as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its header.
    pub header: Header,
    /// The records of all readable frames from the start, in order.
    pub records: Vec<Record>,
    /// Where the last readable frame ends, in bytes.
    pub end: usize,
    /// The link of the last readable frame: what the next one continues from.
    pub link: u32,
    /// What stands behind `end`.
    pub tail: Tail,
}

/// Why the start of a segment is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Too short, not our magic, or the checksum does not fit.
    #[error("the header is damaged")]
    Damaged,
    /// A version that this program does not know.
    #[error("format version {0}, this program knows {VERSION} and {SEALED_VERSION}")]
    Version(u16),
}

/// The most bytes that one record may have. The largest is a NEW-VIEW: q VIEW-CHANGEs with a window of certificates
/// each, 8 MB at 31 validators.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// The version of this format.
pub const VERSION: u16 = 1;
/// The version where bodies are sealed.
pub const SEALED_VERSION: u16 = 2;
/// The length of a segment's header.
pub const HEADER_BYTES: usize = 100;

const MAGIC: [u8; 8] = *b"CARATJNL";
const FRAME_HEAD_BYTES: usize = 16;
const RECORD_HEAD_BYTES: usize = 12;

impl Header {
    /// The header's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&(if self.sealed { SEALED_VERSION } else { VERSION }).to_be_bytes());
        out.extend_from_slice(&self.identity.validator.0.to_be_bytes());
        out.extend_from_slice(&self.identity.chain_id.0);
        out.extend_from_slice(&self.identity.key.0);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.oldest.to_be_bytes());
        out.extend_from_slice(&self.previous_link.to_be_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    /// Reads a header from the front of a segment.
    ///
    /// **Errors**: [`HeaderError`].
    pub fn from_bytes(segment: &[u8]) -> Result<Self, HeaderError> {
        let mut input = Input(segment);
        let header = Header::fields(&mut input).ok_or(HeaderError::Damaged)?;
        let (covered, _) = segment.split_at_checked(HEADER_BYTES - 4).ok_or(HeaderError::Damaged)?;
        match input.u32() {
            Some(checksum) if checksum == crc32c::crc32c(covered) => header,
            _ => Err(HeaderError::Damaged),
        }
    }

    fn fields(input: &mut Input<'_>) -> Option<Result<Self, HeaderError>> {
        if input.array::<8>()? != MAGIC {
            return None;
        }
        let version = input.u16()?;
        let validator = ValidatorId(input.u16()?);
        let identity =
            Identity { validator, chain_id: Digest(input.array()?), key: PublicKey(input.array()?) };
        let sealed = version == SEALED_VERSION;
        let (number, oldest, previous_link) = (input.u64()?, input.u64()?, input.u32()?);
        Some(match version {
            VERSION | SEALED_VERSION => Ok(Header { identity, sealed, number, oldest, previous_link }),
            _ => Err(HeaderError::Version(version)),
        })
    }

    /// What every frame of this segment begins with, and what its first frame continues from.
    pub fn marker(&self) -> u32 {
        let bytes = self.to_bytes();
        bytes.last_chunk().map_or(0, |checksum| u32::from_be_bytes(*checksum))
    }
}

/// Appends a record to the body of a frame.
///
/// **Panics** if `bytes` is longer than a u32 can say; callers hold to [`RECORD_BYTES_MAX`].
pub fn encode_record(slot: Slot, bytes: &[u8], body: &mut Vec<u8>) {
    body.extend_from_slice(&slot.0.to_be_bytes());
    body.extend_from_slice(&length(bytes).to_be_bytes());
    body.extend_from_slice(bytes);
}

/// A frame around `body`, following the frame whose link is `previous`.
///
/// **Returns** the frame and its own link.
///
/// **Panics** if `body` is longer than a u32 can say; callers keep far below.
pub fn encode_frame(marker: u32, previous: u32, body: &[u8]) -> (Vec<u8>, u32) {
    let mut out = Vec::with_capacity(FRAME_HEAD_BYTES + body.len());
    let link = append_frame(marker, previous, body, &mut out);
    (out, link)
}

/// Appends what [`encode_frame`] makes to a buffer.
///
/// **Returns** the frame's own link.
pub(super) fn append_frame(marker: u32, previous: u32, body: &[u8], out: &mut Vec<u8>) -> u32 {
    let link = frame_link(previous, body);
    for word in [marker, previous, length(body), link] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(body);
    link
}

/// What the body of a frame is bound to when it is sealed.
pub(super) fn associated(header: &Header, previous: u32) -> Vec<u8> {
    [&header.to_bytes()[..], &previous.to_be_bytes()].concat()
}

/// What opens a sealed body, from what it is bound to and its bytes; none if it does not open.
pub(super) type OpenBody<'a> = &'a dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>>;

/// Reads a segment whose bodies are in the clear.
///
/// **Errors**: [`HeaderError`]; everything behind the header is judged by [`Segment::tail`].
pub fn read_segment(bytes: &[u8]) -> Result<Segment, HeaderError> {
    read_segment_with(bytes, &|_, _| None)
}

/// Reads a segment. A sealed body that does not open is taken for damage, its link being sound.
///
/// **Errors**: as [`read_segment`].
pub(super) fn read_segment_with(bytes: &[u8], open: OpenBody<'_>) -> Result<Segment, HeaderError> {
    let header = Header::from_bytes(bytes)?;
    let opened = |frame: &Frame<'_>| match header.sealed {
        false => decode_body(frame.body),
        true => decode_body(&open(&associated(&header, frame.previous), frame.body)?),
    };
    let marker = header.marker();
    let mut segment =
        Segment { header, records: Vec::new(), end: HEADER_BYTES, link: marker, tail: Tail::Clean };
    while let Some(rest) = bytes.get(segment.end..).filter(|rest| !rest.is_empty()) {
        let records = Frame::read(marker, rest)
            .filter(|frame| frame.previous == segment.link)
            .and_then(|frame| Some((frame, opened(&frame)?)));
        let Some((frame, records)) = records else {
            // A readable frame from here on, be it one that does not follow the last, tells of something lost.
            let readable = (0..rest.len()).any(|at| Frame::read(marker, &rest[at..]).is_some());
            segment.tail = if readable { Tail::Damaged } else { Tail::Torn };
            break;
        };
        segment.records.extend(records);
        segment.end += FRAME_HEAD_BYTES + frame.body.len();
        segment.link = frame.link;
    }
    Ok(segment)
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    previous: u32,
    link: u32,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the front of `bytes`, if its own checks hold. Whether it follows the right frame is not asked.
    fn read(marker: u32, bytes: &'a [u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.u32()? != marker {
            return None;
        }
        let (previous, body_length, link) = (input.u32()?, input.u32()?, input.u32()?);
        let body = input.take(usize::try_from(body_length).ok()?)?;
        (link == frame_link(previous, body)).then_some(Frame { previous, link, body })
    }
}

fn decode_body(body: &[u8]) -> Option<Vec<Record>> {
    let mut input = Input(body);
    let mut records = Vec::new();
    while !input.0.is_empty() {
        let slot = Slot(input.u64()?);
        let length = usize::try_from(input.u32()?).ok()?;
        records.push(Record { slot, bytes: input.take(length)?.to_vec() });
    }
    Some(records)
}

/// How many bytes a record takes in the body of a frame.
pub fn encoded_len(bytes: &[u8]) -> usize {
    RECORD_HEAD_BYTES + bytes.len()
}

fn frame_link(previous: u32, body: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&previous.to_be_bytes()), &length(body).to_be_bytes());
    crc32c::crc32c_append(head, body)
}

fn length(bytes: &[u8]) -> u32 {
    #[expect(clippy::expect_used, reason = "records and bodies have limits far below 2^32")]
    u32::try_from(bytes.len()).expect("shorter than 2^32")
}

/// Bytes being read, front to back.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
