//! Trade: two currencies change hands in one transaction, a payment in one currency arrives in another over the order
//! books, and at the end everything that the market's anchor issued comes back to it.

use std::time::{Duration, Instant};

use carat_client::keystore::KeyStore;
use carat_client::{Client, ClientError};
use carat_types::builder::market::{manage_sell_offer, path_payment_strict_receive};
use carat_types::builder::{amount, asset, operation};
use carat_types::transaction::sign_envelope;
use serde_json::Value;
use stellar_xdr::{Asset, ManageOfferSuccessResult, ManageOfferSuccessResultOffer, Price};

use super::report::Report;
use super::scene::{Actor, Payment, Scene, create_accounts, succeed};
use crate::cli::{Failure, offer, path, query};

/// What the dealer is given of each currency, and the importer of AED. **Units**: stroops.
const ISSUED: i64 = 1_000_000 * amount::UNIT;

/// How long a node may take to show an offer that is proved.
const PATIENCE: Duration = Duration::from_secs(20);

/// The currencies of the market.
const CODES: [&str; 5] = ["AED", "AUD", "BTC", "XLM", "USD"];

/// Two banks exchange EUR for USD: payment against payment. One transaction, signed by both sides, or nothing at all.
pub(crate) async fn exchange(scene: &mut Scene, report: &mut Report) -> Result<(), Failure> {
    let (euros, dollars) = (scene.asset(0)?, scene.asset(1)?);
    let (euro_amount, dollar_amount) = (1_000 * amount::UNIT, 1_080 * amount::UNIT);
    let [first, second, ..] = scene.banks.as_mut_slice() else {
        return Err(Failure::failed("the demo needs two banks"));
    };
    let legs = || {
        vec![
            operation::by(first.public, operation::payment(second.public, euros.clone(), euro_amount)),
            operation::by(second.public, operation::payment(first.public, dollars.clone(), dollar_amount)),
        ]
    };
    let network_id = second.client.network().genesis.network_id();
    let mut half = second.build(legs())?;
    sign_envelope(&network_id, &mut half, &[&second.keys[0]])?;
    match second.client.submit(half.clone()).await {
        Err(ClientError::Refused(_)) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(Failure::failed("one side alone exchanged both currencies")),
    }
    let officers: Vec<_> = first.keys.iter().take(2).collect();
    sign_envelope(&network_id, &mut half, &officers)?;
    let hash = succeed("bank-b", second.client.submit(half).await?)?.hash;
    scene.payments.push(Payment { hash, from: 0, to: 1, currency: 0, amount: euro_amount });
    scene.payments.push(Payment { hash, from: 1, to: 0, currency: 1, amount: dollar_amount });
    let (euros, dollars) = (amount::format(euro_amount), amount::format(dollar_amount));
    report.step(format!("{euros} EUR of bank-a against {dollars} USD of bank-b: refused with one side's signature, proved with both"));
    Ok(())
}

/// Who takes part in the market.
struct Market {
    anchor: Actor,
    dealer: Actor,
    importer: Actor,
    exporter: Actor,
}

impl Market {
    /// A currency of the market.
    fn asset(&self, code: &str) -> Result<Asset, Failure> {
        Ok(asset::issued(code, self.anchor.public.into())?)
    }
}

/// AED of an importer arrives as USD at an exporter: over four books, then through DIAM; then all is redeemed.
pub(crate) async fn paths(client: &Client, report: &mut Report) -> Result<(), Failure> {
    let mut market = open(client).await?;
    report.step("an anchor issued AED, AUD, BTC, XLM and USD to a dealer, and AED to an importer");

    let mut offers = offer(
        &mut market,
        &[
            ("AUD", "AED", Price { n: 5, d: 2 }),
            ("BTC", "AUD", Price { n: 100_000, d: 1 }),
            ("XLM", "BTC", Price { n: 1, d: 500_000 }),
            ("USD", "XLM", Price { n: 5, d: 1 }),
        ],
    )
    .await?;
    pay(&mut market, 100 * amount::UNIT, &["AUD", "BTC", "XLM"], 250 * amount::UNIT).await?;
    report.step("250 AED became 100 USD on the way AED, AUD, BTC, XLM, USD, which the network found");

    let through_native = [("DIAM", "AED", Price { n: 1, d: 4 }), ("USD", "DIAM", Price { n: 8, d: 1 })];
    offers.extend(offer(&mut market, &through_native).await?);
    pay(&mut market, 10 * amount::UNIT, &["native"], 20 * amount::UNIT).await?;
    report.step("20 AED became 10 USD through DIAM, which is now the cheaper way");

    redeem(&mut market, &offers).await?;
    report.step(
        "offers withdrawn, everything redeemed: of the five currencies nothing is left outside the anchor",
    );
    Ok(())
}

/// Accounts, trustlines, and the first issue.
async fn open(client: &Client) -> Result<Market, Failure> {
    let store = KeyStore::new(client.network().folder.join("keys"));
    let actor = |name, node| Actor::generate(name, &store, client, node);
    let mut market = Market {
        anchor: actor("anchor-market", 0)?,
        dealer: actor("dealer", 1)?,
        importer: actor("importer", 2)?,
        exporter: actor("exporter", 3)?,
    };
    let everyone = [&mut market.anchor, &mut market.dealer, &mut market.importer, &mut market.exporter];
    create_accounts(client, everyone).await?;

    let assets: Vec<Asset> = CODES.iter().map(|code| market.asset(code)).collect::<Result<_, _>>()?;
    let trust = |asset: &Asset| operation::change_trust(asset.clone(), operation::LIMIT_MAX);
    market.anchor.require_authorisation().await?;
    for holder in [&mut market.dealer, &mut market.importer, &mut market.exporter] {
        holder.execute(assets.iter().map(trust).collect()).await?;
    }
    let holders = [&market.dealer, &market.importer, &market.exporter].map(|holder| holder.public);
    market.anchor.authorise(&holders, &assets).await?;
    let issue = |asset: &Asset| operation::payment(market.dealer.public, asset.clone(), ISSUED);
    let mut issues: Vec<_> = assets.iter().map(issue).collect();
    issues.push(operation::payment(market.importer.public, market.asset("AED")?, ISSUED));
    market.anchor.execute(issues).await?;
    Ok(market)
}

