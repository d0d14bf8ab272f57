//! What can be claimed: that one knows a key, that a transfer conserves value, that a withdrawal does.

use carat_types::Digest;
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::hash::sha256;
use carat_types::verifiable::Verifiable;

use crate::batch;
use crate::context::{Context, Recipient};
use crate::elgamal::{AUDITORS_MAX, EncryptionKey, Sealed, Slot};
use crate::error::Refusal;
use crate::proof::{Proof, Shape};
use crate::relation::{Base, Row};
use crate::statement::Statement;

/// An operation's public inputs with their proof: all that is needed to check it, as with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Who registers a key knows its secret half.
    Registration(Box<Registration>),
    /// An amount moves from one balance to another.
    Transfer(Box<Transfer>),
    /// A public amount leaves a balance.
    Withdrawal(Box<Withdrawal>),
}

/// Proof of knowledge of a key: nobody can register a key that was made out of others' keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where it belongs.
    pub context: Context,
    /// The key.
    pub key: EncryptionKey,
    /// The proof.
    pub proof: Proof,
}

/// A hidden amount from a hidden balance to somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Where it belongs.
    pub context: Context,
    /// Who receives.
    pub recipient: Recipient,
    /// The owner's key, as the ledger has it.
    pub owner_key: EncryptionKey,
    /// The recipient's key, as the ledger has it.
    pub recipient_key: EncryptionKey,
    /// The auditors' keys, as the ledger has them.
    pub auditor_keys: Vec<EncryptionKey>,
    /// The owner's balance before. The ledger compares it with what it has.
    pub old: Slot,
    /// The amount, for the recipient and the auditors.
    pub amount: Sealed,
    /// The owner's balance after, for the owner and the auditors.
    pub balance: Sealed,
    /// The proof.
    pub proof: Proof,
}

/// A public amount out of a hidden balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Where it belongs.
    pub context: Context,
    /// The owner's key, as the ledger has it.
    pub owner_key: EncryptionKey,
    /// The auditors' keys, as the ledger has them.
    pub auditor_keys: Vec<EncryptionKey>,
    /// The amount. **Units**: those of the asset's plain balances.
    pub amount: u64,
    /// The owner's balance before.
    pub old: Slot,
    /// The owner's balance after.
    pub balance: Sealed,
    /// The proof.
    pub proof: Proof,
}

const REGISTRATION: u8 = 1;
const TRANSFER: u8 = 2;
const WITHDRAWAL: u8 = 3;

impl Claim {
    /// Checks the claim by itself.
    ///
    /// **Errors**: why it is not valid.
    pub fn verify(&self) -> Result<(), Refusal> {
        batch::verify(&[self])
    }

    /// What is proved.
    ///
    /// **Errors**: the parts do not fit each other.
    pub(crate) fn statement(&self) -> Result<Statement, Refusal> {
        match self {
            Claim::Registration(it) => Ok(it.statement()),
            Claim::Transfer(it) => it.statement(),
            Claim::Withdrawal(it) => it.statement(),
        }
    }

    pub(crate) fn proof(&self) -> &Proof {
        match self {
            Claim::Registration(it) => &it.proof,
            Claim::Transfer(it) => &it.proof,
            Claim::Withdrawal(it) => &it.proof,
        }
    }
}

/// Admission checks proofs as it checks signatures: ahead, in batches, and remembers what is valid.
impl Verifiable for &Claim {
    const BATCH_MAX: usize = batch::CLAIMS_MAX;
    const BATCH_MIN: usize = 2;
    const HALVED_MIN: usize = 4;

    type Memory = ();

    fn id(self) -> Digest {
        sha256(&[b"carat-confidential", &self.to_bytes()])
    }

    fn is_valid(self) -> bool {
        self.verify().is_ok()
    }

    fn all_valid(batch: &[Self], (): &mut ()) -> bool {
        batch::verify(batch).is_ok()
    }
}

impl Registration {
    fn statement(&self) -> Statement {
        let mut statement = Statement::new(REGISTRATION.into(), self.context.inputs());
        let key = statement.key("key", self.key);
        let secret = statement.secret();
        statement.row(Row::of(Base::Blinding).by(secret, key));
        statement
    }
}

impl Transfer {
    fn statement(&self) -> Result<Statement, Refusal> {
        let mut inputs = self.context.inputs();
        inputs.extend(self.recipient.inputs());
        let mut statement = Statement::new(TRANSFER.into(), inputs);
        let owner = statement.key("owner's key", self.owner_key);
        let recipient = statement.key("recipient's key", self.recipient_key);
        let auditors = statement.auditors(&self.auditor_keys)?;
        let old = statement.old(&self.old);
        let amount = statement.sealed(&self.amount, auditors.len())?;
        let balance = statement.sealed(&self.balance, auditors.len())?;
        let (secret, rest) = (statement.secret(), statement.secret());
        statement.row(Row::of(Base::Blinding).by(secret, owner));
        statement.conservation_row(old, &[&amount, &balance], None, (secret, rest));
        statement.sealed_rows(&amount, recipient, &auditors);
        statement.sealed_rows(&balance, owner, &auditors);
        Ok(statement)
    }

