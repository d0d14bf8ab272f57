//! `carat-fuzz`: one target under libFuzzer. `CARAT_FUZZ_TARGET` names it; the arguments are libFuzzer's.

#![no_main]

use std::sync::OnceLock;

use carat_fuzz::{TARGETS, Target, target};

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("CARAT_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        let known: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        panic!("CARAT_FUZZ_TARGET is {name:?}, expected one of {}", known.join(", "))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.get_or_init(chosen)(bytes));
