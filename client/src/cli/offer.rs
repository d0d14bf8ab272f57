//! `carat offer` and `carat book`: the market.

use carat_client::{Finality, keystore};
use carat_types::builder::{amount, asset, market, price};
use clap::{Args, Subcommand};
use serde_json::Value;
use stellar_xdr::{
    ClaimAtom, ManageOfferSuccessResult, ManageOfferSuccessResultOffer, Operation, OperationResult,
    OperationResultTr, TransactionResultResult,
};

use super::query::{self, Query, asset_of, text};
use super::{Failure, Session};

/// What can be done with offers.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sell an amount of one asset for another
    Sell(OfferArguments),
    /// Buy an amount of one asset with another
    Buy(OfferArguments),
    /// Sell, without taking offers of exactly the same price
    Passive(OfferArguments),
    /// Open offers
    List {
        /// Only of this seller: an identity or an address
        #[arg(long)]
        seller: Option<String>,
        /// Only those that sell this asset
        #[arg(long, value_name = "ASSET")]
        selling: Option<String>,
        /// Only those that buy this asset
        #[arg(long, value_name = "ASSET")]
        buying: Option<String>,
    },
    /// Remove an offer
    Cancel {
        /// The identity whose offer it is, and that signs
        owner: String,
        /// The offer's id, as list shows it
        id: i64,
    },
}

/// A new offer, or a change of one.
#[derive(Debug, Args)]
pub(crate) struct OfferArguments {
    /// The identity that offers and signs
    owner: String,
    /// How much: of the asset sold for sell and passive, of the asset bought for buy
    amount: String,
    /// The asset that the amount counts: native, or CODE:ISSUER
    asset: String,
    /// The other asset
    #[arg(long = "for", value_name = "ASSET")]
    other: String,
    /// Units of the other asset for one of the first: a decimal such as 1.25, or a ratio such as 5/4
    #[arg(long)]
    price: String,
    /// Change this offer instead of making a new one
    #[arg(long, value_name = "ID")]
    change: Option<i64>,
}

/// Which book.
#[derive(Debug, Args)]
pub(crate) struct BookArguments {
    /// The asset that is sold: native, or CODE:ISSUER
    selling: String,
    /// The asset that is paid with
    buying: String,
    /// Prices of each side
    #[arg(long, default_value_t = 20)]
    limit: u16,
}

/// Does it.
pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Sell(arguments) => place(session, arguments, Kind::Sell).await,
        Command::Buy(arguments) => place(session, arguments, Kind::Buy).await,
        Command::Passive(arguments) => place(session, arguments, Kind::Passive).await,
        Command::List { seller, selling, buying } => list(session, seller, selling, buying).await,
        Command::Cancel { owner, id } => cancel(session, &owner, id).await,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sell,
    Buy,
    Passive,
}

async fn place(session: &Session, arguments: OfferArguments, kind: Kind) -> Result<(), Failure> {
    let (first, other) = (session.asset(&arguments.asset)?, session.asset(&arguments.other)?);
    let (amount, price) = (amount::parse(&arguments.amount)?, price::parse(&arguments.price)?);
    let id = arguments.change.unwrap_or(0);
    let operation = match kind {
        Kind::Sell => market::manage_sell_offer(first, other, amount, price, id),
        Kind::Buy => market::manage_buy_offer(other, first, amount, price, id),
        Kind::Passive if id != 0 => {
            return Err(Failure::usage(
                "a passive offer cannot be changed (hint: carat offer sell --change)",
            ));
        }
        Kind::Passive => market::create_passive_sell_offer(first, other, amount, price),
    };
    submit(session, &arguments.owner, operation).await
}

async fn cancel(session: &Session, owner: &str, id: i64) -> Result<(), Failure> {
    let record = query::one(&session.client().await?, &format!("/offers/{id}")).await?;
    let side = |name: &str| asset::parse(&asset_of(&record[name], ""));
    let ratio = format!("{}/{}", record["price_r"]["n"], record["price_r"]["d"]);
    let operation =
        market::manage_sell_offer(side("selling")?, side("buying")?, 0, price::parse(&ratio)?, id);
    submit(session, owner, operation).await
}

/// Submits, and says what became of the offer as well.
async fn submit(session: &Session, owner: &str, operation: Operation) -> Result<(), Failure> {
    let finality = session.settle(owner, vec![operation]).await?;
    let more = outcomes(&finality).next().map(describe).unwrap_or_default();
    session.show_with(&finality, more)
}

