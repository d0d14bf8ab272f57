//! Crashes, restarts, partitions, and the end phase in which everything must come right.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use carat_consensus::{
    ChainTip, Config, ElsewhereSigner, Input, LOOK_BACK_WINDOWS, RecentBlock, Record, Replica,
};
use carat_types::{Slot, ValidatorId};

use super::{Event, Node, Process, Simulation, heed};
use crate::ledger::leaf_rule;
use crate::mix::mix;
use crate::oracle::{Verdict, Violation};
use crate::outbox::Outbox;
use crate::plan::{Behaviour, MS};
use crate::planted::Planted;
use crate::pool::Pool;

/// The end phase: faults have stopped, a quorum of correct validators runs for good.
#[derive(Debug)]
pub(super) struct EndPhase {
    pub(super) began_at: u64,
    /// When everything must be in order.
    deadline: u64,
    /// Transactions that each client must have seen through.
    pub(super) goals: Vec<u64>,
    /// Correct validators that run.
    core: Vec<ValidatorId>,
    /// Once the clients are content: the slot that all of the core must have executed.
    target: Option<Slot>,
}

impl Simulation {
    /// New transactions that each client must get through after the faults.
    const FRESH_TRANSACTIONS: u64 = 2;

    /// Starts a validator's process from what is on its disk.
    pub(super) fn boot(&mut self, index: usize) -> Verdict {
        let Some(records) = self.read_journal(index)? else { return Ok(()) };
        let node = &mut self.nodes[index];
        let base = node.disk.base().map(|base| base.ledger.clone());
        let mut ledger = base.unwrap_or_else(|| self.genesis.clone());
        for block in node.disk.blocks() {
            ledger.execute(block.header.slot, &block.payload, block.header.prefix, block.header.batch);
            if ledger.header() != &block.header {
                return Err(Violation {
                    rule: "I12 execution is a pure function",
                    validator: Some(node.id),
                    detail: format!("re-executed {:?} to {:?}", block.header, ledger.header()),
                });
            }
        }
        node.process = Some(Process {
            replica: None,
            showed: BTreeMap::new(),
            started_at: self.now,
            outbox: Outbox::default(),
            ledger,
            pool: Pool::default(),
            timers: BTreeMap::new(),
            executions: VecDeque::new(),
            overlays: VecDeque::new(),
            snapshots: Vec::new(),
            journal_syncing: false,
            blocks_syncing: false,
            signed_until: 0,
        });
        self.begin_epoch(index, records)
    }

    /// Makes the replica of the node's epoch, from the journal of that epoch.
    pub(super) fn start_replica(&mut self, index: usize, records: Vec<Record>) -> Verdict {
        let (now, tip) = (self.clocks(index), self.chain_tip(index));
        let started = Replica::start(self.config(index), now, records, tip);
        let node = &mut self.nodes[index];
        let (replica, effects) = match started {
            Ok(started) => started,
            Err(error) => {
                self.trace.note(self.now, node.id, || format!("does not start: {error}"));
                (node.gone, node.process) = (true, None);
                return heed(self.strict, self.oracle.refused_to_start(node.id, &error));
            }
        };
        if let Some(process) = &mut node.process {
            process.replica = Some(replica);
        }
        self.keep_first_state(index);
        self.take_effects(index, effects)?;
        self.check_standpoint(index)?;
        self.drain(index)?;
        if self.plan.spreads_bodies {
            self.input(index, Input::SpreadBodies(true), mix(8, 0))
        } else {
            Ok(())
        }
    }

    /// What the journal holds; nothing, if it is damaged and the validator rightly stays down for good.
    fn read_journal(&mut self, index: usize) -> Result<Option<Vec<Record>>, Violation> {
        let node = &mut self.nodes[index];
        let mut read = node.disk.read_journal((self.genesis.header().chain_id, node.id));
        if self.planted == Some(Planted::StartsWithoutItsJournal) {
            read = read.or(Ok(Vec::new()));
        }
        let detail = || format!("{} records were durable", node.disk.journal().len());
        let broken = |rule| Violation { rule, validator: Some(node.id), detail: detail() };
        match read {
            Ok(_) if node.disk.is_rotten() => Err(broken("a damaged journal is noticed")),
            Ok(records) => Ok(Some(records)),
            Err(_) if !node.disk.is_rotten() => Err(broken("a torn journal is read")),
            Err(_) => {
                self.trace.note(self.now, node.id, || "does not start: its journal is damaged".to_owned());
                node.gone = true;
                Ok(None)
            }
        }
    }

