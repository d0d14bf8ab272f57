//! Valid inputs to begin with: a fuzzer that starts from nothing spends its time on length fields.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use carat_consensus::{Record, SpreadBody};
use carat_ledger::{Absence, SnapshotPlan, StateTree};
use carat_storage::Identity;
use carat_storage::journal::format::{Header as SegmentHeader, encode_frame, encode_record};
use carat_types::batch::{Batch, Body, Envelope, Payload, Value};
use carat_types::block::{Block, CertifiedBlock};
use carat_types::builder::market::{create_passive_sell_offer, manage_buy_offer, manage_sell_offer};
use carat_types::builder::operation::{self, LIMIT_MAX, Options};
use carat_types::builder::{TransactionBuilder, asset, fee_bump};
use carat_types::certificate::Certificate;
use carat_types::codec::Encode;
use carat_types::governance::{Call, Change, Parameter};
use carat_types::hash::sha256;
use carat_types::header::Header;
use carat_types::message::{
    Ballot, BodiesHeld, Commit, Data, Fetch, Frame, Justification, Message, NewView, PrePrepare, Prepare,
    PrepareMessage, Proposal, ProposalSignature, Seal, Signed, SignedBody, SignerRole, StableCheckpoint,
    Status, TentativeReply, Transactions, ViewChange,
};
use carat_types::receipt::{Receipt, ResultBytes, ResultProof, TentativeProof};
use carat_types::snapshot::{Progress, SnapshotOffer};
use carat_types::submission::{
    Answer, Busy, Malformed, NoReplies, NoRepliesCode, Refused, RepliedOutcome, Request, SettledBlock,
    SettledOutcome, Submission, Wanted, Words,
};
use carat_types::transaction::sign_envelope;
use carat_types::{Digest, Epoch, LeafRule, Slot, ValidatorId, View, header, merkle, state_proof};
use stellar_xdr::{Asset, Limits, Operation, Price, TransactionEnvelope, WriteXdr};

use crate::network::{LIAR, NETWORK, VALIDATORS, keys};

/// The seeds of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frame" => messages().into_iter().map(frame).collect(),
        "block" => vec![block().to_bytes()],
        "certificate" => vec![commits().to_bytes(), block().certificate.to_bytes()],
        "receipt" => vec![receipt(), replied_receipt()],
        "submission" => submissions(),
        "merkle_path" => (0..5).filter_map(|index| Some(path(index)?.to_bytes())).collect(),
        "state_proof" => proofs(),
        "state_chunk" => chunks(),
        "snapshot_offer" => vec![offer().to_bytes()],
        "payload" => vec![payload(1).to_bytes(), payload(3).to_bytes()],
        "text_forms" => ["1", "0.0000001", "922337203685.4775807", "native", "5/4"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .chain([asset::format(&euros()).into_bytes()])
            .collect(),
        "envelope" => envelopes().iter().map(xdr).collect(),
        "state_entry" => {
            NETWORK.entries.iter().map(|(key, value)| [&prefixed(key)[..], value].concat()).collect()
        }
        "apply" => vec![envelopes().iter().flat_map(|envelope| prefixed(&xdr(envelope))).collect()],
        "journal_segment" => records().iter().map(frame_body).chain([segment()]).collect(),
        "journal_record" => records().iter().map(Encode::to_bytes).collect(),
        "stored_values" => vec![NETWORK.header.to_bytes(), block().block.to_bytes()],
        "replica" => vec![script(&[]), script(&[8, 5, 1, 4]), script(&[40, 4, 40, 2, 60, 1])],
        "rest_request" => crate::rest::requests(),
        "history_row" => crate::rest::rows(),
        "tls_certificate" => crate::tls::certificates(),
        "confidential_claim" => crate::confidential::claims().to_vec(),
        _ => Vec::new(),
    }
}

/// Proofs of what is in the genesis state, and of what is not.
fn proofs() -> Vec<Vec<u8>> {
    let entries: BTreeMap<&[u8], &[u8]> =
        NETWORK.entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
    let tree = StateTree::build(&LeafRule::Open, &entries);
    let value_at = |wanted: &Digest| {
        let found = entries.iter().find(|(key, _)| state_proof::tree_key(key) == *wanted);
        found.map(|(_, value)| value.to_vec()).ok_or("the tree names entries of the state")
    };
    let present = entries.iter().filter_map(|(key, value)| tree.prove(key, value));
    let absent =
        (0..8_u8).filter_map(|number| match tree.prove_absent(&[number], value_at).expect("found") {
            Absence::Proved(proof) => Some(proof),
            Absence::Contradicted | Absence::Unprovable => None,
        });
    present.chain(absent).map(|proof| proof.to_bytes()).collect()
}

