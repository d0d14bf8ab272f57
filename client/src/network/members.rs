//! Which address belongs to which validator of an epoch, and what a description does not know.
//!
//! Sets name validators and keys, descriptions say where nodes are; no address is on the chain. **Source**: decision
//! record 59.

use std::path::PathBuf;

use carat_types::Epoch;
use carat_types::epoch::Epochs;
use carat_types::genesis::GenesisValidator;

use super::NodeAddress;
use super::description::Addresses;

/// The validators of the present epoch with their addresses, and who else is described.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// In the order of the set; with empty addresses where the description has none.
    pub(super) nodes: Vec<NodeAddress>,
    /// Described nodes that are no validators of the present epoch.
    pub(super) others: Vec<NodeAddress>,
    /// What whoever keeps the description should know.
    pub(super) notes: Vec<String>,
}

/// An entry of the description that no validator has yet.
struct Entry<'a> {
    /// As what the genesis file knows it; none for one that came later.
    founder: Option<&'a GenesisValidator>,
    node: &'a NodeAddress,
}

/// Whether an entry is that of a validator.
type Fits = fn(&Entry<'_>, &GenesisValidator) -> bool;

/// What names a validator best goes first: its entry as a newcomer, then its key, then its name in the genesis file.
const FITS: [Fits; 3] = [
    |entry, validator| entry.founder.is_none() && entry.node.name == validator.name,
    |entry, validator| entry.founder.is_some_and(|it| it.network == validator.network),
    |entry, validator| entry.founder.is_some_and(|it| it.name == validator.name),
];

/// Finds the address of each validator of the present epoch. An address serves one of them, or its one word would count twice.
pub(super) fn members(addresses: &Addresses, epochs: &Epochs) -> Members {
    let founders = epochs.set_of(Epoch(0)).map_or(&[][..], |set| &set.validators);
    let newcomers = addresses.newcomers.iter().map(|node| Entry { founder: None, node });
    let of_genesis = founders.iter().zip(&addresses.founders);
    let of_genesis = of_genesis.map(|(founder, node)| Entry { founder: Some(founder), node });
    let mut free: Vec<Entry<'_>> = newcomers.chain(of_genesis).collect();
    let set = &epochs.set().validators;
    let mut places: Vec<Option<NodeAddress>> = vec![None; set.len()];
    for fits in FITS {
        for (validator, place) in set.iter().zip(&mut places).filter(|(_, place)| place.is_none()) {
            if let Some(at) = free.iter().position(|entry| fits(entry, validator)) {
                *place = Some(free.remove(at).node.clone());
            }
        }
    }
    let missing = set.iter().zip(&places).filter(|(_, place)| place.is_none());
    let missing = missing.map(|(validator, _)| missing_note(validator, epochs));
    let unused = free.iter().filter_map(|entry| unused_note(entry, epochs));
    let notes = missing.chain(unused).collect();
    let others = free.iter().map(|entry| entry.node.clone()).collect();
    let nodes = set.iter().zip(places).map(|(validator, place)| place.unwrap_or_else(|| nowhere(validator)));
    Members { nodes: nodes.collect(), others, notes }
}

fn nowhere(validator: &GenesisValidator) -> NodeAddress {
    let name = validator.name.clone();
    NodeAddress { name, home: PathBuf::new(), api: String::new(), metrics: String::new() }
}

fn missing_note(validator: &GenesisValidator, epochs: &Epochs) -> String {
    let (name, epoch) = (&validator.name, epochs.present());
    format!(
        "{name} is a validator of epoch {epoch} and network.toml has no address of it: it counts and is not asked (hint: add [[nodes]] \
         with name = {name:?}, api and metrics behind the others)"
    )
}

/// Why an entry is nobody's; none where the validator has another entry.
fn unused_note(entry: &Entry<'_>, epochs: &Epochs) -> Option<String> {
    let (name, epoch) = (&entry.node.name, epochs.present());
    let is_it = |validator: &GenesisValidator| FITS.iter().any(|fits| fits(entry, validator));
    if epochs.set().validators.iter().any(is_it) {
        return None;
    }
    let earlier = epochs.handovers().iter().map(|handover| &handover.next);
    let had_it = entry.founder.is_some() || earlier.flat_map(|set| &set.validators).any(is_it);
    Some(match had_it {
        true => {
            format!("{name} is no validator any more in epoch {epoch}: it counts no more and is not asked")
        }
        false => format!("{name} is no validator of epoch {epoch}: it does not count and is not asked"),
    })
}
