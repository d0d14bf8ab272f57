//! The set of an epoch, its validators and constants, and the proof that one epoch handed over to the next.
//!
//! A set is proposed through governance, named by its hash in the headers of the epoch before it, and carried whole by every
//! [`Handover`]. So whoever holds the genesis file learns the validators of any epoch, and need not trust who tells.
//!
//! **Source**: consensus specification, sections 11 and 13; decision record 39.

mod chain;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use chain::{BrokenChain, Epochs, read_handovers, write_handovers};

use crate::batch::BlockLimits;
use crate::certificate::{CertificateError, SealCertificate};
use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct, encode_count};
use crate::genesis::{
    ConsensusConstants, Deployment, GenesisError, GenesisProposer, GenesisValidator, LeaderBounds,
    check_validators,
};
use crate::hash::{Digest, h};
use crate::header::{EpochEnd, Header};
use crate::ids::{Epoch, SignerSet, Slot, ValidatorId};
use crate::message::SignerRole;
use crate::quorum::ImpossibleSize;
use crate::validators::{Authenticator, ValidatorKeys, ValidatorSet};

/// Longest name of a validator or proposer that is voted on. **Units**: bytes.
const NAME_BYTES_MAX: u32 = 64;

/// Who validates in an epoch, and under which constants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochSet {
    /// The epoch. It makes a vote for a set one for the successor of the present set, and of no other.
    pub epoch: Epoch,
    /// The validators, in order.
    pub validators: Vec<GenesisValidator>,
    /// Where proposers run; beside the validators where it is not said.
    #[serde(default, skip_serializing_if = "Deployment::is_co_located")]
    pub deployment: Deployment,
    /// Constants of consensus.
    pub consensus: ConsensusConstants,
}

/// Why a set can be nobody's.
#[derive(Debug, Error)]
pub enum SetError {
    /// Not the JSON that is expected.
    #[error(
        "the set cannot be read: {0} (hint: it is the JSON of epoch, validators and consensus, as in a genesis file)"
    )]
    Syntax(#[from] serde_json::Error),
    /// A name that is empty, too long, or holds what no terminal should show.
    #[error("{kind} {index} is named {name:?}, expected 1 to {NAME_BYTES_MAX} printable bytes")]
    Name {
        /// "validator" or "proposer".
        kind: &'static str,
        /// Place in the list.
        index: usize,
        /// The name.
        name: String,
    },
    /// An impossible number of validators and proposers.
    #[error("it lists {0}")]
    Size(#[from] ImpossibleSize),
    /// What a genesis file would be refused for.
    #[error(transparent)]
    Contents(#[from] GenesisError),
}

impl EpochSet {
    /// Reads a set from JSON and checks it.
    ///
    /// **Errors**: [`SetError`].
    pub fn parse(json: &[u8]) -> Result<Self, SetError> {
        let set: EpochSet = serde_json::from_slice(json)?;
        set.check()?;
        Ok(set)
    }

    /// What governance votes on and headers name: `H("set", u32 epoch | validators | constants)`; of an edge network
    /// `H("set", u32 epoch | u32 2^32-1 | proposers | validators | constants)`.
    pub fn hash(&self) -> Digest {
        h("set", &[&self.to_bytes()])
    }

    /// Checks the set by itself, as a genesis file is checked: size, distinct keys that are not weak, ranges.
    ///
    /// **Errors**: [`SetError`].
    pub fn check(&self) -> Result<(), SetError> {
        check_names("validator", self.validators.iter().map(|it| &it.name))?;
        check_names("proposer", self.proposers().iter().map(|it| &it.name))?;
        check_validators(&self.validators, self.proposers())?;
        self.validators(Digest::ZERO)?;
        Ok(self.consensus.check()?)
    }

    /// The proposers that are processes of their own; none where each validator runs one.
    pub fn proposers(&self) -> &[GenesisProposer] {
        self.deployment.edge_proposers()
    }

    /// Whether proposers are processes of their own.
    pub fn is_edge(&self) -> bool {
        !self.deployment.is_co_located()
    }

    /// The name of whoever has this place in `role`; none of a stranger.
    pub fn name_of(&self, place: ValidatorId, role: SignerRole) -> Option<&str> {
        match (role, &self.deployment) {
            (SignerRole::Proposer, Deployment::Edge { proposers }) => {
                proposers.get(place.index()).map(|it| &*it.name)
            }
            _ => self.validators.get(place.index()).map(|it| &*it.name),
        }
    }

    /// Who checks the signatures of this epoch on the chain with this id.
    ///
    /// **Errors**: an impossible number of validators or proposers.
    pub fn validators(&self, chain_id: Digest) -> Result<ValidatorSet, ImpossibleSize> {
        let keys = self.validators.iter();
        let keys = keys.map(|v| ValidatorKeys { acceptor: v.acceptor, proposer: v.proposer }).collect();
        let set = ValidatorSet::new(chain_id, self.epoch, keys)?;
        match &self.deployment {
            Deployment::CoLocated => Ok(set),
            Deployment::Edge { proposers } => {
                set.with_edge_proposers(proposers.iter().map(|it| it.proposer).collect())
            }
        }
    }
}

fn check_names<'a>(kind: &'static str, names: impl Iterator<Item = &'a String>) -> Result<(), SetError> {
    for (index, name) in names.enumerate() {
        let fits = u32::try_from(name.len()).is_ok_and(|bytes| bytes <= NAME_BYTES_MAX);
        if name.is_empty() || !fits || name.chars().any(char::is_control) {
            return Err(SetError::Name { kind, index, name: name.clone() });
        }
    }
    Ok(())
}

/// Proof that an epoch ended, and who validates in the next: for anyone who knows the set of the epoch that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Header of the epoch's last block, which names that slot and the next set's hash.
    pub header: Header,
    /// At least f+1 SEALs on it, by the set of the epoch that ended.
    pub seals: SealCertificate,
    /// The set of the next epoch.
    pub next: EpochSet,
}

