//! `carat doctor`: why is there no block? Every validator's own diagnosis, and one of the whole network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use carat_client::Network;
use carat_client::rest::Rest;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::bundle;
use super::output::say;
use super::{Code, Failure, Session};

/// How long one validator may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What to do beside the diagnosis.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write everything that somebody needs who looks into it from afar: all that the operators' addresses say, and the ends of
    /// the logs on this machine. No key is in it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// What a validator says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct ViewState {
    view: u64,
    active: bool,
    last_final: u64,
    last_executed: u64,
    highest_vote: u64,
}

/// What a validator finds.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Diagnosis {
    cause: String,
    what: String,
    missing: Vec<u16>,
    hint: String,
}

/// Its answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Consensus {
    leader: u16,
    quorum: usize,
    idle_ms: u64,
    own: ViewState,
    diagnosis: Diagnosis,
    /// Of the highest class.
    #[serde(default)]
    alarms: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// Whether its word counts towards a quorum: proposers of an edge network have no vote.
    #[serde(skip)]
    votes: bool,
    /// Whether it could be asked: one without an address may be well.
    #[serde(skip)]
    is_known: bool,
    #[serde(flatten)]
    answer: Option<Consensus>,
    error: Option<String>,
}

/// One answer for the whole network.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Verdict {
    well: bool,
    cause: String,
    what: String,
    missing: BTreeSet<u16>,
    hint: String,
}

#[derive(Debug, Serialize)]
struct Report {
    verdict: Verdict,
    validators: Vec<Row>,
}

/// Shows it.
///
/// **Errors**: [`Code::NotReady`] if no block becomes final, after the table.
pub(crate) async fn run(session: &Session, arguments: &Arguments) -> Result<(), Failure> {
    let network = session.present().await?;
    if let Some(file) = &arguments.bundle {
        bundle::write(session, &network, file).await?;
    }
    let rows = ask(&network).await?;
    let verdict = judge(&rows);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let cells = rows.iter().map(|row| cells(row, &names)).collect();
    let report = Report { verdict, validators: rows };
    session.output.rows(&report, &HEAD, cells);
    let Verdict { well, cause, what, hint, .. } = &report.verdict;
    if *well {
        say(&format!("{what}: {hint}"));
        return Ok(());
    }
    Err(Failure::new(Code::NotReady, format!("{cause}: {what} (hint: {hint})")))
}

async fn ask(network: &Network) -> Result<Vec<Row>, Failure> {
    let http = Rest::pool()?;
    let mut rows = Vec::new();
    for (number, node) in network.processes().enumerate() {
        let answer = Rest::new(&node.metrics, http.clone()).get::<Consensus>("/consensus", TIMEOUT).await;
        let (answer, error) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let votes = number < network.epochs().set().validators.len();
        let is_known = !node.metrics.is_empty();
        rows.push(Row { name: node.name.clone(), votes, is_known, answer, error });
    }
    Ok(rows)
}

/// The network is well if a quorum says so; else the cause that most validators name, and all whom they miss.
fn judge(rows: &[Row]) -> Verdict {
    let answers: Vec<&Consensus> = rows.iter().filter_map(|row| row.answer.as_ref()).collect();
    let is_down = |row: &Row| row.is_known && row.answer.is_none();
    let down: BTreeSet<u16> =
        (0..).zip(rows).filter(|(_, row)| is_down(row)).map(|(index, _)| index).collect();
    let Some(quorum) = answers.first().map(|answer| answer.quorum) else {
        return Verdict {
            well: false,
            cause: "no-answer".into(),
            what: "no validator answers on its operator's address".into(),
            missing: down,
            hint:
                "start the validators with carat network up, or ask from a machine that reaches metrics.listen"
                    .into(),
        };
    };
    let mut causes: BTreeMap<&str, Vec<&Consensus>> = BTreeMap::new();
    for answer in &answers {
        causes.entry(&answer.diagnosis.cause).or_default().push(answer);
    }
    if let Some(alarm) = answers.iter().flat_map(|answer| &answer.alarms).next() {
        return Verdict {
            well: false,
            cause: "fast-contradicted".into(),
            what: alarm.clone(),
            missing: down,
            hint: "no FAST receipt holds any more: compare receipts, and see carat evidence".into(),
        };
    }
    let is_well =
        |row: &&Row| row.votes && row.answer.as_ref().is_some_and(|answer| answer.diagnosis.cause == "none");
    let well = rows.iter().filter(is_well).count() >= quorum;
    let named = causes.iter().filter(|(cause, _)| well == (**cause == "none")).max_by_key(|(_, by)| by.len());
    let (cause, by) = named.map_or(("none", &[][..]), |(cause, by)| (*cause, &by[..]));
    let missing = by.iter().flat_map(|answer| answer.diagnosis.missing.iter().copied()).chain(down).collect();
    let first = by.first().map(|answer| &answer.diagnosis);
    Verdict {
        well,
        cause: cause.to_owned(),
        what: first.map(|diagnosis| diagnosis.what.clone()).unwrap_or_default(),
        missing,
        hint: first.map(|diagnosis| diagnosis.hint.clone()).unwrap_or_default(),
    }
}

