//! A replica that hears nothing but one lying validator.
//!
//! The bytes are a script: which timers run out, how time passes, and frames that the liar sends. Its signatures count as
//! valid whatever they are; everybody else's must be real, as on the chain. An invariant of the replica that breaks is a
//! panic, and so a finding.

use std::sync::Arc;

use carat_consensus::effect::Effect;
use carat_consensus::{
    ChainTip, Config, FetchStates, Input, Now, Replica, Signer, SpreadBody, Timer, VerifiedMessage,
};
use carat_types::batch::WellFormed;
use carat_types::codec::Decode;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::hash::sha256;
use carat_types::message::{Data, Frame, Message, Proposal, Signed, SignedBody, SignerRole};
use carat_types::validators::{Authenticator, Verified};
use carat_types::{LeafRule, PublicKey, Signature, ValidatorId};

use crate::network::{LIAR, NETWORK, keys};

/// Steps of one script.
const STEPS_MAX: usize = 200;
/// The replica under test.
const ME: ValidatorId = ValidatorId(0);
const TIMERS: [Timer; 9] = [
    Timer::Status,
    Timer::Progress,
    Timer::NewView,
    Timer::Performance,
    Timer::Idle,
    Timer::Propose,
    Timer::Recheck,
    Timer::Fetch,
    Timer::Bodies,
];

/// Signs by hashing: real keys would take most of the time.
struct Hasher;

fn mark(key: &PublicKey, message: &[u8]) -> Signature {
    let half = sha256(&[&key.0, message]);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&half.0);
    Signature(bytes)
}

impl Signer for Hasher {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        let keys = keys(ME);
        let key = if role == SignerRole::Acceptor { keys.acceptor } else { keys.proposer };
        Some(mark(&key.public(), bytes))
    }
}

impl Authenticator for Hasher {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let liar = |role| NETWORK.validators.key(LIAR, role) == Some(key);
        liar(SignerRole::Acceptor) || liar(SignerRole::Proposer) || mark(key, message) == *signature
    }
}

/// Runs the script.
pub fn replica(bytes: &[u8]) {
    let config = Config {
        me: ME,
        validators: NETWORK.validators.clone(),
        trust: Trust::Bft,
        params: ConsensusConstants { window: 16, checkpoint_interval: 4, ..ConsensusConstants::default() },
        signer: Box::new(Hasher),
        authenticator: Arc::new(Hasher),
        genesis_header: NETWORK.header.clone(),
        base: None,
        fetches_states: FetchStates::WhenBehind,
        leaves: LeafRule::Open,
    };
    let mut now = Now { monotonic_us: 1, wall_ms: NETWORK.header.time_ms };
    let tip = ChainTip { header: NETWORK.header.clone(), recent: Vec::new(), transfer: None };
    let (mut replica, _) = Replica::start(config, now, Vec::new(), tip).expect("a new validator starts");
    replica.handle(now, Input::SpreadBodies(true));
    let mut rest = bytes;
    for _ in 0..STEPS_MAX {
        let Some((step, tail)) = rest.split_first() else { return };
        rest = tail;
        let input = if let Some(timer) = TIMERS.get(usize::from(*step)) {
            Input::Timer(*timer)
        } else if *step < 64 {
            let passed_ms = u64::from(*step) * 50;
            now =
                Now { monotonic_us: now.monotonic_us + passed_ms * 1_000, wall_ms: now.wall_ms + passed_ms };
            continue;
        } else {
            let Some((length, tail)) = rest.split_first_chunk::<2>() else { return };
            let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
            let (frame, behind) = tail.split_at(length);
            rest = behind;
            match Frame::from_bytes(frame).map(|frame| frame.message) {
                Ok(Message::Body(body)) => {
                    let count = u32::try_from(body.envelopes.len()).unwrap_or(u32::MAX);
                    let (digest, operations, signatures) = (body.digest(), count, count);
                    let body = SpreadBody { digest, body, operations, signatures };
                    Input::Body { from: LIAR, body }
                }
                Ok(message) => match verified(message) {
                    Some(message) => Input::Message { from: LIAR, message },
                    None => continue,
                },
                Err(_) => continue,
            }
        };
        let halted = replica.handle(now, input).iter().any(|effect| matches!(effect, Effect::Halt(_)));
        assert!(!halted, "one liar alone made a correct replica halt");
    }
}

/// What the threads in front of a replica would hand on.
fn verified(message: Message) -> Option<VerifiedMessage> {
    Some(match message {
        Message::Proposal(proposal) => {
            let fits = proposal.payload_matches();
            let Proposal { signed, payload } = Arc::unwrap_or_clone(proposal);
            let signed = check(signed)?;
            if fits {
                VerifiedMessage::Proposal { signed, payload: WellFormed::trusted(payload) }
            } else {
                VerifiedMessage::BadProposal { signed, leader_is_to_blame: false }
            }
        }
        Message::Prepare(prepare) => {
            VerifiedMessage::Prepare { vote: check(prepare.signed)?, justification: prepare.justification }
        }
        Message::Commit(commit) => VerifiedMessage::Commit(check(commit)?),
        Message::ViewChange(change) => {
            VerifiedMessage::ViewChange(Arc::new(check(Arc::unwrap_or_clone(change))?))
        }
        Message::NewView(new_view) => {
            VerifiedMessage::NewView(Arc::new(check(Arc::unwrap_or_clone(new_view))?))
        }
        Message::Seal(seal) => VerifiedMessage::Seal(check(seal)?),
        Message::Status(status) => VerifiedMessage::Status(status),
        Message::Fetch(fetch) => VerifiedMessage::Fetch(fetch),
        Message::Data(Data::Payload(payload)) => VerifiedMessage::Payload(WellFormed::trusted(payload)),
        Message::Data(Data::Block(block)) => {
            let payload = WellFormed::trusted(Arc::clone(&block.block.payload));
            VerifiedMessage::Block { block, payload }
        }
        Message::Data(Data::Commit(certificate)) => VerifiedMessage::CommitCertificate(certificate),
        Message::Data(Data::Stable(stable)) => VerifiedMessage::Stable(stable),
        Message::Data(Data::Snapshot(offer)) => VerifiedMessage::Snapshot(offer),
        Message::Data(Data::Chunk(chunk)) => VerifiedMessage::Chunk(chunk),
        Message::Data(Data::HighestVotes(votes)) => VerifiedMessage::HighestVotes(votes),
        Message::Announcement(announcement) => {
            let matches = announcement.batch_matches();
            let signed = check(announcement.signed)?;
            match matches {
                true => VerifiedMessage::Announcement { signed, batch: announcement.batch },
                false => VerifiedMessage::BadProposal { signed, leader_is_to_blame: false },
            }
        }
        Message::BodiesHeld(held) => VerifiedMessage::BodiesHeld(held.bodies),
        Message::Transactions(_) | Message::Body(_) => return None,
    })
}

fn check<B: SignedBody>(signed: Signed<B>) -> Option<Verified<B>> {
    NETWORK.validators.verify(&Hasher, signed)
}
