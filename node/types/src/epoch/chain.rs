//! The epochs of one chain, as far as handovers prove them.

use super::{EpochSet, Handover, HandoverError};
use crate::codec::{Decode, DecodeError, Encode};
use crate::evidence::{Evidence, EvidenceError};
use crate::genesis::GenesisFile;
use crate::hash::Digest;
use crate::ids::{Epoch, SignerSet, Slot};
use crate::message::StableCheckpoint;
use crate::quorum::ImpossibleSize;
use crate::validators::{Authenticator, ValidatorSet};

/// The epochs of a chain from that of the genesis file on, each of the later ones proved by the handover before it.
#[derive(Clone, Debug)]
pub struct Epochs {
    first: EpochSet,
    /// Who checks the signatures of each epoch.
    validators: Vec<ValidatorSet>,
    /// How each epoch but the last ended: one less than `validators`.
    handovers: Vec<Handover>,
}

/// Which handover proves nothing, and why.
#[derive(Debug, thiserror::Error)]
#[error("handover {place} does not hold: {error}")]
pub struct BrokenChain {
    /// Its place, which is the epoch that it should end.
    pub place: usize,
    /// Why.
    pub error: HandoverError,
}

impl Epochs {
    /// The one epoch that the genesis file tells of.
    ///
    /// **Errors**: it lists an impossible set of validators or proposers.
    pub fn of(genesis: &GenesisFile) -> Result<Self, ImpossibleSize> {
        Epochs::beginning_with(genesis.genesis.first_set(), genesis.chain_id)
    }

    /// The one epoch of a chain whose genesis file lists this set.
    ///
    /// **Errors**: an impossible number of validators or proposers.
    pub fn beginning_with(first: EpochSet, chain_id: Digest) -> Result<Self, ImpossibleSize> {
        Ok(Epochs { validators: vec![first.validators(chain_id)?], first, handovers: Vec::new() })
    }

    /// Follows handovers from epoch 0 on: each is checked by the set to which the one before led. Those that are known
    /// already cost nothing; from the first that is not, what was known is forgotten.
    ///
    /// **Returns** whether anything was new.
    ///
    /// **Errors**: [`BrokenChain`]; what was known up to there stays.
    pub fn follow(
        &mut self,
        handovers: &[Handover],
        authenticator: &dyn Authenticator,
    ) -> Result<bool, BrokenChain> {
        let mut new = false;
        for (place, handover) in handovers.iter().enumerate() {
            if self.handovers.get(place) == Some(handover) {
                continue;
            }
            let broken = |error| BrokenChain { place, error };
            let set = self.validators.get(place).ok_or(broken(HandoverError::Broken("it joins nothing")))?;
            if handover.slot() <= self.begins_after(place) {
                return Err(broken(HandoverError::Broken("its epoch ends before it begins")));
            }
            let next = handover.check(set, authenticator).map_err(broken)?;
            self.handovers.truncate(place);
            self.validators.truncate(place.saturating_add(1));
            self.handovers.push(handover.clone());
            self.validators.push(next);
            new = true;
        }
        Ok(new)
    }

    /// The newest epoch that is known.
    pub fn present(&self) -> Epoch {
        self.set().epoch
    }

    /// Who validates in it, and under which constants.
    pub fn set(&self) -> &EpochSet {
        self.handovers.last().map_or(&self.first, |last| &last.next)
    }

    /// Who checks its signatures.
    pub fn validators(&self) -> &ValidatorSet {
        #[expect(clippy::expect_used, reason = "epoch 0 is always there")]
        self.validators.last().expect("epoch 0")
    }

    /// The set of an epoch, none of one that is not known.
    pub fn set_of(&self, epoch: Epoch) -> Option<&EpochSet> {
        match index(epoch).checked_sub(1) {
            None => Some(&self.first),
            Some(place) => self.handovers.get(place).map(|handover| &handover.next),
        }
    }

    /// Who checks the signatures of an epoch, none of one that is not known.
    pub fn validators_of(&self, epoch: Epoch) -> Option<&ValidatorSet> {
        self.validators.get(index(epoch))
    }

    /// How the epochs before `epoch` ended, as far as they are known.
    pub fn handovers_before(&self, epoch: Epoch) -> &[Handover] {
        self.handovers.get(..index(epoch)).unwrap_or(&self.handovers)
    }

    /// How all epochs but the newest ended.
    pub fn handovers(&self) -> &[Handover] {
        &self.handovers
    }

    /// The checkpoint with which the newest epoch began; none for epoch 0.
    pub fn base(&self) -> Option<StableCheckpoint> {
        let last = self.handovers.last()?;
        Some(StableCheckpoint { header: last.header.clone(), certificate: last.seals.clone() })
    }

    /// Whom evidence convicts, of the epoch whose set signed what it shows: signatures name their epoch.
    ///
    /// **Errors**: it convicts nobody of any epoch; why not in the newest.
    pub fn convicted(
        &self,
        evidence: &Evidence,
        authenticator: &dyn Authenticator,
    ) -> Result<(Epoch, SignerSet), EvidenceError> {
        let verdict = |set: &ValidatorSet| {
            let signers = evidence.verify(set, authenticator)?;
            Ok((set.domain().epoch, signers))
        };
        let earlier = || self.validators.iter().rev().skip(1).find_map(|set| verdict(set).ok());
        verdict(self.validators()).or_else(|error| earlier().ok_or(error))
    }

    /// The last slot of the epoch before the one in this place; 0 before epoch 0.
    fn begins_after(&self, place: usize) -> Slot {
        let last = place.checked_sub(1).and_then(|before| self.handovers.get(before));
        last.map_or(Slot(0), Handover::slot)
    }

    /// The last slot before an epoch; 0 before epoch 0.
    pub fn last_slot_before(&self, epoch: Epoch) -> Slot {
        self.begins_after(index(epoch))
    }
}

/// The place of an epoch among all.
fn index(epoch: Epoch) -> usize {
    usize::try_from(epoch.0).unwrap_or(usize::MAX)
}

/// How a file of handovers begins, and what a node serves of them.
const MAGIC: &[u8] = b"CARATHO1";

/// Handovers as a file.
pub fn write_handovers(handovers: &[Handover]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    handovers.encode(&mut bytes);
    bytes
}

/// Reads what [`write_handovers`] wrote; nothing of it is checked yet: [`Epochs::follow`] does.
///
/// **Errors**: other bytes.
pub fn read_handovers(bytes: &[u8]) -> Result<Vec<Handover>, DecodeError> {
    let body = bytes.strip_prefix(MAGIC).ok_or(DecodeError::Invalid("it does not begin as handovers do"))?;
    Decode::from_bytes(body)
}
