//! Which ways to pay are asked for, and their search on a state.

use carat_ledger::path::{self, Bounds};
use carat_ledger::{StateError, StateRead};
use carat_types::PublicKey;
use stellar_xdr::Asset;

pub use carat_ledger::path::Found;

/// A search for ways to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathQuery {
    /// What an amount could become.
    Send {
        /// What is sent. **Units**: ten-millionths of the asset's unit.
        source: (Asset, i64),
        /// What it may become.
        to: PathEnd,
    },
    /// What could become an amount.
    Receive {
        /// What may be sent.
        from: PathEnd,
        /// What arrives. **Units**: ten-millionths of the asset's unit.
        destination: (Asset, i64),
    },
}

/// The open end of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// What an account can hold or, at the source, has.
    Account(PublicKey),
    /// Any of these.
    Assets(Vec<Asset>),
}

/// Searches on `state`. None if the account in the query does not exist.
///
/// **Errors**: the state cannot be read.
pub fn search(state: &impl StateRead, query: &PathQuery) -> Result<Option<Found>, StateError> {
    let bounds = Bounds::default();
    let holdings = |account: &PublicKey| {
        let held = path::holdings(state, account)?;
        // An account holds the coin at least.
        Ok(Some(held).filter(|held| !held.is_empty()))
    };
    match query {
        PathQuery::Send { source: (asset, amount), to } => {
            let assets = match to {
                PathEnd::Assets(assets) => Some(assets.clone()),
                PathEnd::Account(account) => {
                    holdings(account)?.map(|held| held.into_iter().map(|holding| holding.asset).collect())
                }
            };
            let Some(assets) = assets else { return Ok(None) };
            path::strict_send(state, asset, *amount, &assets, &bounds).map(Some)
        }
        PathQuery::Receive { from, destination: (asset, amount) } => {
            let (payer, sources) = match from {
                PathEnd::Assets(assets) => {
                    (None, Some(assets.iter().map(|asset| (asset.clone(), i64::MAX)).collect::<Vec<_>>()))
                }
                PathEnd::Account(account) => {
                    let held = holdings(account)?;
                    let sources =
                        held.map(|held| held.into_iter().map(|own| (own.asset, own.available)).collect());
                    (Some(account), sources)
                }
            };
            let Some(sources) = sources else { return Ok(None) };
            path::strict_receive(state, payer, &sources, asset, *amount, &bounds).map(Some)
        }
    }
}
