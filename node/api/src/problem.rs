//! Problem reports: every answer that is no success.
//!
//! **Source**: ledger specification B.3; RFC 9457 for the form. Types that existing clients compare keep the
//! identifiers which these clients know; types of our own have a name space of their own.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use carat_history::HistoryError;
use serde::Serialize;

use crate::port::NodeError;
use crate::result_codes::ResultCodes;

/// A problem report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'static str,
    #[serde(skip_serializing_if = "Extras::is_empty")]
    extras: Box<Extras>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// What else a report says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Extras {
    /// The parameter that cannot be understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_field: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The transaction's hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The envelope as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope_xdr: Option<String>,
    /// Why the transaction failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_codes: Option<ResultCodes>,
    /// The same as XDR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_xdr: Option<String>,
}

impl Extras {
    fn is_empty(&self) -> bool {
        *self == Extras::default()
    }
}

/// The name space of the problem types that existing clients compare.
pub const KNOWN_TYPES: &str = "https://stellar.org/horizon-errors/";
/// The name space of our own.
pub const OWN_TYPES: &str = "urn:carat:problem:";

/// The constant part of a problem.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    name_space: &'static str,
    name: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $space:ident, $text:literal, $status:ident, $title:literal, $detail:literal;)*) => {
        impl Kind {
            $(
                $(#[$doc])*
                pub const $name: Kind = Kind {
                    name_space: $space,
                    name: $text,
                    title: $title,
                    status: StatusCode::$status,
                    detail: $detail,
                };
            )*

            /// Every kind, for documents and tests.
            pub const ALL: &[Kind] = &[$(Kind::$name),*];
        }
    };
}

kinds! {
    /// A parameter that cannot be understood; extras name it and say why.
    BAD_REQUEST = KNOWN_TYPES, "bad_request", BAD_REQUEST, "Bad Request",
        "The request you sent was invalid in some way.";
    /// A list of accounts by none, or by more than one, of its filters.
    INVALID_ACCOUNTS_PARAMS = KNOWN_TYPES, "invalid_accounts_params", BAD_REQUEST, "Invalid Accounts Parameters",
        "Exactly one filter is required. Please ensure that you are including a signer, sponsor, asset, or \
         liquidity pool filter.";
    /// No such route or record.
    NOT_FOUND = KNOWN_TYPES, "not_found", NOT_FOUND, "Resource Missing",
        "The resource at the url requested was not found. Either the url is not valid, or this node knows \
         nothing under the parameters provided.";
    /// A members' network: nobody is shown anything without a token.
    UNAUTHORIZED = OWN_TYPES, "unauthorized", UNAUTHORIZED, "Authentication Required",
        "This network shows its members alone what concerns them. Log in at /auth (SEP-10) and send the token in the \
         header Authorization: Bearer, or ask through carat gateway.";
    /// A token of a key that has no account on this network.
    FORBIDDEN = OWN_TYPES, "forbidden", FORBIDDEN, "No Account On This Network",
        "The key that logged in has no account on this network, and is none of its auditors or of this node's operators.";
    /// A page before the first ledger of this node's index.
    BEFORE_HISTORY = KNOWN_TYPES, "before_history", GONE, "Data Requested Is Before Recorded History",
        "This node keeps only a part of the network's history. The request asks for results before it.";
    /// None of the forms in which the answer exists is accepted.
    NOT_ACCEPTABLE = KNOWN_TYPES, "not_acceptable", NOT_ACCEPTABLE,
        "An acceptable response content-type could not be provided for this request", "";
    /// A body that is no form.
    UNSUPPORTED_MEDIA_TYPE = KNOWN_TYPES, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE,
        "Unsupported Media Type",
        "The request has an unsupported content type. The only supported content type is \
         application/x-www-form-urlencoded.";
    /// Too many requests of one address.
    RATE_LIMIT_EXCEEDED = KNOWN_TYPES, "rate_limit_exceeded", TOO_MANY_REQUESTS, "Rate Limit Exceeded",
        "The requesting address is over its limit. The limit and what is left of it are stated in the \
         X-RateLimit-* headers of each answer.";
    /// No room for another request.
    SERVER_OVER_CAPACITY = KNOWN_TYPES, "server_over_capacity", SERVICE_UNAVAILABLE, "Server Over Capacity",
        "This node is at work on as many requests as it allows. Try again after the time in Retry-After.";
    /// The node cannot take part now.
    STALE_HISTORY = KNOWN_TYPES, "stale_history", SERVICE_UNAVAILABLE, "Historical DB Is Too Stale",
        "This node does not keep up with the network at the moment, and so takes no transactions. The reason \
         is in extras.reason.";
    /// A request that took too long.
    TIMEOUT = KNOWN_TYPES, "timeout", GATEWAY_TIMEOUT, "Timeout",
        "The request took too long. Try it again; when submitting a transaction, send exactly the same bytes.";
    /// The body is no envelope.
    TRANSACTION_MALFORMED = KNOWN_TYPES, "transaction_malformed", BAD_REQUEST, "Transaction Malformed",
        "The transaction envelope in this request cannot be decoded. It has to be the XDR of a \
         TransactionEnvelope in base64. What was read is echoed in extras.envelope_xdr.";
    /// Refused at the front door, or applied without success.
    TRANSACTION_FAILED = KNOWN_TYPES, "transaction_failed", BAD_REQUEST, "Transaction Failed",
        "The transaction failed when submitted to the network. extras.result_codes says why.";
    /// The outcome was not known in time.
    TRANSACTION_TIMEOUT = KNOWN_TYPES, "transaction_submission_timeout", GATEWAY_TIMEOUT,
        "Transaction Submission Timeout",
        "The outcome of the transaction was not known in time. This does not mean that it failed: ask for \
         /transactions/{extras.hash}, or submit the same bytes again. It can never be applied once its upper \
         time bound has passed.";
    /// Something broke within the node.
    SERVER_ERROR = KNOWN_TYPES, "server_error", INTERNAL_SERVER_ERROR, "Internal Server Error",
        "An error occurred within the node while it processed this request. Its log says more.";
    /// The node keeps no index of what was executed.
    HISTORY_NOT_KEPT = OWN_TYPES, "history_not_kept", NOT_FOUND, "History Not Kept",
        "This validator keeps no history. Ask another node of the network; accounts, submissions, receipts and \
         single transactions by their hash are answered here as well.";
    /// The route exists, but not for this method.
    METHOD_NOT_ALLOWED = OWN_TYPES, "method_not_allowed", METHOD_NOT_ALLOWED, "Method Not Allowed",
        "The resource does not answer to this method. The Allow header lists those that it answers to.";
    /// A body over the limit.
    PAYLOAD_TOO_LARGE = OWN_TYPES, "payload_too_large", PAYLOAD_TOO_LARGE, "Payload Too Large",
        "The body of the request is longer than any transaction.";
}

