//! Prices as text: a decimal such as `1.25`, or a ratio such as `5/4`. Never rounded.

use stellar_xdr::Price;
use thiserror::Error;

/// Why a text is no price.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Neither a decimal nor a ratio, or zero.
    #[error("{0:?} is no price, expected a number above 0 such as 1.25, or a ratio such as 5/4")]
    Syntax(String),
    /// The reduced ratio has a part above 2^31 - 1.
    #[error(
        "{0:?} is no ratio of two numbers up to 2147483647 (hint: give fewer places, or a ratio such as 5/4)"
    )]
    TooFine(String),
}

/// Reads a price and reduces it to its lowest terms.
///
/// **Errors**: [`PriceError`].
pub fn parse(text: &str) -> Result<Price, PriceError> {
    let syntax = || PriceError::Syntax(text.to_owned());
    let (numerator, denominator) = match text.split_once('/') {
        Some((numerator, denominator)) => (digits(numerator), digits(denominator)),
        None => {
            let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
            let scale = u32::try_from(places.len()).ok().and_then(|places| 10_u128.checked_pow(places));
            let whole = digits(whole).zip(scale).and_then(|(whole, scale)| whole.checked_mul(scale));
            (whole.zip(digits(places)).and_then(|(whole, places)| whole.checked_add(places)), scale)
        }
    };
    let (numerator, denominator) = numerator.zip(denominator).ok_or_else(syntax)?;
    if numerator == 0 || denominator == 0 {
        return Err(syntax());
    }
    let divisor = greatest_common_divisor(numerator, denominator);
    let part = |value: u128| {
        let reduced = value.checked_div(divisor).and_then(|value| i32::try_from(value).ok());
        reduced.ok_or_else(|| PriceError::TooFine(text.to_owned()))
    };
    Ok(Price { n: part(numerator)?, d: part(denominator)? })
}

/// Digits and nothing else, at most as many as leave room for the arithmetic.
fn digits(text: &str) -> Option<u128> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    match a.checked_rem(b) {
        None | Some(0) => b,
        Some(rest) => greatest_common_divisor(b, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_is_read_exactly_in_lowest_terms() {
        for (text, n, d) in [
            ("1", 1, 1),
            ("1.25", 5, 4),
            ("0.0000001", 1, 10_000_000),
            ("6/4", 3, 2),
            ("3.6725", 1_469, 400),
            ("2147483647", 2_147_483_647, 1),
            ("1/2147483647", 1, 2_147_483_647),
            ("000.50", 1, 2),
        ] {
            assert_eq!(parse(text), Ok(Price { n, d }), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_price_is_refused() {
        for text in ["", "0", "0.0", "-1", "1.", ".5", "1/0", "0/1", "a", "1e3", "1/2/3", &"9".repeat(40)] {
            assert_eq!(parse(text), Err(PriceError::Syntax(text.to_owned())));
        }
        for text in ["2147483648", "0.00000000001", "3.14159265358979"] {
            assert_eq!(parse(text), Err(PriceError::TooFine(text.to_owned())));
        }
    }
}
