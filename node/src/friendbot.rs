//! The friend of test networks: gives a new account coins from the root account, whose key everybody can compute.

use carat_api::port::Refusal;
use carat_types::builder::{TransactionBuilder, operation};
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, PublicKey, SecretKey};
use stellar_xdr::{AccountId, TransactionResultResult};

/// Builds the gifts.
pub(crate) struct Friendbot {
    /// The network that transactions sign.
    pub(crate) network_id: Digest,
    /// Key of the root account.
    pub(crate) root: SecretKey,
}

impl Friendbot {
    /// How often a gift is tried whose sequence number somebody else took.
    pub(crate) const TRIES: usize = 8;
    /// What an account gets. **Units**: stroops; 10,000 coins, as clients expect.
    const GIFT: i64 = 10_000 * 10_000_000;
    /// The fee bid for it. **Units**: stroops.
    const FEE: u32 = 1_000_000;

    /// The transaction that creates `account`; none if the sequence number cannot be used.
    pub(crate) fn create(&self, account: PublicKey, sequence: i64) -> Option<SignedTransaction> {
        let root = AccountId::from(self.root.public());
        let envelope = TransactionBuilder::new(root, sequence.checked_sub(1)?)
            .ok()?
            .fee_per_operation(Self::FEE)
            .operation(operation::create_account(AccountId::from(account), Self::GIFT))
            .sign(&self.network_id, &[&self.root])
            .ok()?;
        SignedTransaction::from_envelope(&self.network_id, envelope).ok()
    }

    /// Whether somebody else used the sequence number first.
    pub(crate) fn is_out_of_turn(refusal: &Refusal) -> bool {
        matches!(refusal.result.result, TransactionResultResult::TxBadSeq)
    }
}
