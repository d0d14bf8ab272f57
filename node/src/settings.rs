//! A node's settings: built-in defaults, then the file, then the environment (`CARAT_…`), then flags.
//!
//! An unknown key is an error that names it. Paths in the file are relative to the file's folder.

pub(crate) mod bank;
mod effective;
pub mod followers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use carat_api::bank::BankSettings;
use carat_consensus::FetchStates;
use carat_storage::Encryption;
use carat_storage::vault::{Passphrase, PassphraseError, PassphraseSource};
use carat_types::PublicKey;
use config::{Config, Environment, File, FileFormat};
use serde::{Deserialize, Serialize};
use stellar_strkey::ed25519;
use thiserror::Error;

use crate::token::TokenSettings;
pub use effective::Effective;
pub use followers::FollowersSettings;

/// All settings of a node.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who this validator is and where its things are.
    pub validator: ValidatorSettings,
    /// The other validators.
    pub network: NetworkSettings,
    /// Those who are served without a vote.
    pub followers: FollowersSettings,
    /// The REST interface.
    pub api: ApiSettings,
    /// The native entrance.
    pub entrance: EntranceSettings,
    /// The index of what was executed.
    pub history: HistorySettings,
    /// The blocks.
    #[serde(default)]
    pub store: StoreSettings,
    /// How it catches up when it is behind.
    pub catch_up: CatchUpSettings,
    /// Metrics and health.
    pub metrics: MetricsSettings,
    /// Logs.
    pub log: LogSettings,
    /// What the bank that runs the validator says of itself; none, and it says nothing.
    #[serde(default)]
    pub bank: Option<BankSettings>,
    /// The file that was read.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Who this validator is and where its things are.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSettings {
    /// Its place in the genesis file, from 0; none for a node that follows.
    #[serde(default)]
    pub index: Option<u16>,
    /// Its place among the proposers of an edge network, from 0, instead of `index`.
    #[serde(default)]
    pub proposer: Option<u16>,
    /// The genesis file.
    pub genesis: PathBuf,
    /// Folder of the three key files.
    pub keys: PathBuf,
    /// Folder of the journal and the database.
    pub data: PathBuf,
    /// `unix:` and the socket, or `tls:` and the address, of the signer that holds the keys; none, and they are in `keys`.
    #[serde(default)]
    pub signer: Option<String>,
    /// Identity file of the key that this validator proves to a signer at an address.
    #[serde(default)]
    pub signer_key: Option<PathBuf>,
    /// File with the passphrase of encrypted key files; none looks in the environment and among systemd's credentials.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// The token that holds keys of consensus; none, and they are in `keys`.
    #[serde(default)]
    pub token: Option<TokenSettings>,
}

/// The other validators.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// UDP address for peers.
    pub listen: SocketAddr,
    /// Where the other validators are.
    #[serde(default)]
    pub peers: Vec<PeerSettings>,
    /// Where validators are that a later epoch brought, or will bring: they have no place in the genesis file.
    #[serde(default)]
    pub newcomers: Vec<NewcomerSettings>,
}

/// Where a validator is that is not in the genesis file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewcomerSettings {
    /// Its network key, as the set of its epoch lists it.
    pub key: PublicKey,
    /// Its UDP address.
    pub address: SocketAddr,
}

/// Where one other validator is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// Its place in the genesis file; the proposers of an edge network are numbered behind the validators.
    pub index: u16,
    /// Its UDP address.
    pub address: SocketAddr,
}

/// The REST interface.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// TCP address.
    pub listen: SocketAddr,
    /// Requests per second of one client address; 0 for no limit.
    pub requests_per_second: u32,
    /// How long a submission waits for its result, milliseconds.
    pub submit_timeout_ms: u64,
    /// Accounts (G…) whose holders see the health of a members' network, and not its business.
    pub operators: Vec<String>,
    /// The same interface with TLS; none, and TLS is left to what stands in front.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
}

