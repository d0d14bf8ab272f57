//! From what a session hears to what it answers: outcomes of one block share a frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_api::port::{Refusal, Submission};
use carat_api::visibility;
use carat_types::receipt::ResultBytes;
use carat_types::submission::{
    Answer, COUNT_MAX, FRAME_BYTES_MAX, Refused, RepliedOutcome, SettledBlock, SettledOutcome, Words,
};
use carat_types::{Digest, Slot};
use stellar_xdr::{Limits, WriteXdr};

use super::{Client, Door, Event, busy};
use crate::front_door::Verdict;
use crate::receipts::OutcomeProof;
use crate::replies::{EarlyWord, WantedOutcome};
use crate::rest::SharedRest;

/// Outcomes of a block that are as long as this together go in more than one frame. **Units**: bytes.
const OUTCOMES_BYTES: usize = FRAME_BYTES_MAX / 4;
/// What an outcome takes beside its result: number, counts, a hash and a path of 20 hashes.
const OUTCOME_OVERHEAD: usize = 732;
/// What a client is told where the pool has no room.
const FULL: &str = "this validator holds as many transactions as it may; send it again later, or to another";

/// The proofs of one block, as they gather.
struct Gathering {
    block: SettledBlock,
    bytes: usize,
}

impl Door {
    /// What `events` mean for the client.
    pub(super) fn answers(&self, client: &Client, events: impl Iterator<Item = Event>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut blocks: BTreeMap<Slot, Gathering> = BTreeMap::new();
        for event in events {
            match event {
                Event::Said(answer) => answers.push(*answer),
                Event::Replied(word) => answers.push(self.early(*word)),
                Event::Sealed(hash) => self.settled(client, hash, &mut blocks, &mut answers),
                Event::GivenUp(hash) => self.look_again(client, hash),
                Event::Became(hash, submission) => match self.seen(client, &hash, *submission) {
                    Submission::Applied(_) => self.settled(client, hash, &mut blocks, &mut answers),
                    Submission::Refused(refusal) => answers.extend(refused(client, &hash, &refusal)),
                    Submission::Busy { .. } => answers.extend(full(client, &hash)),
                    Submission::TimedOut => answers.extend(open(client, &hash)),
                },
                Event::Verdict(hash, verdict) => match *verdict {
                    Ok(Verdict::Full) => answers.extend(full(client, &hash)),
                    Ok(Verdict::Refused(refusal)) => {
                        if let Some(submission) = self.rest.after_refusal(&hash, *refusal) {
                            client.hear(Event::Became(hash, Box::new(submission)));
                        }
                    }
                    Ok(Verdict::Admitted | Verdict::Parked | Verdict::Duplicate) => {}
                    Err(error) => {
                        // The executor will meet the same and stop the process.
                        tracing::error!(%error, "a submission could not be checked");
                        answers.extend(open(client, &hash));
                    }
                },
            }
        }
        answers.extend(blocks.into_values().map(|gathering| Answer::Settled(gathering.block)));
        answers
    }

    fn early(&self, word: EarlyWord) -> Answer {
        let EarlyWord { number, header, reply, outcome: WantedOutcome { envelope, result, path } } = word;
        let handovers = self.rest.receipts.handovers(&header);
        let outcome = SettledOutcome { number, envelope, result, path };
        Answer::Replied(RepliedOutcome { handovers, header, reply, outcome })
    }

    /// What a client learns of it on a members' network: of an envelope in another's name nothing (docs/privacy.md).
    fn seen(&self, client: &Client, hash: &Digest, submission: Submission) -> Submission {
        let Some(transaction) = client.under_way.transaction(hash) else { return submission };
        let node = SharedRest(Arc::clone(&self.rest));
        visibility::of_submission(&node, &client.key, &transaction, submission)
    }

    /// Adds the proof of an outcome to those of its block.
    fn settled(
        &self,
        client: &Client,
        hash: Digest,
        blocks: &mut BTreeMap<Slot, Gathering>,
        answers: &mut Vec<Answer>,
    ) {
        let proof = self.rest.receipts.proof(&hash);
        let Some(numbers) = client.under_way.end(&hash) else { return };
        let OutcomeProof { block, envelope, result, path } = match proof {
            Ok(Some(proof)) => proof,
            missing => {
                tracing::error!(transaction = %hash, error = ?missing.err(), "a sealed outcome has no proof");
                answers.extend(numbers.into_iter().map(Answer::Open));
                return;
            }
        };
        for number in numbers {
            let outcome = SettledOutcome { number, envelope, result: result.clone(), path: path.clone() };
            let bytes = outcome.result.0.len().saturating_add(OUTCOME_OVERHEAD);
            let shared = || self.rest.receipts.shared(&block);
            let gathering =
                blocks.entry(block.header.slot).or_insert_with(|| Gathering { block: shared(), bytes: 0 });
            let count = u32::try_from(gathering.block.outcomes.len()).unwrap_or(u32::MAX);
            if gathering.bytes.saturating_add(bytes) > OUTCOMES_BYTES && count > 0 || count >= COUNT_MAX {
                answers.push(Answer::Settled(std::mem::replace(&mut gathering.block, shared())));
                gathering.bytes = 0;
            }
            gathering.bytes = gathering.bytes.saturating_add(bytes);
            gathering.block.outcomes.push(outcome);
        }
    }

    /// Asks the front door again what became of a transaction that was given up.
    fn look_again(&self, client: &Client, hash: Digest) {
        let Some(transaction) = client.under_way.transaction(&hash) else { return };
        let (rest, events, patience) = (Arc::clone(&self.rest), client.events.clone(), self.patience);
        tokio::spawn(async move {
            let submission = rest.submit(transaction, patience).await;
            // The session may have ended meanwhile.
            let _ = events.send(Event::Became(hash, Box::new(submission)));
        });
    }
}

fn full(client: &Client, hash: &Digest) -> Vec<Answer> {
    let numbers = client.under_way.end(hash).unwrap_or_default();
    numbers.into_iter().map(|number| busy(number, FULL.to_owned())).collect()
}

fn open(client: &Client, hash: &Digest) -> Vec<Answer> {
    client.under_way.end(hash).unwrap_or_default().into_iter().map(Answer::Open).collect()
}

fn refused(client: &Client, hash: &Digest, refusal: &Refusal) -> Vec<Answer> {
    let numbers = client.under_way.end(hash).unwrap_or_default();
    let result = ResultBytes(refusal.result.to_xdr(Limits::none()).unwrap_or_default());
    let words = Words::new(refusal.reason.clone().unwrap_or_default());
    let refused = |number| Refused { number, result: result.clone(), words: words.clone() };
    numbers.into_iter().map(|number| Answer::Refused(refused(number))).collect()
}
