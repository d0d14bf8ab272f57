//! Who sees what: the one place that decides, and the one way from a node's data to an answer.
//!
//! On an open network everybody who reaches a node sees everything. On a members' network a request has a viewer
//! (`gate`), a record has stakeholders (`stakeholders`, pure), and a viewer sees a record if one of these is its own
//! account or, for a member bank, an account that the bank created. What it may not see is not there: the same 404,
//! the same empty list. **Source**: docs/privacy.md, which says for each kind of record who its stakeholders are.
//!
//! **Invariant**: shapes (`resources`) are made of [`Seen`] records alone, and only [`View`] makes these. A route that
//! forgot to ask cannot be written.

pub(crate) mod gate;
mod lists;
mod objects;
mod payments;
mod proofs;
mod stakeholders;
mod submissions;
mod viewer;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use carat_types::PublicKey;

use crate::port::{Node, NodeError};
use crate::problem::Problem;
pub(crate) use lists::Part;
pub(crate) use objects::{SeenAccount, SeenAsset, SeenOperation};
pub use submissions::of_submission;
pub use viewer::Viewer;

/// A record that its viewer may see.
#[derive(Clone, Debug)]
pub struct Seen<T>(T);

impl<T> Deref for Seen<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The node's data as one viewer sees them, for the time of one read.
pub(crate) struct View<'n> {
    node: &'n dyn Node,
    viewer: &'n Viewer,
    /// Accounts of which it is known whether they are the viewer's own.
    own: RefCell<BTreeMap<PublicKey, bool>>,
}

impl<'n> View<'n> {
    pub(crate) fn new(node: &'n dyn Node, viewer: &'n Viewer) -> Self {
        View { node, viewer, own: RefCell::default() }
    }

    /// The node itself, for what concerns nobody: the network's facts, the height, the state of the index.
    pub(crate) fn node(&self) -> &'n dyn Node {
        self.node
    }

    /// Whether nothing is withheld.
    pub(crate) fn sees_everything(&self) -> bool {
        matches!(self.viewer, Viewer::Everything)
    }

    /// Whether the account is the viewer's own, or was created by the viewer, a member bank.
    ///
    /// **Errors**: the state cannot be read.
    pub(crate) fn owns(&self, account: &PublicKey) -> Result<bool, NodeError> {
        let Viewer::Holder { account: own, is_member } = self.viewer else {
            return Ok(self.sees_everything());
        };
        if account == own || !is_member {
            return Ok(account == own);
        }
        if let Some(known) = self.own.borrow().get(account) {
            return Ok(*known);
        }
        let owns = self.node.bank_of(account)? == Some(*own);
        self.own.borrow_mut().insert(*account, owns);
        Ok(owns)
    }

    /// Whether one of the accounts is the viewer's.
    fn owns_any(&self, accounts: &BTreeSet<PublicKey>) -> Result<bool, Problem> {
        for account in accounts {
            if self.owns(account)? {
                return Ok(true);
            }
        }
        Ok(self.sees_everything())
    }
}
