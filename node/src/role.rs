//! What a process does in its network. Where each validator runs a proposer, all do the same; in the edge deployment some vote and
//! serve nobody, and the others order, serve clients, and have no vote.
//!
//! **Source**: consensus specification, section 1; decision records 51 and 55.

use carat_types::message::SignerRole;
use carat_types::validators::ValidatorSet;
use carat_types::{Quorum, ValidatorId};
use serde::Serialize;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Votes, orders, and serves clients.
    Validator,
    /// Votes, in an edge network: no client reaches it.
    Acceptor,
    /// Orders for an edge network and serves its clients, without a vote.
    Proposer,
    /// Neither: it proves what was decided, and shows it.
    Follower,
}

impl Role {
    /// That of a process of this set; who has no place in it follows.
    pub fn of(validators: &ValidatorSet, process: ValidatorId) -> Self {
        let has = |role| validators.place(process, role).is_some();
        match (has(SignerRole::Acceptor), has(SignerRole::Proposer)) {
            (true, true) => Role::Validator,
            (true, false) => Role::Acceptor,
            (false, true) => Role::Proposer,
            (false, false) => Role::Follower,
        }
    }

    /// Whether it votes.
    pub fn has_vote(self) -> bool {
        matches!(self, Role::Validator | Role::Acceptor)
    }

    /// Whether clients reach it: not the acceptors of an edge network, whose safety under FAST rests on that.
    pub fn serves_clients(self) -> bool {
        self != Role::Acceptor
    }

    /// The word for a process of this kind, which leads the present view or does not.
    pub fn word(self, leads: bool) -> &'static str {
        match (self, leads) {
            (Role::Validator, true) => "leader",
            (Role::Validator | Role::Follower, _) => "follower",
            (Role::Acceptor, _) => "acceptor",
            (Role::Proposer, true) => "leader, no vote",
            (Role::Proposer, false) => "proposer, no vote",
        }
    }
}

/// A process by its place, as operators read it: a proposer of an edge network is never called a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    validator: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposer: Option<u16>,
}

impl Who {
    /// Processes are numbered through, validators first.
    pub fn of(process: u16, quorum: Quorum) -> Self {
        let place = usize::from(process).checked_sub(quorum.n()).and_then(|place| u16::try_from(place).ok());
        match place {
            None => Who { validator: Some(process), proposer: None },
            proposer => Who { validator: None, proposer },
        }
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.validator, self.proposer) {
            (Some(validator), _) => write!(f, "v{validator}"),
            (None, proposer) => write!(f, "p{}", proposer.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use carat_types::validators::ValidatorKeys;
    use carat_types::{Digest, Epoch, SecretKey};

    use super::*;

    fn set() -> ValidatorSet {
        let key = |seed| SecretKey::from_seed(&[seed; 32]).public();
        let validators = (0..4).map(|i| ValidatorKeys { acceptor: key(10 + i), proposer: key(20 + i) });
        ValidatorSet::new(Digest::ZERO, Epoch(0), validators.collect()).expect("four")
    }

    #[test]
    fn acceptors_of_an_edge_network_serve_nobody_and_its_proposers_have_no_vote() {
        let together = set();
        let key = SecretKey::from_seed(&[30; 32]).public();
        let apart = set().with_edge_proposers(vec![key]).expect("one");
        let cases = [
            (&together, 3, Role::Validator, true, true),
            (&together, 4, Role::Follower, false, true),
            (&apart, 3, Role::Acceptor, true, false),
            (&apart, 4, Role::Proposer, false, true),
            (&apart, 5, Role::Follower, false, true),
        ];
        for (validators, process, role, has_vote, serves_clients) in cases {
            assert_eq!(Role::of(validators, ValidatorId(process)), role, "{process}");
            assert_eq!((role.has_vote(), role.serves_clients()), (has_vote, serves_clients), "{role:?}");
        }
    }

    #[test]
    fn proposer_is_named_by_its_own_place() {
        let quorum = set().quorum();
        assert_eq!(Who::of(3, quorum).to_string(), "v3");
        assert_eq!(Who::of(5, quorum).to_string(), "p1");
        assert_eq!(serde_json::to_string(&Who::of(5, quorum)).expect("written"), r#"{"proposer":1}"#);
    }
}
