//! Effects of who pays for entries. They follow from what changed, whatever the operation was.

use std::collections::BTreeMap;

use carat_types::PublicKey;
use carat_types::transaction::account_of;
use stellar_xdr::{AccountEntry, LedgerEntry, LedgerEntryData, SignerKey};

use super::{EffectKind, Effects, Support, Supported, as_account};
use crate::state_index::{sponsor_of, sponsored_signers};

impl Effects<'_> {
    pub(super) fn of_sponsorships(&mut self) {
        for pair in &self.view.changes {
            self.entry(pair.before, pair.after);
            self.signers_of(pair.before.and_then(as_account), pair.after.and_then(as_account));
        }
    }

    fn entry(&mut self, before: Option<&LedgerEntry>, after: Option<&LedgerEntry>) {
        let sponsor = |entry: Option<&LedgerEntry>| entry.and_then(sponsor_of).map(PublicKey::from);
        let Some(support) = change(sponsor(before), sponsor(after)) else { return };
        let Some(entry) = after.or(before) else { return };
        let source = account_of(self.view.source());
        let (account, what) = match &entry.data {
            LedgerEntryData::Account(account) => ((&account.account_id).into(), Supported::Account),
            LedgerEntryData::Trustline(line) => {
                ((&line.account_id).into(), Supported::Trustline(line.asset.clone()))
            }
            LedgerEntryData::Data(data) => (source, Supported::Data(data.data_name.to_vec())),
            LedgerEntryData::ClaimableBalance(balance) => {
                (source, Supported::Balance(balance.balance_id.clone()))
            }
            // Offers have no effects.
            _ => return,
        };
        self.on_account(account, EffectKind::Sponsorship { what, support });
    }

    fn signers_of(&mut self, before: Option<&AccountEntry>, after: Option<&AccountEntry>) {
        let Some(account) = after.or(before).map(|account| PublicKey::from(&account.account_id)) else {
            return;
        };
        let mut sponsors: BTreeMap<String, (SignerKey, Option<PublicKey>, Option<PublicKey>)> =
            BTreeMap::new();
        for (key, sponsor) in before.map(sponsored_signers).unwrap_or_default() {
            sponsors.insert(key.to_string(), (key.clone(), Some(sponsor.into()), None));
        }
        for (key, sponsor) in after.map(sponsored_signers).unwrap_or_default() {
            sponsors.entry(key.to_string()).or_insert((key.clone(), None, None)).2 = Some(sponsor.into());
        }
        for (key, before, after) in sponsors.into_values() {
            if let Some(support) = change(before, after) {
                self.on_account(account, EffectKind::Sponsorship { what: Supported::Signer(key), support });
            }
        }
    }
}

fn change(before: Option<PublicKey>, after: Option<PublicKey>) -> Option<Support> {
    match (before, after) {
        (None, Some(sponsor)) => Some(Support::Created { sponsor }),
        (Some(former), Some(new)) if former != new => Some(Support::Updated { former, new }),
        (Some(former), None) => Some(Support::Removed { former }),
        _ => None,
    }
}
