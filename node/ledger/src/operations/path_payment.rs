//! PathPaymentStrictReceive and PathPaymentStrictSend: pay in one asset what arrives in another.
//!
//! The assets between are never anybody's to hold: each hop converts all of one into the next. **Source**: ledger
//! specification A.6.

use carat_types::PublicKey;
use carat_types::transaction::account_of;
use stellar_xdr::{
    Asset, ClaimAtom, MuxedAccount, OperationResult, OperationResultTr, PathPaymentStrictReceiveOp,
    PathPaymentStrictReceiveResult as ReceiveResult, PathPaymentStrictReceiveResultSuccess,
    PathPaymentStrictSendOp, PathPaymentStrictSendResult as SendResult, PathPaymentStrictSendResultSuccess,
    SimplePaymentResult,
};

use super::{Context, Outcome};
use crate::asset;
use crate::balances::{Refusal, credit, debit};
use crate::crossing::{CROSSINGS_MAX, Converted, End, Order, convert};
use crate::error::StateError;
use crate::exchange::Rounding;
use crate::operations::OperationError;
use crate::overlay::Overlay;

/// Either of the two.
pub(super) struct Payment<'a> {
    destination: &'a MuxedAccount,
    sent: &'a Asset,
    received: &'a Asset,
    path: &'a [Asset],
    exact: Exact,
}

/// Which end of the payment is fixed, and the bound of the other.
#[derive(Clone, Copy)]
enum Exact {
    Receive { amount: i64, send_max: i64 },
    Send { amount: i64, receive_min: i64 },
}

/// The failures of both, by their common names.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Malformed,
    Underfunded,
    SrcNoTrust,
    SrcNotAuthorized,
    NoDestination,
    NoTrust,
    NotAuthorized,
    LineFull,
    TooFewOffers,
    OfferCrossSelf,
    /// The bound of the other end is not kept.
    Bound,
}

pub(super) fn strict_receive(op: &PathPaymentStrictReceiveOp) -> Payment<'_> {
    Payment {
        destination: &op.destination,
        sent: &op.send_asset,
        received: &op.dest_asset,
        path: &op.path,
        exact: Exact::Receive { amount: op.dest_amount, send_max: op.send_max },
    }
}

pub(super) fn strict_send(op: &PathPaymentStrictSendOp) -> Payment<'_> {
    Payment {
        destination: &op.destination,
        sent: &op.send_asset,
        received: &op.dest_asset,
        path: &op.path,
        exact: Exact::Send { amount: op.send_amount, receive_min: op.dest_min },
    }
}

pub(super) fn check(payment: &Payment<'_>) -> Result<(), OperationError> {
    let amounts = match payment.exact {
        Exact::Receive { amount, send_max } => amount > 0 && send_max > 0,
        Exact::Send { amount, receive_min } => amount > 0 && receive_min > 0,
    };
    let mut assets = payment.path.iter().chain([payment.sent, payment.received]);
    if amounts && assets.all(asset::is_valid) { Ok(()) } else { Err(payment.failure(Failure::Malformed)) }
}

/// The end that is fixed is settled first, so that its errors win.
pub(super) fn apply(context: &mut Context<'_, '_>, payment: &Payment<'_>) -> Outcome {
    let Context { ledger, source, .. } = context;
    let destination = account_of(payment.destination);
    // Credit can always be sent back to its issuer, even after the issuer's account is gone.
    let is_redemption = payment.path.is_empty()
        && payment.sent == payment.received
        && asset::issuer(payment.received) == Some(destination);
    if !is_redemption && ledger.account(&destination)?.is_none() {
        return Err(payment.failure(Failure::NoDestination));
    }
    let (received, claims) = match payment.exact {
        Exact::Receive { amount, send_max } => {
            receive(ledger, payment, &destination, amount)?;
            let (sent, claims) = payment.backwards(ledger, source, amount)?;
            if sent > send_max {
                return Err(payment.failure(Failure::Bound));
            }
            send(ledger, payment, source, sent)?;
            (amount, claims)
        }
        Exact::Send { amount, receive_min } => {
            send(ledger, payment, source, amount)?;
            let (received, claims) = payment.forwards(ledger, source, amount)?;
            if received < receive_min {
                return Err(payment.failure(Failure::Bound));
            }
            receive(ledger, payment, &destination, received)?;
            (received, claims)
        }
    };
    let last = SimplePaymentResult {
        destination: destination.into(),
        asset: payment.received.clone(),
        amount: received,
    };
    payment.success(claims, last)
}

fn receive(
    ledger: &mut Overlay<'_>,
    payment: &Payment<'_>,
    destination: &PublicKey,
    amount: i64,
) -> Result<(), OperationError> {
    match credit(ledger, destination, payment.received, amount)? {
        None => Ok(()),
        Some(Refusal::NoLine) => Err(payment.failure(Failure::NoTrust)),
        Some(Refusal::NotAuthorized) => Err(payment.failure(Failure::NotAuthorized)),
        Some(Refusal::Full | Refusal::Underfunded) => Err(payment.failure(Failure::LineFull)),
    }
}