/// TLS of the REST interface.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// TCP address.
    pub listen: SocketAddr,
    /// PEM file of the certificate to show, with its chain; none, and it is that of the node's network key.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// The native entrance: QUIC for clients that bring many transactions.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EntranceSettings {
    /// Whether there is one.
    pub enabled: bool,
    /// UDP address; where none is set, address and port of the REST interface.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Transactions that one key may have under way, over all its sessions.
    pub under_way_per_key: usize,
}

/// The index of what was executed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HistorySettings {
    /// Whether this validator keeps one.
    pub enabled: bool,
}

/// The blocks.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// How many of the newest are kept at least, with their history; neither this nor days, and all are.
    #[serde(default)]
    pub keep_blocks: Option<u64>,
    /// What of the store is encrypted at rest, under the passphrase of key files. A store keeps what it was made with.
    #[serde(default)]
    pub encryption: Encryption,
    /// Days before the newest block of which all blocks are kept.
    #[serde(default)]
    pub keep_days: Option<u64>,
    /// Folder of archives: no block is dropped that is not in one.
    #[serde(default)]
    pub archive: Option<PathBuf>,
}

impl StoreSettings {
    /// Whether old blocks are dropped.
    pub fn drops(&self) -> bool {
        self.keep_blocks.is_some() || self.keep_days.is_some()
    }

    fn check(&self) -> Result<(), String> {
        if self.keep_days == Some(0) {
            return Err("store.keep_days is 0, expected at least 1, or nothing".to_owned());
        }
        if self.archive.is_some() && !self.drops() {
            return Err("store.archive is set and nothing is dropped, expected store.keep_blocks or store.keep_days with it".to_owned());
        }
        Ok(())
    }
}

/// How a validator catches up when it is behind.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatchUpSettings {
    /// When it fetches a state instead of executing every block.
    pub snapshots: FetchSnapshots,
}

/// When a validator fetches a state.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FetchSnapshots {
    /// Never.
    Never,
    /// When it has next to no blocks, or nobody can serve them.
    WhenNew,
    /// When many blocks are missing.
    WhenBehind,
}

impl From<FetchSnapshots> for FetchStates {
    fn from(setting: FetchSnapshots) -> Self {
        match setting {
            FetchSnapshots::Never => FetchStates::Never,
            FetchSnapshots::WhenNew => FetchStates::WhenNew,
            FetchSnapshots::WhenBehind => FetchStates::WhenBehind,
        }
    }
}

/// Metrics and health.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// TCP address; a loopback address unless you know why not.
    pub listen: SocketAddr,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Form of a line.
    pub format: LogFormat,
    /// Level, or a filter such as `info,carat_network=debug`.
    pub level: String,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A file, variable or value that does not fit.
    #[error(
        "settings of {path}: {reason} (hint: every key is described in docs/operations/configuration.md)"
    )]
    Invalid {
        /// The settings file.
        path: PathBuf,
        /// What is wrong, with the key's name.
        reason: String,
    },
}

/// Where a signer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignerPlace {
    /// At a socket of this machine.
    Socket(PathBuf),
    /// At an address; the file of the key that we prove there.
    Remote(SocketAddr, PathBuf),
}

const DEFAULTS: &str = r#"
[validator]
genesis = "../genesis.json"
keys = "keys"
data = "data"

[followers]
bytes_per_second = 10000000

[api]
listen = "127.0.0.1:8000"
requests_per_second = 0
submit_timeout_ms = 30000
operators = []

[entrance]
enabled = true
under_way_per_key = 2000

[history]
enabled = true

[store]
encryption = "none"

[catch_up]
snapshots = "when_new"

[metrics]
listen = "127.0.0.1:9100"

[log]
format = "text"
level = "info"
"#;

