//! `sim --seeds N [--from S] [--n N] [--adversary NAME]`: runs seeds and ends with `seeds=N events=E violations=0`;
//! `sim --seed S [--trace]`: runs one seed, and shows what happened.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command")]

use std::process::ExitCode;

use carat_sim::oracle::Violation;
use carat_sim::plan::Behaviour;
use carat_sim::planted::Planted;
use carat_sim::runner::{Options, last_lines, run_seed, run_seeds};
use carat_sim::trace::{Line, Wanted};
use carat_types::genesis::Trust;

const USAGE: &str =
    "usage: sim --seeds N [--from S] [--n N] [--adversary NAME] [--trust T] [--epochs] [--edge] [--threads T] [--canary]
       sim --seed S [--n N] [--adversary NAME] [--trust T] [--epochs] [--edge] [--trace]

  --seeds N    run N seeds
  --from S     begin with seed S (default 0)
  --seed S     run one seed, show its plan, and its last events if it fails
  --trace      show everything that happens in that seed
  --canary     plant an error in the seeds 37, 137, 237 ...: they must fail
  --n N        number of validators (default: the seed decides)
  --adversary NAME  what the liars do, and that there are some (docs/testing.md has the names)
  --trust T    bft or crash: what validators act on (default: the seed decides)
  --epochs     the validators change once to three times (default: in an eighth of the seeds)
  --edge       proposers are machines of their own, and all but one may lie (default: in an eighth of the seeds)
  --threads T  default: one for each processor";

/// Lines shown of a failed seed.
const LAST_LINES: usize = 50;

struct Arguments {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    trace: bool,
    threads: usize,
    options: Options,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic of the core is reported as a broken rule of its seed; here, where it happened.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("panic at {place}");
        }
    }));
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut arguments =
        Arguments { seeds: 0, from: 0, seed: None, trace: false, threads, options: Options::default() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--trace" => arguments.trace = true,
            "--epochs" => arguments.options.epochs = true,
            "--edge" => arguments.options.edge = Some(true),
            "--canary" => arguments.options.planted = Some(Planted::Canary),
            _ => {}
        }
        if matches!(word.as_str(), "--trace" | "--canary" | "--epochs" | "--edge") {
            continue;
        }
        let value = words.next().ok_or(format!("{word}: a number is missing"))?;
        if word == "--adversary" {
            arguments.options.adversary =
                Some(Behaviour::named(&value).ok_or(format!("--adversary {value}: no such strategy"))?);
            continue;
        }
        if word == "--trust" {
            arguments.options.trust = Some(match value.as_str() {
                "bft" => Trust::Bft,
                "crash" => Trust::Crash,
                _ => return Err(format!("--trust {value}: bft or crash")),
            });
            continue;
        }
        let number: u64 = value.parse().map_err(|_| format!("{word} {value}: not a number"))?;
        match word.as_str() {
            "--seeds" => arguments.seeds = number,
            "--from" => arguments.from = number,
            "--seed" => arguments.seed = Some(number),
            "--threads" => arguments.threads = usize::try_from(number).unwrap_or(threads).max(1),
            "--n" if matches!(number, 1 | 4..=64) => arguments.options.n = u16::try_from(number).ok(),
            "--n" => return Err(format!("--n {number}: 1, or 4 to 64 validators")),
            _ => return Err(format!("{word}: unknown")),
        }
    }
    if arguments.seeds == 0 && arguments.seed.is_none() {
        return Err("nothing to run".to_owned());
    }
    Ok(arguments)
}

fn many(arguments: &Arguments) -> ExitCode {
    let Arguments { seeds, from, threads, options, .. } = *arguments;
    let summary = run_seeds(from, seeds, threads, options, |seed, outcome| {
        if let Some(violation) = &outcome.violation {
            eprintln!("seed {seed}: {} broken: {}", violation.rule, violation.detail);
        }
    });
    let seconds = cpu_seconds().unwrap_or(f64::NAN);
    if let Some((seed, _)) = summary.failures.first() {
        let outcome = run_seed(*seed, options, Wanted::All);
        explain(*seed, outcome.events, outcome.violation.as_ref(), &outcome.lines);
    }
    println!(
        "slots={} epochs={} transactions={} crashes={} transfers={} told_early={} highest_view={} longest_recovery_ms={} trace={:016x} \
         events_per_cpu_second={:.0}",
        summary.slots,
        summary.epochs,
        summary.acknowledged,
        summary.crashes,
        summary.transfers,
        summary.told_early,
        summary.views,
        summary.recovery_ms,
        summary.trace_hash,
        summary.events as f64 / seconds,
    );
    println!("seeds={} events={} violations={}", summary.seeds, summary.events, summary.failures.len());
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this process so far, from the kernel's table.
fn cpu_seconds() -> Option<f64> {
    /// What the table counts in, on every Linux that we know of.
    const TICKS_PER_SECOND: f64 = 100.0;
    let table = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = table.rsplit(')').next()?;
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Some(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let options = arguments.options;
    println!("{:#?}", options.plan(seed));
    let outcome = run_seed(seed, arguments.options, Wanted::All);
    if arguments.trace {
        outcome.lines.iter().for_each(|line| println!("{line}"));
    }
    println!(
        "slots={} epochs={} transactions={} crashes={} transfers={} highest_view={} recovery_ms={} trace={:016x}",
        outcome.slots,
        outcome.epochs,
        outcome.acknowledged,
        outcome.crashes,
        outcome.transfers,
        outcome.views,
        outcome.recovery_ms,
        outcome.trace_hash
    );
    let failed = outcome.violation.is_some();
    if failed {
        explain(seed, outcome.events, outcome.violation.as_ref(), &outcome.lines);
    }
    println!("seeds=1 events={} violations={}", outcome.events, u8::from(failed));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn explain(seed: u64, events: u64, violation: Option<&Violation>, lines: &[Line]) {
    let Some(violation) = violation else { return };
    eprintln!("\nseed {seed}, event {events}: {} is broken", violation.rule);
    if let Some(validator) = violation.validator {
        eprintln!("  by validator {validator}");
    }
    eprintln!("  {}\n  the last events:", violation.detail);
    for line in last_lines(lines, violation.validator, LAST_LINES) {
        eprintln!("  {line}");
    }
    eprintln!("hint: ./scripts/sim.sh --seed {seed} --trace shows the whole run");
}
