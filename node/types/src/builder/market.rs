//! Operations of the market: offers and path payments. Amounts are stroops; see [`super::operation`] for the rest.

use stellar_xdr::{
    Asset, CreatePassiveSellOfferOp, ManageBuyOfferOp, ManageSellOfferOp, MuxedAccount, Operation,
    OperationBody, PathPaymentStrictReceiveOp, PathPaymentStrictSendOp, Price,
};

use super::BuildError;
use super::operation::plain;

/// The most assets between the one sent and the one received.
pub const PATH_ASSETS_MAX: usize = 5;

/// Sells `amount` of `selling` at `price`, in units of `buying` for one of `selling`. `offer` is 0 for a new offer; with
/// an offer's id it changes that, and removes it with amount 0.
pub fn manage_sell_offer(selling: Asset, buying: Asset, amount: i64, price: Price, offer: i64) -> Operation {
    plain(OperationBody::ManageSellOffer(ManageSellOfferOp {
        selling,
        buying,
        amount,
        price,
        offer_id: offer,
    }))
}

/// Buys `amount` of `buying` at `price`, in units of `selling` for one of `buying`.
pub fn manage_buy_offer(selling: Asset, buying: Asset, amount: i64, price: Price, offer: i64) -> Operation {
    let op = ManageBuyOfferOp { selling, buying, buy_amount: amount, price, offer_id: offer };
    plain(OperationBody::ManageBuyOffer(op))
}

/// Sells like [`manage_sell_offer`], but does not take offers of exactly the same price.
pub fn create_passive_sell_offer(selling: Asset, buying: Asset, amount: i64, price: Price) -> Operation {
    let op = CreatePassiveSellOfferOp { selling, buying, amount, price };
    plain(OperationBody::CreatePassiveSellOffer(op))
}

/// Delivers exactly `delivered` of the asset `to`, for at most `most` of the asset `from`.
///
/// **Errors**: more than five assets on the way.
pub fn path_payment_strict_receive(
    destination: impl Into<MuxedAccount>,
    (from, most): (Asset, i64),
    (to, delivered): (Asset, i64),
    path: Vec<Asset>,
) -> Result<Operation, BuildError> {
    Ok(plain(OperationBody::PathPaymentStrictReceive(PathPaymentStrictReceiveOp {
        send_asset: from,
        send_max: most,
        destination: destination.into(),
        dest_asset: to,
        dest_amount: delivered,
        path: way(path)?,
    })))
}

/// Sends exactly `sent` of the asset `from`, and delivers at least `least` of the asset `to`.
///
/// **Errors**: more than five assets on the way.
pub fn path_payment_strict_send(
    destination: impl Into<MuxedAccount>,
    (from, sent): (Asset, i64),
    (to, least): (Asset, i64),
    path: Vec<Asset>,
) -> Result<Operation, BuildError> {
    Ok(plain(OperationBody::PathPaymentStrictSend(PathPaymentStrictSendOp {
        send_asset: from,
        send_amount: sent,
        destination: destination.into(),
        dest_asset: to,
        dest_min: least,
        path: way(path)?,
    })))
}

fn way(path: Vec<Asset>) -> Result<stellar_xdr::VecM<Asset, 5>, BuildError> {
    let value = path.len() as i128;
    path.try_into().map_err(|_| BuildError::TooLarge { what: "the number of assets on the way", value })
}
