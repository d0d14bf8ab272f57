//! Names and forms of all files of a network's folder.
//!
//! ```text
//! net/                     0700
//!   genesis.json           what all validators share, byte for byte; its hash is the chain id
//!   network.toml           where the nodes are: for clients
//!   p0/ … p(n_p-1)/        0700: the home of one proposer of an edge network: as below, without the acceptor key
//!   v0/ … v(n-1)/          0700: the home of one validator, to be taken to its machine with genesis.json
//!     node.toml            settings
//!     keys/                0700
//!       acceptor.key.json  0600: votes
//!       proposer.key.json  0600: orders
//!       network.key.json   0600: TLS
//!       network.crt        the certificate of the network key, for people and their tools
//!       salt.json          0600: the secret that salts the state's leaves, the same in every home; of a members' network only
//!       login.toml         0600: signs the challenges of the login; of a members' network only
//!       token.toml         0600: signs its tokens; of a members' network only
//!     data/                0700
//!       journal/           the journal's birth record; later the journal, and beside it the database
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use carat_types::PublicKey;
use serde::Deserialize;

use crate::ports::Addresses;

/// The genesis file.
pub const GENESIS: &str = "genesis.json";
/// Where the nodes are.
pub const NETWORK: &str = "network.toml";
/// Settings of a validator, in its home.
pub const SETTINGS: &str = "node.toml";
/// Key folder of a validator, in its home.
pub const KEYS: &str = "keys";
/// Certificate of the network key, in the key folder.
pub const CERTIFICATE: &str = "network.crt";
/// The key that signs the challenges of the login, in the key folder.
pub const CHALLENGE_KEY: &str = "login.toml";
/// The key that signs the tokens of the login, in the key folder.
pub const TOKEN_KEY: &str = "token.toml";
/// Data folder of a validator, in its home.
pub const DATA: &str = "data";
/// The journal, in the data folder.
pub const JOURNAL: &str = "journal";

/// Name of a validator's home.
pub fn home_name(index: u16) -> String {
    format!("v{index}")
}

/// Name of the home of a proposer of an edge network.
pub fn proposer_home_name(place: u16) -> String {
    format!("p{place}")
}

/// Whose home it is, by its place among the validators or the proposers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// That of a validator, which orders and serves clients as well.
    Validator(u16),
    /// That of a validator of an edge network: no client reaches it.
    Acceptor(u16),
    /// That of a proposer of an edge network, which has no vote.
    Proposer(u16),
}

impl Kind {
    /// Whether clients reach it.
    pub(crate) fn serves_clients(self) -> bool {
        !matches!(self, Kind::Acceptor(_))
    }
}