/// The genesis state in parts.
fn chunks() -> Vec<Vec<u8>> {
    let entries: BTreeMap<&[u8], &[u8]> =
        NETWORK.entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
    let plan = SnapshotPlan::build(&LeafRule::Open, entries.iter().map(Ok::<_, Infallible>), 100)
        .expect("never fails");
    let values = |keys: &[Box<[u8]>]| {
        Ok::<_, Infallible>(keys.iter().map(|key| entries[key.as_ref()].to_vec()).collect())
    };
    let mut chunks = Vec::new();
    let mut next = Progress::At(Digest::ZERO);
    while let Progress::At(from) = next {
        let chunk = plan.chunk(Slot(0), &from, values).expect("never fails").expect("begins there");
        next = chunk.end();
        chunks.push(chunk.to_bytes());
    }
    chunks
}

fn offer() -> SnapshotOffer {
    let block = block();
    let base =
        StableCheckpoint { header: block.block.header.clone(), certificate: block.certificate.clone() };
    let next = Header { slot: base.header.slot.next(), parent: base.header.hash(), ..base.header.clone() };
    let next_seals = Certificate::assemble(Seal { slot: next.slot, header: next.hash() }, []);
    SnapshotOffer { base, next, next_seals }
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("seeds are short");
    [&length.to_be_bytes(), bytes].concat()
}

fn frame(message: Message) -> Vec<u8> {
    Frame { epoch: Epoch(0), message }.to_bytes()
}

/// Steps of time and timers, and all that the liar has to say.
fn script(steps: &[u8]) -> Vec<u8> {
    let mut out = steps.to_vec();
    for message in messages() {
        out.push(64);
        out.extend(prefixed(&frame(message)));
    }
    out
}

fn signed<B: SignedBody>(signer: ValidatorId, body: B) -> Signed<B> {
    let keys = keys(signer);
    let key = if B::SIGNER == SignerRole::Acceptor { keys.acceptor } else { keys.proposer };
    let signature = key.sign(&NETWORK.validators.domain().signing_bytes(&body));
    Signed { signer, body, signature }
}

fn euros() -> Asset {
    asset::issued("EUR", NETWORK.root.public().into()).expect("a code")
}

fn xdr(envelope: &TransactionEnvelope) -> Vec<u8> {
    envelope.to_xdr(Limits::none()).expect("written to memory")
}

/// One transaction of each of many kinds, in the order of their sequence numbers.
fn envelopes() -> Vec<TransactionEnvelope> {
    let other = carat_types::SecretKey::from_seed(&[7; 32]);
    let (root, euros) = (NETWORK.root.public(), euros());
    let price = Price { n: 5, d: 4 };
    let change = Change::Value { parameter: Parameter::BaseFee, value: 200 };
    let propose = Call::Propose { signer: root, change, valid_until: u64::MAX };
    let operations: Vec<Vec<Operation>> = vec![
        vec![operation::create_account(other.public().into(), 1_000_000_000)],
        vec![
            operation::by(other.public(), operation::change_trust(euros.clone(), LIMIT_MAX)),
            operation::payment(other.public(), euros.clone(), 500),
        ],
        vec![operation::payment(other.public(), Asset::Native, 500)],
        vec![operation::set_options(Options::default().thresholds(1, 2, 3))],
        vec![
            manage_sell_offer(euros.clone(), Asset::Native, 100, price.clone(), 0),
            operation::by(
                other.public(),
                manage_buy_offer(euros.clone(), Asset::Native, 40, price.clone(), 0),
            ),
            create_passive_sell_offer(Asset::Native, euros, 10, price),
        ],
        vec![operation::bump_sequence(99)],
        vec![propose.operation(&NETWORK.header.chain_id, &root)],
    ];
    let mut envelopes = Vec::new();
    for (sequence, operations) in (0..).zip(operations) {
        let builder = TransactionBuilder::new(root, sequence).expect("a small number");
        let builder = operations.into_iter().fold(builder, TransactionBuilder::operation);
        envelopes.push(builder.sign(&NETWORK.id, &[&NETWORK.root, &other]).expect("well-formed"));
    }
    let inner = envelopes.last().cloned().expect("some");
    let mut outer = fee_bump(root, 1_000, inner).expect("well-formed");
    sign_envelope(&NETWORK.id, &mut outer, &[&NETWORK.root]).expect("room for a signature");
    envelopes.push(outer);
    envelopes
}

