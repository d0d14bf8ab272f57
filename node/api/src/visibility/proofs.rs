//! Proofs of the state as a viewer gets them: of an entry, whoever sees the entry; that there is none, whoever would see any
//! entry that can stand there. To everybody else both are the same 404, or the answer would be the entry's existence.

use carat_types::PublicKey;
use carat_types::state_receipt::StateReceipt;
use stellar_xdr::{LedgerEntry, LedgerEntryData, LedgerKey, Limits, ReadXdr};

use super::{Seen, View, stakeholders};
use crate::problem::Problem;

impl View<'_> {
    /// Whether the viewer may have a proof of what stands under these key bytes now.
    pub(crate) fn may_have_proof(&self, key: &[u8]) -> Result<bool, Problem> {
        if self.sees_everything() {
            return Ok(true);
        }
        self.sees_at(key, self.node.state_value(key)?.as_deref())
    }

    /// A state receipt, if the viewer may have it: what it shows may be newer than what was looked at before.
    pub(crate) fn state_receipt(&self, receipt: StateReceipt) -> Result<Option<Seen<StateReceipt>>, Problem> {
        Ok(self.sees_at(&receipt.key, receipt.value.as_deref())?.then_some(Seen(receipt)))
    }

    fn sees_at(&self, key: &[u8], value: Option<&[u8]>) -> Result<bool, Problem> {
        if self.sees_everything() {
            return Ok(true);
        }
        match value {
            Some(value) => match read::<LedgerEntry>(value) {
                Some(entry) if read::<LedgerKey>(key).is_some() => self.sees_state_entry(entry),
                // Entries of our own kinds are books, totals and who created whom: nobody's.
                _ => Ok(false),
            },
            None => match read::<LedgerKey>(key) {
                Some(key) => self.owns_any(&stakeholders::of_key(&key)),
                None => Ok(false),
            },
        }
    }

    fn sees_state_entry(&self, entry: LedgerEntry) -> Result<bool, Problem> {
        match &entry.data {
            LedgerEntryData::Account(account) => self.owns_any(&stakeholders::of_account(account)),
            LedgerEntryData::Trustline(line) => {
                let issuer = stakeholders::issuer_of_line(&line.asset);
                Ok(self.owns_any(&issuer.into_iter().collect())?
                    || self.sees_whole_account(&(&line.account_id).into())?)
            }
            LedgerEntryData::Data(data) => self.sees_whole_account(&(&data.account_id).into()),
            LedgerEntryData::Offer(_) | LedgerEntryData::ClaimableBalance(_) => {
                self.owns_any(&stakeholders::of_entry(&entry))
            }
            LedgerEntryData::LiquidityPool(_) => Ok(self.seen_pool(entry)?.is_some()),
            _ => Ok(false),
        }
    }

    /// Whether the account's own part of the state is shown: to itself, its bank, and the keys that may sign for it.
    fn sees_whole_account(&self, id: &PublicKey) -> Result<bool, Problem> {
        match self.node.account(id)?.map(|state| state.account.data) {
            Some(LedgerEntryData::Account(entry)) => self.owns_any(&stakeholders::of_account(&entry)),
            _ => Ok(self.owns(id)?),
        }
    }
}

fn read<T: ReadXdr>(bytes: &[u8]) -> Option<T> {
    T::from_xdr(bytes, Limits { depth: 100, len: bytes.len() }).ok()
}
