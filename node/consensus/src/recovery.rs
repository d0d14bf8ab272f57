//! From the journal and the last block back to a replica. **Source**: consensus specification, sections 4 and 11
//! (restart). The order of the records does not matter, but that a record lies before what it made possible: the
//! journal may have been begun anew with carried records in front.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use carat_types::batch::{Batch, WellFormed, null_digest};
use carat_types::header::{Header, prefix_digest};
use carat_types::message::{Ballot, NewView, Signed};
use carat_types::{Digest, Epoch, SignerSet, Slot, ValidatorId, View};
use thiserror::Error;

use crate::bodies::Bodies;
use crate::catch_up::CatchUp;
use crate::checkpoint::SealBook;
use crate::chunks::KeptTransfer;
use crate::effect::Effect;
use crate::guard::Guard;
use crate::input::{Now, SpreadBody};
use crate::log::{Decided, Log, OwnVote};
use crate::payloads::Payloads;
use crate::pending::Pending;
use crate::performance::Performance;
use crate::pick::choose;
use crate::record::Record;
use crate::replica::{Chain, Config, Peer, Position, Replica};
use crate::state_transfer::StateTransfer;
use crate::statement::Asked;
use crate::tentative::Overlay;
use crate::timer::Timer;
use crate::turns::Turns;
use crate::verify::Checked;

/// How many windows of blocks a start looks through for some that are not sealed.
pub const LOOK_BACK_WINDOWS: u64 = 64;

/// The end of the stored chain, as a replica needs it at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTip {
    /// Header of the last executed block in the store; the genesis header before the first.
    pub header: Header,
    /// The last 2L blocks (fewer if there are not so many), ascending, the last one included, genesis not; before them
    /// those of the last [`LOOK_BACK_WINDOWS`] L that are not sealed: their SEALs are still to be asked for. None from below
    /// a state that was fetched.
    pub recent: Vec<RecentBlock>,
    /// A state that was being fetched.
    pub transfer: Option<KeptTransfer>,
}

/// A block in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentBlock {
    /// Its header.
    pub header: Header,
    /// Whether the store holds a seal certificate for it.
    pub sealed: bool,
}

/// Why a replica cannot start from what it is given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// This validator is not in the set.
    #[error(
        "validator {me} is not among the {n} of the genesis file (hint: the key belongs to another network)"
    )]
    Stranger {
        /// The own number.
        me: carat_types::ValidatorId,
        /// How many processes there are, edge proposers among them.
        n: usize,
    },
    /// The store holds another chain.
    #[error(
        "the stored block {slot} is of another chain or epoch (hint: the data folder belongs to another network)"
    )]
    ForeignChain {
        /// The block's slot.
        slot: Slot,
    },
    /// The journal contradicts itself or the store.
    #[error(
        "the journal is not one that this validator can have written: {what} at slot {slot} (hint: do not delete it; ask for a new key)"
    )]
    Journal {
        /// What is wrong.
        what: &'static str,
        /// Where.
        slot: Slot,
    },
}

impl Replica {
    /// Starts a replica from its journal and the end of its chain; an empty journal with the genesis header is the
    /// first start. The journal is one of this epoch.
    ///
    /// **Errors**: [`RecoverError`]; nothing was signed.
    pub fn start(
        config: Config,
        now: Now,
        records: Vec<Record>,
        tip: ChainTip,
    ) -> Result<(Replica, Vec<Effect>), RecoverError> {
        check_config(&config, &tip)?;
        let mut replica = Replica::blank(config, now, &tip.header);
        replica.load_blocks(&tip)?;
        let mut journal = Journal::default();
        for record in records {
            journal.read(record);
        }
        replica.load_journal(journal)?;
        if let Some(kept) = tip.transfer {
            replica.resume_transfer(kept);
        }
        // The first STATUS asks for what the start-up guard wants to know.
        replica.arm(Timer::Status, 0);
        replica.pass_guard();
        replica.advance();
        let effects = std::mem::take(&mut replica.out);
        Ok((replica, effects))
    }

