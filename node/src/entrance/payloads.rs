//! Sealed payloads at the native entrance: their senders bring them, their recipients fetch them.
//!
//! Both sides are known here: the node by its key of the genesis file, the client by the key of its account. A payload is
//! taken only from the source of an applied transaction whose memo names it, so that room on disk costs a
//! transaction each; it is given only to accounts that have published one of its recipients' keys.

use std::sync::Arc;
use std::time::Duration;

use carat_types::sealed_payload::{DATA_NAME, SealedPayload};
use carat_types::submission::{Answer, Busy, Delivery, Fetched, Malformed, Wanted, Words};
use carat_types::{Digest, PublicKey};
use stellar_xdr::Memo;

use super::Door;
use crate::payloads::Payloads;
use crate::rest::Rest;
use crate::state_view::data_value;

/// When to ask again for what this node has not executed yet.
const EXECUTED_SOON: Duration = Duration::from_millis(500);

/// Why a payload is not kept or given.
enum Decline {
    /// It may be, later.
    Later(String),
    /// It will not be.
    Never(String),
}

impl Door {
    /// Keeps a payload for its recipients.
    pub(super) async fn keep(&self, key: PublicKey, delivery: Delivery) -> Answer {
        let (rest, payloads) = (Arc::clone(&self.rest), Arc::clone(&self.payloads));
        let number = delivery.number;
        let kept = move || keep(&rest, &payloads, &key, &delivery).map(|()| Answer::Kept(number));
        blocking(number, kept).await
    }

    /// Gives a payload to one of its recipients.
    pub(super) async fn fetch(&self, key: PublicKey, wanted: Wanted) -> Answer {
        let (rest, payloads) = (Arc::clone(&self.rest), Arc::clone(&self.payloads));
        let number = wanted.number;
        let fetched = move || {
            let payload = fetch(&rest, &payloads, &key, &wanted.memo)?;
            Ok(Answer::Fetched(Fetched { number, payload }))
        };
        blocking(number, fetched).await
    }
}

/// Asks disk and state where waiting is allowed.
async fn blocking(number: u64, work: impl FnOnce() -> Result<Answer, Decline> + Send + 'static) -> Answer {
    let done = tokio::task::spawn_blocking(work).await;
    match done.unwrap_or_else(|_| Err(Decline::Later("this validator is stopping".to_owned()))) {
        Ok(answer) => answer,
        Err(Decline::Never(words)) => Answer::Declined(Malformed { number, words: Words::new(words) }),
        Err(Decline::Later(words)) => {
            let retry_after_ms = u32::try_from(EXECUTED_SOON.as_millis()).unwrap_or(u32::MAX);
            Answer::Busy(Busy { number, retry_after_ms, words: Words::new(words) })
        }
    }
}

fn keep(rest: &Rest, payloads: &Payloads, key: &PublicKey, delivery: &Delivery) -> Result<(), Decline> {
    let Delivery { transaction: hash, payload, .. } = delivery;
    let failed = |error: carat_api::port::NodeError| {
        tracing::error!(%error, "a transaction could not be read");
        Decline::Later("the blocks cannot be read now; try another validator".to_owned())
    };
    let record = rest.transaction(hash).map_err(failed)?;
    let not_yet = || Decline::Later(format!("this validator has not executed transaction {hash} yet"));
    let record = record.ok_or_else(not_yet)?;
    let refuse = |words: &str| Err(Decline::Never(format!("transaction {hash} {words}")));
    if !record.is_successful() {
        return refuse("failed (hint: a payload belongs to one that succeeded)");
    }
    if record.transaction.source() != *key {
        return refuse("is not of the account that delivers (hint: deliver it --as its source)");
    }
    if !matches!(&record.transaction.transaction().memo, Memo::Hash(memo) if memo.0 == payload.memo().0) {
        return refuse("has another memo (hint: it names another payload)");
    }
    payloads.keep(payload).map_err(|error| {
        tracing::warn!(%error, memo = %payload.memo(), "a payload is not kept");
        Decline::Never(error.to_string())
    })
}

/// What somebody may not have is answered like what is not there.
fn fetch(rest: &Rest, payloads: &Payloads, key: &PublicKey, memo: &Digest) -> Result<SealedPayload, Decline> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "a payload could not be read");
        Decline::Later("this validator cannot read now; try again".to_owned())
    };
    let ours = data_value(&*rest.store, key, DATA_NAME).map_err(|error| failed(&error))?;
    let kept = payloads.fetch(memo).map_err(|error| failed(&error))?;
    let is_for = |payload: &SealedPayload| {
        ours.is_some_and(|ours| payload.recipients.iter().any(|it| it.recipient.0.as_slice() == ours))
    };
    kept.filter(is_for).ok_or_else(|| {
        Decline::Never(format!(
            "no payload {memo} is kept here for this account (hint: is its payload key published? carat payload key NAME --publish)"
        ))
    })
}
