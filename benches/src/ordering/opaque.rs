//! Transactions that mean nothing: a number, and bytes that follow from it and look random.

use carat_types::batch::Envelope;

use crate::scenario::mix;

/// Bits of a number below the validator's index.
const INDEX_SHIFT: u32 = 48;

/// The number of the `count`th transaction that goes to this validator.
pub(super) fn number(validator: u16, count: u64) -> u64 {
    (u64::from(validator) << INDEX_SHIFT) | count
}

/// The validator that a transaction was handed in at.
pub(super) fn validator_of(number: u64) -> u16 {
    u16::try_from(number >> INDEX_SHIFT).unwrap_or(u16::MAX)
}

/// The number in front of a transaction's bytes.
pub(super) fn number_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// The transaction of a number, `bytes` long.
pub(super) fn transaction(number: u64, bytes: usize) -> Envelope {
    let mut content = number.to_be_bytes().to_vec();
    let mut word = number;
    while content.len() < bytes {
        word = mix(word);
        content.extend_from_slice(&word.to_be_bytes());
    }
    content.truncate(bytes);
    Envelope(content.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_has_its_length_its_number_and_bytes_of_its_own() {
        let (one, other) = (transaction(number(3, 7), 509), transaction(number(3, 8), 509));
        assert_eq!(
            (one.0.len(), number_of(&one.0), validator_of(number(3, 7))),
            (509, Some(number(3, 7)), 3)
        );
        let equal = one.0.iter().zip(other.0.iter()).skip(8).filter(|(one, other)| one == other).count();
        assert!(equal < 20, "{equal} bytes are the same");
    }
}
