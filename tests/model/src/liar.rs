//! The Byzantine acceptor: what it can show in a VIEW-CHANGE, and which NEW-VIEWs can be made of what there is.

use std::sync::Arc;

use carat_types::certificate::PreparedCertificate;
use carat_types::genesis::Trust;
use carat_types::message::{Signed, ViewChange};

use crate::acceptor::{Acceptor, Shown};
use crate::bugs::Laxness;
use crate::world::{LIAR, N, QUORUM, Value, World};

/// What stands behind a certificate that the liar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proof {
    /// Votes that were cast, and its own.
    Genuine,
    /// One vote too few.
    Small,
    /// Signatures of others that it cannot make.
    Forged,
}

/// A VIEW-CHANGE in a NEW-VIEW.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The one that a correct acceptor sent.
    Correct(Acceptor),
    /// One of the liar.
    Liar(Shown, Option<Proof>),
    /// One in the name of a correct acceptor, which the liar made.
    InTheNameOf(u8, Shown, Option<Proof>),
}

impl Member {
    fn signer(&self) -> u8 {
        match self {
            Member::Correct(acceptor) => acceptor.id,
            Member::Liar(..) => LIAR,
            Member::InTheNameOf(signer, ..) => *signer,
        }
    }

    /// What the choice can depend on: who, what, and with which proof.
    pub fn essence(&self) -> (u8, Shown, Option<Proof>, bool) {
        match self {
            Member::Correct(acceptor) => (acceptor.id, acceptor.shown, Some(Proof::Genuine), true),
            Member::Liar(shown, proof) => (LIAR, *shown, *proof, true),
            Member::InTheNameOf(signer, shown, proof) => (*signer, *shown, *proof, false),
        }
    }
}

/// All sets of VIEW-CHANGEs for `view` that a lying leader can put together, and some that a correct acceptor must refuse: more
/// than q, one signer twice, forged ones.
pub fn new_views(world: &World, view: u8, acceptors: &[Acceptor]) -> Vec<Vec<Member>> {
    let correct: Vec<Member> = acceptors.iter().copied().map(Member::Correct).collect();
    let mut sets = Vec::new();
    match world.trust() {
        Trust::Crash => {
            sets.extend((0..correct.len()).map(|absent| without(&correct, absent)));
            sets.push(correct);
        }
        Trust::Bft => {
            sets.push(correct.clone());
            for (shown, proof) in lies(view, acceptors) {
                let liar = Member::Liar(shown, proof);
                let honest_proof = matches!(proof, None | Some(Proof::Genuine));
                for absent in 0..correct.len() {
                    let pair = without(&correct, absent);
                    sets.push(pair.iter().copied().chain([liar]).collect());
                    if honest_proof {
                        sets.extend(pair.iter().map(|one| vec![*one, liar, liar]));
                        let other = Member::InTheNameOf(pair[1].signer(), shown, proof);
                        sets.push(vec![pair[0], other, liar]);
                    }
                }
                if honest_proof {
                    sets.push(correct.iter().copied().chain([liar]).collect());
                }
            }
        }
    }
    sets
}

fn without(members: &[Member], absent: usize) -> Vec<Member> {
    let kept = members.iter().enumerate().filter(|(index, _)| *index != absent);
    kept.map(|(_, member)| *member).collect()
}

/// Everything that the liar can say of the slot: any vote, and any certificate, with the best proof that there is for it.
fn lies(view: u8, acceptors: &[Acceptor]) -> Vec<(Shown, Option<Proof>)> {
    let ballots = || (0..view).flat_map(|view| Value::ALL.map(|value| (view, value)));
    let mut certificates = vec![(None, None)];
    certificates.extend(ballots().map(|(view, value)| {
        let votes = 1 + voters(acceptors, view, value).count();
        let proof = match votes {
            QUORUM.. => Proof::Genuine,
            2 => Proof::Small,
            _ => Proof::Forged,
        };
        (Some((view, value)), Some(proof))
    }));
    let votes: Vec<Option<(u8, Value)>> = std::iter::once(None).chain(ballots().map(Some)).collect();
    certificates
        .into_iter()
        .flat_map(|(certificate, proof)| {
            votes.iter().map(move |vote| (Shown { vote: *vote, certificate }, proof))
        })
        .collect()
}

/// The correct acceptors that voted so.
pub fn voters(acceptors: &[Acceptor], view: u8, value: Value) -> impl Iterator<Item = u8> {
    acceptors.iter().filter(move |acceptor| acceptor.vote(view) == Some(value)).map(|acceptor| acceptor.id)
}

/// Signs the members for `view`; `sent` has what correct acceptors sent.
pub fn signed(
    world: &World,
    laxness: Laxness,
    view: u8,
    members: &[Member],
    acceptors: &[Acceptor],
    sent: impl Fn(&Acceptor) -> Arc<Signed<ViewChange>>,
) -> Vec<Arc<Signed<ViewChange>>> {
    let made = |signer: u8, shown: &Shown, proof: &Option<Proof>| {
        let certificate = shown
            .certificate
            .zip(*proof)
            .map(|((of, value), proof)| certificate(world, laxness, of, value, proof, acceptors));
        world.view_change(signer, view, shown.vote, certificate)
    };
    members
        .iter()
        .map(|member| match member {
            Member::Correct(acceptor) => sent(acceptor),
            Member::Liar(shown, proof) => Arc::new(made(LIAR, shown, proof)),
            Member::InTheNameOf(signer, shown, proof) => {
                let mut forged = made(*signer, shown, proof);
                if laxness != Laxness::MacsOnViewChanges {
                    forged.signature = made(LIAR, shown, proof).signature;
                }
                Arc::new(forged)
            }
        })
        .collect()
}

fn certificate(
    world: &World,
    laxness: Laxness,
    view: u8,
    value: Value,
    proof: Proof,
    acceptors: &[Acceptor],
) -> PreparedCertificate {
    let genuine: Vec<u8> = voters(acceptors, view, value).chain([LIAR]).collect();
    if matches!(proof, Proof::Genuine | Proof::Small) && laxness != Laxness::MacsOnPrepares {
        return world.certificate(view, value, &genuine);
    }
    let all: Vec<u8> = (0..N).collect();
    let mut forged = world.certificate(view, value, &all);
    if laxness != Laxness::MacsOnPrepares {
        // Its own signature, again and again.
        let own = *forged.signatures.last().unwrap_or(&carat_types::Signature([0; 64]));
        forged.signatures.iter_mut().for_each(|signature| *signature = own);
    }
    forged
}
