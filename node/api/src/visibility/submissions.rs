//! What who submits learns: of an envelope that it has, what became of it; of one that it made up in another's name,
//! nothing.
//!
//! The front door looks at the sequence number before it looks at signatures, and a transaction that was applied is known
//! by a hash that its signatures are no part of. So whoever may submit could ask for another's sequence number, or whether
//! it ever paid a certain amount. Such an envelope is answered as one with bad signatures.

use carat_history::TransactionRecord;
use carat_types::genesis::Visibility;
use carat_types::transaction::{SignedTransaction, account_of};
use carat_types::{Digest, PublicKey};
use stellar_xdr::{DecoratedSignature, TransactionResult, TransactionResultExt, TransactionResultResult};

use super::{Seen, SeenAccount, View, Viewer, gate, stakeholders};
use crate::port::{Acceptance, Node, Refusal, Submission};
use crate::problem::Problem;

/// What the holder of `account`, whose key has been proved in another way than by a token, learns of its submission.
pub fn of_submission(
    node: &dyn Node,
    account: &PublicKey,
    transaction: &SignedTransaction,
    submission: Submission,
) -> Submission {
    if node.network().visibility == Visibility::Open {
        return submission;
    }
    let viewer = gate::role(node, &[], *account).unwrap_or(Viewer::Nobody);
    // Where the state cannot be read nothing is known, and the client asks again.
    View::new(node, &viewer).submission(transaction, submission).unwrap_or(Submission::TimedOut)
}

impl View<'_> {
    /// What the viewer learns of its submission of `transaction`.
    pub(crate) fn submission(
        &self,
        transaction: &SignedTransaction,
        submission: Submission,
    ) -> Result<Submission, Problem> {
        let of_others = match &submission {
            Submission::Applied(record) => record.transaction.full_hash() != transaction.full_hash(),
            Submission::Refused(_) => true,
            Submission::Busy { .. } | Submission::TimedOut => false,
        };
        if of_others && !self.stands_behind(transaction)? {
            return Ok(Submission::Refused(bad_signatures()));
        }
        Ok(submission)
    }

    /// The same where nobody waits for the outcome.
    pub(crate) fn acceptance(
        &self,
        transaction: &SignedTransaction,
        acceptance: Acceptance,
    ) -> Result<Acceptance, Problem> {
        let of_others = matches!(acceptance, Acceptance::Duplicate | Acceptance::Refused(_));
        if of_others && !self.stands_behind(transaction)? {
            return Ok(Acceptance::Refused(bad_signatures()));
        }
        Ok(acceptance)
    }

    /// What became of the transaction that the viewer itself just sent, as [`View::submission`] let it through.
    pub(crate) fn own_submission(&self, record: &TransactionRecord) -> Seen<TransactionRecord> {
        if self.sees_everything() { Seen(record.clone()) } else { super::objects::without_changes(record) }
    }

    /// Whether the viewer speaks for who pays, or has the payers' own signatures.
    fn stands_behind(&self, transaction: &SignedTransaction) -> Result<bool, Problem> {
        if self.sees_everything() {
            return Ok(true);
        }
        let source = account_of(&transaction.transaction().source_account);
        let hash = match transaction.fee_bump() {
            Some(bump) => {
                let payer = account_of(&bump.fee_source);
                if !self.speaks_for(&payer, transaction.hash(), &bump.signatures)? {
                    return Ok(false);
                }
                transaction.inner_hash()
            }
            None => transaction.hash(),
        };
        self.speaks_for(&source, hash, transaction.signatures())
    }

    fn speaks_for(
        &self,
        account: &PublicKey,
        hash: &Digest,
        signatures: &[DecoratedSignature],
    ) -> Result<bool, Problem> {
        let signed = signatures.iter().any(|signature| stakeholders::is_signature(account, hash, signature));
        Ok(signed || self.owns(account)? || matches!(self.account(account)?, Some(SeenAccount::Whole(_))))
    }
}

fn bad_signatures() -> Refusal {
    let (result, ext) = (TransactionResultResult::TxBadAuth, TransactionResultExt::V0);
    Refusal { result: TransactionResult { fee_charged: 0, result, ext }, reason: None }
}
