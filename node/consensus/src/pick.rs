//! Which value a slot must keep in a new view. **Source**: consensus specification, section 7.3, to the letter.
//!
//! Pure functions of the q VIEW-CHANGEs; every validator computes the same answer, so the leader states nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_types::batch::null_digest;
use carat_types::message::{Signed, SlotReport, StableCheckpoint, ViewChange};
use carat_types::{Digest, Quorum, SignerSet, Slot, View};

/// What a NEW-VIEW makes every acceptor do.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Choice {
    /// The highest stable checkpoint h among the VIEW-CHANGEs; none while it is the epoch's beginning.
    pub(crate) stable: Option<StableCheckpoint>,
    /// O: the value of each slot from h+1 to `s_max`.
    pub(crate) forced: BTreeMap<Slot, Forced>,
    /// The last forced slot, or h.
    pub(crate) s_max: Slot,
}

/// A forced value, and who claims to hold its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forced {
    pub(crate) digest: Digest,
    pub(crate) holders: SignerSet,
}

/// `pick(S, s)` over the reports for one slot of the members of S that have one.
///
/// **Returns** the value that may have been chosen, or none (FREE) if no value can have been.
pub(crate) fn pick(reports: &[&SlotReport], quorum: Quorum) -> Option<Digest> {
    // (u, e): by Fact Q all certificates of one view and slot agree; the digest only makes the order total.
    let certificate = reports
        .iter()
        .filter_map(|report| report.prepared.as_ref())
        .map(|certificate| (certificate.body.0.view, certificate.body.0.digest))
        .max();
    let (u, e) = (certificate.map(|(view, _)| view), certificate.map(|(_, digest)| digest));
    let candidate = voted_by_overlap(reports, quorum);
    match candidate {
        // None < Some(0): the specification's -1.
        Some((w, digest)) if Some(w) > u => Some(digest),
        _ => e,
    }
}

/// (w, D): the value that is the last vote of at least t members, with the t-th largest view of those votes.
fn voted_by_overlap(reports: &[&SlotReport], quorum: Quorum) -> Option<(View, Digest)> {
    let mut views: BTreeMap<Digest, Vec<View>> = BTreeMap::new();
    for vote in reports.iter().filter_map(|report| report.last_vote) {
        views.entry(vote.digest).or_default().push(vote.view);
    }
    // At most one digest qualifies, because 2t > q.
    views.into_iter().find_map(|(digest, mut views)| {
        views.sort_unstable_by(|a, b| b.cmp(a));
        let t_th_largest = views.get(quorum.overlap().saturating_sub(1))?;
        Some((*t_th_largest, digest))
    })
}

/// `choose(S)`: `view_changes` are exactly q valid VIEW-CHANGEs for one view from distinct senders, in an epoch that begins
/// above slot `base`.
pub(crate) fn choose(view_changes: &[Arc<Signed<ViewChange>>], quorum: Quorum, base: Slot) -> Choice {
    let stable = view_changes
        .iter()
        .filter_map(|view_change| view_change.body.stable.as_ref())
        .max_by_key(|stable| stable.header.slot);
    let h = stable.map_or(base, |stable| stable.header.slot);
    let mut reports: BTreeMap<Slot, Vec<&SlotReport>> = BTreeMap::new();
    for report in view_changes.iter().flat_map(|view_change| &view_change.body.reports) {
        if report.slot > h {
            reports.entry(report.slot).or_default().push(report);
        }
    }
    let picked: BTreeMap<Slot, Digest> =
        reports.iter().filter_map(|(slot, reports)| Some((*slot, pick(reports, quorum)?))).collect();
    let s_max = picked.last_key_value().map_or(h, |(slot, _)| *slot);
    let mut forced = BTreeMap::new();
    let mut slot = h.next();
    while slot <= s_max {
        let value = picked.get(&slot).map_or_else(
            || Forced { digest: null_digest(), holders: SignerSet::default() },
            |digest| Forced { digest: *digest, holders: holders(view_changes, slot, digest) },
        );
        forced.insert(slot, value);
        slot = slot.next();
    }
    Choice { stable: stable.cloned(), forced, s_max }
}

/// Who claims, or is shown, to have voted for the value: only a hint whom to ask for its payload.
fn holders(view_changes: &[Arc<Signed<ViewChange>>], slot: Slot, digest: &Digest) -> SignerSet {
    let mut holders = SignerSet::default();
    for view_change in view_changes {
        let reports = &view_change.body.reports;
        let Ok(index) = reports.binary_search_by_key(&slot, |report| report.slot) else { continue };
        let Some(report) = reports.get(index) else { continue };
        if report.last_vote.is_some_and(|vote| vote.digest == *digest) {
            holders.insert(view_change.signer);
        }
        if let Some(certificate) = report.prepared.as_ref().filter(|held| held.body.0.digest == *digest) {
            certificate.signers.iter().for_each(|signer| {
                holders.insert(signer);
            });
        }
    }
    holders
}

#[cfg(test)]
mod tests;
