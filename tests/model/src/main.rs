//! `model [--views V] [--bug NAME] [--sound]`: explores the core as it is, then with everything that is planted, and ends with
//! `planted=N found=N states=M`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the output of a command")]

use std::process::ExitCode;

use carat_model::bugs::PLANTED;
use carat_model::explore::{Explored, sound, with};
use carat_types::genesis::Trust;

const USAGE: &str = "usage: model [--views V] [--sound] [--bug NAME]

  --views V    how many views the core as it is is explored over (2 to 4, default 3)
  --sound      only the core as it is
  --bug NAME   only this bug, with the way to it";

fn main() -> ExitCode {
    let (mut views, mut only_sound, mut bug) = (3, false, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next();
        match word.as_str() {
            "--sound" => only_sound = true,
            "--bug" => bug = value(),
            "--views" => match value().and_then(|views| views.parse().ok()) {
                Some(number @ 2..=4) => views = number,
                _ => return misunderstood(&word),
            },
            _ => return misunderstood(&word),
        }
    }
    // Many bugs are found because the core's own assertions stop it: not worth a report each.
    std::panic::set_hook(Box::new(|_| ()));
    let mut states = 0;
    let mut green = true;
    if bug.is_none() {
        for trust in [Trust::Bft, Trust::Crash] {
            let explored = sound(trust, views);
            states += explored.states;
            green &= explored.is_green();
            println!("{} trust {trust:?}, {views} views: {}", word_of(&explored), figures(&explored));
            print_broken(&explored);
        }
    }
    let (mut planted, mut found) = (0, 0);
    for one in PLANTED.iter().filter(|one| !only_sound && bug.as_ref().is_none_or(|bug| one.name == bug)) {
        let fewer = (one.views > 1).then(|| with(one, one.views - 1));
        let enough = with(one, one.views);
        states += enough.states + fewer.as_ref().map_or(0, |fewer| fewer.states);
        let unseen = fewer.as_ref().is_none_or(|fewer| fewer.broken.is_empty());
        let seen = !enough.broken.is_empty();
        planted += 1;
        found += usize::from(seen);
        green &= seen && unseen;
        println!(
            "{} {:<46} {:?}, {} views{}: {}",
            if seen { "found   " } else { "SURVIVED" },
            one.name,
            one.trust,
            one.views,
            if unseen { "" } else { " (FEWER ARE ENOUGH)" },
            enough.broken.first().map_or("", |(property, _)| property),
        );
        if bug.is_some() {
            print_broken(&enough);
        }
    }
    println!("planted={planted} found={found} states={states}");
    if green { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn misunderstood(word: &str) -> ExitCode {
    eprintln!("{word}: not understood\n{USAGE}");
    ExitCode::from(2)
}

fn word_of(explored: &Explored) -> &'static str {
    if explored.is_green() { "green   " } else { "BROKEN  " }
}

fn figures(explored: &Explored) -> String {
    format!("{} states in {:.1} s", explored.states, explored.took.as_secs_f64())
}

fn print_broken(explored: &Explored) {
    for (property, path) in &explored.broken {
        println!("         {property}\n{path}");
    }
    for property in &explored.missing {
        println!("         never: {property}");
    }
}
