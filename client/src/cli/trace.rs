//! `carat consensus trace`: one slot's messages, as all validators saw them, in the order of time.

use std::time::Duration;

use carat_client::rest::Rest;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{Code, Failure, Session};

/// How long one validator may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What can be seen of consensus.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One slot's messages in the order of time; validators remember the last few hundred slots
    Trace {
        /// The slot
        #[arg(long)]
        slot: u64,
    },
}

#[derive(Debug, Deserialize)]
struct Answer {
    messages: Vec<Entry>,
}

/// One message that passed a validator's border, or a step inside it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Entry {
    at_us: u64,
    wall_ms: u64,
    validator: u16,
    direction: String,
    peer: Option<u16>,
    kind: String,
    view: Option<u64>,
    slot: u64,
    digest: Option<String>,
    #[serde(default)]
    detail: String,
}

/// Shows it.
pub(crate) async fn run(session: &Session, Command::Trace { slot }: Command) -> Result<(), Failure> {
    let network = session.present().await?;
    let http = Rest::pool()?;
    let mut entries = Vec::new();
    let mut silent = Vec::new();
    for node in network.processes() {
        let rest = Rest::new(&node.metrics, http.clone());
        match rest.get::<Answer>(&format!("/consensus/trace?slot={slot}"), TIMEOUT).await {
            Ok(answer) => entries.extend(answer.messages),
            Err(error) => silent.push(format!("{}: {error}", node.name)),
        }
    }
    in_order(&mut entries);
    let start = entries.first().map_or(0, |entry| entry.wall_ms);
    let names: Vec<&str> = network.processes().map(|node| node.name.as_str()).collect();
    session.output.rows(&entries, &HEAD, entries.iter().map(|entry| cells(entry, start, &names)).collect());
    silent.iter().for_each(|line| session.say(line));
    if entries.is_empty() {
        let why = format!("no validator remembers slot {slot} (hint: carat status shows the current slot)");
        return Err(Failure::new(Code::NotReady, why));
    }
    Ok(())
}

const HEAD: [&str; 8] = ["ms", "validator", "", "peer", "message", "view", "digest", "detail"];

/// By the wall clock, which all share; within a millisecond each validator's own finer clock keeps its order.
fn in_order(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| (entry.wall_ms, entry.validator, entry.at_us));
}

fn cells(entry: &Entry, start: u64, names: &[&str]) -> Vec<String> {
    let name = |process: u16| {
        let known = names.get(usize::from(process));
        known.map_or_else(|| format!("v{process}"), |name| (*name).to_owned())
    };
    let arrow = match entry.direction.as_str() {
        "in" => "<-",
        "out" => "->",
        _ => "..",
    };
    let peer = match (entry.peer, entry.direction.as_str()) {
        (Some(peer), _) => name(peer),
        (None, "out") => "all".to_owned(),
        (None, _) => String::new(),
    };
    vec![
        format!("+{}", entry.wall_ms.saturating_sub(start)),
        name(entry.validator),
        arrow.to_owned(),
        peer,
        entry.kind.clone(),
        entry.view.map(|view| view.to_string()).unwrap_or_default(),
        entry.digest.clone().unwrap_or_default(),
        entry.detail.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(wall_ms: u64, validator: u16, at_us: u64, direction: &str) -> Entry {
        let kind = "PREPARE".to_owned();
        let (peer, view, digest) = (None, Some(3), Some("abcd".to_owned()));
        let direction = direction.to_owned();
        Entry { at_us, wall_ms, validator, direction, peer, kind, view, slot: 9, digest, detail: "d".into() }
    }

    #[test]
    fn messages_are_merged_in_the_order_of_time() {
        // Two processes count microseconds from different starts: only the wall clock compares them.
        let mut entries = vec![entry(12, 0, 5, "in"), entry(10, 1, 900, "out"), entry(12, 0, 3, "out")];
        in_order(&mut entries);
        let order: Vec<_> = entries.iter().map(|entry| (entry.wall_ms, entry.at_us)).collect();
        assert_eq!(order, [(10, 900), (12, 3), (12, 5)]);
    }

    #[test]
    fn message_is_shown_with_its_distance_from_the_first() {
        let cells = cells(&entry(12, 0, 5, "out"), 10, &["v0"]);
        assert_eq!(cells, ["+2", "v0", "->", "all", "PREPARE", "3", "abcd", "d"]);
    }
}
