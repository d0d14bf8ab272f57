//! Products and quotients of amounts, in 128 bits, with the direction of rounding stated.
//!
//! Amounts are never negative; a negative one counts as 0.

/// Which way a quotient that is no whole number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Down,
    Up,
}

/// The product of two amounts; cannot overflow.
pub(crate) fn product(a: i64, b: i64) -> u128 {
    magnitude(a).saturating_mul(magnitude(b))
}

/// `value / by`, none if the quotient is no amount.
pub(crate) fn quotient(value: u128, by: u128, round: Round) -> Option<i64> {
    let down = value.checked_div(by)?;
    let exact = value.checked_rem(by)? == 0;
    let rounded = if round == Round::Up && !exact { down.checked_add(1)? } else { down };
    i64::try_from(rounded).ok()
}

/// `a * b / c`, none if the quotient is no amount.
pub(crate) fn multiply_divide(a: i64, b: i64, c: i64, round: Round) -> Option<i64> {
    quotient(product(a, b), magnitude(c), round)
}

/// `factor * value / by` where the product may exceed 128 bits; `factor * by` must not.
///
/// **Returns** none if the quotient is no amount.
pub(crate) fn scaled_quotient(factor: u32, value: u128, by: u128, round: Round) -> Option<i64> {
    let factor = u128::from(factor);
    let (whole, rest) = (value.checked_div(by)?, value.checked_rem(by)?);
    let of_rest = quotient(factor.checked_mul(rest)?, by, round)?;
    i64::try_from(whole.checked_mul(factor)?).ok()?.checked_add(of_rest)
}

/// The square root of a product, rounded down.
pub(crate) fn geometric_mean(a: i64, b: i64) -> i64 {
    // The root of a product of two i64 is at most the larger of them.
    i64::try_from(product(a, b).isqrt()).unwrap_or(i64::MAX)
}

fn magnitude(amount: i64) -> u128 {
    u128::from(amount.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_round_as_they_are_told() {
        let table = [
            ((7, 3, 2), Some(10), Some(11)),
            ((6, 3, 2), Some(9), Some(9)),
            ((i64::MAX, i64::MAX, i64::MAX), Some(i64::MAX), Some(i64::MAX)),
            ((i64::MAX, 3, 2), None, None),
            ((1, 1, 0), None, None),
            ((0, 5, 3), Some(0), Some(0)),
        ];
        for ((a, b, c), down, up) in table {
            assert_eq!(multiply_divide(a, b, c, Round::Down), down, "{a} * {b} / {c}");
            assert_eq!(multiply_divide(a, b, c, Round::Up), up, "{a} * {b} / {c}");
        }
    }

    #[test]
    fn scaled_quotient_is_exact_where_the_product_needs_more_than_128_bits() {
        let large = product(i64::MAX, i64::MAX);
        let by = 10_000 * u128::from(i64::MAX.unsigned_abs());
        assert_eq!(scaled_quotient(10_000, large, by, Round::Down), Some(i64::MAX));
        // 9,970 (m * m) / (10,000 m) = 0.997 m, which is no whole number.
        assert_eq!(scaled_quotient(9_970, large, by, Round::Down), Some(9_195_701_920_744_211_479));
        assert_eq!(scaled_quotient(9_970, large, by, Round::Up), Some(9_195_701_920_744_211_480));
        assert_eq!(scaled_quotient(3, 7, 2, Round::Down), Some(10));
        assert_eq!(scaled_quotient(3, 7, 2, Round::Up), Some(11));
        assert_eq!(scaled_quotient(2, large, 1, Round::Down), None);
    }

    #[test]
    fn geometric_mean_rounds_down() {
        for (a, b, mean) in [(4, 9, 6), (2, 4, 2), (1, 3, 1), (i64::MAX, i64::MAX, i64::MAX), (0, 9, 0)] {
            assert_eq!(geometric_mean(a, b), mean, "{a}, {b}");
        }
    }
}