    fn blank(config: Config, now: Now, tip: &Header) -> Replica {
        let quorum = config.validators.quorum();
        let params = &config.params;
        let pending = Pending::new(params.pool, quorum.n(), params.block);
        let peers = config.validators.processes().map(|id| (id, Peer::default())).collect();
        let base = config.base.as_ref().map_or(&config.genesis_header, |base| &base.header);
        let (base, base_prefix) = (base.slot, base.prefix);
        Replica {
            quorum,
            now,
            out: Vec::new(),
            halted: false,
            is_over: false,
            position: Position {
                active: true,
                entered_us: now.monotonic_us,
                // The first view of an epoch forces nothing.
                s_max: base,
                voted_prefix: base_prefix,
                ..Position::default()
            },
            chain: Chain {
                stable: base,
                stable_prefix: base_prefix,
                checkpoint: None,
                last_final: tip.slot,
                final_prefix: tip.prefix,
                final_us: now.monotonic_us,
                excused_us: 0,
                certified: BTreeMap::new(),
                dispatched: tip.slot,
                dispatched_prefix: tip.prefix,
                in_flight: BTreeMap::new(),
                executed: tip.slot,
                compacted: base.min(tip.slot),
            },
            log: Log::default(),
            payloads: Payloads::default(),
            overlay: Overlay::default(),
            seals: SealBook::default(),
            pending,
            bodies: Bodies::default(),
            performance: Performance::default(),
            turns: Turns::default(),
            peers,
            view_changes: BTreeMap::new(),
            own_view_change: None,
            views_without_final: 0,
            led: None,
            barred_through: None,
            guard: Some(Guard::default()),
            catch_up: CatchUp::default(),
            transfer: StateTransfer::default(),
            checked: Checked::default(),
            convicted: BTreeSet::new(),
            contradicted: false,
            armed: BTreeSet::new(),
            asked: Asked::default(),
            config,
        }
    }

    fn load_blocks(&mut self, tip: &ChainTip) -> Result<(), RecoverError> {
        let domain = *self.config.validators.domain();
        for block in &tip.recent {
            let header = &block.header;
            let slot = header.slot;
            if header.chain_id != domain.chain_id || header.epoch > domain.epoch {
                return Err(RecoverError::ForeignChain { slot });
            }
            if header.epoch < domain.epoch {
                // Of an epoch that is over: whoever lacks its seals finds them with another.
                continue;
            }
            self.log.entry(slot).decided = Some(Decided { digest: header.batch, prefix: header.prefix });
            let seals = self.seals.blocks.entry(slot).or_default();
            seals.own = Some((Arc::new(header.clone()), header.hash()));
            seals.sealed = block.sealed;
        }
        Ok(())
    }

    fn load_journal(&mut self, journal: Journal) -> Result<(), RecoverError> {
        let Journal { epochs, view, new_view, votes, prepared, view_change, stable, led, bodies, batches } =
            journal;
        if epochs.iter().any(|epoch| *epoch != self.config.validators.domain().epoch) {
            let what = "a line of another epoch";
            return Err(RecoverError::Journal { what, slot: self.chain.stable });
        }
        let guard = Guard {
            votes: votes.keys().copied().collect(),
            commits: prepared.iter().map(|certificate| certificate.body.0).collect(),
            answered: SignerSet::default(),
        };
        if let Some(stable) = stable {
            let (slot, prefix) = (stable.header.slot, stable.header.prefix);
            self.check_checkpoint(&stable)
                .map_err(|_| RecoverError::Journal { what: "an unproven checkpoint", slot })?;
            self.chain.stable = slot;
            self.chain.stable_prefix = prefix;
            self.chain.checkpoint = Some(stable);
            self.chain.compacted = slot.min(self.chain.executed);
        }
        self.log.forget_through(self.chain.stable.min(self.chain.executed));
        self.seals.blocks.retain(|slot, block| *slot > self.chain.stable || !block.sealed);
        self.load_bodies(bodies);
        self.load_votes(view, votes, &batches)?;
        let is_executed = |(slot, _): &&(Slot, Batch)| *slot <= self.chain.executed;
        batches.values().filter(is_executed).for_each(|(_, batch)| self.bodies.forget(&batch.bodies));
        for certificate in prepared {
            let slot = certificate.body.0.slot;
            if slot > self.chain.stable {
                self.log.entry(slot).learn_prepared(certificate);
            }
        }
        self.own_view_change = view_change;
        self.led = led;
        self.barred_through = led;
        self.guard = Some(guard);
        self.load_view(view, new_view)
    }

