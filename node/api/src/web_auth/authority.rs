//! Whether signatures prove control of an account: its signers, weights and thresholds on the ledger decide.

use std::collections::BTreeSet;

use carat_types::PublicKey;
use carat_types::transaction::account_of;
use stellar_xdr::{AccountEntry, DecoratedSignature, SignerKey};

use super::challenge::{Challenge, signed_by};
use super::{LoginError, Terms};
use crate::bank::Strength;

/// A key that may answer, and what its signature weighs.
type Signer = (PublicKey, u32);

/// Checks the client's signatures, and that of the domain of its software where the challenge names one.
///
/// **Errors**: [`LoginError::Signatures`].
pub(super) fn check(
    terms: &Terms,
    challenge: &Challenge,
    account: Option<&AccountEntry>,
) -> Result<(), LoginError> {
    let refused = |reason: String| Err(LoginError::Signatures(reason));
    let mut signatures: Vec<&DecoratedSignature> = challenge.signatures.iter().collect();
    if let Some((domain, key)) = &challenge.client.domain {
        let before = signatures.len();
        // It speaks for the software alone: the same key does not count as the account's signer as well.
        signatures.retain(|signature| !signed_by(key, &challenge.hash, signature));
        if signatures.len() == before {
            return refused(format!("the key of the client domain {domain:?} did not sign"));
        }
    }
    match account {
        Some(account) => weighed(terms, challenge, account, &signatures),
        None if terms.unknown_accounts => master_alone(challenge, &signatures),
        None => refused("the account is not on the ledger".into()),
    }
}

fn weighed(
    terms: &Terms,
    challenge: &Challenge,
    account: &AccountEntry,
    signatures: &[&DecoratedSignature],
) -> Result<(), LoginError> {
    // A server must not help its client to log in (SEP-10, "Verification").
    let server = terms.signing_key.public();
    let signers: Vec<Signer> = signers(account).into_iter().filter(|(key, _)| *key != server).collect();
    let mut counted = BTreeSet::new();
    let mut weight: u32 = 0;
    for signature in signatures {
        let signer = signers.iter().find(|(key, _)| signed_by(key, &challenge.hash, signature));
        match signer {
            Some((key, own)) if counted.insert(*key) => weight = weight.saturating_add(*own),
            Some((key, _)) => {
                let reason = format!("{} signed twice", crate::bank::address(key));
                return Err(LoginError::Signatures(reason));
            }
            None => {
                return Err(LoginError::Signatures("a signature is of none of the account's signers".into()));
            }
        }
    }
    let needed = threshold(account, terms.strength);
    if counted.is_empty() {
        Err(LoginError::Signatures("no signer of the account signed".into()))
    } else if weight < needed {
        Err(LoginError::Signatures(format!("their weight is {weight}, expected at least {needed}")))
    } else {
        Ok(())
    }
}

/// Whether the key of an account's own address is enough to log in: it may have lost its weight.
pub(crate) fn suffices_alone(account: &AccountEntry, strength: Strength) -> bool {
    let [master_weight, ..] = account.thresholds.0;
    master_weight > 0 && u32::from(master_weight) >= threshold(account, strength)
}

/// For an account that is not on the ledger: the key of its address, once, and nobody else.
fn master_alone(challenge: &Challenge, signatures: &[&DecoratedSignature]) -> Result<(), LoginError> {
    let master = account_of(&challenge.client.account);
    match signatures {
        [signature] if signed_by(&master, &challenge.hash, signature) => Ok(()),
        _ => {
            let count = signatures.len();
            let reason = format!(
                "the account is not on the ledger, so the key of its address must sign, and nobody else; there are {count} signatures"
            );
            Err(LoginError::Signatures(reason))
        }
    }
}

/// The keys that can sign a challenge, with their weights. Hashes and pre-authorised transactions cannot.
fn signers(account: &AccountEntry) -> Vec<Signer> {
    let [master_weight, ..] = account.thresholds.0;
    let master = (PublicKey::from(&account.account_id), u32::from(master_weight));
    let others = account.signers.iter().filter_map(|signer| match &signer.key {
        SignerKey::Ed25519(key) => Some((PublicKey(key.0), signer.weight)),
        _ => None,
    });
    std::iter::once(master).chain(others).filter(|(_, weight)| *weight > 0).collect()
}

fn threshold(account: &AccountEntry, strength: Strength) -> u32 {
    let [_, low, medium, high] = account.thresholds.0;
    u32::from(match strength {
        Strength::Low => low,
        Strength::Medium => medium,
        Strength::High => high,
    })
}
