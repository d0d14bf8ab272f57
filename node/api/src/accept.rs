//! Which form of an answer the client wants.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::problem::{Kind, Problem};

/// A form of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON with links; also what an absent Accept header gets.
    Hal,
    /// The same under its plain name.
    Json,
    /// A stream of events.
    EventStream,
    /// The bytes themselves.
    Raw,
    /// A page for a browser.
    Html,
}

impl Form {
    const fn media_type(self) -> &'static str {
        match self {
            Form::Hal => "application/hal+json",
            Form::Json => "application/json",
            Form::EventStream => "text/event-stream",
            Form::Raw => "application/octet-stream",
            Form::Html => "text/html",
        }
    }
}

/// The forms of a resource that is shown only.
pub const OBJECT: &[Form] = &[Form::Hal, Form::Json];
/// The forms of a resource that also has a form for programs alone.
pub const OBJECT_OR_BYTES: &[Form] = &[Form::Hal, Form::Json, Form::Raw];
/// The forms of a resource that can be followed.
pub const STREAMABLE: &[Form] = &[Form::Hal, Form::Json, Form::EventStream];

/// The form that the client likes best of those `offered`.
///
/// **Errors**: it accepts none of them.
pub fn negotiate(headers: &HeaderMap, offered: &[Form]) -> Result<Form, Problem> {
    let mut clauses: Vec<(f32, String)> = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let text = value.to_str().map_err(|_| Problem::from(Kind::NOT_ACCEPTABLE))?;
        clauses.extend(text.split(',').filter(|clause| !clause.trim().is_empty()).map(parse_clause));
    }
    if clauses.is_empty() {
        clauses.push((1.0, "*/*".to_owned()));
    }
    // Stable: among equals the client's order decides.
    clauses.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let liked = clauses.iter().filter(|(weight, _)| *weight > 0.0);
    liked
        .filter_map(|(_, range)| offered.iter().find(|form| matches(range, form.media_type())))
        .next()
        .copied()
        .ok_or_else(|| Kind::NOT_ACCEPTABLE.into())
}

fn parse_clause(clause: &str) -> (f32, String) {
    let mut parts = clause.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |text| text.parse().ok());
    (weight.unwrap_or(0.0), range)
}

fn matches(range: &str, media_type: &str) -> bool {
    let kind = media_type.split('/').next().unwrap_or_default();
    range == "*/*" || range == media_type || range.strip_suffix("/*") == Some(kind)
}
