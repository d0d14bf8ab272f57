//! How much changes hands when an offer of the book is crossed, and which of the two stays.
//!
//! An offer of the book sells *wheat* for *sheep* at a price of n/d sheep for one wheat; the taker sends sheep and
//! receives wheat. Rounding favours whoever remains; the smaller of the two is always used up. **Source**: ledger
//! specification A.6.

use stellar_xdr::{Liabilities, Price};

use crate::arithmetic::{Round, multiply_divide, product, quotient};
use crate::error::Fault;

/// What a crossing is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Of an offer: a price more than 1 % off the agreed one is no trade.
    Normal,
    /// Of a payment that must deliver an exact amount.
    StrictReceive,
    /// Of a payment that must spend an exact amount.
    StrictSend,
}

/// The four limits of a crossing. **Units**: ten-millionths of the assets' units; none is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What the offer's owner can send.
    pub wheat_send: i64,
    /// What the taker can receive.
    pub wheat_receive: i64,
    /// What the taker can send.
    pub sheep_send: i64,
    /// What the offer's owner can receive.
    pub sheep_receive: i64,
}

/// What changes hands. **Units**: as [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// From the offer's owner to the taker.
    pub wheat: i64,
    /// From the taker to the offer's owner.
    pub sheep: i64,
    /// Whether the offer of the book is the larger of the two, so that the taker is done.
    pub wheat_stays: bool,
}

const OVERFLOW: Fault = Fault("an exchange left the range of its limits");
const PRICE_OFF: Fault = Fault("an exchange favours the side that leaves");

/// Crosses an offer.
///
/// **Errors**: [`Fault`] where the arithmetic above would be wrong; no input is known to give it.
pub fn exchange(price: &Price, limits: &Limits, rounding: Rounding) -> Result<Exchange, Fault> {
    within_price(price, exchange_at_any_price(price, limits, rounding)?, rounding)
}

/// What an offer of `amount` would sell and buy in all, whatever the error of its price.
///
/// **Errors**: as [`exchange`].
pub(crate) fn offer_liabilities(price: &Price, amount: i64) -> Result<Liabilities, Fault> {
    liabilities(price, Limits { wheat_send: amount, ..UNLIMITED })
}

/// What an offer would sell and buy in all that ends when it has bought `amount`.
///
/// **Errors**: as [`exchange`].
pub(crate) fn offer_liabilities_for(price: &Price, amount: i64) -> Result<Liabilities, Fault> {
    liabilities(price, Limits { sheep_receive: amount, ..UNLIMITED })
}

/// The amount of an offer that can be crossed as a whole by its owner's limits. Applied twice it changes nothing.
///
/// **Errors**: as [`exchange`].
pub fn adjust(price: &Price, sellable: i64, room: i64) -> Result<i64, Fault> {
    let limits = Limits { wheat_send: sellable, sheep_receive: room, ..UNLIMITED };
    Ok(exchange(price, &limits, Rounding::Normal)?.wheat)
}

const UNLIMITED: Limits =
    Limits { wheat_send: i64::MAX, wheat_receive: i64::MAX, sheep_send: i64::MAX, sheep_receive: i64::MAX };

fn liabilities(price: &Price, limits: Limits) -> Result<Liabilities, Fault> {
    let Exchange { wheat, sheep, .. } = exchange_at_any_price(price, &limits, Rounding::Normal)?;
    Ok(Liabilities { selling: wheat, buying: sheep })
}

fn exchange_at_any_price(price: &Price, limits: &Limits, rounding: Rounding) -> Result<Exchange, Fault> {
    let (n, d) = (i64::from(price.n), i64::from(price.d));
    // Both sizes are in sheep, times d.
    let book = product(limits.wheat_send, n).min(product(limits.sheep_receive, d));
    let taker = product(limits.sheep_send, d).min(product(limits.wheat_receive, n));
    let wheat_stays = book > taker;
    let size = book.min(taker);
    let wheat_is_dear = n > d;
    let (wheat, sheep) = if wheat_stays && rounding == Rounding::StrictSend {
        (whole(size, n)?, limits.sheep_send.min(limits.sheep_receive))
    } else if wheat_is_dear || (wheat_stays && rounding == Rounding::StrictReceive) {
        let wheat = whole(size, n)?;
        let round = if wheat_stays { Round::Up } else { Round::Down };
        (wheat, multiply_divide(wheat, n, d, round).ok_or(OVERFLOW)?)
    } else {
        let sheep = whole(size, d)?;
        let round = if wheat_stays { Round::Down } else { Round::Up };
        (multiply_divide(sheep, d, n, round).ok_or(OVERFLOW)?, sheep)
    };
    let fits = wheat <= limits.wheat_send.min(limits.wheat_receive)
        && sheep <= limits.sheep_send.min(limits.sheep_receive)
        && wheat >= 0
        && sheep >= 0;
    if fits { Ok(Exchange { wheat, sheep, wheat_stays }) } else { Err(OVERFLOW) }
}

fn whole(size: u128, by: i64) -> Result<i64, Fault> {
    quotient(size, product(by, 1), Round::Down).ok_or(OVERFLOW)
}

/// No trade rather than one whose rounding costs a side more than 1 %. In a payment, the book may be favoured without
/// bound: the payment's own limit decides.
fn within_price(price: &Price, exchange: Exchange, rounding: Rounding) -> Result<Exchange, Fault> {
    let Exchange { wheat, sheep, wheat_stays } = exchange;
    let nothing = Exchange { wheat: 0, sheep: 0, wheat_stays };
    if wheat == 0 || sheep == 0 {
        return match rounding {
            Rounding::StrictSend if sheep > 0 => Ok(exchange),
            Rounding::StrictSend => Err(PRICE_OFF),
            Rounding::Normal | Rounding::StrictReceive => Ok(nothing),
        };
    }
    let agreed = product(wheat, price.n.into());
    let paid = product(sheep, price.d.into());
    if (wheat_stays && paid < agreed) || (!wheat_stays && paid > agreed) {
        return Err(PRICE_OFF);
    }
    // A hundredth of what was agreed; products of i64, i32 and 100 fit.
    let near = agreed.abs_diff(paid).saturating_mul(100) <= agreed;
    match rounding {
        _ if near => Ok(exchange),
        Rounding::Normal => Ok(nothing),
        Rounding::StrictReceive | Rounding::StrictSend if paid > agreed => Ok(exchange),
        Rounding::StrictReceive | Rounding::StrictSend => Err(PRICE_OFF),
    }
}
