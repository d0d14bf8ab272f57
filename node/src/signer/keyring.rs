//! The keys that a signer signs with: files, or a token for those of consensus.

use carat_consensus::KeySigner;
use carat_network::NetworkKey;
use carat_types::message::SignerRole;
use carat_types::{PublicKey, SecretKey, Signature};

use super::wire::Welcome;
use crate::error::NodeError;
use crate::keys::{Keys, Votes};
use crate::token::{TokenError, TokenSigner};

/// A signer's keys, and what it says of them.
#[derive(Debug)]
pub(super) struct Keyring {
    votes: Source,
    acceptor: PublicKey,
    proposer: PublicKey,
    handshakes: SecretKey,
    network: NetworkKey,
    certificate: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Files(Box<KeySigner>),
    Token(Box<TokenSigner>),
}

impl Keyring {
    /// **Errors**: a certificate that cannot be made.
    pub(super) fn new(keys: Keys) -> Result<Self, NodeError> {
        let network = NetworkKey::from(keys.network.clone());
        let certificate = network.certificate()?;
        let (votes, acceptor, proposer) = match keys.votes {
            Votes::Files(keys) => {
                let (acceptor, proposer) = (keys.acceptor.public(), keys.proposer.public());
                (Source::Files(keys), acceptor, proposer)
            }
            Votes::Token(keys) => {
                let public = |role| *keys.public(role);
                let (acceptor, proposer) = (public(SignerRole::Acceptor), public(SignerRole::Proposer));
                (Source::Token(Box::new(TokenSigner::new(*keys))), acceptor, proposer)
            }
        };
        Ok(Keyring { votes, acceptor, proposer, handshakes: keys.network, network, certificate })
    }

    pub(super) fn acceptor(&self) -> PublicKey {
        self.acceptor
    }

    /// Who this signer is on the wire.
    pub(super) fn network(&self) -> &NetworkKey {
        &self.network
    }

    pub(super) fn welcome(&self) -> Welcome {
        Welcome {
            acceptor: self.acceptor,
            proposer: self.proposer,
            network: self.network.public(),
            reset_key: self.network.reset_key(),
            certificate: self.certificate.clone(),
        }
    }

    /// Whether votes can be signed now; a token that was away is opened again.
    ///
    /// **Errors**: the token's.
    pub(super) fn ready(&mut self) -> Result<(), TokenError> {
        match &mut self.votes {
            Source::Files(_) => Ok(()),
            Source::Token(token) => token.ready(),
        }
    }

    /// **Errors**: the token's.
    pub(super) fn sign(&mut self, role: SignerRole, bytes: &[u8]) -> Result<Signature, TokenError> {
        match &mut self.votes {
            Source::Files(keys) => Ok(match role {
                SignerRole::Acceptor => keys.acceptor.sign(bytes),
                SignerRole::Proposer => keys.proposer.sign(bytes),
            }),
            Source::Token(token) => token.sign(role, bytes),
        }
    }

    pub(super) fn sign_handshake(&self, bytes: &[u8]) -> Signature {
        self.handshakes.sign(bytes)
    }
}
