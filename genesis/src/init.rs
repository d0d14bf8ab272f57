//! Makes a network: keys, genesis file, and a home for each validator, and for each proposer of an edge network.
//!
//! Everything is made in a folder beside the one asked for and appears there at once, complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carat_network::certificate::certificate_pem;
use carat_storage::vault::Passphrase;
use carat_storage::{Identity, Journal, identity_file, key_file as key_at_rest};
use carat_types::genesis::{
    AssetRule, ConsensusConstants, Deployment, FORMAT, Genesis, GenesisFile, GenesisValidator,
    LedgerConstants, Profile, Trust, Visibility,
};
use carat_types::hash::sha256;
use carat_types::key_file::{self, KeyRole};
use carat_types::leaf::{self, SaltSecret};
use carat_types::quorum::{ImpossibleSize, Quorum};
use carat_types::{Digest, LeafRule, PublicKey, SecretKey, SignerSet, ValidatorId};
use zeroize::Zeroizing;

use crate::edge::{self, ProposerKeys};
use crate::error::InitError;
use crate::files::{PLAIN_MODE, SECRET_MODE, disk, make_folder, sync_folder, write_new};
use crate::layout::{self, Kind, home_name, proposer_home_name};
use crate::ports::{self, Addresses};
use crate::state::state_root;

/// The newest version of the ledger's rules that this release knows: what a network begins with, unless chosen otherwise.
pub const LEDGER_PROTOCOL_VERSION: u32 = carat_ledger::NEWEST_PROTOCOL;

/// Most validators that can govern: an account has no more signers.
pub const GOVERNORS_MAX: u16 = 20;

/// All coins, unless chosen otherwise. **Units**: stroops.
pub const DEFAULT_TOTAL_COINS: i64 = 1_000_000_000_000_000_000;
/// Fee of one operation, unless chosen otherwise. **Units**: stroops.
pub const DEFAULT_BASE_FEE: u32 = 100;
/// Reserve of one entry, unless chosen otherwise. **Units**: stroops.
pub const DEFAULT_BASE_RESERVE: u32 = 5_000_000;

/// What the passphrase begins with, unless chosen otherwise.
pub fn default_passphrase(profile: Profile) -> &'static str {
    match profile {
        Profile::Test => "Carat test network",
        Profile::Main => "Carat main network",
    }
}

/// The choices of a network.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Number of validators: 1, or 4 and more.
    pub validators: u16,
    /// Proposers that are processes of their own, without a vote; none, and each validator runs one.
    pub proposers: u16,
    /// Folder to make.
    pub out: PathBuf,
    /// What the passphrase begins with; random digits are always added, so that no two networks share signatures.
    pub passphrase: String,
    /// First of three ports a validator or proposer; none looks for free ones.
    pub base_port: Option<u16>,
    /// Test or main network.
    pub profile: Profile,
    /// What validators act on.
    pub trust: Trust,
    /// Who reads what; none leaves it to the profile: members on a main network, everybody on a test network.
    pub visibility: Option<Visibility>,
    /// Accounts whose holders read everything on a members' network.
    pub auditors: Vec<PublicKey>,
    /// Who holds all coins on a main network. On a test network the key follows from the passphrase.
    pub root_account: Option<PublicKey>,
    /// Names of the banks, in order; none calls them v0, v1 and so on.
    pub names: Vec<String>,
    /// The member banks' accounts.
    pub members: Vec<PublicKey>,
    /// Whether only members, and accounts that they created, may create accounts.
    pub admission_restricted: bool,
    /// Which assets may be issued.
    pub assets: AssetRule,
    /// **Units**: stroops.
    pub total_coins: i64,
    /// **Units**: stroops.
    pub base_fee: u32,
    /// **Units**: stroops.
    pub base_reserve: u32,
    /// Version of the ledger's rules.
    pub protocol_version: u32,
    /// Whether the validators can change parameters by vote.
    pub governance: bool,
    /// Constants of consensus.
    pub consensus: ConsensusConstants,
    /// Encrypts the validators' key files.
    pub key_passphrase: Option<Passphrase>,
    /// Lets the validators encrypt what they store, under the passphrase of their key files.
    pub encrypt_store: bool,
    /// Validators whose acceptor key was made elsewhere, in a token: only its public half is known here.
    pub acceptors: Vec<(u16, PublicKey)>,
}

