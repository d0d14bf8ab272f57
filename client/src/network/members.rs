//! Which address belongs to which member of an epoch, and what a description does not know.
//!
//! Sets name members and keys, descriptions say where nodes are; no address is on the chain. **Source**: decision
//! records 59 and 67.

use std::path::PathBuf;

use carat_types::epoch::{EpochSet, Epochs};
use carat_types::{Epoch, PublicKey};

use super::NodeAddress;
use super::description::Listed;

/// The members of one kind in the present epoch with their addresses, and who else is described.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// In the order of the set; with empty addresses where the description has none.
    pub(super) nodes: Vec<NodeAddress>,
    /// Described nodes that are none of them.
    pub(super) others: Vec<NodeAddress>,
    /// What whoever keeps the description should know.
    pub(super) notes: Vec<String>,
}

/// Whom a list of a description is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Validators that clients reach.
    Validators,
    /// Validators of an edge network, which no client reaches.
    Acceptors,
    /// The proposers of an edge network.
    Proposers,
}

impl Kind {
    fn of(self, set: &EpochSet) -> Vec<Member<'_>> {
        match self {
            Kind::Validators | Kind::Acceptors => {
                set.validators.iter().map(|it| Member { name: &it.name, network: it.network }).collect()
            }
            Kind::Proposers => {
                set.proposers().iter().map(|it| Member { name: &it.name, network: it.network }).collect()
            }
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Validators | Kind::Acceptors => "validator",
            Kind::Proposers => "proposer",
        }
    }

    /// What is added to the description for one that came later.
    fn entry(self) -> &'static str {
        match self {
            Kind::Validators | Kind::Proposers => "[[nodes]]",
            Kind::Acceptors => "[[acceptors]]",
        }
    }
}

/// Somebody whom a set lists.
#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    name: &'a str,
    network: PublicKey,
}

/// An entry of the description that no member has yet.
struct Entry<'a> {
    /// As what the genesis file knows it; none for one that came later.
    founder: Option<Member<'a>>,
    node: &'a NodeAddress,
}

/// Whether an entry is that of a member.
type Fits = fn(&Entry<'_>, &Member<'_>) -> bool;

/// What names a member best goes first: its entry as a newcomer, then its key, then its name in the genesis file.
const FITS: [Fits; 3] = [
    |entry, member| entry.founder.is_none() && entry.node.name == member.name,
    |entry, member| entry.founder.is_some_and(|it| it.network == member.network),
    |entry, member| entry.founder.is_some_and(|it| it.name == member.name),
];

/// Finds the address of each member of the present epoch. An address serves one of them, or its one word would count twice.
pub(super) fn members(kind: Kind, listed: &Listed, epochs: &Epochs) -> Members {
    let founders = epochs.set_of(Epoch(0)).map_or_else(Vec::new, |set| kind.of(set));
    let newcomers = listed.newcomers.iter().map(|node| Entry { founder: None, node });
    let of_genesis = founders.iter().zip(&listed.founders);
    let of_genesis = of_genesis.map(|(founder, node)| Entry { founder: Some(*founder), node });
    let mut free: Vec<Entry<'_>> = newcomers.chain(of_genesis).collect();
    let set = kind.of(epochs.set());
    let mut places: Vec<Option<NodeAddress>> = vec![None; set.len()];
    for fits in FITS {
        for (member, place) in set.iter().zip(&mut places).filter(|(_, place)| place.is_none()) {
            if let Some(at) = free.iter().position(|entry| fits(entry, member)) {
                *place = Some(free.remove(at).node.clone());
            }
        }
    }
    let missing = set.iter().zip(&places).filter(|(_, place)| place.is_none());
    let missing = missing.map(|(member, _)| missing_note(kind, member, epochs));
    let unused = free.iter().filter_map(|entry| unused_note(kind, entry, epochs));
    let notes = missing.chain(unused).collect();
    let others = free.iter().map(|entry| entry.node.clone()).collect();
    let nodes = set.iter().zip(places).map(|(member, place)| place.unwrap_or_else(|| nowhere(member)));
    Members { nodes: nodes.collect(), others, notes }
}

fn nowhere(member: &Member<'_>) -> NodeAddress {
    let name = member.name.to_owned();
    NodeAddress { name, home: PathBuf::new(), api: String::new(), metrics: String::new() }
}

fn missing_note(kind: Kind, member: &Member<'_>, epochs: &Epochs) -> String {
    let (name, epoch, word, entry) = (member.name, epochs.present(), kind.word(), kind.entry());
    let addresses = if kind == Kind::Acceptors { "metrics" } else { "api and metrics" };
    format!(
        "{name} is a {word} of epoch {epoch} and network.toml has no address of it: it counts and is not asked (hint: add {entry} \
         with name = {name:?}, {addresses} behind the others)"
    )
}

/// Why an entry is nobody's; none where the member has another entry.
fn unused_note(kind: Kind, entry: &Entry<'_>, epochs: &Epochs) -> Option<String> {
    let (name, epoch, word) = (&entry.node.name, epochs.present(), kind.word());
    let is_listed =
        |set: &EpochSet| kind.of(set).iter().any(|member| FITS.iter().any(|fits| fits(entry, member)));
    if is_listed(epochs.set()) {
        return None;
    }
    let had_it =
        entry.founder.is_some() || epochs.handovers().iter().any(|handover| is_listed(&handover.next));
    Some(match had_it {
        true => {
            format!("{name} is no {word} any more in epoch {epoch}: it counts no more and is not asked")
        }
        false => format!("{name} is no {word} of epoch {epoch}: it does not count and is not asked"),
    })
}