impl Settings {
    /// Reads the settings of the home folder `home`.
    ///
    /// **Errors**: [`SettingsError`] for a missing file, an unknown key, a value of the wrong kind.
    pub fn load(home: &Path) -> Result<Self, SettingsError> {
        let path = home.join("node.toml");
        let invalid = |reason: String| SettingsError::Invalid { path: path.clone(), reason };
        let settings = sources(&path)
            .and_then(Config::try_deserialize::<Settings>)
            .map_err(|error| invalid(error.to_string()))?;
        let settings = Settings { path: path.clone(), ..settings };
        settings.relative_to(home).check().map_err(invalid)
    }

    /// The accounts of [`ApiSettings::operators`].
    ///
    /// **Errors**: one that is no address.
    pub(crate) fn operators(&self) -> Result<Vec<PublicKey>, SettingsError> {
        let account = |text: &String| match ed25519::PublicKey::from_string(text) {
            Ok(key) => Ok(PublicKey(key.0)),
            Err(_) => Err(SettingsError::Invalid {
                path: self.path.clone(),
                reason: format!(
                    "api.operators has {text:?}, expected the address of an account, 56 characters from G"
                ),
            }),
        };
        self.api.operators.iter().map(account).collect()
    }

    /// Where the passphrase of encrypted key files is.
    pub fn passphrase(&self) -> PassphraseSource {
        PassphraseSource::of_keys(self.validator.passphrase_file.clone())
    }

    /// The passphrase of the store; none where its values are in the clear.
    ///
    /// **Errors**: they are to be encrypted, and there is no passphrase, or a short one.
    pub fn store_passphrase(&self) -> Result<Option<Passphrase>, PassphraseError> {
        match self.store.encryption {
            Encryption::None => Ok(None),
            Encryption::Values => self.passphrase().demand().map(Some),
        }
    }

    /// The settings in force in the home folder `home`, as they are written, each with where it comes from.
    ///
    /// **Errors**: as [`Settings::load`], for sources that cannot be read.
    pub fn effective(home: &Path) -> Result<Vec<Effective>, SettingsError> {
        let path = home.join("node.toml");
        let config = sources(&path);
        let config = config.map_err(|error| SettingsError::Invalid { path, reason: error.to_string() })?;
        Ok(effective::of(&config))
    }

    /// The place of [`ValidatorSettings::signer`].
    ///
    /// **Errors**: a name that is none, a key that is missing or of no use.
    pub(crate) fn signer(&self) -> Result<Option<SignerPlace>, String> {
        let Some(signer) = &self.validator.signer else { return Ok(None) };
        let key = self.validator.signer_key.as_ref();
        let home = self.path.parent().unwrap_or(Path::new("."));
        let address = signer.strip_prefix("tls:").and_then(|address| address.parse().ok());
        match (signer.strip_prefix("unix:"), address, key) {
            (Some(path), _, None) => Ok(Some(SignerPlace::Socket(home.join(path)))),
            (None, Some(address), Some(key)) => Ok(Some(SignerPlace::Remote(address, home.join(key)))),
            (Some(_), _, Some(_)) => {
                Err("validator.signer_key is for a signer at an address, expected none with a socket".into())
            }
            (None, Some(_), None) => Err("validator.signer names an address and validator.signer_key no file, expected the \
                                          identity that this validator proves there (hint: carat keys --keys HOME/keys generate link)"
                .into()),
            (None, None, _) => Err(format!(
                "validator.signer is {signer:?}, expected \"unix:\" and the path of a socket, or \"tls:\" and a numeric address \
                 with its port"
            )),
        }
    }

    fn relative_to(mut self, home: &Path) -> Self {
        for path in [&mut self.validator.genesis, &mut self.validator.keys, &mut self.validator.data] {
            *path = home.join(&path);
        }
        if let Some(tls) = &mut self.api.tls {
            for path in [&mut tls.certificate, &mut tls.key].into_iter().flatten() {
                *path = home.join(&path);
            }
        }
        for path in [&mut self.validator.passphrase_file, &mut self.store.archive].into_iter().flatten() {
            *path = home.join(&path);
        }
        if let Some(token) = &mut self.validator.token {
            token.relative_to(home);
        }
        if let Some(bank) = &mut self.bank {
            bank::relative_to(bank, home);
        }
        self
    }

