//! Named identities in a folder: one file each, readable by the owner alone.
//!
//! A file holds either a secret, from which the address follows, or only an address to write to. The folder is
//! a convenience for tests and small set-ups; a bank's keys belong into its own vault.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use carat_types::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use stellar_strkey::ed25519 as strkey;
use thiserror::Error;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A folder of identities.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
}

/// An identity.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its public key.
    pub public: PublicKey,
    /// Its secret, where the store has it.
    pub secret: Option<SecretKey>,
}

/// Why an identity cannot be read or kept.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A name that is no file name.
    #[error("{0:?} is no name, expected letters, digits, - and _")]
    Name(String),
    /// No such identity.
    #[error("there is no identity {name:?} in {folder} (hint: carat keys generate {name})")]
    Absent {
        /// The name.
        name: String,
        /// The store.
        folder: PathBuf,
    },
    /// The name is taken.
    #[error("an identity {0:?} exists (hint: choose another name; nothing is ever overwritten)")]
    Exists(String),
    /// Only the address is known.
    #[error("only the address of {0:?} is in the store, not its secret (hint: sign where the secret is)")]
    NoSecret(String),
    /// Others can read the file.
    #[error(
        "{path} has mode {mode:o}, expected 600 (hint: chmod 600, and change a key that others could read)"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file of another shape.
    #[error("{path} is no identity: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Not a key.
    #[error("{0}")]
    Key(&'static str),
    /// The file system failed.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The machine gave no random bytes.
    #[error("the machine gives no random bytes: {0}")]
    Random(String),
}

#[derive(Deserialize, Serialize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl KeyStore {
    /// The store in `folder`, which is made when the first identity is kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        KeyStore { folder: folder.into() }
    }

    /// Keeps a secret under a new name.
    ///
    /// **Errors**: [`KeyError::Exists`], [`KeyError::Name`], [`KeyError::Io`].
    pub fn add_secret(&self, name: &str, secret: &SecretKey) -> Result<Identity, KeyError> {
        let file = File { address: address(&secret.public()), secret: Some(secret_text(secret).to_string()) };
        self.write(name, &file)?;
        Ok(Identity { name: name.to_owned(), public: secret.public(), secret: Some(secret.clone()) })
    }

    /// Keeps an address under a new name.
    ///
    /// **Errors**: as [`KeyStore::add_secret`].
    pub fn add_address(&self, name: &str, public: PublicKey) -> Result<Identity, KeyError> {
        self.write(name, &File { address: address(&public), secret: None })?;
        Ok(Identity { name: name.to_owned(), public, secret: None })
    }

    /// The identity called `name`.
    ///
    /// **Errors**: [`KeyError`].
    pub fn get(&self, name: &str) -> Result<Identity, KeyError> {
        let path = self.path(name)?;
        let io = |source| KeyError::Io { path: path.clone(), source };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KeyError::Absent { name: name.to_owned(), folder: self.folder.clone() });
            }
            Err(error) => return Err(io(error)),
        };
        let mode = std::fs::metadata(&path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path, mode });
        }
        let syntax = |reason: String| KeyError::Syntax { path: path.clone(), reason };
        let file: File = toml::from_str(&text).map_err(|error| syntax(error.message().to_owned()))?;
        let public = parse_address(&file.address)?;
        let secret = file.secret.as_deref().map(parse_secret).transpose()?;
        if secret.as_ref().is_some_and(|secret| secret.public() != public) {
            return Err(syntax("its secret is not that of its address".into()));
        }
        Ok(Identity { name: name.to_owned(), public, secret })
    }

    /// All identities, by name.
    ///
    /// **Errors**: [`KeyError`] of the first that cannot be read.
    pub fn list(&self) -> Result<Vec<Identity>, KeyError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(KeyError::Io { path: self.folder.clone(), source }),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                entry.ok()?.file_name().into_string().ok()?.strip_suffix(".toml").map(Into::into)
            })
            .collect();
        names.sort();
        names.iter().map(|name| self.get(name)).collect()
    }

    fn path(&self, name: &str) -> Result<PathBuf, KeyError> {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            return Err(KeyError::Name(name.to_owned()));
        }
        Ok(self.folder.join(format!("{name}.toml")))
    }

    fn write(&self, name: &str, file: &File) -> Result<(), KeyError> {
        let path = self.path(name)?;
        let text = toml::to_string(file).map(Zeroizing::new);
        let text =
            text.map_err(|error| KeyError::Syntax { path: path.clone(), reason: error.to_string() })?;
        make_folder(&self.folder)?;
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = match created {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(KeyError::Exists(name.to_owned()));
            }
            Err(error) => Err(error),
            Ok(mut out) => out.write_all(text.as_bytes()).and_then(|()| out.sync_all()),
        };
        written.map_err(|source| KeyError::Io { path, source })
    }
}

