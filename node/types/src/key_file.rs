//! The contents of a key file: one secret key, for one role, of one validator. JSON.
//!
//! The format has a place for encryption (issue of keys at rest); today the seed is plain and the file readable
//! by its owner alone, which whoever reads the file must check.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::signature::{PublicKey, SecretKey};

/// The only format there is.
const FORMAT: &str = "carat-key/1";

/// What a key is for. Each role has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// Votes.
    Acceptor,
    /// Orders.
    Proposer,
    /// TLS.
    Network,
}

impl KeyRole {
    /// All roles.
    pub const ALL: [KeyRole; 3] = [KeyRole::Acceptor, KeyRole::Proposer, KeyRole::Network];

    /// Name of the file of this role in a validator's key folder.
    pub fn file_name(self) -> &'static str {
        match self {
            KeyRole::Acceptor => "acceptor.key.json",
            KeyRole::Proposer => "proposer.key.json",
            KeyRole::Network => "network.key.json",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: String,
    role: KeyRole,
    public_key: PublicKey,
    seed: Zeroizing<String>,
}

/// Why a key file cannot be used. Never holds anything of its contents but public parts.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Not the JSON that is expected.
    #[error("it is not a key file (hint: restore it from where carat-genesis wrote it)")]
    Syntax,
    /// Of another format.
    #[error("its format is {0:?}, expected {FORMAT:?} (hint: use the carat-genesis of this release)")]
    Format(String),
    /// A key of another role.
    #[error("it holds the {seen:?} key, expected the {expected:?} key (hint: the files were exchanged)")]
    Role {
        /// Role seen.
        seen: KeyRole,
        /// Role expected.
        expected: KeyRole,
    },
    /// Seed and public key do not belong together.
    #[error("its seed does not belong to its public key {0} (hint: the file is damaged)")]
    Mismatch(PublicKey),
}

/// Writes the contents of a key file.
pub fn write(role: KeyRole, key: &SecretKey) -> Zeroizing<String> {
    let seed = Zeroizing::new(hex::encode(key.to_seed().as_slice()));
    let file = KeyFile { format: FORMAT.into(), role, public_key: key.public(), seed };
    // A struct of strings always serialises.
    Zeroizing::new(serde_json::to_string_pretty(&file).unwrap_or_default())
}

/// Reads the contents of a key file.
///
/// **Errors**: [`KeyFileError`].
pub fn read(role: KeyRole, text: &str) -> Result<SecretKey, KeyFileError> {
    let file: KeyFile = serde_json::from_str(text).map_err(|_| KeyFileError::Syntax)?;
    if file.format != FORMAT {
        return Err(KeyFileError::Format(file.format));
    }
    if file.role != role {
        return Err(KeyFileError::Role { seen: file.role, expected: role });
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(&*file.seed, &mut *seed).map_err(|_| KeyFileError::Syntax)?;
    let key = SecretKey::from_seed(&seed);
    if key.public() != file.public_key {
        return Err(KeyFileError::Mismatch(file.public_key));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_reads_back_and_refuses_another_role_or_key() {
        let key = SecretKey::from_seed(&[4; 32]);
        let text = write(KeyRole::Acceptor, &key);
        assert_eq!(read(KeyRole::Acceptor, &text).expect("own").public(), key.public());
        assert!(matches!(read(KeyRole::Network, &text), Err(KeyFileError::Role { .. })));
        let other =
            text.replace(&key.public().to_string(), &SecretKey::from_seed(&[5; 32]).public().to_string());
        assert!(matches!(read(KeyRole::Acceptor, &other), Err(KeyFileError::Mismatch(_))));
        assert!(matches!(read(KeyRole::Acceptor, "{}"), Err(KeyFileError::Syntax)));
    }

    #[test]
    fn errors_never_show_the_seed() {
        let text = write(KeyRole::Acceptor, &SecretKey::from_seed(&[4; 32]));
        let broken = text.replace("carat-key/1", "x");
        let error = read(KeyRole::Acceptor, &broken).expect_err("refused").to_string();
        assert!(!error.contains(&hex::encode([4u8; 32])), "{error}");
    }
}