    fn check(self) -> Result<Self, String> {
        if let Some(tls) = &self.api.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            return Err("api.tls names one of certificate and key, expected both or neither".to_owned());
        }
        self.signer()?;
        self.store.check()?;
        if let (Some(index), Some(proposer)) = (self.validator.index, self.validator.proposer) {
            return Err(format!(
                "validator names index {index} and proposer {proposer}, expected one of them (hint: who orders for an edge network \
                 has no vote in it)"
            ));
        }
        if self.validator.signer.is_some() && self.validator.token.is_some() {
            return Err("validator names a signer and a token, expected one of them (hint: with a signer, the token is named \
                        in its signer.toml)"
                .to_owned());
        }
        // Who came later may have a place now whose number was a founder's; a founder that lists itself is found out beside the genesis file.
        let mut seen = std::collections::BTreeSet::new();
        for peer in &self.network.peers {
            if !seen.insert(peer.index) {
                return Err(format!("network.peers lists {} twice, expected once", peer.index));
            }
        }
        self.followers.check()?;
        Ok(self)
    }
}

/// The three sources, one over the other.
fn sources(path: &Path) -> Result<Config, config::ConfigError> {
    // With a separator set, the prefix's own separator must be set too, or CARAT_API__LISTEN is ignored.
    let environment =
        Environment::with_prefix("CARAT").prefix_separator("_").separator("__").try_parsing(true);
    Config::builder()
        .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(File::from(path))
        .add_source(environment.source(Some(relevant_variables())))
        .build()
}

