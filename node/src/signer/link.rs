//! The way to the signer, on this machine or another: a connection that it greets, and TLS handshakes that it signs.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carat_network::{Elsewhere, HandshakeSigner, NetworkError, NetworkKey, PrivateDialler};
use carat_storage::Identity;
use carat_types::genesis::GenesisValidator;
use carat_types::message::SignerRole;
use carat_types::{PublicKey, SecretKey, Signature};
use thiserror::Error;

use super::wire::{Answer, Question, VERSION, Welcome, protocol, read_answer};

/// How long the signer may take for one batch before it counts as away.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The same for a handshake, for which a connection waits.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(1);

/// Why a signer cannot be used.
#[derive(Debug, Error)]
pub enum LinkError {
    /// It does not answer.
    #[error(
        "the signer at {place} does not answer: {error} (hint: is carat-node signer run started, and may this user open its socket, or \
         this validator's link key its port?)"
    )]
    Away {
        /// The socket or address.
        place: String,
        /// The system's word.
        error: io::Error,
    },
    /// It answers, and not as this validator's signer.
    #[error("the signer at {place} is not this validator's: {why}")]
    NotOurs {
        /// The socket or address.
        place: String,
        /// In what it differs.
        why: String,
    },
    /// A socket that anybody may open, or no socket.
    #[error(
        "{path} has mode {mode:03o}, expected a socket that others may not open (hint: who made it? carat-node signer makes it with mode 660)"
    )]
    Mode {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The signer refused for a reason that shows that this validator must not go on.
    #[error(
        "the signer refuses: {why} (hint: this validator's journal was lost or rolled back, or another validator runs with \
         this key; stop it for good and ask for a new key, or give it back the journal that it had)"
    )]
    Refused {
        /// In its words.
        why: String,
    },
}

/// Both directions of a connection to a signer.
pub(super) trait Conversation: Read + Write + Send {}

impl<S: Read + Write + Send> Conversation for S {}

/// How a signer is reached.
#[derive(Clone, Debug)]
enum Place {
    /// A socket of this machine; the kernel says who asks.
    Socket(PathBuf),
    /// Another machine; both sides prove a key.
    Remote(PrivateDialler),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Socket(path) => write!(f, "{}", path.display()),
            Place::Remote(dialler) => write!(f, "{}", dialler.address()),
        }
    }
}

/// Where the signer is and whose it must be.
#[derive(Clone, Debug)]
pub struct Link {
    place: Place,
    identity: Identity,
    keys: [PublicKey; 3],
}

impl Link {
    /// The signer at a socket, for the validator that the genesis file lists so.
    pub fn new(path: &Path, identity: Identity, listed: &GenesisValidator) -> Self {
        Self::at(Place::Socket(path.into()), identity, listed)
    }

    /// The signer on another machine, which proves the network key of the genesis file; we prove `own`.
    ///
    /// **Errors**: none is known for a key of ours; the TLS library may refuse.
    pub fn remote(
        address: SocketAddr,
        own: &SecretKey,
        identity: Identity,
        listed: &GenesisValidator,
    ) -> Result<Self, NetworkError> {
        let protocol = protocol(&identity.chain_id);
        let dialler = PrivateDialler::new(own, listed.network, address, &protocol)?;
        Ok(Self::at(Place::Remote(dialler), identity, listed))
    }

    fn at(place: Place, identity: Identity, listed: &GenesisValidator) -> Self {
        Link { place, identity, keys: [listed.acceptor, listed.proposer, listed.network] }
    }

    /// The socket or address, for people.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// Asks for the network key: its certificate, and who signs handshakes with it.
    ///
    /// **Errors**: [`LinkError`]: a validator does not start without its signer.
    pub fn network_key(&self) -> Result<NetworkKey, LinkError> {
        let (_, welcome) = self.connect(PATIENCE)?;
        let signer = Arc::new(self.clone());
        let Welcome { network: public, certificate, reset_key, .. } = welcome;
        Ok(Elsewhere { public, certificate, reset_key, signer }.into())
    }

    fn open(&self, patience: Duration) -> Result<Box<dyn Conversation>, LinkError> {
        let away = |error| LinkError::Away { place: self.place(), error };
        let path = match &self.place {
            Place::Remote(dialler) => return Ok(Box::new(dialler.connect(patience).map_err(away)?)),
            Place::Socket(path) => path,
        };
        let found = path.metadata().map_err(away)?;
        let mode = found.permissions().mode() & 0o777;
        if mode & 0o007 != 0 || !found.file_type().is_socket() {
            return Err(LinkError::Mode { path: path.clone(), mode });
        }
        let stream = UnixStream::connect(path).map_err(away)?;
        stream.set_read_timeout(Some(patience)).map_err(away)?;
        stream.set_write_timeout(Some(patience)).map_err(away)?;
        Ok(Box::new(stream))
    }

    pub(super) fn connect(&self, patience: Duration) -> Result<(Box<dyn Conversation>, Welcome), LinkError> {
        let away = |error| LinkError::Away { place: self.place(), error };
        let mut stream = self.open(patience)?;
        let Identity { chain_id, validator, .. } = self.identity;
        let hello = Question::Hello { version: VERSION, chain_id, validator };
        // Who is refused before it has spoken may find the socket closed: what the signer says counts.
        let written = stream.write_all(&hello.frame()).and_then(|()| stream.flush());
        let answer = read_answer(&mut stream).map_err(|error| away(written.err().unwrap_or(error)))?;
        let not_ours = |why| LinkError::NotOurs { place: self.place(), why };
        match answer {
            Answer::Welcome(welcome) => {
                let keys = [welcome.acceptor, welcome.proposer, welcome.network];
                if keys != self.keys {
                    return Err(not_ours(format!("its keys are {keys:?}, expected {:?}", self.keys)));
                }
                Ok((stream, *welcome))
            }
            Answer::NotYours(why) => Err(not_ours(why)),
            Answer::Away(why) => Err(away(io::Error::other(why))),
            Answer::Signed { .. } | Answer::Refused { .. } => Err(not_ours("it does not greet".into())),
        }
    }

    /// The key that `role` must sign with.
    pub(super) fn key(&self, role: SignerRole) -> &PublicKey {
        let [acceptor, proposer, _] = &self.keys;
        match role {
            SignerRole::Acceptor => acceptor,
            SignerRole::Proposer => proposer,
        }
    }
}

impl HandshakeSigner for Link {
    fn sign(&self, message: &[u8]) -> io::Result<Signature> {
        let connected = self.connect(HANDSHAKE_PATIENCE);
        let (mut stream, _) = connected.map_err(|error| io::Error::other(error.to_string()))?;
        stream.write_all(&Question::Handshake { number: 0, bytes: message.to_vec() }.frame())?;
        stream.flush()?;
        match read_answer(&mut stream)? {
            Answer::Signed { signature, .. } => Ok(signature),
            Answer::Refused { why, .. } | Answer::NotYours(why) | Answer::Away(why) => {
                Err(io::Error::other(why))
            }
            Answer::Welcome(_) => Err(io::Error::other("it greets twice")),
        }
    }
}