fn body() -> Body {
    Body { envelopes: envelopes().iter().map(|envelope| Envelope(xdr(envelope).into())).collect() }
}

fn payload(bodies: usize) -> Payload {
    let bodies: Vec<Arc<Body>> = (0..bodies).map(|_| Arc::new(body())).collect();
    let digests = bodies.iter().map(|body| body.digest()).collect();
    Payload { value: Value::Batch(Batch { time_ms: NETWORK.header.time_ms + 1, bodies: digests }), bodies }
}

fn ballot(view: u64) -> Ballot {
    let digest = payload(1).value.digest();
    let prefix = header::prefix_digest(&NETWORK.header.prefix, Slot(1), &digest);
    Ballot { view: View(view), slot: Slot(1), digest, prefix }
}

fn certificate<B: SignedBody + Clone>(body: &B) -> Certificate<B> {
    let signature = |id| (id, signed(id, body.clone()).signature);
    Certificate::assemble(body.clone(), (0..VALIDATORS - 1).map(ValidatorId).map(signature))
}

fn commits() -> Certificate<Commit> {
    certificate(&Commit(ballot(0)))
}

fn block() -> CertifiedBlock {
    let header = header::Header { slot: Slot(1), parent: NETWORK.header.hash(), ..NETWORK.header.clone() };
    let certificate = certificate(&Seal { slot: Slot(1), header: header.hash() });
    CertifiedBlock { block: Block { header, payload: Arc::new(payload(1)) }, certificate }
}

fn path(index: usize) -> Option<merkle::Path> {
    let leaves: Vec<Digest> = (0..5_u8).map(|leaf| sha256(&[&[leaf]])).collect();
    merkle::Path::of(&leaves, index)
}

fn receipt() -> Vec<u8> {
    let CertifiedBlock { block, certificate } = block();
    let proof = ResultProof {
        transaction: sha256(&[b"transaction"]),
        envelope: sha256(&[b"envelope"]),
        result: ResultBytes(vec![0; 24]),
        path: path(2).expect("five leaves"),
        header: block.header,
        seals: certificate,
    };
    Receipt::of_result(proof).to_bytes()
}

fn replies() -> Certificate<TentativeReply> {
    let header = block().block.header.hash();
    certificate(&TentativeReply { view: View(0), slot: Slot(1), header })
}

fn replied_receipt() -> Vec<u8> {
    let proof = TentativeProof {
        transaction: sha256(&[b"transaction"]),
        envelope: sha256(&[b"envelope"]),
        result: ResultBytes(vec![0; 24]),
        path: path(2).expect("five leaves"),
        header: block().block.header,
        replies: replies(),
    };
    Receipt::of_replies(proof).to_bytes()
}

/// A submission, and an answer of each kind.
fn submissions() -> Vec<Vec<u8>> {
    let CertifiedBlock { block, certificate } = block();
    let (words, result) = (Words::new("no room".into()), ResultBytes(vec![0; 24]));
    let outcome = |number: u64| {
        let index = usize::try_from(number).expect("small");
        SettledOutcome {
            number,
            envelope: sha256(&[b"envelope"]),
            result: result.clone(),
            path: path(index).expect("five leaves"),
        }
    };
    let outcomes = (0..3).map(outcome).collect();
    let header = block.header;
    let word = RepliedOutcome {
        handovers: Vec::new(),
        header: header.clone(),
        reply: signed(ValidatorId(1), replies().body),
        outcome: outcome(1),
    };
    let settled = SettledBlock { handovers: Vec::new(), header, seals: certificate, outcomes };
    let answers = [
        Answer::Settled(settled),
        Answer::Refused(Refused { number: 1, result: result.clone(), words: words.clone() }),
        Answer::Busy(Busy { number: 2, retry_after_ms: 1_000, words: words.clone() }),
        Answer::Open(3),
        Answer::Malformed(Malformed { number: 4, words: words.clone() }),
        Answer::Replied(word),
        Answer::NoReplies(NoReplies { number: 5, code: NoRepliesCode::TooManySubscriptions, words }),
    ];
    let submission = Submission { first: 7, envelopes: body().envelopes };
    let requests = [
        Request::Submission(submission.clone()),
        Request::Tentative(submission),
        Request::Fetch(Wanted { number: 8, memo: Digest::ZERO }),
    ];
    requests.iter().map(Encode::to_bytes).chain(answers.iter().map(Encode::to_bytes)).collect()
}

