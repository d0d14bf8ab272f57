//! Files and folders that only their owner may read, durable when written.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::error::InitError;

/// Mode of a folder of ours.
pub(crate) const FOLDER_MODE: u32 = 0o700;
/// Mode of a file with a secret.
pub(crate) const SECRET_MODE: u32 = 0o600;
/// Mode of a file without one. Its folder keeps others out all the same.
pub(crate) const PLAIN_MODE: u32 = 0o644;

/// Makes one folder.
pub(crate) fn make_folder(path: &Path) -> Result<(), InitError> {
    DirBuilder::new().mode(FOLDER_MODE).create(path).map_err(|source| disk("make the folder", path, source))
}

/// Writes a new file with this mode, whatever the process's umask, and syncs it.
pub(crate) fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), InitError> {
    let write = || {
        // Never readable by others, not even for a moment.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(SECRET_MODE & mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| disk("write", path, source))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), InitError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| disk("sync", path, source))
}

pub(crate) fn disk(doing: &'static str, path: &Path, source: std::io::Error) -> InitError {
    InitError::Disk { doing, path: path.to_path_buf(), source }
}