impl InitOptions {
    /// A test network with the default choices.
    pub fn test(validators: u16, out: impl Into<PathBuf>) -> Self {
        InitOptions {
            validators,
            proposers: 0,
            out: out.into(),
            passphrase: default_passphrase(Profile::Test).to_owned(),
            base_port: None,
            profile: Profile::Test,
            trust: Trust::Bft,
            visibility: None,
            auditors: Vec::new(),
            root_account: None,
            names: Vec::new(),
            members: Vec::new(),
            admission_restricted: false,
            assets: AssetRule::Any,
            total_coins: DEFAULT_TOTAL_COINS,
            base_fee: DEFAULT_BASE_FEE,
            base_reserve: DEFAULT_BASE_RESERVE,
            protocol_version: LEDGER_PROTOCOL_VERSION,
            governance: validators <= GOVERNORS_MAX,
            consensus: ConsensusConstants::default(),
            key_passphrase: None,
            encrypt_store: false,
            acceptors: Vec::new(),
        }
    }
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The genesis file.
    pub genesis: GenesisFile,
    /// The homes, in the order of the genesis file, validators first.
    pub homes: Vec<PathBuf>,
}

/// Makes the network.
///
/// **Errors**: [`InitError`]; nothing is left behind.
pub fn init(options: &InitOptions) -> Result<Made, InitError> {
    check(options)?;
    let processes = options.validators.saturating_add(options.proposers);
    let addresses = match options.base_port {
        Some(base) => ports::from_base(processes, base)?,
        None => ports::free(processes)?,
    };
    let elsewhere = |index| options.acceptors.iter().find(|(of, _)| *of == index).map(|(_, key)| *key);
    let keys =
        (0..options.validators).map(|index| Keys::new(elsewhere(index))).collect::<Result<Vec<_>, _>>()?;
    let validators = (0_u16..).zip(&keys).map(|(index, keys)| {
        let name = options.names.get(usize::from(index)).cloned().unwrap_or_else(|| home_name(index));
        keys.entry(&name)
    });
    let proposers = (0..options.proposers).map(|_| ProposerKeys::new()).collect::<Result<Vec<_>, _>>()?;
    let deployment = edge::deployment(&proposers);
    let (genesis, leaves) = genesis_file(options, validators.collect(), deployment)?;

    appear(&options.out, |folder| {
        write_network(folder, &genesis, &keys, &addresses, options)?;
        for (place, keys) in (0_u16..).zip(&proposers) {
            edge::write_home(folder, place, &genesis, keys, &addresses, options)?;
        }
        write_secret(folder, options, &leaves)?;
        sync_folder(folder)
    })?;
    Ok(Made { genesis, homes: home_names(options).map(|name| options.out.join(name)).collect() })
}

/// The names of all homes, in the order of the genesis file.
fn home_names(options: &InitOptions) -> impl Iterator<Item = String> + use<> {
    (0..options.validators).map(home_name).chain((0..options.proposers).map(proposer_home_name))
}

/// The three keys of one validator.
pub(crate) struct Keys {
    acceptor: Acceptor,
    proposer: SecretKey,
    network: SecretKey,
    /// Of the login without which nobody reads a members' network.
    pub(crate) challenges: SecretKey,
    pub(crate) tokens: SecretKey,
}

/// The key of votes.
enum Acceptor {
    /// Made here.
    Here(SecretKey),
    /// In a token.
    Elsewhere(PublicKey),
}

impl Acceptor {
    fn public(&self) -> PublicKey {
        match self {
            Acceptor::Here(key) => key.public(),
            Acceptor::Elsewhere(key) => *key,
        }
    }
}