/// What the liar may say, one of each kind.
fn messages() -> Vec<Message> {
    // The first view that the liar leads.
    let led = u64::from(LIAR.0);
    let Ballot { slot, digest, .. } = ballot(led);
    let pre_prepare = PrePrepare { view: View(led), slot, parent: NETWORK.header.prefix, digest };
    let proposal = signed(LIAR, pre_prepare);
    let justification = Justification::Proposal(ProposalSignature {
        parent: NETWORK.header.prefix,
        signature: proposal.signature,
    });
    let change =
        |from| Arc::new(signed(from, ViewChange { view: View(led), stable: None, reports: Vec::new() }));
    let view_changes = (1..VALIDATORS).map(|id| change(ValidatorId(id))).collect();
    vec![
        Message::Status(Status { view: View(led), active: true, highest_vote: Slot(1), ..Status::default() }),
        Message::ViewChange(change(LIAR)),
        Message::NewView(Arc::new(signed(LIAR, NewView { view: View(led), view_changes }))),
        Message::Proposal(Arc::new(Proposal { signed: proposal, payload: Arc::new(payload(1)) })),
        Message::Prepare(PrepareMessage { signed: signed(LIAR, Prepare(ballot(0))), justification }),
        Message::Commit(signed(LIAR, Commit(ballot(0)))),
        Message::Seal(signed(LIAR, Seal { slot: Slot(1), header: block().block.header.hash() })),
        Message::Fetch(Fetch::Blocks(Slot(1))),
        Message::Fetch(Fetch::Payload(digest)),
        Message::Fetch(Fetch::Snapshot(Slot(0))),
        Message::Data(Data::Snapshot(Arc::new(offer()))),
        Message::Data(Data::Payload(Arc::new(payload(1)))),
        Message::Data(Data::Block(Arc::new(block()))),
        Message::Data(Data::Commit(commits())),
        Message::Transactions(Transactions { envelopes: body().envelopes }),
        Message::Body(Arc::new(body())),
        Message::BodiesHeld(BodiesHeld { bodies: vec![body().digest()] }),
    ]
}

fn spread_body() -> SpreadBody {
    let body = Arc::new(body());
    SpreadBody { digest: body.digest(), body, operations: 1, signatures: 1 }
}

fn records() -> Vec<Record> {
    vec![
        Record::View(Epoch(0), View(3)),
        Record::Led(Epoch(0), View(4)),
        Record::Vote(ballot(0), Justification::NewView(Digest::ZERO), Some(Arc::new(payload(1)))),
        Record::Body { origin: LIAR, through: Slot(9), body: spread_body() },
        Record::Batch(Slot(1), Batch { time_ms: 5, bodies: vec![body().digest()] }),
    ]
}

/// The header of the first segment of a journal.
pub(crate) fn segment_header() -> SegmentHeader {
    let key = keys(LIAR).acceptor.public();
    let identity = Identity { chain_id: NETWORK.header.chain_id, validator: LIAR, key };
    SegmentHeader { identity, sealed: false, number: 1, oldest: 1, previous_link: 0 }
}

fn frame_body(record: &Record) -> Vec<u8> {
    let mut body = Vec::new();
    encode_record(Slot(1), &record.to_bytes(), &mut body);
    body
}

fn segment() -> Vec<u8> {
    let header = segment_header();
    let mut out = header.to_bytes();
    let mut link = header.marker();
    for record in records() {
        let (frame, next) = encode_frame(header.marker(), link, &frame_body(&record));
        out.extend(frame);
        link = next;
    }
    out
}
