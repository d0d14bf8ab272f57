//! The home folder of a node: everything that a start reads from disk, checked before anything runs.

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
use carat_storage::store::{Genesis as GenesisState, Store, StoreError};
use carat_storage::vault::{Passphrase, PassphraseSource};
use carat_types::codec::Decode;
use carat_types::epoch::{EpochSet, Epochs};
use carat_types::genesis::{ConsensusConstants, Genesis, GenesisFile, GenesisValidator, Profile, Visibility};
use carat_types::validators::ValidatorSet;
use carat_types::{Epoch, LeafRule, PublicKey, Quorum, Slot, ValidatorId, View, leaf};

use crate::chronicle::{self, Rebuilt, Sources};
use crate::edge;
use crate::error::NodeError;
use crate::handovers;
use crate::keys::{Keys, OwnKeys, VoteKeys};
use crate::metrics::Metrics;
use crate::replay::{Replayed, replay};
use crate::retention::Kept;
use crate::role::Role;
use crate::salt;
use crate::scribe::journal_record;
use crate::seat::{Entry, Seat};
use crate::settings::followers::FollowerSettings;
use crate::settings::{
    NetworkSettings, PeerSettings, Settings, SettingsError, SignerPlace, StoreSettings, bank,
};
use crate::signer::Link;

/// In the data folder.
/// Folder of the journal in `validator.data`.
pub const JOURNAL: &str = "journal";
/// In the data folder.
const STORE: &str = "store";

/// Settings and genesis file of one node, which fit together: what needs no key.
pub struct Place {
    /// The settings.
    pub(crate) settings: Settings,
    /// The genesis file.
    pub(crate) genesis: Arc<GenesisFile>,
    /// The epochs that it knows of.
    pub(crate) epochs: Arc<Epochs>,
    /// Its place in the newest of them.
    pub(crate) seat: Seat,
}

impl Place {
    /// Reads settings and genesis file of the home folder.
    ///
    /// **Errors**: whatever does not fit together, with what to do.
    pub fn read(folder: &Path) -> Result<Self, NodeError> {
        let settings = Settings::load(folder)?;
        let genesis = read_genesis(&settings.validator.genesis)?;
        let epochs = handovers::read(&settings.validator.data, &genesis)?;
        let seat = Seat::find(&settings, &genesis, &epochs)?;
        Ok(Place { settings, genesis: Arc::new(genesis), epochs: Arc::new(epochs), seat })
    }

    /// The epochs that it knows of.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
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

    /// The passphrase of its store; none where its values are in the clear.
    ///
    /// **Errors**: there is none, and the settings demand one.
    pub(crate) fn store_passphrase(&self) -> Result<Option<Passphrase>, NodeError> {
        self.settings.store_passphrase().map_err(NodeError::StorePassphrase)
    }

    /// The folder of the store.
    pub(crate) fn store_folder(&self) -> PathBuf {
        self.settings.validator.data.join(STORE)
    }

    /// The folder of the journal.
    pub(crate) fn journal_folder(&self) -> PathBuf {
        self.settings.validator.data.join(JOURNAL)
    }

