//! Bugs of fetching a whole state (section 11).

use super::Bug;

const TRANSFER: Bug = Bug { origin: "B10", file: "state_transfer.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "chunks-not-proved",
        origin: "B10: a root that does not fit is only warned of (calimero 2387)",
        file: "chunks.rs",
        within: "fn take(",
        text: "chunk.root(leaves) != Some(self.offer.base.header.state_root)",
        instead: "false",
        hunter: Some("sync-liar"),
        ..TRANSFER
    },
    Bug {
        name: "offers-not-proved",
        origin: "B10: sync takes what nobody signed (snarkOS 3226)",
        within: "fn on_offer(",
        text: "self.check_offer(&offer)?;",
        instead: "",
        hunter: Some("sync-liar"),
        ..TRANSFER
    },
    Bug {
        name: "block-after-a-state-not-proved",
        origin: "B10: what is not signed is derived from (CometBFT GHSA-c32p-wcqj-j677)",
        file: "verify.rs",
        within: "fn check_offer(",
        text: "offer.is_consistent()",
        instead: "true",
        hunter: Some("sync-liar"),
        test: Some("transfer::offers_that_prove_nothing_are_refused"),
        ..TRANSFER
    },
    Bug {
        name: "executes-while-a-state-is-fetched",
        origin: "B10: sync and execution run into each other (fabric 5076)",
        file: "commit_rules.rs",
        within: "fn advance_execution(",
        text: "self.transfer.holds_execution()",
        instead: "false",
        test: Some("transfer::final_slot_whose_payload_comes_while_a_state_is_fetched_is_not_executed"),
        ..TRANSFER
    },
    Bug {
        name: "seals-a-state-it-fetched",
        origin: "B2: a promise about something that was not done (Sui 3210)",
        within: "fn on_installed(",
        text: "self.transfer = StateTransfer::default();",
        instead: "{ self.transfer = StateTransfer::default(); self.chain.last_final = slot.max(self.chain.last_final); \
                  self.send_seal(slot, header.hash()); }",
        ..TRANSFER
    },
    Bug {
        name: "liar-is-asked-again",
        origin: "B10: a joiner that asks one lying peer for ever (CometBFT 5801)",
        file: "chunks.rs",
        within: "fn take(",
        text: "self.holders = self.holders.iter().filter(|holder| *holder != from).collect();",
        instead: "self.latest = None;",
        hunter: Some("sync-liar"),
        test: Some("transfer::liar_among_those_who_send_a_state_is_passed_over"),
        ..TRANSFER
    },
    Bug {
        name: "silent-servers-waited-for",
        origin: "B1: a transfer that nobody serves is never given up (Besu 8307)",
        file: "chunks.rs",
        within: "fn tick(",
        text: "self.ticks >= NO_CHUNK_TICKS",
        instead: "false",
        test: Some("transfer::state_that_nobody_sends_is_given_up_for_blocks"),
        ..TRANSFER
    },
    Bug {
        name: "overtaken-payloads-kept",
        origin: "B4, decision record 69: who offers a state and sends none fills the memory of who waits for it",
        file: "checkpoint.rs",
        within: "fn move_watermark(",
        text: "self.payloads.forget_range(self.chain.last_final.max(done), slot);",
        instead: "",
        test: Some(
            "transfer::payloads_that_a_checkpoint_overtakes_while_a_state_is_on_its_way_are_forgotten",
        ),
        ..TRANSFER
    },
];
