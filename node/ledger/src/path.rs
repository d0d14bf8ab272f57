//! Finding paths for payments: which assets to convert through, and what would arrive or have to be sent.
//!
//! Every hop is tried by the very conversion that a payment would make, on a state that already has the hops before it,
//! so that a path that is found can be paid at the amount stated as long as the state stays as it is. The search goes the
//! way in which the payment is executed: from the source if what is sent is fixed, from the destination if what arrives
//! is. Short paths come first. The work is bounded; equal states and questions give equal answers.
//!
//! **Source**: ledger specification A.6 and B.1.

use std::collections::{BTreeMap, BTreeSet};

use carat_types::PublicKey;
use stellar_xdr::{Asset, LedgerEntryData, LedgerEntryType, LiquidityPoolEntryBody, TrustLineAsset};

use crate::crossing::{CROSSINGS_MAX, Converted, End, Order, convert};
use crate::entry::StateValue;
use crate::error::StateError;
use crate::exchange::Rounding;
use crate::key::StateKey;
use crate::operations::OperationError;
use crate::overlay::Overlay;
use crate::reserves;
use crate::state::StateRead;

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most conversions of a path; the wire format allows six.
    pub hops: usize,
    /// Most books looked up, conversions tried and offers crossed in them, all together.
    pub work: usize,
    /// Most paths for each asset at the open end.
    pub paths_per_asset: usize,
}

impl Default for Bounds {
    /// Paths of six assets, five for each asset asked for; some tens of milliseconds.
    fn default() -> Self {
        Bounds { hops: 5, work: 5_000, paths_per_asset: 5 }
    }
}

/// A way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// From what is sent to what is received, both included; one asset if they are the same.
    pub assets: Vec<Asset>,
    /// What is sent. **Units**: ten-millionths.
    pub sent: i64,
    /// What is received. **Units**: ten-millionths.
    pub received: i64,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// By asset at the open end; of each the best first, and of equally good ones the shortest.
    pub paths: Vec<Path>,
    /// Whether the bound on work left anything out.
    pub complete: bool,
}

/// An asset that an account can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The asset.
    pub asset: Asset,
    /// What the account could send of it. **Units**: ten-millionths.
    pub available: i64,
}

/// What `amount` of `source` could become of the assets in `destinations`.
///
/// **Errors**: the state cannot be read.
pub fn strict_send(
    state: &impl StateRead,
    source: &Asset,
    amount: i64,
    destinations: &[Asset],
    bounds: &Bounds,
) -> Result<Found, StateError> {
    let (graph, work) = Graph::explored(state, destinations, bounds)?;
    let goals = destinations.iter().map(|asset| (asset.clone(), i64::MAX)).collect();
    let moves = graph.inverted();
    let near = distances(destinations, &graph.edges, bounds.hops);
    Search {
        ledger: Overlay::new(&state, 0)?,
        kind: Kind::Send,
        taker: &NOBODY,
        moves,
        near,
        goals,
        work,
        found: Vec::new(),
    }
    .run(source, amount, bounds, graph.complete)
}

/// What of the assets in `sources` could become `amount` of `destination`, each up to the amount given with it. `payer`
/// is who would pay, if that is known: nobody can cross an offer of one's own.
///
/// **Errors**: the state cannot be read.
pub fn strict_receive(
    state: &impl StateRead,
    payer: Option<&PublicKey>,
    sources: &[(Asset, i64)],
    destination: &Asset,
    amount: i64,
    bounds: &Bounds,
) -> Result<Found, StateError> {
    let (graph, work) = Graph::explored(state, std::slice::from_ref(destination), bounds)?;
    let assets: Vec<Asset> = sources.iter().map(|(asset, _)| asset.clone()).collect();
    let near = distances(&assets, &graph.inverted(), bounds.hops);
    let goals = sources.iter().cloned().collect();
    let taker = payer.unwrap_or(&NOBODY);
    Search {
        ledger: Overlay::new(&state, 0)?,
        kind: Kind::Receive,
        taker,
        moves: graph.edges,
        near,
        goals,
        work,
        found: Vec::new(),
    }
    .run(destination, amount, bounds, graph.complete)
}

