//! The judge: watches every step of every validator and shares no predicate with the product.
//!
//! It counts votes, checks certificates, computes the choice of a NEW-VIEW and follows each journal by its own
//! code. What it demands are the invariants I1 to I12 and the journal's rules J1 to J8 of the consensus
//! specification, agreement, execution exactly once, and bounded buffers. It is told of every message of every
//! validator, adversaries included, but holds only correct ones to the rules.
//!
//! Every epoch has its own court, and none counts what was signed in another; the chain is one.
//!
//! Reading order: `court` (the rules of one epoch), `epochs` (how one follows upon another), `ballots` (what is final), `history` (what is durable), `speech` (what may be said), `hearing` (what may
//! be taken), `choice` (what a NEW-VIEW forces), `chain` (what was executed), `transfer` (what was fetched),
//! `tentative` (what was said before finality).

mod ballots;
mod certificates;
mod chain;
mod choice;
mod court;
mod epochs;
mod hearing;
mod history;
mod speech;
mod tentative;
mod transfer;

use std::sync::Arc;

use carat_consensus::effect::{Halt, Report};
use carat_consensus::{Execute, ExecuteTentatively, Record, RecoverError};
use carat_types::certificate::SealCertificate;
use carat_types::evidence::Evidence;
use carat_types::header::Header;
use carat_types::message::{Data, Message, Signed, TentativeReply};
use carat_types::validators::Authenticator;
use carat_types::{Digest, Epoch, Slot, ValidatorId, View};

pub use hearing::HeardVote;

use crate::clients::Fate;
use crate::epochs::Era;
use crate::plan::Plan;
use chain::Chain;
use court::{Court, Watch};
use tentative::{Audience, Hall};

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
    fn of(n: usize) -> Self {
        let faults = (n - 1) / 3;
        Thresholds { n, faults, quorum: n - faults, overlap: n - 2 * faults }
    }
}