impl Keys {
    /// `acceptor` is the key that was made elsewhere, if it was.
    pub(crate) fn new(acceptor: Option<PublicKey>) -> Result<Self, InitError> {
        Ok(Keys {
            acceptor: match acceptor {
                Some(key) => Acceptor::Elsewhere(key),
                None => Acceptor::Here(random_key()?),
            },
            proposer: random_key()?,
            network: random_key()?,
            challenges: random_key()?,
            tokens: random_key()?,
        })
    }

    /// What a set says of them.
    pub(crate) fn entry(&self, name: &str) -> GenesisValidator {
        GenesisValidator {
            name: name.to_owned(),
            acceptor: self.acceptor.public(),
            proposer: self.proposer.public(),
            network: self.network.public(),
        }
    }

    /// The key, if it was made here.
    fn of(&self, role: KeyRole) -> Option<&SecretKey> {
        match (role, &self.acceptor) {
            (KeyRole::Acceptor, Acceptor::Here(key)) => Some(key),
            (KeyRole::Acceptor, Acceptor::Elsewhere(_)) => None,
            (KeyRole::Proposer, _) => Some(&self.proposer),
            (KeyRole::Network, _) => Some(&self.network),
        }
    }
}

pub(crate) fn random_key() -> Result<SecretKey, InitError> {
    Ok(SecretKey::from_seed(&*random_bytes()?))
}

fn random_bytes() -> Result<Zeroizing<[u8; 32]>, InitError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(InitError::Random)?;
    Ok(bytes)
}

