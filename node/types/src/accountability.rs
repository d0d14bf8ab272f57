//! Convictions on the chain: who was proved to have contradicted itself, and what the proof is checked against.
//!
//! Evidence travels in a call of the governance contract. The ledger checks it as everybody can, and keeps one record for
//! each validator, epoch and offence. A record punishes nobody: the validators vote on that, by a set without the convicted.
//!
//! **Source**: consensus specification, sections 11 and 13; decision records 19 and 54.

use crate::codec::{Decode, DecodeError, Encode, ListItem, Reader, codec_struct};
use crate::epoch::EpochSet;
use crate::evidence::{Evidence, EvidenceError};
use crate::genesis::{Deployment, GenesisFile, GenesisValidator};
use crate::hash::{Digest, h};
use crate::ids::{Epoch, SignerSet, Slot, ValidatorId};
use crate::message::SignerRole;
use crate::signature::PublicKey;
use crate::validators::{Authenticator, ValidatorSet};

/// The version of the ledger's rules from which on evidence can be submitted.
pub const EVIDENCE_SINCE: u32 = 29;

/// Sets that the state keeps: the present one, and the one before it.
const SETS_MAX: u32 = 2;

/// Records that the state keeps. Two epochs of 20 validators can have 240, or 256 where 28 proposers of an edge network order for them:
/// so those that could be submitted again all stay, and others go before them.
const CONVICTIONS_MAX: u32 = 256;

/// What a validator can be convicted of: the codes of section 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// Two proposals for one view and slot, or two NEW-VIEWs for one view.
    E1 = 1,
    /// Two votes for one view and slot.
    E2 = 2,
    /// A vote that was denied.
    E3 = 3,
    /// A COMMIT that was denied.
    E4 = 4,
    /// Two SEALs for one slot.
    E5 = 5,
    /// A vote for a FAST value, denied where it was given up.
    Fast = 6,
}

impl Offence {
    /// All of them.
    pub const ALL: [Offence; 6] =
        [Offence::E1, Offence::E2, Offence::E3, Offence::E4, Offence::E5, Offence::Fast];

    /// What a piece of evidence is about.
    pub fn of(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Proposals(_) | Evidence::NewViews(_) => Offence::E1,
            Evidence::Votes(_) => Offence::E2,
            Evidence::DeniedVote(_) => Offence::E3,
            Evidence::DeniedCommit(_) => Offence::E4,
            Evidence::Seals(_) => Offence::E5,
            Evidence::Contradiction(_) => Offence::Fast,
        }
    }

    /// The code in JSON and tables.
    pub fn code(self) -> &'static str {
        match self {
            Offence::E1 => "E1",
            Offence::E2 => "E2",
            Offence::E3 => "E3",
            Offence::E4 => "E4",
            Offence::E5 => "E5",
            Offence::Fast => "FAST",
        }
    }

    /// Whose key signed what convicts.
    pub fn role(self) -> SignerRole {
        match self {
            Offence::E1 => SignerRole::Proposer,
            _ => SignerRole::Acceptor,
        }
    }
}

impl Encode for Offence {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
}

impl Decode for Offence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = u8::decode(input)?;
        let found = Offence::ALL.into_iter().find(|offence| *offence as u8 == value);
        found.ok_or(DecodeError::Tag { what: "Offence", value })
    }
}

/// That a validator was convicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conviction {
    /// The epoch in which it signed.
    pub epoch: Epoch,
    /// Its place in the set of that epoch: for E1 on an edge network among the proposers, else among the validators.
    pub validator: ValidatorId,
    /// The key that signed: the proposer's for E1, else the acceptor's.
    pub key: PublicKey,
    /// What of.
    pub offence: Offence,
    /// The slot that the evidence is about; none for two NEW-VIEWs.
    pub slot: Option<Slot>,
    /// [`Evidence::id`]; the call that carried it is in a block.
    pub evidence: Digest,
    /// The slot of that block.
    pub recorded: Slot,
}

codec_struct!(Conviction { epoch, validator, key, offence, slot, evidence, recorded });

impl ListItem for Conviction {
    const COUNT_MAX: u32 = CONVICTIONS_MAX;
}

impl ListItem for EpochSet {
    const COUNT_MAX: u32 = SETS_MAX;
}

/// Evidence as it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The epoch whose set signed what it shows.
    pub epoch: Epoch,
    /// The evidence.
    pub evidence: Evidence,
    /// For epoch 0 the bytes of the genesis file, which names its validators and proves itself: the chain is called by
    /// its hash. Empty for later epochs, whose sets the ledger keeps.
    pub genesis: Vec<u8>,
}

impl Submission {
    /// Signatures that its check may cost: what the fee and the limit of a block count. Reading a genesis file costs as
    /// much as one.
    pub fn signature_checks(&self) -> u32 {
        let file = u32::from(!self.genesis.is_empty());
        u32::try_from(self.evidence.signature_count()).unwrap_or(u32::MAX).saturating_add(file)
    }
}

/// The state of accountability: an entry of the ledger's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accountability {
    /// Sets of epochs after epoch 0, the present one last, as far as they began under rules that keep them.
    pub sets: Vec<EpochSet>,
    /// Who was convicted, the latest last.
    pub convictions: Vec<Conviction>,
}

codec_struct!(Accountability { sets, convictions });

