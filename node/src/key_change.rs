//! Encrypting the key files of a home folder, and the reverse. Each file is replaced at once.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use carat_storage::key_file;
use carat_storage::vault::{Passphrase, PassphraseSource};
use carat_types::PublicKey;
use carat_types::key_file::{KeyRole, write};
use zeroize::Zeroizing;

use crate::error::NodeError;
use crate::home::Place;
use crate::keys::{KeysError, read_file};

/// What becomes of key files.
#[derive(Debug)]
pub enum Change {
    /// Those that are in the clear are encrypted.
    Encrypt(Passphrase),
    /// Those that are encrypted are written in the clear.
    Decrypt,
    /// All are encrypted under this passphrase.
    Reencrypt(Passphrase),
}

/// A key file as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Whose key it is.
    pub public_key: PublicKey,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// Changes the three key files of a home folder; `passphrase` opens those that are encrypted. All are opened before the first is changed.
///
/// **Errors**: a file that cannot be opened or written; each file is then as before or as it was to be.
pub fn apply(
    place: &Place,
    passphrase: &PassphraseSource,
    change: &Change,
) -> Result<Vec<Written>, NodeError> {
    let folder = &place.settings.validator.keys;
    let read = |role: KeyRole| {
        let path = folder.join(role.file_name());
        let key = read_file(&path, role, passphrase)?;
        Ok((role, path, key))
    };
    let keys = KeyRole::ALL.into_iter().map(read).collect::<Result<Vec<_>, KeysError>>()?;
    let mut all = Vec::new();
    for (role, path, key) in keys {
        let text = match change {
            Change::Decrypt => write(role, &key),
            Change::Encrypt(new) | Change::Reencrypt(new) => {
                let text = key_file::write_encrypted(role, &key, new);
                Zeroizing::new(text.map_err(|error| KeysError::Contents { path: path.clone(), error })?)
            }
        };
        let encrypted = !matches!(change, Change::Decrypt);
        let was = fs::read_to_string(&path).map_err(|error| NodeError::file(&path, "read", error))?;
        // Encrypting what is encrypted under another passphrase is `Reencrypt`'s, asked for by its name.
        let keep = matches!(change, Change::Encrypt(_)) && key_file::is_encrypted(&was);
        if !keep {
            replace(&path, text.as_bytes())?;
        }
        all.push(Written { path, public_key: key.public(), encrypted });
    }
    Ok(all)
}

/// A crash leaves the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let new = path.with_extension("unfinished");
    let written = (|| {
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    })();
    written.map_err(|error| NodeError::file(path, "replace", error))
}
