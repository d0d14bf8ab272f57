//! The home folder of a validator: everything that a start reads from disk, checked before anything runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carat_api::RateLimit;
use carat_api::bank::Bank;
use carat_consensus::Record;
use carat_ledger::{Ed25519, StateTree};
use carat_network::{CertificateFiles, EntranceConfig, Https, Peer};
use carat_storage::Identity;
use carat_storage::journal::Journal;
use carat_storage::store::{Genesis as GenesisState, Store};
use carat_storage::vault::PassphraseSource;
use carat_types::codec::Decode;
use carat_types::genesis::{GenesisFile, GenesisValidator, Profile, Visibility};
use carat_types::{LeafRule, PublicKey, Quorum, Slot, ValidatorId, leaf};

use crate::chronicle::{self, Rebuilt, Sources};
use crate::error::NodeError;
use crate::keys::{Keys, OwnKeys};
use crate::metrics::Metrics;
use crate::replay::{Replayed, replay};
use crate::salt;
use crate::settings::{PeerSettings, Settings, SettingsError, SignerPlace, bank};
use crate::signer::Link;

/// In the data folder.
/// Folder of the journal in `validator.data`.
pub const JOURNAL: &str = "journal";
/// In the data folder.
const STORE: &str = "store";

/// Settings and genesis file of one validator, which fit together: what needs no key.
pub struct Place {
    /// The settings.
    pub(crate) settings: Settings,
    /// The genesis file.
    pub(crate) genesis: Arc<GenesisFile>,
    /// What journal and store must belong to.
    pub(crate) identity: Identity,
}

impl Place {
    /// Reads settings and genesis file of the home folder.
    ///
    /// **Errors**: whatever does not fit together, with what to do.
    pub fn read(folder: &Path) -> Result<Self, NodeError> {
        let settings = Settings::load(folder)?;
        let genesis = read_genesis(&settings.validator.genesis)?;
        let listed = own_entry(&settings, &genesis)?;
        let validator = ValidatorId(settings.validator.index);
        let identity = Identity { chain_id: genesis.chain_id, key: listed.acceptor, validator };
        Ok(Place { settings, genesis: Arc::new(genesis), identity })
    }

    /// The genesis file.
    pub fn genesis(&self) -> &GenesisFile {
        &self.genesis
    }

    /// How the leaves of its network's state are hashed: on a members' network by the secret beside its keys.
    ///
    /// **Errors**: [`SaltError`](crate::salt::SaltError): the secret is missing, readable by others, or another.
    pub fn leaves(&self) -> Result<LeafRule, NodeError> {
        Ok(salt::read(&self.settings.validator.keys.join(leaf::SALT_FILE), &self.genesis)?)
    }

    /// Where the passphrase of its key files is.
    pub fn passphrase(&self) -> PassphraseSource {
        self.settings.passphrase()
    }

    /// The folder of the store.
    pub(crate) fn store_folder(&self) -> PathBuf {
        self.settings.validator.data.join(STORE)
    }

    /// Whether there is a journal, in whatever condition.
    pub(crate) fn has_journal(&self) -> bool {
        let listed = std::fs::read_dir(self.settings.validator.data.join(JOURNAL));
        listed.is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|it| it.path().extension().is_some_and(|it| it == "journal")))
        })
    }
}

/// Reads and checks a genesis file.
///
/// **Errors**: unreadable, or not one.
pub fn read_genesis(path: &Path) -> Result<GenesisFile, NodeError> {
    let bytes = std::fs::read(path).map_err(|error| NodeError::file(path, "read", error))?;
    GenesisFile::parse(&bytes).map_err(|error| NodeError::Genesis { path: path.into(), error })
}

/// Settings, genesis file and keys of one validator, which fit together.
pub struct Home {
    /// The settings.
    pub(crate) settings: Settings,
    /// The genesis file.
    pub(crate) genesis: Arc<GenesisFile>,
    /// How the leaves of the state are hashed: on a members' network with the secret.
    pub(crate) leaves: LeafRule,
    /// The three keys, or who holds them.
    pub(crate) keys: OwnKeys,
    /// What journal and store must belong to.
    pub(crate) identity: Identity,
    /// The name that the genesis file gives this validator.
    pub(crate) name: String,
    /// What the node serves for its bank.
    bank: Option<Arc<Bank>>,
    /// Who sees the health of a members' network, and not its business.
    operators: Vec<PublicKey>,
}

