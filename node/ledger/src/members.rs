//! Members of the consortium: who may create accounts, and which accounts are suspended.
//!
//! **Source**: ledger specification 0.5. All of it is state, so that execution stays a function of state alone.

use carat_types::PublicKey;
use stellar_xdr::{AccountId, String64, StringM};

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;
use crate::overlay::Overlay;

/// A member suspends an account that it created by a data entry of this name before the account's address.
const DENY: &str = "deny:";

/// Whether the account is a member's.
pub(crate) fn is_member(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<bool, StateError> {
    Ok(ledger.totals().has_members() && ledger.get(&StateKey::Member(*id))?.is_some())
}

/// Whether the account may be the source of CreateAccount: a member, or created by one, where that is asked.
pub(crate) fn may_create_accounts(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<bool, StateError> {
    if !ledger.totals().admission_restricted() {
        return Ok(true);
    }
    Ok(is_member(ledger, id)? || creator(ledger, id)?.is_some())
}

/// Whether the member that created the account has suspended it.
pub(crate) fn is_suspended(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<bool, StateError> {
    if !ledger.totals().has_members() {
        return Ok(false);
    }
    let Some(member) = creator(ledger, id)? else { return Ok(false) };
    let name = format!("{DENY}{}", AccountId::from(*id));
    // 61 characters always fit.
    let Ok(name) = StringM::try_from(name.into_bytes()) else { return Ok(false) };
    Ok(ledger.get(&StateKey::data(&member, &String64(name)))?.is_some())
}

fn creator(ledger: &mut Overlay<'_>, id: &PublicKey) -> Result<Option<PublicKey>, StateError> {
    Ok(match ledger.get(&StateKey::Creator(*id))? {
        Some(StateValue::Creator(member)) => Some(*member),
        _ => None,
    })
}
