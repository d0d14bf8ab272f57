//! A disk in memory that forgets what was not synced: for simulation and for tests of crashes.

use std::collections::BTreeMap;
use std::io;

use super::Disk;

/// Files whose durable part is known byte by byte, and a plan for the failure of an operation.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: BTreeMap<FileId, Contents>,
    /// What programs see.
    names: BTreeMap<String, FileId>,
    /// What a crash leaves of the names.
    durable_names: BTreeMap<String, FileId>,
    created: FileId,
    operations: u64,
    plan: Option<Failure>,
}

type FileId = u64;

/// At which operation the disk fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Operations (writes, syncs, renames, deletions) that still succeed.
    pub after: u64,
    /// What the failing operation reports.
    pub error: io::ErrorKind,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    bytes: Vec<u8>,
    /// How many of the bytes, from the start, a crash leaves.
    durable: usize,
}

impl MemoryDisk {
    /// An empty disk that never fails.
    pub fn new() -> Self {
        MemoryDisk::default()
    }

    /// Lets every operation from a certain one on fail; none for a disk that works. A write that fails writes half.
    pub fn set_failure(&mut self, plan: Option<Failure>) {
        self.operations = 0;
        self.plan = plan;
    }

    /// Operations since the start, or since the last [`MemoryDisk::set_failure`].
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Loses power: names and bytes go back to what was synced. Of a file's unsynced growth, the first `survives(bytes)`
    /// bytes are kept, as the system may have written them on its own.
    pub fn crash(&mut self, mut survives: impl FnMut(usize) -> usize) {
        self.names.clone_from(&self.durable_names);
        for file in self.files.values_mut() {
            let growth = file.bytes.len() - file.durable;
            file.bytes.truncate(file.durable + survives(growth).min(growth));
            file.durable = file.bytes.len();
        }
        self.plan = None;
    }

    /// A file's bytes, to damage them; durable at once.
    pub fn damage(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(file) = self.file_mut(name) {
            change(&mut file.bytes);
            file.durable = file.bytes.len();
        }
    }

    fn file(&self, name: &str) -> io::Result<&Contents> {
        self.names.get(name).and_then(|id| self.files.get(id)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file_mut(&mut self, name: &str) -> io::Result<&mut Contents> {
        let file = self.names.get(name).and_then(|id| self.files.get_mut(id));
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts an operation.
    fn operate(&mut self) -> io::Result<()> {
        let fails = self.plan.filter(|plan| self.operations >= plan.after);
        self.operations = self.operations.saturating_add(1);
        fails.map_or(Ok(()), |plan| Err(plan.error.into()))
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.file(name)?.bytes.clone())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.created = self.created.saturating_add(1);
        self.files.insert(self.created, Contents::default());
        self.names.insert(name.into(), self.created);
        self.append(name, bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let outcome = self.operate();
        let written = if outcome.is_ok() { bytes } else { bytes.get(..bytes.len() / 2).unwrap_or(&[]) };
        self.file_mut(name)?.bytes.extend_from_slice(written);
        outcome
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.operate()?;
        let file = self.file_mut(name)?;
        file.durable = file.bytes.len();
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.operate()?;
        let file = self.file_mut(name)?;
        file.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        file.durable = file.bytes.len();
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.operate()?;
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.into(), id);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.operate()?;
        self.names.remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.operate()?;
        self.durable_names.clone_from(&self.names);
        let named: Vec<FileId> = self.names.values().copied().collect();
        self.files.retain(|id, _| named.contains(id));
        Ok(())
    }
}
