//! The file of handovers: how each epoch of the chain ended. Validators and followers keep one in their data folder, clients beside
//! the description of their network.
//!
//! The file proves itself: read together with the genesis file, each handover is checked by the set to which the one before
//! led. So it may come from anybody, and whoever was away for epochs, or comes anew, is given it by any other.
//!
//! **Source**: consensus specification, section 11; decision records 39, 50 and 59.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use carat_types::codec::DecodeError;
use carat_types::epoch::{BrokenChain, Epochs, Handover, read_handovers, write_handovers};
use carat_types::validators::Ed25519;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Its name in every folder.
pub const FILE_NAME: &str = "handovers";
/// Longest file that is read: as many handovers as a receipt may carry, of the largest sets. **Units**: bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a file of handovers cannot be used.
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
    /// Longer than any such file.
    #[error(
        "{path} is longer than {FILE_BYTES_MAX} bytes, the most that handovers take (hint: remove it, and put there the file of another \
         validator, or that of carat epochs fetch)"
    )]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// Not such a file.
    #[error(
        "{path} holds no handovers: {error} (hint: remove it, and put there the file of another validator, or that of carat epochs \
         fetch)"
    )]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DecodeError,
    },
    /// One proves nothing.
    #[error(
        "{path}: {error} (hint: it must be of the chain of the genesis file; remove it, and put there the file of another validator, or \
         that of carat epochs fetch)"
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        error: BrokenChain,
    },
}

/// What the file says, unchecked; none where there is no file.
///
/// **Errors**: [`HandoversError`].
pub fn read(path: &Path) -> Result<Option<Vec<Handover>>, HandoversError> {
    let failed = |error| HandoversError::File { doing: "read", path: path.to_path_buf(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    let length = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if length as u64 > FILE_BYTES_MAX {
        return Err(HandoversError::Long { path: path.to_path_buf() });
    }
    let contents = |error| HandoversError::Contents { path: path.to_path_buf(), error };
    read_handovers(&bytes).map(Some).map_err(contents)
}

/// Follows the file from the genesis file's epoch on; where there is none, nothing is followed.
///
/// **Returns** whether there is a file.
///
/// **Errors**: [`HandoversError`].
pub fn follow(path: &Path, epochs: &mut Epochs) -> Result<bool, HandoversError> {
    let Some(handovers) = read(path)? else { return Ok(false) };
    let broken = |error| HandoversError::Broken { path: path.to_path_buf(), error };
    epochs.follow(&handovers, &Ed25519).map_err(broken)?;
    Ok(true)
}

/// Writes the file, durably and at once: a crash leaves the old one or the new one.
///
/// **Errors**: the system's.
pub fn write(path: &Path, handovers: &[Handover]) -> Result<(), HandoversError> {
    // Another program may be writing the same.
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    replace(path, &unfinished, &write_handovers(handovers)).map_err(|error| {
        // Half a file is of no use to anybody.
        let _ = fs::remove_file(&unfinished);
        HandoversError::File { doing: "write", path: path.to_path_buf(), error }
    })
}

fn replace(path: &Path, unfinished: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, path)?;
    match path.parent().filter(|folder| *folder != Path::new("")) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
