//! A fast 64-bit hash that is the same on every machine: for trace hashes and mock signatures, never for safety.

/// Multiplies to 128 bits and folds the halves.
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are wanted")]
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    low ^ high
}

/// Mixes one number into a state.
pub fn mix(state: u64, value: u64) -> u64 {
    fold(state ^ 0xa076_1d64_78bd_642f, value ^ 0xe703_7ed1_a0b4_28db ^ state.rotate_left(23))
}

/// Mixes bytes, and their number, into a state.
pub fn mix_bytes(state: u64, bytes: &[u8]) -> u64 {
    let mut state = mix(state, bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state, u64::from_le_bytes(last))
}
