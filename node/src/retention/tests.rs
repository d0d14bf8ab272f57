//! What is dropped when a number, an age and archives are asked for, each alone and together.

use std::convert::Infallible;

use super::*;

const DAY: u64 = DAY_MS;

fn retention(kept: Kept) -> Retention {
    Retention::new(kept, Arc::new(Metrics::new().expect("declared")))
}

/// Block s is of hour s.
fn time(slot: Slot) -> Result<Option<u64>, Infallible> {
    Ok(Some(slot.0 * DAY / 24))
}

/// The newest block that may be dropped, when enough blocks came for all headers to be looked at.
fn last(retention: &mut Retention, newest: u64) -> u64 {
    let ends = (0..=newest).map(|_| {
        let droppable = retention.droppable(Slot(0), Slot(newest), time).expect("reads");
        droppable.expect("no archive is waited for").end().0
    });
    ends.last().unwrap_or_default()
}

#[test]
fn larger_of_number_and_age_is_kept() {
    let kept = |blocks, days| retention(Kept { blocks, days, archive: None });
    assert_eq!(last(&mut kept(10, None), 100), 90);
    assert_eq!(last(&mut kept(10, Some(1)), 100), 75, "block 76 is a day old, and kept");
    assert_eq!(last(&mut kept(40, Some(1)), 100), 60);
    assert_eq!(last(&mut kept(10, Some(5)), 100), 0);
    assert_eq!(last(&mut kept(10, Some(u64::MAX)), 100), 0);
    assert_eq!(last(&mut kept(200, None), 100), 0);
}

#[test]
fn ages_are_of_headers_and_found_step_by_step() {
    let mut kept = retention(Kept { blocks: 1, days: Some(1), archive: None });
    let mut step = |newest| {
        let droppable = kept.droppable(Slot(20), Slot(newest), time).expect("reads");
        droppable.expect("no archive is waited for").end().0
    };
    let looked_at = u64::try_from(LOOKED_AT).expect("few");
    assert_eq!(step(200), 20 + looked_at, "from the base on, a few headers for each block");
    assert_eq!(step(200), 20 + 2 * looked_at);
    // The clock of this machine is asked for nothing: a network that stands still drops nothing.
    (0..20).for_each(|_| _ = step(200));
    assert_eq!(step(200), 175);
    let missing = |_| Ok::<_, Infallible>(None);
    assert_eq!(kept.droppable(Slot(20), Slot(200), missing).expect("reads"), Some(Slot(1)..=Slot(0)));
}

/// What may be dropped when the folder was looked at again.
fn looked(retention: &mut Retention, base: u64) -> Option<RangeInclusive<Slot>> {
    retention.archive.as_mut().expect("a folder").look_and_wait();
    retention.droppable(Slot(base), Slot(100), time).expect("reads")
}

fn waiting(retention: &Retention) -> i64 {
    retention.metrics.store_awaiting_archive_blocks.get()
}

#[test]
fn nothing_is_dropped_that_is_not_archived() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("archive");
    let mut kept = retention(Kept { blocks: 10, days: None, archive: Some(archive.clone()) });
    // The folder is not there: perhaps it is not mounted yet.
    assert_eq!(kept.droppable(Slot(0), Slot(100), time).expect("reads"), None, "not looked at yet");
    assert_eq!(looked(&mut kept, 0), None);
    assert_eq!(waiting(&kept), 90);
    std::fs::create_dir(&archive).expect("made");
    let write = |name: &str| std::fs::write(archive.join(name), "").expect("written");
    write("blocks-000000000001-000000000030.carat");
    write("blocks.unfinished");
    assert_eq!(looked(&mut kept, 0), Some(Slot(1)..=Slot(30)));
    assert_eq!(waiting(&kept), 60);
    assert_eq!(kept.droppable(Slot(30), Slot(100), time).expect("reads"), None, "block 31 is not there");
    write("blocks-000000000031-000000000050.carat");
    write("blocks-000000000061-000000000099.carat");
    assert_eq!(looked(&mut kept, 30), Some(Slot(1)..=Slot(50)));
    assert_eq!(waiting(&kept), 40);
    write("blocks-000000000051-000000000060.carat");
    assert_eq!(looked(&mut kept, 50), Some(Slot(1)..=Slot(90)));
    assert_eq!(waiting(&kept), 0);
    std::fs::rename(&archive, folder.path().join("away")).expect("moved");
    assert_eq!(looked(&mut kept, 50), None);
    assert_eq!(waiting(&kept), 40);
}

#[test]
fn archives_from_a_later_block_on_count_from_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("blocks-000000000021-000000000040.carat"), "").expect("written");
    let archive = Some(folder.path().to_owned());
    let mut kept = retention(Kept { blocks: 10, days: None, archive });
    assert_eq!(looked(&mut kept, 20), Some(Slot(21)..=Slot(40)));
    assert_eq!(kept.droppable(Slot(10), Slot(100), time).expect("reads"), None, "block 11 is not there");
}
