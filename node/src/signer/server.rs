//! The signer's side: a socket for the validator's user, or a port for its key, one thread that judges and signs, a journal of its own.
//!
//! All questions that wait are judged together; their lines are made durable by one sync; then all are signed and answered.
//! So a sync is shared by whatever gathered while the last one ran, as in the validator's own journal.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use carat_storage::Identity;
use carat_storage::journal::{Journal, JournalError, Record};
use carat_types::codec::{Decode as _, DecodeError, Encode as _};
use carat_types::{Slot, ValidatorId};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::book::{Book, Mark};
use super::keyring::Keyring;
use super::remote::{Remote, accept_remote, attend_remote};
use super::settings::SignerSettings;
use super::statement::{Statement, is_handshake};
use super::wire::{Answer, Question, VERSION, body_length};
use crate::error::NodeError;
use crate::home::read_genesis;
use crate::keys::Keys;

/// Connections at one time: a validator has one, and one for each handshake that is being signed.
const CONNECTIONS_MAX: usize = 32;
/// Questions of one connection that wait.
const QUESTIONS_MAX: usize = 4_096;
/// The journal is begun anew when it has grown by so much.
const JOURNAL_BYTES: u64 = 16 << 20;
/// The socket's mode: the owner and the group, and nobody else.
const SOCKET_MODE: u32 = 0o660;

/// Why a signer cannot start or go on.
#[derive(Debug, Error)]
pub enum SignerError {
    /// Settings, genesis file or keys; a token that can be used no more.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The journal of what was signed.
    #[error("the signer's journal: {0}")]
    Journal(#[from] JournalError),
    /// A line of the journal that is none.
    #[error(
        "the signer's journal holds a line that does not decode: {0} (hint: it was written by another release)"
    )]
    Line(DecodeError),
    /// The socket.
    #[error("cannot {doing} the socket {path}: {error}")]
    Socket {
        /// What was tried.
        doing: &'static str,
        /// The socket.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// The port.
    #[error("cannot listen at {listen} (remote.listen): {error}")]
    Port {
        /// The address.
        listen: SocketAddr,
        /// The system's word.
        error: io::Error,
    },
    /// Something else is where the socket should be.
    #[error(
        "{path} is there and is no socket, expected nothing or what an earlier signer left (hint: listen in signer.toml)"
    )]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The signing thread ended.
    #[error("the signing thread ended: {0}")]
    Stopped(String),
}

/// What journal and validator must belong to, and the keys.
fn read(settings: &SignerSettings) -> Result<(Identity, Keyring), SignerError> {
    let genesis = read_genesis(&settings.genesis)?;
    let validators = &genesis.genesis.validators;
    let (index, count) = (settings.index, validators.len());
    let listed = validators.get(usize::from(index)).ok_or(NodeError::Index { index, count })?;
    let keys = Keys::read(&settings.keys, settings.token.as_ref(), listed, &settings.passphrase())
        .map_err(NodeError::from)?;
    let identity =
        Identity { chain_id: genesis.chain_id, key: listed.acceptor, validator: ValidatorId(index) };
    let mut keyring = Keyring::new(keys)?;
    keyring.ready().map_err(NodeError::from)?;
    Ok((identity, keyring))
}

/// Makes the empty journal of a signer, once. A key is never used again with an empty journal (section 4): whoever moves
/// the key of a validator that has voted lets that validator's own journal stand.
///
/// **Errors**: keys that do not fit; a journal that is there.
pub fn create_journal(settings: &SignerSettings) -> Result<(), SignerError> {
    let (identity, _) = read(settings)?;
    Ok(Journal::create(&settings.data, identity)?)
}

/// A signer that listens.
pub struct Server {
    listener: Option<UnixListener>,
    remote: Option<Remote>,
    users: Vec<u32>,
    identity: Identity,
    desk: Sender<Asked>,
    failed: UnboundedReceiver<SignerError>,
}

/// A question on its way to the desk.
pub(super) struct Asked {
    question: Question,
    answers: UnboundedSender<(Answer, OwnedSemaphorePermit)>,
    permit: OwnedSemaphorePermit,
}

