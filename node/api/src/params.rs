//! Parameters of requests, and what is said when they cannot be understood.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use carat_types::{Digest, PublicKey};

use crate::problem::{Kind, Problem};

/// The parameters of a query string. Names that a route does not know are ignored: clients add their own.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|_| Problem::from(Kind::BAD_REQUEST))?;
        Ok(Params { pairs })
    }
}

impl Params {
    /// The parameters of a form.
    pub fn of_form(body: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::from(Kind::BAD_REQUEST))?;
        let uri = format!("/?{text}").parse().map_err(|_| Problem::from(Kind::BAD_REQUEST))?;
        let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| Problem::from(Kind::BAD_REQUEST))?;
        Ok(Params { pairs })
    }

    /// The first parameter of this name, if there is one that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|text| !text.is_empty())
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A truth value; absent means no.
    ///
    /// **Errors**: neither `true` nor `false`.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(Problem::invalid_field(name, "Filter should be true or false")),
        }
    }
}

/// An account's id.
///
/// **Errors**: not the G-address of an account.
pub fn account(field: &str, text: &str) -> Result<PublicKey, Problem> {
    stellar_strkey::ed25519::PublicKey::from_string(text).map(|key| PublicKey(key.0)).map_err(|_| {
        Problem::invalid_field(field, "Account ID must start with `G` and contain 56 alphanum characters")
    })
}

/// A transaction's hash.
///
/// **Errors**: not 64 lower-case hexadecimal digits.
pub fn transaction_hash(field: &str, text: &str) -> Result<Digest, Problem> {
    let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let hash = if lower { text.parse().ok() } else { None };
    hash.ok_or_else(|| {
        Problem::invalid_field(field, "Transaction hash must be a hex-encoded, lowercase SHA-256 hash")
    })
}

/// The number of a ledger.
///
/// **Errors**: not a number from 1 to 2^31 - 1.
pub fn ledger(field: &str, text: &str) -> Result<u32, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse::<u32>().ok() } else { None };
    number
        .filter(|number| (1..=i32::MAX.unsigned_abs()).contains(number))
        .ok_or_else(|| Problem::invalid_field(field, "Ledger ID must be an integer higher than 0"))
}
