//! The rules of one epoch: what its validators may say and keep, counted and checked with its own set, thresholds and constants.
//! Nothing of one court is ever asked in another: a signature of one epoch counts for nothing in the next.

use std::sync::Arc;

use carat_consensus::effect::{Finality, Report, Trigger};
use carat_consensus::{BLOCKS_PER_FETCH, Execute, Record};
use carat_types::certificate::SealCertificate;
use carat_types::evidence::Evidence;
use carat_types::genesis::{ConsensusConstants, Trust};
use carat_types::header::prefix_digest;
use carat_types::message::Message;
use carat_types::validators::Authenticator;
use carat_types::{Digest, Slot, ValidatorId, View};

use super::ballots::Ballots;
use super::certificates::Certificates;
use super::chain::Chain;
use super::hearing::Hearing;
use super::history::History;
use super::speech::Speech;
use super::tentative::Overlays;
use super::{Standpoint, Thresholds, Verdict, demand};
use crate::epochs::Era;
use crate::plan::Plan;

/// The oracle's view of one epoch.
#[derive(Debug)]
pub(super) struct Court {
    pub(super) params: ConsensusConstants,
    /// Whether validators act on FAST.
    pub(super) trust: Trust,
    /// Assumption A-crash.
    acceptors_only_crash: bool,
    pub(super) thresholds: Thresholds,
    /// The last slot of the epoch before, and c of it.
    pub(super) base: (Slot, Digest),
    /// The last slot of this epoch, once some correct validator has executed the decision.
    pub(super) end: Option<Slot>,
    /// The slot whose execution decided on it.
    pub(super) decided: Option<Slot>,
    pub(super) certificates: Certificates,
    pub(super) ballots: Ballots,
    /// Of every machine of the run, members of this epoch or not.
    pub(super) watches: Vec<Watch>,
    /// The highest view that each validator has called for, liars included.
    called: Vec<View>,
}

/// What the oracle knows of one validator in one epoch.
#[derive(Debug)]
pub(super) struct Watch {
    /// Whether its acceptor is held to the rules.
    pub(super) acceptor_is_correct: bool,
    /// Whether its proposer is, too.
    pub(super) proposer_is_correct: bool,
    pub(super) history: History,
    pub(super) speech: Speech,
    pub(super) hearing: Hearing,
    pub(super) overlays: Overlays,
    /// Executed up to here.
    pub(super) executed: Slot,
    /// Handed to execution up to here.
    pub(super) dispatched: Slot,
    /// The slots above the one and up to the other were not executed: the state was fetched.
    pub(super) skipped: Option<(Slot, Slot)>,
    /// Highest view, checkpoint and final slot seen in this incarnation.
    high: HighWater,
}

#[derive(Clone, Copy, Debug, Default)]
struct HighWater {
    view: View,
    stable: Slot,
    last_final: Slot,
}

impl Court {
    /// The court of an epoch that begins above `base`.
    pub(super) fn new(
        plan: &Plan,
        era: &Era,
        authenticator: Arc<dyn Authenticator>,
        base: (Slot, Digest),
    ) -> Self {
        let watch = |id: ValidatorId| {
            let behaviour = plan.behaviour(id);
            Watch {
                acceptor_is_correct: behaviour.is_none_or(|behaviour| behaviour.acceptor_is_correct()),
                proposer_is_correct: behaviour.is_none(),
                history: History::new(base),
                speech: Speech::default(),
                hearing: Hearing::default(),
                overlays: Overlays::default(),
                executed: Slot(0),
                dispatched: Slot(0),
                skipped: None,
                high: HighWater::default(),
            }
        };
        let thresholds = Thresholds::of(usize::from(era.n));
        let machines = plan.machines();
        Court {
            params: era.params,
            trust: plan.trust,
            acceptors_only_crash: plan.acceptors_only_crash(),
            thresholds,
            base,
            end: None,
            decided: None,
            watches: (0..machines).map(ValidatorId).map(watch).collect(),
            called: vec![View(0); usize::from(machines)],
            certificates: Certificates::new((thresholds, era.edge), era.set.clone(), authenticator, base),
            ballots: Ballots::new(thresholds, plan, base),
        }
    }