impl Server {
    /// Reads keys and journal, and listens. Must be called inside a tokio runtime.
    ///
    /// **Errors**: [`SignerError`]; nothing was signed then.
    pub fn start(settings: &SignerSettings) -> Result<Self, SignerError> {
        let (identity, keyring) = read(settings)?;
        let (journal, records) = Journal::open(&settings.data, &identity)?;
        let mut book = Book::default();
        for record in &records {
            book.note(Mark::from_bytes(&record.bytes).map_err(SignerError::Line)?);
        }
        tracing::info!(key = %keyring.acceptor(), lines = records.len(), "the journal of what was signed is read");
        let listener = if settings.users.is_empty() { None } else { Some(listen(settings)?) };
        let remote = settings.remote.as_ref().and_then(|it| Some((it.listen, it.client()?)));
        let remote = remote.map(|it| Remote::bind(it, &keyring, &identity)).transpose()?;
        let (desk, questions) = channel();
        let (failure, failed) = unbounded_channel();
        let desk_work =
            Desk { identity, keyring, book, journal_floor: journal.bytes(), journal, away: false };
        let run = move || {
            let outcome =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk_work.run(&questions)));
            let failed = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => SignerError::Stopped("a defect of the program".into()),
            };
            // Nobody listens any more when the signer is being stopped.
            let _ = failure.send(failed);
        };
        let thread = std::thread::Builder::new().name("desk".into()).spawn(run);
        thread.map_err(|error| SignerError::Stopped(error.to_string()))?;
        Ok(Server { listener, remote, users: settings.users.clone(), identity, desk, failed })
    }

    /// Serves until its journal fails.
    ///
    /// **Errors**: always; a signer stops by being ended, at any moment.
    pub async fn serve(mut self) -> SignerError {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            while connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            tokio::select! {
                failure = self.failed.recv() => {
                    return failure.unwrap_or(SignerError::Stopped("it is gone".into()));
                }
                accepted = accept_local(self.listener.as_ref()) => match accepted {
                    Ok(stream) => match self.admit(&stream) {
                        Ok(user) => {
                            let desk = self.desk.clone();
                            connections.spawn(attend(stream, self.identity, format!("user {user}"), desk, None));
                        }
                        Err(why) => {
                            tracing::warn!(reason = why, "a connection is refused");
                            connections.spawn(refuse(stream, why));
                        }
                    },
                    Err(error) => failed_to_accept(error).await,
                },
                accepted = accept_remote(self.remote.as_ref()) => match accepted {
                    Ok((stream, address, door)) => {
                        connections.spawn(attend_remote(stream, address, door, self.identity, self.desk.clone()));
                    }
                    Err(error) => failed_to_accept(error).await,
                },
            }
        }
    }

    /// Who is on the other side, by the word of the kernel.
    fn admit(&self, stream: &UnixStream) -> Result<u32, String> {
        let peer =
            stream.peer_cred().map_err(|error| format!("the system does not say who it is: {error}"))?;
        let user = peer.uid();
        if self.users.contains(&user) {
            return Ok(user);
        }
        Err(format!(
            "user {user} may not have anything signed, expected one of {:?} (hint: users in signer.toml)",
            self.users
        ))
    }
}

/// Makes the socket, in place of one that an earlier signer left.
fn listen(settings: &SignerSettings) -> Result<UnixListener, SignerError> {
    let path: &Path = &settings.listen;
    let failed = |doing| move |error| SignerError::Socket { doing, path: path.into(), error };
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(SignerError::NoSocket { path: path.into() });
        }
        // The lock on the journal says that no other signer of this key runs.
        std::fs::remove_file(path).map_err(failed("replace"))?;
    }
    let listener = UnixListener::bind(path).map_err(failed("listen at"))?;
    if settings.group.is_some() {
        chown(path, None, settings.group).map_err(failed("change the group of"))?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))
        .map_err(failed("change the mode of"))?;
    Ok(listener)
}

