//! A second market, written from the specification without a look at the first: offers, path payments, pools.
//!
//! It knows accounts and assets by number; account 0 issues every asset but the coin, which is asset 0. It keeps no
//! liabilities, books or counts: whoever asks for one of them gets it added up from the offers. An operation works on a
//! copy of the whole market, which is thrown away if it fails. **Source**: ledger specification A.5 and A.6.

use std::collections::BTreeMap;

pub(crate) const BASE_RESERVE: i128 = 10;
pub(crate) const FEE: i64 = 100;
pub(crate) const ISSUER: usize = 0;
pub(crate) const COIN: usize = 0;
const MAX: i128 = i64::MAX as i128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) balance: i64,
    pub(crate) limit: i64,
    /// 1: may pay and receive. 2: may only keep offers.
    pub(crate) flags: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) coins: i64,
    pub(crate) lines: BTreeMap<usize, Line>,
    /// Reserves for what is neither a line nor an offer.
    pub(crate) other_reserves: i128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) seller: usize,
    pub(crate) selling: usize,
    pub(crate) buying: usize,
    pub(crate) n: i32,
    pub(crate) d: i32,
    pub(crate) amount: i64,
    pub(crate) passive: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Market {
    pub(crate) accounts: Vec<Account>,
    pub(crate) offers: BTreeMap<i64, Offer>,
    /// Reserves by pair of assets, the lower number first.
    pub(crate) pools: BTreeMap<(usize, usize), (i64, i64)>,
    pub(crate) ids_used: i64,
}

/// What bounds an offer: what it sells, or what it buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Sells(i64),
    Buys(i64),
}

