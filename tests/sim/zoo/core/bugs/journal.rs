//! Bugs of the journal, the restart and the checkpoints (sections 4 and 11).

use super::Bug;

const JOURNAL: Bug = Bug { origin: "B2", file: "recovery.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "new-view-not-journaled",
        origin: "B2: WAL (SmartBFT a78df18)",
        file: "view_change.rs",
        within: "fn enter(",
        text: "self.emit(Effect::Persist(Record::NewView(Arc::clone(&new_view))));",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "view-change-not-journaled",
        origin: "B2: the view-change message reaches the journal after it was sent (SmartBFT a78df18)",
        file: "statement.rs",
        within: "fn on_signed_view_change",
        text: "self.emit(Effect::Persist(Record::ViewChange(Arc::clone(&signed))));",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "leading-not-journaled",
        origin: "B2: a restarted proposer proposes again (tendermint 3418)",
        file: "leader.rs",
        within: "fn persist_led",
        text: "self.emit(Effect::Persist(Record::Led(epoch, view)));",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "leads-again-after-a-restart",
        origin: "B2: J7 forgotten at the restart",
        within: "self.led = led;",
        text: "self.barred_through = led;",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "votes-forgotten-at-the-restart",
        origin: "B2: amnesia (bsc 2598)",
        within: "fn load_journal",
        text: "self.load_votes(view, votes, &batches)?;",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "certificates-forgotten-at-the-restart",
        origin: "B3: the prepared certificate forgotten at the restart",
        within: "for certificate in prepared",
        text: "slot > self.chain.stable",
        instead: "false",
        ..JOURNAL
    },
    Bug {
        name: "certificates-forgotten-at-the-view-change",
        origin: "B3: doViewChange clears prepares (raijin 8)",
        file: "log.rs",
        within: "fn leave_round",
        text: "self.late_prepares.absorb(round.prepares);",
        instead: "self.prepared = None; self.late_prepares.absorb(round.prepares);",
        ..JOURNAL
    },
    Bug {
        name: "restarts-into-an-active-view",
        origin: "B3: a view entered without enough messages after a restart (concord-bft 637e197a1)",
        within: "fn load_view(",
        text: "view == View(0)",
        instead: "true",
        ..JOURNAL
    },
    Bug {
        name: "contradicted-votes-repeated",
        origin: "found by the simulator: I7 after a restart",
        within: "pub(crate) fn own_log",
        text: "!self.agrees_with_final(slot, &digest, &signed)",
        instead: "false",
        hunter: Some("schemer"),
        ..JOURNAL
    },
    Bug {
        name: "reports-only-what-is-not-final",
        origin: "B3: what is final here is not reported",
        file: "view_change.rs",
        within: "let reports = self",
        text: "self.chain.stable",
        instead: "self.chain.last_final",
        ..JOURNAL
    },
    Bug {
        name: "blocks-not-synced-before-the-checkpoint",
        origin: "B2: state written without fsync (tendermint 10108)",
        file: "checkpoint.rs",
        within: "pub(crate) fn raise_stable",
        text: "self.emit(Effect::SyncBlocks { slot: durable });",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "checkpoint-not-journaled",
        origin: "B9: the watermark is lost",
        file: "checkpoint.rs",
        within: "pub(crate) fn raise_stable",
        text: "self.emit(Effect::Persist(Record::Stable(Arc::clone(&checkpoint))));",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "compaction-loses-the-new-view",
        origin: "found by the simulator: J2 of the current view",
        file: "checkpoint.rs",
        within: "fn carried_records",
        text: "carry.extend(self.position.new_view.clone().map(Record::NewView));",
        instead: "",
        ..JOURNAL
    },
    Bug {
        name: "compaction-loses-the-view",
        origin: "B2: J1 of the current view",
        file: "checkpoint.rs",
        within: "fn carried_records",
        text: "Record::View(epoch, self.position.view)",
        instead: "Record::View(epoch, carat_types::View(0))",
        ..JOURNAL
    },
    Bug {
        name: "seals-before-writing",
        origin: "section 15: SEAL on tentative state",
        file: "commit_rules.rs",
        within: "fn dispatch(",
        text: "self.chain.dispatched = slot;",
        instead: "self.chain.dispatched = slot; if self.guard.is_none() { self.send_seal(slot, digest); }",
        ..JOURNAL
    },
    Bug {
        name: "garbage-by-f+1-seals",
        origin: "section 15: garbage collection on less than a stable checkpoint",
        file: "checkpoint.rs",
        within: "self.emit(Effect::Sealed { slot, certificate });",
        text: "count >= self.quorum.quorum()",
        instead: "count >= self.quorum.one_correct()",
        ..JOURNAL
    },
    Bug {
        name: "checkpoints-off-the-grid",
        origin: "B9: checkpoint bounds shift after a catch-up (indy-plenum 510)",
        file: "checkpoint.rs",
        within: "self.emit(Effect::Sealed { slot, certificate });",
        text: "self.is_checkpoint(slot)",
        instead: "self.is_checkpoint(slot.next())",
        ..JOURNAL
    },
];
