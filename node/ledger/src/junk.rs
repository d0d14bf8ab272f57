//! What a leader put into a block although it can never have been valid. **Source**: consensus specification, section 14.

use carat_types::PublicKey;
use stellar_xdr::TransactionResultCode;

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::state::StateRead;
use crate::trim::{DropReason, Dropped};
use crate::validity;

impl Dropped {
    /// Whether it was dropped for a signature that was invalid at the start of the block *and* when ledger `since` was
    /// closed: every account that it acts for is as it was then. So no client can have caused it by changing its
    /// signers in flight, and a leader that admits what it proposes would have refused it.
    ///
    /// An account that has changed since, for whatever reason, speaks for the leader. `state` is that before the block.
    ///
    /// **Errors**: [`StateError`].
    pub fn was_never_signed(&self, state: &dyn StateRead, since: u32) -> Result<bool, StateError> {
        use TransactionResultCode::{TxBadAuth, TxBadAuthExtra};
        if !matches!(self.reason, DropReason::Invalid(TxBadAuth | TxBadAuthExtra)) {
            return Ok(false);
        }
        let mut accounts = validity::acting_accounts(&self.transaction);
        accounts.push(self.transaction.fee_source());
        for account in &accounts {
            if !is_unchanged(state, account, since)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_unchanged(state: &dyn StateRead, account: &PublicKey, since: u32) -> Result<bool, StateError> {
    let key = StateKey::account(account);
    let Some(bytes) = state.get(&key.to_bytes())? else { return Ok(false) };
    match StateValue::from_bytes(&key, &bytes)? {
        StateValue::Ledger(entry) => Ok(entry.last_modified_ledger_seq < since),
        _ => Ok(false),
    }
}
