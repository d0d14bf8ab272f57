//! Amounts: 64-bit counts of the seventh decimal place, read and shown as decimal text without any rounding.

use thiserror::Error;

/// Decimal places of every amount.
pub const PLACES: usize = 7;

/// Stroops in one unit.
pub const UNIT: i64 = 10_000_000;

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not digits with at most one point between them.
    #[error("{0:?} is no amount, expected digits such as 100 or 0.0000001")]
    Syntax(String),
    /// More than seven places.
    #[error("{0:?} has more than {PLACES} decimal places")]
    Places(String),
    /// Above the largest amount.
    #[error("{0:?} is above the largest amount, 922337203685.4775807")]
    TooLarge(String),
}

/// Reads an amount such as `100`, `0.5` or `12.3450000`. A sign is no part of an amount.
///
/// **Returns** stroops.
///
/// **Errors**: [`AmountError`]; nothing is ever rounded.
pub fn parse(text: &str) -> Result<i64, AmountError> {
    let syntax = || AmountError::Syntax(text.to_owned());
    let (whole, places) = match text.split_once('.') {
        None => (text, ""),
        Some((_, "")) => return Err(syntax()),
        Some(parts) => parts,
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(places) {
        return Err(syntax());
    }
    if places.len() > PLACES {
        return Err(AmountError::Places(text.to_owned()));
    }
    // Only digits are left, so the one way to fail is to be too large.
    format!("{whole}{places:0<PLACES$}").parse().map_err(|_| AmountError::TooLarge(text.to_owned()))
}

/// Shows stroops with all seven places, as the REST interface does.
pub fn format(stroops: i64) -> String {
    let sign = if stroops < 0 { "-" } else { "" };
    let (unit, value) = (UNIT.unsigned_abs(), stroops.unsigned_abs());
    let whole = value.checked_div(unit).unwrap_or(0);
    let places = value.checked_rem(unit).unwrap_or(0);
    format!("{sign}{whole}.{places:0PLACES$}")
}
