//! ManageSellOffer, ManageBuyOffer and CreatePassiveSellOffer: offers to trade one asset for another.
//!
//! The source sells *sheep* for *wheat*. What the book has at its price or better is traded at once; what is left
//! of the offer is put in the book. **Source**: ledger specification A.6.

use stellar_xdr::{
    Asset, ClaimAtom, CreatePassiveSellOfferOp, LedgerEntryExt, ManageBuyOfferOp, ManageBuyOfferResult,
    ManageOfferSuccessResult, ManageOfferSuccessResultOffer, ManageSellOfferOp, ManageSellOfferResult,
    OfferEntry, OfferEntryExt, OfferEntryFlags, OperationResult, OperationResultTr, Price,
};

use super::{Context, NO_SOURCE, Outcome};
use crate::balances::{receivable, sellable, shift};
use crate::crossing::{CROSSINGS_MAX, Converted, End, Order, PriceLimit, convert};
use crate::entry::{StateValue, Totals};
use crate::error::{Fault, StateError};
use crate::exchange::{Rounding, adjust, offer_liabilities, offer_liabilities_for};
use crate::key::StateKey;
use crate::operations::OperationError;
use crate::order_book::{self, Listed};
use crate::reserves;
use crate::sponsorship;
use crate::{asset, liabilities, price};

#[expect(clippy::cast_sign_loss, reason = "the flag of the wire format is 1")]
const PASSIVE: u32 = OfferEntryFlags::PassiveFlag as i32 as u32;

/// An operation on an offer, of whichever of the three kinds.
pub(super) struct Terms<'a> {
    sheep: &'a Asset,
    wheat: &'a Asset,
    /// Wheat for one sheep.
    price: Price,
    /// 0 for a new offer.
    offer_id: i64,
    size: Size,
    /// For a new offer.
    passive: bool,
    /// Which kind of result it has.
    buys: bool,
}

/// What bounds an offer.
#[derive(Clone, Copy)]
enum Size {
    /// It sells so many sheep.
    Sheep(i64),
    /// It buys so much wheat.
    Wheat(i64),
}

/// The failures of the three, by their common names.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Malformed,
    SellNoTrust,
    BuyNoTrust,
    SellNotAuthorized,
    BuyNotAuthorized,
    LineFull,
    Underfunded,
    CrossSelf,
    NotFound,
    LowReserve,
}

pub(super) fn sell(op: &ManageSellOfferOp) -> Terms<'_> {
    Terms {
        sheep: &op.selling,
        wheat: &op.buying,
        price: op.price.clone(),
        offer_id: op.offer_id,
        size: Size::Sheep(op.amount),
        passive: false,
        buys: false,
    }
}

/// Its result is of the kind of ManageSellOffer, as the wire format's network has it.
pub(super) fn passive(op: &CreatePassiveSellOfferOp) -> Terms<'_> {
    Terms {
        sheep: &op.selling,
        wheat: &op.buying,
        price: op.price.clone(),
        offer_id: 0,
        size: Size::Sheep(op.amount),
        passive: true,
        buys: false,
    }
}

pub(super) fn buy(op: &ManageBuyOfferOp) -> Terms<'_> {
    Terms {
        sheep: &op.selling,
        wheat: &op.buying,
        price: price::inverse(&op.price),
        offer_id: op.offer_id,
        size: Size::Wheat(op.buy_amount),
        passive: false,
        buys: true,
    }
}

pub(super) fn check(terms: &Terms<'_>) -> Result<(), OperationError> {
    let (Size::Sheep(amount) | Size::Wheat(amount)) = terms.size;
    let well_formed = asset::is_valid(terms.sheep)
        && asset::is_valid(terms.wheat)
        && terms.sheep != terms.wheat
        && amount >= 0
        && price::is_valid(&terms.price)
        && terms.offer_id >= 0
        && !(terms.offer_id == 0 && amount == 0);
    if well_formed { Ok(()) } else { Err(terms.failure(Failure::Malformed)) }
}

pub(super) fn apply(context: &mut Context<'_, '_>, terms: &Terms<'_>) -> Outcome {
    if !terms.deletes() {
        check_lines(context, terms)?;
    }
    let Start { flags, ext } = begin(context, terms)?;
    let mut traded = Traded { claims: Vec::new(), rest: 0 };
    if !terms.deletes() {
        traded = trade(context, terms, flags & PASSIVE != 0)?;
    }
    let offer = finish(context, terms, traded.rest, flags, ext)?;
    let offers_claimed =
        traded.claims.try_into().map_err(|_| StateError::Inconsistent("too many offers were crossed"))?;
    Ok(terms.success(ManageOfferSuccessResult { offers_claimed, offer }))
}