/// Out of file descriptors or the like: others may end soon.
async fn failed_to_accept(error: io::Error) {
    tracing::error!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn accept_local(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

async fn refuse(mut stream: UnixStream, why: String) {
    // Whether it is heard is not ours to say.
    let _ = stream.write_all(&Answer::NotYours(why).frame()).await;
}

/// Reads questions and hands them to the desk, until the other side hangs up.
pub(super) async fn attend(
    stream: impl AsyncRead + AsyncWrite + Send,
    identity: Identity,
    who: String,
    desk: Sender<Asked>,
    idle_max: Option<Duration>,
) {
    let (mut input, mut output) = tokio::io::split(stream);
    let (answers, mut answered) = unbounded_channel::<(Answer, OwnedSemaphorePermit)>();
    let room = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let writing = async move {
        while let Some((answer, _permit)) = answered.recv().await {
            let mut bytes = answer.frame();
            while let Ok((answer, _permit)) = answered.try_recv() {
                bytes.extend_from_slice(&answer.frame());
            }
            // TLS keeps what is not flushed.
            if output.write_all(&bytes).await.is_err() || output.flush().await.is_err() {
                break;
            }
            if matches!(answer, Answer::NotYours(_)) {
                break;
            }
        }
        // Whether the other side hears it is not ours to say.
        let _ = output.shutdown().await;
    };
    let reading = async move {
        let mut welcome = false;
        while let Ok(question) = next_question(&mut input, idle_max).await {
            if let Question::Hello { version, chain_id, validator } = &question {
                let why = misfit(&identity, (*version, *chain_id, *validator));
                welcome = why.is_none();
                if let Some(why) = why {
                    tracing::warn!(who, reason = why, "a validator is refused");
                    let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                    let _ = answers.send((Answer::NotYours(why), permit));
                    return;
                }
                tracing::debug!(who, "a validator is here");
            } else if !welcome {
                tracing::warn!(who, "a question before the hello");
                return;
            }
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            if desk.send(Asked { question, answers: answers.clone(), permit }).is_err() {
                return;
            }
        }
    };
    // Answers that are under way when the other side hangs up have no reader.
    tokio::join!(reading, writing);
}

fn misfit(
    identity: &Identity,
    (version, chain_id, validator): (u16, carat_types::Digest, ValidatorId),
) -> Option<String> {
    if version != VERSION {
        return Some(format!("it speaks version {version}, this signer {VERSION}"));
    }
    if (chain_id, validator) != (identity.chain_id, identity.validator) {
        let (own, place) = (identity.chain_id, identity.validator);
        return Some(format!(
            "it is validator {validator} of chain {chain_id}, this signer's is validator {place} of {own} (hint: genesis \
             and index in signer.toml, validator.signer in node.toml)"
        ));
    }
    None
}

async fn next_question(
    input: &mut (impl AsyncRead + Unpin),
    idle_max: Option<Duration>,
) -> io::Result<Question> {
    match idle_max {
        None => read_question(input).await,
        Some(patience) => timeout(patience, read_question(input)).await?,
    }
}

async fn read_question(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Question> {
    let mut head = [0; 4];
    input.read_exact(&mut head).await?;
    let mut body = vec![0; body_length(head)?];
    input.read_exact(&mut body).await?;
    Question::read(&body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Where it is judged and signed: one thread has the keys, the book and the journal.
struct Desk {
    identity: Identity,
    keyring: Keyring,
    book: Book,
    journal: Journal,
    /// The journal's length when it was last begun anew.
    journal_floor: u64,
    /// Whether the token was away when it was last asked.
    away: bool,
}

/// What a question comes to, before the lines are durable.
enum Verdict {
    Welcome,
    Vote(Statement, Vec<u8>),
    Handshake(Vec<u8>),
    Refused { grave: bool, why: String },
}

impl Verdict {
    fn needs_token(&self) -> bool {
        matches!(self, Verdict::Welcome | Verdict::Vote(..))
    }
}

impl Desk {
    /// Answers until nobody can ask any more.
    ///
    /// **Errors**: the journal's, behind which nothing was signed; the token's, if waiting for it cannot help.
    fn run(mut self, questions: &Receiver<Asked>) -> Result<(), SignerError> {
        while let Ok(first) = questions.recv() {
            let mut judged = Vec::new();
            for asked in std::iter::once(first).chain(questions.try_iter().take(QUESTIONS_MAX)) {
                let number = match &asked.question {
                    Question::Hello { .. } => 0,
                    Question::Sign { number, .. } | Question::Handshake { number, .. } => *number,
                };
                judged.push((number, self.judge(asked.question)?, asked.answers, asked.permit));
            }
            // The guard's promise: what is signed is durable before the signature leaves.
            self.journal.sync()?;
            // Nobody waits for a token twice in one round.
            let mut away = None;
            for (number, verdict, answers, permit) in judged {
                let answer = match away.clone() {
                    Some(why) if verdict.needs_token() => Answer::Away(why),
                    _ => self.answer(number, verdict)?,
                };
                if let Answer::Away(why) = &answer {
                    away = Some(why.clone());
                }
                // Who hung up does not wait for it.
                let _ = answers.send((answer, permit));
            }
            self.tidy()?;
        }
        Ok(())
    }

    fn judge(&mut self, question: Question) -> Result<Verdict, SignerError> {
        let bytes = match question {
            Question::Hello { .. } => return Ok(Verdict::Welcome),
            Question::Handshake { bytes, .. } if is_handshake(&bytes) => {
                return Ok(Verdict::Handshake(bytes));
            }
            Question::Handshake { .. } => {
                let why = "these are not the bytes of a TLS 1.3 handshake".into();
                return Ok(Verdict::Refused { grave: false, why });
            }
            Question::Sign { bytes, .. } => bytes,
        };
        let statement = match Statement::read(&bytes, &self.identity.chain_id) {
            Ok(statement) => statement,
            Err(error) => return Ok(Verdict::Refused { grave: false, why: error.to_string() }),
        };
        match self.book.admit(&statement) {
            Ok(fresh) => {
                if let Some(mark) = fresh {
                    self.journal.append(&mark.to_bytes(), Slot(0))?;
                }
                Ok(Verdict::Vote(statement, bytes))
            }
            Err(refusal) => {
                tracing::error!(reason = %refusal, "not signed: the validator has lost its journal, or there are two of it");
                Ok(Verdict::Refused { grave: refusal.is_grave(), why: refusal.to_string() })
            }
        }
    }

    /// **Errors**: a token that can be used no more.
    fn answer(&mut self, number: u64, verdict: Verdict) -> Result<Answer, SignerError> {
        let answered = match verdict {
            Verdict::Welcome => {
                self.keyring.ready().map(|()| Answer::Welcome(Box::new(self.keyring.welcome())))
            }
            Verdict::Vote(statement, bytes) => {
                let signed = self.keyring.sign(statement.role(), &bytes);
                signed.map(|signature| Answer::Signed { number, signature })
            }
            Verdict::Handshake(bytes) => {
                return Ok(Answer::Signed { number, signature: self.keyring.sign_handshake(&bytes) });
            }
            Verdict::Refused { grave, why } => return Ok(Answer::Refused { number, grave, why }),
        };
        match answered {
            Ok(answer) => {
                if std::mem::take(&mut self.away) {
                    tracing::info!("the token is back");
                }
                Ok(answer)
            }
            Err(error) if error.is_final() => Err(NodeError::from(error).into()),
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::error!(%error, "the token is away: nothing is signed until it is back");
                }
                Ok(Answer::Away(error.to_string()))
            }
        }
    }

    /// Begins the journal anew with what still counts, before it grows without end.
    fn tidy(&mut self) -> Result<(), SignerError> {
        if self.journal.bytes() < self.journal_floor.saturating_add(JOURNAL_BYTES) {
            return Ok(());
        }
        let carry: Vec<Record> =
            self.book.marks().iter().map(|mark| Record { slot: Slot(0), bytes: mark.to_bytes() }).collect();
        self.journal.compact(Slot(u64::MAX), &carry)?;
        self.journal_floor = self.journal.bytes();
        Ok(())
    }
}
