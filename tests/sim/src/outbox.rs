//! The effects that a validator still has to perform: the five rules of `carat_consensus::effect`, as code.
//!
//! A shell of the core, simulated or real, hands in what `handle` returned and asks for the next step. The
//! outbox decides what may be done and what must wait for the disk:
//!
//! * Effects leave in the order in which they came in (rule 1), over all calls of `handle`.
//! * A `Persist` is appended to the journal as early as possible, so that one sync serves many; its place in the
//!   queue becomes a barrier that opens when the sync has covered it (rule 2).
//! * No `Persist` is appended ahead of a `SyncBlocks` or `Compact` that stands before it: J6 must find the
//!   blocks durable, and the journal begun anew must not lose a record that is younger than the cut.

use std::collections::VecDeque;

use carat_consensus::{Effect, Record};
use carat_types::Slot;

use crate::disk::Disk;

/// How many records were appended to a journal since its validator was made, over all restarts.
pub type Position = u64;

/// What to do next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "handed over at once, never stored")]
pub enum Step {
    /// Perform this effect: none of `Persist`, `SyncBlocks`, `Compact`.
    Perform(Effect),
    /// Nothing until the journal is durable up to here.
    AwaitJournal(Position),
    /// Nothing until all blocks up to the slot are durable.
    AwaitBlocks(Slot),
    /// Begin the journal anew; nothing until that is durable.
    Compact {
        /// Drop the records of slots up to here.
        stable: Slot,
        /// Begin with these.
        carry: Vec<Record>,
    },
    /// Nothing at all.
    Idle,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all entries are of the large kind")]
enum Entry {
    /// Opens when the journal is durable up to the position.
    Barrier(Position),
    Effect(Effect),
}

/// The queue.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Entry>,
    /// Entries at the front whose `Persist`s have been appended.
    staged: usize,
    /// A compaction taken from the queue that is not durable yet.
    compacting: bool,
}

impl Outbox {
    /// Takes in what `handle` returned.
    pub fn extend(&mut self, effects: Vec<Effect>) {
        self.queue.extend(effects.into_iter().map(Entry::Effect));
    }

    /// Appends to the journal what may be appended, and says what to do next.
    pub fn next(&mut self, disk: &mut Disk) -> Step {
        if self.compacting {
            return Step::AwaitJournal(disk.written());
        }
        loop {
            self.stage(disk);
            match self.queue.front() {
                None => return Step::Idle,
                Some(Entry::Barrier(position)) if *position > disk.durable() => {
                    return Step::AwaitJournal(*position);
                }
                Some(Entry::Effect(Effect::SyncBlocks { slot })) if *slot > disk.durable_tip() => {
                    return Step::AwaitBlocks(*slot);
                }
                Some(_) => {}
            }
            self.staged = self.staged.saturating_sub(1);
            match self.queue.pop_front() {
                Some(Entry::Effect(Effect::Compact { stable, carry })) => {
                    self.compacting = true;
                    return Step::Compact { stable, carry };
                }
                Some(Entry::Effect(Effect::SyncBlocks { .. }) | Entry::Barrier(_)) | None => {}
                Some(Entry::Effect(effect)) => return Step::Perform(effect),
            }
        }
    }

    /// Appends every record that stands before the first `SyncBlocks` or `Compact`.
    fn stage(&mut self, disk: &mut Disk) {
        while let Some(entry) = self.queue.get_mut(self.staged) {
            match entry {
                Entry::Effect(Effect::SyncBlocks { .. } | Effect::Compact { .. }) => break,
                Entry::Effect(Effect::Persist(_)) => {
                    let taken = std::mem::replace(entry, Entry::Barrier(disk.written() + 1));
                    if let Entry::Effect(Effect::Persist(record)) = taken {
                        disk.append(record);
                    }
                }
                Entry::Effect(_) | Entry::Barrier(_) => {}
            }
            self.staged += 1;
        }
    }

    /// The journal begun anew is durable.
    pub fn compacted(&mut self) {
        self.compacting = false;
    }

    /// Number of effects waiting.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Opens every barrier and forgets every compaction: what a faulty shell does that does not wait for its disk.
    pub fn open_all_barriers(&mut self) {
        self.compacting = false;
        for entry in &mut self.queue {
            if let Entry::Barrier(position) = entry {
                *position = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use carat_consensus::Timer;
    use carat_types::{Epoch, View};

    use super::*;

    fn record(view: u64) -> Effect {
        Effect::Persist(Record::View(Epoch(0), View(view)))
    }

    fn other() -> Effect {
        Effect::CancelTimer(Timer::Idle)
    }

    #[test]
    fn persist_holds_back_what_follows_until_synced() {
        let (mut outbox, mut disk) = (Outbox::default(), Disk::default());
        outbox.extend(vec![other(), record(1), other()]);
        assert!(matches!(outbox.next(&mut disk), Step::Perform(_)));
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(1)));
        disk.synced(1);
        assert!(matches!(outbox.next(&mut disk), Step::Perform(_)));
        assert!(matches!(outbox.next(&mut disk), Step::Idle));
    }

    #[test]
    fn records_of_several_calls_share_one_sync() {
        let (mut outbox, mut disk) = (Outbox::default(), Disk::default());
        outbox.extend(vec![record(1), other()]);
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(1)));
        outbox.extend(vec![record(2), other()]);
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(1)));
        assert_eq!(disk.written(), 2);
        disk.synced(2);
        assert!(matches!(outbox.next(&mut disk), Step::Perform(_)));
        assert!(matches!(outbox.next(&mut disk), Step::Perform(_)));
        assert!(matches!(outbox.next(&mut disk), Step::Idle));
    }

    #[test]
    fn record_behind_a_compaction_is_appended_after_it() {
        let (mut outbox, mut disk) = (Outbox::default(), Disk::default());
        outbox.extend(vec![record(1), Effect::Compact { stable: Slot(0), carry: Vec::new() }]);
        outbox.extend(vec![record(2), other()]);
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(1)));
        disk.synced(1);
        assert!(matches!(outbox.next(&mut disk), Step::Compact { .. }));
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(_)));
        assert_eq!(disk.written(), 1);
        disk.compact(Slot(0), &[]);
        outbox.compacted();
        assert!(matches!(outbox.next(&mut disk), Step::AwaitJournal(2)));
        disk.synced(2);
        assert_eq!(disk.journal(), [Record::View(Epoch(0), View(2))]);
    }

    #[test]
    fn record_behind_a_block_sync_waits_for_the_blocks() {
        let (mut outbox, mut disk) = (Outbox::default(), Disk::default());
        outbox.extend(vec![Effect::SyncBlocks { slot: Slot(1) }, record(1)]);
        assert!(matches!(outbox.next(&mut disk), Step::AwaitBlocks(Slot(1))));
        assert_eq!(disk.written(), 0);
    }
}