/// An offer that stands: what it sells and buys, and its number.
struct Standing {
    selling: Asset,
    buying: Asset,
    id: i64,
}

/// The dealer's offers, each of 1,000 units of what is sold, at a price in what is bought.
async fn offer(market: &mut Market, wanted: &[(&str, &str, Price)]) -> Result<Vec<Standing>, Failure> {
    let asset = |code: &str| if code == "DIAM" { Ok(Asset::Native) } else { market.asset(code) };
    let mut operations = Vec::new();
    for (selling, buying, price) in wanted {
        let amount = 1_000 * amount::UNIT;
        operations.push(manage_sell_offer(asset(selling)?, asset(buying)?, amount, price.clone(), 0));
    }
    let finality = market.dealer.execute(operations).await?;
    let made: Vec<_> = offer::outcomes(&finality).filter_map(standing).collect();
    if made.len() == wanted.len() {
        Ok(made)
    } else {
        Err(Failure::failed(format!("{} of {} offers stand", made.len(), wanted.len())))
    }
}

/// The offer that an operation made; none if all of it was traded at once.
fn standing(done: &ManageOfferSuccessResult) -> Option<Standing> {
    let ManageOfferSuccessResultOffer::Created(offer) = &done.offer else { return None };
    Some(Standing { selling: offer.selling.clone(), buying: offer.buying.clone(), id: offer.offer_id })
}

/// The importer delivers USD to the exporter and pays in AED, by the cheapest way that the network knows.
async fn pay(market: &mut Market, delivered: i64, through: &[&str], cost: i64) -> Result<(), Failure> {
    let (spent, arriving) = (market.asset("AED")?, market.asset("USD")?);
    let expected: Vec<String> = through
        .iter()
        .map(|code| match *code {
            "native" => Ok(asset::format(&Asset::Native)),
            code => Ok(asset::format(&market.asset(code)?)),
        })
        .collect::<Result<_, Failure>>()?;
    let way = await_way(&market.importer, &arriving, delivered, &expected).await?;
    let held = async |market: &Market| {
        let left = market.importer.holding(&spent).await?;
        Ok::<_, Failure>((left, market.exporter.holding(&arriving).await?))
    };
    let before = held(market).await?;
    let to = market.exporter.public;
    let most = amount::parse(way["source_amount"].as_str().unwrap_or_default())?;
    let path = expected.iter().map(|text| asset::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let operation =
        path_payment_strict_receive(to, (spent.clone(), most), (arriving.clone(), delivered), path)?;
    market.importer.execute(vec![operation]).await?;
    let after = held(market).await?;
    let moved = (before.0 - after.0, after.1 - before.1);
    if moved == (cost, delivered) {
        return Ok(());
    }
    let seen = (amount::format(moved.0), amount::format(moved.1));
    let wanted = (amount::format(cost), amount::format(delivered));
    Err(Failure::failed(format!(
        "{} AED became {} USD, expected {} and {}",
        seen.0, seen.1, wanted.0, wanted.1
    )))
}

/// The cheapest way, once the node knows the offers.
async fn await_way(payer: &Actor, asset: &Asset, amount: i64, through: &[String]) -> Result<Value, Failure> {
    let began = Instant::now();
    loop {
        let ways = path::ways(&payer.client, payer.address(), asset, &amount::format(amount)).await?;
        let first = ways.into_iter().find(|way| way["source_asset_code"] == "AED");
        match first {
            Some(way) if query::way(&way) == through => return Ok(way),
            seen if began.elapsed() > PATIENCE => {
                let seen = seen.map_or_else(|| "none".to_owned(), |way| query::way(&way).join(", "));
                let hint = "hint: the ledger's order books are at /order_book of every node";
                return Err(Failure::failed(format!(
                    "the way found is {seen}, expected {} ({hint})",
                    through.join(", ")
                )));
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Everything goes back to the anchor that issued it.
async fn redeem(market: &mut Market, offers: &[Standing]) -> Result<(), Failure> {
    let withdraw = |offer: &Standing| {
        let (selling, buying) = (offer.selling.clone(), offer.buying.clone());
        manage_sell_offer(selling, buying, 0, Price { n: 1, d: 1 }, offer.id)
    };
    market.dealer.execute(offers.iter().map(withdraw).collect()).await?;
    let assets: Vec<Asset> = CODES.iter().map(|code| market.asset(code)).collect::<Result<_, _>>()?;
    let anchor = market.anchor.public;
    for holder in [&mut market.dealer, &mut market.importer, &mut market.exporter] {
        let mut payments = Vec::new();
        for asset in &assets {
            let held = holder.holding(asset).await?;
            if held > 0 {
                payments.push(operation::payment(anchor, asset.clone(), held));
            }
        }
        holder.execute(payments).await?;
        for asset in &assets {
            let left = holder.holding(asset).await?;
            if left != 0 {
                let (left, asset) = (amount::format(left), asset::format(asset));
                return Err(Failure::failed(format!("{} still holds {left} of {asset}", holder.name)));
            }
        }
    }
    Ok(())
}
