//! Every behaviour of four acceptors at one slot, within stated bounds: the real consensus core, explored to the end by
//! the model checker `stateright`. `docs/testing.md` says how to use it.
//!
//! **Real** is what an acceptor does: each one is a `Replica` of `node/consensus`, fed with signed messages, and everything that it
//! votes, commits, reports in its VIEW-CHANGE, takes from a NEW-VIEW, decides, refuses or panics at comes out of `Replica::handle`.
//! **Model** is the world around them: an asynchronous network that may withhold anything for ever ([`model`]), proposers
//! that all lie, one Byzantine acceptor that signs whatever helps ([`liar`]), and a judge that counts signed votes by its
//! own code ([`judge`]).
//!
//! Three reductions keep it finite, each of which takes nothing away that matters to safety:
//!
//! 1. *View by view.* What an acceptor says in view v depends on messages of views up to v alone, and it says nothing in v
//!    once it has left. So everything of view v may be put before everything of v + 1. In each view every acceptor enters
//!    (or not), votes (or not), hears votes (or not), and leaves.
//! 2. *What was heard stays unheard until it matters.* A vote may be delivered again; so the acceptor that has heard less can do
//!    all that the one that heard more can. A certificate's signers do not matter, only its view and value.
//! 3. *A NEW-VIEW is what `choose` makes of it.* Of all sets of VIEW-CHANGEs with one answer, one is delivered.
//!
//! An acceptor that crashes is one that does nothing more, so crashes are among the behaviours. Reading order: [`world`],
//! [`acceptor`], [`liar`], [`model`], [`judge`], [`explore`], [`bugs`].

pub mod acceptor;
pub mod bugs;
pub mod explore;
pub mod judge;
pub mod liar;
pub mod model;
pub mod world;