impl Kind {
    /// The type's identifier.
    pub fn identifier(&self) -> String {
        format!("{}{}", self.name_space, self.name)
    }

    /// The type's short name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Kind> for Problem {
    fn from(kind: Kind) -> Self {
        Problem {
            kind: kind.identifier(),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: kind.detail,
            extras: Box::default(),
            retry_after: None,
        }
    }
}

impl Problem {
    /// A parameter that cannot be understood.
    pub fn invalid_field(field: &str, reason: impl Into<String>) -> Self {
        let (invalid_field, reason) = (Some(field.to_owned()), Some(reason.into()));
        Problem::from(Kind::BAD_REQUEST).with(Extras { invalid_field, reason, ..Extras::default() })
    }

    /// Says more.
    #[must_use]
    pub fn with(mut self, extras: Extras) -> Self {
        self.extras = Box::new(extras);
        self
    }

    /// Says why, in words.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.extras.reason = Some(reason.into());
        self
    }

    /// States when to try again; at least a second, as the header counts them.
    #[must_use]
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Why, in words: the particular reason, or what the kind of problem says.
    pub fn reason(&self) -> String {
        self.extras.reason.clone().unwrap_or_else(|| self.detail.to_owned())
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| format!("{{\"status\":{}}}", self.status))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), self.to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json; charset=utf-8"));
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(time) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(time.as_secs().max(1)));
        }
        response
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        NodeError::from(error).into()
    }
}

impl From<NodeError> for Problem {
    /// The client learns that the node failed; the operator learns how.
    fn from(error: NodeError) -> Self {
        tracing::error!(%error, "a request failed within the node");
        Kind::SERVER_ERROR.into()
    }
}
