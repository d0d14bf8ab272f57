//! The genesis file: who validates, under which constants, from which ledger. Its hash is the chain's id.
//!
//! JSON, so that a bank's lawyer can read it; the id is over its bytes, so that nobody can re-format it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::batch::BlockLimits;
use crate::epoch::EpochSet;
use crate::hash::{Digest, h, sha256};
use crate::header::{Header, prefix_digest};
use crate::ids::{Epoch, Slot};
use crate::quorum::{ImpossibleSize, Quorum};
use crate::signature::PublicKey;
use crate::validators::ValidatorSet;

/// Signers that an account of the ledger can have.
const SIGNERS_MAX: u64 = 20;

/// The only format there is.
pub const FORMAT: &str = "carat-genesis/1";

/// The contents of a genesis file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// [`FORMAT`].
    pub format: String,
    /// Passphrase of the network; its SHA-256 is bound into every transaction's signature.
    pub network_passphrase: String,
    /// Test or main network.
    pub profile: Profile,
    /// What validators act on.
    pub trust: Trust,
    /// Who reads what through a node's interface; [`Genesis::visibility`] where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Accounts whose holders read everything on a members' network: the central bank, the auditor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auditors: Vec<PublicKey>,
    /// `H("salt-secret", secret)` of the secret that salts the leaves of the state: on a members' network, and there alone.
    /// **Source**: decision records 32 and 34.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt_commitment: Option<Digest>,
    /// Time of ledger 1, milliseconds since 1970.
    pub time_ms: u64,
    /// The validators, in order.
    pub validators: Vec<GenesisValidator>,
    /// Where proposers run; beside the validators where it is not said.
    #[serde(default, skip_serializing_if = "Deployment::is_co_located")]
    pub deployment: Deployment,
    /// Constants of consensus.
    pub consensus: ConsensusConstants,
    /// Constants and members of the ledger.
    pub ledger: LedgerConstants,
    /// The account by which the validators change the network's parameters; none where nothing can be changed. Its signers
    /// are the validators' acceptor keys, its thresholds a quorum of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governance: Option<PublicKey>,
    /// Root of the state tree of ledger 1; recomputed by every validator at start.
    pub state_root: Digest,
}

/// What kind of network it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The root key follows from the passphrase, and friendbot gives coins away.
    Test,
    /// The root key comes from the founders' ceremony.
    Main,
}

/// Which faults of validators the network is run to survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Up to f validators may lie: validators act on UNANIMOUS, COMMIT and SEAL.
    #[default]
    Bft,
    /// Acceptors only crash, whatever proposers and clients do: validators act on FAST, two steps after the leader
    /// (consensus specification, section 6). One acceptor that lies can fork such a network.
    Crash,
}

/// Who reads what through a node's interface. **Source**: docs/privacy.md.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everybody who reaches a node reads everything.
    #[default]
    Open,
    /// Only who has logged in reads anything, and of records only those that concern it.
    Members,
}

/// Which assets may be issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssetRule {
    /// Any: an issuer decides whether its holders need its authorisation.
    #[default]
    Any,
    /// Only those of issuers that authorise each holder.
    AuthorisedOnly,
}

impl AssetRule {
    /// Whether every asset may be issued: what a genesis file leaves unsaid.
    pub fn is_any(&self) -> bool {
        *self == AssetRule::Any
    }
}

/// Where proposers run. **Source**: consensus specification, section 1; decision record 51.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deployment {
    /// Each validator runs a proposer as well: n_p = n.
    #[default]
    CoLocated,
    /// Proposers are processes of their own, untrusted and without a vote; the proposer keys of validators order nothing.
    Edge {
        /// The proposers, in order: the leader of view v is number v mod n_p.
        proposers: Vec<GenesisProposer>,
    },
}

impl Deployment {
    /// Whether each validator runs a proposer: what a genesis file leaves unsaid.
    pub fn is_co_located(&self) -> bool {
        *self == Deployment::CoLocated
    }

    /// The proposers that are processes of their own; none co-located.
    pub fn edge_proposers(&self) -> &[GenesisProposer] {
        match self {
            Deployment::CoLocated => &[],
            Deployment::Edge { proposers } => proposers,
        }
    }
}

/// A proposer of an edge network, and its two public keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisProposer {
    /// Name for people.
    pub name: String,
    /// Orders.
    pub proposer: PublicKey,
    /// TLS.
    pub network: PublicKey,
}

/// One validator and its three public keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// Name for people: the bank.
    pub name: String,
    /// Votes.
    pub acceptor: PublicKey,
    /// Orders.
    pub proposer: PublicKey,
    /// TLS.
    pub network: PublicKey,
}

