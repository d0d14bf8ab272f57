//! The container in which keys and backups rest: a stream of chunks, each checked by itself and in its place. [Key files](key_file)
//! and [identities](identity_file) are encrypted in it.
//!
//! ```text
//! header   magic 8 | version u16 | cipher u8 | Argon2id: KiB u32, passes u32, lanes u32, salt 16
//!          | nonce prefix 7 | length of the purpose u16 | purpose | CRC-32C of all before u32 | key check 16
//! chunk    length u32, its highest bit set in the last one | bytes
//! ```
//!
//! With a passphrase the cipher is AES-256-GCM in the STREAM construction: the nonce of a chunk is the random prefix, the
//! chunk's number u32, and 1 in the last chunk; the header is associated data. So no chunk can be changed, left out, repeated, moved or
//! taken from another container, and the end cannot be cut off. The key is Argon2id of the passphrase with a salt of
//! its own, so no two containers share one. The *key check* is the tag of an empty message: it tells a wrong passphrase from damage.
//!
//! Without a passphrase each chunk ends with a CRC-32C over the header's, its number, whether it is the last, and its
//! bytes: that finds accidents, not attacks.
//!
//! **Source**: Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance"
//! (STREAM); RFC 9106 (Argon2id); NIST SP 800-38D.

use std::io::{self, Read, Write};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, Payload as Associated};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

mod header;
pub mod identity_file;
pub mod key_file;
mod passphrase;
#[cfg(test)]
mod tests;

use header::{Cipher, Header};
pub use passphrase::{Passphrase, PassphraseError, PassphraseSource};

/// Plain bytes of a chunk; only the last is shorter.
const CHUNK_BYTES: usize = 1 << 20;
const TAG_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
const LAST: u32 = 1 << 31;

/// Why a container cannot be written or read.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The system's word.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not a container of ours.
    #[error("it does not begin like a container of Carat (hint: name the file that Carat wrote)")]
    Foreign,
    /// Another version.
    #[error(
        "its format version is {seen}, this program knows {expected} (hint: use the release that wrote it)"
    )]
    Version {
        /// The version found.
        seen: u16,
        /// The version known.
        expected: u16,
    },
    /// The start cannot be trusted.
    #[error("its header is damaged: {0} (hint: take another copy)")]
    Header(&'static str),
    /// It holds something else.
    #[error("it holds {seen:?}, expected {expected:?} (hint: files were exchanged)")]
    Purpose {
        /// What it says to hold.
        seen: String,
        /// What was to be read.
        expected: String,
    },
    /// It is encrypted, and there is no passphrase.
    #[error("it is encrypted and no passphrase was given (hint: {0})")]
    Locked(&'static str),
    /// The passphrase does not fit.
    #[error(
        "the passphrase is not the one that it was encrypted with (hint: look for another one; nothing can open it without)"
    )]
    WrongPassphrase,
    /// It ends too early.
    #[error(
        "it is cut off after {bytes} bytes of content, in chunk {chunk} (hint: copy it again, or take another copy)"
    )]
    Truncated {
        /// The chunk that is not whole.
        chunk: u32,
        /// Content before it.
        bytes: u64,
    },
    /// A chunk that was changed or is not in its place.
    #[error("chunk {chunk} was changed, or is not in its place (hint: copy it again, or take another copy)")]
    Damaged {
        /// The chunk.
        chunk: u32,
    },
    /// Bytes behind the end.
    #[error("there are bytes behind its last chunk (hint: take another copy)")]
    Trailing,
    /// More chunks than can be numbered.
    #[error("it would have more than {} chunks of 1 MiB (hint: divide the content)", u32::MAX)]
    TooLong,
    /// The key could not be made from the passphrase.
    #[error("no key could be made from the passphrase: {0}")]
    Derivation(String),
}

/// Where an encrypted container without a passphrase points.
pub const PASSPHRASE_HINT: &str = "give the file of the passphrase, its environment variable or its systemd credential; see docs/operations/keys.md";

/// Checks and hides chunks: what writer and reader share.
struct Seal {
    header: Header,
    /// Of the encoded header.
    associated: Vec<u8>,
    cipher: Option<Aes256Gcm>,
    next: u32,
}

impl Seal {
    fn nonce(&self, chunk: u32, kind: u8) -> [u8; 12] {
        let mut nonce = [0; 12];
        let (prefix, rest) = nonce.split_at_mut(header::PREFIX_BYTES);
        prefix.copy_from_slice(&self.header.prefix);
        rest[..4].copy_from_slice(&chunk.to_be_bytes());
        rest[4] = kind;
        nonce
    }

