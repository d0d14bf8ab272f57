//! An offer in the book.

use serde::Serialize;
use serde_json::{Value, json};
use stellar_xdr::{LedgerEntry, LedgerEntryData};

use crate::format;
use crate::links::{Link, Links};
use crate::resources::fields;
use crate::visibility::Seen;

/// An offer.
#[derive(Clone, Debug, Serialize)]
pub struct Offer {
    #[serde(rename = "_links")]
    links: OfferLinks,
    id: String,
    paging_token: String,
    seller: String,
    selling: Value,
    buying: Value,
    amount: String,
    price_r: Value,
    price: String,
    last_modified_ledger: u32,
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct OfferLinks {
    #[serde(rename = "self")]
    this: Link,
    offer_maker: Link,
}

impl Offer {
    /// Its place in lists.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The offer; `modified_ms` is when it last changed, where that is known.
    ///
    /// **Returns** `None` if the entry given is no offer.
    pub fn new(links: &Links, entry: &Seen<LedgerEntry>, modified_ms: Option<u64>) -> Option<Self> {
        let LedgerEntryData::Offer(offer) = &entry.data else { return None };
        let (id, seller) = (offer.offer_id.to_string(), offer.seller_id.to_string());
        Some(Offer {
            links: OfferLinks {
                this: links.to(format!("/offers/{id}")),
                offer_maker: links.to(format!("/accounts/{seller}")),
            },
            paging_token: id.clone(),
            id,
            seller,
            selling: fields::asset_object(&offer.selling),
            buying: fields::asset_object(&offer.buying),
            amount: format::amount(offer.amount),
            price_r: json!({ "n": offer.price.n, "d": offer.price.d }),
            price: format::price(offer.price.n, offer.price.d),
            last_modified_ledger: entry.last_modified_ledger_seq,
            last_modified_time: modified_ms.map(format::time),
            sponsor: fields::sponsor(entry),
        })
    }
}
