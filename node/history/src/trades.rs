//! What operations exchanged: one trade for each offer or pool that was claimed.

use carat_types::transaction::account_of;
use carat_types::{Digest, PublicKey};
use stellar_xdr::{Asset, ClaimAtom, LedgerEntryData, Price};

use crate::keys::{self, Owner};
use crate::toid::{PartId, Toid};
use crate::view::OperationView;

/// One exchange: a maker, whose offer or pool stood there, and a taker, who came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Its place among what its operation claimed, from 0.
    pub number: u32,
    /// Who sold.
    pub maker: Maker,
    /// Who came and bought what the maker sold.
    pub taker: PublicKey,
    /// The taker's own offer: one that is left in the book, else a number that stands for the operation.
    pub taker_offer: u64,
    /// What the maker sold. **Units**: ten-millionths of the asset's unit.
    pub sold: (Asset, i64),
    /// What the maker got for it.
    pub bought: (Asset, i64),
    /// Bought for sold: the offer's price; of a pool, the amounts themselves.
    pub price: (i64, i64),
}

/// Who stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// An offer in the book.
    Offer {
        /// Whose.
        seller: PublicKey,
        /// Its id.
        id: u64,
    },
    /// A liquidity pool.
    Pool {
        /// Its id.
        id: Digest,
        /// What it keeps of each trade. **Units**: hundredths of a per cent.
        fee_bp: u32,
    },
}

/// Which trades are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TradeKind {
    /// All.
    #[default]
    All,
    /// With offers.
    OrderBook,
    /// With pools.
    Pool,
}

impl TradeKind {
    /// Whether a trade whose list entry has this value is asked for.
    pub(crate) fn includes(self, value: &[u8]) -> bool {
        match self {
            TradeKind::All => true,
            TradeKind::OrderBook => value == [0],
            TradeKind::Pool => value == [1],
        }
    }
}

/// Offer ids that stand for operations have this bit; ids of the ledger never reach it.
const OF_OPERATION: u64 = 1 << 62;

impl Trade {
    /// The lists in which the trade stands.
    pub(crate) fn owners(&self) -> Vec<Owner> {
        let (pair, _) = keys::pair(&self.sold.0, &self.bought.0);
        let mut owners =
            vec![Owner::All, Owner::Pair(pair), Owner::Account(self.taker), Owner::Offer(self.taker_offer)];
        match self.maker {
            Maker::Offer { seller, id } => owners.extend([Owner::Account(seller), Owner::Offer(id)]),
            Maker::Pool { id, .. } => owners.push(Owner::Pool(id)),
        }
        owners
    }

    /// The value of its list entries: the kind of trade.
    pub(crate) fn kind(&self) -> u8 {
        match self.maker {
            Maker::Offer { .. } => 0,
            Maker::Pool { .. } => 1,
        }
    }

    /// Its id.
    pub fn id(&self, operation: Toid) -> PartId {
        PartId { operation, number: self.number }
    }
}

/// The trades of an operation. Claims of nothing against nothing, which clear a worn offer away, are none.
pub fn of_operation(view: &OperationView<'_>, id: Toid) -> Vec<Trade> {
    let own = view.own_offer().and_then(|offer| u64::try_from(offer).ok());
    let taker_offer = own.unwrap_or(id.get() | OF_OPERATION);
    let taker = account_of(view.source());
    let numbered = (0u32..).zip(view.claims());
    numbered
        .filter_map(|(number, claim)| {
            let (sold, bought) = amounts(claim);
            if sold.1 == 0 && bought.1 == 0 {
                return None;
            }
            let (maker, price) = maker(view, claim);
            let price = price.unwrap_or((bought.1, sold.1));
            Some(Trade { number, maker, taker, taker_offer, sold, bought, price })
        })
        .collect()
}

/// What the maker of a claim sold, and what it bought.
pub fn amounts(claim: &ClaimAtom) -> ((Asset, i64), (Asset, i64)) {
    match claim {
        ClaimAtom::V0(claim) => {
            ((claim.asset_sold.clone(), claim.amount_sold), (claim.asset_bought.clone(), claim.amount_bought))
        }
        ClaimAtom::OrderBook(claim) => {
            ((claim.asset_sold.clone(), claim.amount_sold), (claim.asset_bought.clone(), claim.amount_bought))
        }
        ClaimAtom::LiquidityPool(claim) => {
            ((claim.asset_sold.clone(), claim.amount_sold), (claim.asset_bought.clone(), claim.amount_bought))
        }
    }
}

fn maker(view: &OperationView<'_>, claim: &ClaimAtom) -> (Maker, Option<(i64, i64)>) {
    let offer = |seller: PublicKey, id: i64| {
        let price = price_of(view, id).map(|price| (i64::from(price.n), i64::from(price.d)));
        (Maker::Offer { seller, id: u64::try_from(id).unwrap_or(0) }, price)
    };
    match claim {
        ClaimAtom::V0(claim) => offer(PublicKey(claim.seller_ed25519.0), claim.offer_id),
        ClaimAtom::OrderBook(claim) => offer((&claim.seller_id).into(), claim.offer_id),
        ClaimAtom::LiquidityPool(claim) => {
            let id = Digest(claim.liquidity_pool_id.0.0);
            (Maker::Pool { id, fee_bp: stellar_xdr::LIQUIDITY_POOL_FEE_V18 }, None)
        }
    }
}

/// The price of an offer as the operation found it.
fn price_of(view: &OperationView<'_>, id: i64) -> Option<Price> {
    view.changes.iter().filter_map(|change| change.before).find_map(|entry| match &entry.data {
        LedgerEntryData::Offer(offer) if offer.offer_id == id => Some(offer.price.clone()),
        _ => None,
    })
}