/// Why a handover proves nothing.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// Of another chain.
    #[error("it is of chain {seen}, expected {expected}")]
    Chain {
        /// The chain of its header.
        seen: Digest,
        /// The chain of the set.
        expected: Digest,
    },
    /// Of another epoch than the one that it follows upon.
    #[error("it ends epoch {seen}, expected {expected}")]
    Epoch {
        /// The epoch of its header.
        seen: Epoch,
        /// The epoch of the set.
        expected: Epoch,
    },
    /// The header is not that of the epoch's last block, or names another set.
    #[error("{0}")]
    Broken(&'static str),
    /// The next set can be nobody's.
    #[error("the next set: {0}")]
    Set(#[from] SetError),
    /// The next set has an impossible size.
    #[error("the next set: {0}")]
    Size(#[from] ImpossibleSize),
    /// The seals do not hold.
    #[error("the seals do not hold: {0}")]
    Seals(#[from] CertificateError),
}

impl Handover {
    /// Checks the handover of the epoch of `set`.
    ///
    /// **Returns** the set of the next epoch.
    ///
    /// **Errors**: [`HandoverError`].
    pub fn check(
        &self,
        set: &ValidatorSet,
        authenticator: &dyn Authenticator,
    ) -> Result<ValidatorSet, HandoverError> {
        let (Handover { header, seals, next }, domain) = (self, set.domain());
        if header.chain_id != domain.chain_id {
            return Err(HandoverError::Chain { seen: header.chain_id, expected: domain.chain_id });
        }
        if header.epoch != domain.epoch {
            return Err(HandoverError::Epoch { seen: header.epoch, expected: domain.epoch });
        }
        let end = EpochEnd { slot: header.slot, next_set: next.hash() };
        if header.epoch_end.as_ref() != Some(&end) {
            return Err(HandoverError::Broken("its header does not end the epoch with this set"));
        }
        // What decided the set checked this; whoever holds the handover alone must not have to believe it.
        if next.epoch != domain.epoch.next() || next.epoch == domain.epoch {
            return Err(HandoverError::Broken("the next set is not of the next epoch"));
        }
        next.check()?;
        if seals.body.slot != header.slot || seals.body.header != header.hash() {
            return Err(HandoverError::Broken("the seals are on another header"));
        }
        seals.verify(set, authenticator, set.quorum().one_correct())?;
        Ok(next.validators(header.chain_id)?)
    }

    /// The last slot of the epoch that ended.
    pub fn slot(&self) -> Slot {
        self.header.slot
    }
}

impl ListItem for Handover {
    /// Epochs before that of a receipt: one each month for 85 years.
    const COUNT_MAX: u32 = 1_024;
}

impl ListItem for GenesisValidator {
    /// As many as a set of signers can name.
    const COUNT_MAX: u32 = SignerSet::CAPACITY as u32;
}

impl ListItem for GenesisProposer {
    /// As many as a set of signers can name.
    const COUNT_MAX: u32 = SignerSet::CAPACITY as u32;
}

impl Encode for GenesisValidator {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(&self.name, out);
        self.acceptor.encode(out);
        self.proposer.encode(out);
        self.network.encode(out);
    }
}

impl Decode for GenesisValidator {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(GenesisValidator {
            name: decode_name(input)?,
            acceptor: Decode::decode(input)?,
            proposer: Decode::decode(input)?,
            network: Decode::decode(input)?,
        })
    }
}

impl Encode for GenesisProposer {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_name(&self.name, out);
        self.proposer.encode(out);
        self.network.encode(out);
    }
}

