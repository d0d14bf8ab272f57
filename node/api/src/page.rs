//! Pages of collections: parameters, links, form. **Source**: ledger specification B.2.

use carat_history::{Order, PageQuery, Toid};
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

/// Reads the paging parameters.
///
/// `now` is the cursor after everything known. `last_event` is the Last-Event-ID header of a stream that is
/// taken up again; it overrides the cursor, else clients that repeat their first request would be sent the
/// same events for ever.
///
/// **Errors**: a cursor, order or limit that cannot be understood.
pub fn query(params: &Params, last_event: Option<&str>, now: Toid) -> Result<PageQuery, Problem> {
    let order = match params.get("order") {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(Problem::invalid_field("order", "order: invalid value")),
    };
    let cursor = match last_event.or_else(|| params.get("cursor")) {
        None => None,
        Some("now") => Some(now),
        Some(text) => {
            Some(text.parse().map_err(|_| Problem::invalid_field("cursor", "cursor: invalid value"))?)
        }
    };
    Ok(PageQuery { cursor, order, limit: limit(params)? })
}

fn limit(params: &Params) -> Result<usize, Problem> {
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
pub fn within_history(page: &PageQuery, first_ledger: u32) -> Result<(), Problem> {
    match page {
        PageQuery { cursor: Some(cursor), order: Order::Descending, .. }
            if *cursor <= Toid::ledger_start(first_ledger) =>
        {
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
    prev: Link,
}

#[derive(Debug, Serialize)]
struct Embedded {
    records: Vec<Box<RawValue>>,
}

impl Page {
    /// The page of `records` that was asked for at `path` with `params`.
    pub fn new(links: &Links, path: &str, params: &Params, page: &PageQuery, records: Vec<Record>) -> Self {
        let cursor = page.cursor.map_or_else(String::new, |cursor| cursor.to_string());
        let (order, inverse) = match page.order {
            Order::Ascending => ("asc", "desc"),
            Order::Descending => ("desc", "asc"),
        };
        let link = |order: &str, cursor: &str| {
            let mut query = Vec::new();
            let paging = |name: &str| ["cursor", "limit", "order"].contains(&name);
            query.extend(
                params.iter().filter(|(name, _)| !paging(name)).map(|(name, value)| encode(name, value)),
            );
            query.push(encode("cursor", cursor));
            query.push(format!("limit={}", page.limit));
            query.push(encode("order", order));
            let mut link = links.to(format!("{path}?{}", query.join("&")));
            link.templated = false;
            link
        };
        let first = records.first().map_or(cursor.as_str(), |record| &record.paging_token);
        let last = records.last().map_or(cursor.as_str(), |record| &record.paging_token);
        Page {
            links: PageLinks {
                this: link(order, &cursor),
                next: link(order, last),
                prev: link(inverse, first),
            },
            embedded: Embedded { records: records.into_iter().map(|record| record.body).collect() },
        }
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
