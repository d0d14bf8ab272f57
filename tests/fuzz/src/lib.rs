//! Everything in the product that reads bytes of strangers, as functions over arbitrary bytes.
//!
//! A target must neither panic nor run away, whatever it is given; and what it takes must be written in exactly one way:
//! decoding and encoding again gives the same bytes, or two validators could name one thing by two digests. Each target has
//! seeds, valid inputs made here, and a corpus in `corpus/`, found by the fuzzer. `tests/corpora.rs` runs all of it in
//! every test run; `scripts/fuzz.sh` looks for more.

pub mod confidential;
pub mod corpus;
pub mod ledger;
pub mod network;
pub mod replica;
pub mod rest;
pub mod seeds;
pub mod storage;
pub mod tls;
pub mod wire;

/// A function over arbitrary bytes.
pub type Target = fn(&[u8]);

/// All targets by name. The name is also that of the corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("frame", wire::frame),
    ("block", wire::block),
    ("certificate", wire::certificate),
    ("receipt", wire::receipt),
    ("submission", wire::submission),
    ("merkle_path", wire::merkle_path),
    ("state_proof", wire::state_proof),
    ("state_chunk", wire::state_chunk),
    ("snapshot_offer", wire::snapshot_offer),
    ("payload", wire::payload),
    ("genesis_file", wire::genesis_file),
    ("text_forms", wire::text_forms),
    ("envelope", ledger::envelope),
    ("state_entry", ledger::state_entry),
    ("apply", ledger::apply),
    ("journal_segment", storage::journal_segment),
    ("journal_record", storage::journal_record),
    ("stored_values", storage::stored_values),
    ("replica", replica::replica),
    ("tls_certificate", tls::tls_certificate),
    ("rest_request", rest::rest_request),
    ("history_row", rest::history_row),
    ("confidential_claim", confidential::confidential_claim),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
