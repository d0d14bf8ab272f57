//! Sets of validators: proposed, decided, in force. What the calls have in common with numbers is among the cases.

use carat_types::SecretKey;
use carat_types::accountability::EVIDENCE_SINCE;
use carat_types::genesis::{
    AssetRule, Deployment, FORMAT, Genesis, GenesisProposer, LedgerConstants, Profile, Trust,
};
use carat_types::transaction::test_root_key;

use super::*;
use crate::genesis::state_entries;
use crate::state::MemoryState;

const NETWORK: &str = "sets";
/// The last second of every proposal.
const UNTIL: u64 = 1_000;

fn key(seed: u8) -> PublicKey {
    SecretKey::from_seed(&[seed; 32]).public()
}

fn council_account() -> PublicKey {
    key(250)
}

fn root() -> PublicKey {
    test_root_key(NETWORK).public()
}

/// Validators numbered from `first` on; the acceptor key of each is [`key`] of its number.
fn validators(first: u8, count: u8) -> Vec<GenesisValidator> {
    let validator = |number: u8| GenesisValidator {
        name: format!("bank {number}"),
        acceptor: key(number),
        proposer: key(100 + number),
        network: key(150 + number),
    };
    (first..first + count).map(validator).collect()
}

/// The set of epoch 1: validator 1 has gone, 5 to 7 have come.
fn next() -> EpochSet {
    let block = carat_types::batch::BlockLimits { transactions: 1_000, ..Default::default() };
    let consensus =
        ConsensusConstants { window: 16, checkpoint_interval: 8, term: 1_024, block, ..constants() };
    EpochSet { epoch: Epoch(1), validators: validators(2, 7), deployment: Deployment::CoLocated, consensus }
}

fn constants() -> ConsensusConstants {
    ConsensusConstants { window: 8, checkpoint_interval: 4, pipeline: 4, ..Default::default() }
}

fn state() -> MemoryState {
    state_of(NEWEST_PROTOCOL)
}

fn state_of(protocol_version: u32) -> MemoryState {
    MemoryState::new(state_entries(&genesis(protocol_version)).expect("a ledger that can live"))
}

fn genesis(protocol_version: u32) -> Genesis {
    Genesis {
        format: FORMAT.into(),
        network_passphrase: NETWORK.into(),
        profile: Profile::Test,
        trust: Trust::Bft,
        visibility: None,
        auditors: Vec::new(),
        salt_commitment: None,
        time_ms: 0,
        validators: validators(1, 4),
        deployment: Deployment::default(),
        consensus: constants(),
        ledger: LedgerConstants {
            total_coins: 1_000_000_000,
            base_fee: 100,
            base_reserve: 10,
            protocol_version,
            root_account: root(),
            admission_restricted: false,
            members: Vec::new(),
            assets: AssetRule::Any,
        },
        governance: Some(council_account()),
        state_root: Digest::ZERO,
    }
}

/// Proposers from number `first` on, which are processes of their own.
fn proposers(first: u8, count: u8) -> Deployment {
    let proposer = |number: u8| GenesisProposer {
        name: format!("edge {number}"),
        proposer: key(200 + number),
        network: key(220 + number),
    };
    Deployment::Edge { proposers: (first..first + count).map(proposer).collect() }
}

fn moment(epoch: u32, slot: u64) -> Moment {
    Moment { ledger_seq: 2, close_time: 1, epoch: Epoch(epoch), slot: Slot(slot), chain_id: Digest::ZERO }
}

fn propose_set(ledger: &mut Overlay<'_>, signer: u8, set: EpochSet, at: Moment) -> Result<Digest, Refusal> {
    let change = Change::Set(Box::new(set));
    let made = Call::Propose { signer: key(signer), change, valid_until: UNTIL };
    call(ledger, &council_account(), &made, at).expect("readable")
}

fn approve(ledger: &mut Overlay<'_>, signer: u8, proposal: Digest, at: Moment) -> Result<Digest, Refusal> {
    call(ledger, &council_account(), &Call::Approve { signer: key(signer), proposal }, at).expect("readable")
}

/// Validators 1 to 3 decide on the set in slot 100.
fn decide_on(ledger: &mut Overlay<'_>, set: EpochSet) {
    let at = moment(0, 100);
    let proposal = propose_set(ledger, 1, set, at).expect("possible");
    for signer in [2, 3] {
        approve(ledger, signer, proposal, at).expect("open");
    }
}