/// What is looked at in a validator's or a proposer's settings; the node reads more.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NodeSettings {
    pub(crate) validator: ValidatorSettings,
    pub(crate) network: PeerSettings,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ValidatorSettings {
    #[serde(default)]
    pub(crate) index: Option<u16>,
    #[serde(default)]
    pub(crate) proposer: Option<u16>,
    #[serde(default = "default_genesis")]
    pub(crate) genesis: PathBuf,
    #[serde(default = "default_keys")]
    pub(crate) keys: PathBuf,
    #[serde(default = "default_data")]
    pub(crate) data: PathBuf,
    /// Where keys of consensus are that have no file.
    #[serde(default)]
    pub(crate) token: Option<TokenSettings>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TokenSettings {
    #[serde(default)]
    pub(crate) proposer: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PeerSettings {
    pub(crate) listen: SocketAddr,
    #[serde(default)]
    pub(crate) peers: Vec<PeerAddress>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PeerAddress {
    pub(crate) index: u16,
    pub(crate) address: SocketAddr,
}

fn default_genesis() -> PathBuf {
    PathBuf::from("..").join(GENESIS)
}

fn default_keys() -> PathBuf {
    KEYS.into()
}

fn default_data() -> PathBuf {
    DATA.into()
}

/// What is looked at in the description of a network.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NetworkDescription {
    pub(crate) genesis: PathBuf,
    /// Where clients go: validators, those that came later behind those of the genesis file, or the proposers of an edge network.
    pub(crate) nodes: Vec<NodeDescription>,
    /// Validators of an edge network.
    #[serde(default)]
    pub(crate) acceptors: Vec<NodeDescription>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NodeDescription {
    pub(crate) name: String,
    /// Absent for a validator that came later and runs elsewhere.
    #[serde(default)]
    pub(crate) home: PathBuf,
}

/// The text of the settings of process `number`; processes are numbered through, validators first.
pub(crate) fn settings_text(kind: Kind, number: u16, all: &[Addresses]) -> Option<String> {
    let mut text = text_of(kind, &format!("../{GENESIS}"), all.get(usize::from(number))?);
    let others = (0_u16..).zip(all).filter(|(peer, _)| *peer != number);
    text.push_str(&peers_text(others.map(|(peer, addresses)| (peer, addresses.network))));
    Some(text)
}

/// The text of the settings of a process with a genesis file of its own, in its home.
pub(crate) fn home_text(kind: Kind, own: &Addresses, peers: &[(u16, SocketAddr)], login: bool) -> String {
    let mut text = text_of(kind, GENESIS, own);
    text.push_str(&peers_text(peers.iter().copied()));
    if login {
        text.push_str(&login_text(own.api));
    }
    text
}

/// What settings say of where validators are.
pub(crate) fn peers_text(peers: impl IntoIterator<Item = (u16, SocketAddr)>) -> String {
    let text = |(index, address)| format!("\n[[network.peers]]\nindex = {index}\naddress = \"{address}\"\n");
    peers.into_iter().map(text).collect()
}

fn text_of(kind: Kind, genesis: &str, own: &Addresses) -> String {
    let clients = format!("# REST for clients (TCP).\n[api]\nlisten = \"{}\"\n\n", own.api);
    let (whose, place, doors, others) = match kind {
        Kind::Validator(index) => {
            (format!("validator {index}"), format!("index = {index}"), clients, "The other validators")
        }
        Kind::Acceptor(index) => (
            format!("validator {index} of an edge network: no client may reach it"),
            format!("index = {index}"),
            "# Nobody reads a history here.\n[history]\nenabled = false\n\n".to_owned(),
            "The other validators, then the proposers",
        ),
        Kind::Proposer(place) => (
            format!("proposer {place} of an edge network, without a vote: carat-node propose"),
            format!("proposer = {place}"),
            clients,
            "The validators, then the other proposers",
        ),
    };
    format!(
        "# Settings of {whose}. Paths are relative to this file. Every key can also be set in the\n\
         # environment: CARAT_METRICS__LISTEN=127.0.0.1:9100.\n\n\
         [validator]\n{place}\ngenesis = \"{genesis}\"\nkeys = \"{KEYS}\"\ndata = \"{DATA}\"\n\n{doors}\
         # Metrics and health for operators (TCP).\n[metrics]\nlisten = \"{}\"\n\n\
         [log]\nformat = \"text\"\nlevel = \"info\"\n\n\
         # {others} (UDP). Who they are stands in the genesis file; here is only where.\n\
         [network]\nlisten = \"{}\"\n",
        own.metrics, own.network
    )
}

/// What the settings of a validator say that encrypts what it stores.
pub(crate) const STORE_TEXT: &str = "\n# What is stored is encrypted under the passphrase of the key files.\n\
                                     [store]\nencryption = \"values\"\n";

/// What the settings of a validator say whose acceptor key is in a token: it does not start before they are filled in.
pub(crate) const TOKEN_TEXT: &str = "\n# The acceptor key is in a token: name it here, or in the signer.toml of this validator's signer.\n\
     # [validator.token]\n# module = \"/usr/lib/softhsm/libsofthsm2.so\"\n# label = \"the token's label\"\n\
     # acceptor = \"the key's label\"\n# pin_file = \"the file of the PIN, mode 600\"\n";

/// What the settings of a node of a members' network say of its login.
pub(crate) fn login_text(api: SocketAddr) -> String {
    format!(
        "\n# Nobody reads a members' network without logging in. Set the bank's own domain, and a proxy with TLS in front of\n\
         # [api], before anybody but this machine reaches it.\n\
         [bank]\ndomain = \"{api}\"\nurl = \"http://{api}\"\n\n\
         [bank.login]\nsigning_key = \"{KEYS}/{CHALLENGE_KEY}\"\ntoken_key = \"{KEYS}/{TOKEN_KEY}\"\n"
    )
}

/// The text of the settings of a node that follows `validators`.
pub(crate) fn follower_text(
    listen: SocketAddr,
    api: SocketAddr,
    metrics: SocketAddr,
    validators: &BTreeMap<u16, SocketAddr>,
) -> String {
    let mut text = format!(
        "# Settings of a node that follows without a vote: carat-node follow. Paths are relative to this file. Every key can\n\
         # also be set in the environment: CARAT_API__LISTEN=127.0.0.1:8000.\n\n\
         [validator]\ngenesis = \"{GENESIS}\"\nkeys = \"{KEYS}\"\ndata = \"{DATA}\"\n\n\
         # REST for clients (TCP).\n[api]\nlisten = \"{api}\"\n\n\
         # Metrics and health for operators (TCP).\n[metrics]\nlisten = \"{metrics}\"\n\n\
         [log]\nformat = \"text\"\nlevel = \"info\"\n\n\
         # The validators that it asks (UDP); each must list it under [[followers.peers]].\n\
         [network]\nlisten = \"{listen}\"\n"
    );
    text.push_str(&peers_text(validators.iter().map(|(index, address)| (*index, *address))));
    text
}

/// The lines for validators that no genesis file lists.
pub(crate) fn newcomers_text(newcomers: &BTreeMap<PublicKey, SocketAddr>) -> String {
    let line = |(key, address): (&PublicKey, &SocketAddr)| {
        format!("\n[[network.newcomers]]\nkey = \"{key}\"\naddress = \"{address}\"\n")
    };
    newcomers.iter().map(line).collect()
}

/// The text of the description of a network whose validators come first in `all`. Where proposers follow they are the nodes: clients
/// go to them alone.
pub(crate) fn network_text(validators: u16, all: &[Addresses]) -> String {
    let mut text = format!(
        "# Where the nodes of this network are, for clients: carat --network FOLDER. Nothing secret stands here.\n\
         genesis = \"{GENESIS}\"\n"
    );
    let (of_validators, of_proposers) = all.split_at(usize::from(validators).min(all.len()));
    let is_edge = !of_proposers.is_empty();
    for (index, addresses) in (0_u16..).zip(of_validators) {
        let kind = if is_edge { "acceptors" } else { "nodes" };
        text.push_str(&node_text(kind, &home_name(index), addresses, !is_edge));
    }
    for (place, addresses) in (0_u16..).zip(of_proposers) {
        text.push_str(&node_text("nodes", &proposer_home_name(place), addresses, true));
    }
    text
}

fn node_text(kind: &str, name: &str, addresses: &Addresses, serves_clients: bool) -> String {
    let mut text = format!("\n[[{kind}]]\nname = \"{name}\"\nhome = \"{name}\"\n");
    if serves_clients {
        let _ = writeln!(text, "api = \"http://{}\"", addresses.api);
    }
    let _ = writeln!(text, "metrics = \"http://{}\"", addresses.metrics);
    text
}
