//! Encrypting the key files of a home folder, the keys of its bank's login and the one that it proves to a signer, and the
//! reverse. Each file is replaced at once.
//!
//! The keys of what store and journal hold are under the same passphrase, and follow it: what they sealed stays as it is.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use carat_storage::journal::Journal;
use carat_storage::store::Store;
use carat_storage::vault::{Passphrase, PassphraseSource};
use carat_storage::{identity_file, key_file};
use carat_types::key_file::{KeyRole, write};
use carat_types::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::error::NodeError;
use crate::home::Place;
use crate::keys::{KeysError, read_file};
use crate::settings::bank::{BankSetupError, identity};
use crate::settings::{Settings, SettingsError, SignerPlace};

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
    /// Whose key it is; none for the key of a store or journal.
    pub public_key: Option<PublicKey>,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// A file with a key, opened.
struct Opened {
    path: PathBuf,
    key: SecretKey,
    form: Form,
}

/// In what form a key is written.
#[derive(Clone, Copy)]
enum Form {
    /// A key file of the validator.
    Key(KeyRole),
    /// An identity, which this setting names: of the bank's login, or proved to a signer.
    Identity(&'static str),
}

impl Opened {
    fn is_encrypted(&self, text: &str) -> bool {
        match self.form {
            Form::Key(_) => key_file::is_encrypted(text),
            Form::Identity(_) => identity_file::is_encrypted(text),
        }
    }

    fn plain(&self) -> Zeroizing<String> {
        match self.form {
            Form::Key(role) => write(role, &self.key),
            Form::Identity(_) => identity_file::write(&self.key),
        }
    }

    fn encrypted(&self, passphrase: &Passphrase) -> Result<Zeroizing<String>, NodeError> {
        let path = self.path.clone();
        let text = match self.form {
            Form::Key(role) => key_file::write_encrypted(role, &self.key, passphrase)
                .map_err(|error| KeysError::Contents { path, error })?,
            Form::Identity(setting) => identity_file::write_encrypted(&self.key, passphrase)
                .map_err(|error| BankSetupError::Identity { key: setting, path, error })?,
        };
        Ok(Zeroizing::new(text))
    }
}

/// All key files of a home folder: those of the validator that are neither in a token nor with a signer, the one that it proves
/// to a signer on another machine, and those of its bank's login.
fn open_all(place: &Place, passphrase: &PassphraseSource) -> Result<Vec<Opened>, NodeError> {
    let settings = &place.settings;
    let token = settings.validator.token.as_ref();
    let in_token = |role| match role {
        KeyRole::Acceptor => token.is_some(),
        KeyRole::Proposer => token.is_some_and(|token| token.proposer.is_some()),
        KeyRole::Network => false,
    };
    let link = link_key(settings)?;
    // A node that follows has a network key and no other; a proposer of an edge network no key that votes.
    let is_here = |role| match role {
        KeyRole::Network => true,
        KeyRole::Proposer => place.seat.entry.orders() && !in_token(role),
        KeyRole::Acceptor => place.seat.entry.validator().is_some() && !in_token(role),
    };
    let has = |role| settings.validator.signer.is_none() && is_here(role);
    let mut all = Vec::new();
    for role in KeyRole::ALL.into_iter().filter(|role| has(*role)) {
        let path = settings.validator.keys.join(role.file_name());
        all.push(Opened { key: read_file(&path, role, passphrase)?, path, form: Form::Key(role) });
    }
    let login = settings.bank.as_ref().and_then(|bank| bank.login.as_ref());
    let login = login.into_iter().flat_map(|login| [&login.signing_key, &login.token_key]);
    let login = login.map(|path| ("bank.login", path.clone()));
    for (setting, path) in login.chain(link.map(|path| ("validator.signer_key", path))) {
        let key = identity(setting, &path, passphrase)?;
        all.push(Opened { key, path, form: Form::Identity(setting) });
    }
    Ok(all)
}

/// The file of the key that the validator proves to a signer on another machine.
fn link_key(settings: &Settings) -> Result<Option<PathBuf>, NodeError> {
    let named = settings.signer();
    let named = named.map_err(|reason| SettingsError::Invalid { path: settings.path.clone(), reason })?;
    Ok(match named {
        Some(SignerPlace::Remote(_, file)) => Some(file),
        Some(SignerPlace::Socket(_)) | None => None,
    })
}

/// Changes the key files of a home folder; `passphrase` opens those that are encrypted. All are opened before the first is changed.
///
/// **Errors**: a file that cannot be opened or written; each file is then as before or as it was to be.
pub fn apply(
    place: &Place,
    passphrase: &PassphraseSource,
    change: &Change,
) -> Result<Vec<Written>, NodeError> {
    let opened = open_all(place, passphrase)?;
    // Before the others, which are opened under the old passphrase: so a change that was broken off here can be made again.
    let mut all = match change {
        Change::Reencrypt(new) => change_data_keys(place, passphrase, new)?,
        Change::Encrypt(_) | Change::Decrypt => Vec::new(),
    };
    for file in opened {
        let text = match change {
            Change::Decrypt => file.plain(),
            Change::Encrypt(new) | Change::Reencrypt(new) => file.encrypted(new)?,
        };
        let path = file.path.clone();
        let was = fs::read_to_string(&path).map_err(|error| NodeError::file(&path, "read", error))?;
        // Encrypting what is encrypted under another passphrase is `Reencrypt`'s, asked for by its name.
        let keep = matches!(change, Change::Encrypt(_)) && file.is_encrypted(&was);
        if !keep {
            replace(&path, text.as_bytes())?;
        }
        let encrypted = !matches!(change, Change::Decrypt);
        all.push(Written { path, public_key: Some(file.key.public()), encrypted });
    }
    Ok(all)
}

/// Puts the keys of store and journal under the new passphrase.
fn change_data_keys(
    place: &Place,
    old: &PassphraseSource,
    new: &Passphrase,
) -> Result<Vec<Written>, NodeError> {
    // Without one there is nothing that it could open.
    let Some(old) = old.find()? else { return Ok(Vec::new()) };
    let changed = [
        Store::change_passphrase(&place.store_folder(), &old, new)?,
        Journal::change_passphrase(&place.journal_folder(), &old, new)?,
    ];
    let written = |path| Written { path, public_key: None, encrypted: true };
    Ok(changed.into_iter().flatten().map(written).collect())
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
