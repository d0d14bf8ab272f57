//! Which old blocks may be dropped: those that are both beyond a number and beyond an age, and, where the operator keeps
//! archives, none that is not in one yet.
//!
//! Ages are differences of header times, so that validators with the same settings keep the same blocks and a network that stands
//! still drops nothing. **Source**: decision records 38 and 48.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use carat_types::Slot;

use crate::metrics::Metrics;

mod archived;

use archived::ArchiveFolder;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Headers that are looked at for each new block, to find those beyond the age: more than blocks are dropped, so that it ends.
const LOOKED_AT: usize = 16;

/// What the settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many of the newest blocks are kept at least.
    pub blocks: u64,
    /// Days before the newest block of which all blocks are kept; none, and only the number counts.
    pub days: Option<u64>,
    /// Folder of the archives that dropping waits for.
    pub archive: Option<PathBuf>,
}

/// Decides what may be dropped.
pub(crate) struct Retention {
    blocks: u64,
    age_ms: Option<u64>,
    archive: Option<ArchiveFolder>,
    /// Up to here blocks are known to be beyond the age.
    aged: Slot,
    metrics: Arc<Metrics>,
}

impl Retention {
    pub(crate) fn new(kept: Kept, metrics: Arc<Metrics>) -> Self {
        let age_ms = kept.days.map(|days| days.saturating_mul(DAY_MS));
        let archive = kept.archive.map(ArchiveFolder::new);
        Retention { blocks: kept.blocks, age_ms, archive, aged: Slot(0), metrics }
    }

    /// The blocks that may be dropped of a store with this base and newest block; none, and nothing may be. `time` tells the time of
    /// a block's header.
    ///
    /// **Errors**: those of `time`.
    pub(crate) fn droppable<E>(
        &mut self,
        base: Slot,
        newest: Slot,
        time: impl Fn(Slot) -> Result<Option<u64>, E>,
    ) -> Result<Option<RangeInclusive<Slot>>, E> {
        let last = self.last_unwanted(base, newest, time)?;
        let Some(folder) = &mut self.archive else { return Ok(Some(Slot(1)..=last)) };
        let archived = folder.run_with(base.next());
        let end = archived.as_ref().map_or(base, |run| *run.end());
        let waiting = last.0.saturating_sub(end.0.max(base.0));
        self.metrics.store_awaiting_archive_blocks.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        folder.warn_of(waiting, base.next());
        Ok(archived.map(|run| *run.start()..=last.min(*run.end())))
    }

    /// The newest block that need not be kept, by number and by age.
    fn last_unwanted<E>(
        &mut self,
        base: Slot,
        newest: Slot,
        time: impl Fn(Slot) -> Result<Option<u64>, E>,
    ) -> Result<Slot, E> {
        let last = Slot(newest.0.saturating_sub(self.blocks));
        let Some(age_ms) = self.age_ms else { return Ok(last) };
        let Some(now) = time(newest)? else { return Ok(Slot(0)) };
        self.aged = self.aged.max(base);
        for _ in 0..LOOKED_AT {
            let next = self.aged.next();
            if next > last || time(next)?.is_none_or(|time| time.saturating_add(age_ms) >= now) {
                break;
            }
            self.aged = next;
        }
        Ok(self.aged.min(last))
    }
}

#[cfg(test)]
mod tests;