/// An order is that both assets can be held, and the sold one is there and may be sold.
fn check_lines(context: &mut Context<'_, '_>, terms: &Terms<'_>) -> Result<(), OperationError> {
    let Context { ledger, source, .. } = context;
    let is_held = |asset: &Asset| *asset != Asset::Native && asset::issuer(asset) != Some(*source);
    if is_held(terms.sheep) {
        let Some(line) = ledger.trustline(source, terms.sheep)? else {
            return Err(terms.failure(Failure::SellNoTrust));
        };
        if line.balance == 0 {
            return Err(terms.failure(Failure::Underfunded));
        }
        if !reserves::is_authorized(line) {
            return Err(terms.failure(Failure::SellNotAuthorized));
        }
    }
    if is_held(terms.wheat) {
        let Some(line) = ledger.trustline(source, terms.wheat)? else {
            return Err(terms.failure(Failure::BuyNoTrust));
        };
        if !reserves::is_authorized(line) {
            return Err(terms.failure(Failure::BuyNotAuthorized));
        }
    }
    Ok(())
}

/// What of the offer is fixed before it trades.
struct Start {
    flags: u32,
    ext: LedgerEntryExt,
}

/// Takes the old offer off the book, or the reserve for a new one.
fn begin(context: &mut Context<'_, '_>, terms: &Terms<'_>) -> Result<Start, OperationError> {
    let sponsor = context.sponsor_of_source();
    let Context { ledger, source, .. } = context;
    if terms.offer_id == 0 {
        let flags = if terms.passive { PASSIVE } else { 0 };
        return match sponsorship::add_subentry(ledger, source, sponsor.as_ref(), 1)? {
            Ok(ext) => Ok(Start { flags, ext }),
            Err(refusal) => Err(super::refused(refusal, terms.failure(Failure::LowReserve))),
        };
    }
    let Some(Listed { offer, ext }) = order_book::find(ledger, source, terms.offer_id)? else {
        return Err(terms.failure(Failure::NotFound));
    };
    liabilities::release(ledger, &offer)?;
    order_book::remove(ledger, &offer)?;
    Ok(Start { flags: offer.flags, ext })
}

/// What trading led to.
struct Traded {
    claims: Vec<ClaimAtom>,
    /// The amount that is left for the book.
    rest: i64,
}

fn trade(context: &mut Context<'_, '_>, terms: &Terms<'_>, passive: bool) -> Result<Traded, OperationError> {
    let (sheep_max, wheat_max) = limits(context, terms)?;
    let order = Order {
        taker: &context.source,
        sheep: terms.sheep,
        wheat: terms.wheat,
        sheep_max,
        wheat_max,
        rounding: Rounding::Normal,
        limit: Some(PriceLimit { price: price::inverse(&terms.price), passive }),
    };
    let mut crossings_left = CROSSINGS_MAX;
    let Converted { sheep, wheat, claims, end } = convert(context.ledger, &order, &mut crossings_left)?;
    match end {
        End::Complete | End::Partial => {}
        End::OwnOffer => return Err(terms.failure(Failure::CrossSelf)),
        End::TooMany => return Err(OperationError::failed(OperationResult::OpExceededWorkLimit)),
    }
    settle(context, terms, sheep, wheat)?;
    if end == End::Complete {
        return Ok(Traded { claims, rest: 0 });
    }
    let Context { ledger, source, .. } = context;
    let mut sellable = sellable(ledger, source, terms.sheep)?;
    let mut room = receivable(ledger, source, terms.wheat)?;
    match terms.size {
        Size::Sheep(amount) => sellable = sellable.min(amount.saturating_sub(sheep)),
        Size::Wheat(amount) => room = room.min(amount.saturating_sub(wheat)),
    }
    Ok(Traded { claims, rest: adjust(&terms.price, sellable, room)? })
}

/// How many sheep can be sent and how much wheat received. The offer as a whole must fit in what its owner has.
fn limits(context: &mut Context<'_, '_>, terms: &Terms<'_>) -> Result<(i64, i64), OperationError> {
    let Context { ledger, source, .. } = context;
    let needed = match terms.size {
        Size::Sheep(amount) => offer_liabilities(&terms.price, amount),
        Size::Wheat(amount) => offer_liabilities_for(&terms.price, amount),
    }?;
    let (sheep_max, wheat_max) =
        (sellable(ledger, source, terms.sheep)?, receivable(ledger, source, terms.wheat)?);
    if wheat_max < needed.buying {
        return Err(terms.failure(Failure::LineFull));
    }
    // Below its reserve, an account can sell nothing at all, not even an offer that rounds to nothing.
    if sheep_max < needed.selling || is_below_reserve(context, terms.sheep)? {
        return Err(terms.failure(Failure::Underfunded));
    }
    if wheat_max == 0 {
        return Err(terms.failure(Failure::LineFull));
    }
    Ok(match terms.size {
        Size::Sheep(amount) => (sheep_max.min(amount), wheat_max),
        Size::Wheat(amount) => (sheep_max, wheat_max.min(amount)),
    })
}