fn account(ledger: &mut Overlay<'_>) -> AccountEntry {
    ledger.account(&council_account()).expect("readable").expect("governed").clone()
}

fn governance(ledger: &mut Overlay<'_>) -> Governance {
    load(ledger).expect("readable").expect("governed")
}

#[test]
fn decided_set_fixes_the_end_of_the_epoch_and_blocks_another_change() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    let at = moment(0, 100);
    let proposal = propose_set(&mut ledger, 1, next(), at).expect("possible");
    approve(&mut ledger, 2, proposal, at).expect("open");
    assert_eq!(epoch_end(&mut ledger).expect("readable"), None, "two of four approve");
    approve(&mut ledger, 3, proposal, at).expect("open");
    let end = EpochEnd { slot: Slot(108), next_set: next().hash() };
    assert_eq!(epoch_end(&mut ledger).expect("readable"), Some(end));
    // One pending change, of either kind.
    let again = propose_set(&mut ledger, 1, next(), at).expect("possible");
    approve(&mut ledger, 2, again, at).expect("open");
    assert_eq!(approve(&mut ledger, 3, again, at), Err(Refusal::Blocked));
}

#[test]
fn set_that_does_not_follow_upon_the_present_one_refused() {
    type Spoil = fn(&mut EpochSet);
    let refused = |spoil: Spoil| {
        let state = state();
        let mut ledger = Overlay::new(&state, 2).expect("a state");
        let mut set = next();
        spoil(&mut set);
        propose_set(&mut ledger, 1, set, moment(0, 100)).err()
    };
    assert_eq!(refused(|_| {}), None);
    let spoilt: [(&str, Spoil); 5] = [
        ("of the present epoch", |set| set.epoch = Epoch(0)),
        ("of the epoch after the next", |set| set.epoch = Epoch(2)),
        ("of two validators", |set| set.validators.truncate(2)),
        ("with a key in two roles", |set| set.validators[0].network = set.validators[3].acceptor),
        ("with the governance account's own key", |set| set.validators[0].acceptor = council_account()),
    ];
    for (what, spoil) in spoilt {
        assert_eq!(refused(spoil), Some(Refusal::NotPossible), "{what}");
    }
}

#[test]
fn set_is_in_force_from_the_first_slot_above_the_end_and_its_validators_govern() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    decide_on(&mut ledger, next());
    begin_block(&mut ledger, Slot(108)).expect("a version that is known");
    assert_eq!(account(&mut ledger).thresholds.0, [0, 3, 3, 3], "the last block of the epoch");
    begin_block(&mut ledger, Slot(109)).expect("a version that is known");
    let council = account(&mut ledger);
    assert_eq!((council.thresholds.0, council.num_sub_entries), ([0, 5, 5, 5], 7));
    assert_eq!(council.signers.to_vec(), super::council(&next().validators));
    let Governance { checkpoint_interval, window, scheduled, .. } = governance(&mut ledger);
    assert_eq!((checkpoint_interval, window, scheduled), (8, 16, None));
    assert_eq!(ledger.totals().max_transactions, 1_000);
    assert_eq!(epoch_end(&mut ledger).expect("readable"), None);
    // Who has gone governs no more; who has come does.
    let set = EpochSet { epoch: Epoch(2), ..next() };
    let at = moment(1, 109);
    assert_eq!(propose_set(&mut ledger, 1, set.clone(), at), Err(Refusal::NotPossible));
    propose_set(&mut ledger, 8, set, at).expect("possible");
}

#[test]
fn set_left_open_over_the_end_of_an_epoch_is_never_decided() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    let other = EpochSet { validators: validators(1, 5), ..next() };
    let left = propose_set(&mut ledger, 4, other, moment(0, 99)).expect("possible");
    decide_on(&mut ledger, next());
    begin_block(&mut ledger, Slot(109)).expect("a version that is known");
    let at = moment(1, 109);
    for signer in [2, 3, 5] {
        approve(&mut ledger, signer, left, at).expect("open still");
    }
    assert_eq!(approve(&mut ledger, 6, left, at), Err(Refusal::NotPossible));
    assert_eq!(governance(&mut ledger).scheduled, None);
}