    /// A bit flips in the journal of one correct validator, which is found when it restarts. Only where one more may be
    /// lost for good.
    pub(super) fn let_a_disk_rot(&mut self) -> Verdict {
        let Some(victim) = self.correct_in_random_order().first().copied() else { return Ok(()) };
        let node = &mut self.nodes[victim.index()];
        node.disk.decay(&mut self.rng);
        self.trace.note(self.now, victim, || "a bit of its journal flips".to_owned());
        self.crash(victim.index())
    }

    fn config(&self, index: usize) -> Config {
        let node = &self.nodes[index];
        let era = &self.eras[node.epoch];
        Config {
            me: node.id,
            validators: (*era.set).clone(),
            params: era.params,
            trust: self.plan.trust,
            signer: if self.plan.signs_elsewhere {
                Box::new(ElsewhereSigner)
            } else {
                Box::new(era.keys[node.id.index()].clone())
            },
            authenticator: self.authenticator.clone(),
            genesis_header: self.genesis.header().clone(),
            base: node.epoch.checked_sub(1).map(|before| Arc::clone(&node.disk.handovers()[before])),
            fetches_states: self.plan.fetches_states,
            leaves: leaf_rule(),
        }
    }

    /// What the store says of the end of the chain.
    fn chain_tip(&self, index: usize) -> ChainTip {
        let Node { disk, epoch, .. } = &self.nodes[index];
        let window = self.eras[*epoch].params.window;
        let back = |windows: u64| {
            let kept = usize::try_from(windows * window).unwrap_or(usize::MAX);
            disk.blocks().len().saturating_sub(kept)
        };
        let (first, lowest) = (back(2), back(LOOK_BACK_WINDOWS));
        let recent = disk.blocks().iter().enumerate().skip(lowest).map(|(index, block)| {
            let sealed = disk.seals(block.header.slot).is_some();
            (index >= first || !sealed).then(|| RecentBlock { header: block.header.clone(), sealed })
        });
        let base = disk.base().map(|base| RecentBlock { header: base.ledger.header().clone(), sealed: true });
        let recent: Vec<RecentBlock> = base.into_iter().chain(recent.flatten()).collect();
        let header = recent.last().map(|block| block.header.clone());
        let header = header.unwrap_or_else(|| self.genesis.header().clone());
        ChainTip { header, recent, transfer: disk.transfer() }
    }

