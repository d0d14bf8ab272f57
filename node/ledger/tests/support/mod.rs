//! A small world of named accounts for the ledger's tests: states, transactions, and outcomes in words.
//!
//! Base fee 100, base reserve 10; an account alone must keep 20. Blocks close in ledger 10 at second 1,000.

#![allow(dead_code, unused_imports, reason = "every test target uses a part of it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use carat_ledger::apply::BlockInput;
use carat_ledger::{
    BlockOutcome, Ed25519, MemoryState, Moment, NEWEST_PROTOCOL, SortKey, StateKey, StateValue, Totals,
    apply, audit_supply,
};
use carat_types::governance::Governance;
use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, network_id};
use carat_types::{Digest, Epoch, PublicKey, SecretKey, Slot};
use stellar_xdr::*;

mod genesis;
mod market;
mod transactions;
mod words;

pub(crate) use genesis::*;
pub(crate) use transactions::*;
pub(crate) use words::*;

pub(crate) const BASE_FEE: u32 = 100;
pub(crate) const BASE_RESERVE: u32 = 10;
pub(crate) const LEDGER: u32 = 10;
pub(crate) const CLOSE_TIME: u64 = 1_000;
/// The slot of every block unless said otherwise.
pub(crate) const SLOT: Slot = Slot(100);
pub(crate) const CHAIN_ID: Digest = Digest([0xca; 32]);
pub(crate) const MOMENT: Moment =
    Moment { ledger_seq: LEDGER, close_time: CLOSE_TIME, epoch: Epoch(0), slot: SLOT, chain_id: CHAIN_ID };
/// Sequence number of every account unless said otherwise.
pub(crate) const SEQUENCE: i64 = 5 << 32;

pub(crate) fn network() -> Digest {
    network_id("carat ledger tests")
}

pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&sha256(&[name.as_bytes()]).0)
}

/// Derived once for each name: tests ask for it all the time, and it is a multiplication on the curve.
pub(crate) fn id(name: &str) -> PublicKey {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, PublicKey>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| match known.get(name) {
        Some(id) => *id,
        None => *known.entry(name.to_owned()).or_insert_with(|| key(name).public()),
    })
}

pub(crate) fn account_id(name: &str) -> AccountId {
    id(name).into()
}

/// `EUR:anchor`, or `native`.
pub(crate) fn asset(text: &str) -> Asset {
    let Some((code, issuer)) = text.split_once(':') else { return Asset::Native };
    let issuer = account_id(issuer);
    if code.len() <= 4 {
        let mut bytes = [0; 4];
        bytes[..code.len()].copy_from_slice(code.as_bytes());
        Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(bytes), issuer })
    } else {
        let mut bytes = [0; 12];
        bytes[..code.len()].copy_from_slice(code.as_bytes());
        Asset::CreditAlphanum12(AlphaNum12 { asset_code: AssetCode12(bytes), issuer })
    }
}

