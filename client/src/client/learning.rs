//! How a client comes to know who validates: it starts with the description of its network, and goes on with what handovers prove.
//!
//! Handovers prove themselves against the genesis file, so any node may bring them, and one that lies about them brings
//! nothing. What is known only grows; a client and its clones share it. **Source**: decision record 59.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use carat_types::codec::Decode as _;
use carat_types::epoch::{BrokenChain, Handover, read_handovers};
use carat_types::receipt::Receipt;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Client;
use crate::login::Login;
use crate::network::{Network, NodeAddress};
use crate::rest::Rest;

/// How long one node may take to show how epochs ended, with a login where the network wants one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nodes that are asked at one time: each may fill an answer of the longest size.
const AT_ONCE: usize = 8;

/// The network as it is known, and as it became known later.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) network: Network,
    /// Interfaces of the network's nodes, in their places.
    pub(super) nodes: Vec<Rest>,
    next: OnceLock<Box<Known>>,
}

/// What came of asking nodes how epochs ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Nodes that showed handovers which hold, or are no news.
    pub answers: usize,
    /// Whether a later epoch became known.
    pub is_new: bool,
    /// Who showed none, or some that do not hold, and why.
    pub refused: Vec<String>,
}

/// What a node says.
#[derive(Deserialize)]
struct Answer {
    handovers: String,
}

impl Known {
    pub(super) fn of(network: Network, http: &reqwest::Client, login: Option<&Arc<Login>>) -> Self {
        let nodes = network.nodes.iter().map(|node| interface(node, http, login)).collect();
        Known { network, nodes, next: OnceLock::new() }
    }
}

fn interface(node: &NodeAddress, http: &reqwest::Client, login: Option<&Arc<Login>>) -> Rest {
    let rest = Rest::new(&node.api, http.clone());
    match login {
        Some(login) => rest.logged_in(Arc::clone(login)),
        None => rest,
    }
}

impl Client {
    /// The newest that is known.
    pub(super) fn known(&self) -> &Known {
        let mut known = &*self.known;
        while let Some(next) = known.next.get() {
            known = next;
        }
        known
    }

    /// Goes on with the epoch to which these handovers lead.
    ///
    /// **Returns** whether it is a later one than was known.
    ///
    /// **Errors**: one of them does not hold; then none counts.
    pub fn follow(&self, handovers: &[Handover]) -> Result<bool, BrokenChain> {
        let known = self.known();
        let Some(network) = known.network.follow(handovers)? else { return Ok(false) };
        let next = Known::of(network, &self.http, self.login.as_ref());
        // Who was sooner learned the same, or the rest comes with the next answer.
        let _ = known.next.set(Box::new(next));
        Ok(true)
    }

    /// Goes on with the epoch of a receipt that was verified.
    pub(super) fn follow_receipt(&self, receipt: &[u8]) {
        if receipt.first() != Some(&Receipt::VERSION_OF_LATER_EPOCHS) {
            return;
        }
        if let Ok(receipt) = Receipt::from_bytes(receipt) {
            // They held a moment ago, when the receipt was verified.
            let _ = self.follow(&receipt.handovers);
        }
    }

    /// Asks nodes how epochs ended, until f+1 validators have shown it, or all were asked. Nodes that validate no more, or not yet,
    /// are asked too, after the others; their answers bring handovers and do not count.
    pub async fn learn(&self) -> Learned {
        let known = self.known();
        let wanted = known.network.one_correct();
        let (http, login) = (&self.http, self.login.as_ref());
        let validators = known.network.nodes.iter().zip(&known.nodes);
        let validators = validators.map(|(node, rest)| (node.name.clone(), rest.clone(), true));
        let others = known.network.others.iter();
        let others = others.map(|node| (node.name.clone(), interface(node, http, login), false));
        let mut waiting = validators.chain(others).filter(|(_, rest, _)| !rest.base().is_empty());
        let mut learned = Learned::default();
        let mut counted: usize = 0;
        let mut asked = JoinSet::new();
        let mut ask = |asked: &mut JoinSet<_>| {
            if let Some((name, rest, counts)) = waiting.next() {
                asked.spawn(async move { (name, shown_by(&rest).await, counts) });
            }
        };
        (0..AT_ONCE).for_each(|_| ask(&mut asked));
        while let Some(answer) = asked.join_next().await {
            ask(&mut asked);
            let Ok((name, shown, counts)) = answer else { continue };
            let followed = shown.and_then(|it| self.follow(&it).map_err(|error| error.to_string()));
            match followed {
                Ok(is_new) => {
                    learned.answers = learned.answers.saturating_add(1);
                    learned.is_new |= is_new;
                    counted = counted.saturating_add(usize::from(counts));
                }
                Err(why) => learned.refused.push(format!("{name}: {why}")),
            }
            if counted >= wanted {
                break;
            }
        }
        learned
    }
}

/// What one node shows, unchecked.
async fn shown_by(node: &Rest) -> Result<Vec<Handover>, String> {
    let asking = timeout(PATIENCE, node.get::<Answer>("/epochs", PATIENCE)).await;
    let answer = asking.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    let bytes = BASE64.decode(answer.handovers).map_err(|error| error.to_string())?;
    read_handovers(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