#[test]
fn signer_that_goes_gives_its_sponsor_the_reserve_back() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    let extra = Signer { key: SignerKey::Ed25519(Uint256(key(90).0)), weight: 1 };
    let entry = ledger.account_mut(&council_account()).expect("readable").expect("governed");
    let mut signers = entry.signers.to_vec();
    let position = signers.partition_point(|signer| signer.key < extra.key);
    signers.insert(position, extra);
    entry.signers = signers.try_into().expect("five");
    sponsorship::note_new_signer(entry, position).expect("room");
    let added = sponsorship::add_signer(&mut ledger, &council_account(), Some(&root()), position);
    assert!(matches!(added, Ok(Ok(()))));
    decide_on(&mut ledger, next());
    begin_block(&mut ledger, Slot(109)).expect("a version that is known");
    let figures = |entry: &AccountEntry| match &entry.ext {
        stellar_xdr::AccountEntryExt::V1(v1) => match &v1.ext {
            stellar_xdr::AccountEntryExtensionV1Ext::V2(v2) => {
                (v2.num_sponsored, v2.num_sponsoring, v2.signer_sponsoring_i_ds.len())
            }
            stellar_xdr::AccountEntryExtensionV1Ext::V0 => (0, 0, 0),
        },
        stellar_xdr::AccountEntryExt::V0 => (0, 0, 0),
    };
    let council = account(&mut ledger);
    assert_eq!((figures(&council), council.signers.len(), council.num_sub_entries), ((0, 0, 7), 7, 7));
    let payer = ledger.account(&root()).expect("readable").expect("there").clone();
    assert_eq!(figures(&payer).1, 0);
}

#[test]
fn epoch_begins_although_the_governance_account_is_gone() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    decide_on(&mut ledger, next());
    ledger.remove(&StateKey::account(&council_account())).expect("readable");
    begin_block(&mut ledger, Slot(109)).expect("a version that is known");
    assert_eq!(governance(&mut ledger).scheduled, None);
}

#[test]
fn set_of_an_epoch_that_begins_is_kept_for_evidence_by_rules_that_know_it() {
    let kept = |version| {
        let state = state_of(version);
        let mut ledger = Overlay::new(&state, 2).expect("a state");
        decide_on(&mut ledger, next());
        begin_block(&mut ledger, Slot(108)).expect("a version that is known");
        assert_eq!(ledger.get(&StateKey::Accountability).expect("readable"), None, "in the epoch before");
        begin_block(&mut ledger, Slot(109)).expect("a version that is known");
        match ledger.get(&StateKey::Accountability).expect("readable") {
            Some(StateValue::Accountability(kept)) => kept.sets.clone(),
            other => {
                assert_eq!(other, None);
                Vec::new()
            }
        }
    };
    assert_eq!(kept(EVIDENCE_SINCE), [next()]);
    assert_eq!(kept(EVIDENCE_SINCE - 1), []);
}

#[test]
fn sets_of_an_edge_network_change_who_orders_and_never_where() {
    let founded = Genesis { deployment: proposers(1, 2), ..genesis(NEWEST_PROTOCOL) };
    let state = MemoryState::new(state_entries(&founded).expect("a ledger that can live"));
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    let refused = propose_set(&mut ledger, 1, next(), moment(0, 100));
    assert_eq!(refused, Err(Refusal::NotPossible), "its validators would order");

    let next = EpochSet { deployment: proposers(2, 3), ..next() };
    decide_on(&mut ledger, next.clone());
    let end = EpochEnd { slot: Slot(108), next_set: next.hash() };
    assert_eq!(epoch_end(&mut ledger).expect("readable"), Some(end));
    begin_block(&mut ledger, Slot(109)).expect("a version that is known");
    assert_eq!(account(&mut ledger).signers.len(), 7, "proposers govern nothing");

    let at = moment(1, 109);
    let later = EpochSet { epoch: Epoch(2), ..next };
    let together = EpochSet { deployment: Deployment::CoLocated, ..later.clone() };
    assert_eq!(propose_set(&mut ledger, 8, together, at), Err(Refusal::NotPossible), "in a later epoch");
    propose_set(&mut ledger, 8, later, at).expect("possible");
}

#[test]
fn proposers_of_their_own_come_by_no_vote() {
    let state = state();
    let mut ledger = Overlay::new(&state, 2).expect("a state");
    let apart = EpochSet { deployment: proposers(1, 2), ..next() };
    assert_eq!(propose_set(&mut ledger, 1, apart, moment(0, 100)), Err(Refusal::NotPossible));
}