#[derive(Clone, Debug)]
pub(crate) struct Manage {
    pub(crate) who: usize,
    pub(crate) id: i64,
    pub(crate) selling: usize,
    pub(crate) buying: usize,
    pub(crate) size: Size,
    /// As the operation states it: of what is sold in what is bought, and for `Buys` the other way round.
    pub(crate) price: (i32, i32),
    pub(crate) passive: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Pay {
    pub(crate) who: usize,
    pub(crate) to: usize,
    /// From what is sent to what is received.
    pub(crate) path: Vec<usize>,
    pub(crate) exact: Exact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exact {
    Receive { amount: i64, send_max: i64 },
    Send { amount: i64, receive_min: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Offer,
    Receive,
    Send,
}

/// (wheat, sheep, whether the offer of the book is the larger one).
type Trade = (i64, i64, bool);

/// One crossing of an offer that sells wheat at n/d sheep, by fractions of i128.
pub(crate) fn exchange(
    mode: Mode,
    (n, d): (i32, i32),
    wheat_max: (i64, i64),
    sheep_max: (i64, i64),
) -> Trade {
    let (n, d) = (i128::from(n), i128::from(d));
    let ((send, receive), (taker_sends, maker_receives)) = (wide(wheat_max), wide(sheep_max));
    let maker = (send * n).min(maker_receives * d);
    let taker = (taker_sends * d).min(receive * n);
    let stays = maker > taker;
    let (wheat, sheep) = match (stays, mode) {
        (true, Mode::Send) => (taker / n, taker_sends.min(maker_receives)),
        (true, Mode::Receive) => (taker / n, up(taker / n * n, d)),
        (true, Mode::Offer) if n > d => (taker / n, up(taker / n * n, d)),
        (true, Mode::Offer) => (taker / d * d / n, taker / d),
        (false, _) if n > d => (maker / n, maker / n * n / d),
        (false, _) => (up(maker / d * d, n), maker / d),
    };
    let off = 100 * (n * wheat - d * sheep).abs() > n * wheat;
    let (wheat, sheep) = match mode {
        Mode::Offer if wheat == 0 || sheep == 0 || off => (0, 0),
        Mode::Receive if wheat == 0 || sheep == 0 => (0, 0),
        _ => {
            assert!(!off || d * sheep >= n * wheat, "a payment gained more than 1 %");
            (wheat, sheep)
        }
    };
    (narrow(wheat), narrow(sheep), stays)
}

/// What of an offer's amount its owner can honour.
fn adjusted((n, d): (i32, i32), sellable: i64, room: i64) -> i64 {
    exchange(Mode::Offer, (n, d), (sellable, i64::MAX), (i64::MAX, room)).0
}

/// What an offer sells and buys in all, if `sells` of its asset are for sale and `buys` can be received.
fn in_all((n, d): (i32, i32), sells: i64, buys: i64) -> (i128, i128) {
    let (n, d) = (i128::from(n), i128::from(d));
    let value = (i128::from(sells) * n).min(i128::from(buys) * d);
    if n > d { (value / n, value / n * n / d) } else { (up(value / d * d, n), value / d) }
}

fn up(a: i128, b: i128) -> i128 {
    (a + b - 1) / b
}

fn wide((a, b): (i64, i64)) -> (i128, i128) {
    (a.into(), b.into())
}

fn narrow(amount: i128) -> i64 {
    i64::try_from(amount).expect("in range")
}

/// What a conversion did, in words of the results.
struct Converted {
    sheep: i64,
    wheat: i64,
    claims: String,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    NoMoreOffers,
    Own,
}

/// The worst price, in sheep for wheat, and whether an equal one is worse.
type Limit = Option<((i32, i32), bool)>;

impl Market {
    /// Applies an offer operation after its fee; the words of its result.
    pub(crate) fn manage(&mut self, op: &Manage) -> String {
        self.accounts[op.who].coins -= FEE;
        let kind = if matches!(op.size, Size::Buys(_)) { "ManageBuyOffer" } else { "ManageSellOffer" };
        let mut copy = self.clone();
        match copy.managed(op) {
            Ok(words) => {
                *self = copy;
                format!("success {kind}(Success {words})")
            }
            Err(code) => format!("failed {kind}({code})"),
        }
    }

    fn managed(&mut self, op: &Manage) -> Result<String, &'static str> {
        // As an offer in the book would state it.
        let price = if matches!(op.size, Size::Buys(_)) { (op.price.1, op.price.0) } else { op.price };
        let (sheep, wheat) = (op.selling, op.buying);
        let deletes = matches!(op.size, Size::Sells(0) | Size::Buys(0));
        if !deletes && self.is_held(op.who, sheep) {
            let line = self.accounts[op.who].lines.get(&sheep).ok_or("SellNoTrust")?;
            if line.balance == 0 {
                return Err("Underfunded");
            }
            if line.flags & 1 == 0 {
                return Err("SellNotAuthorized");
            }
        }
        if !deletes && self.is_held(op.who, wheat) {
            let line = self.accounts[op.who].lines.get(&wheat).ok_or("BuyNoTrust")?;
            if line.flags & 1 == 0 {
                return Err("BuyNotAuthorized");
            }
        }
        let mut passive = op.passive;
        if op.id != 0 {
            let old = self.offers.remove(&op.id).filter(|offer| offer.seller == op.who).ok_or("NotFound")?;
            passive = old.passive;
        } else if self.spendable_coins(op.who) < BASE_RESERVE {
            return Err("LowReserve");
        }
        if deletes {
            return Ok("deleted".to_owned());
        }
        // The offer counts as an entry from here on.
        self.accounts[op.who].other_reserves += 1;
        let (needs, gains) = match op.size {
            Size::Sells(amount) => in_all(price, amount, i64::MAX),
            Size::Buys(amount) => in_all(price, i64::MAX, amount),
        };
        if i128::from(self.room(op.who, wheat)) < gains {
            return Err("LineFull");
        }
        let overdrawn = sheep == COIN && self.spendable_coins(op.who) < 0;
        if i128::from(self.sellable(op.who, sheep)) < needs || overdrawn {
            return Err("Underfunded");
        }
        if self.room(op.who, wheat) == 0 {
            return Err("LineFull");
        }
        let (mut sheep_max, mut wheat_max) = (self.sellable(op.who, sheep), self.room(op.who, wheat));
        match op.size {
            Size::Sells(amount) => sheep_max = sheep_max.min(amount),
            Size::Buys(amount) => wheat_max = wheat_max.min(amount),
        }
        let limit = Some(((price.1, price.0), passive));
        let done = self.cross_book(op.who, (sheep, wheat), (sheep_max, wheat_max), Mode::Offer, limit);
        if done.end == End::Own {
            return Err("CrossSelf");
        }
        self.give(op.who, wheat, done.wheat);
        self.give(op.who, sheep, -done.sheep);
        self.accounts[op.who].other_reserves -= 1;
        let mut rest = 0;
        if done.end == End::NoMoreOffers {
            let (mut sellable, mut room) = (self.sellable_with(op.who, sheep, 1), self.room(op.who, wheat));
            match op.size {
                Size::Sells(amount) => sellable = sellable.min(amount - done.sheep),
                Size::Buys(amount) => room = room.min(amount - done.wheat),
            }
            rest = adjusted(price, sellable, room);
        }
        if rest == 0 {
            return Ok(format!("{}deleted", done.claims));
        }
        let id = if op.id == 0 { self.ids_used + 1 } else { op.id };
        self.ids_used = self.ids_used.max(id);
        let (n, d) = price;
        self.offers
            .insert(id, Offer { seller: op.who, selling: sheep, buying: wheat, n, d, amount: rest, passive });
        let word = if op.id == 0 { "created" } else { "updated" };
        Ok(format!("{}{word} {rest}", done.claims))
    }

    /// Applies a path payment after its fee; the words of its result.
    pub(crate) fn pay(&mut self, op: &Pay) -> String {
        self.accounts[op.who].coins -= FEE;
        let kind = match op.exact {
            Exact::Receive { .. } => "PathPaymentStrictReceive",
            Exact::Send { .. } => "PathPaymentStrictSend",
        };
        let mut copy = self.clone();
        match copy.paid(op) {
            Ok(words) => {
                *self = copy;
                format!("success {kind}(Success {words})")
            }
            Err(code) => format!("failed {kind}({code})"),
        }
    }

    fn paid(&mut self, op: &Pay) -> Result<String, &'static str> {
        let (sent, received) = (op.path[0], op.path[op.path.len() - 1]);
        match op.exact {
            Exact::Receive { amount, send_max } => {
                self.credit(op.to, received, amount)?;
                let mut claims = String::new();
                let mut needed = amount;
                for hop in op.path.windows(2).rev().filter(|hop| hop[0] != hop[1]) {
                    let (sheep, crossed) =
                        self.hop(op.who, (hop[0], hop[1]), (i64::MAX, needed), Mode::Receive)?;
                    claims = crossed + &claims;
                    needed = sheep;
                }
                if needed > send_max {
                    return Err("OverSendmax");
                }
                self.debit(op.who, sent, needed)?;
                Ok(format!("{claims}{amount}"))
            }
            Exact::Send { amount, receive_min } => {
                self.debit(op.who, sent, amount)?;
                let mut claims = String::new();
                let mut carried = amount;
                for hop in op.path.windows(2).filter(|hop| hop[0] != hop[1]) {
                    let (wheat, crossed) =
                        self.hop(op.who, (hop[0], hop[1]), (carried, i64::MAX), Mode::Send)?;
                    claims += &crossed;
                    carried = wheat;
                }
                if carried < receive_min {
                    return Err("UnderDestmin");
                }
                self.credit(op.to, received, carried)?;
                Ok(format!("{claims}{carried}"))
            }
        }
    }

    /// All over the book or all through the pool. What the other side of the hop comes to, and the words.
    fn hop(
        &mut self,
        who: usize,
        pair: (usize, usize),
        max: (i64, i64),
        mode: Mode,
    ) -> Result<(i64, String), &'static str> {
        let mut by_book = self.clone();
        let book = by_book.cross_book(who, pair, max, mode, None);
        if let Some((sheep, wheat)) = self.pool_trade(pair, max, mode) {
            let book_is_better = book.end == End::Done
                && i128::from(sheep) * i128::from(book.wheat) > i128::from(wheat) * i128::from(book.sheep);
            if !book_is_better {
                let (low, high) = self.pools.get_mut(&ordered(pair)).expect("it made a quote");
                let (gets, gives) = if pair.0 < pair.1 { (low, high) } else { (high, low) };
                *gets += sheep;
                *gives -= wheat;
                let other = if mode == Mode::Send { wheat } else { sheep };
                return Ok((other, format!("pool {wheat} for {sheep}, ")));
            }
        }
        *self = by_book;
        match (book.end, mode) {
            (End::Own, _) => Err("OfferCrossSelf"),
            (End::Done, Mode::Send) if book.sheep == max.0 => Ok((book.wheat, book.claims)),
            (End::Done, Mode::Receive) if book.wheat == max.1 => Ok((book.sheep, book.claims)),
            _ => Err("TooFewOffers"),
        }
    }

