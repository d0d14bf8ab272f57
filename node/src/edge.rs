//! What the settings of an edge network's processes may not say. **Source**: consensus specification, section 1; decision record 55.
//!
//! Under FAST the network rests on acceptors that nobody breaks into, and for that on acceptors that no client reaches. So a setting that
//! would open a door for clients there is refused, never left unheard.

use std::path::Path;

use crate::error::NodeError;
use crate::home::Place;
use crate::role::Role;
use crate::settings::{Effective, Settings, SettingsError};

/// Sections of the doors through which clients and followers come.
const DOORS: [&str; 4] = ["api.", "entrance.", "bank.", "followers."];
/// What a proposer's home cannot have: its key is in a file, and it serves clients alone.
const NOT_OF_PROPOSERS: [&str; 4] =
    ["validator.signer", "validator.signer_key", "validator.token.", "followers."];

/// Checks the settings of the home `folder` for what this process does.
///
/// **Errors**: a setting of another role, by its name, with where it comes from.
pub(crate) fn check(folder: &Path, place: &Place) -> Result<(), NodeError> {
    let role = Role::of(place.epochs.validators(), place.seat.identity.validator);
    let (refused, expected): (&[&str], _) = match role {
        Role::Validator | Role::Follower => return Ok(()),
        Role::Acceptor => (
            &DOORS,
            "nothing at an acceptor of an edge network, which no client may reach (hint: take it out; clients and their settings \
             belong to the proposers)",
        ),
        Role::Proposer => (
            &NOT_OF_PROPOSERS,
            "nothing at a proposer of an edge network, which has its keys in files and serves no followers (hint: take it out)",
        ),
    };
    match Settings::effective(folder)?.iter().find(|setting| is_refused(setting, refused)) {
        None => Ok(()),
        Some(Effective { key, value, origin }) => {
            let reason = format!("{key} is {value} by {origin}, expected {expected}");
            Err(SettingsError::Invalid { path: place.settings.path.clone(), reason }.into())
        }
    }
}

/// Whether somebody set it, in one of these sections or by one of these names.
fn is_refused(setting: &Effective, refused: &[&str]) -> bool {
    let named = |name: &&str| match name.ends_with('.') {
        true => setting.key.starts_with(name),
        false => setting.key == *name,
    };
    setting.origin != Effective::DEFAULT && refused.iter().any(named)
}