    /// The bytes that a transaction must carry for it: the rest is in the transaction or in the ledger anyway.
    pub fn wire_size(&self) -> usize {
        let points = [self.amount.to_bytes(), self.balance.to_bytes(), self.old.to_bytes()];
        points.iter().map(Vec::len).sum::<usize>().saturating_add(self.proof.to_bytes().len())
    }
}

impl Withdrawal {
    fn statement(&self) -> Result<Statement, Refusal> {
        let mut inputs = self.context.inputs();
        inputs.push((b"amount", self.amount.to_bytes()));
        let mut statement = Statement::new(WITHDRAWAL.into(), inputs);
        let owner = statement.key("owner's key", self.owner_key);
        let auditors = statement.auditors(&self.auditor_keys)?;
        let old = statement.old(&self.old);
        let balance = statement.sealed(&self.balance, auditors.len())?;
        let (secret, rest) = (statement.secret(), statement.secret());
        statement.row(Row::of(Base::Blinding).by(secret, owner));
        statement.conservation_row(old, &[&balance], Some(self.amount), (secret, rest));
        statement.sealed_rows(&balance, owner, &auditors);
        Ok(statement)
    }
}

impl Encode for Claim {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Claim::Registration(it) => {
                out.push(REGISTRATION);
                it.context.encode(out);
                it.key.encode(out);
                it.proof.encode(out);
            }
            Claim::Transfer(it) => {
                out.push(TRANSFER);
                it.context.encode(out);
                it.recipient.encode(out);
                it.owner_key.encode(out);
                it.recipient_key.encode(out);
                it.auditor_keys.encode(out);
                it.old.encode(out);
                it.amount.encode(out);
                it.balance.encode(out);
                it.proof.encode(out);
            }
            Claim::Withdrawal(it) => {
                out.push(WITHDRAWAL);
                it.context.encode(out);
                it.owner_key.encode(out);
                it.auditor_keys.encode(out);
                it.amount.encode(out);
                it.old.encode(out);
                it.balance.encode(out);
                it.proof.encode(out);
            }
        }
    }
}

/// Reads lengths only: whether points are points is part of the check.
impl Decode for Claim {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let operation = u8::decode(input)?;
        let context = Context::decode(input)?;
        match operation {
            REGISTRATION => {
                let key = EncryptionKey::decode(input)?;
                let proof = Proof::decode_with(input, Shape { rows: 1, secrets: 1, ranged: 0 })?;
                Ok(Claim::Registration(Box::new(Registration { context, key, proof })))
            }
            TRANSFER => {
                let recipient = Recipient::decode(input)?;
                let owner_key = EncryptionKey::decode(input)?;
                let recipient_key = EncryptionKey::decode(input)?;
                let (auditor_keys, auditors) = decode_auditors(input)?;
                let old = Slot::decode(input)?;
                let amount = Sealed::decode_with(input, auditors)?;
                let balance = Sealed::decode_with(input, auditors)?;
                let rows = auditors.saturating_mul(4).saturating_add(10);
                let proof = Proof::decode_with(input, Shape { rows, secrets: 10, ranged: 4 })?;
                Ok(Claim::Transfer(Box::new(Transfer {
                    context,
                    recipient,
                    owner_key,
                    recipient_key,
                    auditor_keys,
                    old,
                    amount,
                    balance,
                    proof,
                })))
            }
            WITHDRAWAL => {
                let owner_key = EncryptionKey::decode(input)?;
                let (auditor_keys, auditors) = decode_auditors(input)?;
                let amount = u64::decode(input)?;
                let old = Slot::decode(input)?;
                let balance = Sealed::decode_with(input, auditors)?;
                let rows = auditors.saturating_mul(2).saturating_add(6);
                let proof = Proof::decode_with(input, Shape { rows, secrets: 6, ranged: 2 })?;
                let withdrawal = Withdrawal { context, owner_key, auditor_keys, amount, old, balance, proof };
                Ok(Claim::Withdrawal(Box::new(withdrawal)))
            }
            value => Err(DecodeError::Tag { what: "confidential claim", value }),
        }
    }
}

fn decode_auditors(input: &mut Reader<'_>) -> Result<(Vec<EncryptionKey>, usize), DecodeError> {
    let limit = u32::try_from(AUDITORS_MAX).unwrap_or(u32::MAX);
    let count = input.count("auditors", limit)?;
    let keys = (0..count).map(|_| EncryptionKey::decode(input)).collect::<Result<Vec<_>, _>>()?;
    Ok((keys, count))
}