/// Constants of consensus; the names of the consensus specification in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusConstants {
    /// Open slots above the stable checkpoint \[L\].
    pub window: u64,
    /// Slots from checkpoint to checkpoint \[K\].
    pub checkpoint_interval: u64,
    /// Fresh slots that one view may order \[R\].
    pub term: u64,
    /// First view time-out \[T0\], ms.
    pub timeout_ms: u64,
    /// Largest view time-out \[T_max\], ms.
    pub timeout_max_ms: u64,
    /// Empty batch of an idle leader \[HEARTBEAT\], ms.
    pub heartbeat_ms: u64,
    /// How far ahead of the own clock a fresh proposal may be \[DRIFT\], ms.
    pub drift_ms: u64,
    /// Transactions in a leader's pool \[P\]: at most what the network settles within LAMBDA (3 s), or honest
    /// overload replaces leaders (consensus specification, section 14).
    pub pool: u64,
    /// Fresh slots that a leader keeps in flight.
    pub pipeline: u64,
    /// Limits of a block.
    pub block: BlockLimits,
    /// Bounds within which a leader must work.
    pub leader: LeaderBounds,
}

/// Bounds within which a leader must work; whoever breaks one is replaced, without proof or blame. **Source**: consensus
/// specification, section 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderBounds {
    /// Longest wait of the oldest transaction \[LAMBDA\], ms.
    pub wait_ms: u64,
    /// How much longer it may wait than others do in the mean \[OMEGA\], ms.
    pub unfairness_ms: u64,
    /// How much of the usual rate must be ordered while transactions wait \[DELTA\], percent.
    pub rate_percent: u64,
    /// Longest pause between proposals while transactions wait \[G\], ms.
    pub pause_ms: u64,
}

impl Default for LeaderBounds {
    fn default() -> Self {
        LeaderBounds { wait_ms: 3_000, unfairness_ms: 1_500, rate_percent: 50, pause_ms: 500 }
    }
}

impl Default for ConsensusConstants {
    fn default() -> Self {
        ConsensusConstants {
            window: 256,
            checkpoint_interval: 64,
            term: 1_024,
            timeout_ms: 1_000,
            timeout_max_ms: 10_000,
            heartbeat_ms: 1_000,
            drift_ms: 5_000,
            pool: 3_000,
            pipeline: 4,
            block: BlockLimits::default(),
            leader: LeaderBounds::default(),
        }
    }
}

/// Constants and members of the ledger. Amounts in stroops (10^-7), as decimal strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConstants {
    /// All native coins there will ever be, held by the root account at genesis.
    #[serde(with = "decimal_string")]
    pub total_coins: i64,
    /// Fee of one operation.
    pub base_fee: u32,
    /// Reserve of one entry.
    pub base_reserve: u32,
    /// Protocol version of the ledger's rules.
    pub protocol_version: u32,
    /// The root account; on a test network that of the key with seed SHA-256(passphrase).
    pub root_account: PublicKey,
    /// Whether only members, and accounts that members created, may create accounts.
    pub admission_restricted: bool,
    /// The member banks' accounts.
    pub members: Vec<PublicKey>,
    /// Which assets may be issued.
    #[serde(default, skip_serializing_if = "AssetRule::is_any")]
    pub assets: AssetRule,
}

/// A genesis file that was read and checked, with the id of its chain.
#[derive(Clone, Debug)]
pub struct GenesisFile {
    /// The contents.
    pub genesis: Genesis,
    /// `H("genesis", file bytes)`.
    pub chain_id: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a genesis file cannot be used.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// Not the JSON that is expected.
    #[error(
        "the genesis file cannot be read: {0} (hint: it must be byte for byte the file that all validators share)"
    )]
    Syntax(#[from] serde_json::Error),
    /// Of another format.
    #[error("genesis format is {seen:?}, expected {FORMAT:?} (hint: use the carat-genesis of this release)")]
    Format {
        /// The format seen.
        seen: String,
    },
    /// An impossible number of validators or proposers.
    #[error("genesis lists {0}")]
    Validators(#[from] ImpossibleSize),
    /// A key listed twice, or one that must never sign.
    #[error("{whose}: {problem} key {key} (hint: make new keys with carat-genesis)")]
    Key {
        /// Validator and role.
        whose: String,
        /// "repeated" or "weak".
        problem: &'static str,
        /// The key.
        key: PublicKey,
    },
    /// A members' network without a salt, or an open one with it.
    #[error(
        "salt_commitment is {seen} on a network that is {visibility}, expected {expected} (hint: carat-genesis init makes the \
         secret of a members' network and names its commitment)"
    )]
    Salt {
        /// "absent" or the commitment.
        seen: String,
        /// Who reads what.
        visibility: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A constant out of its range.
    #[error("{name} is {seen}, expected {expected}")]
    Constant {
        /// Its name in the file.
        name: &'static str,
        /// The value seen.
        seen: u64,
        /// What is allowed.
        expected: &'static str,
    },
}