    fn checksum(&self, chunk: u32, last: bool, plain: &[u8]) -> u32 {
        let start = crc32c::crc32c(&self.associated);
        let place = [&chunk.to_be_bytes()[..], &[u8::from(last)]].concat();
        crc32c::crc32c_append(crc32c::crc32c_append(start, &place), plain)
    }

    /// The next chunk as it is stored.
    fn close(&mut self, plain: &[u8], last: bool) -> Result<Vec<u8>, VaultError> {
        let chunk = self.advance()?;
        match &self.cipher {
            Some(cipher) => {
                let nonce = self.nonce(chunk, u8::from(last));
                let message = Associated { msg: plain, aad: &self.associated };
                cipher.encrypt(&nonce.into(), message).map_err(|_| VaultError::TooLong)
            }
            None => {
                let checksum = self.checksum(chunk, last, plain);
                Ok([plain, &checksum.to_be_bytes()].concat())
            }
        }
    }

    /// The content of the next chunk.
    fn open(&mut self, mut stored: Vec<u8>, last: bool) -> Result<Vec<u8>, VaultError> {
        let chunk = self.advance()?;
        let damaged = VaultError::Damaged { chunk };
        match &self.cipher {
            Some(cipher) => {
                let nonce = self.nonce(chunk, u8::from(last));
                let message = Associated { msg: &stored, aad: &self.associated };
                cipher.decrypt(&nonce.into(), message).map_err(|_| damaged)
            }
            None => {
                let Some((plain, checksum)) = stored.split_last_chunk::<CHECKSUM_BYTES>() else {
                    return Err(damaged);
                };
                if self.checksum(chunk, last, plain) != u32::from_be_bytes(*checksum) {
                    return Err(damaged);
                }
                stored.truncate(stored.len().saturating_sub(CHECKSUM_BYTES));
                Ok(stored)
            }
        }
    }

    fn advance(&mut self) -> Result<u32, VaultError> {
        let chunk = self.next;
        self.next = chunk.checked_add(1).ok_or(VaultError::TooLong)?;
        Ok(chunk)
    }

    /// The tag of an empty message under a nonce that no chunk has.
    fn key_check(&self) -> Result<[u8; TAG_BYTES], VaultError> {
        let Some(cipher) = &self.cipher else { return Ok([0; TAG_BYTES]) };
        let message = Associated { msg: &[], aad: &self.associated };
        let tag = cipher.encrypt(&self.nonce(u32::MAX, 2).into(), message);
        tag.ok().and_then(|tag| tag.try_into().ok()).ok_or(VaultError::TooLong)
    }
}

/// Writes a container.
pub struct VaultWriter<W> {
    out: W,
    seal: Seal,
    buffer: Vec<u8>,
}

