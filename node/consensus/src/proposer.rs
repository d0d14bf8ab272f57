//! Proposers that are processes of their own, without a vote: the edge deployment. **Source**: consensus specification,
//! sections 1 (deployments), 4 (J7) and 10 (r = n_p); decision record 51.
//!
//! An edge proposer is a replica that has no place among the acceptors. It hears what they say, and so knows what is final,
//! which view the network is in and how the log of that view goes on; it catches up, executes and serves blocks as they do. When
//! its view comes it makes the NEW-VIEW of q VIEW-CHANGEs and proposes, both by the code that a validator's proposer runs
//! (`view_change`, `leader`). Three things it never does: it signs nothing as an acceptor (I11, in `say`); it leaves no view
//! before an acceptor that is correct has (T4); it journals no votes, for it casts none. Its journal holds the view (J1, J2), the
//! checkpoint (J6) and what it may have led (J7).
//!
//! An acceptor of an edge network is a replica that has no place among the proposers: it leads no view.

use carat_types::message::SignerRole;
use carat_types::{ValidatorId, View};

use crate::normal::Castable;
use crate::replica::Replica;

impl Replica {
    /// The own place in a role; none without one.
    pub(crate) fn place(&self, role: SignerRole) -> Option<ValidatorId> {
        self.config.validators.place(self.config.me, role)
    }

    /// Whether this replica is an acceptor.
    pub(crate) fn has_vote(&self) -> bool {
        self.place(SignerRole::Acceptor).is_some()
    }

    /// Whether a process is an acceptor: at most f of those lie.
    pub(crate) fn is_acceptor(&self, process: ValidatorId) -> bool {
        self.config.validators.place(process, SignerRole::Acceptor).is_some()
    }

    /// Whether the own proposer leads the view.
    pub(crate) fn leads(&self, view: View) -> bool {
        self.place(SignerRole::Proposer) == Some(self.leader_of(view))
    }

    /// Where an acceptor would vote: takes the value as the next of the view's log, on whose prefix the next one is proposed.
    /// It is no vote: nothing is journaled or said, and after a restart none of it is left.
    pub(crate) fn follow(&mut self, castable: Castable) {
        let ballot = self.ballot_of(&castable);
        self.take_next(ballot, castable.justification);
    }
}
