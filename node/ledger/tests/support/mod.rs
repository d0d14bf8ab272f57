//! A small world of named accounts for the ledger's tests: states, transactions, and outcomes in words.
//!
//! Base fee 100, base reserve 10; an account alone must keep 20. Blocks close in ledger 10 at second 1,000.

#![allow(dead_code, reason = "every test target uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_ledger::apply::BlockInput;
use carat_ledger::{
    BlockOutcome, Ed25519, MemoryState, Moment, SortKey, StateKey, StateValue, Totals, apply, audit_supply,
};
use carat_types::hash::sha256;
use carat_types::transaction::{SignedTransaction, network_id, sign_hash, transaction_hash};
use carat_types::{Digest, PublicKey, SecretKey};
use stellar_xdr::*;

pub(crate) const BASE_FEE: u32 = 100;
pub(crate) const BASE_RESERVE: u32 = 10;
pub(crate) const LEDGER: u32 = 10;
pub(crate) const CLOSE_TIME: u64 = 1_000;
pub(crate) const MOMENT: Moment = Moment { ledger_seq: LEDGER, close_time: CLOSE_TIME };
/// Sequence number of every account unless said otherwise.
pub(crate) const SEQUENCE: i64 = 5 << 32;

pub(crate) fn network() -> Digest {
    network_id("carat ledger tests")
}

pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(&sha256(&[name.as_bytes()]).0)
}

pub(crate) fn id(name: &str) -> PublicKey {
    key(name).public()
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
        let (base_fee, base_reserve) = match old {
            Some(StateValue::Totals(totals)) => (totals.base_fee, totals.base_reserve),
            _ => (BASE_FEE, BASE_RESERVE),
        };
        let coins: i64 = self
            .state
            .entries()
            .filter_map(|(key, value)| {
                let key = StateKey::from_bytes(key).expect("our key");
                match StateValue::from_bytes(&key, value).expect("our value") {
                    StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Account(account), .. }) => {
                        Some(account.balance)
                    }
                    _ => None,
                }
            })
            .fold(0, i64::wrapping_add);
        let totals = Totals {
            total_coins: coins,
            fee_pool: 0,
            id_pool: 0,
            base_fee,
            base_reserve,
            max_transactions: 4_000,
            max_operations: 8_000,
            protocol_version: 28,
            flags: self.flags,
        };
        self.state.insert(&StateKey::Totals, &StateValue::Totals(totals));
    }

    pub(crate) fn apply(&self, transactions: &[Tx]) -> BlockOutcome {
        let envelopes: Vec<_> = transactions.iter().map(Tx::signed).collect();
        self.apply_envelopes(&envelopes)
    }

    pub(crate) fn apply_envelopes(&self, envelopes: &[Arc<SignedTransaction>]) -> BlockOutcome {
        apply(&self.state, &block(envelopes)).expect("a state without contradictions")
    }

    /// Holdings and supply agree for every asset, and nothing is negative.
    pub(crate) fn assert_sound(&self, what: &str) {
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
        time_ms: CLOSE_TIME * 1_000 + 999,
        envelopes,
        signatures: &Ed25519,
        record_changes: true,
    }
}

/// A transaction under construction; signed by its source unless signers are named.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) transaction: Transaction,
    source: String,
    signers: Option<Vec<String>>,
    extra: Vec<DecoratedSignature>,
    bump: Option<(String, i64, Vec<String>)>,
}

pub(crate) fn tx(source: &str) -> Tx {
    Tx {
        transaction: Transaction {
            source_account: id(source).into(),
            fee: BASE_FEE,
            seq_num: SequenceNumber(SEQUENCE + 1),
            cond: Preconditions::None,
            memo: Memo::None,
            operations: VecM::default(),
            ext: TransactionExt::V0,
        },
        source: source.to_owned(),
        signers: None,
        extra: Vec::new(),
        bump: None,
    }
}

impl Tx {
    /// Adds an operation of the source and its fee.
    pub(crate) fn op(self, body: OperationBody) -> Self {
        self.operation(None, body)
    }

    /// Adds an operation of another source.
    pub(crate) fn op_by(self, source: &str, body: OperationBody) -> Self {
        self.operation(Some(id(source).into()), body)
    }

