//! Sealing what rests on disk under a data key of its own: XAES-256-GCM, which is AES-256-GCM with nonces of 192 bits.
//!
//! ```text
//! sealed   ciphertext | tag 16 | nonce 24
//! nonce    random 20 | number within its batch u32
//! ```
//!
//! The first half of a nonce makes a key for AES-256-GCM, the second half is that cipher's nonce. The 160 random bits are drawn
//! anew for each batch, so that no counter must survive a crash, and a folder that was copied or put back to an earlier day
//! never repeats one: 2^64 batches leave a chance of 2^-33 that any two are equal. What something is and where it belongs is
//! associated data: it opens nowhere else.
//!
//! The data key is random. It rests beside what it seals, in a [container](crate::vault) under the validator's passphrase, and can
//! be put under another passphrase without touching anything that it sealed.
//!
//! **Source**: C2SP XAES-256-GCM; NIST SP 800-38D; NIST SP 800-108r1 (the derivation); decision record 49.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::{Block, BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::{AeadInOut as _, Aes256Gcm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::vault::{self, Passphrase, VaultError};

/// How many bytes longer something is when it is sealed.
pub(crate) const SEALED_BYTES: usize = TAG_BYTES + NONCE_BYTES;
/// The file of a data key, in the folder of what it seals.
pub const DATA_KEY: &str = "data.key";
const UNFINISHED: &str = "data.key.unfinished";

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
const HALF_BYTES: usize = NONCE_BYTES / 2;
const RANDOM_BYTES: usize = NONCE_BYTES - 4;

/// What of a store and a journal is encrypted at rest: the setting `store.encryption`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// Nothing.
    #[default]
    None,
    /// The values; keys and sizes of rows stay in the clear.
    Values,
}

impl Encryption {
    /// What is encrypted where there is such a passphrase.
    pub(crate) fn under(passphrase: Option<&Passphrase>) -> Self {
        if passphrase.is_some() { Encryption::Values } else { Encryption::None }
    }
}

impl std::fmt::Display for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Encryption::None => "\"none\"",
            Encryption::Values => "\"values\"",
        })
    }
}

/// Something sealed that was changed, belongs elsewhere, or was sealed under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was changed, belongs elsewhere, or was sealed under another key")]
pub(crate) struct NotAuthentic;

/// A data key, ready to work.
pub(crate) struct DataKey {
    cipher: Aes256,
    /// The first subkey of CMAC, which masks what keys are made from.
    mask: [u8; 16],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let cipher = Aes256::new(key.into());
        let mut zero = Block::<Aes256>::default();
        cipher.encrypt_block(&mut zero);
        let doubled = u128::from_be_bytes(zero.into());
        let carry = if doubled >> 127 == 1 { 0x87 } else { 0 };
        DataKey { cipher, mask: ((doubled << 1) ^ carry).to_be_bytes() }
    }

    /// AES-256-GCM under the key that the first half of a nonce gives.
    fn derived(&self, half: &[u8; HALF_BYTES]) -> Aes256Gcm {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (counter, part) in (1..).zip(key.chunks_exact_mut(16)) {
            part[..4].copy_from_slice(&[0, counter, b'X', 0]);
            part[4..].copy_from_slice(half);
            part.iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
            if let Ok(block) = part.try_into() {
                self.cipher.encrypt_block(block);
            }
        }
        Aes256Gcm::new(&(*key).into())
    }

    /// Begins a batch, with randomness of its own.
    ///
    /// **Errors**: the system's random source.
    pub(crate) fn batch(&self) -> io::Result<BatchSeal> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let mut nonce = [0; NONCE_BYTES];
        nonce[..RANDOM_BYTES].copy_from_slice(&random);
        Ok(BatchSeal { cipher: self.derived(&first_half(&nonce)), nonce, next: Some(0) })
    }

    /// Opens what [`BatchSeal::seal`] made with the same associated data.
    ///
    /// **Errors**: [`NotAuthentic`]; the bytes are of no use then.
    pub(crate) fn open(&self, associated: &[u8], sealed: &mut Vec<u8>) -> Result<(), NotAuthentic> {
        let nonce = *sealed.last_chunk::<NONCE_BYTES>().ok_or(NotAuthentic)?;
        sealed.truncate(sealed.len().saturating_sub(NONCE_BYTES));
        let cipher = self.derived(&first_half(&nonce));
        let opened = cipher.decrypt_in_place(&second_half(&nonce).into(), associated, sealed);
        opened.map_err(|_| NotAuthentic)
    }
}