    /// J3, ahead of votes: the bodies that are held still.
    fn load_bodies(&mut self, bodies: Vec<JournaledBody>) {
        let now_us = self.now.monotonic_us;
        for JournaledBody { origin, through, body } in bodies {
            if through > self.chain.stable {
                self.bodies.insert_journaled(origin, through, &body, now_us);
            }
        }
    }

    fn load_votes(
        &mut self,
        view: View,
        votes: BTreeMap<Ballot, JournaledVote>,
        batches: &BTreeMap<Digest, (Slot, Batch)>,
    ) -> Result<(), RecoverError> {
        let mut last = None;
        // Ascending by view, then slot: the last one of each slot is its highest.
        for (ballot, vote) in votes {
            let slot = ballot.slot;
            if last == Some((ballot.view, slot)) {
                // I1.
                return Err(RecoverError::Journal { what: "two votes in one view", slot });
            }
            last = Some((ballot.view, slot));
            if ballot.view > view {
                // J1.
                return Err(RecoverError::Journal { what: "a vote in a view that was not entered", slot });
            }
            if slot <= self.chain.stable {
                continue;
            }
            let batch = batches.get(&ballot.digest);
            let put_together =
                || batch.and_then(|(_, batch)| self.bodies.payload_of(batch, &self.config.params.block));
            if let Some(payload) = vote.payload.or_else(put_together) {
                let payload = WellFormed::trusted(payload);
                if payload.digest() != ballot.digest {
                    return Err(RecoverError::Journal { what: "a vote with another's payload", slot });
                }
                self.log.entry(slot).journaled.push(ballot.digest);
                self.payloads.insert(slot, payload, true);
            } else if ballot.digest != null_digest()
                && !self.log.entry(slot).journaled.contains(&ballot.digest)
            {
                // I4.
                return Err(RecoverError::Journal { what: "a vote without its payload", slot });
            }
            self.log.entry(slot).last_vote = Some(OwnVote { ballot, justification: vote.justification });
        }
        Ok(())
    }

    /// Re-enters the journaled view, with its NEW-VIEW verified again (J2), or stays passive in it.
    fn load_view(&mut self, view: View, new_view: Option<Arc<Signed<NewView>>>) -> Result<(), RecoverError> {
        self.position.view = view;
        self.position.active = view == View(0);
        self.reset_cursors();
        if let Some(new_view) = new_view.filter(|new_view| new_view.body.view == view) {
            let slot = self.chain.stable;
            self.check_new_view(&new_view.body)
                .map_err(|_| RecoverError::Journal { what: "an invalid NEW-VIEW", slot })?;
            let choice = choose(&new_view.body.view_changes, self.quorum, self.base().slot);
            self.take_choice(new_view, choice);
        }
        if self.position.active {
            self.load_cursors();
        }
        Ok(())
    }

    /// Finds how far the own votes and COMMITs of the current view reach.
    fn load_cursors(&mut self) {
        let view = self.position.view;
        let OwnLog { votes, contradicted } = self.own_log();
        self.position.blocked = contradicted;
        if let Some(vote) = votes.last() {
            self.position.voted = vote.ballot.slot;
            self.position.voted_prefix = vote.ballot.prefix;
        }
        while self.position.committed < self.position.voted {
            let slot = self.position.committed.next();
            let committed = self.log.get(slot).is_some_and(|state| {
                let vote = state.voted_in(view).map(|vote| vote.ballot);
                state.prepared.as_ref().is_some_and(|held| Some(held.body.0) == vote)
            });
            if !committed {
                break;
            }
            self.position.committed = slot;
        }
    }

