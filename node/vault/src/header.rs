//! The start of a container: how its key is made, and what it holds.

use std::io::Read;

use aes_gcm::{Aes256Gcm, KeyInit as _};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::{Passphrase, VaultError};

const MAGIC: [u8; 8] = *b"CARATVLT";
const VERSION: u16 = 1;
const SALT_BYTES: usize = 16;
const PURPOSE_BYTES_MAX: usize = 256;
/// Random bytes in front of each chunk's number.
pub(super) const PREFIX_BYTES: usize = 7;

/// RFC 9106, section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 4;
// Whoever wrote the file chooses these: a reader spends no more than this on it.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    None,
    Aes256Gcm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cipher: Cipher,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; SALT_BYTES],
    pub(super) prefix: [u8; PREFIX_BYTES],
    pub(super) purpose: String,
}

impl Header {
    /// A header with a salt and a nonce of its own.
    pub(super) fn new(purpose: &str, encrypted: bool) -> Result<Self, VaultError> {
        if purpose.len() > PURPOSE_BYTES_MAX {
            return Err(VaultError::Header("its purpose is too long"));
        }
        let (mut salt, mut prefix) = ([0; SALT_BYTES], [0; PREFIX_BYTES]);
        let random = getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut prefix));
        random.map_err(|error| VaultError::Io(std::io::Error::other(error)))?;
        let cipher = if encrypted { Cipher::Aes256Gcm } else { Cipher::None };
        let purpose = purpose.into();
        Ok(Header { cipher, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt, prefix, purpose })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.push(match self.cipher {
            Cipher::None => 0,
            Cipher::Aes256Gcm => 1,
        });
        for number in [self.memory_kib, self.passes, self.lanes] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.prefix);
        let length = u16::try_from(self.purpose.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.purpose.as_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_be_bytes());
        out
    }

    pub(super) fn read(input: &mut impl Read) -> Result<Self, VaultError> {
        let magic: [u8; 8] = take(input).map_err(|_| VaultError::Foreign)?;
        if magic != MAGIC {
            return Err(VaultError::Foreign);
        }
        let version = u16::from_be_bytes(take(input)?);
        if version != VERSION {
            return Err(VaultError::Version { seen: version, expected: VERSION });
        }
        let [cipher] = take(input)?;
        let numbers = [take::<4>(input)?, take::<4>(input)?, take::<4>(input)?];
        let [memory_kib, passes, lanes] = numbers.map(u32::from_be_bytes);
        let (salt, prefix) = (take(input)?, take(input)?);
        let length = usize::from(u16::from_be_bytes(take(input)?));
        if length > PURPOSE_BYTES_MAX {
            return Err(VaultError::Header("its purpose is too long"));
        }
        let mut purpose = vec![0; length];
        input.read_exact(&mut purpose).map_err(|_| CUT)?;
        let purpose = String::from_utf8(purpose).map_err(|_| VaultError::Header("its purpose is no text"))?;
        let cipher = match cipher {
            0 => Cipher::None,
            1 => Cipher::Aes256Gcm,
            _ => return Err(VaultError::Header("it names a cipher that this program does not know")),
        };
        let header = Header { cipher, memory_kib, passes, lanes, salt, prefix, purpose };
        let covered = header.to_bytes();
        let checksum: [u8; 4] = take(input)?;
        if covered.last_chunk() != Some(&checksum) {
            return Err(VaultError::Header("its checksum does not fit"));
        }
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(VaultError::Header("it asks for more work than this program does for a passphrase"));
        }
        Ok(header)
    }

    /// The cipher under the key that the passphrase and this header's salt give.
    pub(super) fn cipher_of(&self, passphrase: &Passphrase) -> Result<Aes256Gcm, VaultError> {
        let failed = |error: argon2::Error| VaultError::Derivation(error.to_string());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(failed)?;
        let mut key = Zeroizing::new([0_u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.bytes(), &self.salt, &mut *key)
            .map_err(failed)?;
        Ok(Aes256Gcm::new(&(*key).into()))
    }
}

const CUT: VaultError = VaultError::Header("it is cut off");

fn take<const N: usize>(input: &mut impl Read) -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|_| CUT)?;
    Ok(bytes)
}
