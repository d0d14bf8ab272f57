//! Converting one asset into another: over the offers of a book, or through a pool, whichever is better.
//!
//! The taker sends *sheep* and receives *wheat*. What offers and pools give and take is settled here; what the taker
//! gives and takes is the operation's to settle. **Source**: ledger specification A.6.

use std::cmp::Ordering;

use carat_types::PublicKey;
use stellar_xdr::{Asset, ClaimAtom, ClaimLiquidityAtom, ClaimOfferAtom, OfferEntry, Price};

use crate::arithmetic::product;
use crate::balances::{receivable, sellable, shift};
use crate::error::Fault;
use crate::exchange::{Exchange, Limits, Rounding, adjust, exchange};
use crate::operations::OperationError;
use crate::order_book::{self, Listed};
use crate::overlay::Overlay;
use crate::{liabilities, liquidity_pool, price, sponsorship};

/// Most offers that an operation may cross.
pub(crate) const CROSSINGS_MAX: usize = 1000;
/// From this version on, offers crossed in vain, because a pool was better, count as well.
const VERSION_COUNTING_VAIN_CROSSINGS: u32 = 27;

/// Who converts what, and within which limits.
pub(crate) struct Order<'a> {
    pub(crate) taker: &'a PublicKey,
    pub(crate) sheep: &'a Asset,
    pub(crate) wheat: &'a Asset,
    pub(crate) sheep_max: i64,
    pub(crate) wheat_max: i64,
    pub(crate) rounding: Rounding,
    /// The worst price that an offer of the taker accepts; none for a payment.
    pub(crate) limit: Option<PriceLimit>,
}

/// The worst price, in sheep for one wheat, at which an offer is crossed.
pub(crate) struct PriceLimit {
    pub(crate) price: Price,
    /// A passive offer does not cross an equal price.
    pub(crate) passive: bool,
}

/// What was converted.
pub(crate) struct Converted {
    pub(crate) sheep: i64,
    pub(crate) wheat: i64,
    /// What was crossed, in order.
    pub(crate) claims: Vec<ClaimAtom>,
    pub(crate) end: End,
}

/// Why a conversion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A limit of the taker is reached, or the last offer is larger than what was left.
    Complete,
    /// No more offers at the taker's price.
    Partial,
    /// The next offer is the taker's own.
    OwnOffer,
    /// The next offer would be one too many.
    TooMany,
}

/// Converts over the book or through a pool, each time entirely: the pool unless the book is strictly better. Offers
/// never use a pool. Takes what it crossed off `crossings_left`.
pub(crate) fn convert(
    ledger: &mut Overlay<'_>,
    order: &Order<'_>,
    crossings_left: &mut usize,
) -> Result<Converted, OperationError> {
    let quote = match order.rounding {
        Rounding::Normal => None,
        _ if *crossings_left == 0 => None,
        _ => liquidity_pool::quote(ledger, order)?,
    };
    let level = ledger.begin();
    let book = cross_book(ledger, order, *crossings_left)?;
    let crossed = book.claims.len();
    let Some(quote) = quote.filter(|quote| !is_better(&book, quote.sheep, quote.wheat)) else {
        ledger.commit(level);
        *crossings_left = crossings_left.saturating_sub(crossed);
        return Ok(book);
    };
    ledger.rollback(level);
    if ledger.totals().protocol_version >= VERSION_COUNTING_VAIN_CROSSINGS {
        if crossed >= *crossings_left {
            return Ok(Converted { sheep: 0, wheat: 0, claims: Vec::new(), end: End::TooMany });
        }
        *crossings_left = crossings_left.saturating_sub(crossed);
    }
    *crossings_left = crossings_left.saturating_sub(1);
    liquidity_pool::trade(ledger, order, &quote)?;
    let claim = ClaimAtom::LiquidityPool(ClaimLiquidityAtom {
        liquidity_pool_id: quote.pool,
        asset_sold: order.wheat.clone(),
        amount_sold: quote.wheat,
        asset_bought: order.sheep.clone(),
        amount_bought: quote.sheep,
    });
    Ok(Converted { sheep: quote.sheep, wheat: quote.wheat, claims: vec![claim], end: End::Complete })
}

/// Whether the book serves all of it, at a strictly better price than a pool.
fn is_better(book: &Converted, pool_sheep: i64, pool_wheat: i64) -> bool {
    book.end == End::Complete && product(pool_sheep, book.wheat) > product(pool_wheat, book.sheep)
}

