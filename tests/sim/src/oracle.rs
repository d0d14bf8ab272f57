//! The judge: watches every step of every validator and shares no predicate with the product.
//!
//! It counts votes, checks certificates, computes the choice of a NEW-VIEW and follows each journal by its own
//! code. What it demands are the invariants I1 to I12 and the journal's rules J1 to J8 of the consensus
//! specification, agreement, execution exactly once, and bounded buffers. It is told of every message of every
//! validator, adversaries included, but holds only correct ones to the rules.
//!
//! Reading order: `ballots` (what is final), `history` (what is durable), `speech` (what may be said), `hearing` (what may
//! be taken), `choice` (what a NEW-VIEW forces), `chain` (what was executed), `transfer` (what was fetched).

mod ballots;
mod certificates;
mod chain;
mod choice;
mod hearing;
mod history;
mod speech;
mod transfer;

use std::sync::Arc;

use carat_consensus::effect::{Finality, Halt, Report, Trigger};
use carat_consensus::{BLOCKS_PER_FETCH, Execute, Record, RecoverError};
use carat_types::certificate::SealCertificate;
use carat_types::evidence::Evidence;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::{Header, prefix_digest};
use carat_types::message::Message;
use carat_types::validators::{Authenticator, ValidatorSet};
use carat_types::{Digest, Slot, ValidatorId, View};

pub use hearing::HeardVote;

use crate::clients::Fate;
use crate::plan::Plan;
use ballots::Ballots;
use certificates::Certificates;
use chain::Chain;
use hearing::Hearing;
use history::History;
use speech::Speech;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule, by its name in the specification.
    pub rule: &'static str,
    /// Who broke it, if it was one.
    pub validator: Option<ValidatorId>,
    /// What was seen and what was expected.
    pub detail: String,
}

impl Violation {
    /// The violation that a panic stands for.
    pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        Violation { rule: "no panic", validator: None, detail: text.to_owned() }
    }
}

/// What every check returns.
pub type Verdict = Result<(), Violation>;

/// Fails with a rule and a text unless the condition holds.
fn demand(holds: bool, rule: &'static str, who: ValidatorId, detail: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { rule, validator: Some(who), detail: detail() }) }
}

/// Thresholds by the oracle's own arithmetic.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    n: usize,
    faults: usize,
    quorum: usize,
    overlap: usize,
}

impl Thresholds {
    fn of(n: u16) -> Self {
        let n = usize::from(n);
        let faults = (n - 1) / 3;
        Thresholds { n, faults, quorum: n - faults, overlap: n - 2 * faults }
    }
}

/// The oracle of one run.
#[derive(Debug)]
pub struct Oracle {
    params: ConsensusConstants,
    /// Whether validators act on FAST.
    trust: Trust,
    /// Assumption A-crash.
    acceptors_only_crash: bool,
    thresholds: Thresholds,
    certificates: Certificates,
    ballots: Ballots,
    chain: Chain,
    watches: Vec<Watch>,
    /// The highest view that each validator has called for, liars included.
    called: Vec<View>,
}

/// What the oracle knows of one validator.
#[derive(Debug)]
struct Watch {
    /// Whether its acceptor is held to the rules.
    acceptor_is_correct: bool,
    /// Whether its proposer is, too.
    proposer_is_correct: bool,
    history: History,
    speech: Speech,
    hearing: Hearing,
    /// Executed up to here.
    executed: Slot,
    /// Handed to execution up to here.
    dispatched: Slot,
    /// The slots above the one and up to the other were not executed: the state was fetched.
    skipped: Option<(Slot, Slot)>,
    /// Highest view, checkpoint and final slot seen in this incarnation.
    high: HighWater,
}

#[derive(Clone, Copy, Debug, Default)]
struct HighWater {
    view: View,
    stable: Slot,
    last_final: Slot,
}

/// Where a replica stands by its own account.
#[derive(Clone, Copy, Debug)]
pub struct Standpoint {
    /// Its view.
    pub view: View,
    /// Its stable checkpoint.
    pub stable: Slot,
    /// Its last final slot.
    pub last_final: Slot,
    /// Slots, blocks and payloads that it keeps in memory.
    pub buffered: usize,
}

