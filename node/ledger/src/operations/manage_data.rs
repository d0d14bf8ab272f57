//! ManageData: sets and deletes an account's named values.

use stellar_xdr::{
    DataEntry, DataEntryExt, LedgerEntry, LedgerEntryData, ManageDataOp, ManageDataResult as Code,
};

use super::{Applied, Context, is_printable};
use crate::entry::StateValue;
use crate::key::StateKey;
use crate::sponsorship;

pub(super) fn check(op: &ManageDataOp) -> Result<(), Code> {
    if op.data_name.0.is_empty() || !is_printable(&op.data_name.0) {
        return Err(Code::InvalidName);
    }
    Ok(())
}

pub(super) fn apply(context: &mut Context<'_, '_>, op: &ManageDataOp) -> Applied {
    let sponsor = context.sponsor_of_source();
    let Context { ledger, source, .. } = context;
    let key = StateKey::data(source, &op.data_name);
    match &op.data_value {
        None if ledger.get(&key)?.is_none() => Err(Code::NameNotFound.into()),
        None => Ok(sponsorship::remove_subentry(ledger, source, &key, 1)?),
        Some(value) => {
            if let Some(StateValue::Ledger(LedgerEntry { data: LedgerEntryData::Data(entry), .. })) =
                ledger.get_mut(&key)?
            {
                entry.data_value = value.clone();
                return Ok(());
            }
            let ext = sponsorship::add_subentry(ledger, source, sponsor.as_ref(), 1)?
                .map_err(|refusal| super::refused(refusal, Code::LowReserve))?;
            let entry = DataEntry {
                account_id: (*source).into(),
                data_name: op.data_name.clone(),
                data_value: value.clone(),
                ext: DataEntryExt::V0,
            };
            Ok(ledger.create(&key, LedgerEntryData::Data(entry), ext)?)
        }
    }
}
