//! What the journal asks of a disk, the real one, and one in memory that can fail.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

mod memory;

pub use memory::{Failure, MemoryDisk};

/// One folder of flat files. What is not synced may be gone, in part or whole, after a crash.
pub trait Disk {
    /// The names of all files.
    ///
    /// **Errors**: the disk's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's bytes.
    ///
    /// **Errors**: the disk's.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Writes a file anew, replacing one of that name.
    ///
    /// **Errors**: the disk's; how much was written is then unknown.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Writes behind the end of a file.
    ///
    /// **Errors**: the disk's; how much was written is then unknown.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Makes a file's bytes and length durable.
    ///
    /// **Errors**: the disk's; what is durable is then unknown, and asking again tells nothing.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Shortens a file to `length` and makes that durable.
    ///
    /// **Errors**: the disk's.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Renames a file, replacing one of the new name.
    ///
    /// **Errors**: the disk's.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// **Errors**: the disk's.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and deletions durable.
    ///
    /// **Errors**: the disk's.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A folder of the file system, held by one process at a time.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Files that were written to, kept open between writes.
    open: BTreeMap<String, File>,
    /// Held while this lives; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

const LOCK: &str = "LOCK";

impl FileDisk {
    /// Takes an existing folder for this process alone.
    ///
    /// **Returns** none where another process has it.
    ///
    /// **Errors**: the folder is absent or not writable.
    pub fn lock(folder: &Path) -> io::Result<Option<Self>> {
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(FileDisk { folder: folder.into(), open: BTreeMap::new(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn opened(&mut self, name: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new().append(true).open(self.path(name))?;
            self.open.insert(name.into(), file);
        }
        self.open.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Makes the creation of `folder` itself durable: its name stands in the folder above.
///
/// **Errors**: the disk's.
pub(crate) fn sync_parent(folder: &Path) -> io::Result<()> {
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

impl Disk for FileDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != LOCK {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.path(name))?;
        file.write_all(bytes)?;
        self.open.insert(name.into(), file);
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.opened(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        // fdatasync: the length is made durable too, because reading the bytes back depends on it.
        self.opened(name)?.sync_data()
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let file = self.opened(name)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))?;
        self.open.remove(to);
        if let Some(file) = self.open.remove(from) {
            self.open.insert(to.into(), file);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}