impl<W: Write> VaultWriter<W> {
    /// Begins a container for `purpose`; encrypted, if there is a passphrase.
    ///
    /// **Errors**: the system's.
    pub fn begin(mut out: W, purpose: &str, passphrase: Option<&Passphrase>) -> Result<Self, VaultError> {
        let header = Header::new(purpose, passphrase.is_some())?;
        let cipher = passphrase.map(|passphrase| header.cipher_of(passphrase)).transpose()?;
        let associated = header.to_bytes();
        let seal = Seal { header, associated, cipher, next: 0 };
        out.write_all(&seal.associated)?;
        out.write_all(&seal.key_check()?)?;
        Ok(VaultWriter { out, seal, buffer: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Adds content.
    ///
    /// **Errors**: the system's.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), VaultError> {
        while !bytes.is_empty() {
            // A full chunk waits for more: only what ends the content is marked as last.
            if self.buffer.len() == CHUNK_BYTES {
                self.put_chunk(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the container. **Returns** what it was written to, not yet synced.
    ///
    /// **Errors**: the system's.
    pub fn finish(mut self) -> Result<W, VaultError> {
        self.put_chunk(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put_chunk(&mut self, last: bool) -> Result<(), VaultError> {
        let stored = self.seal.close(&self.buffer, last)?;
        // It may have been a key; this empties it too.
        self.buffer.zeroize();
        let length = u32::try_from(stored.len()).map_err(|_| VaultError::TooLong)?;
        self.out.write_all(&(length | if last { LAST } else { 0 }).to_be_bytes())?;
        Ok(self.out.write_all(&stored)?)
    }
}

/// Reads a container. What it has given out was in its place and unchanged; that it is complete is known at its end.
pub struct VaultReader<R> {
    input: R,
    seal: Seal,
    chunk: Vec<u8>,
    /// What of the chunk was given out.
    used: usize,
    given: u64,
    ended: bool,
}

impl<R: Read> VaultReader<R> {
    /// Opens a container that was made for `purpose`.
    ///
    /// **Errors**: [`VaultError`]; a wrong passphrase is told from damage.
    pub fn open(mut input: R, purpose: &str, passphrase: Option<&Passphrase>) -> Result<Self, VaultError> {
        let header = Header::read(&mut input)?;
        if header.purpose != purpose {
            return Err(VaultError::Purpose { seen: header.purpose, expected: purpose.into() });
        }
        let cipher = match (header.cipher, passphrase) {
            (Cipher::None, _) => None,
            (Cipher::Aes256Gcm, Some(passphrase)) => Some(header.cipher_of(passphrase)?),
            (Cipher::Aes256Gcm, None) => return Err(VaultError::Locked(PASSPHRASE_HINT)),
        };
        let associated = header.to_bytes();
        let seal = Seal { header, associated, cipher, next: 0 };
        let mut check = [0; TAG_BYTES];
        input.read_exact(&mut check).map_err(|_| VaultError::Header("it is cut off"))?;
        // Both sides of the comparison are in the attacker's hands or no secret.
        if check != seal.key_check()? {
            return Err(match seal.cipher {
                Some(_) => VaultError::WrongPassphrase,
                None => VaultError::Header("its key check is not zero"),
            });
        }
        Ok(VaultReader { input, seal, chunk: Vec::new(), used: 0, given: 0, ended: false })
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.seal.cipher.is_some()
    }

    /// Fills `buffer` whole.
    ///
    /// **Errors**: [`VaultError`]; content that ends too early is [`VaultError::Truncated`].
    pub fn read_exact(&mut self, mut buffer: &mut [u8]) -> Result<(), VaultError> {
        while !buffer.is_empty() {
            if self.used == self.chunk.len() {
                if self.ended {
                    return Err(VaultError::Truncated { chunk: self.seal.next, bytes: self.given });
                }
                self.next_chunk()?;
                continue;
            }
            let rest = &self.chunk[self.used..];
            let count = rest.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(count);
            now.copy_from_slice(&rest[..count]);
            buffer = later;
            self.used += count;
            self.given += count as u64;
        }
        Ok(())
    }

    /// Checks that all content was read and nothing follows.
    ///
    /// **Errors**: [`VaultError`].
    pub fn finish(mut self) -> Result<(), VaultError> {
        while !self.ended && self.used == self.chunk.len() {
            self.next_chunk()?;
        }
        let mut one = [0];
        if self.used != self.chunk.len() || self.input.read(&mut one)? != 0 {
            return Err(VaultError::Trailing);
        }
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<(), VaultError> {
        let chunk = self.seal.next;
        let cut = |error: io::Error, bytes| match error.kind() {
            io::ErrorKind::UnexpectedEof => VaultError::Truncated { chunk, bytes },
            _ => VaultError::Io(error),
        };
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(|error| cut(error, self.given))?;
        let length = u32::from_be_bytes(length);
        let last = length & LAST != 0;
        let length = usize::try_from(length & !LAST).unwrap_or(usize::MAX);
        if length > CHUNK_BYTES + TAG_BYTES {
            return Err(VaultError::Damaged { chunk });
        }
        let mut stored = vec![0; length];
        self.input.read_exact(&mut stored).map_err(|error| cut(error, self.given))?;
        self.chunk = self.seal.open(stored, last)?;
        (self.used, self.ended) = (0, last);
        Ok(())
    }
}

/// A short secret as one container.
///
/// **Errors**: as [`VaultWriter`].
pub fn seal(purpose: &str, passphrase: &Passphrase, content: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut writer = VaultWriter::begin(Vec::new(), purpose, Some(passphrase))?;
    writer.write(content)?;
    writer.finish()
}

/// The content of a container of [`seal`], of at most `limit` bytes.
///
/// **Errors**: as [`VaultReader`].
pub fn unseal(
    purpose: &str,
    passphrase: Option<&Passphrase>,
    container: &[u8],
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut reader = VaultReader::open(container, purpose, passphrase)?;
    reader.next_chunk()?;
    let content = Zeroizing::new(std::mem::take(&mut reader.chunk));
    if !reader.ended || content.len() > limit {
        return Err(VaultError::Trailing);
    }
    reader.finish()?;
    Ok(content)
}
