//! An account with its balances, signers and data.

use std::collections::BTreeMap;

use serde::Serialize;
use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1Ext, AccountEntryExtensionV2Ext, AccountFlags,
    LedgerEntry, LedgerEntryData, LedgerEntryExt, Liabilities, SignerKey, Thresholds, TrustLineAsset,
    TrustLineEntry, TrustLineEntryExt, TrustLineFlags,
};

use crate::format;
use crate::links::{Link, Links};
use crate::visibility::Seen;
use carat_history::AccountState;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    #[serde(rename = "_links")]
    links: AccountLinks,
    id: String,
    account_id: String,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_ledger: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_time: Option<String>,
    subentry_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflation_destination: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    home_domain: String,
    last_modified_ledger: u32,
    last_modified_time: Option<String>,
    thresholds: AccountThresholds,
    flags: Flags,
    balances: Vec<Balance>,
    signers: Vec<Signer>,
    data: BTreeMap<String, String>,
    num_sponsoring: u32,
    num_sponsored: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
    paging_token: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AccountLinks {
    #[serde(rename = "self")]
    this: Link,
    transactions: Link,
    operations: Link,
    payments: Link,
    effects: Link,
    offers: Link,
    trades: Link,
    data: Link,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AccountThresholds {
    low_threshold: u8,
    med_threshold: u8,
    high_threshold: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Flags {
    auth_required: bool,
    auth_revocable: bool,
    auth_immutable: bool,
    auth_clawback_enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Signer {
    weight: u32,
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
struct Balance {
    balance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    liquidity_pool_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buying_liabilities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selling_liabilities: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_ledger: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_authorized: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_authorized_to_maintain_liabilities: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_clawback_enabled: Option<bool>,
    asset_type: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    asset_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    asset_issuer: String,
}

/// A data entry, alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Data {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<String>,
}

impl Account {
    /// The account as it stands; `modified_ms` is when it last changed, where that is known.
    ///
    /// **Returns** `None` if the entry given is no account.
    pub fn new(links: &Links, state: &Seen<AccountState>, modified_ms: Option<u64>) -> Option<Self> {
        let LedgerEntryData::Account(entry) = &state.account.data else { return None };
        let id = entry.account_id.to_string();
        let extensions = Extensions::of(entry);
        let mut balances: Vec<Balance> = state.trustlines.iter().filter_map(Balance::of_line).collect();
        balances.push(Balance::native(entry.balance, &extensions.liabilities));
        Some(Account {
            links: AccountLinks::new(links, &id),
            account_id: id.clone(),
            sequence: entry.seq_num.0.to_string(),
            sequence_ledger: extensions.sequence.map(|(ledger, _)| ledger),
            sequence_time: extensions.sequence.map(|(_, time)| time.to_string()),
            subentry_count: entry.num_sub_entries,
            inflation_destination: entry.inflation_dest.as_ref().map(ToString::to_string),
            home_domain: format::text(&entry.home_domain),
            last_modified_ledger: state.account.last_modified_ledger_seq,
            last_modified_time: modified_ms.map(format::time),
            thresholds: AccountThresholds::of(&entry.thresholds),
            flags: Flags::of(entry.flags),
            balances,
            signers: signers_of(entry, &extensions.signer_sponsors),
            data: state.data.iter().filter_map(name_and_value).collect(),
            num_sponsoring: extensions.sponsoring,
            num_sponsored: extensions.sponsored,
            sponsor: sponsor_of(&state.account),
            paging_token: id.clone(),
            id,
        })
    }
}

/// What an account holds of assets whose issuer asks, and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holdings {
    id: String,
    account_id: String,
    balances: Vec<Balance>,
    paging_token: String,
}

impl Holdings {
    /// The lines of `state`.
    ///
    /// **Returns** `None` if the entry given is no account.
    pub fn new(state: &Seen<AccountState>) -> Option<Self> {
        let LedgerEntryData::Account(entry) = &state.account.data else { return None };
        let id = entry.account_id.to_string();
        let balances = state.trustlines.iter().filter_map(Balance::of_line).collect();
        Some(Holdings { account_id: id.clone(), balances, paging_token: id.clone(), id })
    }

    /// Its account's id, which is also its place in lists.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Account {
    /// Its id, which is also its place in lists.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Data {
    /// The data entry of this name, and its bytes.
    pub fn find(state: &Seen<AccountState>, name: &str) -> Option<(Self, Vec<u8>)> {
        state.data.iter().find_map(|entry| match &entry.data {
            LedgerEntryData::Data(data) if data.data_name.as_slice() == name.as_bytes() => {
                let value = data.data_value.to_vec();
                Some((Data { value: format::base64(&value), sponsor: sponsor_of(entry) }, value))
            }
            _ => None,
        })
    }
}

impl AccountLinks {
    fn new(links: &Links, id: &str) -> Self {
        let of = |name: &str| links.paged(format!("/accounts/{id}/{name}"));
        AccountLinks {
            this: links.to(format!("/accounts/{id}")),
            transactions: of("transactions"),
            operations: of("operations"),
            payments: of("payments"),
            effects: of("effects"),
            offers: of("offers"),
            trades: of("trades"),
            data: links.to(format!("/accounts/{id}/data/{{key}}")),
        }
    }
}

impl AccountThresholds {
    fn of(Thresholds([_, low, medium, high]): &Thresholds) -> Self {
        AccountThresholds { low_threshold: *low, med_threshold: *medium, high_threshold: *high }
    }
}

impl Flags {
    fn of(flags: u32) -> Self {
        let has = |flag: AccountFlags| flags & (flag as i32).unsigned_abs() != 0;
        Flags {
            auth_required: has(AccountFlags::RequiredFlag),
            auth_revocable: has(AccountFlags::RevocableFlag),
            auth_immutable: has(AccountFlags::ImmutableFlag),
            auth_clawback_enabled: has(AccountFlags::ClawbackEnabledFlag),
        }
    }
}

impl Balance {
    fn native(balance: i64, liabilities: &Liabilities) -> Self {
        Balance {
            balance: format::amount(balance),
            buying_liabilities: Some(format::amount(liabilities.buying)),
            selling_liabilities: Some(format::amount(liabilities.selling)),
            asset_type: "native",
            ..Balance::default()
        }
    }

    fn of_line(entry: &LedgerEntry) -> Option<Self> {
        let LedgerEntryData::Trustline(line) = &entry.data else { return None };
        let has = |flag: TrustLineFlags| line.flags & (flag as i32).unsigned_abs() != 0;
        let authorized = has(TrustLineFlags::AuthorizedFlag);
        let maintains = authorized || has(TrustLineFlags::AuthorizedToMaintainLiabilitiesFlag);
        let common = Balance {
            balance: format::amount(line.balance),
            limit: Some(format::amount(line.limit)),
            last_modified_ledger: Some(entry.last_modified_ledger_seq),
            is_authorized: Some(authorized),
            is_authorized_to_maintain_liabilities: Some(maintains),
            is_clawback_enabled: has(TrustLineFlags::TrustlineClawbackEnabledFlag).then_some(true),
            ..Balance::default()
        };
        Some(match asset_of(&line.asset) {
            Ok((asset_type, asset_code, asset_issuer)) => {
                let liabilities = liabilities_of(line);
                Balance {
                    buying_liabilities: Some(format::amount(liabilities.buying)),
                    selling_liabilities: Some(format::amount(liabilities.selling)),
                    sponsor: sponsor_of(entry),
                    asset_type,
                    asset_code,
                    asset_issuer,
                    ..common
                }
            }
            Err(pool) => {
                Balance { liquidity_pool_id: Some(pool), asset_type: "liquidity_pool_shares", ..common }
            }
        })
    }
}

/// Type, code and issuer of a line's asset; for a pool share the pool's id.
fn asset_of(asset: &TrustLineAsset) -> Result<(&'static str, String, String), String> {
    match asset {
        TrustLineAsset::Native => Ok(("native", String::new(), String::new())),
        TrustLineAsset::CreditAlphanum4(asset) => {
            Ok(("credit_alphanum4", format::code(&asset.asset_code.0), asset.issuer.to_string()))
        }
        TrustLineAsset::CreditAlphanum12(asset) => {
            Ok(("credit_alphanum12", format::code(&asset.asset_code.0), asset.issuer.to_string()))
        }
        TrustLineAsset::PoolShare(pool) => Err(hex::encode(pool.0.0)),
    }
}

fn liabilities_of(line: &TrustLineEntry) -> Liabilities {
    match &line.ext {
        TrustLineEntryExt::V0 => Liabilities { buying: 0, selling: 0 },
        TrustLineEntryExt::V1(extension) => extension.liabilities.clone(),
    }
}

fn sponsor_of(entry: &LedgerEntry) -> Option<String> {
    match &entry.ext {
        LedgerEntryExt::V0 => None,
        LedgerEntryExt::V1(extension) => extension.sponsoring_id.0.as_ref().map(ToString::to_string),
    }
}

fn name_and_value(entry: &LedgerEntry) -> Option<(String, String)> {
    match &entry.data {
        LedgerEntryData::Data(data) => {
            Some((format::text(&data.data_name), format::base64(&data.data_value)))
        }
        _ => None,
    }
}

/// The signers in the order of their keys, and last the account's own key with its weight.
fn signers_of(entry: &AccountEntry, sponsors: &[Option<String>]) -> Vec<Signer> {
    let sponsors = sponsors.iter().cloned().chain(std::iter::repeat(None));
    let mut signers: Vec<Signer> = entry
        .signers
        .iter()
        .zip(sponsors)
        .map(|(signer, sponsor)| Signer {
            weight: signer.weight,
            key: signer.key.to_string(),
            kind: kind_of(&signer.key),
            sponsor,
        })
        .collect();
    let Thresholds([master, ..]) = entry.thresholds;
    let key = entry.account_id.to_string();
    signers.push(Signer { weight: u32::from(master), key, kind: "ed25519_public_key", sponsor: None });
    signers
}

fn kind_of(key: &SignerKey) -> &'static str {
    match key {
        SignerKey::Ed25519(_) => "ed25519_public_key",
        SignerKey::PreAuthTx(_) => "preauth_tx",
        SignerKey::HashX(_) => "sha256_hash",
        SignerKey::Ed25519SignedPayload(_) => "ed25519_signed_payload",
    }
}

/// What the nested extensions of an account entry hold, with their defaults.
struct Extensions {
    liabilities: Liabilities,
    sponsoring: u32,
    sponsored: u32,
    signer_sponsors: Vec<Option<String>>,
    /// Ledger and time of the last use of a sequence number.
    sequence: Option<(u32, u64)>,
}

impl Extensions {
    fn of(entry: &AccountEntry) -> Self {
        let mut found = Extensions {
            liabilities: Liabilities { buying: 0, selling: 0 },
            sponsoring: 0,
            sponsored: 0,
            signer_sponsors: Vec::new(),
            sequence: None,
        };
        let AccountEntryExt::V1(first) = &entry.ext else { return found };
        found.liabilities = first.liabilities.clone();
        let AccountEntryExtensionV1Ext::V2(second) = &first.ext else { return found };
        found.sponsoring = second.num_sponsoring;
        found.sponsored = second.num_sponsored;
        let sponsors = second.signer_sponsoring_i_ds.iter();
        found.signer_sponsors = sponsors.map(|sponsor| sponsor.0.as_ref().map(ToString::to_string)).collect();
        let AccountEntryExtensionV2Ext::V3(third) = &second.ext else { return found };
        found.sequence = Some((third.seq_ledger, third.seq_time.0));
        found
    }
}