    /// A process ends, whatever it was doing.
    pub(super) fn crash(&mut self, index: usize) -> Verdict {
        let node = &mut self.nodes[index];
        if node.process.take().is_none() {
            return Ok(());
        }
        self.crashes += 1;
        node.incarnation += 1;
        self.trace.step(self.now, node.id, 1);
        for record in node.disk.crash(&mut self.rng) {
            heed(self.strict, self.oracle.durable(node.id, record))?;
            if let Some(witness) = &mut self.witness {
                witness.durable(node.id, record);
            }
        }
        let tip = node.disk.tip();
        self.trace.note(self.now, node.id, || format!("crashes; block {tip} is left"));
        self.oracle.crashed(node.id, tip);
        let id = node.id;
        if !node.gone {
            let down = self.rng.between(1, self.plan.process.down_max);
            self.schedule(down, Event::Restart(id));
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, index: usize) -> Verdict {
        let node = &mut self.nodes[index];
        if node.gone || node.process.is_some() {
            return Ok(());
        }
        let amnesiac = node.adversary.as_ref().is_some_and(|it| it.behaviour() == Behaviour::Amnesiac);
        if amnesiac || self.planted == Some(Planted::ForgetsJournal) {
            node.disk.forget_journal();
        }
        let id = node.id;
        self.trace.step(self.now, id, 2);
        self.trace.note(self.now, id, || "restarts".to_owned());
        self.boot(index)
    }

    pub(super) fn crash_somebody(&mut self) -> Verdict {
        if self.end.is_some() {
            return Ok(());
        }
        let amnesiac = self.nodes.iter().position(|node| {
            node.adversary.as_ref().is_some_and(|adversary| adversary.behaviour() == Behaviour::Amnesiac)
        });
        let anybody = self.rng.index(self.nodes.len());
        let victim = amnesiac.filter(|_| self.rng.chance(500)).unwrap_or(anybody);
        self.schedule_soon(self.plan.process.crash_every, Event::Crash);
        self.crash(victim)
    }

    pub(super) fn begin_partition(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.network.partition(&mut self.rng);
        self.trace.note(self.now, None, || "a partition begins".to_owned());
        let length = self.rng.between(1, self.plan.network.partition_max);
        self.schedule(length, Event::PartitionEnds);
    }

    pub(super) fn end_partition(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.network.heal();
        self.trace.note(self.now, None, || "the partition ends".to_owned());
        self.schedule_soon(self.plan.network.partition_every, Event::PartitionBegins);
    }

    pub(super) fn clog_a_link(&mut self) {
        if self.end.is_none() {
            self.network.clog(&mut self.rng, self.now);
            self.schedule_soon(self.plan.network.clog_every, Event::Clog);
        }
    }

    /// Cuts one correct validator off until the faults end.
    pub(super) fn exile_somebody(&mut self) {
        if let Some(exile) = self.correct_in_random_order().first() {
            self.network.exile(*exile);
            self.trace.note(self.now, *exile, || "is cut off".to_owned());
        }
    }

    /// As many correct validators as may die for good do, and leave no quorum without the one that is cut off.
    pub(super) fn lose_the_spare(&mut self) -> Verdict {
        let spare = self.plan.faults().saturating_sub(self.plan.adversaries.len());
        let candidates = self.correct_in_random_order().into_iter();
        let dead: Vec<_> = candidates.filter(|id| !self.network.is_exiled(*id)).take(spare).collect();
        dead.into_iter().try_for_each(|id| {
            self.nodes[id.index()].gone = true;
            self.crash(id.index())
        })
    }

    pub(super) fn correct_in_random_order(&mut self) -> Vec<ValidatorId> {
        // Those of the first epoch: who has not come yet has nothing to lose.
        let first = self.nodes.iter().take(usize::from(self.plan.n));
        let correct = first.filter(|node| node.adversary.is_none());
        let mut ids: Vec<ValidatorId> = correct.map(|node| node.id).collect();
        self.rng.shuffle(&mut ids);
        ids
    }

    /// Sets the wall clocks of some validators forward or back, all by the same: a bad time server.
    pub(super) fn jump_clocks(&mut self) {
        if self.end.is_some() {
            return;
        }
        let far = i64::try_from(self.rng.between(1, self.plan.process.jump_max_ms)).unwrap_or(0);
        let far = if self.rng.chance(500) { far } else { -far };
        for node in &mut self.nodes {
            if self.rng.chance(500) {
                node.skew_ms = far;
            }
        }
        self.trace.note(self.now, None, || format!("wall clocks jump by {far} ms"));
        self.schedule_soon(self.plan.process.jump_every, Event::ClocksJump);
    }

    /// Stops all faults. As many validators as may be dead are dead from now on.
    pub(super) fn end_faults(&mut self) -> Verdict {
        self.network.calm();
        self.plan.process = self.plan.process.calm();
        let skew = i64::try_from(self.plan.process.skew_ms).unwrap_or(0);
        self.nodes.iter_mut().for_each(|node| node.skew_ms = node.skew_ms.clamp(-skew, skew));
        let faults = self.plan.faults();
        // One whose disk is rotten may be down, and not know yet that it stays so.
        self.nodes.iter_mut().for_each(|node| node.gone |= node.disk.is_rotten());
        let acceptors = self.nodes.iter().filter(|node| !self.plan.is_at_the_edge(node.id));
        let dead = acceptors.filter(|node| node.gone && node.adversary.is_none()).count();
        // Who lacks the state at the beginning of an epoch seals nothing of it before the others have kept one.
        let lacking = if self.eras.len() > 1 { self.plan.lacking() } else { 0 };
        let mut spare = faults.saturating_sub(self.plan.adversaries.len() + dead + lacking);
        // Of the proposers at the edge one must stay that is correct, and knows the chain.
        let lies = |id: &ValidatorId| self.plan.edge_liars.iter().any(|(liar, _)| liar == id);
        let correct = self.plan.lasting_proposers().map(ValidatorId).filter(|id| !lies(id)).count();
        let mut spare_proposers = correct.saturating_sub(1);
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        self.rng.shuffle(&mut order);
        let mut core = Vec::new();
        for index in order {
            let behaviour = self.nodes[index].adversary.as_ref().map(|adversary| adversary.behaviour());
            let dies = match behaviour {
                Some(_) => !self.plan.adversaries_survive,
                None if self.nodes[index].gone => true,
                None => {
                    let at_the_edge = self.plan.is_at_the_edge(self.nodes[index].id);
                    let spare = if at_the_edge { &mut spare_proposers } else { &mut spare };
                    let dies = *spare > 0 && self.rng.chance(400);
                    if dies {
                        *spare -= 1;
                    } else {
                        let id = self.nodes[index].id;
                        core.extend(self.last_era().has(id).then_some(id));
                    }
                    dies
                }
            };
            if dies {
                self.nodes[index].gone = true;
                self.crash(index)?;
            } else if self.nodes[index].process.is_none() && !self.nodes[index].gone {
                let id = self.nodes[index].id;
                self.schedule(MS, Event::Restart(id));
            }
        }
        core.sort_unstable();
        if let Some(witness) = &mut self.witness {
            witness.faults_ended(self.now, &core);
        }
        self.trace.note(self.now, None, || format!("faults end; {core:?} run for good"));
        self.end = Some(EndPhase {
            began_at: self.now,
            deadline: self.now + self.patience(),
            goals: self.clients.iter().map(|client| client.done + Self::FRESH_TRANSACTIONS).collect(),
            core,
            target: None,
        });
        self.schedule(Self::INSPECT_EVERY, Event::Inspect);
        Ok(())
    }

    /// How long the end phase may take: 2r T_max, as the reliability goals demand of every seed, for each epoch.
    fn patience(&self) -> u64 {
        let views = 2 * self.plan.rotation();
        views * self.plan.params.timeout_max_ms * MS * self.eras.len() as u64
    }

    /// Whether the end phase has reached its end.
    pub(super) fn inspect(&mut self) -> Verdict {
        let changes = self.epochs_to_come();
        let Some(end) = &mut self.end else { return Ok(()) };
        let content =
            changes == 0 && self.clients.iter().zip(&end.goals).all(|(client, goal)| client.done >= *goal);
        if content && end.target.is_none() {
            end.target = Some(self.oracle.tip().slot);
        }
        let heights = end.core.iter().map(|id| self.nodes[id.index()].disk.tip());
        let heights: Vec<Slot> = heights.collect();
        if let Some(target) = end.target
            && heights.iter().all(|height| *height >= target)
            && end.core.iter().all(|id| self.nodes[id.index()].epoch + 1 == self.eras.len())
        {
            if let Some(witness) = &mut self.witness
                && !witness.has_seen_enough(self.now)
            {
                self.schedule(Self::INSPECT_EVERY, Event::Inspect);
                return Ok(());
            }
            self.finished = true;
            return heed(self.strict, self.compare_states());
        }
        if self.now >= end.deadline {
            let waiting: Vec<usize> =
                (0..self.clients.len()).filter(|i| self.clients[*i].done < end.goals[*i]).collect();
            let detail = format!(
                "after {} ms without faults: core {:?} executed {heights:?}, target {:?}, clients waiting {waiting:?}, \
                 {changes} epochs to come",
                (self.now - end.began_at) / MS,
                end.core,
                end.target,
            );
            return Err(Violation { rule: "liveness", validator: None, detail });
        }
        self.schedule(Self::INSPECT_EVERY, Event::Inspect);
        Ok(())
    }

    /// All correct validators that run hold one state: their headers at the lowest common height are equal, and
    /// so are the stored blocks below.
    fn compare_states(&self) -> Verdict {
        let Some(end) = &self.end else { return Ok(()) };
        for id in &end.core {
            let ledger = self.nodes[id.index()].process.as_ref().map(|process| &process.ledger);
            if let Some(detail) = ledger.and_then(|ledger| ledger.audit().err()) {
                return Err(Violation { rule: "conservation", validator: Some(*id), detail });
            }
            for block in self.nodes[id.index()].disk.blocks() {
                let (slot, hash) = (block.header.slot, block.header.hash());
                if hash != self.oracle.header_hash(slot) {
                    let detail = format!("slot {slot}: stored block {hash}");
                    return Err(Violation { rule: "equal states", validator: Some(*id), detail });
                }
            }
        }
        Ok(())
    }
}