    /// What the pool of a pair takes and gives, if it can serve all of it.
    fn pool_trade(&self, pair: (usize, usize), max: (i64, i64), mode: Mode) -> Option<(i64, i64)> {
        let (low, high) = *self.pools.get(&ordered(pair))?;
        let (into, out) = wide(if pair.0 < pair.1 { (low, high) } else { (high, low) });
        if into == 0 || out == 0 {
            return None;
        }
        let (sheep, wheat) = if mode == Mode::Send {
            let sheep = i128::from(max.0);
            // The products of three figures do not fit in 128 bits where figures are large; those do not occur here.
            (sheep, (9_970 * out).checked_mul(sheep)? / (10_000 * into + 9_970 * sheep))
        } else {
            let wheat = i128::from(max.1);
            if wheat >= out {
                return None;
            }
            (up((10_000 * into).checked_mul(wheat)?, (out - wheat) * 9_970), wheat)
        };
        (wheat > 0 && into + sheep <= MAX).then(|| (narrow(sheep), narrow(wheat)))
    }

    /// Best offers first, until the price, a limit or the taker's own offer ends it.
    fn cross_book(
        &mut self,
        who: usize,
        (sheep, wheat): (usize, usize),
        (mut sheep_left, mut wheat_left): (i64, i64),
        mode: Mode,
        limit: Limit,
    ) -> Converted {
        let mut done = Converted { sheep: 0, wheat: 0, claims: String::new(), end: End::Done };
        while sheep_left > 0 && wheat_left > 0 {
            let Some((id, offer)) = self.best(sheep, wheat).filter(|(_, offer)| crosses(offer, limit)) else {
                done.end = End::NoMoreOffers;
                break;
            };
            if offer.seller == who {
                done.end = End::Own;
                break;
            }
            let price = (offer.n, offer.d);
            // What this offer itself binds does not bind it.
            self.offers.remove(&id);
            self.accounts[offer.seller].other_reserves += 1;
            let send = self.sellable(offer.seller, wheat).min(offer.amount);
            let receive = self.room(offer.seller, sheep);
            let (got, paid, stays) = exchange(mode, price, (send, wheat_left), (sheep_left, receive));
            self.give(offer.seller, wheat, -got);
            self.give(offer.seller, sheep, paid);
            if stays {
                let sellable = self.sellable(offer.seller, wheat).min(send - got);
                let amount = adjusted(price, sellable, self.room(offer.seller, sheep));
                if amount > 0 {
                    self.offers.insert(id, Offer { amount, ..offer.clone() });
                }
            }
            self.accounts[offer.seller].other_reserves -= 1;
            done.claims += &format!("#{id} {got} for {paid}, ");
            done.wheat += got;
            done.sheep += paid;
            wheat_left -= got;
            sheep_left -= paid;
            if stays {
                break;
            }
        }
        done
    }

