//! Every target over its seeds and its corpus, and over small damages to them.

use carat_fuzz::seeds::seeds;
use carat_fuzz::{TARGETS, Target, corpus};

/// Cuts, and each byte changed in one bit of it, at 64 places of an input.
fn damaged(input: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let step = (input.len() / 64).max(1);
    (0..input.len()).step_by(step).flat_map(move |at| {
        let mut flipped = input.to_vec();
        flipped[at] ^= 1 << (at % 8);
        [input[..at].to_vec(), flipped]
    })
}

fn check(name: &str, target: Target) {
    let mut inputs = seeds(name);
    inputs.extend(corpus::read(name).unwrap_or_else(|error| panic!("{name}: {error}")));
    assert!(!inputs.is_empty(), "{name} has neither seeds nor a corpus");
    for input in &inputs {
        target(input);
        damaged(input).for_each(|input| target(&input));
    }
}

#[test]
fn no_target_panics_on_its_corpus_or_on_damages_to_it() {
    TARGETS.iter().for_each(|(name, target)| check(name, *target));
}

#[test]
fn seeds_are_taken_and_not_refused() {
    use carat_types::block::CertifiedBlock;
    use carat_types::codec::Decode;
    use carat_types::message::Frame;
    assert!(seeds("frame").iter().all(|seed| Frame::from_bytes(seed).is_ok()));
    assert!(seeds("block").iter().all(|seed| CertifiedBlock::from_bytes(seed).is_ok()));
    assert!(seeds("envelope").iter().all(|seed| carat_types::transaction::decode_envelope(seed).is_ok()));
    let in_time: Vec<bool> =
        seeds("tls_certificate").iter().map(|seed| carat_fuzz::tls::is_taken(seed)).collect();
    assert_eq!(in_time, [true, false]);
    let segment = seeds("journal_segment").pop().expect("the last one is whole");
    let segment = carat_storage::journal::format::read_segment(&segment).expect("a header");
    assert_eq!(segment.records.len(), 5);
}