impl Home {
    /// Reads settings, genesis file and keys of the home folder.
    ///
    /// **Errors**: whatever does not fit together, with what to do.
    pub fn read(folder: &Path) -> Result<Self, NodeError> {
        let place = Place::read(folder)?;
        let leaves = place.leaves()?;
        let Place { settings, genesis, identity } = place;
        let listed = own_entry(&settings, &genesis)?;
        check_peers(&settings, &genesis)?;
        check_kept_blocks(&settings, &genesis)?;
        let place = settings.signer();
        let keys =
            match place.map_err(|reason| SettingsError::Invalid { path: settings.path.clone(), reason })? {
                Some(SignerPlace::Socket(path)) => OwnKeys::of_signer(Link::new(&path, identity, listed))?,
                Some(SignerPlace::Remote(address, file)) => {
                    let own = bank::identity("validator.signer_key", &file, &settings.passphrase())?;
                    OwnKeys::of_signer(Link::remote(address, &own, identity, listed)?)?
                }
                None => {
                    let (folder, token) = (&settings.validator.keys, settings.validator.token.as_ref());
                    OwnKeys::of_keys(Keys::read(folder, token, listed, &settings.passphrase())?)?
                }
            };
        let bank = crate::settings::bank::open(&settings, &genesis)?.map(Arc::new);
        let operators = settings.operators()?;
        let no_login = settings.api.tls.is_none() && bank.as_ref().is_none_or(|bank| bank.login.is_none());
        if genesis.genesis.visibility() == Visibility::Members && no_login {
            tracing::warn!(
                "a members' network, but neither [bank.login] nor [api.tls]: this node's REST interface shows nothing to anybody"
            );
        }
        let name = listed.name.clone();
        Ok(Home { settings, genesis, keys, leaves, identity, name, bank, operators })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The genesis file.
    pub fn genesis(&self) -> &GenesisFile {
        &self.genesis
    }

    /// How the leaves of the state are hashed.
    pub fn leaves(&self) -> &LeafRule {
        &self.leaves
    }

    /// Where the native entrance is, if there is one.
    pub(crate) fn entrance(&self) -> Option<EntranceConfig> {
        let settings = &self.settings.entrance;
        settings.enabled.then(|| EntranceConfig {
            identity: self.keys.network.clone(),
            chain_id: self.genesis.chain_id,
            listen: settings.listen.unwrap_or(self.settings.api.listen),
        })
    }

    /// TLS of the REST interface and where it listens, if there is one.
    ///
    /// **Errors**: files of a certificate that cannot be used.
    pub fn https(&self) -> Result<Option<(SocketAddr, Https)>, NodeError> {
        let Some(tls) = &self.settings.api.tls else { return Ok(None) };
        let https = match self.certificate_files() {
            Some(files) => Https::of_files(&files)?,
            None => Https::of_identity(&self.keys.network)?,
        };
        Ok(Some((tls.listen, https)))
    }

    /// The files of the certificate that the REST interface shows, if it has one of its own.
    pub(crate) fn certificate_files(&self) -> Option<CertificateFiles> {
        let tls = self.settings.api.tls.as_ref()?;
        Some(CertificateFiles { certificate: tls.certificate.clone()?, key: tls.key.clone()? })
    }

    /// Opens journal and store: the checks of a start, short of starting.
    ///
    /// **Errors**: damaged, foreign or missing data, with what to do.
    pub fn open(&self) -> Result<(Journal, Vec<Record>, Store), NodeError> {
        let constants = &self.genesis.genesis;
        let entries = carat_ledger::state_entries(constants)
            .map_err(|error| NodeError::GenesisState(error.to_string()))?;
        let tree = StateTree::build(&self.leaves, entries.iter().map(|(key, value)| (key, value)));
        let root = tree.root();
        if root != constants.state_root {
            let (seen, expected) = (constants.state_root, root);
            return Err(NodeError::StateRoot { seen, expected });
        }
        let (journal, raw) = Journal::open(&self.journal_folder(), &self.identity)?;
        let mut records = Vec::with_capacity(raw.len());
        for record in raw {
            records.push(Record::from_bytes(&record.bytes).map_err(NodeError::JournalRecord)?);
        }
        let header = self.genesis.header();
        let store = Store::open(&self.store_folder(), &self.identity, || GenesisState {
            header,
            entries,
            leaves: self.leaves.clone(),
        })?;
        carat_ledger::governance::check_version(&store, store.tip().slot.next())?;
        Ok((journal, records, store))
    }

    /// Builds the history again from the blocks.
    ///
    /// **Errors**: damaged, foreign or missing data; a block that does not give the outcomes that its header names.
    pub fn rebuild_history(&self) -> Result<Rebuilt, NodeError> {
        // The journal is not written, but its lock keeps a validator from running at the same time.
        let (_journal, _, store) = self.open()?;
        let store = Arc::new(store);
        let rebuilt = chronicle::rebuild(Sources {
            store: Arc::clone(&store),
            genesis: Arc::clone(&self.genesis),
            leaves: self.leaves.clone(),
            signatures: Arc::new(Ed25519),
            waiting: Arc::default(),
            keep_blocks: None,
            metrics: Arc::new(Metrics::new()?),
        })?;
        store.sync()?;
        Ok(rebuilt)
    }

    /// Executes every block again, from the genesis file on, and compares every root, at the end with the stored state too.
    /// `progress` hears of each block, and of the last one.
    ///
    /// **Errors**: damaged, foreign or missing data; the first block that does not fit.
    pub fn replay(&self, mut progress: impl FnMut(Slot, Slot)) -> Result<Replayed, NodeError> {
        // The journal is not written, but its lock keeps a validator from running at the same time.
        let (_journal, _, store) = self.open()?;
        store.state_tree(&self.leaves)?;
        let last = store.tip().slot;
        Ok(replay(&self.genesis, &self.leaves, &store, |slot| progress(slot, last))?)
    }

    fn journal_folder(&self) -> PathBuf {
        self.settings.validator.data.join(JOURNAL)
    }

    fn store_folder(&self) -> PathBuf {
        self.settings.validator.data.join(STORE)
    }

    /// The thresholds of this network.
    pub(crate) fn quorum(&self) -> Quorum {
        // The genesis file was checked to have a possible size when it was read.
        #[expect(clippy::expect_used, reason = "checked by GenesisFile::parse")]
        self.genesis.validators().expect("a possible number of validators").quorum()
    }

    /// The other validators: where they are, and the keys that they must show.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let validators = &self.genesis.genesis.validators;
        let peer = |setting: &PeerSettings| {
            validators.get(usize::from(setting.index)).map(|entry| Peer {
                index: setting.index,
                key: entry.network,
                address: setting.address,
            })
        };
        self.settings.network.peers.iter().filter_map(peer).collect()
    }