    fn operation(mut self, source_account: Option<MuxedAccount>, body: OperationBody) -> Self {
        let mut operations = self.transaction.operations.to_vec();
        operations.push(Operation { source_account, body });
        self.transaction.fee = BASE_FEE * u32::try_from(operations.len()).expect("few");
        self.transaction.operations = operations.try_into().expect("at most 100");
        self
    }

    pub(crate) fn seq(mut self, offset: i64) -> Self {
        self.transaction.seq_num = SequenceNumber(SEQUENCE + offset);
        self
    }

    pub(crate) fn seq_is(mut self, sequence: i64) -> Self {
        self.transaction.seq_num = SequenceNumber(sequence);
        self
    }

    pub(crate) fn fee(mut self, fee: u32) -> Self {
        self.transaction.fee = fee;
        self
    }

    pub(crate) fn memo(mut self, text: &str) -> Self {
        self.transaction.memo = Memo::Text(text.as_bytes().try_into().expect("short"));
        self
    }

    pub(crate) fn time(mut self, min: u64, max: u64) -> Self {
        self.transaction.cond =
            Preconditions::Time(TimeBounds { min_time: TimePoint(min), max_time: TimePoint(max) });
        self
    }

    pub(crate) fn conditions(mut self, change: impl FnOnce(&mut PreconditionsV2)) -> Self {
        let mut conditions = PreconditionsV2 {
            time_bounds: None,
            ledger_bounds: None,
            min_seq_num: None,
            min_seq_age: Duration(0),
            min_seq_ledger_gap: 0,
            extra_signers: VecM::default(),
        };
        change(&mut conditions);
        self.transaction.cond = Preconditions::V2(conditions);
        self
    }