/// What an account may pay with and be paid in: the coin, and the lines on which it is authorized.
///
/// **Returns** nothing for an account that does not exist.
/// **Errors**: the state cannot be read.
pub fn holdings(state: &impl StateRead, id: &PublicKey) -> Result<Vec<Holding>, StateError> {
    let mut ledger = Overlay::new(&state, 0)?;
    let base_reserve = ledger.totals().base_reserve;
    let Some(account) = ledger.account(id)? else { return Ok(Vec::new()) };
    let spendable = |amount: i128| i64::try_from(amount.max(0)).unwrap_or(i64::MAX);
    let available = spendable(reserves::available(account, base_reserve));
    let mut holdings = vec![Holding { asset: Asset::Native, available }];
    // An account has 1,000 subentries at most.
    for (key, value) in
        state.scan(&StateKey::owned_prefix(LedgerEntryType::Trustline, id), None, usize::MAX)?
    {
        let value = StateValue::from_bytes(&StateKey::from_bytes(&key)?, &value)?;
        let Some(line) = value.as_trustline().filter(|line| reserves::is_authorized(line)) else { continue };
        let asset = match &line.asset {
            TrustLineAsset::CreditAlphanum4(code) => Asset::CreditAlphanum4(code.clone()),
            TrustLineAsset::CreditAlphanum12(code) => Asset::CreditAlphanum12(code.clone()),
            TrustLineAsset::Native | TrustLineAsset::PoolShare(_) => continue,
        };
        holdings.push(Holding { asset, available: spendable(reserves::line_available(line)) });
    }
    Ok(holdings)
}

/// Whoever has no offers: no key has these bytes that an account may have.
const NOBODY: PublicKey = PublicKey([0; 32]);

type Edges = BTreeMap<Asset, BTreeSet<Asset>>;

/// Which assets can be converted into which, by any book or pool.
struct Graph {
    /// For each asset what can become it.
    edges: Edges,
    complete: bool,
}

impl Graph {
    /// What can become one of `ends`, as far as half of the work goes: conversions are to have the other half.
    ///
    /// **Returns** the work that is left as well.
    fn explored(
        state: &impl StateRead,
        ends: &[Asset],
        bounds: &Bounds,
    ) -> Result<(Self, usize), StateError> {
        let share = bounds.work.div_ceil(2);
        let mut unused = share;
        let graph = Graph::towards(state, ends, bounds.hops, &mut unused)?;
        Ok((graph, bounds.work.saturating_sub(share).saturating_add(unused)))
    }

    /// What can become one of `ends` in at most so many hops.
    fn towards(
        state: &impl StateRead,
        ends: &[Asset],
        hops: usize,
        work: &mut usize,
    ) -> Result<Self, StateError> {
        let mut graph = Graph { edges: Edges::new(), complete: true };
        let mut front: BTreeSet<Asset> = ends.iter().cloned().collect();
        for _ in 0..hops {
            let mut next = BTreeSet::new();
            for asset in front {
                if graph.edges.contains_key(&asset) {
                    continue;
                }
                let mut sources = BTreeSet::new();
                graph.complete &= books_of(state, &asset, &mut sources, work)?
                    && pools_of(state, &asset, &mut sources, work)?;
                next.extend(sources.iter().cloned());
                graph.edges.insert(asset, sources);
            }
            front = next;
        }
        Ok(graph)
    }

    /// For each asset what it can become.
    fn inverted(&self) -> Edges {
        let mut inverted = Edges::new();
        for (to, sources) in &self.edges {
            for from in sources {
                inverted.entry(from.clone()).or_default().insert(to.clone());
            }
        }
        inverted
    }
}