async fn list(
    session: &Session,
    seller: Option<String>,
    selling: Option<String>,
    buying: Option<String>,
) -> Result<(), Failure> {
    let seller = seller.map(|seller| session.account(&seller)).transpose()?;
    let mut query = Query::default().with_some("seller", seller.map(|seller| keystore::address(&seller)));
    for (prefix, named) in [("selling_asset", selling), ("buying_asset", buying)] {
        if let Some(named) = named {
            query = query.with_asset(prefix, &session.asset(&named)?);
        }
    }
    let records = query::records(&session.client().await?, "/offers", query).await?;
    let rows = records.iter().map(|record| {
        let side = |name: &str| asset_of(&record[name], "");
        let fields = ["id", "seller", "amount"].map(|name| text(record, name));
        let [id, seller, amount] = fields;
        vec![id, seller, amount, side("selling"), side("buying"), text(record, "price")]
    });
    session.output.rows(&records, &["id", "seller", "amount", "sells", "for", "price"], rows.collect());
    Ok(())
}

/// Shows an order book.
pub(crate) async fn book(session: &Session, arguments: BookArguments) -> Result<(), Failure> {
    let query = Query::default()
        .with_asset("selling_asset", &session.asset(&arguments.selling)?)
        .with_asset("buying_asset", &session.asset(&arguments.buying)?)
        .with("limit", arguments.limit.to_string());
    let book = query::one(&session.client().await?, &query.path("/order_book")).await?;
    session.output.rows(&book, &["side", "price", "amount"], levels(&book));
    Ok(())
}

/// The book's prices, the dearest first, as a dealer reads them.
fn levels(book: &Value) -> Vec<Vec<String>> {
    let side = |name: &str| book[name].as_array().cloned().unwrap_or_default();
    let row = |side: &str, level: &Value| vec![side.to_owned(), text(level, "price"), text(level, "amount")];
    let asks = side("asks").iter().rev().map(|level| row("ask", level)).collect::<Vec<_>>();
    asks.into_iter().chain(side("bids").iter().map(|level| row("bid", level))).collect()
}

/// What became of the offers of a transaction, in their order.
pub(crate) fn outcomes(finality: &Finality) -> impl Iterator<Item = &ManageOfferSuccessResult> {
    use stellar_xdr::{ManageBuyOfferResult as Buy, ManageSellOfferResult as Sell};
    let results = match &finality.result.result {
        TransactionResultResult::TxSuccess(results) => results.as_slice(),
        _ => &[],
    };
    results.iter().filter_map(|result| match result {
        OperationResult::OpInner(
            OperationResultTr::ManageSellOffer(Sell::Success(done))
            | OperationResultTr::CreatePassiveSellOffer(Sell::Success(done))
            | OperationResultTr::ManageBuyOffer(Buy::Success(done)),
        ) => Some(done),
        _ => None,
    })
}

fn describe(done: &ManageOfferSuccessResult) -> Vec<(&'static str, String)> {
    let left = match &done.offer {
        ManageOfferSuccessResultOffer::Created(offer) | ManageOfferSuccessResultOffer::Updated(offer) => {
            format!(
                "{}, {} {} left",
                offer.offer_id,
                amount::format(offer.amount),
                asset::format(&offer.selling)
            )
        }
        ManageOfferSuccessResultOffer::Deleted => "none is left".to_owned(),
    };
    let mut fields: Vec<_> = done.offers_claimed.iter().map(|claim| ("traded", trade(claim))).collect();
    fields.push(("offer", left));
    fields
}

/// One trade in words, from the side of whoever took the offer.
fn trade(claim: &ClaimAtom) -> String {
    let words = |got: i64, of: &stellar_xdr::Asset, gave: i64, for_: &stellar_xdr::Asset| {
        let (of, for_) = (asset::format(of), asset::format(for_));
        format!("got {} {of} for {} {for_}", amount::format(got), amount::format(gave))
    };
    match claim {
        ClaimAtom::V0(atom) => {
            words(atom.amount_sold, &atom.asset_sold, atom.amount_bought, &atom.asset_bought)
        }
        ClaimAtom::OrderBook(atom) => {
            words(atom.amount_sold, &atom.asset_sold, atom.amount_bought, &atom.asset_bought)
        }
        ClaimAtom::LiquidityPool(atom) => {
            words(atom.amount_sold, &atom.asset_sold, atom.amount_bought, &atom.asset_bought)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn book_is_shown_with_the_best_prices_in_the_middle() {
        let level = |price: &str| json!({"price": price, "amount": "1.0000000", "price_r": {"n": 1, "d": 1}});
        let book = json!({"asks": [level("1.1"), level("1.2")], "bids": [level("0.9"), level("0.8")]});
        let prices: Vec<String> =
            levels(&book).into_iter().map(|row| format!("{} {}", row[0], row[1])).collect();
        assert_eq!(prices, ["ask 1.2", "ask 1.1", "bid 0.9", "bid 0.8"]);
    }
}
