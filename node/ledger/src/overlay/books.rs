//! Order books as a block sees them: what the state has, read page by page, with the block's own changes.
//!
//! The state is one moment, so what was read once stays right; only the block's changes come on top.

use std::collections::BTreeMap;

use carat_types::PublicKey;

use super::Overlay;
use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::{BookPlace, StateKey};

/// Offers that are read from the state at a time. A crossing takes one or two.
const PAGE: usize = 8;

/// Rank of the price, and id: the order inside a book.
type Position = (u64, i64);

/// Books by what their keys begin with.
#[derive(Default)]
pub(super) struct Books(BTreeMap<Vec<u8>, Book>);

#[derive(Default)]
struct Book {
    /// Who sells, for all offers up to where the state was read, and those of the block behind.
    offers: BTreeMap<Position, PublicKey>,
    read: Read,
}

/// How far a book was read from the state.
#[derive(Default)]
enum Read {
    #[default]
    Nothing,
    To(Position, Vec<u8>),
    All,
}

impl Books {
    /// Notes that the offer at this place appeared or went.
    pub(super) fn note(&mut self, place: &BookPlace, seller: Option<&StateValue>) {
        let book = self.0.entry(StateKey::book_prefix(&place.selling, Some(&place.buying))).or_default();
        let position = (place.rank, place.offer_id);
        match seller {
            Some(StateValue::Seller(seller)) => book.offers.insert(position, *seller),
            _ => book.offers.remove(&position),
        };
    }
}

impl Overlay<'_> {
    /// The best offer that sells the one asset for the other: who sells, and its id.
    pub(crate) fn best_offer(
        &mut self,
        selling: &stellar_xdr::Asset,
        buying: &stellar_xdr::Asset,
    ) -> Result<Option<(PublicKey, i64)>, StateError> {
        let prefix = StateKey::book_prefix(selling, Some(buying));
        loop {
            let book = self.books.0.entry(prefix.clone()).or_default();
            let first = book.offers.first_key_value().map(|(position, seller)| (*position, *seller));
            let after = match (&book.read, first) {
                (Read::All, first) => return Ok(first.map(|((_, id), seller)| (seller, id))),
                (Read::To(end, _), Some((position, seller))) if position <= *end => {
                    return Ok(Some((seller, position.1)));
                }
                (Read::To(_, key), _) => Some(key.clone()),
                (Read::Nothing, _) => None,
            };
            self.read_page(&prefix, after)?;
        }
    }

    fn read_page(&mut self, prefix: &[u8], after: Option<Vec<u8>>) -> Result<(), StateError> {
        let page = self.state.scan(prefix, after.as_deref(), PAGE)?;
        let mut read = Read::All;
        let complete = page.len() < PAGE;
        let mut found = Vec::with_capacity(page.len());
        for (bytes, value) in page {
            let key = StateKey::from_bytes(&bytes)?;
            let value = StateValue::from_bytes(&key, &value)?;
            let (StateKey::Book(place), StateValue::Seller(seller)) = (&key, value) else {
                return Err(StateError::Inconsistent("an order book holds what is no offer"));
            };
            let position = (place.rank, place.offer_id);
            // What the block has touched is noted already, or gone.
            if !self.is_loaded(&key) {
                found.push((position, seller));
            }
            if !complete {
                read = Read::To(position, bytes);
            }
        }
        let book = self.books.0.entry(prefix.to_vec()).or_default();
        book.offers.extend(found);
        book.read = read;
        Ok(())
    }
}