/// Adds what `asset` is sold for in any book.
///
/// **Returns** whether there was work enough left to see all.
fn books_of(
    state: &impl StateRead,
    asset: &Asset,
    found: &mut BTreeSet<Asset>,
    work: &mut usize,
) -> Result<bool, StateError> {
    let prefix = StateKey::book_prefix(asset, None);
    let mut after: Option<Vec<u8>> = None;
    while spend(work, 1) {
        // The first offer of the next book; one book costs one look, however long it is.
        let Some((key, _)) = state.scan(&prefix, after.as_deref(), 1)?.pop() else { return Ok(true) };
        let StateKey::Book(place) = StateKey::from_bytes(&key)? else {
            return Err(StateError::Inconsistent("an order book holds what is no offer"));
        };
        let mut end = StateKey::book_prefix(asset, Some(&place.buying));
        end.extend([u8::MAX; 16]);
        after = Some(end);
        found.insert(place.buying);
    }
    Ok(false)
}

/// Adds what shares a pool with `asset`.
///
/// **Returns** as [`books_of`].
fn pools_of(
    state: &impl StateRead,
    asset: &Asset,
    found: &mut BTreeSet<Asset>,
    work: &mut usize,
) -> Result<bool, StateError> {
    const NO_POOL: StateError = StateError::Inconsistent("a listed pool is not there");
    let limit = work.saturating_add(1);
    let listed = state.scan(&StateKey::asset_pools_prefix(asset), None, limit)?;
    for (key, _) in listed {
        if !spend(work, 1) {
            return Ok(false);
        }
        let StateKey::AssetPool(_, id) = StateKey::from_bytes(&key)? else { return Err(NO_POOL) };
        let key = StateKey::pool(id);
        let value = StateValue::from_bytes(&key, &state.get(&key.to_bytes())?.ok_or(NO_POOL)?)?;
        let StateValue::Ledger(entry) = value else { return Err(NO_POOL) };
        let LedgerEntryData::LiquidityPool(pool) = entry.data else { return Err(NO_POOL) };
        let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = pool.body;
        if pool.reserve_a > 0 && pool.reserve_b > 0 {
            let is_first = pool.params.asset_a == *asset;
            found.insert(if is_first { pool.params.asset_b } else { pool.params.asset_a });
        }
    }
    Ok(true)
}

/// How many edges away each asset is from the nearest of `ends`, going along `edges` from there.
fn distances(ends: &[Asset], edges: &Edges, hops: usize) -> BTreeMap<Asset, usize> {
    let mut distances: BTreeMap<Asset, usize> = ends.iter().map(|asset| (asset.clone(), 0)).collect();
    for distance in 1..=hops {
        let before = distance.saturating_sub(1);
        let front: Vec<&BTreeSet<Asset>> = distances
            .iter()
            .filter(|(_, at)| **at == before)
            .filter_map(|(asset, _)| edges.get(asset))
            .collect();
        let next: Vec<Asset> = front.into_iter().flatten().cloned().collect();
        for asset in next {
            distances.entry(asset).or_insert(distance);
        }
    }
    distances
}

fn spend(work: &mut usize, amount: usize) -> bool {
    let left = work.checked_sub(amount);
    *work = left.unwrap_or(0);
    left.is_some()
}

/// Which end of the payment is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Send,
    Receive,
}

/// A search from the fixed end to the open one.
struct Search<'a, 's> {
    ledger: Overlay<'s>,
    kind: Kind,
    taker: &'a PublicKey,
    /// Where a hop can lead.
    moves: Edges,
    /// How far each asset is from a goal.
    near: BTreeMap<Asset, usize>,
    /// Assets at the open end, with the most that may be paid.
    goals: BTreeMap<Asset, i64>,
    work: usize,
    found: Vec<Path>,
}

/// Where a search stands.
struct Step {
    amount: i64,
    crossings_left: usize,
    hops_left: usize,
}

impl Search<'_, '_> {
    /// By length, so that what is left out for lack of work is what is longest.
    fn run(
        mut self,
        from: &Asset,
        amount: i64,
        bounds: &Bounds,
        mut complete: bool,
    ) -> Result<Found, StateError> {
        for hops in 0..=bounds.hops {
            let step = Step { amount, crossings_left: CROSSINGS_MAX, hops_left: hops };
            complete &= amount > 0 && self.extend(&mut vec![from.clone()], amount, step)?;
        }
        Ok(Found { paths: best(self.found, self.kind, bounds.paths_per_asset), complete })
    }