    pub(crate) fn muxed(mut self, number: u64) -> Self {
        let ed25519 = Uint256(id(&self.source).0);
        self.transaction.source_account =
            MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: number, ed25519 });
        self
    }

    /// Names all signers.
    pub(crate) fn by(mut self, signers: &[&str]) -> Self {
        self.signers = Some(signers.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Adds a ready-made signature.
    pub(crate) fn plus(mut self, signature: DecoratedSignature) -> Self {
        self.extra.push(signature);
        self
    }

    /// Wraps it in a fee bump signed by the payer.
    pub(crate) fn bump(mut self, payer: &str, fee: i64) -> Self {
        self.bump = Some((payer.to_owned(), fee, vec![payer.to_owned()]));
        self
    }

    pub(crate) fn bump_by(mut self, payer: &str, fee: i64, signers: &[&str]) -> Self {
        self.bump = Some((payer.to_owned(), fee, signers.iter().map(|name| (*name).to_owned()).collect()));
        self
    }

    pub(crate) fn inner_hash(&self) -> Digest {
        transaction_hash(&network(), &TransactionEnvelope::from(self.transaction.clone()))
    }

    pub(crate) fn envelope(&self) -> TransactionEnvelope {
        let own = [self.source.clone()];
        let signers = self.signers.as_deref().unwrap_or(&own);
        let hash = self.inner_hash();
        let mut signatures: Vec<_> = signers.iter().map(|name| sign_hash(&key(name), &hash)).collect();
        signatures.extend(self.extra.iter().cloned());
        let signatures = signatures.try_into().expect("at most 20");
        let inner = TransactionV1Envelope { tx: self.transaction.clone(), signatures };
        let Some((payer, fee, signers)) = &self.bump else { return TransactionEnvelope::Tx(inner) };
        let mut envelope = TransactionEnvelope::from(FeeBumpTransaction {
            fee_source: id(payer).into(),
            fee: *fee,
            inner_tx: FeeBumpTransactionInnerTx::Tx(inner),
            ext: FeeBumpTransactionExt::V0,
        });
        let keys: Vec<SecretKey> = signers.iter().map(|name| key(name)).collect();
        let keys: Vec<&SecretKey> = keys.iter().collect();
        carat_types::transaction::sign_envelope(&network(), &mut envelope, &keys).expect("room");
        envelope
    }

    pub(crate) fn signed(&self) -> Arc<SignedTransaction> {
        Arc::new(SignedTransaction::from_envelope(&network(), self.envelope()).expect("short"))
    }
}

// Operations.

pub(crate) fn pay(to: &str, amount: i64, of: &str) -> OperationBody {
    OperationBody::Payment(PaymentOp { destination: id(to).into(), asset: asset(of), amount })
}

pub(crate) fn create(name: &str, starting_balance: i64) -> OperationBody {
    OperationBody::CreateAccount(CreateAccountOp { destination: account_id(name), starting_balance })
}

pub(crate) fn trust(of: &str, limit: i64) -> OperationBody {
    let line = match asset(of) {
        Asset::Native => ChangeTrustAsset::Native,
        Asset::CreditAlphanum4(code) => ChangeTrustAsset::CreditAlphanum4(code),
        Asset::CreditAlphanum12(code) => ChangeTrustAsset::CreditAlphanum12(code),
    };
    OperationBody::ChangeTrust(ChangeTrustOp { line, limit })
}

pub(crate) fn options(change: impl FnOnce(&mut SetOptionsOp)) -> OperationBody {
    let mut op = SetOptionsOp {
        inflation_dest: None,
        clear_flags: None,
        set_flags: None,
        master_weight: None,
        low_threshold: None,
        med_threshold: None,
        high_threshold: None,
        home_domain: None,
        signer: None,
    };
    change(&mut op);
    OperationBody::SetOptions(op)
}

pub(crate) fn set_signer(key: SignerKey, weight: u32) -> OperationBody {
    options(|op| op.signer = Some(Signer { key, weight }))
}

pub(crate) fn allow(holder: &str, code: [u8; 4], authorize: u32) -> OperationBody {
    let asset = AssetCode::CreditAlphanum4(AssetCode4(code));
    OperationBody::AllowTrust(AllowTrustOp { trustor: account_id(holder), asset, authorize })
}

pub(crate) fn line_flags(holder: &str, of: &str, set_flags: u32, clear_flags: u32) -> OperationBody {
    let (trustor, asset) = (account_id(holder), asset(of));
    OperationBody::SetTrustLineFlags(SetTrustLineFlagsOp { trustor, asset, clear_flags, set_flags })
}

pub(crate) fn clawback(from: &str, amount: i64, of: &str) -> OperationBody {
    OperationBody::Clawback(ClawbackOp { asset: asset(of), from: id(from).into(), amount })
}

pub(crate) fn merge(into: &str) -> OperationBody {
    OperationBody::AccountMerge(id(into).into())
}

pub(crate) fn data(name: &str, value: Option<&str>) -> OperationBody {
    let data_value = value.map(|value| DataValue(value.as_bytes().try_into().expect("short")));
    OperationBody::ManageData(ManageDataOp { data_name: string64(name), data_value })
}

pub(crate) fn bump_sequence(to: i64) -> OperationBody {
    OperationBody::BumpSequence(BumpSequenceOp { bump_to: SequenceNumber(to) })
}

pub(crate) fn string64(text: &str) -> String64 {
    String64(text.as_bytes().try_into().expect("at most 64 characters"))
}

// Signer keys.

pub(crate) fn key_of(name: &str) -> SignerKey {
    SignerKey::Ed25519(Uint256(id(name).0))
}

pub(crate) fn hash_of(preimage: &[u8]) -> SignerKey {
    SignerKey::HashX(Uint256(sha256(&[preimage]).0))
}

pub(crate) fn pre_authorized(hash: Digest) -> SignerKey {
    SignerKey::PreAuthTx(Uint256(hash.0))
}

pub(crate) fn payload_of(name: &str, payload: &[u8]) -> SignerKey {
    SignerKey::Ed25519SignedPayload(SignerKeyEd25519SignedPayload {
        ed25519: Uint256(id(name).0),
        payload: payload.try_into().expect("at most 64 bytes"),
    })
}

pub(crate) fn preimage(preimage: &[u8]) -> DecoratedSignature {
    let hash = sha256(&[preimage]).0;
    DecoratedSignature {
        hint: SignatureHint(hash[28..].try_into().expect("four bytes")),
        signature: Signature(preimage.try_into().expect("at most 64 bytes")),
    }
}

pub(crate) fn payload_signature(name: &str, payload: &[u8]) -> DecoratedSignature {
    let mut hint = id(name).hint();
    let tail = &payload[payload.len().saturating_sub(4)..];
    hint.iter_mut().zip(tail).for_each(|(byte, with)| *byte ^= with);
    let signature = key(name).sign(payload).0.as_slice().try_into().expect("64 bytes");
    DecoratedSignature { hint: SignatureHint(hint), signature: Signature(signature) }
}

// Outcomes in words.

/// `success Payment(Success)`, `failed ...`, `BadSeq`, `bump(...)`.
pub(crate) fn in_words(result: &TransactionResult) -> String {
    match &result.result {
        TransactionResultResult::TxFeeBumpInnerSuccess(pair)
        | TransactionResultResult::TxFeeBumpInnerFailed(pair) => {
            assert_eq!(pair.result.fee_charged, 0);
            format!("bump({})", inner_in_words(&pair.result.result))
        }
        TransactionResultResult::TxSuccess(results) => format!("success {}", operations_in_words(results)),
        TransactionResultResult::TxFailed(results) => format!("failed {}", operations_in_words(results)),
        other => other.name().trim_start_matches("Tx").to_owned(),
    }
}

fn inner_in_words(result: &InnerTransactionResultResult) -> String {
    match result {
        InnerTransactionResultResult::TxSuccess(results) => {
            format!("success {}", operations_in_words(results))
        }
        InnerTransactionResultResult::TxFailed(results) => format!("failed {}", operations_in_words(results)),
        other => other.name().trim_start_matches("Tx").to_owned(),
    }
}

fn operations_in_words(results: &[OperationResult]) -> String {
    let words: Vec<String> = results
        .iter()
        .map(|result| match result {
            OperationResult::OpInner(result) => format!("{result:?}"),
            other => format!("{other:?}"),
        })
        .collect();
    words.join(" ")
}

/// What differs between two states, one line an entry.
pub(crate) fn changes_in_words(before: &World, after: &World) -> Vec<String> {
    let mut keys: Vec<Vec<u8>> =
        before.state.entries().chain(after.state.entries()).map(|(k, _)| k.to_vec()).collect();
    keys.sort();
    keys.dedup();
    let mut words: Vec<String> = keys
        .into_iter()
        .filter_map(|key| {
            let key = StateKey::from_bytes(&key).expect("our key");
            let (old, new) =
                (before.state.value(&key).expect("readable"), after.state.value(&key).expect("readable"));
            (old != new).then(|| change_in_words(&before.names, &key, old, new))
        })
        .filter(|words| !words.is_empty())
        .collect();
    words.sort();
    words
}

fn name_of(names: &BTreeMap<PublicKey, String>, account: &AccountId) -> String {
    names.get(&PublicKey::from(account)).cloned().unwrap_or_else(|| "?".to_owned())
}

fn change_in_words(
    names: &BTreeMap<PublicKey, String>,
    key: &StateKey,
    old: Option<StateValue>,
    new: Option<StateValue>,
) -> String {
    let subject = match key {
        StateKey::Ledger(LedgerKey::Account(key)) => name_of(names, &key.account_id),
        StateKey::Ledger(LedgerKey::Trustline(key)) => {
            format!("{}/{}", name_of(names, &key.account_id), trustline_code(&key.asset))
        }
        StateKey::Ledger(LedgerKey::Data(key)) => {
            let mut entry = key.data_name.0.to_utf8_string_lossy();
            for (id, name) in names {
                entry = entry.replace(&AccountId::from(*id).to_string(), name);
            }
            format!("{}/data {entry}", name_of(names, &key.account_id))
        }
        StateKey::Totals => "totals".to_owned(),
        StateKey::Supply(asset) => format!("supply {}", code_of(asset)),
        StateKey::Creator(id) => format!("creator of {}", name_of(names, &AccountId::from(*id))),
        other => format!("{other:?}"),
    };
    let aspects = match (old, new) {
        (None, Some(StateValue::Creator(member))) => vec![name_of(names, &AccountId::from(member))],
        (None, Some(new)) => vec![format!("new {}", value_in_words(&new))],
        (Some(_), None) => vec!["gone".to_owned()],
        (Some(old), Some(new)) => aspects(&old, &new),
        (None, None) => Vec::new(),
    };
    if aspects.is_empty() { String::new() } else { format!("{subject}: {}", aspects.join(", ")) }
}

fn code_of(asset: &Asset) -> String {
    let text = carat_ledger::asset::display(asset);
    text.split(':').next().unwrap_or_default().to_owned()
}

fn trustline_code(asset: &TrustLineAsset) -> String {
    match asset {
        TrustLineAsset::CreditAlphanum4(code) => code_of(&Asset::CreditAlphanum4(code.clone())),
        TrustLineAsset::CreditAlphanum12(code) => code_of(&Asset::CreditAlphanum12(code.clone())),
        other => format!("{other:?}"),
    }
}

fn value_in_words(value: &StateValue) -> String {
    match value {
        StateValue::Ledger(entry) => match &entry.data {
            LedgerEntryData::Account(account) => format!("account {}", account.balance),
            LedgerEntryData::Trustline(line) => {
                format!("line {} limit {} flags {}", line.balance, line.limit, line.flags)
            }
            LedgerEntryData::Data(data) => format!("{:?}", String::from_utf8_lossy(&data.data_value.0)),
            other => format!("{other:?}"),
        },
        StateValue::Supply(amount) => format!("{amount}"),
        other => format!("{other:?}"),
    }
}

fn aspects(old: &StateValue, new: &StateValue) -> Vec<String> {
    let mut words = Vec::new();
    match (old, new) {
        (StateValue::Ledger(old), StateValue::Ledger(new)) => match (&old.data, &new.data) {
            (LedgerEntryData::Account(old), LedgerEntryData::Account(new)) => {
                account_aspects(old, new, &mut words)
            }
            (LedgerEntryData::Trustline(old), LedgerEntryData::Trustline(new)) => {
                moved("balance", old.balance, new.balance, &mut words);
                moved("limit", old.limit, new.limit, &mut words);
                moved("flags", old.flags.into(), new.flags.into(), &mut words);
            }
            (LedgerEntryData::Data(_), LedgerEntryData::Data(data)) => {
                words.push(format!("{:?}", String::from_utf8_lossy(&data.data_value.0)));
            }
            other => words.push(format!("{other:?}")),
        },
        (StateValue::Totals(old), StateValue::Totals(new)) => {
            moved("fee pool", old.fee_pool, new.fee_pool, &mut words);
        }
        (StateValue::Supply(old), StateValue::Supply(new)) => words.push(format!("{:+}", new - old)),
        other => words.push(format!("{other:?}")),
    }
    words
}

fn account_aspects(old: &AccountEntry, new: &AccountEntry, words: &mut Vec<String>) {
    moved("balance", old.balance, new.balance, words);
    moved("sequence", old.seq_num.0, new.seq_num.0, words);
    moved("subentries", old.num_sub_entries.into(), new.num_sub_entries.into(), words);
    moved("flags", old.flags.into(), new.flags.into(), words);
    if old.thresholds != new.thresholds {
        words.push(format!("thresholds {:?}", new.thresholds.0));
    }
    if old.signers != new.signers {
        let weights: Vec<u32> = new.signers.iter().map(|signer| signer.weight).collect();
        words.push(format!("signers {weights:?}"));
    }
    if old.home_domain != new.home_domain {
        words.push(format!("domain {}", new.home_domain.0.to_utf8_string_lossy()));
    }
    let (before, after) = (sponsorship_counts(old), sponsorship_counts(new));
    moved("sponsored", before.0, after.0, words);
    moved("sponsoring", before.1, after.1, words);
    if old.inflation_dest != new.inflation_dest {
        words.push("inflation destination".to_owned());
    }
}

fn sponsorship_counts(account: &AccountEntry) -> (i64, i64) {
    if let AccountEntryExt::V1(v1) = &account.ext
        && let AccountEntryExtensionV1Ext::V2(v2) = &v1.ext
    {
        return (v2.num_sponsored.into(), v2.num_sponsoring.into());
    }
    (0, 0)
}

fn moved(what: &str, old: i64, new: i64, words: &mut Vec<String>) {
    if old != new {
        words.push(format!("{what} {:+}", i128::from(new) - i128::from(old)));
    }
}
