//! Looks again at everything that [`mod@crate::init`] made, or that was changed since, and trusts nothing of it.
//!
//! It only reads, so that it can be run beside running validators.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use carat_types::LeafRule;
use carat_types::genesis::{Genesis, GenesisFile, Profile};
use serde::Serialize;

use crate::init::test_root_key;
use crate::layout::{self, NetworkDescription, NodeDescription};
use crate::show::address;
use crate::state::state_root;

mod home;

/// All checks, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

/// One check of one file.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The file or folder.
    pub path: PathBuf,
    /// What was found right; empty if something is wrong.
    pub found: String,
    /// What is wrong.
    pub problem: Option<Problem>,
}

/// What is wrong, in the form that operators read everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// The value that was found; empty where `what` says it all.
    pub seen: String,
    /// What should be there.
    pub expected: String,
    /// What to do.
    pub hint: String,
}

impl Problem {
    fn new(
        what: impl Into<String>,
        seen: impl fmt::Display,
        expected: impl fmt::Display,
        hint: impl Into<String>,
    ) -> Self {
        Problem {
            what: what.into(),
            seen: seen.to_string(),
            expected: expected.to_string(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { what, seen, expected, hint } = self;
        write!(f, "{what}: {seen}, expected {expected} (hint: {hint})")
    }
}

impl Report {
    /// How many checks failed.
    pub fn failures(&self) -> usize {
        self.checks.iter().filter(|check| check.problem.is_some()).count()
    }

    fn add(&mut self, path: &Path, outcome: Result<String, Problem>) {
        let path = path.to_path_buf();
        self.checks.push(match outcome {
            Ok(found) => Check { path, found, problem: None },
            Err(problem) => Check { path, found: String::new(), problem: Some(problem) },
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { path, found, problem } in &self.checks {
            match problem {
                None => writeln!(f, "ok      {}: {found}", path.display())?,
                Some(problem) => writeln!(f, "FAILED  {}: {problem}", path.display())?,
            }
        }
        writeln!(f, "checks {}, failed {}", self.checks.len(), self.failures())
    }
}

/// Checks a genesis file, the folder of a whole network, or the home of one validator or proposer.
pub fn verify(path: &Path) -> Report {
    let mut report = Report::default();
    if path.join(layout::SETTINGS).is_file() {
        home::check(path, None, &mut report);
    } else if path.is_dir() {
        check_network(path, &mut report);
    } else {
        check_genesis(path, &mut report);
    }
    report
}

/// Reads a file, or says why not.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|error| {
        let hint = "name a genesis file, a network's folder or a validator's home; restore what is lost";
        Problem::new("cannot be read", error, "a readable file", hint)
    })
}

fn read_text(path: &Path) -> Result<String, Problem> {
    let bytes = read(path)?;
    String::from_utf8(bytes).map_err(|error| {
        Problem::new("is not text", error, "UTF-8", "restore the file from where it was made")
    })
}

/// **Returns** the file if it can be used at all.
fn check_genesis(path: &Path, report: &mut Report) -> Option<GenesisFile> {
    let parsed = read(path).and_then(|bytes| {
        // The error's own text has value, expectation and hint.
        GenesisFile::parse(&bytes).map_err(|error| {
            let hint = "take the file that the other validators have; a new network needs carat-genesis init";
            Problem::new(
                "cannot be used",
                error,
                "a genesis file within all limits, with distinct sound keys",
                hint,
            )
        })
    });
    let file = match parsed {
        Ok(file) => file,
        Err(problem) => {
            report.add(path, Err(problem));
            return None;
        }
    };
    let (n, proposers) = (file.genesis.validators.len(), file.genesis.deployment.edge_proposers().len());
    report.add(path, Ok(format!("chain {}", file.chain_id)));
    let apart =
        if proposers == 0 { String::new() } else { format!(" and {proposers} proposers without a vote") };
    let keys = n.saturating_mul(3).saturating_add(proposers.saturating_mul(2));
    report.add(
        path,
        Ok(format!("{n} validators{apart} with {keys} distinct keys, none weak; constants in range")),
    );
    if file.genesis.salt_commitment.is_none() {
        report.add(path, check_state_root(&file, &LeafRule::Open));
    } else {
        let found = "state root is salted: checked in each home, with its secret".to_owned();
        report.add(path, Ok(found));
    }
    report.add(path, check_root_account(&file));
    Some(file)
}

fn check_state_root(file: &GenesisFile, leaves: &LeafRule) -> Result<String, Problem> {
    let hint =
        "somebody changed a constant or the root by hand: take the file that the other validators have";
    let computed = state_root(&file.genesis, leaves)
        .map_err(|error| Problem::new("gives no initial state", error, "constants of a ledger", hint))?;
    let stated = file.genesis.state_root;
    if stated != computed {
        return Err(Problem::new("state root", stated, computed, hint));
    }
    Ok(format!("state root {computed} recomputed"))
}

fn check_root_account(file: &GenesisFile) -> Result<String, Problem> {
    let stated = file.genesis.ledger.root_account;
    let public = test_root_key(&file.genesis.network_passphrase).public();
    match file.genesis.profile {
        Profile::Test if stated != public => Err(Problem::new(
            "root account",
            address(&stated),
            format!("{}, the key that follows from the passphrase of a test network", address(&public)),
            "friendbot would not work: make the network anew, or declare it a main network",
        )),
        Profile::Main if stated == public => Err(Problem::new(
            "root account",
            address(&stated),
            "a key that only its founders know; this one follows from the passphrase",
            "anybody could spend all coins: make the network anew with --root-account",
        )),
        Profile::Test => Ok("root account follows from the passphrase (test network)".to_owned()),
        Profile::Main => Ok("root account does not follow from the passphrase (main network)".to_owned()),
    }
}

fn check_network(folder: &Path, report: &mut Report) {
    let genesis = check_genesis(&folder.join(layout::GENESIS), report);
    let path = folder.join(layout::NETWORK);
    let description = read_text(&path).and_then(|text| parse_toml::<NetworkDescription>(&text));
    let description = match description {
        Ok(description) => description,
        Err(problem) => return report.add(&path, Err(problem)),
    };
    if let Some(genesis) = &genesis {
        report.add(&path, check_counts(&description, &genesis.genesis));
    }
    report.add(&path, check_genesis_path(folder, &description));
    let all = description.acceptors.len().saturating_add(description.nodes.len());
    let founded = genesis.as_ref().map_or((all, all), |genesis| founded(&genesis.genesis));
    for (node, number) in numbered(&description, founded) {
        let home = folder.join(&node.home);
        if number.is_none() {
            // Handovers say what it may hold, and these are not read here.
            report
                .add(&path, Ok(format!("{} came later: its home is checked by carat-node check", node.name)));
        } else if home.is_dir() {
            home::check(&home, number, report);
        } else {
            // After a ceremony each bank has only its own home.
            report.add(&home, Ok(format!("the home of {} is not on this machine: not checked", node.name)));
        }
    }
}

/// How many nodes the genesis file has for clients, and how many acceptors beside them.
fn founded(genesis: &Genesis) -> (usize, usize) {
    match genesis.deployment.edge_proposers().len() {
        0 => (genesis.validators.len(), 0),
        proposers => (proposers, genesis.validators.len()),
    }
}

/// The described nodes with their numbers; who came later has none. Processes are numbered through, validators first.
fn numbered(
    description: &NetworkDescription,
    (nodes, acceptors): (usize, usize),
) -> impl Iterator<Item = (&NodeDescription, Option<u16>)> {
    let numbers = move |first: usize, founders: usize| {
        (0..).map(move |place: usize| {
            (place < founders).then_some(())?;
            u16::try_from(first.checked_add(place)?).ok()
        })
    };
    let before = description.acceptors.len().min(acceptors);
    let apart = description.acceptors.iter().zip(numbers(0, acceptors));
    apart.chain(description.nodes.iter().zip(numbers(before, nodes)))
}

/// Clients' nodes are the validators, or the proposers of an edge network, whose validators are listed apart; in either list those that came
/// later stand behind.
fn check_counts(description: &NetworkDescription, genesis: &Genesis) -> Result<String, Problem> {
    let (nodes, acceptors) = founded(genesis);
    let hint = "list every validator once, in the order of the genesis file, and newcomers behind them; of an edge network its \
                proposers under [[nodes]] and its validators under [[acceptors]], newcomers behind them there too";
    let (listed, apart) = (description.nodes.len(), description.acceptors.len());
    // A network whose validators order lists no acceptors; else newcomers may stand behind those of the genesis file.
    let seen_apart = if acceptors == 0 { apart } else { apart.min(acceptors) };
    let counts = [("nodes", listed.min(nodes), nodes), ("acceptors", seen_apart, acceptors)];
    if let Some((what, seen, expected)) = counts.into_iter().find(|(_, seen, expected)| seen != expected) {
        return Err(Problem::new(format!("number of {what}"), seen, expected, hint));
    }
    let later = listed.saturating_sub(nodes).saturating_add(apart.saturating_sub(acceptors));
    let later = if later == 0 { String::new() } else { format!(", and {later} that came later") };
    Ok(match acceptors {
        0 => format!("{nodes} nodes{later}"),
        _ => format!("{nodes} nodes, the proposers, and {acceptors} acceptors{later}"),
    })
}

fn check_genesis_path(folder: &Path, description: &NetworkDescription) -> Result<String, Problem> {
    let (named, ours) = (folder.join(&description.genesis), folder.join(layout::GENESIS));
    let (named_bytes, our_bytes) = (read(&named)?, read(&ours)?);
    if named_bytes == our_bytes {
        return Ok("names this genesis file".to_owned());
    }
    let hint = "clients would verify receipts against another chain: correct the entry `genesis`";
    Err(Problem::new("names another genesis file", named.display(), layout::GENESIS, hint))
}

fn parse_toml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| {
        let seen = error.message().to_owned();
        Problem::new(
            "cannot be understood",
            seen,
            "the form that carat-genesis init writes",
            "see docs/operations/genesis.md",
        )
    })
}