/// The oracle of one run.
pub struct Oracle {
    plan: Plan,
    /// What is planned of each epoch.
    eras: Vec<Era>,
    authenticator: Arc<dyn Authenticator>,
    /// One for each epoch that some validator has reached.
    courts: Vec<Court>,
    /// The epoch of each validator's replica.
    present: Vec<usize>,
    chain: Chain,
    audience: Audience,
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("courts", &self.courts).finish_non_exhaustive()
    }
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
    /// The oracle of a run, whose epochs are to be `eras`.
    pub fn new(plan: &Plan, eras: &[Era], authenticator: Arc<dyn Authenticator>, genesis: &Header) -> Self {
        let first = Court::new(plan, &eras[0], authenticator.clone(), (Slot(0), genesis.prefix));
        Oracle {
            plan: plan.clone(),
            eras: eras.to_vec(),
            authenticator,
            courts: vec![first],
            present: vec![0; usize::from(plan.machines())],
            chain: Chain::new(genesis.clone()),
            audience: Audience::default(),
        }
    }

    /// The court of a validator's epoch, and the chain.
    fn present(&mut self, at: ValidatorId) -> (&mut Court, &mut Chain) {
        (&mut self.courts[self.present[at.index()]], &mut self.chain)
    }

    fn watch(&self, at: ValidatorId) -> &Watch {
        &self.courts[self.present[at.index()]].watches[at.index()]
    }

    /// The court of an epoch of which `at` shows something.
    fn court(&self, at: ValidatorId, epoch: Epoch) -> Result<&Court, Violation> {
        let court = usize::try_from(epoch.0).ok().and_then(|epoch| self.courts.get(epoch));
        let detail = || format!("{at} shows something of epoch {epoch}, {} have begun", self.courts.len());
        court.ok_or_else(|| Violation {
            rule: "epochs begin in order",
            validator: Some(at),
            detail: detail(),
        })
    }

    /// A message is about to leave a validator, in a frame of this epoch.
    pub fn sent(&mut self, from: ValidatorId, epoch: usize, message: &Message) -> Verdict {
        if let Message::Data(data) = message
            && self.watch(from).acceptor_is_correct
        {
            // What proves itself may be of another epoch than whoever shows it.
            return self.judge_proof(from, epoch, data);
        }
        let Some(court) = self.courts.get_mut(epoch) else { return Ok(()) };
        court.sent(&self.chain, from, message)?;
        self.judge_end(epoch, from)
    }

    fn judge_proof(&self, from: ValidatorId, epoch: usize, data: &Data) -> Verdict {
        let of = match data {
            Data::Block(block) => block.block.header.epoch,
            Data::Stable(stable) => stable.header.epoch,
            Data::Snapshot(offer) => return self.judge_offer(from, offer),
            _ => Epoch(u32::try_from(epoch).unwrap_or(u32::MAX)),
        };
        self.court(from, of)?.judge_data(&self.chain, from, data)
    }

    /// A record is durable at a validator.
    pub fn durable(&mut self, at: ValidatorId, record: &Record) -> Verdict {
        self.present(at).0.durable(at, record)?;
        self.judge_end(self.present[at.index()], at)
    }

    /// A validator is about to begin its journal anew.
    pub fn compacting(&mut self, at: ValidatorId, stable: Slot, durable_blocks: Slot) -> Verdict {
        self.present(at).0.compacting(at, stable, durable_blocks)
    }

    /// A validator's journal after it was begun anew.
    pub fn compacted(&mut self, at: ValidatorId, journal: &[Record]) -> Verdict {
        self.present(at).0.compacted(at, journal)
    }

    /// A validator lost everything that was not durable.
    pub fn crashed(&mut self, at: ValidatorId, blocks_left: Slot) {
        self.present(at).0.crashed(at, blocks_left);
    }

    /// A validator is about to execute a slot.
    pub fn executing(&mut self, at: ValidatorId, execute: &Execute) -> Verdict {
        self.present(at).0.executing(at, execute)
    }

    /// A validator has executed a slot.
    pub fn executed(&mut self, at: ValidatorId, header: &Header, applied: &[Digest]) -> Verdict {
        let (court, chain) = self.present(at);
        let watch = &mut court.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        watch.executed = header.slot;
        chain.executed(at, header, applied)?;
        self.audience.executed(header.slot, header.hash())?;
        self.judge_header(at, header)
    }

    /// A validator is about to execute a slot on an overlay.
    pub fn executing_tentatively(&mut self, at: ValidatorId, execute: &ExecuteTentatively) -> Verdict {
        self.present(at).0.executing_tentatively(at, execute)
    }

    /// A validator undoes its overlays.
    pub fn dropped_tentative(&mut self, at: ValidatorId) {
        self.present(at).0.watches[at.index()].overlays.dropped();
    }

    /// A validator of an epoch replies to its clients.
    pub fn replied(&mut self, from: ValidatorId, epoch: usize, signed: &Signed<TentativeReply>) -> Verdict {
        self.courts.get_mut(epoch).map_or(Ok(()), |court| court.replied(from, signed))
    }

    /// Clients hear a TREPLY, which may be a lie.
    pub fn told(&mut self, epoch: usize, reply: &Signed<TentativeReply>) -> Verdict {
        let hall = Hall {
            set: &self.eras[epoch].set,
            authenticator: &*self.authenticator,
            acceptors_only_crash: self.plan.acceptors_only_crash(),
        };
        self.audience.hears(hall, reply, self.chain.hash(reply.body.slot))
    }

    /// Slots that clients were told of before they were final anywhere.
    pub fn told_early(&self) -> usize {
        self.audience.early()
    }

    /// A validator tells callers that a block is sealed, and so acknowledges its transactions.
    pub fn sealed(&mut self, at: ValidatorId, slot: Slot, certificate: &SealCertificate) -> Verdict {
        let (court, chain) = self.present(at);
        if court.watches[at.index()].acceptor_is_correct {
            court.sealed(chain, at, slot, certificate)?;
            chain.acknowledge(slot);
        }
        Ok(())
    }

    /// A validator stops for good: no correct one ever does while at most f lie.
    pub fn halted(&self, at: ValidatorId, halt: &Halt) -> Verdict {
        demand(!self.watch(at).acceptor_is_correct, "no correct validator halts", at, || format!("{halt:?}"))
    }

    /// A validator cannot start from its disk.
    pub fn refused_to_start(&self, at: ValidatorId, error: &RecoverError) -> Verdict {
        demand(!self.watch(at).acceptor_is_correct, "no correct validator refuses to start", at, || {
            error.to_string()
        })
    }

    /// A validator reports.
    pub fn reported(&mut self, at: ValidatorId, report: &Report) -> Verdict {
        self.present(at).0.reported(at, report)
    }

    /// A validator keeps evidence: it holds for everybody, and convicts somebody, but no correct validator.
    pub fn kept(&mut self, at: ValidatorId, evidence: &Evidence) -> Verdict {
        self.present(at).0.kept(at, evidence)
    }

    /// A validator in `view`, with its checkpoint at `stable`, was handed a vote of its epoch.
    pub fn heard_vote(
        &mut self,
        at: ValidatorId,
        vote: HeardVote,
        refused: bool,
        stands: (View, Slot),
    ) -> Verdict {
        self.present(at).0.heard_vote(at, vote, refused, stands)
    }

    /// Where a replica stands after a step.
    pub fn stands(&mut self, at: ValidatorId, now: Standpoint) -> Verdict {
        self.present(at).0.stands(at, now)
    }

    /// Highest final slot, as computed from the votes of all.
    pub fn final_tip(&self) -> Slot {
        self.courts.iter().map(|court| court.ballots.final_tip()).max().unwrap_or(Slot(0))
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
}
