//! Keys of consensus in a token: a hardware security module, or whatever else speaks PKCS#11.
//!
//! The token signs by CKM_EDDSA and never gives the key away. What guards the key against contradicting itself stays in front of it: the
//! [signer](crate::signer)'s book, or the validator's own journal. The network key stays a file: TLS asks for it inside a handshake,
//! and QUIC's reset tokens derive from it.
//!
//! A token may go away and come back: [`TokenSigner`] opens it again. What can never come right by waiting, above all a wrong PIN, is
//! [final](TokenError::is_final): tokens lock themselves after a few of these.
//!
//! **Source**: PKCS #11 Cryptographic Token Interface 3.0; RFC 8032; decision record 43.
//!
//! Reading order: this file (what is named, what may be wrong), `session` (an open token), `signer` (one that may go away), [`ceremony`]
//! (making and bringing in keys).

use std::path::{Path, PathBuf};

use carat_storage::vault::{PassphraseError, PassphraseSource};
use carat_types::PublicKey;
use carat_types::genesis::GenesisValidator;
use carat_types::message::SignerRole;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod ceremony;
mod session;
mod signer;

pub use signer::TokenKeys;
pub(crate) use signer::TokenSigner;

/// Where a token is: part of `node.toml` (`[validator.token]`) or `signer.toml` (`[token]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The maker's PKCS#11 library.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// Label of the acceptor key pair in it.
    #[serde(default = "acceptor_label")]
    pub acceptor: String,
    /// Label of the proposer key pair in it; none, and the proposer key is a file.
    #[serde(default)]
    pub proposer: Option<String>,
    /// File with the PIN; none looks in the environment and among systemd's credentials.
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
}

fn acceptor_label() -> String {
    "acceptor".into()
}

impl TokenSettings {
    /// Paths are relative to the folder of the settings.
    pub(crate) fn relative_to(&mut self, home: &Path) {
        for path in [Some(&mut self.module), self.pin_file.as_mut()].into_iter().flatten() {
            *path = home.join(&path);
        }
    }

    /// Where the PIN is.
    pub(crate) fn pin(&self) -> PassphraseSource {
        PassphraseSource::of_token(self.pin_file.clone())
    }

    /// The keys in the token, with the label of each and the key that the genesis file lists.
    pub(crate) fn listed(&self, listed: &GenesisValidator) -> Vec<(SignerRole, String, PublicKey)> {
        let proposer = self.proposer.clone().map(|label| (SignerRole::Proposer, label, listed.proposer));
        let acceptor = (SignerRole::Acceptor, self.acceptor.clone(), listed.acceptor);
        std::iter::once(acceptor).chain(proposer).collect()
    }
}

/// Why a token cannot be used.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The library cannot be loaded.
    #[error(
        "the PKCS#11 module {module} cannot be loaded: {error} (hint: module names the library of the token's maker, for instance \
         /usr/lib/softhsm/libsofthsm2.so)"
    )]
    Module {
        /// The library.
        module: PathBuf,
        /// Its word, or the system's.
        error: String,
    },
    /// No token of that label, or several.
    #[error(
        "the PKCS#11 module {module} shows the tokens {seen:?}, expected one {label:?} (hint: is it plugged in and is its \
         network up? pkcs11-tool --module {module} -L lists them)"
    )]
    Absent {
        /// The library.
        module: PathBuf,
        /// Labels of the tokens that are there.
        seen: Vec<String>,
        /// The label in the settings.
        label: String,
    },
    /// There is no PIN.
    #[error("the token {label:?} wants a PIN and none was given (hint: {hint})")]
    NoPin {
        /// The token.
        label: String,
        /// Where one is looked for.
        hint: String,
    },
    /// The PIN's file.
    #[error("the PIN: {0}")]
    Pin(#[from] PassphraseError),
    /// The token does not take the PIN.
    #[error(
        "the token {label:?} refuses the PIN: {error} (hint: it was tried once and is not tried again, since tokens lock \
         themselves; set the right one and start again)"
    )]
    WrongPin {
        /// The token.
        label: String,
        /// Its word.
        error: String,
    },
    /// One more wrong PIN would lock the token.
    #[error(
        "the token {label:?} has one try for its PIN left, so none is made (hint: log in by hand with the right PIN, which counts \
         anew: pkcs11-tool --module {module} --token-label {label} --login -O)"
    )]
    LastTry {
        /// The token.
        label: String,
        /// The library.
        module: PathBuf,
    },
    /// No key of that label, or several.
    #[error(
        "the token {token:?} has {seen} Ed25519 {what} keys with label {label:?}, expected one (hint: carat-node key token create or \
         import makes them; pkcs11-tool --token-label {token} --login -O lists them)"
    )]
    Keys {
        /// The token.
        token: String,
        /// "private" or "public".
        what: &'static str,
        /// How many.
        seen: usize,
        /// The label in the settings.
        label: String,
    },
    /// A label that is taken.
    #[error("the token {token:?} has a key with label {label:?} already (hint: choose another label)")]
    Taken {
        /// The token.
        token: String,
        /// The label.
        label: String,
    },
    /// A key that the genesis file does not know.
    #[error(
        "the key {label:?} of the token {token:?} is {seen}, but the genesis file lists {expected} for this validator (hint: the \
         label, or the index, is another validator's)"
    )]
    Foreign {
        /// The token.
        token: String,
        /// The key's label.
        label: String,
        /// Its public key.
        seen: PublicKey,
        /// Public key of the genesis file.
        expected: PublicKey,
    },
    /// Signatures that nobody would accept.
    #[error(
        "the key {label:?} of the token {token:?} made a signature that {why}, expected that of RFC 8032 by {expected} (hint: the \
         token does not have Ed25519 as it must be; it cannot be used)"
    )]
    Signature {
        /// The token.
        token: String,
        /// The key's label.
        label: String,
        /// What is wrong with it.
        why: &'static str,
        /// The key that it should be by.
        expected: PublicKey,
    },
    /// A public key that is none.
    #[error(
        "the token {token:?} gives {seen} for the key {label:?}, expected the 32 bytes of an Ed25519 key"
    )]
    Point {
        /// The token.
        token: String,
        /// The key's label.
        label: String,
        /// The bytes, in hex.
        seen: String,
    },
    /// The token failed, or is gone.
    #[error("the token {label:?} fails: {error} (hint: is it plugged in and is its network up?)")]
    Failed {
        /// The token.
        label: String,
        /// Its word.
        error: String,
    },
}

impl TokenError {
    /// Whether waiting cannot help, and trying again may lock the token.
    pub fn is_final(&self) -> bool {
        match self {
            TokenError::Absent { .. } | TokenError::Failed { .. } | TokenError::Keys { .. } => false,
            TokenError::Module { .. }
            | TokenError::NoPin { .. }
            | TokenError::Pin(_)
            | TokenError::WrongPin { .. }
            | TokenError::LastTry { .. }
            | TokenError::Taken { .. }
            | TokenError::Foreign { .. }
            | TokenError::Signature { .. }
            | TokenError::Point { .. } => true,
        }
    }
}