impl Oracle {
    /// The oracle of a run.
    pub fn new(
        plan: &Plan,
        set: Arc<ValidatorSet>,
        authenticator: Arc<dyn Authenticator>,
        genesis: &Header,
    ) -> Self {
        let watch = |id: ValidatorId| {
            let behaviour = plan.behaviour(id);
            Watch {
                acceptor_is_correct: behaviour.is_none_or(|behaviour| behaviour.acceptor_is_correct()),
                proposer_is_correct: behaviour.is_none(),
                history: History::new(genesis.prefix),
                speech: Speech::default(),
                hearing: Hearing::default(),
                executed: Slot(0),
                dispatched: Slot(0),
                skipped: None,
                high: HighWater::default(),
            }
        };
        let thresholds = Thresholds::of(plan.n);
        Oracle {
            params: plan.params,
            trust: plan.trust,
            acceptors_only_crash: plan.acceptors_only_crash(),
            thresholds,
            watches: set.ids().map(watch).collect(),
            called: vec![View(0); usize::from(plan.n)],
            certificates: Certificates::new(thresholds, set, authenticator),
            ballots: Ballots::new(thresholds, plan, genesis.prefix),
            chain: Chain::new(genesis.clone()),
        }
    }

    /// A message is about to leave a validator.
    pub fn sent(&mut self, from: ValidatorId, message: &Message) -> Verdict {
        if self.watches[from.index()].acceptor_is_correct {
            self.judge_speech(from, message)?;
        }
        if let Message::ViewChange(change) = message {
            let called = &mut self.called[change.signer.index()];
            *called = change.body.view.max(*called);
        }
        self.ballots.heard(from, message, &self.certificates)
    }

    /// A record is durable at a validator.
    pub fn durable(&mut self, at: ValidatorId, record: &Record) -> Verdict {
        let watch = &mut self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        watch.history.durable(at, record, &self.certificates, &self.params)?;
        // What a correct validator has journaled it will say, or report in its VIEW-CHANGE: it counts from now on,
        // though a crash or a lossy wire may keep it from everybody else.
        let late = matches!(record, Record::Prepared(certificate)
            if watch.history.is_late(certificate.body.0.slot, certificate.body.0.view));
        if late {
            return Ok(());
        }
        if let Record::Vote(ballot, ..) = record {
            let below = watch.history.vote(ballot.slot.previous(), ballot.view).map(|vote| vote.prefix);
            self.ballots.link(*ballot, below.unwrap_or(watch.history.stable().1));
        }
        self.ballots.journaled(at, record)
    }