const HEAD: [&str; 8] = ["validator", "cause", "view", "leader", "final", "executed", "idle ms", "what"];

fn cells(row: &Row, names: &[&str]) -> Vec<String> {
    let Some(answer) = &row.answer else {
        let state = if row.is_known { "down" } else { "no address" };
        let mut cells = vec![row.name.clone(), state.into()];
        cells.resize(HEAD.len() - 1, String::new());
        cells.push(row.error.clone().unwrap_or_default());
        return cells;
    };
    let view =
        if answer.own.active { answer.own.view.to_string() } else { format!("{} (waits)", answer.own.view) };
    vec![
        row.name.clone(),
        answer.diagnosis.cause.clone(),
        view,
        names.get(usize::from(answer.leader)).copied().unwrap_or_default().to_owned(),
        answer.own.last_final.to_string(),
        answer.own.last_executed.to_string(),
        answer.idle_ms.to_string(),
        answer.diagnosis.what.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cause: &str, missing: &[u16]) -> Row {
        let diagnosis = Diagnosis {
            cause: cause.into(),
            what: format!("{cause} it is"),
            missing: missing.to_vec(),
            hint: "do something".into(),
        };
        let own = ViewState { view: 1, active: true, last_final: 9, last_executed: 9, highest_vote: 9 };
        let answer = Consensus { leader: 1, quorum: 3, idle_ms: 5, own, diagnosis, alarms: Vec::new() };
        Row { name: "v".into(), votes: true, is_known: true, answer: Some(answer), error: None }
    }

    fn down() -> Row {
        Row { name: "v".into(), votes: true, is_known: true, answer: None, error: Some("refused".into()) }
    }

    #[test]
    fn contradicted_fast_is_named_before_anything_else() {
        let mut alarmed = row("none", &[]);
        if let Some(answer) = &mut alarmed.answer {
            answer.alarms.push("FAST is contradicted: slot 7".into());
        }
        let verdict = judge(&[row("none", &[]), row("none", &[]), row("none", &[]), alarmed]);
        assert_eq!((verdict.well, &*verdict.cause), (false, "fast-contradicted"));
        assert!(verdict.what.contains("slot 7") && verdict.hint.contains("carat evidence"));
    }

    #[test]
    fn proposers_without_a_vote_make_no_quorum() {
        let proposer = || Row { votes: false, ..row("none", &[]) };
        let stuck = row("leader-silent", &[4]);
        let verdict = judge(&[row("none", &[]), row("none", &[]), stuck, down(), proposer(), proposer()]);
        assert!(!verdict.well, "two of four acceptors are no quorum: {verdict:?}");
    }

    #[test]
    fn validator_without_an_address_is_not_called_missing() {
        let unknown = Row { is_known: false, ..down() };
        let verdict = judge(&[row("none", &[]), row("none", &[]), row("none", &[]), down(), unknown]);
        assert_eq!((verdict.well, verdict.missing), (true, BTreeSet::from([3])));
    }

    #[test]
    fn network_is_well_when_a_quorum_is_and_otherwise_the_commonest_cause_is_named() {
        let cases = [
            (vec![row("none", &[]), row("none", &[]), row("none", &[]), down()], true, "none", vec![3]),
            (
                vec![row("none", &[]), row("no-quorum", &[2, 3]), row("no-quorum", &[2, 3]), down()],
                false,
                "no-quorum",
                vec![2, 3],
            ),
            (
                vec![row("leader-silent", &[3]), row("leader-silent", &[3]), row("catching-up", &[]), down()],
                false,
                "leader-silent",
                vec![3],
            ),
            (vec![down(), down()], false, "no-answer", vec![0, 1]),
        ];
        for (rows, well, cause, missing) in cases {
            let verdict = judge(&rows);
            assert_eq!((verdict.well, &*verdict.cause), (well, cause));
            assert_eq!(verdict.missing, missing.into_iter().collect());
        }
    }
}
