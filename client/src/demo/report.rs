//! What the demo prints: a line for each step with its time, the checks, the table at the end; and its JSON.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::output::{line, table};
use crate::cli::status::{HEAD, Row, cells};

/// The record of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(skip)]
    began: Instant,
    #[serde(skip)]
    step_began: Instant,
    passed: bool,
    seconds: f64,
    steps: Vec<Step>,
    checks: Vec<Check>,
    figures: Option<Figures>,
    validators: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip)]
    addresses: Vec<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Step {
    name: String,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    passed: bool,
    detail: String,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// Payments whose outcome was proved.
    pub(crate) acknowledged: usize,
    /// Of these, submitted and proved between the leader's death and its restart.
    pub(crate) while_leader_dead: usize,
    /// From the leader's death to the proof of the first payment submitted after it.
    pub(crate) outage_seconds: f64,
    /// From submission to proof, half of the payments of the quiet phase are faster.
    pub(crate) latency_p50_seconds: f64,
    /// All but one in a hundred are.
    pub(crate) latency_p99_seconds: f64,
}

impl Report {
    /// Begins the record.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Report {
            began: now,
            step_began: now,
            passed: false,
            seconds: 0.0,
            steps: Vec::new(),
            checks: Vec::new(),
            figures: None,
            validators: Vec::new(),
            failure: None,
            addresses: Vec::new(),
        }
    }

    /// A step is done.
    pub(crate) fn step(&mut self, name: impl Into<String>) {
        let name = name.into();
        let seconds = self.lap().as_secs_f64();
        line(&format!("[{seconds:6.2} s] {name}"));
        self.steps.push(Step { name, seconds });
    }

    /// A check was made.
    pub(crate) fn check(&mut self, name: &'static str, outcome: Result<String, String>) {
        let seconds = self.lap().as_secs_f64();
        let passed = outcome.is_ok();
        let (Ok(detail) | Err(detail)) = outcome;
        let mark = if passed { "ok" } else { "FAILED" };
        line(&format!("[{seconds:6.2} s] check: {name}: {mark}: {detail}"));
        self.checks.push(Check { name, passed, detail });
    }

    /// What was measured.
    pub(crate) fn figures(&mut self, figures: Figures) {
        self.figures = Some(figures);
    }

    /// How the validators are at the end, and where.
    pub(crate) fn validators(&mut self, rows: Vec<Row>, addresses: Vec<Vec<String>>) {
        (self.validators, self.addresses) = (rows, addresses);
    }

    /// The run ended early.
    pub(crate) fn failed(&mut self, reason: &str) {
        self.failure = Some(reason.to_owned());
    }

    /// Prints the end; `kept` is the folder of a network that goes on running.
    pub(crate) fn conclude(&mut self, kept: Option<&Path>) {
        self.seconds = self.began.elapsed().as_secs_f64();
        self.passed = self.failure.is_none() && self.checks.iter().all(|check| check.passed);
        if !self.validators.is_empty() {
            line(&table(&HEAD, self.validators.iter().map(cells).collect()));
            line(&table(&["validator", "api", "metrics", "log"], self.addresses.clone()));
        }
        if let Some(figures) = &self.figures {
            line(&format!(
                "{} payments proved, {} of them without the leader; {:.2} s from its death to the next proof; latency p50 {:.0} ms, p99 {:.0} ms",
                figures.acknowledged,
                figures.while_leader_dead,
                figures.outage_seconds,
                figures.latency_p50_seconds * 1_000.0,
                figures.latency_p99_seconds * 1_000.0,
            ));
        }
        if let Some(folder) = kept {
            let folder = folder.display();
            if let Some(api) = self.addresses.first().and_then(|row| row.get(1)) {
                line(&format!("its pages: {api}/ui/"));
            }
            line(&format!("the network goes on running; end it with: carat --network {folder} network down"));
        }
        let verdict = if self.passed { "passed" } else { "FAILED" };
        line(&format!("demo {verdict} in {:.1} s", self.seconds));
    }

    /// Writes the record.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| Failure::failed(error.to_string()))?;
        std::fs::write(path, json).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    }

    /// The checks that did not hold, as a failure.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let failed: Vec<_> =
            self.checks.iter().filter(|check| !check.passed).map(|check| check.name).collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failure::failed(format!("these checks did not hold: {}", failed.join("; "))))
        }
    }

    fn lap(&mut self) -> Duration {
        let lap = self.step_began.elapsed();
        self.step_began = Instant::now();
        lap
    }
}
