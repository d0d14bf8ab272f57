//! Who asks.

use carat_types::PublicKey;

/// Who asks, as far as it matters for what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody from whom nothing is withheld: anybody on an open network, an auditor on a members' network.
    Everything,
    /// An operator: the health of the network, not its business.
    Operator,
    /// The holder of an account on a members' network.
    Holder {
        /// The account that logged in.
        account: PublicKey,
        /// Whether it is a member bank's: then the accounts that it created are its own as well.
        is_member: bool,
    },
    /// Somebody who has not logged in, where a login begins.
    Nobody,
}
