//! The file `handovers` beside `network.toml`: how each epoch ended, as far as this client knows.
//!
//! It proves itself against the genesis file, so it may come from anybody, and lost it is learned again.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use carat_types::codec::DecodeError;
use carat_types::epoch::{BrokenChain, Epochs, Handover, read_handovers, write_handovers};
use carat_types::validators::Ed25519;
use thiserror::Error;

/// Beside the description; the same form as in a validator's data folder.
pub const FILE_NAME: &str = "handovers";
/// Longest file that is read: as many handovers as a receipt may carry, of the largest sets. **Units**: bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why handovers cannot be used.
#[derive(Debug, Error)]
pub enum HandoversError {
    /// The system's word.
    #[error("cannot {doing} {path}: {error}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Not such a file.
    #[error("{path} holds no handovers: {error} (hint: remove it, and carat epochs fetch brings it again)")]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DecodeError,
    },
    /// One proves nothing.
    #[error(
        "{path}: {error} (hint: it must be of the chain of the genesis file; remove it, and carat epochs fetch brings it again)"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        error: BrokenChain,
    },
}

/// Follows the file in `folder` from the genesis file's epoch on; where there is no file, nothing is followed.
///
/// **Errors**: [`HandoversError`].
pub(super) fn follow(folder: &Path, epochs: &mut Epochs) -> Result<(), HandoversError> {
    let path = folder.join(FILE_NAME);
    let Some(handovers) = read(&path)? else { return Ok(()) };
    epochs.follow(&handovers, &Ed25519).map_err(|error| HandoversError::Broken { path, error })?;
    Ok(())
}

/// What the file says, unchecked; none where there is no file.
fn read(path: &Path) -> Result<Option<Vec<Handover>>, HandoversError> {
    let failed = |error| HandoversError::File { doing: "read", path: path.to_path_buf(), error };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let contents = |error| HandoversError::Contents { path: path.to_path_buf(), error };
    Ok(Some(read_handovers(&bytes).map_err(contents)?))
}

/// Writes handovers at once: a crash leaves the old file or the new one. A file that holds as many or more stays as it is.
///
/// **Returns** whether it was written.
///
/// **Errors**: the system's.
pub(super) fn keep(folder: &Path, handovers: &[Handover]) -> Result<bool, HandoversError> {
    let path = folder.join(FILE_NAME);
    // What cannot be read is worth less than what is known.
    let there = read(&path).ok().flatten().map_or(0, |there| there.len());
    if there >= handovers.len() {
        return Ok(false);
    }
    // Another command may be writing the same.
    let unfinished = folder.join(format!("{FILE_NAME}.{}.unfinished", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(&write_handovers(handovers))?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)
    };
    write().map_err(|error| {
        // Half a file is of no use to anybody.
        let _ = std::fs::remove_file(&unfinished);
        HandoversError::File { doing: "write", path: path.clone(), error }
    })?;
    Ok(true)
}
