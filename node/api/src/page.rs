//! Pages of collections: parameters, links, form. **Source**: ledger specification B.2.

use std::fmt::Display;
use std::str::FromStr;

use carat_history::{Order, PageQuery, PartId, Toid};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::links::{Link, Links};
use crate::params::Params;
use crate::problem::{Kind, Problem};
use crate::request::to_raw;

/// Records of a page when the client names no number.
pub const LIMIT_DEFAULT: usize = 10;
/// The most records of a page.
pub const LIMIT_MAX: usize = 200;

/// One record of a page.
#[derive(Clone, Debug)]
pub struct Record {
    /// The cursor that stands for it.
    pub paging_token: String,
    /// The record.
    pub body: Box<RawValue>,
}

impl Record {
    /// A resource with the cursor that stands for it.
    pub fn new(paging_token: impl ToString, resource: &impl Serialize) -> Result<Self, Problem> {
        let body = to_raw(resource)?;
        Ok(Record { paging_token: paging_token.to_string(), body })
    }
}

/// What stands for a place in a list.
pub trait Cursor: Clone + FromStr + Display + Send + Sync + 'static {
    /// The place in history that it names; none for lists of the present.
    fn place(&self) -> Option<Toid>;
}

impl Cursor for Toid {
    fn place(&self) -> Option<Toid> {
        Some(*self)
    }
}

impl Cursor for PartId {
    fn place(&self) -> Option<Toid> {
        Some(self.operation)
    }
}

/// Reads the paging parameters.
///
/// `now` is the cursor after everything known, where the list has one. `last_event` is the Last-Event-ID header of
/// a stream that is taken up again; it overrides the cursor, else clients that repeat their first request would be
/// sent the same events for ever.
///
/// **Errors**: a cursor, order or limit that cannot be understood.
pub fn query<C: Cursor>(
    params: &Params,
    last_event: Option<&str>,
    now: Option<C>,
) -> Result<PageQuery<C>, Problem> {
    let order = order(params)?;
    let cursor = match last_event.or_else(|| params.get("cursor")) {
        None => None,
        Some("now") if now.is_some() => now,
        Some(text) => {
            Some(text.parse().map_err(|_| Problem::invalid_field("cursor", "cursor: invalid value"))?)
        }
    };
    Ok(PageQuery { cursor, order, limit: limit(params)? })
}

/// Reads the direction; oldest first if it is not said.
///
/// **Errors**: neither `asc` nor `desc`.
pub fn order(params: &Params) -> Result<Order, Problem> {
    match params.get("order") {
        None | Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        Some(_) => Err(Problem::invalid_field("order", "order: invalid value")),
    }
}

/// Reads how many records are wanted.
///
/// **Errors**: not a number from 1 to [`LIMIT_MAX`].
pub fn limit(params: &Params) -> Result<usize, Problem> {
    let Some(text) = params.get("limit") else { return Ok(LIMIT_DEFAULT) };
    let number: i64 = text.parse().map_err(|_| Problem::invalid_field("limit", "unparseable value"))?;
    match usize::try_from(number) {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Ok(limit) if limit > LIMIT_MAX => {
            let reason = format!("invalid limit: value provided that is over limit max of {LIMIT_MAX}");
            Err(Problem::invalid_field("limit", reason))
        }
        _ => Err(Problem::invalid_field("limit", "invalid limit: non-positive value provided")),
    }
}

/// Refuses a page that would begin before the first ledger that this node knows.
///
/// Ascending pages never fail so: they begin with what there is.
///
/// **Errors**: 410, before history.
pub fn within_history<C: Cursor>(page: &PageQuery<C>, first_ledger: u32) -> Result<(), Problem> {
    let place = page.cursor.as_ref().and_then(Cursor::place);
    match place {
        Some(place) if page.order == Order::Descending && place <= Toid::ledger_start(first_ledger) => {
            Err(Kind::BEFORE_HISTORY.into())
        }
        _ => Ok(()),
    }
}

/// A page with its links.
#[derive(Debug, Serialize)]
pub struct Page {
    #[serde(rename = "_links")]
    links: PageLinks,
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

#[derive(Debug, Serialize)]
struct PageLinks {
    #[serde(rename = "self")]
    this: Link,
    next: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<Link>,
}

#[derive(Debug, Serialize)]
struct Embedded {
    records: Vec<Box<RawValue>>,
}

impl Page {
    /// The page of `records` that was asked for at `path` with `params`.
    pub fn new<C: Cursor>(
        links: &Links,
        path: &str,
        params: &Params,
        page: &PageQuery<C>,
        records: Vec<Record>,
    ) -> Self {
        let cursor = page.cursor.as_ref().map_or_else(String::new, ToString::to_string);
        let (order, inverse) = match page.order {
            Order::Ascending => ("asc", "desc"),
            Order::Descending => ("desc", "asc"),
        };
        let link = |order: &str, cursor: &str| {
            let own = [("cursor", cursor), ("limit", &page.limit.to_string()), ("order", order)];
            link_with(links, path, params, &own)
        };
        let first = records.first().map_or(cursor.as_str(), |record| &record.paging_token);
        let last = records.last().map_or(cursor.as_str(), |record| &record.paging_token);
        Page {
            links: PageLinks {
                this: link(order, &cursor),
                next: link(order, last),
                prev: Some(link(inverse, first)),
            },
            embedded: Embedded { records: records.into_iter().map(|record| record.body).collect() },
        }
    }

    /// A page of spans of time. These have no cursors: what follows are other bounds, `next`, of the time asked for.
    pub fn of_spans(
        links: &Links,
        path: &str,
        params: &Params,
        limit: usize,
        (start, end): (u64, u64),
        records: Vec<Record>,
    ) -> Self {
        let limit = limit.to_string();
        let order = params.get("order").unwrap_or("asc");
        let asked = [("start_time", params.get("start_time")), ("end_time", params.get("end_time"))];
        let asked = asked.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
        let this: Vec<(&str, &str)> = asked.chain([("limit", limit.as_str()), ("order", order)]).collect();
        let (start, end) = (start.to_string(), end.to_string());
        let next = [("start_time", start.as_str()), ("end_time", &end), ("limit", &limit), ("order", order)];
        Page {
            links: PageLinks {
                this: link_with(links, path, params, &this),
                next: link_with(links, path, params, &next),
                prev: None,
            },
            embedded: Embedded { records: records.into_iter().map(|record| record.body).collect() },
        }
    }
}

/// A link to the same list with other values of its own parameters, `own`, and all others as they were.
fn link_with(links: &Links, path: &str, params: &Params, own: &[(&str, &str)]) -> Link {
    let others = params.iter().filter(|(name, _)| !OWN.contains(name));
    let query: Vec<String> =
        others.chain(own.iter().copied()).map(|(name, value)| encode(name, value)).collect();
    Link { templated: false, ..links.to(format!("{path}?{}", query.join("&"))) }
}

/// The parameters by which pages of a list differ.
const OWN: [&str; 5] = ["cursor", "limit", "order", "start_time", "end_time"];

/// Records that are no part of a longer list.
#[derive(Debug, Serialize)]
pub struct Whole {
    #[serde(rename = "_embedded")]
    embedded: Embedded,
}

impl Whole {
    /// All records there are.
    pub fn new(records: Vec<Box<RawValue>>) -> Self {
        Whole { embedded: Embedded { records } }
    }
}

/// A name and its value as they stand in a query string.
fn encode(name: &str, value: &str) -> String {
    format!("{}={}", percent_encode(name), percent_encode(value))
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