/// Crosses offers, best first, until a limit ends it.
fn cross_book(
    ledger: &mut Overlay<'_>,
    order: &Order<'_>,
    crossings_max: usize,
) -> Result<Converted, OperationError> {
    let mut done = Converted { sheep: 0, wheat: 0, claims: Vec::new(), end: End::Complete };
    let (mut sheep_left, mut wheat_left) = (order.sheep_max, order.wheat_max);
    if sheep_left > 0 && wheat_left > 0 && crossings_max == 0 {
        done.end = End::TooMany;
    }
    while done.end == End::Complete && sheep_left > 0 && wheat_left > 0 {
        let best = order_book::best(ledger, order.wheat, order.sheep)?;
        let Some(listed) = best.filter(|listed| is_acceptable(&listed.offer, order.limit.as_ref())) else {
            done.end = End::Partial;
            break;
        };
        if PublicKey::from(&listed.offer.seller_id) == *order.taker {
            done.end = End::OwnOffer;
        } else if done.claims.len() >= crossings_max {
            done.end = End::TooMany;
        } else {
            let limits = (sheep_left, wheat_left);
            let (Exchange { wheat, sheep, wheat_stays }, stays) =
                cross(ledger, &listed, limits, order.rounding)?;
            done.sheep = done.sheep.saturating_add(sheep);
            done.wheat = done.wheat.saturating_add(wheat);
            sheep_left = sheep_left.saturating_sub(sheep);
            wheat_left = wheat_left.saturating_sub(wheat);
            done.claims.push(claim(&listed.offer, wheat, sheep));
            if wheat_stays {
                break;
            }
            if stays && sheep_left > 0 && wheat_left > 0 {
                done.end = End::Partial;
            }
        }
    }
    Ok(done)
}

fn is_acceptable(offer: &OfferEntry, limit: Option<&PriceLimit>) -> bool {
    limit.is_none_or(|PriceLimit { price, passive }| match price::compare(&offer.price, price) {
        Ordering::Less => true,
        Ordering::Equal => !passive,
        Ordering::Greater => false,
    })
}

fn claim(offer: &OfferEntry, wheat: i64, sheep: i64) -> ClaimAtom {
    ClaimAtom::OrderBook(ClaimOfferAtom {
        seller_id: offer.seller_id.clone(),
        offer_id: offer.offer_id,
        asset_sold: offer.selling.clone(),
        amount_sold: wheat,
        asset_bought: offer.buying.clone(),
        amount_bought: sheep,
    })
}

/// Crosses one offer and settles with its owner.
///
/// **Returns** what changes hands, and whether the offer stays in the book.
fn cross(
    ledger: &mut Overlay<'_>,
    listed: &Listed,
    (sheep_left, wheat_left): (i64, i64),
    rounding: Rounding,
) -> Result<(Exchange, bool), OperationError> {
    const UNSETTLED: Fault = Fault("an offer's owner cannot give or take what its offer promised");
    let Listed { offer, ext } = listed;
    let seller = PublicKey::from(&offer.seller_id);
    liabilities::release(ledger, offer)?;
    // An offer of the book is adjusted already; this is for states that have none such.
    let wheat_send = adjusted(ledger, offer, offer.amount)?;
    let limits = Limits {
        wheat_send: wheat_send.min(sellable(ledger, &seller, &offer.selling)?),
        wheat_receive: wheat_left,
        sheep_send: sheep_left,
        sheep_receive: receivable(ledger, &seller, &offer.buying)?,
    };
    let exchanged = exchange(&offer.price, &limits, rounding)?;
    for (asset, by) in [(&offer.buying, exchanged.sheep), (&offer.selling, exchanged.wheat.saturating_neg())]
    {
        if by != 0 && !shift(ledger, &seller, asset, by)? {
            return Err(UNSETTLED.into());
        }
    }
    let rest = match exchanged.wheat_stays {
        true => adjusted(ledger, offer, wheat_send.saturating_sub(exchanged.wheat))?,
        false => 0,
    };
    if rest == 0 {
        order_book::remove(ledger, offer)?;
        let sponsor = sponsorship::sponsor_in(ext);
        sponsorship::release_subentry(ledger, &seller, sponsor.as_ref(), 1)?;
    } else {
        order_book::set_amount(ledger, offer, rest)?;
        liabilities::acquire(ledger, &OfferEntry { amount: rest, ..offer.clone() })?;
    }
    Ok((exchanged, rest != 0))
}

/// The amount of an offer that its owner's balances allow.
fn adjusted(ledger: &mut Overlay<'_>, offer: &OfferEntry, amount: i64) -> Result<i64, OperationError> {
    let seller = PublicKey::from(&offer.seller_id);
    let sellable = amount.min(sellable(ledger, &seller, &offer.selling)?);
    let room = receivable(ledger, &seller, &offer.buying)?;
    Ok(adjust(&offer.price, sellable, room)?)
}
