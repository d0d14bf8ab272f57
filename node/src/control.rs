//! The operator's socket in the data folder: a Unix socket that only the validator's own user and root may open, for
//! what the operator's listener never does: something on disk.
//!
//! One line of JSON is asked and one is answered. Today there is one matter, a copy of the database for a backup:
//!
//! ```text
//! {"request":"checkpoint"}               {"checkpoint":"/path"}        kept until the connection ends
//! {"request":"certificate","slot":17}    {"certificate":"hex"}         waits until the block is sealed
//! {"request":"release"}                  "released"                    the copy is removed
//!                                        {"error":"sentence"}
//! ```

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carat_storage::Store;
use carat_types::Slot;
use carat_types::codec::Encode as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;

/// The socket, in the data folder.
pub(crate) const SOCKET: &str = "control.sock";
/// The copy of the database, in the data folder: on the file system of the store, so that files can be shared.
const CHECKPOINT: &str = "backup.checkpoint";
const REQUEST_BYTES_MAX: u64 = 4 << 10;
const CONNECTIONS_MAX: usize = 8;
/// How long a block may take to be sealed.
pub(crate) const SEAL_PATIENCE: Duration = Duration::from_secs(30);
const SEAL_EVERY: Duration = Duration::from_millis(50);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// A copy of the database, for as long as the connection lasts.
    Checkpoint,
    /// The copy is no longer needed.
    Release,
    /// The seals of a block, once there are any.
    Certificate {
        /// The block.
        slot: u64,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// Folder of the copy.
    Checkpoint(PathBuf),
    /// The copy is removed.
    Released,
    /// The encoded certificate, in hex.
    Certificate(String),
    /// Why not.
    Error(String),
}

/// The listening end.
pub(crate) struct Control {
    listener: UnixListener,
    /// Who owns the socket, and so this process.
    owner: u32,
    store: Arc<Store>,
    checkpoint: PathBuf,
    /// Held by the connection that has a copy.
    one: Arc<Mutex<()>>,
}

/// A copy that goes away with the connection it was made for.
struct DatabaseCopy {
    folder: PathBuf,
    _one: OwnedMutexGuard<()>,
}

impl Drop for DatabaseCopy {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "the copy for a backup could not be removed");
        }
    }
}

impl Control {
    /// Listens in the data folder, which this process holds, and removes what an earlier one left there.
    ///
    /// **Errors**: the system's.
    pub(crate) fn bind(data: &Path, store: Arc<Store>) -> std::io::Result<Self> {
        let (socket, checkpoint) = (data.join(SOCKET), data.join(CHECKPOINT));
        if socket.symlink_metadata().is_ok() {
            std::fs::remove_file(&socket)?;
        }
        if checkpoint.exists() {
            std::fs::remove_dir_all(&checkpoint)?;
        }
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let owner = socket.symlink_metadata()?.uid();
        Ok(Control { listener, owner, store, checkpoint, one: Arc::default() })
    }

    /// Answers until the task is cut off.
    pub(crate) async fn serve(self) {
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match this.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&this).attend(stream));
                }
                Err(error) => {
                    tracing::error!(%error, "the operator's socket is no longer served");
                    return;
                }
            }
        }
    }

    async fn attend(self: Arc<Self>, mut stream: UnixStream) {
        // The mode of the file says the same; whoever was handed the open socket is asked once more.
        let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0);
        let (input, mut output) = stream.split();
        let mut input = BufReader::new(input);
        let mut copy = None;
        loop {
            let mut line = String::new();
            let read = (&mut input).take(REQUEST_BYTES_MAX).read_line(&mut line).await;
            if read.is_ok_and(|bytes| bytes == 0) || !line.ends_with('\n') {
                return;
            }
            let answer = match serde_json::from_str(&line) {
                _ if !allowed => Answer::Error("only the validator's own user and root may ask".into()),
                Ok(request) => self.answer(request, &mut copy).await,
                Err(error) => Answer::Error(format!("not a request: {error}")),
            };
            let mut text = serde_json::to_string(&answer).unwrap_or_default();
            text.push('\n');
            if output.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, request: Request, copy: &mut Option<DatabaseCopy>) -> Answer {
        let answered = match request {
            Request::Checkpoint => self.copy(copy).await,
            Request::Release => {
                *copy = None;
                Ok(Answer::Released)
            }
            Request::Certificate { slot } => self.certificate(Slot(slot)).await,
        };
        answered.unwrap_or_else(Answer::Error)
    }

    async fn copy(&self, copy: &mut Option<DatabaseCopy>) -> Result<Answer, String> {
        let busy = "a backup is being made already (hint: wait for it, or stop its process)";
        let one = Arc::clone(&self.one).try_lock_owned().map_err(|_| busy)?;
        let (store, folder) = (Arc::clone(&self.store), self.checkpoint.clone());
        let made = tokio::task::spawn_blocking(move || store.checkpoint(&folder)).await;
        // From here on it is removed, also what a failure left of it.
        *copy = Some(DatabaseCopy { folder: self.checkpoint.clone(), _one: one });
        match made {
            Ok(Ok(())) => Ok(Answer::Checkpoint(self.checkpoint.clone())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the copy failed by a defect of the program".into()),
        }
    }

    async fn certificate(&self, slot: Slot) -> Result<Answer, String> {
        let mut ticks = tokio::time::interval(SEAL_EVERY);
        let sealed = async {
            loop {
                ticks.tick().await;
                match self.store.certificate(slot) {
                    Ok(None) => {}
                    Ok(Some(certificate)) => return Ok(certificate),
                    Err(error) => return Err(error.to_string()),
                }
            }
        };
        match tokio::time::timeout(SEAL_PATIENCE, sealed).await {
            Ok(found) => found.map(|certificate| Answer::Certificate(to_hex(&certificate.to_bytes()))),
            Err(_) => Err(format!(
                "block {slot} was not sealed by f+1 validators within {} s (hint: see carat status: is there a quorum?)",
                SEAL_PATIENCE.as_secs()
            )),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