    /// A message is about to leave a validator of this epoch.
    pub(super) fn sent(&mut self, chain: &Chain, from: ValidatorId, message: &Message) -> Verdict {
        if self.watches[from.index()].acceptor_is_correct {
            self.judge_speech(chain, from, message)?;
        }
        if let Message::ViewChange(change) = message
            && let Some(called) = self.called.get_mut(change.signer.index())
        {
            *called = change.body.view.max(*called);
        }
        self.ballots.heard(from, message, &self.certificates)
    }

    /// A record is durable at a validator.
    pub(super) fn durable(&mut self, at: ValidatorId, record: &Record) -> Verdict {
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
    pub(super) fn compacting(&self, at: ValidatorId, stable: Slot, durable_blocks: Slot) -> Verdict {
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
    pub(super) fn compacted(&self, at: ValidatorId, journal: &[Record]) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct { Ok(()) } else { watch.history.still_holds(at, journal) }
    }

    /// A validator lost everything that was not durable.
    pub(super) fn crashed(&mut self, at: ValidatorId, blocks_left: Slot) {
        let watch = &mut self.watches[at.index()];
        watch.executed = blocks_left;
        watch.skipped = watch.skipped.filter(|(_, base)| *base <= blocks_left);
        watch.dispatched = blocks_left;
        watch.high = HighWater::default();
        watch.speech.restarted(watch.history.led());
        watch.hearing = Hearing::default();
        watch.overlays.crashed();
    }

    /// A validator is about to execute a slot.
    pub(super) fn executing(&mut self, at: ValidatorId, execute: &Execute) -> Verdict {
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

    /// A validator tells callers that a block is sealed, and so acknowledges its transactions.
    pub(super) fn sealed(
        &self,
        chain: &Chain,
        at: ValidatorId,
        slot: Slot,
        certificate: &SealCertificate,
    ) -> Verdict {
        let watch = &self.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        self.certificates.seals(at, certificate, self.thresholds.faults + 1)?;
        demand(slot <= watch.executed, "sealed after executed", at, || format!("slot {slot}"))?;
        demand(
            certificate.body.slot == slot && certificate.body.header == chain.hash(slot),
            "SEAL rule",
            at,
            || format!("slot {slot}: seals name {:?}", certificate.body),
        )?;
        self.judge_durability(chain, at, slot)
    }

    /// What is acknowledged lies in the journals of f+1 correct validators: J3, and q of them voted.
    fn judge_durability(&self, chain: &Chain, at: ValidatorId, slot: Slot) -> Verdict {
        let payload = chain.payload(slot);
        let holds = |watch: &&Watch| watch.acceptor_is_correct && watch.history.holds(&payload);
        let holders = self.watches.iter().filter(holds).count();
        demand(holders > self.thresholds.faults, "acknowledged is durable at f+1", at, || {
            format!("slot {slot}: {holders} correct journals hold {payload}")
        })
    }

    /// A validator reports.
    pub(super) fn reported(&self, at: ValidatorId, report: &Report) -> Verdict {
        if let Report::ViewChangeStarted { view, trigger: Trigger::Followed, .. } = report {
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
    pub(super) fn kept(&self, at: ValidatorId, evidence: &Evidence) -> Verdict {
        if !self.watches[at.index()].acceptor_is_correct {
            return Ok(());
        }
        let convicted = self.certificates.convicted(evidence);
        demand(convicted.is_ok(), "evidence convicts", at, || format!("{convicted:?}: {evidence:?}"))?;
        let of_proposers = matches!(evidence, Evidence::Proposals(_) | Evidence::NewViews(_));
        for convicted in convicted.iter().flat_map(|it| it.iter()) {
            let machine = if of_proposers { self.certificates.machine_of(convicted) } else { convicted };
            let accused = &self.watches[machine.index()];
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
    pub(super) fn stands(&mut self, at: ValidatorId, now: Standpoint) -> Verdict {
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
