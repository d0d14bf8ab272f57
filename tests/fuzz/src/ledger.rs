//! What clients submit, and what the ledger keeps.

use std::sync::{Arc, LazyLock};

use carat_ledger::{
    ApplyError, BlockInput, MemoryState, SignatureOracle, SortKey, StateKey, StateTree, StateValue,
    audit_supply,
};
use carat_types::LeafRule;
use carat_types::signature::Claim;
use carat_types::transaction::{SignedTransaction, decode_envelope};
use stellar_xdr::{Limits, WriteXdr};

use crate::network::NETWORK;

/// A transaction envelope.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = decode_envelope(bytes) else { return };
    assert_eq!(envelope.to_xdr(Limits::none()).as_deref(), Ok(bytes), "taken, but written otherwise");
    let signed = SignedTransaction::decode(&NETWORK.id, bytes).expect("decoded a moment ago");
    assert_eq!(signed.bytes(), bytes);
}

/// An entry of the state: two bytes length of the key, key, value.
pub fn state_entry(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { return };
    let Ok(parsed) = StateKey::from_bytes(key) else { return };
    assert_eq!(parsed.to_bytes(), key, "taken, but written otherwise");
    let _ = StateValue::from_bytes(&parsed, value);
}

/// Takes every signature for valid: a stranger's bytes would hardly ever hold one.
struct Trusting;

impl SignatureOracle for Trusting {
    fn is_valid(&self, _: Claim<'_>) -> bool {
        true
    }
}

static STATE: LazyLock<MemoryState> = LazyLock::new(|| MemoryState::new(NETWORK.entries.clone()));

/// Envelopes, each with two bytes of length before it, applied as one block on the state at genesis.
///
/// The ledger checks for itself that no asset comes from nowhere; here the whole state is counted once more.
pub fn apply(bytes: &[u8]) {
    let mut envelopes = Vec::new();
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (envelope, behind) = tail.split_at(length);
        envelopes.extend(SignedTransaction::decode(&NETWORK.id, envelope).map(Arc::new));
        rest = behind;
    }
    let block = BlockInput {
        sort_key: SortKey::Prefix(NETWORK.header.prefix),
        ledger_seq: 2,
        chain_id: NETWORK.header.chain_id,
        epoch: NETWORK.header.epoch,
        slot: NETWORK.header.slot.next(),
        time_ms: NETWORK.header.time_ms + 1_000,
        envelopes: &envelopes,
        signatures: &Trusting,
        record_changes: true,
    };
    match carat_ledger::apply(&*STATE, &block) {
        Ok(outcome) => {
            let mut state = STATE.clone();
            state.apply(&outcome.delta);
            let mut tree = StateTree::build(&LeafRule::Open, NETWORK.entries.iter().cloned());
            tree.update(&outcome.delta);
            let figures = audit_supply(state.entries()).expect("a state that decodes");
            assert!(figures.iter().all(|(_, figures)| figures.agree()), "held is not what was issued");
        }
        Err(error) => panic!("the ledger stopped: {}", described(&error)),
    }
}

fn described(error: &ApplyError) -> String {
    error.to_string()
}