    /// Whether there is a journal, in whatever condition.
    pub(crate) fn has_journal(&self) -> bool {
        let listed = std::fs::read_dir(self.journal_folder());
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

/// Settings, genesis file and keys of one node, which fit together.
pub struct Home {
    /// The settings.
    pub(crate) settings: Settings,
    /// The genesis file.
    pub(crate) genesis: Arc<GenesisFile>,
    /// How the leaves of the state are hashed: on a members' network with the secret.
    pub(crate) leaves: LeafRule,
    /// The epochs of the chain that are known.
    pub(crate) epochs: Arc<Epochs>,
    /// Its keys, or who holds them.
    pub(crate) keys: OwnKeys,
    /// What journal and store must belong to.
    pub(crate) identity: Identity,
    /// What it does in its network.
    pub(crate) role: Role,
    /// The name that the set of the present epoch gives this node; that of a follower is none's.
    pub(crate) name: String,
    /// What the node serves for its bank.
    bank: Option<Arc<Bank>>,
    /// Who sees the health of a members' network, and not its business.
    operators: Vec<PublicKey>,
}

impl Home {
    /// Reads settings, genesis file and keys of the home folder, a validator's or a proposer's.
    ///
    /// **Errors**: whatever does not fit together, with what to do.
    pub fn read(folder: &Path) -> Result<Self, NodeError> {
        let place = Place::read(folder)?;
        let entry = place.seat.entry.clone();
        if matches!(entry, Entry::Nobody) {
            return Err(NodeError::NoIndex);
        }
        if place.epochs.present() == Epoch(0) {
            check_peers(&place)?;
        }
        check_followers(&place.settings, &place.epochs)?;
        edge::check(folder, &place)?;
        let keys = match &entry {
            Entry::Proposer(listed) => OwnKeys::of_proposer(&place.seat.keys, listed, &place.passphrase())?,
            Entry::Validator(listed) => validator_keys(&place, listed)?,
            Entry::Nobody => return Err(NodeError::NoIndex),
        };
        let role = Role::of(place.epochs.validators(), place.seat.identity.validator);
        Home::furnish(place, keys, role)
    }

    /// This home, if it is that of a validator.
    ///
    /// **Errors**: [`NodeError::NoVote`].
    pub fn of_validator(self) -> Result<Self, NodeError> {
        if self.role.has_vote() { Ok(self) } else { Err(NodeError::NoVote { name: self.name }) }
    }

    /// This home, if it is that of a proposer of an edge network.
    ///
    /// **Errors**: [`NodeError::NoProposer`].
    pub fn of_proposer(self) -> Result<Self, NodeError> {
        let index = self.identity.validator.0;
        if self.role.has_vote() { Err(NodeError::NoProposer { index }) } else { Ok(self) }
    }

    /// What it does in its network.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What a home is apart from its keys and its role: a validator's home may only follow.
    pub(crate) fn furnish(place: Place, keys: OwnKeys, role: Role) -> Result<Self, NodeError> {
        let leaves = place.leaves()?;
        let Place { settings, genesis, epochs, seat: Seat { identity, entry, .. } } = place;
        check_kept_blocks(&settings, &epochs.set().consensus)?;
        let bank = crate::settings::bank::open(&settings, &genesis, entry.validator())?.map(Arc::new);
        let operators = settings.operators()?;
        let no_login = role.serves_clients()
            && settings.api.tls.is_none()
            && bank.as_ref().is_none_or(|bank| bank.login.is_none());
        if genesis.genesis.visibility() == Visibility::Members && no_login {
            tracing::warn!(
                "a members' network, but neither [bank.login] nor [api.tls]: this node's REST interface shows nothing to anybody"
            );
        }
        let name = entry.name().to_owned();
        Ok(Home { settings, genesis, epochs, keys, leaves, identity, role, name, bank, operators })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The genesis file.
    pub fn genesis(&self) -> &GenesisFile {
        &self.genesis
    }

    /// The epochs of the chain that are known; the newest is the one in which this validator starts.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// How the leaves of the state are hashed.
    pub fn leaves(&self) -> &LeafRule {
        &self.leaves
    }

    /// The key that this node proves to validators.
    pub fn network_key(&self) -> PublicKey {
        self.keys.network.public()
    }

    /// Where the native entrance is, if there is one.
    pub(crate) fn entrance(&self) -> Option<EntranceConfig> {
        let settings = &self.settings.entrance;
        (settings.enabled && self.role.serves_clients()).then(|| EntranceConfig {
            identity: self.keys.network.clone(),
            chain_id: self.genesis.chain_id,
            listen: settings.listen.unwrap_or(self.settings.api.listen),
        })
    }

    /// The UDP addresses that this node listens at.
    pub(crate) fn sockets(&self) -> Vec<SocketAddr> {
        let entrance = self.entrance().map(|entrance| entrance.listen);
        [self.settings.network.listen].into_iter().chain(entrance).collect()
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
        let genesis = self.genesis_state()?;
        let Opened { mut journal, mut records, former } = self.open_journal()?;
        let store = self.open_store(|owner| former.as_ref() == Some(owner), || genesis.clone())?;
        if let Some(former) = former {
            // Only now: a crash before this begins here again.
            records = vec![Record::View(self.epoch(), View(0))];
            let carry: Vec<_> = records.iter().map(journal_record).collect();
            journal.begin_anew(self.identity, &carry)?;
            let (epoch, before) = (self.epoch(), former.validator);
            tracing::info!(%epoch, validator = %self.identity.validator, %before, "a new epoch begins");
        }
        Ok((journal, records, store))
    }

    /// Opens the store alone, or makes it: what a node without a journal has. It may be by the number or the key of an earlier
    /// epoch, or of a validator that is one no more: what it holds binds nobody.
    ///
    /// **Errors**: damaged or foreign data, with what to do.
    pub(crate) fn open_without_journal(&self) -> Result<Store, NodeError> {
        let genesis = self.genesis_state()?;
        self.open_store(|owner| self.was_before(owner), || genesis.clone())
    }

    /// The state that the chain begins with, as the genesis file says.
    fn genesis_state(&self) -> Result<GenesisState, NodeError> {
        let constants = &self.genesis.genesis;
        let entries = carat_ledger::state_entries(constants)
            .map_err(|error| NodeError::GenesisState(error.to_string()))?;
        let tree = StateTree::build(&self.leaves, entries.iter().map(|(key, value)| (key, value)));
        let root = tree.root();
        if root != constants.state_root {
            let (seen, expected) = (constants.state_root, root);
            return Err(NodeError::StateRoot { seen, expected });
        }
        Ok(GenesisState { header: self.genesis.header(), entries, leaves: self.leaves.clone() })
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
            kept: None,
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

    /// The epoch in which this validator is.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epochs.present()
    }

    /// Constants of consensus in that epoch.
    pub(crate) fn constants(&self) -> &ConsensusConstants {
        &self.epochs.set().consensus
    }

    /// Who checks its signatures.
    pub(crate) fn validators(&self) -> &ValidatorSet {
        self.epochs.validators()
    }

    /// The journal. One of an epoch that is over may be by an earlier key of this validator, or from an earlier place: what it
    /// says is over then, as the handovers prove. One of the present epoch must be its own.
    fn open_journal(&self) -> Result<Opened, NodeError> {
        let folder = self.journal_folder();
        let owner = Journal::owner(&folder)?.filter(|owner| self.was_before(owner)).unwrap_or(self.identity);
        let (journal, records) = self.read_journal(&owner)?;
        let epoch = records.iter().filter_map(Record::epoch).max().unwrap_or_default();
        if epoch > self.epoch() {
            return Err(NodeError::HandoversMissing { journal: epoch, known: self.epoch() });
        }
        if epoch < self.epoch() {
            return Ok(Opened { journal, records, former: Some(owner) });
        }
        if owner != self.identity {
            drop(journal);
            // Refused, with the word for what differs.
            let (journal, records) = self.read_journal(&self.identity)?;
            return Ok(Opened { journal, records, former: None });
        }
        Ok(Opened { journal, records, former: None })
    }

    /// Journal and records of one owner, with the passphrase where they are encrypted, or were: what was written before is read
    /// with it.
    fn read_journal(&self, owner: &Identity) -> Result<(Journal, Vec<Record>), NodeError> {
        let folder = self.journal_folder();
        let passphrase = match self.settings.store_passphrase() {
            Ok(None) if Journal::has_key(&folder) => self.settings.passphrase().find(),
            demanded => demanded,
        };
        let passphrase = passphrase.map_err(NodeError::StorePassphrase)?;
        let encryption = self.settings.store.encryption;
        let (journal, raw) = Journal::open_under(&folder, owner, encryption, passphrase.as_ref())?;
        let mut records = Vec::with_capacity(raw.len());
        for record in raw {
            records.push(Record::from_bytes(&record.bytes).map_err(NodeError::JournalRecord)?);
        }
        Ok((journal, records))
    }

    /// Whether somebody can have been this validator before the present epoch: who comes anew has a journal by the key with
    /// which it comes, and was in no epoch.
    fn was_before(&self, owner: &Identity) -> bool {
        let mut before = (0..self.epoch().0).filter_map(|epoch| self.epochs.set_of(Epoch(epoch)));
        let listed = |set: &EpochSet| match self.role {
            Role::Proposer => set.proposers().iter().any(|entry| entry.proposer == owner.key),
            _ => set.validators.iter().any(|entry| entry.acceptor == owner.key),
        };
        owner.chain_id == self.identity.chain_id && (owner.key == self.identity.key || before.any(listed))
    }

    /// The store, which becomes the present identity's if its owner is a former one.
    fn open_store(
        &self,
        is_former: impl Fn(&Identity) -> bool,
        genesis: impl Fn() -> GenesisState,
    ) -> Result<Store, NodeError> {
        let folder = self.store_folder();
        let passphrase = self.settings.store_passphrase().map_err(NodeError::StorePassphrase)?;
        let open = |identity| Store::open(&folder, identity, passphrase.as_ref(), &genesis);
        let store = match open(&self.identity) {
            Err(StoreError::Foreign { owner, .. }) if is_former(&owner) => {
                let store = open(&owner)?;
                store.hand_to(&self.identity)?;
                store
            }
            opened => opened?,
        };
        carat_ledger::governance::check_version(&store, store.tip().slot.next())?;
        Ok(store)
    }

    fn journal_folder(&self) -> PathBuf {
        self.settings.validator.data.join(JOURNAL)
    }

    fn store_folder(&self) -> PathBuf {
        self.settings.validator.data.join(STORE)
    }

    /// Which blocks are kept; none, and all are.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let StoreSettings { keep_blocks, keep_days, archive, .. } = &self.settings.store;
        self.settings.store.drops().then(|| Kept {
            blocks: keep_blocks.unwrap_or_else(|| least_kept(&self.epochs.set().consensus)),
            days: *keep_days,
            archive: archive.clone(),
        })
    }

    /// The thresholds of the present epoch.
    pub(crate) fn quorum(&self) -> Quorum {
        self.validators().quorum()
    }

    /// The other processes of the network: where they are, and the keys that they must show. One of a later epoch has its address
    /// by its network key; one that the genesis file names keeps the address that it has by its place there, also with other keys.
    /// An address proves nothing: who is there must show the key.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let mut found = Vec::new();
        for process in self.others() {
            match self.address_of(&process) {
                Some(address) => found.push(Peer { index: process.id.0, key: process.network, address }),
                // Who follows asks whom it likes.
                None if matches!(self.keys.votes, VoteKeys::Nowhere) => {}
                None => tracing::warn!(
                    validator = process.name, key = %process.network,
                    "no address is known for this validator (hint: list its network key and address under network.newcomers)"
                ),
            }
        }
        found
    }

    /// Numbers of the other processes whose addresses are known.
    pub(crate) fn peer_indices(&self) -> Vec<u16> {
        self.others()
            .filter(|process| self.address_of(process).is_some())
            .map(|process| process.id.0)
            .collect()
    }

    /// Numbers of all other processes.
    pub(crate) fn other_indices(&self) -> Vec<u16> {
        self.others().map(|process| process.id.0).collect()
    }

    /// All processes of the present epoch, validators first.
    pub(crate) fn processes(&self) -> impl Iterator<Item = Process<'_>> {
        let validators = self.epochs.set().validators.iter().map(|it| (&*it.name, it.network));
        let proposers = self.epochs.set().proposers().iter().map(|it| (&*it.name, it.network));
        let all = self.validators().processes().zip(validators.chain(proposers));
        all.map(|(id, (name, network))| Process { id, name, network })
    }

