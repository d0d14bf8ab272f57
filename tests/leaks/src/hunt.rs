//! Each leak in a process of its own: the test of the matrix that it names must fail, and all pass without a leak.

use std::process::{Command, Output};
use std::sync::Mutex;

use crate::planted::{ALL, Leak, VARIABLE};

/// Runs the tests of the matrix that `filter` names, with a leak or without.
fn run(leak: &str, filter: &[&str]) -> Output {
    let program = std::env::current_exe().expect("the program of these tests");
    let tests = filter.iter().map(|test| format!("tests::visibility::{test}"));
    let command = &mut Command::new(program);
    command.env(VARIABLE, leak).args(tests).args(["--exact", "--test-threads", "1"]);
    command.output().expect("the program of these tests runs")
}

/// Why a leak was not found; none if it was.
fn not_found(leak: &Leak) -> Option<String> {
    let output = run(leak.name, &[leak.test]);
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = format!("test tests::visibility::{} ... FAILED", leak.test);
    (output.status.success() || !text.contains(&failed))
        .then(|| format!("{} ({}): {text}", leak.name, leak.shows))
}

#[test]
fn every_place_of_a_leak_is_in_the_sources() {
    assert_eq!(crate::LOST, [""; 0], "leaks whose place was not found");
}

#[test]
fn every_planted_leak_is_found_by_the_test_that_it_names() {
    let mut tests: Vec<&str> = ALL.iter().map(|leak| leak.test).collect();
    tests.sort_unstable();
    tests.dedup();
    let sound = run("none", &tests);
    assert!(sound.status.success(), "without a leak: {}", String::from_utf8_lossy(&sound.stdout));

    let left = Mutex::new(ALL.iter());
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(leak) = left.lock().expect("whole").next() else { return };
                    missed.lock().expect("whole").extend(not_found(leak));
                }
            });
        }
    });
    let missed = missed.into_inner().expect("whole");
    assert!(
        missed.is_empty(),
        "{} of {} leaks were not found:\n{}",
        missed.len(),
        ALL.len(),
        missed.join("\n")
    );
    println!("{} leaks planted, each found", ALL.len());
}
