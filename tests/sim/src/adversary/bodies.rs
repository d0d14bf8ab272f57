//! What Byzantine validators do with bodies: another one for each, none for some, claims to hold what they do not, and
//! proposals of what nobody has.

use std::sync::Arc;

use carat_types::Digest;
use carat_types::ValidatorId;
use carat_types::batch::{Batch, Body, Envelope, Value};
use carat_types::message::{Announcement, BodiesHeld, Message, PrePrepare};

use super::{Addressed, Adversary, Said};
use crate::rng::Rng;

impl Adversary {
    /// What leaves in place of what the own core says of bodies; none if the message passes as it is.
    pub(super) fn twist_body(&self, rng: &mut Rng, said: Said<'_>) -> Option<Vec<Addressed>> {
        match said.message {
            Message::Body(body) => {
                let twisted = said.targets.iter().filter_map(|to| Some((*to, another_body(rng, body)?)));
                Some(twisted.map(|(to, body)| (to, Message::Body(Arc::new(body)))).collect())
            }
            Message::BodiesHeld(held) => {
                let mut bodies = held.bodies.clone();
                bodies.push(unknown(rng));
                bodies.truncate(BodiesHeld::BODIES_MAX);
                Some(said.to_all(&Message::BodiesHeld(BodiesHeld { bodies })))
            }
            Message::Announcement(announcement) if rng.chance(300) => {
                // The same lie to all, or to each another.
                if rng.chance(500) {
                    return Some(said.to_all(&self.announce_what_nobody_has(rng, announcement)));
                }
                let lies =
                    said.targets.iter().map(|to| (*to, self.announce_what_nobody_has(rng, announcement)));
                Some(lies.collect())
            }
            _ => None,
        }
    }

    /// Says that it holds a body as soon as it hears of it, whatever becomes of it.
    pub(super) fn claim_bodies(&self, others: &[ValidatorId], message: &Message) -> Vec<Addressed> {
        let Message::Body(body) = message else { return Vec::new() };
        let claim = Message::BodiesHeld(BodiesHeld { bodies: vec![body.digest()] });
        others.iter().map(|to| (*to, claim.clone())).collect()
    }

    fn announce_what_nobody_has(&self, rng: &mut Rng, honest: &Announcement) -> Message {
        let mut batch: Batch = honest.batch.clone();
        batch.bodies.truncate(Batch::BODIES_MAX - 1);
        batch.bodies.push(unknown(rng));
        let PrePrepare { view, slot, parent, .. } = honest.signed.body;
        let digest = Value::Batch(batch.clone()).digest();
        let signed = self.identity.keys.sign(
            &self.identity.set,
            self.identity.id,
            PrePrepare { view, slot, parent, digest },
        );
        Message::Announcement(Announcement { signed, batch })
    }
}

/// The body, a part of it, it with garbage, or none.
fn another_body(rng: &mut Rng, body: &Body) -> Option<Body> {
    let mut envelopes = body.envelopes.clone();
    match rng.between(0, 3) {
        0 => return None,
        1 => _ = envelopes.pop(),
        2 => envelopes.push(Envelope(unknown(rng).0.as_slice().into())),
        _ => {}
    }
    Some(Body { envelopes })
}

fn unknown(rng: &mut Rng) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&rng.between(1, u64::MAX / 2).to_be_bytes());
    Digest(digest)
}
