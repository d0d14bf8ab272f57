//! A genesis file in words.

use std::fmt;

use carat_types::genesis::{
    AssetRule, ConsensusConstants, GenesisFile, GenesisProposer, GenesisValidator, LedgerConstants, Profile,
    Trust, Visibility,
};
use carat_types::quorum::{ImpossibleSize, Quorum};
use carat_types::{Digest, PublicKey};
use serde::Serialize;

/// What people ask of a genesis file. As JSON or, by `Display`, as text.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Hash of the file.
    pub chain_id: Digest,
    /// Passphrase of the network.
    pub network_passphrase: String,
    /// Hash of the passphrase: what transactions sign.
    pub network_id: Digest,
    /// Test or main network.
    pub profile: Profile,
    /// What validators act on.
    pub trust: Trust,
    /// Who reads what.
    pub visibility: Visibility,
    /// Who reads everything on a members' network.
    pub auditors: Vec<PublicKey>,
    /// Time of ledger 1, milliseconds since 1970.
    pub time_ms: u64,
    /// Number of validators.
    pub n: usize,
    /// Faulty validators that are tolerated.
    pub f: usize,
    /// Votes that make a certificate.
    pub q: usize,
    /// How far two quorums overlap at least.
    pub t: usize,
    /// Equal votes that make a slot final in two steps: all (rule UNANIMOUS), or q where validators only crash (FAST).
    pub fast_quorum: usize,
    /// The validators and their keys.
    pub validators: Vec<GenesisValidator>,
    /// The proposers that are processes of their own; none where each validator runs one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proposers: Vec<GenesisProposer>,
    /// Constants of consensus.
    pub consensus: ConsensusConstants,
    /// Constants and members of the ledger.
    pub ledger: LedgerConstants,
    /// The account by which the validators change parameters.
    pub governance: Option<PublicKey>,
    /// Root of the state of ledger 1.
    pub state_root: Digest,
}

/// Sums a genesis file up.
///
/// **Errors**: none for a file that was checked.
pub fn show(file: &GenesisFile) -> Result<Summary, ImpossibleSize> {
    let genesis = file.genesis.clone();
    let quorum = Quorum::of(genesis.validators.len())?;
    Ok(Summary {
        chain_id: file.chain_id,
        network_id: file.network_id(),
        network_passphrase: genesis.network_passphrase,
        profile: genesis.profile,
        trust: genesis.trust,
        visibility: file.genesis.visibility(),
        auditors: genesis.auditors,
        time_ms: genesis.time_ms,
        n: quorum.n(),
        f: quorum.faults(),
        q: quorum.quorum(),
        t: quorum.overlap(),
        fast_quorum: match genesis.trust {
            Trust::Bft => quorum.n(),
            Trust::Crash => quorum.quorum(),
        },
        validators: genesis.validators,
        proposers: genesis.deployment.edge_proposers().to_vec(),
        consensus: genesis.consensus,
        ledger: genesis.ledger,
        governance: genesis.governance,
        state_root: genesis.state_root,
    })
}

/// An account as clients write it: G….
pub(crate) fn address(key: &PublicKey) -> String {
    stellar_strkey::ed25519::PublicKey(key.0).to_string().as_str().to_owned()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = match self.profile {
            Profile::Test => "test network (friendbot gives coins away; the root key is public knowledge)",
            Profile::Main => "main network",
        };
        line(f, "chain id", &self.chain_id)?;
        line(f, "passphrase", &self.network_passphrase)?;
        line(f, "network id", &self.network_id)?;
        line(f, "profile", &profile)?;
        line(f, "begins", &format_args!("{} ms since 1970", self.time_ms))?;
        line(f, "state root", &self.state_root)?;
        line(f, "validators", &format_args!("n = {}, of which f = {} may be faulty", self.n, self.f))?;
        line(f, "quorum", &format_args!("q = {} votes, overlap t = {}", self.q, self.t))?;
        let (trust, rule) = match self.trust {
            Trust::Bft => ("bft: up to f validators may lie", "UNANIMOUS"),
            Trust::Crash => ("crash: sound only if validators crash and never lie", "FAST"),
        };
        line(f, "trust", &trust)?;
        let visibility = match self.visibility {
            Visibility::Open => "open: everybody who reaches a node reads everything",
            Visibility::Members => "members: who has logged in, and of records only those that concern it",
        };
        line(f, "visibility", &visibility)?;
        for auditor in &self.auditors {
            line(f, "auditor", &address(auditor))?;
        }
        line(f, "fast quorum", &format_args!("{} equal votes ({rule})", self.fast_quorum))?;
        for (index, validator) in self.validators.iter().enumerate() {
            writeln!(f, "  v{index} {}", validator.name)?;
            writeln!(f, "     acceptor {}", validator.acceptor)?;
            writeln!(f, "     proposer {}", validator.proposer)?;
            writeln!(f, "     network  {}", validator.network)?;
        }
        self.edge(f)?;
        self.constants(f)
    }
}

impl Summary {
    /// Where proposers run, if not with the validators.
    fn edge(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proposers.is_empty() {
            return Ok(());
        }
        let count = self.proposers.len();
        line(f, "proposers", &format_args!("{count} at the edge, no vote, of which all but one may lie"))?;
        for (place, proposer) in self.proposers.iter().enumerate() {
            writeln!(f, "  p{place} {}", proposer.name)?;
            writeln!(f, "     proposer {}", proposer.proposer)?;
            writeln!(f, "     network  {}", proposer.network)?;
        }
        Ok(())
    }

    fn constants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.consensus;
        line(
            f,
            "slots",
            &format_args!(
                "window {}, checkpoint every {}, term {}, {} in flight",
                c.window, c.checkpoint_interval, c.term, c.pipeline
            ),
        )?;
        line(
            f,
            "times",
            &format_args!(
                "view time-out {} to {} ms, heartbeat {} ms, clock drift {} ms",
                c.timeout_ms, c.timeout_max_ms, c.heartbeat_ms, c.drift_ms
            ),
        )?;
        line(
            f,
            "block",
            &format_args!(
                "{} bytes, {} transactions, {} operations, {} signatures; leader's pool {}",
                c.block.bytes, c.block.transactions, c.block.operations, c.block.signatures, c.pool
            ),
        )?;
        let l = &self.ledger;
        line(f, "ledger", &format_args!("protocol version {}", l.protocol_version))?;
        line(f, "coins", &format_args!("{} stroops, all held by the root account", l.total_coins))?;
        line(f, "root account", &address(&l.root_account))?;
        line(f, "fee, reserve", &format_args!("{} and {} stroops", l.base_fee, l.base_reserve))?;
        match &self.governance {
            Some(account) => {
                line(f, "governance", &format_args!("by {} of the validators, {}", self.q, address(account)))?
            }
            None => line(f, "governance", &"none: fees, reserve and protocol version stay")?,
        }
        let admission =
            if l.admission_restricted { "members create accounts" } else { "everybody creates accounts" };
        line(f, "admission", &format_args!("{admission}; {} members", l.members.len()))?;
        if l.assets == AssetRule::AuthorisedOnly {
            line(f, "assets", &"only those whose issuer authorises each holder")?;
        }
        l.members.iter().try_for_each(|member| writeln!(f, "  {}", address(member)))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<13}{value}")
}
