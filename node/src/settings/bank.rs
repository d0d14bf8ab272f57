//! Opening what the section `[bank]` names: the directory of names and the two keys of the login.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use carat_api::bank::{Bank, BankError, BankSettings, LoginKeys, Place};
use carat_storage::identity_file::{self, IdentityError};
use carat_storage::vault::PassphraseSource;
use carat_types::SecretKey;
use carat_types::genesis::{GenesisFile, GenesisValidator};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Settings;

/// Why the bank's part cannot be served.
#[derive(Debug, Error)]
pub enum BankSetupError {
    /// A setting that does not fit.
    #[error("settings of {path}: {error}")]
    Setting {
        /// The settings file.
        path: PathBuf,
        /// What does not fit.
        error: Box<BankError>,
    },
    /// A file that cannot be read.
    #[error("{key} names {path}, which cannot be read: {error} (hint: {hint})")]
    Read {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A key file that others can read.
    #[error(
        "{key} names {path}, which has mode {mode:03o}, expected 600 (hint: make a new key, others may know this one)"
    )]
    Mode {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is no identity, or that cannot be opened. Says nothing of its contents.
    #[error("{key} names {path}: {error}")]
    Identity {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: IdentityError,
    },
}

/// Opens the files that the settings name and checks everything; none where there is no section `[bank]`.
///
/// **Errors**: [`BankSetupError`].
pub(crate) fn open(
    settings: &Settings,
    genesis: &GenesisFile,
    listed: Option<&GenesisValidator>,
) -> Result<Option<Bank>, BankSetupError> {
    let Some(bank) = &settings.bank else { return Ok(None) };
    let place = Place {
        passphrase: &genesis.genesis.network_passphrase,
        validator: listed.map(|listed| (&*listed.name, listed.acceptor)),
    };
    let directory = match &bank.directory {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| BankSetupError::Read {
            key: "bank.directory",
            path: path.clone(),
            error,
            hint: "an empty file is a directory without names",
        })?),
    };
    let keys = match &bank.login {
        None => None,
        Some(login) => Some(LoginKeys {
            challenges: identity("bank.login.signing_key", &login.signing_key, &settings.passphrase())?,
            tokens: identity("bank.login.token_key", &login.token_key, &settings.passphrase())?,
        }),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let made = Bank::new(bank, place, directory.as_deref(), keys, now);
    made.map(Some)
        .map_err(|error| BankSetupError::Setting { path: settings.path.clone(), error: Box::new(error) })
}

/// Makes the paths of the section start at the home folder.
pub(super) fn relative_to(bank: &mut BankSettings, home: &Path) {
    let login = bank.login.iter_mut().flat_map(|login| [&mut login.signing_key, &mut login.token_key]);
    for path in bank.directory.iter_mut().chain(login) {
        *path = home.join(&path);
    }
}

/// Reads an identity file, plain or encrypted.
///
/// **Errors**: [`BankSetupError`]; a file that others can read is refused even if it is encrypted.
pub(crate) fn identity(
    key: &'static str,
    path: &Path,
    passphrase: &PassphraseSource,
) -> Result<SecretKey, BankSetupError> {
    let hint = "carat keys --keys FOLDER generate NAME makes one";
    let failed = |error| BankSetupError::Read { key, path: path.into(), error, hint };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BankSetupError::Mode { key, path: path.into(), mode });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    identity_file::read(&text, passphrase).map_err(|error| BankSetupError::Identity {
        key,
        path: path.into(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use stellar_strkey::ed25519;

    use super::*;

    const KEY: &str = "bank.login.signing_key";

    fn text(seed: [u8; 32]) -> String {
        let address = ed25519::PublicKey(SecretKey::from_seed(&seed).public().0);
        let secret = ed25519::PrivateKey(seed);
        format!("address = \"{address}\"\nsecret = \"{}\"\n", secret.as_unredacted())
    }

    fn read(contents: &str, mode: u32) -> Result<SecretKey, BankSetupError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("login.toml");
        std::fs::write(&path, contents).expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
        identity(KEY, &path, &PassphraseSource::of_keys(None))
    }

    #[test]
    fn identity_of_the_owner_alone_is_read() {
        let key = read(&text([7; 32]), 0o600).expect("good");
        assert_eq!(key.public(), SecretKey::from_seed(&[7; 32]).public());
    }

    #[test]
    fn identity_that_others_can_read_or_that_does_not_fit_is_refused_without_its_secret() {
        let good = text([7; 32]);
        let secret = good.split('"').nth(3).expect("the secret").to_owned();
        let other = text([8; 32]).lines().next().expect("a line").to_owned();
        let table = [
            (good.clone(), 0o640, "mode 640, expected 600"),
            (good.lines().next().expect("a line").to_owned(), 0o600, "no identity"),
            (format!("{other}\nsecret = \"{secret}\"\n"), 0o600, "no identity"),
            (good.replace("secret", "seed"), 0o600, "no identity"),
        ];
        for (contents, mode, expected) in table {
            let error = read(&contents, mode).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains(KEY) && error.contains("hint:"), "{error}");
            assert!(!error.contains(&secret), "{error}");
        }
        let absent = identity(KEY, Path::new("/nowhere/login.toml"), &PassphraseSource::of_keys(None))
            .expect_err("absent")
            .to_string();
        assert!(absent.contains("/nowhere/login.toml") && absent.contains("hint:"), "{absent}");
    }
}