    fn others(&self) -> impl Iterator<Item = Process<'_>> {
        self.processes().filter(|process| process.id != self.identity.validator)
    }

    fn address_of(&self, process: &Process<'_>) -> Option<SocketAddr> {
        let NetworkSettings { peers, newcomers, .. } = &self.settings.network;
        let newcomer = newcomers.iter().find(|it| it.key == process.network).map(|it| it.address);
        let founder = || {
            let index = self.place_at_founding(process)?;
            peers.iter().find(|peer| usize::from(peer.index) == index).map(|peer| peer.address)
        };
        newcomer.or_else(founder)
    }

    /// The number that the genesis file gives a process of the same kind, known by its network key or its name.
    fn place_at_founding(&self, process: &Process<'_>) -> Option<usize> {
        let Genesis { validators, deployment, .. } = &self.genesis.genesis;
        let is_it = |name: &str, network| network == process.network || name == process.name;
        if process.id.index() < self.quorum().n() {
            return validators.iter().position(|it| is_it(&it.name, it.network));
        }
        let place = deployment.edge_proposers().iter().position(|it| is_it(&it.name, it.network))?;
        place.checked_add(validators.len())
    }

    /// The number behind the last process of the network: that of the first follower among a validator's peers.
    pub(crate) fn behind_processes(&self) -> ValidatorId {
        behind_processes(&self.epochs)
    }

    /// The followers that this validator serves, numbered behind the processes of the network.
    pub(crate) fn followers(&self) -> Vec<Peer> {
        let listed = &self.settings.followers.peers;
        let numbers = self.behind_processes().0..;
        let peer = |(index, it): (u16, &FollowerSettings)| Peer { index, key: it.key, address: it.address };
        numbers.zip(listed).map(peer).collect()
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
            epochs: Arc::clone(&self.epochs),
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

/// A process of the network, as its peers know it.
pub(crate) struct Process<'a> {
    /// Its number.
    pub(crate) id: ValidatorId,
    /// Its name for people.
    pub(crate) name: &'a str,
    network: PublicKey,
}

