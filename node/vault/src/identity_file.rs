//! Identity files at rest, as the keys of the bank's login are: plain, or encrypted under the passphrase of the key files.
//!
//! An encrypted one says its address in the clear, bound into the [container](crate) as a key file's public key is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use carat_types::SecretKey;
use serde::Deserialize;
use stellar_strkey::ed25519;
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{Passphrase, PassphraseError, PassphraseSource, VaultError};

const FORMAT: &str = "carat-identity-encrypted/1";
/// Longest text of a plain identity file.
const PLAIN_BYTES_MAX: usize = 4 << 10;

/// A plain file, as `carat keys generate` writes it.
#[derive(Deserialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Plain {
    address: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    format: String,
    address: String,
    /// The container, in base64.
    sealed: String,
}

/// Why an identity file cannot be used. Never holds anything of its contents but public parts.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Neither form, or address and secret do not belong together.
    #[error(
        "it is no identity with its secret, expected the lines address and secret (hint: carat keys --keys FOLDER generate NAME writes one)"
    )]
    Contents,
    /// The container around the secret.
    #[error("the key in it cannot be opened: {0}")]
    Vault(#[from] VaultError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

fn address_of(key: &SecretKey) -> String {
    format!("{}", ed25519::PublicKey(key.public().0))
}

/// What a container with an identity says that it holds.
fn purpose(address: &str) -> String {
    format!("identity {address}")
}

fn encrypted(text: &str) -> Option<Encrypted> {
    toml::from_str(text).ok().filter(|file: &Encrypted| file.format == FORMAT)
}

/// Whether a file's text is that of an encrypted identity.
pub fn is_encrypted(text: &str) -> bool {
    encrypted(text).is_some()
}

/// The text of a plain identity file.
pub fn write(key: &SecretKey) -> Zeroizing<String> {
    let secret = ed25519::PrivateKey(*key.to_seed());
    Zeroizing::new(format!("address = \"{}\"\nsecret = \"{}\"\n", address_of(key), secret.as_unredacted()))
}

/// The text of an encrypted identity file.
///
/// **Errors**: the system's random source.
pub fn write_encrypted(key: &SecretKey, passphrase: &Passphrase) -> Result<String, IdentityError> {
    let address = address_of(key);
    let sealed = crate::seal(&purpose(&address), passphrase, write(key).as_bytes())?;
    let sealed = STANDARD.encode(sealed);
    Ok(format!("format = \"{FORMAT}\"\naddress = \"{address}\"\nsealed = \"{sealed}\"\n"))
}

/// Reads the text of an identity file, plain or encrypted; only for the latter a passphrase is looked for.
///
/// **Errors**: [`IdentityError`].
pub fn read(text: &str, passphrase: &PassphraseSource) -> Result<SecretKey, IdentityError> {
    let Some(file) = encrypted(text) else { return read_plain(text) };
    let sealed = STANDARD.decode(&file.sealed).map_err(|_| IdentityError::Contents)?;
    let passphrase = passphrase.find()?;
    let plain = crate::unseal(&purpose(&file.address), passphrase.as_ref(), &sealed, PLAIN_BYTES_MAX)?;
    let key = read_plain(std::str::from_utf8(&plain).map_err(|_| IdentityError::Contents)?)?;
    if address_of(&key) == file.address { Ok(key) } else { Err(IdentityError::Contents) }
}

fn read_plain(text: &str) -> Result<SecretKey, IdentityError> {
    let file: Plain = toml::from_str(text).map_err(|_| IdentityError::Contents)?;
    let seed = ed25519::PrivateKey::from_string(&file.secret).map_err(|_| IdentityError::Contents)?;
    let key = SecretKey::from_seed(&seed.0);
    if address_of(&key) == file.address { Ok(key) } else { Err(IdentityError::Contents) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn source(folder: &tempfile::TempDir, text: &str) -> PassphraseSource {
        let path = folder.path().join(text.len().to_string());
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        PassphraseSource::of_keys(Some(path))
    }

    #[test]
    fn encrypted_identity_reads_back_and_refuses_another_passphrase_or_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let (right, wrong) = (source(&folder, "correct horse battery"), source(&folder, "correct horse"));
        let key = SecretKey::from_seed(&[4; 32]);
        let plain = write(&key);
        assert_eq!(read(&plain, &right).expect("plain").public(), key.public());
        let text = write_encrypted(&key, &right.demand().expect("long")).expect("encrypted");
        let secret = plain.split('"').nth(3).expect("the secret");
        assert!(is_encrypted(&text) && !is_encrypted(&plain) && !text.contains(secret));
        assert_eq!(read(&text, &right).expect("own").public(), key.public());

        let refused = |text: &str, by: &PassphraseSource| read(text, by).expect_err("refused").to_string();
        assert!(refused(&text, &wrong).contains("the passphrase is not the one"));
        let other = text.replace(&address_of(&key), &address_of(&SecretKey::from_seed(&[5; 32])));
        assert!(refused(&other, &right).contains("files were exchanged"));
        let nobody = PassphraseSource { file: None, variable: "CARAT_NOT_SET", credential: "carat-not-set" };
        assert!(refused(&text, &nobody).contains("no passphrase was given"));
    }
}