fn send(
    ledger: &mut Overlay<'_>,
    payment: &Payment<'_>,
    source: &PublicKey,
    amount: i64,
) -> Result<(), OperationError> {
    match debit(ledger, source, payment.sent, amount)? {
        None => Ok(()),
        Some(Refusal::NoLine) => Err(payment.failure(Failure::SrcNoTrust)),
        Some(Refusal::NotAuthorized) => Err(payment.failure(Failure::SrcNotAuthorized)),
        Some(Refusal::Full | Refusal::Underfunded) => Err(payment.failure(Failure::Underfunded)),
    }
}

impl Payment<'_> {
    /// From the destination to the source: what must be sent.
    fn backwards(
        &self,
        ledger: &mut Overlay<'_>,
        source: &PublicKey,
        amount: i64,
    ) -> Result<(i64, Vec<ClaimAtom>), OperationError> {
        let (mut wheat, mut wheat_amount) = (self.received, amount);
        let mut crossings_left = CROSSINGS_MAX;
        let mut hops = Vec::new();
        for sheep in self.path.iter().rev().chain([self.sent]) {
            if sheep == wheat {
                continue;
            }
            let order = Order {
                taker: source,
                sheep,
                wheat,
                sheep_max: i64::MAX,
                wheat_max: wheat_amount,
                rounding: Rounding::StrictReceive,
                limit: None,
            };
            let converted = convert(ledger, &order, &mut crossings_left)?;
            self.check_hop(&converted, converted.wheat == wheat_amount)?;
            hops.push(converted.claims);
            (wheat, wheat_amount) = (sheep, converted.sheep);
        }
        Ok((wheat_amount, hops.into_iter().rev().flatten().collect()))
    }

    /// From the source to the destination: what arrives.
    fn forwards(
        &self,
        ledger: &mut Overlay<'_>,
        source: &PublicKey,
        amount: i64,
    ) -> Result<(i64, Vec<ClaimAtom>), OperationError> {
        let (mut sheep, mut sheep_amount) = (self.sent, amount);
        let mut crossings_left = CROSSINGS_MAX;
        let mut claims = Vec::new();
        for wheat in self.path.iter().chain([self.received]) {
            if wheat == sheep {
                continue;
            }
            let order = Order {
                taker: source,
                sheep,
                wheat,
                sheep_max: sheep_amount,
                wheat_max: i64::MAX,
                rounding: Rounding::StrictSend,
                limit: None,
            };
            let converted = convert(ledger, &order, &mut crossings_left)?;
            self.check_hop(&converted, converted.sheep == sheep_amount)?;
            claims.extend(converted.claims);
            (sheep, sheep_amount) = (wheat, converted.wheat);
        }
        Ok((sheep_amount, claims))
    }

    /// A hop must convert all of it.
    fn check_hop(&self, converted: &Converted, is_exact: bool) -> Result<(), OperationError> {
        match converted.end {
            End::Complete if is_exact => Ok(()),
            End::Complete | End::Partial => Err(self.failure(Failure::TooFewOffers)),
            End::OwnOffer => Err(self.failure(Failure::OfferCrossSelf)),
            End::TooMany => Err(OperationError::failed(OperationResult::OpExceededWorkLimit)),
        }
    }

    fn success(&self, claims: Vec<ClaimAtom>, last: SimplePaymentResult) -> Outcome {
        const TOO_MANY: StateError = StateError::Inconsistent("too many offers were crossed");
        let offers = claims.try_into().map_err(|_| TOO_MANY)?;
        Ok(match self.exact {
            Exact::Receive { .. } => OperationResultTr::PathPaymentStrictReceive(ReceiveResult::Success(
                PathPaymentStrictReceiveResultSuccess { offers, last },
            )),
            Exact::Send { .. } => OperationResultTr::PathPaymentStrictSend(SendResult::Success(
                PathPaymentStrictSendResultSuccess { offers, last },
            )),
        })
    }

    fn failure(&self, failure: Failure) -> OperationError {
        let (receive, send) = match failure {
            Failure::Malformed => (ReceiveResult::Malformed, SendResult::Malformed),
            Failure::Underfunded => (ReceiveResult::Underfunded, SendResult::Underfunded),
            Failure::SrcNoTrust => (ReceiveResult::SrcNoTrust, SendResult::SrcNoTrust),
            Failure::SrcNotAuthorized => (ReceiveResult::SrcNotAuthorized, SendResult::SrcNotAuthorized),
            Failure::NoDestination => (ReceiveResult::NoDestination, SendResult::NoDestination),
            Failure::NoTrust => (ReceiveResult::NoTrust, SendResult::NoTrust),
            Failure::NotAuthorized => (ReceiveResult::NotAuthorized, SendResult::NotAuthorized),
            Failure::LineFull => (ReceiveResult::LineFull, SendResult::LineFull),
            Failure::TooFewOffers => (ReceiveResult::TooFewOffers, SendResult::TooFewOffers),
            Failure::OfferCrossSelf => (ReceiveResult::OfferCrossSelf, SendResult::OfferCrossSelf),
            Failure::Bound => (ReceiveResult::OverSendmax, SendResult::UnderDestmin),
        };
        OperationError::failed(OperationResult::OpInner(match self.exact {
            Exact::Receive { .. } => OperationResultTr::PathPaymentStrictReceive(receive),
            Exact::Send { .. } => OperationResultTr::PathPaymentStrictSend(send),
        }))
    }
}
