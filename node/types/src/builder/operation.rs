//! The operations on accounts, trustlines and entries, one function each. Amounts are stroops.
//!
//! Each acts for the transaction's source; [`by`] gives it a source of its own.

use stellar_xdr::{
    AccountId, AllowTrustOp, Asset, AssetCode, BumpSequenceOp, ChangeTrustOp, ClawbackOp, CreateAccountOp,
    ManageDataOp, MuxedAccount, Operation, OperationBody, PaymentOp, SequenceNumber, SetOptionsOp,
    SetTrustLineFlagsOp, Signer, SignerKey, String32,
};

use super::{BuildError, asset::to_line};

/// Longest name and longest value of a data entry, in bytes.
const DATA_BYTES_MAX: usize = 64;

/// Longest home domain, in bytes.
const HOME_DOMAIN_BYTES_MAX: usize = 32;

/// The limit of a trustline that trusts without limit.
pub const LIMIT_MAX: i64 = i64::MAX;

/// The same operation on behalf of `source`, who must sign too.
#[must_use]
pub fn by(source: impl Into<MuxedAccount>, operation: Operation) -> Operation {
    Operation { source_account: Some(source.into()), ..operation }
}

/// Makes an account and gives it native coin.
pub fn create_account(destination: AccountId, starting_balance: i64) -> Operation {
    plain(OperationBody::CreateAccount(CreateAccountOp { destination, starting_balance }))
}

/// Pays. From an asset's issuer it issues, to the issuer it redeems.
pub fn payment(destination: impl Into<MuxedAccount>, asset: Asset, amount: i64) -> Operation {
    plain(OperationBody::Payment(PaymentOp { destination: destination.into(), asset, amount }))
}

/// Trusts an asset up to `limit`; 0 removes the trustline.
pub fn change_trust(asset: Asset, limit: i64) -> Operation {
    plain(OperationBody::ChangeTrust(ChangeTrustOp { line: to_line(asset), limit }))
}

/// Changes an account's settings; see [`Options`].
pub fn set_options(options: Options) -> Operation {
    plain(OperationBody::SetOptions(options.0))
}

/// Authorises a trustline in the issuer's asset; `authorize` holds trustline flags. Deprecated in the format.
pub fn allow_trust(trustor: AccountId, asset: AssetCode, authorize: u32) -> Operation {
    plain(OperationBody::AllowTrust(AllowTrustOp { trustor, asset, authorize }))
}

/// Sets and clears flags of a trustline in the issuer's asset.
pub fn set_trustline_flags(trustor: AccountId, asset: Asset, set_flags: u32, clear_flags: u32) -> Operation {
    plain(OperationBody::SetTrustLineFlags(SetTrustLineFlagsOp { trustor, asset, clear_flags, set_flags }))
}

/// Takes the issuer's asset back from a holder and burns it.
pub fn clawback(from: impl Into<MuxedAccount>, asset: Asset, amount: i64) -> Operation {
    plain(OperationBody::Clawback(ClawbackOp { asset, from: from.into(), amount }))
}

/// Closes the account and sends all its native coin to `destination`.
pub fn account_merge(destination: impl Into<MuxedAccount>) -> Operation {
    plain(OperationBody::AccountMerge(destination.into()))
}

/// Sets a data entry, or removes it where `value` is none.
///
/// **Errors**: a name or value of more than 64 bytes.
pub fn manage_data(name: &str, value: Option<&[u8]>) -> Result<Operation, BuildError> {
    let too_long = |what, seen| BuildError::TooLong { what, seen, most: DATA_BYTES_MAX };
    let data_name = name.as_bytes().to_vec().try_into();
    let data_name = data_name.map_err(|_| too_long("the name of the data entry", name.len()))?;
    let data_value = match value {
        None => None,
        Some(value) => {
            let bytes = value.to_vec().try_into();
            Some(bytes.map_err(|_| too_long("the value of the data entry", value.len()))?)
        }
    };
    Ok(plain(OperationBody::ManageData(ManageDataOp {
        data_name: stellar_xdr::String64(data_name),
        data_value: data_value.map(stellar_xdr::DataValue),
    })))
}

/// Moves the account's sequence number forward.
pub fn bump_sequence(to: i64) -> Operation {
    plain(OperationBody::BumpSequence(BumpSequenceOp { bump_to: SequenceNumber(to) }))
}

/// The settings that one set-options operation changes; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct Options(SetOptionsOp);

impl Options {
    /// Adds a signer, changes its weight, or removes it with weight 0.
    #[must_use]
    pub fn signer(mut self, key: SignerKey, weight: u32) -> Self {
        self.0.signer = Some(Signer { key, weight });
        self
    }

    /// Weight of the account's own key.
    #[must_use]
    pub fn master_weight(mut self, weight: u32) -> Self {
        self.0.master_weight = Some(weight);
        self
    }

    /// The weights that operations of the three classes need.
    #[must_use]
    pub fn thresholds(mut self, low: u32, medium: u32, high: u32) -> Self {
        self.0.low_threshold = Some(low);
        self.0.med_threshold = Some(medium);
        self.0.high_threshold = Some(high);
        self
    }

    /// Account flags to set and to clear.
    #[must_use]
    pub fn flags(mut self, set: u32, clear: u32) -> Self {
        self.0.set_flags = (set != 0).then_some(set);
        self.0.clear_flags = (clear != 0).then_some(clear);
        self
    }

    /// The domain that vouches for the account.
    ///
    /// **Errors**: more than 32 bytes.
    pub fn home_domain(mut self, domain: &str) -> Result<Self, BuildError> {
        let bytes = domain.as_bytes().to_vec().try_into().map_err(|_| BuildError::TooLong {
            what: "the home domain",
            seen: domain.len(),
            most: HOME_DOMAIN_BYTES_MAX,
        })?;
        self.0.home_domain = Some(String32(bytes));
        Ok(self)
    }
}

pub(super) fn plain(body: OperationBody) -> Operation {
    Operation { source_account: None, body }
}