    /// A validator is about to begin its journal anew.
    pub fn compacting(&self, at: ValidatorId, stable: Slot, durable_blocks: Slot) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        demand(watch.history.stable().0 >= stable, "I8/J6 stable before deleting", at, || {
            format!("compacts up to {stable}, durable checkpoint is {}", watch.history.stable().0)
        })?;
        demand(durable_blocks >= stable, "J6 blocks before deleting", at, || {
            format!("compacts up to {stable}, blocks are durable up to {durable_blocks}")
        })
    }

    /// A validator's journal after it was begun anew.
    pub fn compacted(&self, at: ValidatorId, journal: &[Record]) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct { Ok(()) } else { watch.history.still_holds(at, journal) }
    }

    /// A validator lost everything that was not durable.
    pub fn crashed(&mut self, at: ValidatorId, blocks_left: Slot) {
        let watch = &mut self.watches[at.index()];
        watch.executed = blocks_left;
        watch.skipped = watch.skipped.filter(|(_, base)| *base <= blocks_left);
        watch.dispatched = blocks_left;
        watch.high = HighWater::default();
        watch.speech.restarted(watch.history.led());
        watch.hearing = Hearing::default();
    }

    /// A validator is about to execute a slot.
    pub fn executing(&mut self, at: ValidatorId, execute: &Execute) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        demand(execute.slot == watch.dispatched.next(), "execution in slot order", at, || {
            format!("executes {} after {}", execute.slot, watch.dispatched)
        })?;
        let below = self.ballots.final_prefix(watch.dispatched).unwrap_or_default();
        let expected = prefix_digest(&below, execute.slot, &execute.payload.digest());
        demand(
            execute.parent_prefix == below && execute.prefix == expected,
            "I7 prefix of an executed slot",
            at,
            || format!("slot {}: prefix {}, expected {expected}", execute.slot, execute.prefix),
        )?;
        self.judge_finality(at, execute)?;
        self.judge_signers(at, &execute.finality)?;
        self.watches[at.index()].dispatched = execute.slot;
        self.ballots.demand_final(at, execute.slot, &execute.prefix, "execution only of final slots")
    }

    /// A validator has executed a slot.
    pub fn executed(&mut self, at: ValidatorId, header: &Header, applied: &[Digest]) -> Verdict {
        let watch = &mut self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        watch.executed = header.slot;
        self.chain.executed(at, header, applied)
    }

    /// A validator tells callers that a block is sealed, and so acknowledges its transactions.
    pub fn sealed(&mut self, at: ValidatorId, slot: Slot, certificate: &SealCertificate) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        self.certificates.seals(at, certificate, self.thresholds.faults + 1)?;
        demand(slot <= watch.executed, "sealed after executed", at, || format!("slot {slot}"))?;
        demand(
            certificate.body.slot == slot && certificate.body.header == self.chain.hash(slot),
            "SEAL rule",
            at,
            || format!("slot {slot}: seals name {:?}", certificate.body),
        )?;
        self.judge_durability(at, slot)?;
        self.chain.acknowledge(slot);
        Ok(())
    }

    /// What is acknowledged lies in the journals of f+1 correct validators: J3, and q of them voted.
    fn judge_durability(&self, at: ValidatorId, slot: Slot) -> Verdict {
        let payload = self.chain.payload(slot);
        let holds = |watch: &&Watch| watch.acceptor_is_correct && watch.history.holds(&payload);
        let holders = self.watches.iter().filter(holds).count();
        demand(holders > self.thresholds.faults, "acknowledged is durable at f+1", at, || {
            format!("slot {slot}: {holders} correct journals hold {payload}")
        })
    }

    /// A validator stops for good: no correct one ever does while at most f lie.
    pub fn halted(&self, at: ValidatorId, halt: &Halt) -> Verdict {
        demand(!self.watches[at.index()].acceptor_is_correct, "no correct validator halts", at, || {
            format!("{halt:?}")
        })
    }

    /// A validator cannot start from its disk.
    pub fn refused_to_start(&self, at: ValidatorId, error: &RecoverError) -> Verdict {
        demand(
            !self.watches[at.index()].acceptor_is_correct,
            "no correct validator refuses to start",
            at,
            || error.to_string(),
        )
    }

    /// A validator reports.
    pub fn reported(&self, at: ValidatorId, report: &Report) -> Verdict {
        if let Report::ViewChangeStarted { view, trigger: Trigger::Followed } = report {
            return self.judge_following(at, *view);
        }
        if let Report::FastContradicted { slot, .. } = report {
            let excused = !self.acceptors_only_crash || !self.watches[at.index()].acceptor_is_correct;
            return demand(excused, "FAST is never contradicted while acceptors only crash", at, || {
                format!("slot {slot}: {report:?}")
            });
        }
        let Report::Misbehaviour { validator, what } = report else { return Ok(()) };
        let (accuser, accused) = (&self.watches[at.index()], &self.watches[validator.index()]);
        let innocent = accused.acceptor_is_correct && accused.proposer_is_correct;
        demand(!(innocent && accuser.acceptor_is_correct), "no correct validator is accused", at, || {
            format!("accuses {validator}: {what}")
        })
    }

    /// A validator keeps evidence: it holds for everybody, and convicts somebody, but no correct validator.
    pub fn kept(&self, at: ValidatorId, evidence: &Evidence) -> Verdict {
        if !self.watches[at.index()].acceptor_is_correct {
            return Ok(());
        }
        let convicted = self.certificates.convicted(evidence);
        demand(convicted.is_ok(), "evidence convicts", at, || format!("{convicted:?}: {evidence:?}"))?;
        let of_proposers = matches!(evidence, Evidence::Proposals(_) | Evidence::NewViews(_));
        for convicted in convicted.iter().flat_map(|it| it.iter()) {
            let accused = &self.watches[convicted.index()];
            let innocent =
                if of_proposers { accused.proposer_is_correct } else { accused.acceptor_is_correct };
            demand(!innocent, "no correct validator is convicted", at, || {
                format!("{convicted} by {}: {evidence:?}", evidence.code())
            })?;
        }
        Ok(())
    }

    /// T4: one of those who have moved is correct, so f validators alone never move another.
    fn judge_following(&self, at: ValidatorId, view: View) -> Verdict {
        let others =
            self.called.iter().enumerate().filter(|(index, called)| *index != at.index() && **called >= view);
        let moved = others.count();
        // Where acceptors only crash, one is enough.
        let liars = if self.trust == Trust::Crash { 0 } else { self.thresholds.faults };
        let justified = moved > liars || !self.watches[at.index()].acceptor_is_correct;
        demand(justified, "T4 f+1 others have moved", at, || format!("follows {moved} others to view {view}"))
    }

    /// Where a replica stands after a step.
    pub fn stands(&mut self, at: ValidatorId, now: Standpoint) -> Verdict {
        let watch = &mut self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        let before = watch.high;
        watch.high = HighWater { view: now.view, stable: now.stable, last_final: now.last_final };
        let back = now.view < before.view || now.stable < before.stable || now.last_final < before.last_final;
        demand(!back, "view, checkpoint and final slot never go back", at, || {
            format!("{now:?} after {before:?}")
        })?;
        let limit = self.buffer_limit();
        demand(now.buffered <= limit, "bounded buffers", at, || {
            format!("{} things buffered, at most {limit} expected", now.buffered)
        })
    }

    /// Highest final slot, as computed from the votes of all.
    pub fn final_tip(&self) -> Slot {
        self.ballots.final_tip()
    }

    /// What became of a transaction.
    pub fn fate(&self, transaction: &Digest) -> Fate {
        self.chain.fate(transaction)
    }

    /// The newest header that a correct validator executed.
    pub fn tip(&self) -> &Header {
        self.chain.tip()
    }

    /// Hash of the header that all correct validators reached at a slot; zero if none has.
    pub fn header_hash(&self, slot: Slot) -> Digest {
        self.chain.hash(slot)
    }

    /// Acknowledged transactions.
    pub fn acknowledged(&self) -> usize {
        self.chain.acknowledged()
    }

    /// Slots of the log, seals, certified slots, slots in execution, payloads of two views, blocks on their way: each at
    /// most a window, and what a validator that is behind fetches and executes at a time.
    fn buffer_limit(&self) -> usize {
        const KINDS: u64 = 8;
        let at_a_time = self.params.window.saturating_add(2 * BLOCKS_PER_FETCH);
        usize::try_from(at_a_time.saturating_mul(KINDS)).unwrap_or(usize::MAX)
    }

    /// Every correct signer of a certificate has journaled its vote. An adversary's may be new here: it showed it to
    /// nobody but the maker of the certificate.
    fn judge_signers(&mut self, at: ValidatorId, finality: &Finality) -> Verdict {
        let (signers, ballot) = match finality {
            Finality::Unanimous(certificate) | Finality::Fast(certificate) => {
                (certificate.signers, certificate.body.0)
            }
            Finality::Commit(certificate) => (certificate.signers, certificate.body.0),
            Finality::Prefix(_) | Finality::Sealed(_) => return Ok(()),
        };
        for id in signers.iter() {
            let Watch { acceptor_is_correct, history, .. } = &self.watches[id.index()];
            let journaled = match finality {
                Finality::Commit(_) => history.prepared(ballot.slot, ballot.view),
                _ => history.vote(ballot.slot, ballot.view),
            };
            demand(!acceptor_is_correct || journaled == Some(&ballot), "votes are journaled", at, || {
                format!("{ballot:?} signed by {id}, whose journal has {journaled:?}")
            })?;
            match finality {
                Finality::Commit(_) => self.ballots.count_commit(at, id, ballot)?,
                _ => self.ballots.count_prepare(at, id, ballot)?,
            }
        }
        Ok(())
    }

    fn judge_finality(&self, at: ValidatorId, execute: &Execute) -> Verdict {
        let (slot, prefix) = (execute.slot, execute.prefix);
        let named = match &execute.finality {
            Finality::Fast(certificate) => {
                demand(self.trust == Trust::Crash, "FAST only where acceptors only crash", at, || {
                    format!("slot {slot} is executed on {} PREPAREs", certificate.signers.len())
                })?;
                self.certificates.prepares(at, certificate, self.thresholds.quorum)?;
                (certificate.body.0.slot, certificate.body.0.prefix)
            }
            Finality::Unanimous(certificate) => {
                self.certificates.prepares(at, certificate, self.thresholds.n)?;
                (certificate.body.0.slot, certificate.body.0.prefix)
            }
            Finality::Commit(certificate) => {
                self.certificates.commits(at, certificate)?;
                (certificate.body.0.slot, certificate.body.0.prefix)
            }
            Finality::Prefix(higher) => {
                return demand(
                    *higher >= slot && self.ballots.final_tip() >= *higher,
                    "I9 finality",
                    at,
                    || format!("slot {slot} by slot {higher}, which is not final"),
                );
            }
            Finality::Sealed(block) => {
                self.certificates.seals(at, &block.certificate, self.thresholds.faults + 1)?;
                let header = &block.block.header;
                demand(block.certificate.body.header == header.hash(), "SEAL rule", at, || {
                    format!("slot {slot}: seals for another header")
                })?;
                (header.slot, header.prefix)
            }
        };
        demand(named == (slot, prefix), "I9 finality", at, || {
            format!("slot {slot}, prefix {prefix}: evidence names {named:?}")
        })
    }
}
