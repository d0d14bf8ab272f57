//! `zoo [--bug NAME] [--minutes M] [--from S]`: hunts every planted bug, one after the other, and ends with
//! `planted=N killed=N`. `zoo --list` names them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command")]

mod quarry;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use carat_consensus::planted;
use quarry::{Quarry, hunt};

const USAGE: &str = "usage: zoo [--bug NAME] [--minutes M] [--from S]
       zoo --list

  --bug NAME   only this bug
  --minutes M  give up a bug after so many minutes (default 10)
  --from S     begin each hunt with this seed (default 0)
  --list       name the bugs and where such were seen";

fn main() -> ExitCode {
    let mut quarries = Quarry::all();
    let (mut minutes, mut from) = (10, 0);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next();
        match (word.as_str(), value.as_deref(), value.as_deref().and_then(|value| value.parse().ok())) {
            ("--list", None, _) => {
                quarries.iter().for_each(|quarry| println!("{:<48} {}", quarry.name(), quarry.origin()));
                return ExitCode::SUCCESS;
            }
            ("--bug", Some(name), _) => quarries.retain(|quarry| quarry.name() == name),
            ("--minutes", _, Some(number)) => minutes = number,
            ("--from", _, Some(number)) => from = number,
            _ => {
                eprintln!("{word}: not understood\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if quarries.len() > 1 {
        // Many bugs are found because the core's own assertions stop it: not worth a report each.
        std::panic::set_hook(Box::new(|_| ()));
    }
    let mut killed = 0;
    for quarry in &quarries {
        let begun = Instant::now();
        let patience = Duration::from_secs(60 * minutes);
        let found = (from..).take_while(|_| begun.elapsed() < patience).find_map(|seed| hunt(quarry, seed));
        let seconds = begun.elapsed().as_secs_f64();
        let name = quarry.name();
        match found {
            Some(kill) => {
                killed += 1;
                println!(
                    "killed   {name:<48} {seconds:>6.1} s  seed {:<5} {}",
                    kill.seed, kill.violation.rule
                );
                if quarries.len() == 1 {
                    println!("         {}", kill.violation.detail);
                }
            }
            None => println!("SURVIVED {name:<48} {seconds:>6.1} s  {}", quarry.origin()),
        }
    }
    if quarries.len() > 1 {
        let tested = planted::all().iter().filter(|bug| bug.test.is_some()).count();
        println!(
            "{tested} others show in no seed: cargo test --release -p carat-zoo --test protocol kills them"
        );
    }
    println!("planted={} killed={killed}", quarries.len());
    if killed == quarries.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
