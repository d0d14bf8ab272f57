//! `twins SLICE [--from RANK] [--count N] [--threads T]`: plays the scenarios of a slice and ends with the range of
//! ranks, the number of scenarios and of violations.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command")]

use std::process::ExitCode;

use carat_sim::twins::explore;
use carat_sim::twins::scenario::{Scenario, Slice};

const USAGE: &str = "usage: twins A|B|C [--from RANK] [--count N] [--threads T]";

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| ()));
    let mut words = std::env::args().skip(1);
    let Some(slice) = words.next().as_deref().and_then(Slice::named) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut from, mut count) = (0, slice.ranks());
    let mut threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    while let (Some(word), value) = (words.next(), words.next()) {
        match (word.as_str(), value.and_then(|value| value.parse::<u64>().ok())) {
            ("--from", Some(number)) => from = number,
            ("--count", Some(number)) => count = number,
            ("--threads", Some(number)) => threads = usize::try_from(number).unwrap_or(1).max(1),
            _ => {
                eprintln!("{word}: not understood\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let report = explore(slice, from, count, threads);
    for (rank, failure) in report.failures.iter().take(10) {
        eprintln!(
            "rank {rank}: {} broken: {}\n  {:?}",
            failure.rule,
            failure.detail,
            Scenario::of(slice, *rank)
        );
    }
    println!(
        "slice={slice:?} ranks={from}..{} of {} scenarios={} events={} violations={}",
        from + report.ranks,
        slice.ranks(),
        report.played,
        report.events,
        report.failures.len()
    );
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