    /// The lowest quotient, then the oldest.
    fn best(&self, sheep: usize, wheat: usize) -> Option<(i64, Offer)> {
        let of_book = self.offers.iter().filter(|(_, offer)| (offer.selling, offer.buying) == (wheat, sheep));
        let quotient = |offer: &Offer| f64::from(offer.n) / f64::from(offer.d);
        let best = of_book.reduce(|best, next| if quotient(next.1) < quotient(best.1) { next } else { best });
        best.map(|(id, offer)| (*id, offer.clone()))
    }

    fn credit(&mut self, who: usize, asset: usize, amount: i64) -> Result<(), &'static str> {
        if self.is_held(who, asset) {
            let line = self.accounts[who].lines.get(&asset).ok_or("NoTrust")?;
            if line.flags & 1 == 0 {
                return Err("NotAuthorized");
            }
        }
        if self.room(who, asset) < amount {
            return Err("LineFull");
        }
        self.give(who, asset, amount);
        Ok(())
    }

    fn debit(&mut self, who: usize, asset: usize, amount: i64) -> Result<(), &'static str> {
        if self.is_held(who, asset) {
            let line = self.accounts[who].lines.get(&asset).ok_or("SrcNoTrust")?;
            if line.flags & 1 == 0 {
                return Err("SrcNotAuthorized");
            }
        }
        let overdrawn = asset == COIN && self.spendable_coins(who) < 0;
        if overdrawn || self.sellable(who, asset) < amount {
            return Err("Underfunded");
        }
        self.give(who, asset, -amount);
        Ok(())
    }

    /// Whether the asset stands on a trustline of the account.
    fn is_held(&self, who: usize, asset: usize) -> bool {
        asset != COIN && who != ISSUER
    }

    fn give(&mut self, who: usize, asset: usize, amount: i64) {
        if asset == COIN {
            self.accounts[who].coins += amount;
        } else if who != ISSUER && amount != 0 {
            self.accounts[who].lines.get_mut(&asset).expect("a line").balance += amount;
        }
    }

    /// (bought, sold) by all offers of the account in the asset.
    fn owed(&self, who: usize, asset: usize) -> (i128, i128) {
        let mut sums = (0, 0);
        for offer in self.offers.values().filter(|offer| offer.seller == who) {
            let (sold, bought) = in_all((offer.n, offer.d), offer.amount, i64::MAX);
            sums.0 += if offer.buying == asset { bought } else { 0 };
            sums.1 += if offer.selling == asset { sold } else { 0 };
        }
        sums
    }

    pub(crate) fn spendable_coins(&self, who: usize) -> i128 {
        let account = &self.accounts[who];
        let offers = self.offers.values().filter(|offer| offer.seller == who).count();
        let entries = 2 + account.lines.len() as i128 + offers as i128 + account.other_reserves;
        i128::from(account.coins) - entries * BASE_RESERVE - self.owed(who, COIN).1
    }

    fn sellable(&self, who: usize, asset: usize) -> i64 {
        self.sellable_with(who, asset, 0)
    }

    /// What can be sold, with so many entries more.
    fn sellable_with(&self, who: usize, asset: usize, entries: i128) -> i64 {
        let most = if asset == COIN {
            self.spendable_coins(who) - entries * BASE_RESERVE
        } else if who == ISSUER {
            MAX
        } else {
            let line = self.accounts[who].lines.get(&asset).filter(|line| line.flags & 3 != 0);
            line.map_or(0, |line| i128::from(line.balance) - self.owed(who, asset).1)
        };
        narrow(most.max(0))
    }

    fn room(&self, who: usize, asset: usize) -> i64 {
        let most = if asset == COIN {
            MAX - i128::from(self.accounts[who].coins) - self.owed(who, COIN).0
        } else if who == ISSUER {
            MAX
        } else {
            let line = self.accounts[who].lines.get(&asset).filter(|line| line.flags & 3 != 0);
            line.map_or(0, |line| i128::from(line.limit - line.balance) - self.owed(who, asset).0)
        };
        narrow(most.max(0))
    }
}

fn ordered((a, b): (usize, usize)) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// Whether an offer is within the taker's limit, exactly.
fn crosses(offer: &Offer, limit: Limit) -> bool {
    let Some(((n, d), equal_is_worse)) = limit else { return true };
    let (price, worst) = (i128::from(offer.n) * i128::from(d), i128::from(n) * i128::from(offer.d));
    price < worst || (price == worst && !equal_is_worse)
}