/// Why a submission is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Acquittal {
    /// The validators of the epoch are not known: neither the present epoch nor the one before it, one that began under
    /// older rules, or epoch 0 without the genesis file of this chain.
    #[error("the validators of its epoch are not known to the ledger")]
    UnknownEpoch,
    /// A correct validator may have signed it, or did not; or it convicts nobody.
    #[error("it proves nothing against a validator of its epoch on this chain")]
    ProvesNothing,
    /// Everybody whom it convicts is on record for that.
    #[error("whom it convicts is on record for that offence in that epoch")]
    Recorded,
}

impl From<EvidenceError> for Acquittal {
    fn from(_: EvidenceError) -> Self {
        Acquittal::ProvesNothing
    }
}

impl Accountability {
    /// The set of an epoch that begins is kept, and that of the epoch before it.
    pub fn begin(&mut self, set: EpochSet) {
        self.sets.push(set);
        drop_oldest(&mut self.sets, SETS_MAX);
    }

    /// Checks a submission in a block at `slot` of the `present` epoch, and records whom it convicts.
    ///
    /// **Errors**: [`Acquittal`]; then nothing changes.
    pub fn judge(
        &mut self,
        submission: &Submission,
        chain_id: &Digest,
        present: Epoch,
        slot: Slot,
        authenticator: &dyn Authenticator,
    ) -> Result<(), Acquittal> {
        let set = self.set_of(submission, chain_id, present).ok_or(Acquittal::UnknownEpoch)?;
        let convicted = submission.evidence.verify(&set, authenticator)?;
        if convicted.is_empty() {
            return Err(Acquittal::ProvesNothing);
        }
        let new = self.new_convictions(submission, &set, convicted, slot);
        if new.is_empty() {
            return Err(Acquittal::Recorded);
        }
        self.convictions.extend(new);
        self.keep_within_limit(present);
        Ok(())
    }

    /// Drops the oldest records of what the list has beyond its limit; first those that nobody can submit again.
    fn keep_within_limit(&mut self, present: Epoch) {
        let most = usize::try_from(CONVICTIONS_MAX).unwrap_or(usize::MAX);
        let mut beyond = self.convictions.len().saturating_sub(most);
        self.convictions.retain(|conviction| {
            let goes = beyond > 0 && !is_judged(conviction.epoch, present);
            beyond = beyond.saturating_sub(goes.into());
            !goes
        });
        drop_oldest(&mut self.convictions, CONVICTIONS_MAX);
    }

    /// Of whose epoch the submission is, if the ledger knows it.
    fn set_of(&self, submission: &Submission, chain_id: &Digest, present: Epoch) -> Option<ValidatorSet> {
        let Submission { epoch, genesis, .. } = submission;
        if !is_judged(*epoch, present) {
            return None;
        }
        if *epoch == Epoch(0) {
            // The hash before the contents: what is not this chain's own file is not read.
            let is_own = h("genesis", &[genesis]) == *chain_id;
            return is_own.then(|| GenesisFile::parse(genesis).ok())??.validators().ok();
        }
        self.sets.iter().find(|set| set.epoch == *epoch)?.validators(*chain_id).ok()
    }

    fn new_convictions(
        &self,
        submission: &Submission,
        set: &ValidatorSet,
        convicted: SignerSet,
        recorded: Slot,
    ) -> Vec<Conviction> {
        let Submission { epoch, evidence, .. } = submission;
        let offence = Offence::of(evidence);
        let is_known = |validator: &ValidatorId| {
            let same =
                |it: &Conviction| (it.epoch, it.validator, it.offence) == (*epoch, *validator, offence);
            self.convictions.iter().any(same)
        };
        let new = convicted.iter().filter(|validator| !is_known(validator));
        let conviction = |validator| {
            let key = *set.key(validator, offence.role())?;
            let (slot, evidence) = (evidence.slot(), evidence.id());
            Some(Conviction { epoch: *epoch, validator, key, offence, slot, evidence, recorded })
        };
        new.filter_map(conviction).collect()
    }
}

/// Keys of validators long gone may be anybody's by now: only the present epoch and the one before it are judged.
fn is_judged(epoch: Epoch, present: Epoch) -> bool {
    epoch == present || epoch.next() == present
}

/// Drops from the front what a list has beyond its limit.
fn drop_oldest<T>(list: &mut Vec<T>, most: u32) {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    list.drain(..list.len().saturating_sub(most));
}

/// The members of a set of whose keys one is among the `convicted`, by name: validators first, then the proposers of an edge network. Who
/// has changed keys since is another one to this question.
pub fn convicted_of<'a>(set: &'a EpochSet, convicted: &'a [PublicKey]) -> impl Iterator<Item = &'a str> {
    let validators = set.validators.iter().filter(|it| is_convicted(it, convicted)).map(|it| &*it.name);
    let proposers = set.proposers().iter().filter(|it| convicted.contains(&it.proposer)).map(|it| &*it.name);
    validators.chain(proposers)
}

fn is_convicted(validator: &GenesisValidator, convicted: &[PublicKey]) -> bool {
    convicted.contains(&validator.acceptor) || convicted.contains(&validator.proposer)
}

/// The set that follows upon `present` without those whose keys are `convicted`. It may be of a size that no network can have.
pub fn without_convicted(present: &EpochSet, convicted: &[PublicKey]) -> EpochSet {
    let mut next = EpochSet { epoch: present.epoch.next(), ..present.clone() };
    next.validators.retain(|validator| !is_convicted(validator, convicted));
    if let Deployment::Edge { proposers } = &mut next.deployment {
        proposers.retain(|listed| !convicted.contains(&listed.proposer));
    }
    next
}

#[cfg(test)]
mod tests;