/// A state under construction, and what names stand for.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: MemoryState,
    pub(crate) names: BTreeMap<PublicKey, String>,
    flags: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = World { state: MemoryState::default(), names: BTreeMap::new(), flags: 0 };
        world.settle();
        world
    }

    pub(crate) fn name(&mut self, name: &str) -> PublicKey {
        self.names.insert(id(name), name.to_owned());
        id(name)
    }

    /// An account with one key of weight 1.
    pub(crate) fn account(mut self, name: &str, balance: i64) -> Self {
        let account_id = self.name(name).into();
        let account = AccountEntry {
            account_id,
            balance,
            seq_num: SequenceNumber(SEQUENCE),
            num_sub_entries: 0,
            inflation_dest: None,
            flags: 0,
            home_domain: String32::default(),
            thresholds: Thresholds([1, 0, 0, 0]),
            signers: VecM::default(),
            ext: AccountEntryExt::V0,
        };
        self.put(&StateKey::account(&id(name)), LedgerEntryData::Account(account));
        self.settle();
        self
    }

    pub(crate) fn with(mut self, name: &str, change: impl FnOnce(&mut AccountEntry)) -> Self {
        let key = StateKey::account(&id(name));
        let Ok(Some(StateValue::Ledger(mut entry))) = self.state.value(&key) else {
            panic!("no account {name}")
        };
        let LedgerEntryData::Account(account) = &mut entry.data else { panic!("{name} is no account") };
        change(account);
        self.state.insert(&key, &StateValue::Ledger(entry));
        self.settle();
        self
    }

    pub(crate) fn flags(self, name: &str, flags: u32) -> Self {
        self.with(name, |account| account.flags = flags)
    }

    pub(crate) fn thresholds(self, name: &str, thresholds: [u8; 4]) -> Self {
        self.with(name, |account| account.thresholds = Thresholds(thresholds))
    }

    pub(crate) fn sequence(self, name: &str, sequence: i64) -> Self {
        self.with(name, |account| account.seq_num = SequenceNumber(sequence))
    }

    pub(crate) fn signer(self, name: &str, key: SignerKey, weight: u32) -> Self {
        self.with(name, |account| {
            let mut signers = account.signers.to_vec();
            signers.push(Signer { key, weight });
            signers.sort_by(|a, b| a.key.cmp(&b.key));
            account.signers = signers.try_into().expect("at most 20");
            account.num_sub_entries += 1;
        })
    }

    /// The account `council` governs, by the signatures of three of `one`, `two`, `three` and `four`. Checkpoints are 4 slots
    /// apart and the window is 8: what is decided in slot 100 is in force from slot 109 on.
    pub(crate) fn council(self) -> Self {
        let members = ["one", "two", "three", "four"];
        let world = self.account("council", 1_000).thresholds("council", [0, 3, 3, 3]);
        let world = members.into_iter().fold(world, |world, name| world.signer("council", key_of(name), 1));
        let governance = Governance {
            account: id("council"),
            checkpoint_interval: 4,
            window: 8,
            proposals: 0,
            open: Vec::new(),
            scheduled: None,
        };
        world.governed(|_| governance)
    }

    /// Changes the state of governance.
    pub(crate) fn governed(mut self, change: impl FnOnce(Option<Governance>) -> Governance) -> Self {
        let now = carat_ledger::governance::read(&self.state).expect("readable");
        self.state.insert(&StateKey::Governance, &StateValue::Governance(Box::new(change(now))));
        self
    }

    /// An authorized line; limit far away.
    pub(crate) fn line(self, holder: &str, asset_name: &str, balance: i64) -> Self {
        self.line_with(holder, asset_name, balance, |_| {})
    }

    pub(crate) fn line_with(
        mut self,
        holder: &str,
        asset_name: &str,
        balance: i64,
        change: impl FnOnce(&mut TrustLineEntry),
    ) -> Self {
        let of = asset(asset_name);
        if let Some((_, issuer)) = asset_name.split_once(':') {
            self.name(issuer);
        }
        let trustline_asset = match &of {
            Asset::CreditAlphanum4(code) => TrustLineAsset::CreditAlphanum4(code.clone()),
            Asset::CreditAlphanum12(code) => TrustLineAsset::CreditAlphanum12(code.clone()),
            Asset::Native => panic!("no lines of the coin"),
        };
        let mut line = TrustLineEntry {
            account_id: account_id(holder),
            asset: trustline_asset,
            balance,
            limit: 1_000_000,
            flags: 1,
            ext: TrustLineEntryExt::V0,
        };
        change(&mut line);
        self.put(&StateKey::trustline(&id(holder), &of), LedgerEntryData::Trustline(line));
        let key = StateKey::Supply(of);
        let supply = match self.state.value(&key).expect("readable") {
            Some(StateValue::Supply(supply)) => supply,
            _ => 0,
        };
        if supply + i128::from(balance) != 0 {
            self.state.insert(&key, &StateValue::Supply(supply + i128::from(balance)));
        }
        self.with(holder, |account| account.num_sub_entries += 1)
    }

    /// Sets the flags of a line that is there.
    pub(crate) fn flag_line(self, holder: &str, of: &str, flags: u32) -> Self {
        self.change_line(holder, of, |line| line.flags = flags)
    }

    /// Sets the limit of a line that is there.
    pub(crate) fn limit_line(self, holder: &str, of: &str, limit: i64) -> Self {
        self.change_line(holder, of, |line| line.limit = limit)
    }

    fn change_line(mut self, holder: &str, of: &str, change: impl FnOnce(&mut TrustLineEntry)) -> Self {
        let key = StateKey::trustline(&id(holder), &asset(of));
        let Ok(Some(StateValue::Ledger(mut entry))) = self.state.value(&key) else { panic!("no line {of}") };
        let LedgerEntryData::Trustline(line) = &mut entry.data else { panic!("{of} is no line") };
        change(line);
        self.state.insert(&key, &StateValue::Ledger(entry));
        self
    }

    pub(crate) fn data(mut self, owner: &str, name: &str, value: &str) -> Self {
        let entry = DataEntry {
            account_id: account_id(owner),
            data_name: string64(name),
            data_value: DataValue(value.as_bytes().try_into().expect("short")),
            ext: DataEntryExt::V0,
        };
        self.put(&StateKey::data(&id(owner), &string64(name)), LedgerEntryData::Data(entry));
        self.with(owner, |account| account.num_sub_entries += 1)
    }

    /// Counts of entries whose reserve others pay for the account, and it for others.
    pub(crate) fn sponsorships(self, name: &str, sponsored: u32, sponsoring: u32) -> Self {
        self.with(name, |account| {
            let nobody = vec![SponsorshipDescriptor(None); account.signers.len()];
            account.ext = AccountEntryExt::V1(AccountEntryExtensionV1 {
                liabilities: Liabilities { buying: 0, selling: 0 },
                ext: AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
                    num_sponsored: sponsored,
                    num_sponsoring: sponsoring,
                    signer_sponsoring_i_ds: nobody.try_into().expect("at most 20"),
                    ext: AccountEntryExtensionV2Ext::V0,
                }),
            });
        })
    }

    /// Notes who pays the reserve of an entry.
    pub(crate) fn sponsor_of(mut self, key: &StateKey, sponsor: &str) -> Self {
        let Ok(Some(StateValue::Ledger(mut entry))) = self.state.value(key) else {
            panic!("no entry {key:?}")
        };
        entry.ext = LedgerEntryExt::V1(LedgerEntryExtensionV1 {
            sponsoring_id: SponsorshipDescriptor(Some(account_id(sponsor))),
            ext: LedgerEntryExtensionV1Ext::V0,
        });
        self.state.insert(key, &StateValue::Ledger(entry));
        self
    }

    /// A member of the network.
    pub(crate) fn member(mut self, name: &str) -> Self {
        self.flags |= Totals::FLAG_MEMBERS;
        self.state.insert(&StateKey::Member(id(name)), &StateValue::Member);
        self.settle();
        self
    }

    pub(crate) fn restricted(mut self) -> Self {
        self.flags |= Totals::FLAG_ADMISSION_RESTRICTED;
        self.settle();
        self
    }

    /// A network on which only assets may be held whose issuer authorises each holder.
    pub(crate) fn authorised_assets_only(mut self) -> Self {
        self.flags |= Totals::FLAG_AUTHORISED_ASSETS;
        self.settle();
        self
    }

    /// Notes which member created an account.
    pub(crate) fn created_by(mut self, name: &str, member: &str) -> Self {
        self.state.insert(&StateKey::Creator(id(name)), &StateValue::Creator(id(member)));
        self
    }

    /// Another base fee and reserve.
    pub(crate) fn parameters(mut self, base_fee: u32, base_reserve: u32) -> Self {
        let totals = Totals { base_fee, base_reserve, ..self.totals() };
        self.state.insert(&StateKey::Totals, &StateValue::Totals(totals));
        self
    }

    /// Another version of the rules.
    pub(crate) fn version(mut self, protocol_version: u32) -> Self {
        let totals = Totals { protocol_version, ..self.totals() };
        self.state.insert(&StateKey::Totals, &StateValue::Totals(totals));
        self
    }

    pub(crate) fn totals(&self) -> Totals {
        let Ok(Some(StateValue::Totals(totals))) = self.state.value(&StateKey::Totals) else {
            panic!("no totals")
        };
        totals
    }

    pub(crate) fn read_account(&self, id: &PublicKey) -> Option<AccountEntry> {
        match self.state.value(&StateKey::account(id)).expect("readable") {
            Some(StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Account(account), .. })) => {
                Some(account)
            }
            _ => None,
        }
    }

    fn put(&mut self, key: &StateKey, data: LedgerEntryData) {
        let entry = LedgerEntry { last_modified_ledger_seq: 1, data, ext: LedgerEntryExt::V0 };
        self.state.insert(key, &StateValue::Ledger(entry));
    }

    /// Makes the totals fit the accounts.
    fn settle(&mut self) {
        let old = self.state.value(&StateKey::Totals).expect("readable");
        let (base_fee, base_reserve, id_pool, protocol_version) = match old {
            Some(StateValue::Totals(totals)) => {
                (totals.base_fee, totals.base_reserve, totals.id_pool, totals.protocol_version)
            }
            _ => (BASE_FEE, BASE_RESERVE, 0, NEWEST_PROTOCOL),
        };
        let entries = self.state.entries().filter(|(key, _)| *key != StateKey::Totals.to_bytes());
        let held =
            audit_supply(entries).expect("readable").get(&Asset::Native).map_or(0, |coin| coin.holdings);
        // Some worlds hold more coins than there can be; what they are tested for is something else.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let total_coins = held as i64;
        let totals = Totals {
            total_coins,
            fee_pool: 0,
            id_pool,
            base_fee,
            base_reserve,
            max_transactions: 4_000,
            max_operations: 8_000,
            protocol_version,
            flags: self.flags,
        };
        self.state.insert(&StateKey::Totals, &StateValue::Totals(totals));
    }

    /// The world after these transactions, one a block, which must succeed; as if no sequence number had been used.
    pub(crate) fn after(mut self, transactions: &[Tx]) -> Self {
        for transaction in transactions {
            let outcome = self.apply(std::slice::from_ref(transaction));
            let result = outcome.applied.first().map(|applied| in_words(&applied.result));
            let result = result.unwrap_or_else(|| format!("{:?}", outcome.dropped));
            assert!(result.starts_with("success"), "{result}");
            self.state.apply(&outcome.delta);
            for name in self.names.values().cloned().collect::<Vec<_>>() {
                if self.read_account(&id(&name)).is_some() {
                    self = self.sequence(&name, SEQUENCE);
                }
            }
        }
        self
    }

    /// Rich accounts that hold the asset, for markets.
    pub(crate) fn holder(self, name: &str, of: &str, balance: i64) -> Self {
        self.account(name, 10_000).line(name, of, balance)
    }

    pub(crate) fn apply(&self, transactions: &[Tx]) -> BlockOutcome {
        let envelopes: Vec<_> = transactions.iter().map(Tx::signed).collect();
        self.apply_envelopes(&envelopes)
    }

    pub(crate) fn apply_envelopes(&self, envelopes: &[Arc<SignedTransaction>]) -> BlockOutcome {
        apply(&self.state, &block(envelopes)).expect("a state without contradictions")
    }

    /// Holdings and supply agree for every asset, nothing is negative, and the market is in order.
    pub(crate) fn assert_sound(&self, what: &str) {
        market::assert_in_order(&self.state, what);
        for (asset, figures) in audit_supply(self.state.entries()).expect("readable") {
            assert!(figures.agree(), "{what}: {asset:?} {figures:?}");
            assert!(figures.supply >= 0, "{what}: {asset:?} {figures:?}");
        }
        for (key, value) in self.state.entries() {
            let key = StateKey::from_bytes(key).expect("our key");
            match StateValue::from_bytes(&key, value).expect("our value") {
                StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Account(account), .. }) => {
                    assert!(account.balance >= 0, "{what}: {account:?}");
                }
                StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Trustline(line), .. }) => {
                    assert!(line.balance >= 0 && line.balance <= line.limit, "{what}: {line:?}");
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn block(envelopes: &[Arc<SignedTransaction>]) -> BlockInput<'_> {
    BlockInput {
        sort_key: SortKey::Prefix(Digest([7; 32])),
        ledger_seq: LEDGER,
        chain_id: CHAIN_ID,
        epoch: Epoch(0),
        slot: SLOT,
        time_ms: CLOSE_TIME * 1_000 + 999,
        envelopes,
        signatures: &Ed25519,
        record_changes: true,
    }
}
