//! A validator's three keys, or the two of a proposer of an edge network: reading their files, refusing those that others can
//! read; or who holds a validator's in its place, a signer or a token.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use carat_consensus::{ElsewhereSigner, KeySigner, Signer};
use carat_network::NetworkKey;
use carat_storage::key_file::{self, KeyError};
use carat_storage::vault::PassphraseSource;
use carat_types::genesis::{GenesisProposer, GenesisValidator};
use carat_types::key_file::KeyRole;
use carat_types::message::SignerRole;
use carat_types::{PublicKey, SecretKey, Signature};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::signer::Link;
use crate::signer::courier::Signatory;
use crate::signer::link::LinkError;
use crate::token::{TokenError, TokenKeys, TokenSettings, TokenSigner};

/// The keys of one validator.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// TLS.
    pub(crate) network: SecretKey,
    /// All else.
    pub(crate) votes: Votes,
}

/// The keys of consensus, with whoever holds the network key.
#[derive(Clone, Debug)]
pub(crate) enum Votes {
    /// Both were read from files.
    Files(Box<KeySigner>),
    /// The acceptor's is in a token.
    Token(Box<TokenKeys>),
}

/// What a validator signs with: keys of its own, or a signer that holds them.
#[derive(Clone, Debug)]
pub(crate) struct OwnKeys {
    /// TLS.
    pub(crate) network: NetworkKey,
    /// All else.
    pub(crate) votes: VoteKeys,
}

/// Where the keys of consensus are.
#[derive(Clone, Debug)]
pub(crate) enum VoteKeys {
    /// In this process.
    Here(Box<KeySigner>),
    /// With somebody who must be asked, and may be away.
    Elsewhere(Signatory),
    /// In this process, which orders for an edge network and has no vote.
    OrdersAlone(ProposerSigner),
    /// Nowhere: this node follows without a vote.
    Nowhere,
}

/// Signs for a proposer of an edge network. There is no acceptor key that it could sign a vote with.
#[derive(Clone, Debug)]
pub(crate) struct ProposerSigner(SecretKey);

impl Signer for ProposerSigner {
    fn sign(&self, role: SignerRole, bytes: &[u8]) -> Option<Signature> {
        match role {
            SignerRole::Proposer => Some(self.0.sign(bytes)),
            SignerRole::Acceptor => None,
        }
    }
}

impl OwnKeys {
    /// Reads the files of a proposer of an edge network.
    ///
    /// **Errors**: see [`KeysError`].
    pub(crate) fn of_proposer(
        folder: &Path,
        listed: &GenesisProposer,
        passphrase: &PassphraseSource,
    ) -> Result<Self, KeysError> {
        let read = |role, expected| read_listed(folder, role, expected, &listed.name, passphrase);
        let proposer = read(KeyRole::Proposer, listed.proposer)?;
        let network = read(KeyRole::Network, listed.network)?;
        Ok(OwnKeys { network: network.into(), votes: VoteKeys::OrdersAlone(ProposerSigner(proposer)) })
    }

    /// **Errors**: a token that is away, or whose keys are others: without it nothing is begun.
    pub(crate) fn of_keys(keys: Keys) -> Result<Self, TokenError> {
        let votes = match keys.votes {
            Votes::Files(keys) => VoteKeys::Here(keys),
            Votes::Token(keys) => {
                // Opened again by the thread that signs.
                TokenSigner::new((*keys).clone()).ready()?;
                VoteKeys::Elsewhere(Signatory::Token(keys))
            }
        };
        Ok(OwnKeys { network: keys.network.into(), votes })
    }

    /// **Errors**: a signer that is away or not this validator's: without it nothing is begun.
    pub(crate) fn of_signer(link: Link) -> Result<Self, LinkError> {
        Ok(OwnKeys { network: link.network_key()?, votes: VoteKeys::Elsewhere(Signatory::Signer(link)) })
    }

    /// Who signs for the replica.
    pub(crate) fn signer(&self) -> Box<dyn Signer + Send> {
        match &self.votes {
            VoteKeys::Here(keys) => keys.clone(),
            VoteKeys::OrdersAlone(proposer) => Box::new(proposer.clone()),
            VoteKeys::Elsewhere(_) | VoteKeys::Nowhere => Box::new(ElsewhereSigner),
        }
    }
}

