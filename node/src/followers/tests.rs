//! What a follower is heard with.

use carat_types::codec::Encode as _;
use carat_types::message::ChunkRequest;
use carat_types::{Digest, View};

use super::*;

fn frame(epoch: u32, message: Message) -> Vec<u8> {
    Frame { epoch: Epoch(epoch), message }.to_bytes()
}

#[test]
fn follower_is_heard_with_questions_and_transactions_and_nothing_else() {
    let questions = [
        Fetch::Blocks(Slot(7)),
        Fetch::Snapshot(Slot(7)),
        Fetch::Chunk(ChunkRequest { slot: Slot(7), from: Digest::ZERO }),
    ];
    for fetch in questions {
        // Who slept over the end of an epoch asks in the one that it knows.
        for epoch in [0, 1] {
            let read = Request::read(&frame(epoch, Message::Fetch(fetch.clone())), Epoch(1));
            assert!(matches!(read, Ok(Request::Question(ref question)) if *question == fetch), "{fetch:?}");
        }
    }
    let transactions = Message::Transactions(Transactions { envelopes: Vec::new() });
    assert!(matches!(Request::read(&frame(0, transactions), Epoch(0)), Ok(Request::Transactions(_))));
    // What acceptors ask each other, where one claims to stand, and noise.
    let status = Status { view: View(9), ..Status::default() };
    let refused = [
        (frame(0, Message::Fetch(Fetch::HighestVotes(ValidatorId(0)))), Refusal::NotTheirs),
        (frame(0, Message::Fetch(Fetch::Payload(Digest::ZERO))), Refusal::NotTheirs),
        (frame(0, Message::Status(status)), Refusal::NotTheirs),
        (frame(1, Message::Transactions(Transactions { envelopes: Vec::new() })), Refusal::OtherEpoch),
        (vec![0xff; 40], Refusal::Undecodable),
    ];
    for (bytes, refusal) in refused {
        assert_eq!(Request::read(&bytes, Epoch(0)).err(), Some(refusal));
    }
}
