//! Lanes and frames: how messages stand on a stream.
//!
//! A connection carries one unidirectional stream for each lane, from the dialler to the acceptor. A stream
//! is one byte that names the lane, then frames until the connection ends:
//!
//! ```text
//! u8 lane | ( u32 length, big-endian | payload )*        length: 1 ..= LaneLimits::frame_bytes
//! ```

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::budget::{Budget, Share};

/// Urgent and bulk messages travel on separate streams, so that a long one never delays a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Votes, view changes, status: small and first.
    Urgent,
    /// Bodies, blocks, state: large, behind whatever is urgent.
    Bulk,
}

impl Lane {
    /// Both lanes.
    pub const ALL: [Lane; 2] = [Lane::Urgent, Lane::Bulk];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Lane::Urgent => 1,
            Lane::Bulk => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| lane.code() == code)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::Urgent => "urgent",
            Lane::Bulk => "bulk",
        })
    }
}

/// One of each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// That of [`Lane::Urgent`].
    pub urgent: T,
    /// That of [`Lane::Bulk`].
    pub bulk: T,
}

impl<T> PerLane<T> {
    pub(crate) fn new(mut make: impl FnMut(Lane) -> T) -> Self {
        PerLane { urgent: make(Lane::Urgent), bulk: make(Lane::Bulk) }
    }

    /// That of `lane`.
    pub fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    pub(crate) fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

/// What an authenticated peer did against the framing. It ends the connection and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Violation {
    /// A frame longer than the lane's limit was announced.
    #[error("frame too long")]
    FrameTooLong,
    /// A frame without payload.
    #[error("empty frame")]
    EmptyFrame,
    /// A stream that names no lane, or names it too late.
    #[error("stream of no lane")]
    NoLane,
    /// A second stream of one lane.
    #[error("second stream of a lane")]
    SecondStream,
    /// A lane's stream ended while the connection stands.
    #[error("lane ended")]
    LaneEnded,
}

impl Violation {
    /// All kinds.
    pub const ALL: [Violation; 5] = [
        Violation::FrameTooLong,
        Violation::EmptyFrame,
        Violation::NoLane,
        Violation::SecondStream,
        Violation::LaneEnded,
    ];
}

/// Reads the next frame, waiting first until the peer's budget has room for it. While it waits, QUIC's flow
/// control stops the peer's stream; nothing else waits.
///
/// **Errors**: the violation; [`Violation::LaneEnded`] also when the connection was lost.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    frame_bytes: usize,
    budget: &Budget,
) -> Result<(Bytes, Share), Violation> {
    let length = stream.read_u32().await.map_err(|_| Violation::LaneEnded)?;
    let length = usize::try_from(length).map_err(|_| Violation::FrameTooLong)?;
    if length > frame_bytes {
        return Err(Violation::FrameTooLong);
    }
    if length == 0 {
        return Err(Violation::EmptyFrame);
    }
    let share = budget.take(length).await;
    // Each payload has an allocation of its own: a vote that somebody keeps must not keep others with it.
    let mut payload = BytesMut::zeroed(length);
    stream.read_exact(&mut payload).await.map_err(|_| Violation::LaneEnded)?;
    Ok((payload.freeze(), share))
}

/// Frames at least this long are handed to QUIC as they are; shorter ones are copied together, because a packet
/// costs more the more pieces wait to be acknowledged.
const COPIED_BELOW: usize = 16 * 1024;

/// The bytes of `frames` on the stream, in pieces. A frame longer than `u32::MAX` does not pass the queue.
pub(crate) fn encode(frames: &[Bytes]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut joined = BytesMut::new();
    for frame in frames {
        let Ok(length) = u32::try_from(frame.len()) else { continue };
        joined.put_u32(length);
        if frame.len() < COPIED_BELOW {
            joined.put_slice(frame);
        } else {
            pieces.push(joined.split().freeze());
            pieces.push(frame.clone());
        }
    }
    if !joined.is_empty() {
        pieces.push(joined.freeze());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LaneLimits;

    const LIMITS: LaneLimits =
        LaneLimits { frame_bytes: 100_000, inbox_bytes: 200_000, queue_bytes: 0, queue_frames: 0 };

    async fn read(mut bytes: &[u8]) -> (Vec<Bytes>, Violation) {
        let budget = Budget::new(&LIMITS);
        let mut frames = Vec::new();
        loop {
            match read_frame(&mut bytes, LIMITS.frame_bytes, &budget).await {
                Ok((payload, _share)) => frames.push(payload),
                Err(violation) => {
                    assert_eq!(budget.used(), 0);
                    return (frames, violation);
                }
            }
        }
    }

    #[tokio::test]
    async fn frames_encoded_in_one_batch_are_read_one_by_one() {
        let frames: Vec<Bytes> = [1, COPIED_BELOW - 1, 7, COPIED_BELOW, 100_000, 3]
            .iter()
            .map(|&n| Bytes::from(vec![9; n]))
            .collect();
        let pieces = encode(&frames);
        assert_eq!(pieces.len(), 5, "short ones travel together");
        assert_eq!(read(&pieces.concat()).await, (frames, Violation::LaneEnded));
    }

    #[tokio::test]
    async fn bytes_that_are_no_frame_are_a_violation() {
        let cases: [(&[u8], Violation); 6] = [
            (b"", Violation::LaneEnded),
            (b"\0\0\0", Violation::LaneEnded),
            (b"\0\0\0\0rest", Violation::EmptyFrame),
            (b"\0\0\0\x03ab", Violation::LaneEnded),
            (b"\0\x01\x86\xa1", Violation::FrameTooLong),
            (b"\xff\xff\xff\xff", Violation::FrameTooLong),
        ];
        for (bytes, violation) in cases {
            assert_eq!(read(bytes).await, (vec![], violation), "{bytes:?}");
        }
    }
}