/// Seals what is written together.
pub(crate) struct BatchSeal {
    cipher: Aes256Gcm,
    nonce: [u8; NONCE_BYTES],
    /// None when the numbers of this batch are used up.
    next: Option<u32>,
}

impl BatchSeal {
    /// Seals in place; it opens with the same associated data alone.
    ///
    /// **Errors**: more than 2^32 in one batch, or more bytes than the cipher takes.
    pub(crate) fn seal(&mut self, associated: &[u8], content: &mut Vec<u8>) -> io::Result<()> {
        let too_much = || io::Error::other("too much to be sealed in one batch");
        let number = self.next.ok_or_else(too_much)?;
        self.next = number.checked_add(1);
        self.nonce[RANDOM_BYTES..].copy_from_slice(&number.to_be_bytes());
        content.reserve(SEALED_BYTES);
        let nonce = second_half(&self.nonce).into();
        self.cipher.encrypt_in_place(&nonce, associated, content).map_err(|_| too_much())?;
        content.extend_from_slice(&self.nonce);
        Ok(())
    }
}

fn first_half(nonce: &[u8; NONCE_BYTES]) -> [u8; HALF_BYTES] {
    std::array::from_fn(|at| nonce[at])
}

fn second_half(nonce: &[u8; NONCE_BYTES]) -> [u8; HALF_BYTES] {
    std::array::from_fn(|at| nonce[HALF_BYTES + at])
}

/// A data key with the container that it rests in.
pub(crate) struct RestingKey {
    pub(crate) key: DataKey,
    /// The bytes of its file.
    pub(crate) container: Vec<u8>,
}

impl RestingKey {
    /// Makes a key and its file, durably. `purpose` says what it seals.
    ///
    /// **Errors**: the system's.
    pub(crate) fn create(folder: &Path, purpose: &str, passphrase: &Passphrase) -> Result<Self, VaultError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        let container = vault::seal(purpose, passphrase, &*key)?;
        write(folder, &container)?;
        Ok(RestingKey { key: DataKey::new(&key), container })
    }

    /// Opens the key of a folder.
    ///
    /// **Errors**: [`VaultError`], as of a wrong passphrase.
    pub(crate) fn open(folder: &Path, purpose: &str, passphrase: &Passphrase) -> Result<Self, VaultError> {
        let container = fs::read(folder.join(DATA_KEY))?;
        let key = vault::unseal(purpose, Some(passphrase), &container, KEY_BYTES)?;
        match key.as_slice().try_into() {
            Ok(key) => Ok(RestingKey { key: DataKey::new(key), container }),
            Err(_) => Err(VaultError::Truncated { chunk: 0, bytes: key.len() as u64 }),
        }
    }
}

/// Whether the folder has a data key.
pub(crate) fn has_key(folder: &Path) -> bool {
    folder.join(DATA_KEY).exists()
}

/// Puts the data key of a folder under another passphrase; what it sealed stays as it is. A key that is under the new one already
/// is left alone.
///
/// **Returns** its file; none where the folder has no data key.
///
/// **Errors**: [`VaultError`]; the key is then under the one passphrase or the other.
pub(crate) fn change_passphrase(
    folder: &Path,
    purpose: &str,
    old: &Passphrase,
    new: &Passphrase,
) -> Result<Option<PathBuf>, VaultError> {
    let path = folder.join(DATA_KEY);
    if !path.exists() {
        return Ok(None);
    }
    let container = fs::read(&path)?;
    match vault::unseal(purpose, Some(old), &container, KEY_BYTES) {
        Ok(key) => write(folder, &vault::seal(purpose, new, &key)?)?,
        Err(VaultError::WrongPassphrase) => {
            vault::unseal(purpose, Some(new), &container, KEY_BYTES)?;
        }
        Err(error) => return Err(error),
    }
    Ok(Some(path))
}

