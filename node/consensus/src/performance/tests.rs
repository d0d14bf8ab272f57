//! Grace, relaxation, reference.

use super::*;

#[test]
fn bounds_relax_by_a_tenth_for_each_demotion_of_the_last_rotation() {
    let mut performance = Performance::default();
    assert_eq!(performance.relaxed(1_000, View(9), 4), 1_000);
    for view in 5..8 {
        performance.demote(View(view), 4);
    }
    assert_eq!(performance.relaxed(1_000, View(8), 4), 1_300);
    assert_eq!(performance.relaxed(1_000, View(11), 4), 1_100, "the demotion of view 7 is left");
    assert_eq!(performance.relaxed(1_000, View(12), 4), 1_000);
    for view in 20..60 {
        performance.demote(View(view), 4);
    }
    assert_eq!(performance.relaxed(1_000, View(60), 4), 1_400, "a rotation's worth at most");
}

#[test]
fn reference_is_the_median_of_a_full_rotation_of_views_long_enough() {
    let mut performance = Performance::default();
    for (ordered, elapsed_us) in [(10, 1_000_000), (30, 1_000_000), (500, 10), (20, 1_000_000)] {
        performance.begin(0, 5);
        performance.view.ordered = ordered;
        performance.end(5 + elapsed_us, 1_000_000, 4);
        assert_eq!(performance.reference(4), None, "no full rotation yet");
    }
    performance.begin(0, 5);
    performance.view.ordered = 1_000;
    performance.end(1_000_005, 1_000_000, 4);
    assert_eq!(performance.reference(4), Some(30_000), "of 10, 20, 30 and 1,000 a second");
}

#[test]
fn mean_follows_what_is_ordered() {
    let mut performance = Performance::default();
    let limits = BlockLimits::default();
    let payload = Payload::null();
    performance.ordered(&payload, &Ordered { waited_us: vec![100_000; 10], ..Ordered::default() }, &limits);
    assert_eq!(performance.view.mean_us, 100_000);
    performance.ordered(
        &payload,
        &Ordered { waited_us: vec![1_000_000; 1_000], ..Ordered::default() },
        &limits,
    );
    assert!((990_000..=1_000_000).contains(&performance.view.mean_us), "{}", performance.view.mean_us);
    assert_eq!(performance.view.ordered, 1_010);
}
