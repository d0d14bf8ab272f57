//! Key files at rest: plain, or encrypted under a passphrase in a [container](crate).
//!
//! An encrypted one says in the clear what it is for and whose it is, so that a start can find exchanged files before
//! it asks for a passphrase; both are bound into the container, so that they cannot be changed.

use carat_types::key_file::{KeyFileError, KeyRole};
use carat_types::{PublicKey, SecretKey, key_file};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Passphrase, PassphraseError, PassphraseSource, VaultError};

const FORMAT: &str = "carat-key-encrypted/1";
/// Longest text of a plain key file.
const PLAIN_BYTES_MAX: usize = 4 << 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    format: String,
    role: KeyRole,
    public_key: PublicKey,
    /// The container, in hex.
    sealed: String,
}

/// Why a key file cannot be used. Never holds anything of its contents but public parts.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Its contents.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The container around the key.
    #[error("the key in it cannot be opened: {0}")]
    Vault(#[from] VaultError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

/// What a container with that key says that it holds.
fn purpose(role: KeyRole, public_key: &PublicKey) -> String {
    format!("{role:?} key {public_key}")
}

/// Whether a key file's text is that of an encrypted one.
pub fn is_encrypted(text: &str) -> bool {
    encrypted(text).is_some()
}

fn encrypted(text: &str) -> Option<Encrypted> {
    serde_json::from_str(text).ok().filter(|file: &Encrypted| file.format == FORMAT)
}

/// The public key that a key file names, encrypted or not; only reading it proves that it holds that key.
///
/// **Errors**: no key file, or one of another role.
pub fn claimed_key(role: KeyRole, text: &str) -> Result<PublicKey, KeyFileError> {
    #[derive(Deserialize)]
    struct Claim {
        role: KeyRole,
        public_key: PublicKey,
    }
    let claim: Claim = serde_json::from_str(text).map_err(|_| KeyFileError::Syntax)?;
    match claim.role == role {
        true => Ok(claim.public_key),
        false => Err(KeyFileError::Role { seen: claim.role, expected: role }),
    }
}

/// The public key that an encrypted key file names; only opening it proves that it holds that key.
///
/// **Errors**: a key of another role. **Returns** none for a file that is not encrypted.
pub fn named_key(role: KeyRole, text: &str) -> Result<Option<PublicKey>, KeyFileError> {
    match encrypted(text) {
        Some(file) if file.role != role => Err(KeyFileError::Role { seen: file.role, expected: role }),
        file => Ok(file.map(|file| file.public_key)),
    }
}

/// Writes the text of an encrypted key file.
///
/// **Errors**: the system's random source.
pub fn write_encrypted(role: KeyRole, key: &SecretKey, passphrase: &Passphrase) -> Result<String, KeyError> {
    let public_key = key.public();
    let plain = key_file::write(role, key);
    let sealed = crate::seal(&purpose(role, &public_key), passphrase, plain.as_bytes())?;
    let file = Encrypted { format: FORMAT.into(), role, public_key, sealed: hex::encode(sealed) };
    // A struct of strings always serialises.
    Ok(serde_json::to_string_pretty(&file).unwrap_or_default())
}

/// Reads the text of a key file, plain or encrypted; only for the latter a passphrase is looked for.
///
/// **Errors**: [`KeyError`].
pub fn read(role: KeyRole, text: &str, passphrase: &PassphraseSource) -> Result<SecretKey, KeyError> {
    let passphrase = if is_encrypted(text) { passphrase.find()? } else { None };
    read_with(role, text, passphrase.as_ref())
}

/// The same with a passphrase at hand; a plain file needs none.
///
/// **Errors**: [`KeyError`].
pub fn read_with(role: KeyRole, text: &str, passphrase: Option<&Passphrase>) -> Result<SecretKey, KeyError> {
    let Some(file) = encrypted(text) else { return Ok(key_file::read(role, text)?) };
    if file.role != role {
        return Err(KeyFileError::Role { seen: file.role, expected: role }.into());
    }
    let sealed = hex::decode(&file.sealed).map_err(|_| KeyFileError::Syntax)?;
    let plain = crate::unseal(&purpose(role, &file.public_key), passphrase, &sealed, PLAIN_BYTES_MAX)?;
    let plain = std::str::from_utf8(&plain).map_err(|_| KeyFileError::Syntax)?;
    let key = key_file::read(role, plain)?;
    match key.public() == file.public_key {
        true => Ok(key),
        false => Err(KeyFileError::Mismatch(file.public_key).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn source(folder: &tempfile::TempDir, name: &str, text: &str) -> PassphraseSource {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        PassphraseSource::of_keys(Some(path))
    }

    #[test]
    fn encrypted_key_file_reads_back_and_shows_no_seed() {
        let folder = tempfile::tempdir().expect("a folder");
        let right = source(&folder, "right", "correct horse battery staple");
        let key = SecretKey::from_seed(&[4; 32]);
        let text =
            write_encrypted(KeyRole::Acceptor, &key, &right.demand().expect("long")).expect("encrypted");
        assert!(!text.contains(&hex::encode([4_u8; 32])) && text.contains(&key.public().to_string()));
        assert_eq!(read(KeyRole::Acceptor, &text, &right).expect("own").public(), key.public());
        let plain = key_file::write(KeyRole::Acceptor, &key);
        assert_eq!(read(KeyRole::Acceptor, &plain, &right).expect("plain").public(), key.public());

        let wrong = source(&folder, "wrong", "correct horse battery stable");
        let error = read(KeyRole::Acceptor, &text, &wrong).expect_err("refused").to_string();
        assert!(error.contains("the passphrase is not the one"), "{error}");
        assert!(matches!(
            read(KeyRole::Network, &text, &right),
            Err(KeyError::File(KeyFileError::Role { .. }))
        ));
    }

    #[test]
    fn what_an_encrypted_key_file_says_in_the_clear_cannot_be_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let right = source(&folder, "right", "correct horse battery staple");
        let key = SecretKey::from_seed(&[4; 32]);
        let text =
            write_encrypted(KeyRole::Acceptor, &key, &right.demand().expect("long")).expect("encrypted");
        let other = SecretKey::from_seed(&[5; 32]).public().to_string();
        let table = [
            (text.replace("acceptor", "proposer"), KeyRole::Proposer),
            (text.replace(&key.public().to_string(), &other), KeyRole::Acceptor),
        ];
        for (changed, role) in table {
            let error = read(role, &changed, &right).expect_err("refused").to_string();
            assert!(error.contains("files were exchanged"), "{error}");
        }
    }
}