impl GenesisFile {
    /// Reads and checks a genesis file.
    ///
    /// **Errors**: [`GenesisError`]. That the state root is right is for the ledger to check.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Genesis = serde_json::from_slice(bytes)?;
        genesis.check()?;
        Ok(GenesisFile { genesis, chain_id: h("genesis", &[bytes]), bytes: bytes.to_vec() })
    }

    /// Hash of the passphrase: what transactions sign.
    pub fn network_id(&self) -> Digest {
        sha256(&[self.genesis.network_passphrase.as_bytes()])
    }

    /// The validators of epoch 0, with the proposers that order for them.
    ///
    /// **Errors**: [`ImpossibleSize`]; a file that was read has a possible number of either.
    pub fn validators(&self) -> Result<ValidatorSet, ImpossibleSize> {
        self.genesis.first_set().validators(self.chain_id)
    }

    /// Header of slot 0, ledger 1.
    pub fn header(&self) -> Header {
        Header::genesis(self.chain_id, self.genesis.time_ms, self.genesis.state_root)
    }

    /// c(s) after `value` at `slot` on top of `below`.
    pub fn prefix(below: &Digest, slot: Slot, value: &Digest) -> Digest {
        prefix_digest(below, slot, value)
    }
}

impl Genesis {
    /// Who reads what: what the file says, else everybody on a test network and members alone on a main network.
    pub fn visibility(&self) -> Visibility {
        self.visibility.unwrap_or(match self.profile {
            Profile::Test => Visibility::Open,
            Profile::Main => Visibility::Members,
        })
    }

    /// The set of epoch 0.
    pub fn first_set(&self) -> EpochSet {
        EpochSet {
            epoch: Epoch(0),
            validators: self.validators.clone(),
            deployment: self.deployment.clone(),
            consensus: self.consensus,
        }
    }

    fn check(&self) -> Result<(), GenesisError> {
        if self.format != FORMAT {
            return Err(GenesisError::Format { seen: self.format.clone() });
        }
        check_validators(&self.validators, self.deployment.edge_proposers())?;
        self.first_set().validators(Digest::ZERO)?;
        self.check_auditors()?;
        self.check_governance()?;
        self.check_salt()?;
        self.consensus.check()?;
        self.ledger.check()
    }

    /// A key without a secret must never read everything; on an open network an auditor would be an empty word.
    fn check_auditors(&self) -> Result<(), GenesisError> {
        if let Some(key) = self.auditors.iter().find(|key| key.is_weak()) {
            return Err(GenesisError::Key { whose: "auditor".into(), problem: "weak", key: *key });
        }
        if self.visibility() == Visibility::Open && !self.auditors.is_empty() {
            let seen = u64::try_from(self.auditors.len()).unwrap_or(u64::MAX);
            let expected =
                "none on an open network, where everybody reads everything (hint: visibility = members)";
            return Err(GenesisError::Constant { name: "auditors", seen, expected });
        }
        Ok(())
    }

    /// An account has 20 signers at most, and one whose own key signs would be governed by whoever holds that key.
    fn check_governance(&self) -> Result<(), GenesisError> {
        let Some(account) = self.governance else { return Ok(()) };
        let whose = || "governance account".to_owned();
        if account.is_weak() {
            return Err(GenesisError::Key { whose: whose(), problem: "weak", key: account });
        }
        let is_elsewhere = account == self.ledger.root_account
            || self.ledger.members.contains(&account)
            || self.validators.iter().any(|validator| validator.acceptor == account);
        if is_elsewhere {
            return Err(GenesisError::Key { whose: whose(), problem: "repeated", key: account });
        }
        let seen = u64::try_from(self.validators.len()).unwrap_or(u64::MAX);
        range("validators under a governance account", seen, 1..=SIGNERS_MAX, "1 to 20")
    }

    /// Proofs of a members' network must be salted from its first block; on an open one a secret would keep nothing.
    fn check_salt(&self) -> Result<(), GenesisError> {
        let (visibility, expected) = match (self.visibility(), self.salt_commitment) {
            (Visibility::Members, Some(_)) | (Visibility::Open, None) => return Ok(()),
            (Visibility::Members, None) => ("for members", "the commitment to its secret"),
            (Visibility::Open, Some(_)) => ("open", "none"),
        };
        let seen = self.salt_commitment.map_or_else(|| "absent".to_owned(), |digest| digest.to_string());
        Err(GenesisError::Salt { seen, visibility, expected })
    }
}

