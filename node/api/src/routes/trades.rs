//! `/trades` and `/trade_aggregations`: what was exchanged.

use axum::response::Response;
use carat_history::{Candle, CandleQuery, Order, TradeFilter};

use crate::accept::{Form, OBJECT};
use crate::page::{self, Page, Record};
use crate::problem::Problem;
use crate::request::{Request, json};
use crate::resources::trade_aggregation::TradeAggregation;
use crate::routes::collection;
use crate::visibility::Seen;

pub(crate) async fn list(request: Request) -> Result<Response, Problem> {
    let params = &request.params;
    let (base, counter) = (params.typed_asset("base_")?, params.typed_asset("counter_")?);
    let filter = match (params.number("offer_id")?, base, counter) {
        (Some(offer), _, _) => TradeFilter::Offer(offer),
        (None, Some(base), Some(counter)) => TradeFilter::Pair(base, counter),
        (None, None, None) => TradeFilter::All,
        (None, Some(_), None) => {
            let reason = "this endpoint supports asset pairs but only one asset supplied";
            return Err(Problem::invalid_field("counter_asset_type", reason));
        }
        (None, None, Some(_)) => {
            let reason = "this endpoint supports asset pairs but only one asset supplied";
            return Err(Problem::invalid_field("base_asset_type", reason));
        }
    };
    collection::trades(request, filter, None).await
}

const MINUTE: u64 = Candle::SPAN_MS;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The spans that can be asked for.
const SPANS: [u64; 6] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY, 7 * DAY];

pub(crate) async fn aggregations(request: Request) -> Result<Response, Problem> {
    let _: Form = request.accepts(OBJECT)?;
    let query = query(&request)?;
    let asked = query.clone();
    let candles = request.read(move |view| {
        collection::needs_history(view)?;
        view.candles(&asked)
    });
    let candles = candles.await?;
    let records =
        candles.iter().map(|(start, candle)| Record::new(start, &TradeAggregation::new(*start, candle)));
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    let next = following(&query, &candles);
    json(&Page::of_spans(&request.links, &request.path, &request.params, query.limit, next, records))
}

/// The bounds of the page that follows: from the end of the last span on, or up to its start.
fn following(query: &CandleQuery, candles: &[(u64, Seen<Candle>)]) -> (u64, u64) {
    let last = candles.last().map(|(start, _)| *start);
    match (query.order, last) {
        (_, None) => (query.start_ms, query.end_ms),
        (Order::Ascending, Some(last)) => (last.saturating_add(query.span_ms), query.end_ms),
        (Order::Descending, Some(last)) => (query.start_ms, last),
    }
}

fn query(request: &Request) -> Result<CandleQuery, Problem> {
    let params = &request.params;
    let (base, counter) = (params.required_asset("base_")?, params.required_asset("counter_")?);
    let resolution = params.number("resolution")?.filter(|span| SPANS.contains(span));
    let span_ms = resolution.ok_or_else(|| {
        let accepted = "invalid or missing resolution. Supported resolutions are: 1 minute (60000), 5 minutes \
                        (300000), 15 minutes (900000), 1 hour (3600000), 1 day (86400000), 1 week (604800000)";
        Problem::invalid_field("resolution", accepted)
    })?;
    let offset_ms = params.number("offset")?.unwrap_or(0);
    if !offset_ms.is_multiple_of(HOUR) || offset_ms >= span_ms.max(1) && offset_ms != 0 || offset_ms >= DAY {
        let reason = "offset must be a multiple of an hour, less than the resolution, and less than 24 hours";
        return Err(Problem::invalid_field("offset", reason));
    }
    // Spans that have begun belong to the answer as a whole.
    let floor = |time: u64| time.saturating_sub(offset_ms) / span_ms * span_ms + offset_ms;
    let ceil = |time: u64| floor(time.saturating_add(span_ms - 1));
    let start_ms = params.number("start_time")?.map_or(0, |time| ceil(time.min(TIME_MAX)));
    let end_ms = params.number("end_time")?.map_or(TIME_MAX, |time| floor(time.min(TIME_MAX)));
    if start_ms > end_ms {
        let reason = "invalid time range: end time is before start time";
        return Err(Problem::invalid_field("end_time", reason));
    }
    let (order, limit) = (page::order(params)?, page::limit(params)?);
    Ok(CandleQuery { base, counter, start_ms, end_ms, span_ms, offset_ms, order, limit })
}

/// Beyond any time of a block, and far from what would overflow. **Units**: milliseconds since 1970.
const TIME_MAX: u64 = 1 << 50;
