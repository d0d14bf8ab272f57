//! What a NEW-VIEW forces, computed by counting rather than by the product's code.

use std::collections::{BTreeMap, BTreeSet};

use carat_types::batch::null_digest;
use carat_types::genesis::ConsensusConstants;
use carat_types::message::{NewView, Signed, ViewChange};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::certificates::Certificates;
use super::{Verdict, demand};

/// The outcome of section 7.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Slots up to here are final.
    pub(super) stable: Slot,
    /// c of that slot.
    pub(super) stable_prefix: Digest,
    /// Slots above are free; down to `stable` they are forced.
    pub(super) top: Slot,
    /// The forced values.
    pub(super) forced: BTreeMap<Slot, Digest>,
}

/// Checks a NEW-VIEW as sections 3 and 7.2 demand: exactly q valid VIEW-CHANGEs of distinct senders, in order.
pub(super) fn check(
    at: ValidatorId,
    new_view: &Signed<NewView>,
    certificates: &Certificates,
    params: &ConsensusConstants,
) -> Verdict {
    let rule = "I10 NEW-VIEW";
    let view = new_view.body.view;
    let senders: Vec<u16> = new_view.body.view_changes.iter().map(|change| change.signer.0).collect();
    let quorum = certificates.thresholds().quorum;
    let sorted = senders.iter().is_sorted_by(|a, b| a < b);
    demand(sorted && senders.len() == quorum, rule, at, || format!("senders {senders:?}, {quorum} needed"))?;
    let by_leader = new_view.signer == certificates.leader(view.0) && certificates.is_signed(new_view);
    demand(by_leader, rule, at, || format!("view {view} signed by {}", new_view.signer))?;
    for change in &new_view.body.view_changes {
        demand(change.body.view == view, rule, at, || {
            format!("VIEW-CHANGE({}) in NEW-VIEW({view})", change.body.view)
        })?;
        check_view_change(at, change, certificates, params)?;
    }
    Ok(())
}

/// Section 7.2: what makes a VIEW-CHANGE valid.
pub(super) fn check_view_change(
    at: ValidatorId,
    change: &Signed<ViewChange>,
    certificates: &Certificates,
    params: &ConsensusConstants,
) -> Verdict {
    let rule = "VIEW-CHANGE validity";
    demand(certificates.is_signed(change), rule, at, || format!("signature of {}", change.signer))?;
    let (mut last, mut end) = (certificates.base().0.0, u64::MAX);
    if let Some(stable) = &change.body.stable {
        certificates.stable(at, stable, params.checkpoint_interval)?;
        last = stable.header.slot.0;
        end = stable.header.epoch_end.as_ref().map_or(end, |end| end.slot.0);
    }
    let top = (last + params.window).min(end);
    for report in &change.body.reports {
        let slot = report.slot.0;
        demand(slot > last && slot <= top, rule, at, || format!("slot {slot} after {last}, top {top}"))?;
        last = slot;
        let vote_is_lower = report.last_vote.is_none_or(|vote| vote.view < change.body.view);
        demand(vote_is_lower, rule, at, || format!("slot {slot}: {:?}", report.last_vote))?;
        let Some(certificate) = &report.prepared else { continue };
        let ballot = certificate.body.0;
        let fits = ballot.slot.0 == slot && ballot.view < change.body.view;
        demand(fits, rule, at, || format!("slot {slot}: certificate for {ballot:?}"))?;
        certificates.prepared(at, certificate)?;
    }
    Ok(())
}

/// Section 7.3, by counting, in an epoch that begins above `base`.
pub(super) fn choose(new_view: &NewView, overlap: usize, base: (Slot, Digest)) -> Choice {
    let highest = new_view.view_changes.iter().filter_map(|change| change.body.stable.as_ref());
    let highest = highest.max_by_key(|stable| stable.header.slot);
    let (stable, stable_prefix) = highest.map_or(base, |stable| (stable.header.slot, stable.header.prefix));
    let reports = new_view.view_changes.iter().flat_map(|change| &change.body.reports);
    let slots: BTreeSet<Slot> = reports.map(|report| report.slot).filter(|slot| *slot > stable).collect();
    let picked: BTreeMap<Slot, Digest> =
        slots.into_iter().filter_map(|slot| Some((slot, pick(new_view, slot, overlap)?))).collect();
    let top = picked.last_key_value().map_or(stable, |(slot, _)| *slot);
    let all = (stable.0 + 1..=top.0).map(Slot);
    let forced = all.map(|slot| (slot, picked.get(&slot).copied().unwrap_or_else(null_digest))).collect();
    Choice { stable, stable_prefix, top, forced }
}

