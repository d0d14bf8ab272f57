//! One connection at the native entrance, from either side.

use std::net::SocketAddr;

use bytes::{Buf as _, Bytes, BytesMut};
use carat_types::PublicKey;
use carat_types::submission::FRAME_BYTES_MAX;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::NetworkError;
use crate::transport::close;

/// How much is taken from QUIC at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection with its one stream.
#[derive(Debug)]
pub struct Session {
    /// The key that the other side proved to hold.
    pub key: PublicKey,
    /// The version of what is said, which the handshake agreed on.
    pub version: u32,
    /// Its address.
    pub address: SocketAddr,
    reading: Reading,
    writing: Writing,
}

/// The receiving half.
#[derive(Debug)]
pub struct Reading {
    connection: Connection,
    stream: RecvStream,
    buffer: BytesMut,
    /// The session's place among all, given back with this half.
    _place: Option<OwnedSemaphorePermit>,
}

/// The sending half. Dropping it ends the session.
#[derive(Debug)]
pub struct Writing {
    connection: Connection,
    stream: SendStream,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        (key, version): (PublicKey, u32),
        (writing, reading): (SendStream, RecvStream),
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let address = connection.remote_address();
        let buffer = BytesMut::new();
        let reading = Reading { connection: connection.clone(), stream: reading, buffer, _place: place };
        Session { key, version, address, reading, writing: Writing { connection, stream: writing } }
    }

    /// Ends the session of a client that may not submit here, with a sentence for it.
    pub fn refuse(self, words: &str) {
        self.writing.connection.close(close::NOT_ADMITTED, words.as_bytes());
    }

    /// Both halves.
    pub fn split(self) -> (Reading, Writing) {
        (self.reading, self.writing)
    }
}

impl Reading {
    /// The next frame; none when the other side has no more to say. Nothing is lost if the future is dropped.
    ///
    /// **Errors**: a frame that is empty or longer than [`FRAME_BYTES_MAX`], which ends the session; a lost connection.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NetworkError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(READ_BYTES, true).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.bytes),
                Ok(None) => return Ok(None),
                Err(error) => return Err(ended(&self.connection, &error)),
            }
        }
    }

    /// The frame at the front of the buffer, if it is whole.
    fn take(&mut self) -> Result<Option<Bytes>, NetworkError> {
        let Some(length) = self.buffer.first_chunk().map(|length| u32::from_be_bytes(*length)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length == 0 || length > FRAME_BYTES_MAX {
            let words = format!("a frame of {length} bytes, expected 1 to {FRAME_BYTES_MAX}");
            self.break_off(&words);
            return Err(NetworkError::SessionEnded(words));
        }
        if self.buffer.len() < length.saturating_add(size_of::<u32>()) {
            return Ok(None);
        }
        self.buffer.advance(size_of::<u32>());
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// Ends the session because the other side broke the rules, with a sentence for it.
    pub fn break_off(&self, words: &str) {
        self.connection.close(close::VIOLATION, words.as_bytes());
    }
}

impl Writing {
    /// Sends a frame. Waits while the other side does not read.
    ///
    /// **Errors**: an empty or too long frame; a lost connection.
    pub async fn send(&mut self, frame: Vec<u8>) -> Result<(), NetworkError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        if frame.is_empty() || frame.len() > FRAME_BYTES_MAX {
            return Err(NetworkError::SessionEnded(format!("a frame of {length} bytes was to be sent")));
        }
        let mut pieces = [Bytes::copy_from_slice(&length.to_be_bytes()), Bytes::from(frame)];
        let written = self.stream.write_all_chunks(&mut pieces).await;
        written.map_err(|error| ended(&self.connection, &error))
    }
}

/// Why a session ended: what the other side said, if it said something.
fn ended(connection: &Connection, error: &dyn std::error::Error) -> NetworkError {
    let reason = connection.close_reason().map(|reason| reason.to_string());
    NetworkError::SessionEnded(reason.unwrap_or_else(|| error.to_string()))
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.connection.close(close::SHUTDOWN.0, close::SHUTDOWN.1);
    }
}
