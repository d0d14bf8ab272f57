//! Passphrases, and where a program without a person before it finds them: a file, the environment, or a credential
//! that systemd hands over.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// Shorter ones are refused when something is encrypted: Argon2id makes a guess dear, not impossible.
const SHORTEST: usize = 12;

/// A passphrase; erased when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// Why there is no usable passphrase.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// A file that cannot be read.
    #[error(
        "the passphrase file {path} cannot be read: {error} (hint: it must exist and be readable by this user alone)"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// A file that others can read.
    #[error(
        "the passphrase file {path} has mode {mode:03o}, expected 600 or 400 (hint: chmod 600 {path}, and choose another passphrase)"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Too short to encrypt with.
    #[error(
        "the passphrase from {origin} has {seen} bytes, expected at least {SHORTEST} (hint: six random words, or 24 random characters)"
    )]
    Short {
        /// Where it is from.
        origin: String,
        /// Its length.
        seen: usize,
    },
    /// None anywhere.
    #[error("no passphrase was given (hint: {0})")]
    Missing(String),
}

impl Passphrase {
    /// From its bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Passphrase(Zeroizing::new(bytes.into()))
    }

    /// Its bytes, for what must be told them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where to look for one passphrase, in this order: a file that is named, the variable `…_FILE` with a file's name, the
/// variable itself, a systemd credential.
#[derive(Clone, Debug)]
pub struct PassphraseSource {
    /// A file that the settings or a flag name.
    pub file: Option<PathBuf>,
    /// Name of the environment variable.
    pub variable: &'static str,
    /// Name of the file in the folder that systemd names in `CREDENTIALS_DIRECTORY`.
    pub credential: &'static str,
}

impl PassphraseSource {
    /// For key files.
    pub fn of_keys(file: Option<PathBuf>) -> Self {
        PassphraseSource { file, variable: "CARAT_PASSPHRASE", credential: "carat-passphrase" }
    }

    /// For backups.
    pub fn of_backups(file: Option<PathBuf>) -> Self {
        PassphraseSource { file, variable: "CARAT_BACKUP_PASSPHRASE", credential: "carat-backup-passphrase" }
    }

    /// For the PIN of a token.
    pub fn of_token(file: Option<PathBuf>) -> Self {
        PassphraseSource { file, variable: "CARAT_TOKEN_PIN", credential: "carat-token-pin" }
    }

    /// The passphrase, if there is one.
    ///
    /// **Errors**: a file that is named and cannot be read, or that others can read.
    pub fn find(&self) -> Result<Option<Passphrase>, PassphraseError> {
        self.find_in(&|name| std::env::var_os(name))
    }

    /// The passphrase, for encrypting.
    ///
    /// **Errors**: none, too short, or as [`PassphraseSource::find`].
    pub fn demand(&self) -> Result<Passphrase, PassphraseError> {
        let found = self.find()?.ok_or_else(|| PassphraseError::Missing(self.hint()))?;
        match found.0.len() {
            seen if seen < SHORTEST => Err(PassphraseError::Short { origin: self.hint(), seen }),
            _ => Ok(found),
        }
    }

    /// Where it is looked for, for people.
    pub fn hint(&self) -> String {
        let PassphraseSource { variable, credential, .. } = self;
        format!(
            "a file by option, {variable}_FILE or {variable} in the environment, or the systemd credential {credential}"
        )
    }

    fn find_in(
        &self,
        variable: &dyn Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Option<Passphrase>, PassphraseError> {
        let named =
            self.file.clone().or_else(|| variable(&format!("{}_FILE", self.variable)).map(PathBuf::from));
        if let Some(path) = named {
            return read(&path, true).map(Some);
        }
        if let Some(value) = variable(self.variable) {
            return Ok(Some(Passphrase::new(value.into_encoded_bytes())));
        }
        let credential =
            variable("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(self.credential));
        match credential.filter(|path| path.exists()) {
            // systemd keeps the folder for this service alone, and may let a group read it.
            Some(path) => read(&path, false).map(Some),
            None => Ok(None),
        }
    }
}

/// A file's content without the line end that editors leave.
fn read(path: &Path, check_mode: bool) -> Result<Passphrase, PassphraseError> {
    let failed = |error| PassphraseError::Read { path: path.into(), error };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if check_mode && mode & 0o077 != 0 {
        return Err(PassphraseError::Mode { path: path.into(), mode });
    }
    let mut bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(Passphrase(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passphrase_is_taken_from_the_first_place_that_has_one() {
        let folder = tempfile::tempdir().expect("folder");
        let place = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).expect("set");
            path
        };
        let (file, other) = (place("file", "by option\n"), place("other", "by file\r\n"));
        place("carat-passphrase", "by credential");
        let variables = [
            ("CARAT_PASSPHRASE_FILE", other.into_os_string()),
            ("CARAT_PASSPHRASE", "by variable".into()),
            ("CREDENTIALS_DIRECTORY", folder.path().into()),
        ];
        for (without, expected) in
            [(0, "by option"), (1, "by file"), (2, "by variable"), (3, "by credential"), (4, "")]
        {
            let source = PassphraseSource::of_keys((without == 0).then(|| file.clone()));
            let skipped = usize::max(without, 1) - 1;
            let left = &variables[skipped..];
            let found =
                source.find_in(&|name| left.iter().find(|(it, _)| *it == name).map(|it| it.1.clone()));
            let found = found.expect("readable").map(|found| found.0.to_vec()).unwrap_or_default();
            assert_eq!(String::from_utf8(found).expect("text"), expected);
        }
    }

    #[test]
    fn passphrase_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse battery").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        let error = PassphraseSource::of_keys(Some(path)).find().expect_err("refused").to_string();
        assert!(error.contains("644") && error.contains("hint:"), "{error}");
    }

    #[test]
    fn short_passphrase_does_not_encrypt() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "secret\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        let error = PassphraseSource::of_keys(Some(path)).demand().expect_err("refused").to_string();
        assert!(error.contains("6 bytes") && error.contains("12"), "{error}");
    }
}