/// Checks that so many validators can be, and that their keys and those of edge proposers are distinct over all roles and
/// not weak.
pub(crate) fn check_validators(
    validators: &[GenesisValidator],
    edge: &[GenesisProposer],
) -> Result<(), GenesisError> {
    Quorum::of(validators.len())?;
    let of_validators = validators.iter().flat_map(|it| {
        let roles = [("acceptor", it.acceptor), ("proposer", it.proposer), ("network", it.network)];
        roles.map(|(role, key)| ("validator", &it.name, role, key))
    });
    let of_edge = edge.iter().flat_map(|it| {
        let roles = [("proposer", it.proposer), ("network", it.network)];
        roles.map(|(role, key)| ("edge proposer", &it.name, role, key))
    });
    let mut seen = std::collections::BTreeSet::new();
    for (kind, name, role, key) in of_validators.chain(of_edge) {
        let whose = || format!("{kind} {name:?}, {role}");
        if key.is_weak() {
            return Err(GenesisError::Key { whose: whose(), problem: "weak", key });
        }
        if !seen.insert(key) {
            return Err(GenesisError::Key { whose: whose(), problem: "repeated", key });
        }
    }
    Ok(())
}

impl ConsensusConstants {
    pub(crate) fn check(&self) -> Result<(), GenesisError> {
        let multiple = self.checkpoint_interval.max(1);
        range("consensus.checkpoint_interval", self.checkpoint_interval, 1..=512, "1 to 512")?;
        range(
            "consensus.window",
            self.window,
            multiple.saturating_mul(2)..=1_024,
            "2 checkpoint intervals to 1024",
        )?;
        range("consensus.term", self.term, multiple..=1 << 20, "a checkpoint interval to 1048576")?;
        if self.term.checked_rem(multiple) != Some(0) {
            let expected = "a multiple of the checkpoint interval";
            return Err(GenesisError::Constant { name: "consensus.term", seen: self.term, expected });
        }
        range("consensus.timeout_ms", self.timeout_ms, 10..=60_000, "10 to 60000")?;
        range(
            "consensus.timeout_max_ms",
            self.timeout_max_ms,
            self.timeout_ms..=600_000,
            "timeout_ms to 600000",
        )?;
        range("consensus.heartbeat_ms", self.heartbeat_ms, 10..=60_000, "10 to 60000")?;
        range("consensus.drift_ms", self.drift_ms, 1..=60_000, "1 to 60000")?;
        range("consensus.pool", self.pool, 1..=1_000_000, "1 to 1000000")?;
        range("consensus.pipeline", self.pipeline, 1..=self.window, "1 to the window")?;
        range("consensus.block.bytes", self.block.bytes.into(), 1 << 17..=1 << 22, "131072 to 4194304")?;
        range("consensus.block.transactions", self.block.transactions.into(), 1..=4_000, "1 to 4000")?;
        range("consensus.block.operations", self.block.operations.into(), 100..=100_000, "100 to 100000")?;
        range("consensus.block.signatures", self.block.signatures.into(), 20..=20_000, "20 to 20000")?;
        let LeaderBounds { wait_ms, unfairness_ms, rate_percent, pause_ms } = self.leader;
        range("consensus.leader.wait_ms", wait_ms, 10..=600_000, "10 to 600000")?;
        range("consensus.leader.unfairness_ms", unfairness_ms, 10..=600_000, "10 to 600000")?;
        range("consensus.leader.rate_percent", rate_percent, 0..=100, "0 to 100")?;
        range("consensus.leader.pause_ms", pause_ms, 10..=600_000, "10 to 600000")
    }
}

impl LedgerConstants {
    fn check(&self) -> Result<(), GenesisError> {
        let coins = u64::try_from(self.total_coins).unwrap_or(0);
        range("ledger.total_coins", coins, 1..=i64::MAX.unsigned_abs(), "1 to 9223372036854775807")?;
        range("ledger.base_fee", self.base_fee.into(), 0..=1_000_000_000, "0 to 1000000000")?;
        range("ledger.base_reserve", self.base_reserve.into(), 0..=1_000_000_000, "0 to 1000000000")?;
        for key in self.members.iter().chain([&self.root_account]) {
            if key.is_weak() {
                return Err(GenesisError::Key { whose: "ledger account".into(), problem: "weak", key: *key });
            }
        }
        Ok(())
    }
}

fn range(
    name: &'static str,
    seen: u64,
    allowed: std::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<(), GenesisError> {
    if allowed.contains(&seen) { Ok(()) } else { Err(GenesisError::Constant { name, seen, expected }) }
}

/// i64 as a decimal string: JSON numbers lose digits above 2^53.
mod decimal_string {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests;
