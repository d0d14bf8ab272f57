//! Parameters of requests, and what is said when they cannot be understood.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use carat_types::builder::asset::issued;
use carat_types::{Digest, PublicKey};
use stellar_xdr::Asset;

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

/// Longest key of the state that can be asked for. **Units**: bytes.
const LEDGER_KEY_MAX: usize = 512;

/// The bytes of a key of the state.
///
/// **Errors**: not lower-case hexadecimal digits, or too many.
pub fn ledger_key(field: &str, text: &str) -> Result<Vec<u8>, Problem> {
    let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let bytes = if lower { hex::decode(text).ok() } else { None };
    bytes.filter(|bytes| (1..=LEDGER_KEY_MAX).contains(&bytes.len())).ok_or_else(|| {
        Problem::invalid_field(field, "a key of the state is its XDR in lower-case hexadecimal digits")
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

impl Params {
    /// An account's id, if one is named.
    ///
    /// **Errors**: as [`account`].
    pub fn account(&self, name: &str) -> Result<Option<PublicKey>, Problem> {
        self.get(name).map(|text| account(name, text)).transpose()
    }

    /// An asset in one word, if one is named: `native`, or code, colon, issuer.
    ///
    /// **Errors**: anything else.
    pub fn asset(&self, name: &str) -> Result<Option<Asset>, Problem> {
        self.get(name).map(|text| asset(name, text)).transpose()
    }

    /// An asset in three parameters that begin with `prefix`, if its type is named.
    ///
    /// **Errors**: a type, code or issuer that is none, or that does not fit the others.
    pub fn typed_asset(&self, prefix: &str) -> Result<Option<Asset>, Problem> {
        let [kind, code, issuer] = ["type", "code", "issuer"].map(|part| format!("{prefix}asset_{part}"));
        let (Some(of_kind), of_code, of_issuer) = (self.get(&kind), self.get(&code), self.get(&issuer))
        else {
            return Ok(None);
        };
        if of_kind == "native" {
            return match (of_code, of_issuer) {
                (None, None) => Ok(Some(Asset::Native)),
                (Some(_), _) => Err(Problem::invalid_field(&code, "native assets have no code")),
                (None, Some(_)) => Err(Problem::invalid_field(&issuer, "native assets have no issuer")),
            };
        }
        let limit = match of_kind {
            "credit_alphanum4" => 4,
            "credit_alphanum12" => 12,
            _ => {
                let accepted = "Asset type must be native, credit_alphanum4 or credit_alphanum12";
                return Err(Problem::invalid_field(&kind, accepted));
            }
        };
        let name = of_code.unwrap_or_default();
        let fits = (1..=limit).contains(&name.len()) && (limit == 4 || name.len() > 4);
        let missing = || Problem::invalid_field(&code, format!("not a code of the type {of_kind}"));
        if !fits {
            return Err(missing());
        }
        let issuer = account(&issuer, of_issuer.unwrap_or_default())?;
        issued(name, issuer.into()).map(Some).map_err(|_| missing())
    }

    /// An asset in three parameters that has to be named.
    ///
    /// **Errors**: as [`Params::typed_asset`], and where it is not named.
    pub fn required_asset(&self, prefix: &str) -> Result<Asset, Problem> {
        self.typed_asset(prefix)?.ok_or_else(|| {
            let accepted = "Asset type must be native, credit_alphanum4 or credit_alphanum12";
            Problem::invalid_field(&format!("{prefix}asset_type"), accepted)
        })
    }

    /// Assets in one word each, joined by commas; none if nothing is named.
    ///
    /// **Errors**: a word that is no asset, or more than `limit` of them.
    pub fn assets(&self, name: &str, limit: usize) -> Result<Vec<Asset>, Problem> {
        let Some(text) = self.get(name) else { return Ok(Vec::new()) };
        let words: Vec<&str> = text.split(',').collect();
        if words.len() > limit {
            return Err(Problem::invalid_field(name, format!("at most {limit} assets can be named")));
        }
        words.into_iter().map(|word| asset(name, word)).collect()
    }

    /// A whole number, if one is named.
    ///
    /// **Errors**: anything else.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            if digits { text.parse().ok().filter(|number| *number <= i64::MAX as u64) } else { None };
        number.map(Some).ok_or_else(|| Problem::invalid_field(name, "unparseable value"))
    }

    /// An amount that has to be named. **Units**: ten-millionths of the asset's unit.
    ///
    /// **Errors**: anything but a positive decimal number with at most seven places.
    pub fn amount(&self, name: &str) -> Result<i64, Problem> {
        let amount = carat_types::builder::amount::parse(self.get(name).unwrap_or_default()).ok();
        amount.filter(|amount| *amount > 0).ok_or_else(|| {
            Problem::invalid_field(name, "Value must be a positive decimal number with at most 7 places")
        })
    }
}

fn asset(field: &str, text: &str) -> Result<Asset, Problem> {
    carat_types::builder::asset::parse(text)
        .map_err(|_| Problem::invalid_field(field, "Assets must be native or of the form CODE:ISSUER"))
}

/// A liquidity pool's id.
///
/// **Errors**: neither 64 hexadecimal digits nor an address that begins with L.
pub fn pool(field: &str, text: &str) -> Result<Digest, Problem> {
    let refused = || Problem::invalid_field(field, "Liquidity pool ID must be 64 hexadecimal digits");
    if let Ok(pool) = stellar_strkey::LiquidityPool::from_string(text) {
        return Ok(Digest(pool.0));
    }
    text.to_ascii_lowercase().parse().map_err(|_| refused())
}

/// A claimable balance's id: eight hexadecimal zeros, which stand for its kind, and 64 digits.
///
/// **Errors**: anything else.
pub fn balance(field: &str, text: &str) -> Result<Digest, Problem> {
    let refused = || Problem::invalid_field(field, "Claimable balance ID must be 72 hexadecimal digits");
    if let Ok(stellar_strkey::ClaimableBalance::V0(id)) = stellar_strkey::ClaimableBalance::from_string(text)
    {
        return Ok(Digest(id));
    }
    text.to_ascii_lowercase().strip_prefix("00000000").and_then(|id| id.parse().ok()).ok_or_else(refused)
}