    /// What the REST interface tells everybody about the network.
    pub(crate) fn public_facts(&self) -> carat_api::port::Network {
        let genesis = &self.genesis;
        carat_api::port::Network {
            passphrase: genesis.genesis.network_passphrase.clone(),
            network_id: genesis.network_id(),
            chain_id: genesis.chain_id,
            genesis: String::from_utf8_lossy(&genesis.bytes).into(),
            is_test: genesis.genesis.profile == Profile::Test,
            visibility: genesis.genesis.visibility(),
            auditors: genesis.genesis.auditors.clone(),
            members: genesis.genesis.ledger.members.clone(),
            version: format!("carat-node {}", env!("CARGO_PKG_VERSION")),
            supported_protocol: carat_ledger::NEWEST_PROTOCOL,
        }
    }

    /// The settings of the REST interface.
    pub(crate) fn api_settings(&self) -> carat_api::Settings {
        let rate_limit = match self.settings.api.requests_per_second {
            0 => None,
            per_second => Some(RateLimit { burst: per_second, period: Duration::from_secs(1) }),
        };
        carat_api::Settings {
            submission_patience: Duration::from_millis(self.settings.api.submit_timeout_ms),
            rate_limit,
            bank: self.bank.clone(),
            operators: self.operators.clone(),
            ..carat_api::Settings::default()
        }
    }
}

fn own_entry<'a>(settings: &Settings, genesis: &'a GenesisFile) -> Result<&'a GenesisValidator, NodeError> {
    let validators = &genesis.genesis.validators;
    let index = settings.validator.index;
    validators.get(usize::from(index)).ok_or(NodeError::Index { index, count: validators.len() })
}

/// Windows of blocks that are kept at least: peers that were away for a moment ask for them.
const KEPT_WINDOWS_MIN: u64 = 4;

fn check_kept_blocks(settings: &Settings, genesis: &GenesisFile) -> Result<(), NodeError> {
    let least = genesis.genesis.consensus.window.saturating_mul(KEPT_WINDOWS_MIN);
    match settings.store.keep_blocks {
        Some(blocks) if blocks < least => {
            let reason = format!(
                "store.keep_blocks is {blocks}, expected at least {least}, {KEPT_WINDOWS_MIN} windows of the genesis file, or \
                 nothing to keep all"
            );
            Err(SettingsError::Invalid { path: settings.path.clone(), reason }.into())
        }
        _ => Ok(()),
    }
}

fn check_peers(settings: &Settings, genesis: &GenesisFile) -> Result<(), NodeError> {
    let listed = settings.network.peers.len().saturating_add(1);
    let expected = genesis.genesis.validators.len();
    let strange = settings.network.peers.iter().find(|peer| usize::from(peer.index) >= expected);
    match strange {
        Some(peer) => Err(NodeError::Index { index: peer.index, count: expected }),
        None if listed != expected => Err(NodeError::Peers { listed, expected }),
        None => Ok(()),
    }
}