fn is_below_reserve(context: &mut Context<'_, '_>, sheep: &Asset) -> Result<bool, StateError> {
    let base_reserve = context.ledger.totals().base_reserve;
    let account = context.ledger.account(&context.source)?.ok_or(NO_SOURCE)?;
    Ok(*sheep == Asset::Native && reserves::available(account, base_reserve) < 0)
}

/// Gives the source what it bought and takes what it sold.
fn settle(
    context: &mut Context<'_, '_>,
    terms: &Terms<'_>,
    sheep: i64,
    wheat: i64,
) -> Result<(), OperationError> {
    const UNSETTLED: Fault =
        Fault("an offer took more than its owner has, or gave more than it has room for");
    let Context { ledger, source, .. } = context;
    if wheat > 0
        && !(shift(ledger, source, terms.wheat, wheat)?
            && shift(ledger, source, terms.sheep, sheep.saturating_neg())?)
    {
        return Err(UNSETTLED.into());
    }
    Ok(())
}

/// Puts in the book what is left, or gives back the reserve.
fn finish(
    context: &mut Context<'_, '_>,
    terms: &Terms<'_>,
    rest: i64,
    flags: u32,
    ext: LedgerEntryExt,
) -> Result<ManageOfferSuccessResultOffer, OperationError> {
    let Context { ledger, source, .. } = context;
    if rest <= 0 {
        let sponsor = sponsorship::sponsor_in(&ext);
        sponsorship::release_subentry(ledger, source, sponsor.as_ref(), 1)?;
        return Ok(ManageOfferSuccessResultOffer::Deleted);
    }
    let offer_id = if terms.offer_id == 0 { next_id(context)? } else { terms.offer_id };
    let offer = OfferEntry {
        seller_id: context.source.into(),
        offer_id,
        selling: terms.sheep.clone(),
        buying: terms.wheat.clone(),
        amount: rest,
        price: terms.price.clone(),
        flags,
        ext: OfferEntryExt::V0,
    };
    order_book::insert(context.ledger, offer.clone(), ext)?;
    liabilities::acquire(context.ledger, &offer)?;
    Ok(match terms.offer_id {
        0 => ManageOfferSuccessResultOffer::Created(offer),
        _ => ManageOfferSuccessResultOffer::Updated(offer),
    })
}

/// The id of a new offer; only an offer that is put in the book takes one.
fn next_id(context: &mut Context<'_, '_>) -> Result<i64, StateError> {
    const USED_UP: StateError = StateError::Inconsistent("the ids of offers are used up");
    match context.ledger.get_mut(&StateKey::Totals)? {
        Some(StateValue::Totals(Totals { id_pool, .. })) => {
            *id_pool = id_pool.checked_add(1).ok_or(USED_UP)?;
            i64::try_from(*id_pool).map_err(|_| USED_UP)
        }
        _ => Err(StateError::NoTotals),
    }
}

impl Terms<'_> {
    fn deletes(&self) -> bool {
        matches!(self.size, Size::Sheep(0) | Size::Wheat(0))
    }

    fn success(&self, result: ManageOfferSuccessResult) -> OperationResultTr {
        match self.buys {
            true => OperationResultTr::ManageBuyOffer(ManageBuyOfferResult::Success(result)),
            false => OperationResultTr::ManageSellOffer(ManageSellOfferResult::Success(result)),
        }
    }

    fn failure(&self, failure: Failure) -> OperationError {
        use {ManageBuyOfferResult as Buy, ManageSellOfferResult as Sell};
        let (sell, buy) = match failure {
            Failure::Malformed => (Sell::Malformed, Buy::Malformed),
            Failure::SellNoTrust => (Sell::SellNoTrust, Buy::SellNoTrust),
            Failure::BuyNoTrust => (Sell::BuyNoTrust, Buy::BuyNoTrust),
            Failure::SellNotAuthorized => (Sell::SellNotAuthorized, Buy::SellNotAuthorized),
            Failure::BuyNotAuthorized => (Sell::BuyNotAuthorized, Buy::BuyNotAuthorized),
            Failure::LineFull => (Sell::LineFull, Buy::LineFull),
            Failure::Underfunded => (Sell::Underfunded, Buy::Underfunded),
            Failure::CrossSelf => (Sell::CrossSelf, Buy::CrossSelf),
            Failure::NotFound => (Sell::NotFound, Buy::NotFound),
            Failure::LowReserve => (Sell::LowReserve, Buy::LowReserve),
        };
        OperationError::failed(OperationResult::OpInner(match self.buys {
            true => OperationResultTr::ManageBuyOffer(buy),
            false => OperationResultTr::ManageSellOffer(sell),
        }))
    }
}
