//! Sealed payloads that this node keeps for their recipients: one file each, below the validator's data.
//!
//! Not in the store: a court may demand that one is erased, and a file that is deleted is gone, where a database keeps
//! old values until it happens to compact. An erased payload leaves an empty marker, so that nobody brings it back.
//! `carat payload erase` does that to the folder, whether the node runs or not.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use carat_types::Digest;
use carat_types::codec::{Decode as _, Encode as _};
use carat_types::sealed_payload::{BODY_BYTES_MAX, ERASED, FOLDER, SealedPayload};
use thiserror::Error;

/// What all payloads may take together. **Units**: bytes.
const TOTAL_BYTES_MAX: u64 = 1 << 30;
/// Name of a file that is being written.
const UNFINISHED: &str = "unfinished";

/// Payloads on disk.
#[derive(Debug)]
pub struct Payloads {
    folder: PathBuf,
    limit: u64,
    /// Bytes that are taken, as far as this process wrote or found them: erasing gives them back at the next start.
    taken: Mutex<u64>,
}

/// Why a payload is not kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// It was kept once, and had to be erased.
    #[error("this payload was erased here, and is not taken again")]
    Erased,
    /// No room.
    #[error("this validator keeps as many payloads as it may (hint: deliver it to another one)")]
    Full,
    /// The file system failed.
    #[error("this validator cannot write now; try another one")]
    Io(#[from] io::Error),
}

impl Payloads {
    /// Those below the validator's data folder.
    ///
    /// **Errors**: the folder cannot be made or read.
    pub fn open(data: &Path) -> io::Result<Self> {
        Self::with_limit(data, TOTAL_BYTES_MAX)
    }

    fn with_limit(data: &Path, limit: u64) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let mut taken = 0_u64;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name() == UNFINISHED {
                fs::remove_file(entry.path())?;
            } else {
                taken = taken.saturating_add(entry.metadata()?.len());
            }
        }
        Ok(Payloads { folder, limit, taken: Mutex::new(taken) })
    }

    fn path(&self, memo: &Digest) -> PathBuf {
        self.folder.join(memo.to_string())
    }

    /// Keeps a payload. It is durable when this returns. One that is kept already is kept once.
    ///
    /// **Errors**: see [`KeepError`].
    pub fn keep(&self, payload: &SealedPayload) -> Result<(), KeepError> {
        let (memo, bytes) = (payload.memo(), payload.to_bytes());
        // One at a time: there is one unfinished file.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.folder.join(format!("{memo}{ERASED}")).exists() {
            return Err(KeepError::Erased);
        }
        if self.path(&memo).exists() {
            return Ok(());
        }
        let after = taken.saturating_add(bytes.len() as u64);
        if after > self.limit {
            return Err(KeepError::Full);
        }
        let unfinished = self.folder.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path(&memo))?;
        File::open(&self.folder)?.sync_all()?;
        *taken = after;
        Ok(())
    }

    /// A payload; none if it is not kept. A file that was damaged is as one that is not there, and is told.
    ///
    /// **Errors**: the file system's.
    pub fn fetch(&self, memo: &Digest) -> io::Result<Option<SealedPayload>> {
        let path = self.path(memo);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(2 * u64::from(BODY_BYTES_MAX)).read_to_end(&mut bytes)?;
        let payload = SealedPayload::from_bytes(&bytes).ok().filter(|payload| payload.memo() == *memo);
        if payload.is_none() {
            tracing::error!(path = %path.display(), "a kept payload is damaged (hint: its sender can deliver it again once the file is gone)");
        }
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use carat_types::sealed_payload::{SealedBody, commitment};

    use super::*;

    fn payload(byte: u8) -> SealedPayload {
        SealedPayload {
            network: Digest([1; 32]),
            commitment: commitment(&[byte]),
            recipients: Vec::new(),
            body: SealedBody(vec![byte; 1_000]),
        }
    }

    #[test]
    fn kept_payload_is_there_after_a_restart() {
        let data = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::open(data.path()).expect("opened");
        payloads.keep(&payload(1)).expect("kept");
        payloads.keep(&payload(1)).expect("kept once");
        fs::write(data.path().join(FOLDER).join(UNFINISHED), b"a crash left this").expect("written");
        let again = Payloads::open(data.path()).expect("opened");
        assert_eq!(again.fetch(&payload(1).memo()).expect("read"), Some(payload(1)));
        assert_eq!(again.fetch(&payload(2).memo()).expect("read"), None);
        assert_eq!(*again.taken.lock().expect("free"), payload(1).to_bytes().len() as u64);
    }

    #[test]
    fn erased_payload_is_gone_and_not_taken_again() {
        let data = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::open(data.path()).expect("opened");
        payloads.keep(&payload(1)).expect("kept");
        let memo = payload(1).memo();
        // What `carat payload erase` does.
        fs::write(payloads.folder.join(format!("{memo}{ERASED}")), b"").expect("marked");
        fs::remove_file(payloads.path(&memo)).expect("deleted");
        assert_eq!(payloads.fetch(&memo).expect("read"), None);
        assert!(matches!(payloads.keep(&payload(1)), Err(KeepError::Erased)));
    }

    #[test]
    fn payloads_have_a_limit_together() {
        let data = tempfile::tempdir().expect("a folder");
        let one = payload(1).to_bytes().len() as u64;
        let payloads = Payloads::with_limit(data.path(), 2 * one).expect("opened");
        payloads.keep(&payload(1)).expect("kept");
        payloads.keep(&payload(2)).expect("kept");
        assert!(matches!(payloads.keep(&payload(3)), Err(KeepError::Full)));
        assert_eq!(payloads.fetch(&payload(3).memo()).expect("read"), None);
    }

    #[test]
    fn damaged_payload_is_not_given_out() {
        let data = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::open(data.path()).expect("opened");
        payloads.keep(&payload(1)).expect("kept");
        let memo = payload(1).memo();
        let mut bytes = payload(1).to_bytes();
        bytes[500] ^= 1;
        fs::write(payloads.path(&memo), bytes).expect("damaged");
        assert_eq!(payloads.fetch(&memo).expect("read"), None);
    }
}
