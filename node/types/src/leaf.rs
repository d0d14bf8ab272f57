//! How a leaf of the state tree is hashed: openly, or salted with a secret of the validators.
//!
//! The path of one entry shows the hash of its neighbour, which often is a single leaf. An open leaf is a hash of key and
//! value alone, so that whoever guesses both can confirm them; on a members' network a salt goes in that only the validators
//! can compute. It depends on the value as well: who once had a salt knows nothing of the entry's next value.
//! **Source**: decision records 32 and 34.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::hash::{Digest, h, m};

/// Name of the file in a validator's key folder.
pub const SALT_FILE: &str = "salt.json";

/// The only format there is.
const FORMAT: &str = "carat-salt/1";

/// How leaves are hashed. The genesis file says which of the two: it names a commitment to the secret, or it does not.
#[derive(Clone, Debug)]
pub enum LeafRule {
    /// `M("entry", tree key | value)`: an open network.
    Open,
    /// `M("salted", salt | tree key | value)`: a members' network.
    Salted(SaltSecret),
}

/// What the salts of all leaves are made of: 32 random bytes, the same at all validators. Erased from memory when dropped,
/// never printed.
#[derive(Clone)]
pub struct SaltSecret(Zeroizing<[u8; 32]>);

impl LeafRule {
    /// The hash of an entry's leaf.
    pub fn leaf(&self, tree_key: &Digest, value: &[u8]) -> Digest {
        match self.salt(tree_key, value) {
            None => open_leaf(tree_key, value),
            Some(salt) => salted_leaf(&salt, tree_key, value),
        }
    }

    /// The salt of an entry's leaf: what its own proof shows besides the value.
    ///
    /// **Returns** none on an open network.
    pub fn salt(&self, tree_key: &Digest, value: &[u8]) -> Option<Digest> {
        match self {
            LeafRule::Open => None,
            LeafRule::Salted(secret) => Some(h("salt", &[secret.0.as_slice(), &tree_key.0, value])),
        }
    }

    /// Whether leaves are salted.
    pub fn is_salted(&self) -> bool {
        matches!(self, LeafRule::Salted(_))
    }
}

/// The leaf of an open network.
pub fn open_leaf(tree_key: &Digest, value: &[u8]) -> Digest {
    m("entry", &[&tree_key.0, value])
}

/// The leaf of a members' network.
pub fn salted_leaf(salt: &Digest, tree_key: &Digest, value: &[u8]) -> Digest {
    m("salted", &[&salt.0, &tree_key.0, value])
}

impl SaltSecret {
    /// The secret of these random bytes. The caller erases its copy of them.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        SaltSecret(Zeroizing::new(*bytes))
    }

    /// What the genesis file says of it.
    pub fn commitment(&self) -> Digest {
        h("salt-secret", &[self.0.as_slice()])
    }
}

impl fmt::Debug for SaltSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SaltSecret([REDACTED], commitment {})", self.commitment())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaltFile {
    format: String,
    commitment: Digest,
    secret: Zeroizing<String>,
}

/// Why the file of a secret cannot be used. Never holds anything of the secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SaltFileError {
    /// Not the JSON that is expected.
    #[error("it is not a file of a salt secret (hint: take the file of another validator of this network)")]
    Syntax,
    /// Of another format.
    #[error("its format is {0:?}, expected {FORMAT:?} (hint: use the carat-genesis of this release)")]
    Format(String),
    /// The secret is another.
    #[error(
        "its secret has commitment {seen}, expected {expected} (hint: it is another network's or damaged; take the file of \
         another validator of this network)"
    )]
    Commitment {
        /// What belongs to the secret.
        seen: Digest,
        /// What the genesis file names.
        expected: Digest,
    },
}

/// Writes the contents of the file.
pub fn write(secret: &SaltSecret) -> Zeroizing<String> {
    let hex = Zeroizing::new(hex::encode(secret.0.as_slice()));
    let file = SaltFile { format: FORMAT.into(), commitment: secret.commitment(), secret: hex };
    // A struct of strings always serialises.
    Zeroizing::new(serde_json::to_string_pretty(&file).unwrap_or_default())
}

/// Reads the contents of the file; `expected` is the commitment that the genesis file names.
///
/// **Errors**: [`SaltFileError`].
pub fn read(text: &str, expected: &Digest) -> Result<SaltSecret, SaltFileError> {
    let file: SaltFile = serde_json::from_str(text).map_err(|_| SaltFileError::Syntax)?;
    if file.format != FORMAT {
        return Err(SaltFileError::Format(file.format));
    }
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(file.secret.as_bytes(), bytes.as_mut_slice()).map_err(|_| SaltFileError::Syntax)?;
    let secret = SaltSecret(bytes);
    // What the file says of itself proves nothing; the secret does.
    match secret.commitment() {
        seen if seen == *expected => Ok(secret),
        seen => Err(SaltFileError::Commitment { seen, expected: *expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SaltSecret {
        SaltSecret::from_bytes(&[byte; 32])
    }

    #[test]
    fn salt_depends_on_secret_key_and_value() {
        let keys = [Digest([1; 32]), Digest([2; 32])];
        let salt = |secret_byte, key: usize, value: &[u8]| {
            LeafRule::Salted(secret(secret_byte)).salt(&keys[key], value).expect("salted")
        };
        let base = salt(1, 0, b"value");
        assert_eq!(base, salt(1, 0, b"value"));
        for other in [salt(2, 0, b"value"), salt(1, 1, b"value"), salt(1, 0, b"next")] {
            assert_ne!(other, base);
        }
        assert_eq!(LeafRule::Open.salt(&keys[0], b"value"), None);
    }

    #[test]
    fn salted_leaf_is_none_that_anybody_computes_without_the_salt() {
        let (rule, key) = (LeafRule::Salted(secret(1)), Digest([7; 32]));
        let leaf = rule.leaf(&key, b"value");
        assert_ne!(leaf, open_leaf(&key, b"value"));
        assert_ne!(leaf, salted_leaf(&Digest::ZERO, &key, b"value"));
        assert_eq!(leaf, salted_leaf(&rule.salt(&key, b"value").expect("salted"), &key, b"value"));
        assert_eq!(LeafRule::Open.leaf(&key, b"value"), open_leaf(&key, b"value"));
    }

    #[test]
    fn file_of_a_secret_reads_back_only_under_its_commitment() {
        let (own, other) = (secret(1), secret(2));
        let text = write(&own);
        assert_eq!(read(&text, &own.commitment()).expect("own").commitment(), own.commitment());
        let wrong = SaltFileError::Commitment { seen: own.commitment(), expected: other.commitment() };
        assert_eq!(read(&text, &other.commitment()).err(), Some(wrong));
        // Its own word for the commitment is not believed.
        let liar = text.replace(&own.commitment().to_string(), &other.commitment().to_string());
        assert!(matches!(read(&liar, &other.commitment()), Err(SaltFileError::Commitment { .. })));
        let newer = text.replace("carat-salt/1", "carat-salt/2");
        assert_eq!(read(&newer, &own.commitment()).err(), Some(SaltFileError::Format("carat-salt/2".into())));
        assert_eq!(read("{}", &own.commitment()).err(), Some(SaltFileError::Syntax));
        assert_eq!(read(&text.replace("0101", "01"), &own.commitment()).err(), Some(SaltFileError::Syntax));
    }

    #[test]
    fn secret_is_never_printed() {
        let shown = format!("{:?}", LeafRule::Salted(secret(0xab)));
        assert!(
            shown.contains("REDACTED") && !shown.contains("abab") && !shown.contains("171, 171"),
            "{shown}"
        );
    }
}
