//! Parameters of requests, and what is said when they cannot be understood.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use carat_types::{Digest, PublicKey};

use crate::problem::{Kind, Problem};

/// The parameters of a query string or form. Names that a route does not know are ignored: clients add their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Params::parse(parts.uri.query().unwrap_or_default().as_bytes())
    }
}

impl Params {
    /// Reads `name=value` pairs joined by `&`, in which `+` stands for a space and `%` begins an escape.
    ///
    /// **Errors**: a name or value that is not UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || unescape(halves.next().unwrap_or_default());
            Ok((half()?, half()?))
        });
        Ok(Params { pairs: pairs.collect::<Result<_, Problem>>()? })
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

/// What was escaped, as it was. A `%` that begins no escape stands for itself.
fn unescape(text: &[u8]) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match (escaped, first) {
            (Some((high, low)), _) => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            (None, b'+') => {
                bytes.push(b' ');
                rest = after;
            }
            (None, plain) => {
                bytes.push(*plain);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Kind::BAD_REQUEST.into())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
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
