//! Offers and the lists that they stand in: the book of their pair, best first, and their ids.
//!
//! A book is a run of state entries in the order of their keys, so that the best offer is the first key of its
//! book, on every store and in every snapshot. **Source**: ledger specification A.6.

use carat_types::PublicKey;
use stellar_xdr::{Asset, LedgerEntryData, LedgerEntryExt, OfferEntry};

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::{BookPlace, StateKey};
use crate::overlay::Overlay;
use crate::price;

const NO_OFFER: StateError = StateError::Inconsistent("an order book lists an offer that is not there");

/// An offer with what its entry says of its sponsor.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) offer: OfferEntry,
    pub(crate) ext: LedgerEntryExt,
}

/// The name of an offer.
pub(crate) fn key(offer: &OfferEntry) -> StateKey {
    StateKey::offer(&PublicKey::from(&offer.seller_id), offer.offer_id)
}

/// The best offer that sells the one asset for the other.
pub(crate) fn best(
    ledger: &mut Overlay<'_>,
    selling: &Asset,
    buying: &Asset,
) -> Result<Option<Listed>, StateError> {
    match ledger.best_offer(selling, buying)? {
        None => Ok(None),
        Some((seller, id)) => find(ledger, &seller, id)?.ok_or(NO_OFFER).map(Some),
    }
}

/// An offer by its owner and id.
pub(crate) fn find(
    ledger: &mut Overlay<'_>,
    seller: &PublicKey,
    offer_id: i64,
) -> Result<Option<Listed>, StateError> {
    match ledger.get(&StateKey::offer(seller, offer_id))? {
        None => Ok(None),
        Some(value) => match (value, value.as_offer()) {
            (StateValue::Ledger(entry), Some(offer)) => {
                Ok(Some(Listed { offer: offer.clone(), ext: entry.ext.clone() }))
            }
            _ => Err(NO_OFFER),
        },
    }
}

/// Puts an offer in its book.
pub(crate) fn insert(
    ledger: &mut Overlay<'_>,
    offer: OfferEntry,
    ext: LedgerEntryExt,
) -> Result<(), StateError> {
    let seller = PublicKey::from(&offer.seller_id);
    ledger.put(&StateKey::Book(place(&offer)), StateValue::Seller(seller))?;
    ledger.put(&StateKey::OfferSeller(offer.offer_id), StateValue::Seller(seller))?;
    ledger.create(&key(&offer), LedgerEntryData::Offer(offer), ext)
}

/// Takes an offer off its book. Its reserve and liabilities are the caller's to release.
pub(crate) fn remove(ledger: &mut Overlay<'_>, offer: &OfferEntry) -> Result<(), StateError> {
    ledger.remove(&StateKey::Book(place(offer)))?;
    ledger.remove(&StateKey::OfferSeller(offer.offer_id))?;
    ledger.remove(&key(offer))
}

/// Sets the amount of an offer that stays where it is.
pub(crate) fn set_amount(
    ledger: &mut Overlay<'_>,
    offer: &OfferEntry,
    amount: i64,
) -> Result<(), StateError> {
    match ledger.entry_mut(&key(offer))?.map(|entry| &mut entry.data) {
        Some(LedgerEntryData::Offer(offer)) => {
            offer.amount = amount;
            Ok(())
        }
        _ => Err(NO_OFFER),
    }
}

fn place(offer: &OfferEntry) -> BookPlace {
    BookPlace {
        selling: offer.selling.clone(),
        buying: offer.buying.clone(),
        rank: price::rank(&offer.price),
        offer_id: offer.offer_id,
    }
}