/// Why keys cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// A file that cannot be read.
    #[error("key file {path} cannot be read: {error} (hint: carat-genesis writes it into the node's home)")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// A file that others can read.
    #[error(
        "key file {path} has mode {mode:03o}, expected 600 (hint: chmod 600 {path}, and consider the key known)"
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file with something else in it.
    #[error("key file {path}: {error}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// A key that the genesis file does not know.
    #[error(
        "key file {path} holds {seen}, but the genesis file lists {expected} for {name:?} (hint: validator.index, \
         validator.proposer or validator.keys in node.toml is another one's)"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Public key of the file.
        seen: PublicKey,
        /// Public key of the genesis file.
        expected: PublicKey,
        /// Name of the validator or proposer.
        name: String,
    },
    /// A validator's key in the home of a follower.
    #[error(
        "key file {path} holds {seen}, the network key of a validator, expected one of this follower's own (hint: carat-genesis \
         follower makes one; to follow in a validator's home, keep its validator.index)"
    )]
    OfValidator {
        /// The file.
        path: PathBuf,
        /// Public key of the file.
        seen: PublicKey,
    },
}

impl Keys {
    /// Reads the files of `folder`, but for the keys that are in a token, and compares them with the genesis file. The token is not
    /// opened.
    ///
    /// **Errors**: see [`KeysError`].
    pub(crate) fn read(
        folder: &Path,
        token: Option<&TokenSettings>,
        listed: &GenesisValidator,
        passphrase: &PassphraseSource,
    ) -> Result<Self, KeysError> {
        let read = |role, expected| read_listed(folder, role, expected, &listed.name, passphrase);
        let proposer = || read(KeyRole::Proposer, listed.proposer);
        let votes = match token {
            None => {
                let acceptor = read(KeyRole::Acceptor, listed.acceptor)?;
                Votes::Files(Box::new(KeySigner { acceptor, proposer: proposer()? }))
            }
            Some(token) => {
                let file = if token.proposer.is_none() { Some(proposer()?) } else { None };
                warn_of_copies(folder, token);
                Votes::Token(Box::new(TokenKeys::new(token, listed, file)))
            }
        };
        Ok(Keys { network: read(KeyRole::Network, listed.network)?, votes })
    }
}

/// Reads the key file of a role, which must hold the key that the genesis file lists for `name`.
fn read_listed(
    folder: &Path,
    role: KeyRole,
    expected: PublicKey,
    name: &str,
    passphrase: &PassphraseSource,
) -> Result<SecretKey, KeysError> {
    let path = folder.join(role.file_name());
    let key = read_file(&path, role, passphrase)?;
    let seen = key.public();
    if seen != expected {
        return Err(KeysError::Foreign { path, seen, expected, name: name.to_owned() });
    }
    Ok(key)
}

/// A key that is in a token is not protected by it while a copy lies beside.
fn warn_of_copies(folder: &Path, token: &TokenSettings) {
    let inside = [Some(KeyRole::Acceptor), token.proposer.is_some().then_some(KeyRole::Proposer)];
    for path in inside.into_iter().flatten().map(|role| folder.join(role.file_name())) {
        if path.exists() {
            tracing::warn!(
                path = %path.display(),
                "a key that is in the token is also in this file, which is not read (hint: remove the file from this machine)"
            );
        }
    }
}

/// Reads a key file, plain or encrypted.
///
/// **Errors**: [`KeysError`]; a file that others can read is refused even if it is encrypted.
pub fn read_file(path: &Path, role: KeyRole, passphrase: &PassphraseSource) -> Result<SecretKey, KeysError> {
    let failed = |error| KeysError::Read { path: path.into(), error };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Mode { path: path.into(), mode });
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    key_file::read(role, &text, passphrase).map_err(|error| KeysError::Contents { path: path.into(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposer_of_an_edge_network_signs_what_it_orders_and_no_vote() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signer = ProposerSigner(key.clone());
        assert_eq!(signer.sign(SignerRole::Proposer, b"order"), Some(key.sign(b"order")));
        assert_eq!(signer.sign(SignerRole::Acceptor, b"vote"), None);
    }
}
