//! Bugs of catching up, of re-sending and of buffers (sections 5.2, 10 and 11).

use super::Bug;

const DELIVERY: Bug = Bug { origin: "B10", file: "catch_up.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "held-blocks-never-taken",
        origin: "found by the simulator: blocks that were held for ever",
        within: "It may be next in line by now",
        text: "self.take_blocks();",
        instead: "",
        ..DELIVERY
    },
    Bug {
        name: "old-unsealed-blocks-forgotten",
        origin: "found by the simulator: a block that nobody can serve any more",
        file: "checkpoint.rs",
        within: "fn forget_through",
        text: "self.blocks.range(..=stable).count() > limit",
        instead: "self.blocks.first_key_value().is_some_and(|(slot, _)| slot.0 + window <= stable.0)",
        test: Some("catch_up::block_that_nobody_could_seal_for_two_windows_is_served_in_the_end"),
        ..DELIVERY
    },
    Bug {
        name: "asks-one-peer-for-blocks",
        origin: "B10: a peer that is behind its word blocks the sync (CometBFT ASA-2025-001)",
        within: "fn ask_for_blocks",
        text: "self.next_peer(latest, |peer| useful(self, peer)).or_else(|| self.next_peer(latest, |_| true))",
        instead: "latest",
        hunter: Some("sync-liar"),
        ..DELIVERY
    },
    Bug {
        name: "asks-one-peer-for-payloads",
        origin: "B10: block-sync deadlock (CometBFT 5801)",
        within: "fn ask_for_payload",
        text: "self.next_peer(asked, |peer| holders.contains(peer))",
        instead: "asked",
        hunter: Some("sync-liar"),
        ..DELIVERY
    },
    Bug {
        name: "asks-for-payloads-once",
        origin: "B10: block-sync deadlock (CometBFT 5801)",
        within: "pub(crate) fn on_fetch_timer",
        text: "self.ask_for_payload(digest);",
        instead: "",
        ..DELIVERY
    },
    Bug {
        name: "unasked-payloads-kept",
        origin: "B4: a queue that any peer fills (malachite 4)",
        within: "pub(crate) fn on_payload",
        text: "self.catch_up.payloads.remove(&digest).ok_or(Rejection::Unrequested)?",
        instead: "self.catch_up.payloads.remove(&digest).unwrap_or(WantedPayload { \
                  slot: self.chain.stable.next(), holders: SignerSet::default(), asked: None })",
        hunter: Some("spam"),
        ..DELIVERY
    },
    Bug {
        name: "seals-of-any-slot-kept",
        origin: "B4: an uncapped number from a peer fills a map (Besu GHSA-23rh-rrqg-wq82)",
        file: "checkpoint.rs",
        within: "pub(crate) fn on_seal",
        text: "slot > self.window_end()",
        instead: "false",
        hunter: Some("spam"),
        ..DELIVERY
    },
    Bug {
        name: "votes-of-any-slot-kept",
        origin: "B4: an uncapped number from a peer fills a map (Besu GHSA-23rh-rrqg-wq82)",
        file: "normal.rs",
        within: "pub(crate) fn on_prepare",
        text: "self.check_window(ballot.slot)?;",
        instead: "",
        hunter: Some("spam"),
        ..DELIVERY
    },
    Bug {
        name: "executes-twice-after-a-catch-up",
        origin: "B11: sync and view change both commit a block (SmartBFT 57f434c, fabric 5076)",
        within: "fn take_blocks",
        text: "slot > self.chain.last_final",
        instead: "slot >= self.chain.last_final",
        ..DELIVERY
    },
];