    /// I7: the own votes of this view, in slot order, as far as they agree with all that is known to be final. What
    /// became final since they were cast may contradict them: a checkpoint, a block, a certificate.
    pub(crate) fn own_log(&self) -> OwnLog {
        let view = self.position.view;
        let mut log = OwnLog::default();
        let mut prefix = self.chain.stable_prefix;
        for (slot, state) in self.log.above(self.chain.stable) {
            let Some(vote) = state.voted_in(view) else { break };
            let Ballot { digest, prefix: signed, .. } = vote.ballot;
            log.contradicted = prefix_digest(&prefix, slot, &digest) != signed
                || !self.agrees_with_final(slot, &digest, &signed);
            if log.contradicted {
                break;
            }
            prefix = signed;
            log.votes.push(vote.clone());
        }
        log
    }
}

/// The own votes of a view.
#[derive(Debug, Default)]
pub(crate) struct OwnLog {
    /// Those that agree with what is final.
    pub(crate) votes: Vec<OwnVote>,
    /// Whether another vote follows, which does not.
    pub(crate) contradicted: bool,
}

fn check_config(config: &Config, tip: &ChainTip) -> Result<(), RecoverError> {
    let domain = config.validators.domain();
    let n = config.validators.processes().count();
    if config.me.index() >= n {
        return Err(RecoverError::Stranger { me: config.me, n });
    }
    let Header { slot, epoch, chain_id, .. } = tip.header;
    let base = config.base.as_ref().map_or(&config.genesis_header, |base| &base.header);
    // Above its beginning the chain is of this epoch; below it, as with a validator that comes, of those before.
    let fits = match slot.cmp(&base.slot) {
        Ordering::Greater => epoch == domain.epoch,
        Ordering::Equal => tip.header == *base,
        Ordering::Less => epoch < domain.epoch && (slot > Slot(0) || tip.header == config.genesis_header),
    };
    if chain_id != domain.chain_id || !fits {
        return Err(RecoverError::ForeignChain { slot });
    }
    Ok(())
}

/// A vote as journaled.
#[derive(Debug)]
struct JournaledVote {
    justification: carat_types::message::Justification,
    payload: Option<Arc<carat_types::batch::Payload>>,
}

/// A body as journaled.
#[derive(Debug)]
struct JournaledBody {
    origin: ValidatorId,
    through: Slot,
    body: SpreadBody,
}

/// The journal, sorted.
#[derive(Debug, Default)]
struct Journal {
    /// Those that J1 and J7 name.
    epochs: BTreeSet<Epoch>,
    view: View,
    new_view: Option<Arc<Signed<NewView>>>,
    votes: BTreeMap<Ballot, JournaledVote>,
    prepared: Vec<carat_types::certificate::PreparedCertificate>,
    view_change: Option<Arc<Signed<carat_types::message::ViewChange>>>,
    stable: Option<Arc<carat_types::message::StableCheckpoint>>,
    led: Option<View>,
    bodies: Vec<JournaledBody>,
    batches: BTreeMap<Digest, (Slot, Batch)>,
}

impl Journal {
    fn read(&mut self, record: Record) {
        match record {
            Record::View(epoch, view) => {
                self.epochs.insert(epoch);
                self.view = self.view.max(view);
            }
            Record::NewView(new_view) => {
                if self.new_view.as_ref().is_none_or(|held| held.body.view <= new_view.body.view) {
                    self.new_view = Some(new_view);
                }
            }
            Record::Vote(ballot, justification, payload) => {
                let vote = self.votes.entry(ballot).or_insert(JournaledVote { justification, payload: None });
                if payload.is_some() {
                    vote.payload = payload;
                }
            }
            Record::Prepared(certificate) => self.prepared.push(certificate),
            Record::ViewChange(view_change) => {
                if self.view_change.as_ref().is_none_or(|held| held.body.view <= view_change.body.view) {
                    self.view_change = Some(view_change);
                }
            }
            Record::Stable(stable) => {
                if self.stable.as_ref().is_none_or(|held| held.header.slot < stable.header.slot) {
                    self.stable = Some(stable);
                }
            }
            Record::Led(epoch, view) => {
                self.epochs.insert(epoch);
                self.led = self.led.max(Some(view));
            }
            Record::Body { origin, through, body } => {
                self.bodies.push(JournaledBody { origin, through, body });
            }
            Record::Batch(slot, batch) => {
                self.batches.insert(batch.digest(), (slot, batch));
            }
        }
    }
}