impl Decode for GenesisProposer {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(GenesisProposer {
            name: decode_name(input)?,
            proposer: Decode::decode(input)?,
            network: Decode::decode(input)?,
        })
    }
}

fn encode_name(name: &str, out: &mut Vec<u8>) {
    encode_count(name.len(), out);
    out.extend_from_slice(name.as_bytes());
}

fn decode_name(input: &mut Reader<'_>) -> Result<String, DecodeError> {
    let length = input.count("name in a set", NAME_BYTES_MAX)?;
    let name = std::str::from_utf8(input.take(length)?);
    Ok(name.map_err(|_| DecodeError::Invalid("a name in a set is UTF-8"))?.to_owned())
}

/// Where the number of validators stands: proposers come first. Sets of networks whose validators order had no deployment at first, and
/// must be read as they always were, byte for byte, by builds that know none: to those this is a list beyond its limit, and no set
/// (decision record 67).
const PROPOSERS_FIRST: u32 = u32::MAX;

impl Encode for EpochSet {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        if self.is_edge() {
            PROPOSERS_FIRST.encode(out);
            self.proposers().encode(out);
        }
        self.validators.encode(out);
        self.consensus.encode(out);
    }
}

impl Decode for EpochSet {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let epoch = Decode::decode(input)?;
        let deployment = match input.take_if(&PROPOSERS_FIRST.to_bytes()) {
            true => Deployment::Edge { proposers: Decode::decode(input)? },
            false => Deployment::CoLocated,
        };
        let (validators, consensus) = (Decode::decode(input)?, Decode::decode(input)?);
        Ok(EpochSet { epoch, validators, deployment, consensus })
    }
}

codec_struct!(BlockLimits { bytes, transactions, operations, signatures });
codec_struct!(LeaderBounds { wait_ms, unfairness_ms, rate_percent, pause_ms });
codec_struct!(ConsensusConstants {
    window,
    checkpoint_interval,
    term,
    timeout_ms,
    timeout_max_ms,
    heartbeat_ms,
    drift_ms,
    pool,
    pipeline,
    block,
    leader,
});
codec_struct!(Handover { header, seals, next });

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "few epochs and validators")]
pub(crate) mod tests;
