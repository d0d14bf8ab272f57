//! Bugs of the normal case: proposals, votes, commit rules (sections 5 and 6).

use super::Bug;

const NORMAL: Bug = Bug { file: "normal.rs", ..super::BLANK };

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "prepared-by-one-vote-less",
        origin: "B5: f+1 copies; section 15: PRE-PREPARE counted as a vote",
        within: "fn commit_next",
        text: "tally.signatures.len() < quorum",
        instead: "tally.signatures.len() < quorum.saturating_sub(1)",
        ..NORMAL
    },
    Bug {
        name: "quorum-is-2f+1",
        origin: "B5: quorum = 2f+1 where n > 3f+1 (IBFT)",
        within: "fn commit_next",
        text: "self.quorum.quorum()",
        instead: "2 * self.quorum.faults() + 1",
        ..NORMAL
    },
    Bug {
        name: "committed-by-one-vote-less",
        origin: "B5: f+1 copies",
        within: "pub(crate) fn on_commit(",
        text: "count == self.quorum.quorum()",
        instead: "count == self.quorum.quorum().saturating_sub(1)",
        ..NORMAL
    },
    Bug {
        name: "committed-by-one-vote-less",
        origin: "B5: f+1 copies",
        within: "fn after_commit_quorum",
        text: "self.quorum.quorum()",
        instead: "self.quorum.quorum().saturating_sub(1)",
        ..NORMAL
    },
    Bug {
        name: "acts-on-fast",
        origin: "section 15: FAST at validators",
        within: "fn after_prepare(",
        text: "count == self.deciding_prepares()",
        instead: "count == self.quorum.quorum()",
        ..NORMAL
    },
    Bug {
        name: "duplicates-count",
        origin: "B5: messages counted, not signers (Besu 2544dfd3e8)",
        file: "log.rs",
        within: "pub(crate) fn add(",
        text: "if same { Counted::Duplicate } else { Counted::Conflict }",
        instead: "match position.and_then(|index| self.tallies.get(index)) { \
                  Some(tally) if same => Counted::Fresh(tally.signatures.len() + 1), _ => Counted::Conflict }",
        ..NORMAL
    },
    Bug {
        name: "second-vote-replaces-the-first",
        origin: "B5: a second vote overwrites a good one (monad-bft 2214)",
        file: "log.rs",
        within: "pub(crate) fn add(",
        text: "self.voted.contains(signer)",
        instead: "{ for tally in &mut self.tallies { if tally.ballot != *ballot { tally.signatures.remove(&signer); } } \
                  position.and_then(|index| self.tallies.get(index)).is_some_and(|tally| tally.signatures.contains_key(&signer)) }",
        hunter: Some("equivocate"),
        ..NORMAL
    },
    Bug {
        name: "commits-in-an-old-view",
        origin: "section 15: COMMIT for an old view",
        within: "fn after_late_prepare",
        text: "state.learn_prepared(certificate.clone());",
        instead: "state.learn_prepared(certificate.clone()); \
                  if self.guard.is_none() { \
                  self.emit(Effect::Persist(Record::Prepared(certificate.clone()))); \
                  let bytes = self.config.validators.domain().signing_bytes(&Commit(*ballot)); \
                  let role = carat_types::message::SignerRole::Acceptor; \
                  if let Some(signature) = self.config.signer.sign(role, &bytes) { \
                  let signed = Signed { signer: self.config.me, body: Commit(*ballot), signature }; \
                  self.broadcast(carat_types::message::Message::Commit(signed)); } }",
        ..NORMAL
    },
    Bug {
        name: "votes-before-the-new-view",
        origin: "B3: a view entered without its NEW-VIEW (concord-bft 637e197a1)",
        within: "fn castable(",
        text: "!position.active",
        instead: "false",
        ..NORMAL
    },
    Bug {
        name: "ignores-the-parent",
        origin: "section 5.2: parent equals its own c(s-1)",
        within: "fn castable(",
        text: "proposal.body.parent != position.voted_prefix",
        instead: "false",
        hunter: Some("equivocate"),
        ..NORMAL
    },
    Bug {
        name: "votes-without-the-payload",
        origin: "B2: a promise that the validator holds data that it does not (Sui 3210)",
        within: "fn holds_payload(",
        text: "*digest == null_digest() || self.payloads.get(digest).is_some()",
        instead: "true",
        ..NORMAL
    },
    Bug {
        name: "clock-checks-on-re-proposals",
        origin: "section 15: clock checks on re-proposals",
        within: "fn castable(",
        text: "fresh && !self.is_timely(&ballot)",
        instead: "!self.is_timely(&ballot)",
        ..NORMAL
    },
    Bug {
        name: "no-end-of-term-for-voters",
        origin: "section 14: a term orders at most R fresh slots",
        within: "fn castable(",
        text: "slot > self.term_end()",
        instead: "false",
        ..NORMAL
    },
    Bug {
        name: "no-end-of-term-for-voters",
        origin: "section 14: a term orders at most R fresh slots",
        within: "fn check_proposal(",
        text: "slot > self.term_end()",
        instead: "false",
        ..NORMAL
    },
    Bug {
        name: "no-end-of-term-for-voters",
        origin: "section 14: a term orders at most R fresh slots",
        file: "leader.rs",
        within: "pub(crate) fn propose(",
        text: "slot <= self.term_end()",
        instead: "true",
        ..NORMAL
    },
    Bug {
        name: "no-end-of-term-for-voters",
        origin: "section 14: a term orders at most R fresh slots",
        file: "commit_rules.rs",
        within: "pub(crate) fn end_term",
        text: "self.chain.last_final >= self.term_end()",
        instead: "false",
        ..NORMAL
    },
    Bug {
        name: "accuses-without-proof",
        origin: "section 15: view change on an unproven conflict",
        within: "fn check_justification(",
        text: "return Err(Rejection::Unjustified)",
        instead: "{ self.accuse_leader(ballot.view, \"conflicting PREPARE\"); return Err(Rejection::Unjustified) }",
        hunter: Some("spam"),
        ..NORMAL
    },
    Bug {
        name: "prefix-unchecked",
        origin: "B3: locked block mismatch (polygon-edge 232)",
        file: "commit_rules.rs",
        within: "fn covered(",
        text: "prefix_digest(&prefix, top, &certified.digest) == certified.prefix",
        instead: "true",
        hunter: Some("equivocate"),
        ..NORMAL
    },
    Bug {
        name: "transactions-in-flight-stay-so",
        origin: "B11: the leader is stuck after a view change (SmartBFT 2a0557b)",
        file: "pending.rs",
        within: "pub(crate) fn release_in_flight",
        text: "self.waiting.insert(arrival);",
        instead: "",
        ..NORMAL
    },
];
