//! Certificates: enough signatures of distinct validators on the same bytes.
//!
//! **Source**: consensus specification, sections 2 and 3; the ways to fool a count are in the tests.

use thiserror::Error;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::ids::{SignerSet, ValidatorId};
use crate::message::{Commit, Prepare, Seal, SignedBody};
use crate::signature::Signature;
use crate::validators::{Authenticator, ValidatorSet};

/// One body, and signatures on it by distinct validators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate<B> {
    /// What all of them signed.
    pub body: B,
    /// Who signed.
    pub signers: SignerSet,
    /// The signatures, in ascending order of their signers.
    pub signatures: Vec<Signature>,
}

/// q PREPAREs: no other value can be prepared in that view and slot.
pub type PreparedCertificate = Certificate<Prepare>;
/// q COMMITs: the prefix is final.
pub type CommitCertificate = Certificate<Commit>;
/// SEALs: f+1 prove the block, q make a checkpoint stable.
pub type SealCertificate = Certificate<Seal>;

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Fewer distinct signers than the rule demands.
    #[error("{signers} distinct signers, {needed} needed")]
    TooFew {
        /// Distinct signers named.
        signers: usize,
        /// Signers that the rule demands.
        needed: usize,
    },
    /// Signers named and signatures given differ in number.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Signatures given.
        signatures: usize,
        /// Signers named.
        signers: usize,
    },
    /// A signer that is no validator.
    #[error("signer {0} is not a validator of this epoch")]
    Stranger(ValidatorId),
    /// A signature that does not verify.
    #[error("the signature of validator {0} is invalid")]
    Signature(ValidatorId),
}

impl<B: SignedBody> Certificate<B> {
    /// Puts a certificate together from verified signatures; a signer given twice counts once.
    pub fn assemble(body: B, signatures: impl IntoIterator<Item = (ValidatorId, Signature)>) -> Self {
        let signatures: std::collections::BTreeMap<ValidatorId, Signature> = signatures.into_iter().collect();
        Certificate {
            body,
            signers: signatures.keys().copied().collect(),
            signatures: signatures.into_values().collect(),
        }
    }

    /// Checks that at least `needed` distinct validators of `set` signed the body.
    ///
    /// **Errors**: see [`CertificateError`]; one bad signature spoils the whole, however many good ones are left,
    /// because an honest maker never includes one.
    pub fn verify(
        &self,
        set: &ValidatorSet,
        authenticator: &dyn Authenticator,
        needed: usize,
    ) -> Result<(), CertificateError> {
        let signers = self.signers.len();
        if signers < needed {
            return Err(CertificateError::TooFew { signers, needed });
        }
        if self.signatures.len() != signers {
            return Err(CertificateError::Count { signatures: self.signatures.len(), signers });
        }
        let message = set.domain().signing_bytes(&self.body);
        for (signer, signature) in self.signers.iter().zip(&self.signatures) {
            let key = set.key(signer, B::SIGNER).ok_or(CertificateError::Stranger(signer))?;
            if !authenticator.verify(key, &message, signature) {
                return Err(CertificateError::Signature(signer));
            }
        }
        Ok(())
    }
}

impl<B: Encode> Encode for Certificate<B> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.body.encode(out);
        self.signers.encode(out);
        self.signatures.encode(out);
    }
}

impl<B: Decode> Decode for Certificate<B> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let certificate = Certificate {
            body: B::decode(input)?,
            signers: Decode::decode(input)?,
            signatures: Vec::decode(input)?,
        };
        if certificate.signatures.len() != certificate.signers.len() {
            return Err(DecodeError::Invalid("a certificate has one signature for each signer"));
        }
        Ok(certificate)
    }
}