/// The number behind the last process of the present epoch.
pub(crate) fn behind_processes(epochs: &Epochs) -> ValidatorId {
    ValidatorId(u16::try_from(epochs.validators().processes().count()).unwrap_or(u16::MAX))
}

/// The keys of a validator, or who holds them.
fn validator_keys(place: &Place, listed: &GenesisValidator) -> Result<OwnKeys, NodeError> {
    if let Some(link) = signer_link(place, listed)? {
        return Ok(OwnKeys::of_signer(link)?);
    }
    let (folder, token) = (&place.seat.keys, place.settings.validator.token.as_ref());
    Ok(OwnKeys::of_keys(Keys::read(folder, token, listed, &place.passphrase())?)?)
}

/// The way to the signer that holds the keys, if the settings name one.
pub(crate) fn signer_link(place: &Place, listed: &GenesisValidator) -> Result<Option<Link>, NodeError> {
    let (settings, identity) = (&place.settings, place.seat.identity);
    let named = settings.signer();
    let named = named.map_err(|reason| SettingsError::Invalid { path: settings.path.clone(), reason })?;
    Ok(match named {
        None => None,
        Some(SignerPlace::Socket(path)) => Some(Link::new(&path, identity, listed)),
        Some(SignerPlace::Remote(address, file)) => {
            let own = bank::identity("validator.signer_key", &file, &settings.passphrase())?;
            Some(Link::remote(address, &own, identity, listed)?)
        }
    })
}

