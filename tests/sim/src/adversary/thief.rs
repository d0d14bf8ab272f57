//! Keys that a change of validators removed, in the hands of one who is still there: it votes, seals and calls for views in the
//! name of whoever had them, under the epoch of the keys and under the present one.

use std::sync::Arc;

use carat_types::ValidatorId;
use carat_types::message::{Commit, Message, Prepare, PrepareMessage, Seal, Signed, SignedBody, ViewChange};
use carat_types::validators::ValidatorSet;

use super::{Addressed, Adversary};
use crate::crypto::Keys;
use crate::epochs::Era;
use crate::rng::Rng;

/// Keys that were a validator's in an epoch before, and are nobody's now.
#[derive(Clone, Debug)]
pub(super) struct Stolen {
    id: ValidatorId,
    keys: Keys,
    /// The validators of their last epoch.
    set: Arc<ValidatorSet>,
}

impl Stolen {
    /// What the last of some epochs has removed from those before.
    pub(super) fn of(eras: &[Era]) -> Vec<Stolen> {
        let Some((present, before)) = eras.split_last() else { return Vec::new() };
        let still = |keys: &Keys| present.keys.iter().any(|other| other.public() == keys.public());
        let of_era = |era: &Era| {
            let set = era.set.clone();
            let keys = era.set.ids().zip(era.keys.clone()).filter(|(_, keys)| !still(keys));
            keys.map(move |(id, keys)| Stolen { id, keys, set: set.clone() }).collect::<Vec<_>>()
        };
        before.iter().flat_map(of_era).collect()
    }

    fn sign<B: SignedBody>(&self, set: &ValidatorSet, body: B) -> Signed<B> {
        self.keys.sign(set, self.id, body)
    }
}

impl Adversary {
    /// What the holder of removed keys says upon hearing others vote.
    pub(super) fn impersonate(
        &self,
        rng: &mut Rng,
        others: &[ValidatorId],
        message: &Message,
    ) -> Vec<Addressed> {
        let stolen = &self.identity.stolen;
        if stolen.is_empty() || !rng.chance(300) {
            return Vec::new();
        }
        let stolen = &stolen[rng.index(stolen.len())];
        let set = if rng.chance(500) { &stolen.set } else { &self.identity.set };
        let said = match message {
            Message::Prepare(prepare) if rng.chance(500) => {
                let signed = stolen.sign(set, Prepare(prepare.signed.body.0));
                Message::Prepare(PrepareMessage { signed, justification: prepare.justification.clone() })
            }
            Message::Prepare(prepare) => Message::Commit(stolen.sign(set, Commit(prepare.signed.body.0))),
            Message::Seal(seal) => Message::Seal(stolen.sign(set, Seal { ..seal.body })),
            Message::ViewChange(change) => {
                let body = ViewChange { reports: Vec::new(), ..change.body.clone() };
                Message::ViewChange(Arc::new(stolen.sign(set, body)))
            }
            _ => return Vec::new(),
        };
        others.iter().map(|to| (*to, said.clone())).collect()
    }
}
