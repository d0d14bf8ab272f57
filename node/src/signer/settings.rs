//! A signer's settings: `signer.toml` in its home folder. An unknown key is an error that names it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_storage::vault::PassphraseSource;
use carat_types::PublicKey;
use config::{Config, File, FileFormat};
use serde::Deserialize;
use stellar_strkey::ed25519;

use crate::settings::{LogSettings, SettingsError};
use crate::token::TokenSettings;

/// All settings of a signer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerSettings {
    /// The validator's place in the genesis file, from 0.
    pub index: u16,
    /// The genesis file.
    pub genesis: PathBuf,
    /// Folder of the key files.
    pub keys: PathBuf,
    /// Folder of the journal of all that was signed.
    pub data: PathBuf,
    /// The Unix socket to be made.
    pub listen: PathBuf,
    /// Numbers of the system's users who may have something signed; none, and there is no socket.
    pub users: Vec<u32>,
    /// A TCP port for a validator on another machine; none, and there is the socket alone.
    #[serde(default)]
    pub remote: Option<RemoteSettings>,
    /// Number of the system's group that owns the socket; none leaves it to the signer's own.
    #[serde(default)]
    pub group: Option<u32>,
    /// File with the passphrase of encrypted key files; none looks in the environment and among systemd's credentials.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// The token that holds keys of consensus; none, and they are in `keys`.
    #[serde(default)]
    pub token: Option<TokenSettings>,
    /// Form of a log line.
    pub log: LogSettings,
}

/// A TCP port for a validator on another machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// Its address.
    pub listen: SocketAddr,
    /// The address (G…) of the key that the validator proves, `validator.signer_key` of its settings.
    pub client: String,
}

impl RemoteSettings {
    /// The key of [`RemoteSettings::client`].
    pub(crate) fn client(&self) -> Option<PublicKey> {
        ed25519::PublicKey::from_string(&self.client).ok().map(|key| PublicKey(key.0))
    }
}

const DEFAULTS: &str = r#"
genesis = "genesis.json"
keys = "keys"
data = "data"
listen = "signer.sock"
users = []

[log]
format = "text"
level = "info"
"#;

impl SignerSettings {
    /// Reads the settings of the home folder `home`.
    ///
    /// **Errors**: [`SettingsError`] for a missing file, an unknown key, a value that does not fit.
    pub fn load(home: &Path) -> Result<Self, SettingsError> {
        let path = home.join("signer.toml");
        let invalid = |reason: String| SettingsError::Invalid { path: path.clone(), reason };
        let mut settings = Config::builder()
            .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
            .add_source(File::from(path.as_path()))
            .build()
            .and_then(Config::try_deserialize::<SignerSettings>)
            .map_err(|error| invalid(error.to_string()))?;
        let SignerSettings { genesis, keys, data, listen, passphrase_file, .. } = &mut settings;
        for path in [genesis, keys, data, listen].into_iter().chain(passphrase_file) {
            *path = home.join(&path);
        }
        if let Some(token) = &mut settings.token {
            token.relative_to(home);
        }
        if settings.users.is_empty() && settings.remote.is_none() {
            let reason = "users is empty, expected the numbers of the users who may have something signed (hint: id -u of the \
                          validator's user), or remote for a validator on another machine";
            return Err(invalid(reason.into()));
        }
        if let Some(remote) = &settings.remote
            && remote.client().is_none()
        {
            return Err(invalid(format!(
                "remote.client is {:?}, expected the address of the validator's link key, 56 characters from G",
                remote.client
            )));
        }
        Ok(settings)
    }

    /// Where the passphrase of encrypted key files is.
    pub(crate) fn passphrase(&self) -> PassphraseSource {
        PassphraseSource::of_keys(self.passphrase_file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<SignerSettings, SettingsError> {
        let home = tempfile::tempdir().expect("folder");
        std::fs::write(home.path().join("signer.toml"), text).expect("written");
        SignerSettings::load(home.path())
    }

    #[test]
    fn settings_take_defaults_and_paths_of_their_folder_and_refuse_what_does_not_fit() {
        let settings = load("index = 1\nusers = [1001]\n").expect("valid");
        assert!(settings.listen.is_absolute() && settings.listen.ends_with("signer.sock"));
        assert_eq!((settings.index, settings.users), (1, vec![1001]));
        for (text, expected) in [
            ("index = 1\n", "users is empty"),
            ("users = [1]\n", "index"),
            ("index = 1\nuser = 1\n", "user"),
            (
                "index = 1\nremote = { listen = \"127.0.0.1:1\", client = \"GAAA\" }\n",
                "remote.client is \"GAAA\"",
            ),
        ] {
            let error = load(text).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error} should name {expected}");
        }
    }
}