    /// Tries all paths that go on from here with exactly so many hops.
    ///
    /// **Returns** whether there was work enough left for all.
    fn extend(&mut self, path: &mut Vec<Asset>, fixed: i64, step: Step) -> Result<bool, StateError> {
        let Some(here) = path.last().cloned() else { return Ok(true) };
        let Some(hops_left) = step.hops_left.checked_sub(1) else {
            self.note(path, fixed, step.amount);
            return Ok(true);
        };
        let moves: Vec<Asset> = self.moves.get(&here).into_iter().flatten().cloned().collect();
        for next in moves {
            let leads_on = self.near.get(&next).is_some_and(|distance| *distance <= hops_left);
            if !leads_on || path.contains(&next) {
                continue;
            }
            if !spend(&mut self.work, 1) {
                return Ok(false);
            }
            let level = self.ledger.begin();
            let mut crossings_left = step.crossings_left;
            let hop = self.hop(&here, &next, step.amount, &mut crossings_left);
            let mut complete = spend(&mut self.work, step.crossings_left.saturating_sub(crossings_left));
            if let Ok(Some(amount)) = hop {
                path.push(next);
                complete &= self.extend(path, fixed, Step { amount, crossings_left, hops_left })?;
                path.pop();
            }
            self.ledger.rollback(level);
            hop?;
            if !complete {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Converts at one hop.
    ///
    /// **Returns** the amount at its other side, if the hop can be made.
    fn hop(
        &mut self,
        here: &Asset,
        next: &Asset,
        amount: i64,
        crossings_left: &mut usize,
    ) -> Result<Option<i64>, StateError> {
        let order = match self.kind {
            Kind::Send => Order {
                taker: self.taker,
                sheep: here,
                wheat: next,
                sheep_max: amount,
                wheat_max: i64::MAX,
                rounding: Rounding::StrictSend,
                limit: None,
            },
            Kind::Receive => Order {
                taker: self.taker,
                sheep: next,
                wheat: here,
                sheep_max: i64::MAX,
                wheat_max: amount,
                rounding: Rounding::StrictReceive,
                limit: None,
            },
        };
        let Converted { sheep, wheat, end, .. } = match convert(&mut self.ledger, &order, crossings_left) {
            Ok(converted) => converted,
            Err(OperationError::State(error)) => return Err(error),
            // The payment would fail as well.
            Err(OperationError::Failed(_) | OperationError::Fault) => return Ok(None),
        };
        let (exact, other) = match self.kind {
            Kind::Send => (sheep == amount, wheat),
            Kind::Receive => (wheat == amount, sheep),
        };
        Ok((end == End::Complete && exact && other > 0).then_some(other))
    }

    fn note(&mut self, path: &[Asset], fixed: i64, open: i64) {
        let Some(most) = path.last().and_then(|asset| self.goals.get(asset)) else { return };
        if open > *most {
            return;
        }
        let mut assets = path.to_vec();
        self.found.push(match self.kind {
            Kind::Send => Path { assets, sent: fixed, received: open },
            Kind::Receive => {
                assets.reverse();
                Path { assets, sent: open, received: fixed }
            }
        });
    }
}

/// The best of each asset at the open end.
fn best(mut found: Vec<Path>, kind: Kind, per_asset: usize) -> Vec<Path> {
    let open_end = |path: &Path| match kind {
        Kind::Send => path.assets.last().cloned(),
        Kind::Receive => path.assets.first().cloned(),
    };
    // The more arrives, or the less is sent, the better.
    let merit = |path: &Path| match kind {
        Kind::Send => i64::MAX.saturating_sub(path.received),
        Kind::Receive => path.sent,
    };
    found.sort_by(|a, b| {
        let key = |path: &Path| (open_end(path), merit(path), path.assets.len());
        key(a).cmp(&key(b)).then_with(|| a.assets.cmp(&b.assets))
    });
    let mut taken: BTreeMap<Option<Asset>, usize> = BTreeMap::new();
    found.retain(|path| {
        let taken = taken.entry(open_end(path)).or_default();
        *taken = taken.saturating_add(1);
        *taken <= per_asset
    });
    found
}