pub(crate) fn check(options: &InitOptions) -> Result<(), InitError> {
    let wrong = |what, seen: String, expected: String| Err(InitError::Choice { what, seen, expected });
    Quorum::of(usize::from(options.validators)).map_err(carat_types::genesis::GenesisError::from)?;
    let (n, proposers) = (usize::from(options.validators), usize::from(options.proposers));
    if n.saturating_add(proposers) > usize::from(SignerSet::CAPACITY) {
        let size = ImpossibleSize::Proposers { proposers, n };
        return Err(carat_types::genesis::GenesisError::from(size).into());
    }
    if !options.names.is_empty() && options.names.len() != usize::from(options.validators) {
        let seen = format!("given {} times", options.names.len());
        return wrong(
            "--name",
            seen,
            format!("{} names, one for each validator, or none", options.validators),
        );
    }
    let mut seen = BTreeSet::new();
    for (index, key) in &options.acceptors {
        if *index >= options.validators || !seen.insert(index) || key.is_weak() {
            let expected = "the place of a validator, once, and the public key that its token shows (hint: carat-node key token show)";
            return wrong("--acceptor-key", format!("{index}={key}"), expected.to_owned());
        }
    }
    match (options.profile, options.root_account) {
        (Profile::Test, Some(key)) => wrong(
            "--root-account",
            key.to_string(),
            "none on a test network, where it follows from the passphrase (hint: --main-network)".to_owned(),
        ),
        (Profile::Main, None) => wrong(
            "--root-account",
            "absent".to_owned(),
            "the account that holds all coins of a main network (hint: `carat keys generate root`)"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// The genesis file, and how its network hashes leaves.
pub(crate) fn genesis_file(
    options: &InitOptions,
    validators: Vec<GenesisValidator>,
    deployment: Deployment,
) -> Result<(GenesisFile, LeafRule), InitError> {
    let mut suffix = [0; 16];
    getrandom::fill(&mut suffix).map_err(InitError::Random)?;
    let passphrase = format!("{} ; {}", options.passphrase, hex::encode(suffix));
    let root_account = options.root_account.unwrap_or_else(|| test_root_key(&passphrase).public());
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut genesis = Genesis {
        format: FORMAT.to_owned(),
        profile: options.profile,
        trust: options.trust,
        visibility: options.visibility,
        auditors: options.auditors.clone(),
        salt_commitment: None,
        time_ms: u64::try_from(since_1970.as_millis()).unwrap_or(0),
        validators,
        deployment,
        consensus: options.consensus,
        ledger: LedgerConstants {
            total_coins: options.total_coins,
            base_fee: options.base_fee,
            base_reserve: options.base_reserve,
            protocol_version: options.protocol_version,
            root_account,
            admission_restricted: options.admission_restricted,
            members: options.members.clone(),
            assets: options.assets,
        },
        governance: governance_account(options)?,
        state_root: Digest::ZERO,
        network_passphrase: passphrase,
    };
    // Said in the file, so that nobody who reads it has to know what follows from the profile.
    genesis.visibility = Some(genesis.visibility());
    let leaves = match genesis.visibility() {
        Visibility::Open => LeafRule::Open,
        Visibility::Members => {
            let secret = SaltSecret::from_bytes(&*random_bytes()?);
            genesis.salt_commitment = Some(secret.commitment());
            LeafRule::Salted(secret)
        }
    };
    genesis.state_root = state_root(&genesis, &leaves)?;
    let mut bytes = serde_json::to_vec_pretty(&genesis)?;
    bytes.push(b'\n');
    // Read back: what this writes and validators refuse must never leave here.
    Ok((GenesisFile::parse(&bytes)?, leaves))
}

/// An address that nobody has a key of: the secret is made and forgotten, and the ledger gives the key no weight.
fn governance_account(options: &InitOptions) -> Result<Option<PublicKey>, InitError> {
    if !options.governance {
        return Ok(None);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(InitError::Random)?;
    Ok(Some(SecretKey::from_seed(&seed).public()))
}

/// The key of a test network's root account: public knowledge.
pub fn test_root_key(passphrase: &str) -> SecretKey {
    SecretKey::from_seed(&sha256(&[passphrase.as_bytes()]).0)
}

/// Makes a folder beside `out` and lets it appear there, complete.
pub(crate) fn appear(out: &Path, make: impl FnOnce(&Path) -> Result<(), InitError>) -> Result<(), InitError> {
    let unfinished = unfinished_folder(out)?;
    let made = make(&unfinished)
        .and_then(|()| fs::rename(&unfinished, out).map_err(|error| disk("make", out, error)))
        .and_then(|()| sync_folder(&parent(out)));
    if made.is_err() {
        // Only what this call made; if even that fails, the next attempt says so.
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

/// The folder in which everything is made, beside the one asked for.
fn unfinished_folder(out: &Path) -> Result<PathBuf, InitError> {
    let occupied = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(disk("read the folder", out, error)),
    };
    if occupied {
        return Err(InitError::NotEmpty { path: out.to_path_buf() });
    }
    let Some(name) = out.file_name() else {
        return Err(InitError::NotEmpty { path: out.to_path_buf() });
    };
    let path = parent(out).join(format!(".{}.unfinished", name.to_string_lossy()));
    if path.exists() {
        return Err(InitError::LeftOver { path });
    }
    fs::create_dir_all(parent(out)).map_err(|error| disk("make the folder", &parent(out), error))?;
    Ok(path)
}

pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn write_network(
    folder: &Path,
    genesis: &GenesisFile,
    keys: &[Keys],
    addresses: &[Addresses],
    options: &InitOptions,
) -> Result<(), InitError> {
    make_folder(folder)?;
    write_new(&folder.join(layout::GENESIS), PLAIN_MODE, &genesis.bytes)?;
    write_new(
        &folder.join(layout::NETWORK),
        PLAIN_MODE,
        layout::network_text(options.validators, addresses).as_bytes(),
    )?;
    for (index, keys) in (0_u16..).zip(keys) {
        write_home(&folder.join(home_name(index)), index, genesis, keys, addresses, options.encrypt_store)?;
        let key_folder = folder.join(home_name(index)).join(layout::KEYS);
        // Who serves no clients logs nobody in.
        let login = has_login(genesis) && options.proposers == 0;
        write_keys(&key_folder, keys, login, options.key_passphrase.as_ref())?;
    }
    Ok(())
}

/// Nobody reads a members' network without logging in.
pub(crate) fn has_login(genesis: &GenesisFile) -> bool {
    genesis.genesis.visibility() == Visibility::Members
}

/// The secret of the leaves, the same in every home.
fn write_secret(folder: &Path, options: &InitOptions, leaves: &LeafRule) -> Result<(), InitError> {
    let LeafRule::Salted(secret) = leaves else { return Ok(()) };
    for home in home_names(options) {
        let keys = folder.join(home).join(layout::KEYS);
        write_new(&keys.join(leaf::SALT_FILE), SECRET_MODE, leaf::write(secret).as_bytes())?;
        sync_folder(&keys)?;
    }
    Ok(())
}

/// The keys that were made here, in the clear or encrypted, with those of the bank's login where there is one. Their folder is there.
pub(crate) fn write_keys(
    folder: &Path,
    keys: &Keys,
    login: bool,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    for (role, key) in KeyRole::ALL.into_iter().filter_map(|role| Some((role, keys.of(role)?))) {
        write_key(folder, role, key, passphrase)?;
    }
    let of_login = [(layout::CHALLENGE_KEY, &keys.challenges), (layout::TOKEN_KEY, &keys.tokens)];
    for (name, key) in of_login.into_iter().filter(|_| login) {
        write_login_key(&folder.join(name), key, passphrase)?;
    }
    sync_folder(folder)
}

/// A key file, in the clear or encrypted.
pub(crate) fn write_key(
    folder: &Path,
    role: KeyRole,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    let text = match passphrase {
        Some(passphrase) => Zeroizing::new(key_at_rest::write_encrypted(role, key, passphrase)?),
        None => key_file::write(role, key),
    };
    write_new(&folder.join(role.file_name()), SECRET_MODE, text.as_bytes())
}

/// A key of a bank's login, in the clear or encrypted.
pub(crate) fn write_login_key(
    path: &Path,
    key: &SecretKey,
    passphrase: Option<&Passphrase>,
) -> Result<(), InitError> {
    let text = match passphrase {
        Some(passphrase) => Zeroizing::new(identity_file::write_encrypted(key, passphrase)?),
        None => identity_file::write(key),
    };
    write_new(path, SECRET_MODE, text.as_bytes())
}

/// The certificate of the network key, for people and their tools.
pub(crate) fn write_certificate(folder: &Path, keys: &Keys) -> Result<(), InitError> {
    let certificate = certificate_pem(&keys.network)?;
    write_new(&folder.join(layout::CERTIFICATE), PLAIN_MODE, certificate.as_bytes())
}

fn write_home(
    home: &Path,
    index: u16,
    genesis: &GenesisFile,
    keys: &Keys,
    addresses: &[Addresses],
    encrypt_store: bool,
) -> Result<(), InitError> {
    let is_edge = !genesis.genesis.deployment.is_co_located();
    let kind = if is_edge { Kind::Acceptor(index) } else { Kind::Validator(index) };
    make_folder(home)?;
    let mut settings = layout::settings_text(kind, index, addresses).unwrap_or_default();
    if matches!(keys.acceptor, Acceptor::Elsewhere(_)) {
        settings.push_str(layout::TOKEN_TEXT);
    }
    if encrypt_store {
        settings.push_str(layout::STORE_TEXT);
    }
    let own = addresses.get(usize::from(index));
    if let Some(own) = own.filter(|_| has_login(genesis) && !is_edge) {
        settings.push_str(&layout::login_text(own.api));
    }
    write_new(&home.join(layout::SETTINGS), PLAIN_MODE, settings.as_bytes())?;

    let key_folder = home.join(layout::KEYS);
    make_folder(&key_folder)?;
    write_certificate(&key_folder, keys)?;
    sync_folder(&key_folder)?;

    give_birth(home, genesis, index, keys.acceptor.public())
}

/// Makes the data folder of a home with the birth record of the journal in it, which ties key and journal together.
pub(crate) fn give_birth(
    home: &Path,
    genesis: &GenesisFile,
    place: u16,
    key: PublicKey,
) -> Result<(), InitError> {
    let data = home.join(layout::DATA);
    make_folder(&data)?;
    make_folder(&data.join(layout::JOURNAL))?;
    let identity = Identity { chain_id: genesis.chain_id, key, validator: ValidatorId(place) };
    Journal::create(&data.join(layout::JOURNAL), identity)?;
    sync_folder(&data)?;
    sync_folder(home)
}