/// Writes the file of a data key; a crash leaves the old one, or the new one.
pub(crate) fn write(folder: &Path, container: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(container)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(DATA_KEY))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the specification.
    #[test]
    fn sealed_bytes_are_those_of_the_specification() {
        let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let table = [
            (1, &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
            (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ];
        for (byte, associated, expected) in table {
            let key = DataKey::new(&[byte; KEY_BYTES]);
            let mut text = b"XAES-256-GCM".to_vec();
            let cipher = key.derived(&first_half(&nonce));
            cipher.encrypt_in_place(&second_half(&nonce).into(), associated, &mut text).expect("short");
            assert_eq!(hex::encode(&text), expected);
            text.extend_from_slice(&nonce);
            key.open(associated, &mut text).expect("own");
            assert_eq!(text, b"XAES-256-GCM");
        }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone_and_unchanged() {
        let key = DataKey::new(&[7; KEY_BYTES]);
        let mut sealed = b"a balance".to_vec();
        key.batch().expect("random").seal(b"here", &mut sealed).expect("short");
        assert_eq!(sealed.len(), 9 + SEALED_BYTES);
        assert!(!sealed.windows(7).any(|window| window == b"balance"));
        let opens = |key: &DataKey, place: &[u8], bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            key.open(place, &mut bytes).map(|()| bytes)
        };
        assert_eq!(opens(&key, b"here", &sealed), Ok(b"a balance".to_vec()));
        assert_eq!(opens(&key, b"there", &sealed), Err(NotAuthentic));
        assert_eq!(opens(&DataKey::new(&[8; KEY_BYTES]), b"here", &sealed), Err(NotAuthentic));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opens(&key, b"here", &flipped), Err(NotAuthentic), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(opens(&key, b"here", &sealed[..length]), Err(NotAuthentic), "{length} bytes");
        }
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let key = DataKey::new(&[7; KEY_BYTES]);
        let mut nonces = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let mut batch = key.batch().expect("random");
            for _ in 0..100 {
                let mut sealed = Vec::new();
                batch.seal(b"", &mut sealed).expect("short");
                let nonce: [u8; NONCE_BYTES] = *sealed.last_chunk().expect("sealed");
                assert!(nonces.insert(nonce), "{nonce:?} came twice");
            }
        }
        let mut batch = key.batch().expect("random");
        batch.next = Some(u32::MAX);
        batch.seal(b"", &mut Vec::new()).expect("the last one");
        batch.seal(b"", &mut Vec::new()).expect_err("the numbers do not begin again");
    }

    #[test]
    fn data_key_moves_to_another_passphrase_and_opens_what_it_sealed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (Passphrase::new("old passphrase"), Passphrase::new("new passphrase"));
        let made = RestingKey::create(folder.path(), "tests", &old).expect("made");
        let mut sealed = b"content".to_vec();
        made.key.batch().expect("random").seal(b"", &mut sealed).expect("short");
        for _ in 0..2 {
            let changed = change_passphrase(folder.path(), "tests", &old, &new).expect("changed, and again");
            assert_eq!(changed, Some(folder.path().join(DATA_KEY)));
        }
        let stranger = Passphrase::new("of somebody else");
        let refused = change_passphrase(folder.path(), "tests", &stranger, &old).expect_err("refused");
        assert!(matches!(refused, VaultError::WrongPassphrase), "{refused}");
        let refused = RestingKey::open(folder.path(), "tests", &old).err().expect("the old one is gone");
        assert!(matches!(refused, VaultError::WrongPassphrase), "{refused}");
        let key = RestingKey::open(folder.path(), "tests", &new).expect("opens").key;
        key.open(b"", &mut sealed).expect("the same key");
        assert_eq!(sealed, b"content");
        let elsewhere = tempfile::tempdir().expect("a folder");
        assert_eq!(change_passphrase(elsewhere.path(), "tests", &old, &new).expect("nothing"), None);
    }
}