/// Only variables of ours with a section: others that begin with CARAT_ belong to the client and the tests.
fn relevant_variables() -> config::Map<String, String> {
    std::env::vars().filter(|(name, _)| name.starts_with("CARAT_") && name.contains("__")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "[validator]\nindex = 1\n[network]\nlisten = \"127.0.0.1:7001\"\n";

    fn load(text: &str) -> Result<Settings, SettingsError> {
        let home = tempfile::tempdir().expect("folder");
        std::fs::write(home.path().join("node.toml"), text).expect("written");
        Settings::load(home.path())
    }

    #[test]
    fn minimal_file_takes_defaults_and_paths_of_its_folder() {
        let settings = load(MINIMAL).expect("valid");
        assert_eq!(settings.validator.index, Some(1));
        assert_eq!(settings.api.listen.port(), 8000);
        assert!(settings.validator.keys.is_absolute() && settings.validator.keys.ends_with("keys"));
    }

    #[test]
    fn bad_settings_are_refused_with_the_key_or_value_named() {
        let table = [
            (format!("{MINIMAL}\n[api]\nlissten = \"127.0.0.1:1\"\n"), "lissten"),
            (format!("{MINIMAL}\n[log]\nformat = \"xml\"\n"), "xml"),
            ("[validator]\nindex = 70000\n[network]\nlisten = \"127.0.0.1:1\"\n".into(), "index"),
            ("[validator]\nindex = 0\n".into(), "network"),
            (
                format!(
                    "{MINIMAL}{}",
                    "\n[[network.peers]]\nindex = 2\naddress = \"127.0.0.1:2\"\n".repeat(2)
                ),
                "lists 2 twice",
            ),
            (format!("{MINIMAL}\n[bank]\ndomain = \"bank.example\"\ndomian = \"\"\n"), "domian"),
            (
                format!("{MINIMAL}\n[api.tls]\nlisten = \"127.0.0.1:1\"\nkey = \"a.pem\"\n"),
                "api.tls names one of",
            ),
            (
                MINIMAL.replace("index = 1", "index = 1\nsigner = \"tcp:1.2.3.4\""),
                "validator.signer is \"tcp:",
            ),
            (
                MINIMAL.replace("index = 1", "index = 1\nsigner = \"tls:10.0.0.1:7\""),
                "validator.signer_key no file",
            ),
            (
                MINIMAL.replace(
                    "[network]",
                    "signer = \"unix:s\"\ntoken = { module = \"m\", label = \"t\" }\n[network]",
                ),
                "a signer and a token",
            ),
            (MINIMAL.replace("index = 1", "index = 1\nproposer = 0"), "index 1 and proposer 0"),
            (format!("{MINIMAL}\n[store]\nkeep_days = 0\n"), "store.keep_days is 0"),
            (format!("{MINIMAL}\n[store]\narchive = \"a\"\n"), "store.archive is set and nothing is dropped"),
            ("not toml".into(), "node.toml"),
        ];
        for (text, expected) in table {
            let error = load(&text).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error} should name {expected}");
        }
    }

    #[test]
    fn files_of_the_bank_are_looked_for_in_the_home_folder() {
        let bank = "[bank]\ndomain = \"bank.example\"\ndirectory = \"names.toml\"\n[bank.documentation]\norg_name = \"Bank\"\n\
                    [bank.login]\nsigning_key = \"keys/login.toml\"\ntoken_key = \"/etc/token.toml\"\n";
        let settings = load(&format!("{MINIMAL}\n{bank}")).expect("valid");
        let bank = settings.bank.expect("a bank");
        let login = bank.login.expect("a login");
        assert!(bank.directory.is_some_and(|path| path.is_absolute() && path.ends_with("names.toml")));
        assert!(login.signing_key.is_absolute() && login.signing_key.ends_with("keys/login.toml"));
        assert_eq!(login.token_key, Path::new("/etc/token.toml"));
        assert_eq!((login.challenge_seconds, login.token_seconds), (900, 3_600));
    }

    #[test]
    fn socket_of_the_signer_is_looked_for_in_the_home_folder() {
        let text = MINIMAL.replace("index = 1", "index = 1\nsigner = \"unix:run/signer.sock\"");
        let place = load(&text).expect("valid").signer().expect("fits");
        assert!(
            matches!(place, Some(SignerPlace::Socket(path)) if path.is_absolute() && path.ends_with("run/signer.sock"))
        );
        assert_eq!(load(MINIMAL).expect("valid").signer(), Ok(None));
    }

    #[test]
    fn token_has_its_files_in_the_home_folder_and_its_key_a_default_label() {
        let text = format!(
            "{MINIMAL}[validator.token]\nmodule = \"/lib/m.so\"\nlabel = \"v1\"\npin_file = \"pin\"\n"
        );
        let token = load(&text).expect("valid").validator.token.expect("a token");
        assert_eq!((&*token.acceptor, token.proposer.as_deref()), ("acceptor", None));
        assert!(token.pin_file.is_some_and(|path| path.is_absolute() && path.ends_with("pin")));
        assert_eq!(token.module, Path::new("/lib/m.so"));
    }

    #[test]
    fn effective_setting_names_its_source() {
        let home = tempfile::tempdir().expect("folder");
        std::fs::write(home.path().join("node.toml"), format!("{MINIMAL}\n[log]\nlevel = \"debug\"\n"))
            .expect("written");
        let settings = Settings::effective(home.path()).expect("valid");
        let find = |key: &str| settings.iter().find(|setting| setting.key == key).expect("there");
        assert_eq!((&*find("api.listen").value, &*find("api.listen").origin), ("127.0.0.1:8000", "default"));
        assert_eq!(find("log.level").value, "debug");
        assert!(find("log.level").origin.ends_with("node.toml"), "{:?}", find("log.level"));
    }

    #[test]
    fn missing_file_is_named() {
        let error = Settings::load(Path::new("/nowhere/at/all")).expect_err("refused").to_string();
        assert!(error.contains("/nowhere/at/all/node.toml"), "{error}");
    }
}
