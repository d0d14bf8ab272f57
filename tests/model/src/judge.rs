//! What the votes that were cast prove, counted by the model's own code. **Source**: consensus specification, section 6.

use carat_types::genesis::Trust;

use crate::acceptor::Acceptor;
use crate::liar::voters;
use crate::world::{N, QUORUM, Value, Values, World};

/// Every value that somebody who reads all votes may call final: by UNANIMOUS or COMMIT, and where acceptors only crash by
/// FAST. The liar's votes are there for whoever needs them.
pub fn decided(world: &World, views: u8, acceptors: &[Acceptor]) -> Values {
    let mut decided = Values::default();
    for view in 0..views {
        for value in Value::ALL {
            let prepares = world.liars() + voters(acceptors, view, value).count();
            let commits = world.liars() + acceptors.iter().filter(|a| a.commit(view) == Some(value)).count();
            let fast = world.trust() == Trust::Crash && prepares >= QUORUM;
            if fast || prepares == usize::from(N) || commits >= QUORUM {
                decided = decided.with(value);
            }
        }
    }
    decided
}

/// Whether both values have q PREPAREs of one view: two prepared certificates (Fact Q forbids it).
pub fn has_two_certificates(world: &World, views: u8, acceptors: &[Acceptor]) -> bool {
    let has = |view, value| world.liars() + voters(acceptors, view, value).count() >= QUORUM;
    (0..views).any(|view| Value::ALL.into_iter().all(|value| has(view, value)))
}

/// Whether every COMMIT has q PREPAREs behind it that were cast (I5).
pub fn commits_are_prepared(world: &World, views: u8, acceptors: &[Acceptor]) -> bool {
    let has = |view, value| world.liars() + voters(acceptors, view, value).count() >= QUORUM;
    (0..views).all(|view| acceptors.iter().filter_map(|a| a.commit(view)).all(|value| has(view, value)))
}
