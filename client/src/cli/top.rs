//! `carat top`: the network, live in a terminal: what the page `/ui/` shows, once a second.

use std::io::Write as _;
use std::time::Duration;

use carat_client::rest::Rest;
use clap::Args;
use serde::Deserialize;

use super::output::table;
use super::{Failure, Session};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Between two pictures: the validator observes once a second.
const EVERY: Duration = Duration::from_secs(1);
/// To the upper left corner, and everything after it is wiped out.
const CLEAR: &str = "\x1b[H\x1b[J";
/// Ledgers that are drawn.
const CELLS: usize = 50;

/// What to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The validator that observes [default: the first that answers]
    #[arg(long)]
    node: Option<String>,
    /// One picture, and no more
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Deserialize)]
struct State {
    state: String,
    reasons: Vec<String>,
    diagnosis: String,
    ledger: u32,
    view: u64,
    slot: u64,
    idle_ms: u64,
    pending: i64,
    quorum: Quorum,
    validators: Vec<Validator>,
    ledgers: Vec<Cells>,
    rates: Vec<Rate>,
    finality: Vec<Rule>,
    evidence: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Quorum {
    validators: usize,
    agree: usize,
    can_lose: i64,
}

#[derive(Debug, Deserialize)]
struct Validator {
    validator: usize,
    name: String,
    role: String,
    standing: String,
    view: Option<u64>,
    behind: Option<u64>,
    heard_ms_ago: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Cells {
    votes: String,
}

#[derive(Debug, Deserialize)]
struct Rate {
    submitted: u64,
    settled: u64,
    failed: u64,
    refused: u64,
}

#[derive(Debug, Deserialize)]
struct Rule {
    rule: String,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
}

/// Draws until it is interrupted.
///
/// **Errors**: no validator answers at the first picture.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Failure> {
    let network = session.present().await?;
    let http = Rest::pool()?;
    let wanted =
        network.processes().filter(|node| arguments.node.as_ref().is_none_or(|name| *name == node.name));
    let nodes: Vec<(String, Rest)> =
        wanted.map(|node| (node.name.clone(), Rest::new(&node.metrics, http.clone()))).collect();
    if nodes.is_empty() {
        let known: Vec<&str> = network.processes().map(|node| node.name.as_str()).collect();
        let wanted = arguments.node.as_deref().unwrap_or_default();
        return Err(Failure::usage(format!("there is no node {wanted} (hint: one of {})", known.join(", "))));
    }
    loop {
        let picture = picture(&nodes).await?;
        let start = if arguments.once { "" } else { CLEAR };
        let mut out = std::io::stdout().lock();
        // A terminal that went away wants no more pictures.
        if write!(out, "{start}{picture}").and_then(|()| out.flush()).is_err() || arguments.once {
            return Ok(());
        }
        drop(out);
        tokio::time::sleep(EVERY).await;
    }
}

/// What the first validator that answers observes.
async fn picture(nodes: &[(String, Rest)]) -> Result<String, Failure> {
    let mut last = None;
    for (name, rest) in nodes {
        match rest.get::<State>("/network", TIMEOUT).await {
            Ok(state) => return Ok(draw(name, &state)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| Failure::failed("no validator is known"), Failure::from))
}

fn draw(name: &str, state: &State) -> String {
    let Quorum { validators, agree, can_lose } = &state.quorum;
    let slack = match can_lose {
        ..0 => "no quorum".to_owned(),
        0 => "can lose no more".to_owned(),
        more => format!("can lose {more} more"),
    };
    let idle = Duration::from_millis(state.idle_ms).as_secs_f64();
    let mut out = format!(
        "{agree} of {validators} validators agree, ledger {}, {idle:.1} s ago; {slack}   [{}, as {name} sees it]\n",
        state.ledger, state.state
    );
    for reason in &state.reasons {
        out.push_str(&format!("! {reason} ({})\n", state.diagnosis));
    }
    if !state.evidence.is_empty() {
        out.push_str(&format!("! {} pieces of evidence: carat evidence\n", state.evidence.len()));
    }
    let recent = state.rates.iter().rev().take(10);
    let seconds = recent.len().max(1) as u64;
    let [submitted, settled, away] = recent.fold([0, 0, 0], |[a, b, c], rate| {
        [a + rate.submitted, b + rate.settled, c + rate.failed + rate.refused]
    });
    out.push_str(&format!(
        "settled {}/s   submitted {}/s   turned away {}/s   waiting {}   view {}   slot {}\n",
        settled / seconds,
        submitted / seconds,
        away / seconds,
        state.pending,
        state.view,
        state.slot
    ));
    let rules = state.finality.iter().filter_map(|rule| {
        let millis = |us: Option<u64>| Some(Duration::from_micros(us?).as_secs_f64() * 1_000.0);
        Some(format!("{} {:.1} / {:.1} ms", rule.rule, millis(rule.p50_us)?, millis(rule.p99_us)?))
    });
    out.push_str(&format!("to finality, 50 % / 99 %: {}\n", rules.collect::<Vec<_>>().join("   ")));
    let rows = state.validators.iter().map(|one| row(one, &state.ledgers)).collect();
    let head = [
        "validator",
        "role",
        "standing",
        "view",
        "behind",
        "heard ms ago",
        "last ledgers: # voted, + in part, . not seen",
    ];
    out.push_str(&table(&head, rows));
    out.push('\n');
    out
}

fn row(one: &Validator, ledgers: &[Cells]) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let skipped = ledgers.len().saturating_sub(CELLS);
    let cell = |cells: &Cells| match cells.votes.chars().nth(one.validator) {
        Some('v') => '#',
        Some('p') => '+',
        _ => '.',
    };
    vec![
        one.name.clone(),
        one.role.clone(),
        one.standing.clone(),
        number(one.view),
        number(one.behind),
        number(one.heard_ms_ago),
        ledgers.iter().skip(skipped).map(cell).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_says_who_agrees_and_draws_each_ledger() {
        let text = r#"{"state":"synced","reasons":[],"diagnosis":"","ledger":18233,"view":3,"slot":40000,"idle_ms":400,"pending":7,
            "quorum":{"validators":4,"agree":4,"can_lose":1},
            "validators":[{"validator":1,"name":"bank-b","role":"leader","standing":"agrees","view":3,"behind":0,"heard_ms_ago":900}],
            "ledgers":[{"votes":"vv"},{"votes":"vp"},{"votes":"v-"}],
            "rates":[{"submitted":30,"settled":20,"failed":4,"refused":6}],
            "finality":[{"rule":"SEAL","p50_us":4800,"p99_us":21000},{"rule":"FAST","p50_us":null,"p99_us":null}],"evidence":[]}"#;
        let picture = draw("v0", &serde_json::from_str(text).expect("a state"));
        for words in [
            "4 of 4 validators agree, ledger 18233, 0.4 s ago; can lose 1 more",
            "settled 20/s   submitted 30/s   turned away 10/s   waiting 7",
            "SEAL 4.8 / 21.0 ms\n",
            "#+.",
            "bank-b",
        ] {
            assert!(picture.contains(words), "{words} is not in {picture}");
        }
    }
}