/// A validator is served as what it is to its peers, never as a follower beside.
fn check_followers(settings: &Settings, epochs: &Epochs) -> Result<(), NodeError> {
    let is_validators = |key: &PublicKey| epochs.set().validators.iter().any(|it| it.network == *key);
    match settings.followers.peers.iter().find(|peer| is_validators(&peer.key)) {
        None => Ok(()),
        Some(peer) => {
            let reason = format!(
                "followers.peers lists {}, the network key of a validator, expected that of a follower (hint: a validator that \
                 follows in its home is served without any setting)",
                peer.key
            );
            Err(SettingsError::Invalid { path: settings.path.clone(), reason }.into())
        }
    }
}

/// A journal that was opened.
struct Opened {
    journal: Journal,
    records: Vec<Record>,
    /// Whose it was, if it is of an epoch that is over.
    former: Option<Identity>,
}

/// Windows of blocks that are kept at least: peers that were away for a moment ask for them.
const KEPT_WINDOWS_MIN: u64 = 4;

fn check_kept_blocks(settings: &Settings, constants: &ConsensusConstants) -> Result<(), NodeError> {
    let least = least_kept(constants);
    match settings.store.keep_blocks {
        Some(blocks) if blocks < least => {
            let reason = format!(
                "store.keep_blocks is {blocks}, expected at least {least}, {KEPT_WINDOWS_MIN} windows of open slots, or \
                 nothing to keep all"
            );
            Err(SettingsError::Invalid { path: settings.path.clone(), reason }.into())
        }
        _ => Ok(()),
    }
}

fn least_kept(constants: &ConsensusConstants) -> u64 {
    constants.window.saturating_mul(KEPT_WINDOWS_MIN)
}

/// Every other process once.
fn check_peers(place: &Place) -> Result<(), NodeError> {
    let (peers, own) = (&place.settings.network.peers, place.seat.identity.validator.0);
    let listed = peers.len().saturating_add(1);
    let expected = place.epochs.validators().processes().count();
    let strange = |peer: &&PeerSettings| usize::from(peer.index) >= expected || peer.index == own;
    match peers.iter().find(strange) {
        Some(peer) if peer.index == own => {
            let reason =
                format!("network.peers lists {own}, which is this node's own number, expected the others");
            Err(SettingsError::Invalid { path: place.settings.path.clone(), reason }.into())
        }
        Some(peer) => Err(NodeError::Index { index: peer.index, count: expected }),
        None if listed != expected => Err(NodeError::Peers { listed, expected }),
        None => Ok(()),
    }
}
