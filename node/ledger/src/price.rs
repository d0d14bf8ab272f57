//! Prices: exact comparison, and the rank that orders an order book.
//!
//! The one place of this crate with floating point. The wire format's network orders its books by the IEEE quotient
//! n/d, ties by age; different ratios can have the same quotient, so an exact order would cross other offers than
//! it does. One correctly rounded division of integers that f64 holds exactly gives the same bits on every machine.
//! **Source**: ledger specification A.6.

use std::cmp::Ordering;

use stellar_xdr::Price;

/// Whether both parts are positive.
pub(crate) fn is_valid(price: &Price) -> bool {
    price.n > 0 && price.d > 0
}

/// The same price in the other asset.
pub(crate) fn inverse(price: &Price) -> Price {
    Price { n: price.d, d: price.n }
}

/// Compares two prices exactly.
pub(crate) fn compare(a: &Price, b: &Price) -> Ordering {
    // Products of two i32 fit in i64.
    let left = i64::from(a.n).saturating_mul(b.d.into());
    let right = i64::from(b.n).saturating_mul(a.d.into());
    left.cmp(&right)
}

/// The place of a price in the order of a book: lower is better for the taker.
#[expect(
    clippy::float_arithmetic,
    reason = "the order of the wire format's network: see the head of this file"
)]
pub(crate) fn rank(price: &Price) -> u64 {
    // The bits of positive floating-point numbers are in the order of the numbers.
    (f64::from(price.n) / f64::from(price.d)).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_prices_but_for_ratios_too_near_to_tell() {
        let near = [Price { n: i32::MAX, d: i32::MAX - 1 }, Price { n: i32::MAX - 1, d: i32::MAX - 2 }];
        assert_eq!(compare(&near[0], &near[1]), Ordering::Less);
        assert_eq!(rank(&near[0]), rank(&near[1]));
        let rising = [
            Price { n: 1, d: i32::MAX },
            Price { n: 1, d: 3 },
            Price { n: 1, d: 2 },
            Price { n: 2, d: 3 },
            Price { n: 1, d: 1 },
            Price { n: 3, d: 2 },
            Price { n: i32::MAX, d: 1 },
        ];
        for pair in rising.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert!(rank(&pair[0]) < rank(&pair[1]), "{pair:?}");
        }
        assert_eq!(compare(&Price { n: 2, d: 4 }, &Price { n: 1, d: 2 }), Ordering::Equal);
        assert_eq!(rank(&Price { n: 1, d: 2 }), 0.5_f64.to_bits());
    }
}
