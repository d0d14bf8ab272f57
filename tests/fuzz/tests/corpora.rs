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

#[test]
fn seeds_of_history_rows_damage_what_their_routes_read() {
    use std::collections::BTreeSet;
    let seeds = seeds("history_row");
    let route_and_row = |seed: &Vec<u8>| (seed[0], u16::from_be_bytes([seed[1], seed[2]]));
    let places: BTreeSet<_> = seeds.iter().map(route_and_row).collect();
    for (route, row) in &places {
        let values: Vec<_> = seeds.iter().filter(|seed| route_and_row(seed) == (*route, *row)).collect();
        assert_eq!(values.iter().map(|seed| seed.len()).collect::<Vec<_>>(), [3, 5], "empty, and zeros");
    }
    // Rows of indexes hold nothing but their keys: to lose their values changes no answer.
    let tell = places.iter().filter(|(route, row)| carat_fuzz::rest::reads(*route, (*row).into())).count();
    assert!(tell > 20 && tell * 3 > places.len(), "{tell} of {} damages change an answer", places.len());
    // Where accounts, ledgers, operations, trades and offers are shown, several kinds of rows are read.
    let routes: BTreeSet<_> = places.iter().map(|(route, _)| route).collect();
    let kinds: BTreeSet<_> =
        places.iter().map(|(_, row)| carat_fuzz::rest::kind(usize::from(*row))).collect();
    assert!(places.len() > routes.len() && routes.len() > 20 && kinds.len() > 5, "{routes:?} {kinds:?}");
}
