//! Disks whose power can be cut: each validator's data folder on an ext4 of its own in a file, which the kernel is
//! told to shut down without writing anything more. What was not synced is gone, as after a real power cut;
//! SIGKILL alone loses nothing that the kernel already has.
//!
//! Needs root, loop devices, and `perl` (part of every Debian) for the one ioctl, as this workspace has no unsafe code.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Size of a disk; the file is sparse.
const SIZE: &str = "1G";
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing is written any more, not even the file system's log.
const SHUTDOWN: &str = "open(my $f, '<', $ARGV[0]) or die \"open: $!\"; my $flags = pack('L', 2); \
                        ioctl($f, 0x8004587d, $flags) or die \"ioctl: $!\"";
/// How long a killed process may hold its files, and how often is looked.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);
/// A file to open for the ioctl.
const HANDLE: &str = "handle";

/// One disk, mounted.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes a disk `name` in `folder` and mounts it.
    ///
    /// **Errors**: no root, no loop devices, no tools; the text says which command failed.
    pub fn make(folder: &Path, name: &str) -> Result<Self> {
        let image = folder.join(format!("{name}.ext4"));
        let mount = folder.join(name);
        std::fs::create_dir_all(&mount)?;
        run("truncate", &["-s", SIZE, &text(&image)])?;
        run("mkfs.ext4", &["-q", "-F", &text(&image)])?;
        let disk = Disk { image, mount };
        disk.mount()?;
        std::fs::write(disk.mount.join(HANDLE), b"")?;
        run("sync", &["-f", &text(&disk.mount)])?;
        Ok(disk)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: from now on every write fails, and what was not synced is lost.
    ///
    /// **Errors**: the ioctl failed.
    pub fn cut(&self) -> Result<()> {
        run("perl", &["-e", SHUTDOWN, &text(&self.mount.join(HANDLE))])
    }

    /// Gives the power back: the file system is mounted again, from what is on the disk.
    ///
    /// **Errors**: somebody still uses it, or it cannot be mounted.
    pub async fn restore(&self) -> Result<()> {
        // A process that was killed holds its files until its last thread is gone.
        let began = Instant::now();
        while let Err(error) = run("umount", &[&text(&self.mount)]) {
            if began.elapsed() > RELEASE_PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(RELEASE_INTERVAL).await;
        }
        self.mount()
    }

    fn mount(&self) -> Result<()> {
        run("mount", &["-o", "loop", &text(&self.image), &text(&self.mount)])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a run that failed may leave a process behind that still has files open.
        let _ = run("umount", &["-l", &text(&self.mount)]);
    }
}

/// Why power cannot be cut here; none if it can.
pub async fn unavailable(folder: &Path) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting needs root".to_owned());
    }
    try_out(folder).await.err().map(|error| format!("{error:#}"))
}

/// Cuts the power of a disk of no consequence, and looks whether anything was lost.
async fn try_out(folder: &Path) -> Result<()> {
    let disk = Disk::make(folder, "try")?;
    std::fs::write(disk.folder().join("unsynced"), b"gone")?;
    disk.cut()?;
    disk.restore().await?;
    if disk.folder().join("unsynced").exists() {
        bail!("a file that was never synced survived the cut");
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {} failed: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}
