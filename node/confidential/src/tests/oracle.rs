//! The range proof's verifier against that of the `bulletproofs` crate, on valid and on altered proofs.

use bulletproofs::RangeProof;
use curve25519_dalek::ristretto::CompressedRistretto;

use super::*;
use crate::encoding::PointBytes;
use crate::generators::{BITS, Generators};
use crate::range;

fn ours(commitments: &[PointBytes], words: &[[u8; 32]]) -> bool {
    let decode = |it: &PointBytes| Some((*it, it.to_point("commitment").ok()?));
    let Some(numbers) = commitments.iter().map(decode).collect::<Option<Vec<_>>>() else { return false };
    let mut weights = rng(5);
    let mut sum = Sum::new();
    match range::replay(&mut merlin::Transcript::new(b"test"), &numbers, words) {
        Ok(replayed) => replayed.add_to(&mut sum, &mut || Scalar::random(&mut weights)),
        Err(_) => return false,
    }
    sum.vanishes()
}

fn theirs(commitments: &[PointBytes], words: &[[u8; 32]]) -> bool {
    let all = Generators::get();
    let Ok(proof) = RangeProof::from_bytes(&words.concat()) else { return false };
    let commitments: Vec<_> = commitments.iter().map(|it| CompressedRistretto(it.0)).collect();
    let transcript = &mut merlin::Transcript::new(b"test");
    proof
        .verify_multiple_with_rng(
            &all.bulletproof,
            &all.pedersen,
            transcript,
            &commitments,
            BITS,
            &mut rng(6),
        )
        .is_ok()
}

#[track_caller]
fn check(commitments: &[PointBytes], words: &[[u8; 32]], expected: bool, name: &str) {
    assert_eq!(theirs(commitments, words), expected, "the library on {name}");
    assert_eq!(ours(commitments, words), expected, "ours on {name}");
}

#[test]
fn both_verifiers_say_the_same() {
    for numbers in [vec![0, u64::from(u32::MAX)], vec![1, 2, 3, 4_000_000_000]] {
        let blindings: Vec<Scalar> = numbers.iter().map(|it| Scalar::from(it + 77)).collect();
        let commit = |(number, blinding): (&u64, &Scalar)| {
            PointBytes::from(&Generators::get().pedersen.commit(Scalar::from(*number), *blinding))
        };
        let commitments: Vec<_> = numbers.iter().zip(&blindings).map(commit).collect();
        let mut transcript = merlin::Transcript::new(b"test");
        let words = range::prove(&mut transcript, &numbers, &blindings, &mut rng(1)).expect("two or four");
        check(&commitments, &words, true, "what was proved");
        for place in 0..words.len() {
            for byte in [0, 13, 31] {
                let mut altered = words.clone();
                altered[place][byte] ^= 4;
                check(&commitments, &altered, false, "an altered word");
            }
        }
        for place in 0..commitments.len() {
            let mut altered = commitments.clone();
            altered.swap(place, (place + 1) % numbers.len());
            check(&altered, &words, false, "swapped commitments");
        }
        check(&commitments[1..], &words, false, "a commitment too few");
    }
}

#[test]
fn number_of_33_bits_is_not_proved() {
    let (numbers, blindings) = ([1 << 32, 1], [Scalar::from(5_u8), Scalar::from(6_u8)]);
    let commit = |at: usize| {
        PointBytes::from(&Generators::get().pedersen.commit(Scalar::from(numbers[at]), blindings[at]))
    };
    let mut transcript = merlin::Transcript::new(b"test");
    if let Ok(words) = range::prove(&mut transcript, &numbers, &blindings, &mut rng(1)) {
        check(&[commit(0), commit(1)], &words, false, "33 bits");
    }
}