impl Identity {
    /// The secret.
    ///
    /// **Errors**: [`KeyError::NoSecret`].
    pub fn secret(&self) -> Result<&SecretKey, KeyError> {
        self.secret.as_ref().ok_or_else(|| KeyError::NoSecret(self.name.clone()))
    }
}

/// A key made of the machine's random bytes.
///
/// **Errors**: [`KeyError::Random`].
pub fn generate() -> Result<SecretKey, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
    Ok(SecretKey::from_seed(&seed))
}

/// The address of a key: text that begins with G.
pub fn address(key: &PublicKey) -> String {
    format!("{}", strkey::PublicKey(key.0))
}

/// Reads an address.
///
/// **Errors**: [`KeyError::Key`].
pub fn parse_address(text: &str) -> Result<PublicKey, KeyError> {
    strkey::PublicKey::from_string(text)
        .map(|key| PublicKey(key.0))
        .map_err(|_| KeyError::Key("not an address: expected 56 letters and digits that begin with G"))
}

/// A secret as text that begins with S.
pub fn secret_text(key: &SecretKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{}", strkey::PrivateKey(*key.to_seed()).as_unredacted()))
}

/// Reads a secret.
///
/// **Errors**: [`KeyError::Key`]; the text is not repeated.
pub fn parse_secret(text: &str) -> Result<SecretKey, KeyError> {
    strkey::PrivateKey::from_string(text)
        .map(|key| SecretKey::from_seed(&key.0))
        .map_err(|_| KeyError::Key("not a secret: expected 56 letters and digits that begin with S"))
}

fn make_folder(folder: &Path) -> Result<(), KeyError> {
    let io = |source| KeyError::Io { path: folder.to_path_buf(), source };
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_kept_is_read_back_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::new(folder.path().join("keys"));
        assert!(store.list().expect("empty").is_empty());
        let key = generate().expect("random");
        store.add_secret("bank-a", &key).expect("kept");
        store.add_address("bank-b", generate().expect("random").public()).expect("kept");
        let back = store.get("bank-a").expect("there");
        assert_eq!((back.public, back.secret().expect("a secret").public()), (key.public(), key.public()));
        assert!(matches!(store.get("bank-b").expect("there").secret(), Err(KeyError::NoSecret(_))));
        let names: Vec<_> =
            store.list().expect("readable").into_iter().map(|identity| identity.name).collect();
        assert_eq!(names, ["bank-a", "bank-b"]);
        let path = folder.path().join("keys/bank-a.toml");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn identity_that_is_not_safe_or_not_there_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::new(folder.path());
        let key = generate().expect("random");
        store.add_secret("a", &key).expect("kept");
        assert!(matches!(store.add_secret("a", &key), Err(KeyError::Exists(_))));
        assert!(matches!(store.get("b"), Err(KeyError::Absent { .. })));
        for name in ["", "../a", "a/b", "a.b", &"x".repeat(65)] {
            assert!(matches!(store.get(name), Err(KeyError::Name(_))), "{name:?}");
        }
        let path = folder.path().join("a.toml");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(store.get("a"), Err(KeyError::Mode { mode: 0o640, .. })));
    }

    #[test]
    fn secret_of_another_address_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = KeyStore::new(folder.path());
        let (one, other) = (generate().expect("random"), generate().expect("random"));
        let file = File { address: address(&one.public()), secret: Some(secret_text(&other).to_string()) };
        store.write("a", &file).expect("written");
        assert!(matches!(store.get("a"), Err(KeyError::Syntax { .. })));
    }

    #[test]
    fn key_text_is_read_back_and_a_typing_error_refused() {
        let key = generate().expect("random");
        let (public, secret) = (address(&key.public()), secret_text(&key));
        assert!(public.starts_with('G') && secret.starts_with('S'));
        assert_eq!(parse_address(&public).expect("good"), key.public());
        assert_eq!(parse_secret(&secret).expect("good").public(), key.public());
        let mut wrong = public.clone();
        wrong.replace_range(10..11, if &public[10..11] == "A" { "B" } else { "A" });
        assert!(parse_address(&wrong).is_err());
        assert!(parse_secret(&public).is_err() && parse_address(&secret).is_err());
    }
}