/// The forced value of one slot; none if it is free.
fn pick(new_view: &NewView, slot: Slot, overlap: usize) -> Option<Digest> {
    let mut votes: BTreeMap<Digest, Vec<View>> = BTreeMap::new();
    let mut certificate = None;
    for change in &new_view.view_changes {
        for report in change.body.reports.iter().filter(|report| report.slot == slot) {
            if let Some(vote) = report.last_vote {
                votes.entry(vote.digest).or_default().push(vote.view);
            }
            let found =
                report.prepared.as_ref().map(|prepared| (prepared.body.0.view, prepared.body.0.digest));
            certificate = certificate.max(found);
        }
    }
    for (digest, mut views) in votes {
        views.sort_unstable_by(|a, b| b.cmp(a));
        let Some(lowest_needed) = views.get(overlap - 1) else { continue };
        if certificate.is_none_or(|(view, _)| *lowest_needed > view) {
            return Some(digest);
        }
    }
    certificate.map(|(_, digest)| digest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carat_types::Signature;
    use carat_types::certificate::Certificate;
    use carat_types::message::{Ballot, LastVote, Prepare, SlotReport};

    use super::*;

    type Claim = Option<(u64, u8)>;

    fn report((certificate, vote): (Claim, Claim)) -> SlotReport {
        let digest = |letter: u8| Digest([letter; 32]);
        let prepared = certificate.map(|(view, letter)| {
            let ballot =
                Ballot { view: View(view), slot: Slot(1), digest: digest(letter), prefix: Digest::ZERO };
            Certificate::assemble(Prepare(ballot), [])
        });
        let last_vote = vote.map(|(view, letter)| LastVote { view: View(view), digest: digest(letter) });
        SlotReport { slot: Slot(1), last_vote, prepared }
    }

    /// The vectors of section 16, written down once more: n = 4, so t = 2.
    #[test]
    fn pick_gives_the_answers_of_section_16() {
        const NONE: (Claim, Claim) = (None, None);
        let (a, b, x) = (1, 2, 9);
        let vote = |view, letter| (None, Some((view, letter)));
        let both = |u, e, w, d| (Some((u, e)), Some((w, d)));
        let table = [
            ([vote(1, a), vote(0, a), NONE], Some(a)),
            ([both(0, b, 1, a), vote(1, a), NONE], Some(a)),
            ([both(1, b, 1, b), vote(1, a), vote(1, a)], Some(b)),
            ([both(0, b, 0, b), vote(2, a), vote(0, a)], Some(b)),
            ([vote(5, x), vote(0, a), vote(0, a)], Some(a)),
            ([vote(0, a), vote(0, b), NONE], None),
            ([both(0, a, 0, a), both(2, b, 2, b), NONE], Some(b)),
            ([NONE, NONE, NONE], None),
            ([vote(3, x), NONE, NONE], None),
            ([both(1, a, 2, b), vote(2, b), vote(1, a)], Some(b)),
        ];
        for (row, (reports, expected)) in table.into_iter().enumerate() {
            let change = |(signer, claims): (u16, (Claim, Claim))| {
                Arc::new(Signed {
                    signer: ValidatorId(signer),
                    body: ViewChange { view: View(9), stable: None, reports: vec![report(claims)] },
                    signature: Signature([0; 64]),
                })
            };
            let view_changes = (0..).zip(reports).map(change).collect();
            let new_view = NewView { view: View(9), view_changes };
            let expected = expected.map(|letter| Digest([letter; 32]));
            assert_eq!(pick(&new_view, Slot(1), 2), expected, "row {}", row + 1);
        }
    }
}
