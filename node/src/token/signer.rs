//! Signing with the keys of a token that may go away and come back.

use carat_types::genesis::GenesisValidator;
use carat_types::message::SignerRole;
use carat_types::{PublicKey, SecretKey, Signature};
use cryptoki::object::ObjectHandle;

use super::session::{Access, OpenToken};
use super::{TokenError, TokenSettings};

/// The keys of consensus, of which one at least is in a token, and whose they must be.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    settings: TokenSettings,
    keys: Vec<(SignerRole, String, PublicKey)>,
    /// The proposer's, unless it is in the token too.
    proposer: Option<SecretKey>,
    public: [PublicKey; 2],
}

impl TokenKeys {
    /// `proposer` is the key of the file, where the token does not have it.
    pub(crate) fn new(
        settings: &TokenSettings,
        listed: &GenesisValidator,
        proposer: Option<SecretKey>,
    ) -> Self {
        TokenKeys {
            settings: settings.clone(),
            keys: settings.listed(listed),
            proposer,
            public: [listed.acceptor, listed.proposer],
        }
    }

    /// The key that `role` must sign with.
    pub(crate) fn public(&self, role: SignerRole) -> &PublicKey {
        let [acceptor, proposer] = &self.public;
        match role {
            SignerRole::Acceptor => acceptor,
            SignerRole::Proposer => proposer,
        }
    }

    /// The token's label.
    pub(crate) fn label(&self) -> &str {
        &self.settings.label
    }
}

/// Signs with the keys of a token, and opens it again after it failed.
#[derive(Debug)]
pub(crate) struct TokenSigner {
    keys: TokenKeys,
    open: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    token: OpenToken,
    handles: Vec<(SignerRole, ObjectHandle)>,
}

impl TokenSigner {
    /// A token that is not opened yet.
    pub(crate) fn new(keys: TokenKeys) -> Self {
        TokenSigner { keys, open: None }
    }

    /// Opens the token unless it is open: its keys are those of the genesis file, and sign as everybody verifies.
    ///
    /// **Errors**: [`TokenError`].
    pub(crate) fn ready(&mut self) -> Result<(), TokenError> {
        if self.open.is_none() {
            self.open = Some(self.keys.open()?);
        }
        Ok(())
    }

    /// The signature of `role`'s key. After an error the token is opened anew by the next call.
    ///
    /// **Errors**: [`TokenError`].
    pub(crate) fn sign(&mut self, role: SignerRole, bytes: &[u8]) -> Result<Signature, TokenError> {
        if let (SignerRole::Proposer, Some(key)) = (role, &self.keys.proposer) {
            return Ok(key.sign(bytes));
        }
        self.ready()?;
        let Some(open) = &self.open else { return Err(missing(self.keys.label())) };
        let Some((_, key)) = open.handles.iter().find(|(of, _)| *of == role) else {
            return Err(missing(self.keys.label()));
        };
        let signed = open.token.sign(*key, bytes);
        if signed.is_err() {
            self.open = None;
        }
        signed
    }
}

/// Never: the token was opened, with the keys of both roles but for the file's.
fn missing(label: &str) -> TokenError {
    TokenError::Failed { label: label.into(), error: "it holds no key for this role".into() }
}

impl TokenKeys {
    fn open(&self) -> Result<Opened, TokenError> {
        let token = OpenToken::open(&self.settings, Access::Read)?;
        let mut handles = Vec::new();
        for (role, label, expected) in &self.keys {
            handles.push((*role, token.proven_key(label, expected)?));
        }
        Ok(Opened { token, handles })
    }
}
