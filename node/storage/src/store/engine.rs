//! What the store asks of a database: columns of sorted keys, atomic batches, one sync, snapshots.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// A sorted map of its own within the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Version, identity, tip.
    Meta,
    /// State entries: key bytes to value bytes.
    State,
    /// The same for a state that is fetched; in use after that, until the next one is.
    OtherState,
    /// Slot to header.
    Headers,
    /// Slot to payload.
    Payloads,
    /// Slot to what execution gave: outcomes, drops, totals.
    Executions,
    /// Transaction hash to slot and place.
    Transactions,
    /// Consensus value to slot.
    Values,
    /// Slot to seal certificate.
    Certificates,
    /// Epoch and view to accepted NEW-VIEW.
    NewViews,
    /// What `carat-history` keeps, in keys of its own.
    History,
}

impl Column {
    /// All columns.
    pub const ALL: [Column; 11] = [
        Column::Meta,
        Column::State,
        Column::OtherState,
        Column::Headers,
        Column::Payloads,
        Column::Executions,
        Column::Transactions,
        Column::Values,
        Column::Certificates,
        Column::NewViews,
        Column::History,
    ];

    /// The column's name on disk. Names are never used again for something else.
    pub fn name(self) -> &'static str {
        match self {
            Column::Meta => "meta",
            Column::State => "state",
            Column::OtherState => "other_state",
            Column::Headers => "headers",
            Column::Payloads => "payloads",
            Column::Executions => "executions",
            Column::Transactions => "transactions",
            Column::Values => "values",
            Column::Certificates => "certificates",
            Column::NewViews => "new_views",
            Column::History => "history",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Pairs in key order, or in the opposite one.
pub type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair, EngineError>> + 'a>;

/// Keys from `from` on, up to but without `to`; none for no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key behind the range.
    pub to: Option<Vec<u8>>,
    /// From the end backwards.
    pub backwards: bool,
}

/// Changes that happen together or not at all. Bytes that are at hand elsewhere are borrowed: an engine copies them anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch<'a> {
    /// One after another.
    pub changes: Vec<Change<'a>>,
}

/// Column, key, and the new value; none to delete.
pub type Change<'a> = (Column, Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

impl<'a> Batch<'a> {
    /// Sets a key.
    pub fn put(&mut self, column: Column, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((column, Cow::Owned(key.into()), Some(Cow::Owned(value.into()))));
    }

    /// Removes a key.
    pub fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        self.changes.push((column, Cow::Owned(key.into()), None));
    }

    /// Sets a key, or removes it if there is no value.
    pub fn change(
        &mut self,
        column: Column,
        key: impl Into<Cow<'a, [u8]>>,
        value: Option<impl Into<Cow<'a, [u8]>>>,
    ) {
        self.changes.push((column, key.into(), value.map(Into::into)));
    }
}

/// The memory of a database by what it is for. **Units**: bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Tables being written.
    pub tables: u64,
    /// Blocks of files, their indices and filters.
    pub cache: u64,
    /// What else is kept of open files.
    pub files: u64,
}

/// How a database fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No space left.
    #[error("{0}")]
    Full(String),
    /// It cannot read its own files.
    #[error("{0}")]
    Corrupt(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Reading, from the present or from a snapshot.
pub trait Read {
    /// The value of a key.
    ///
    /// **Errors**: the database's.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The values of many keys, one for each, in the order of the keys.
    ///
    /// **Errors**: the database's.
    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        keys.iter().map(|key| self.get(column, key)).collect()
    }

    /// The pairs of a range, as they are at the time of the call.
    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_>;
}

/// A database.
pub trait Engine: Read + Send + Sync {
    /// Makes all changes of a batch, or none; durable only after [`Engine::sync`]. Batches become durable in
    /// the order of their writing: a crash leaves a prefix of them.
    ///
    /// **Errors**: the database's; whether the batch was written is then unknown.
    fn write(&self, batch: Batch<'_>) -> Result<(), EngineError>;

    /// Makes all changes of a batch of a database that is being made: nothing is durable before [`Engine::finish_loading`].
    ///
    /// **Errors**: as [`Engine::write`].
    fn load(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        self.write(batch)
    }

    /// Makes what was loaded durable.
    ///
    /// **Errors**: the database's.
    fn finish_loading(&self) -> Result<(), EngineError> {
        self.sync()
    }

    /// Removes everything in a column, in the same order as batches.
    ///
    /// **Errors**: the database's; what is left is then unknown.
    fn clear(&self, column: Column) -> Result<(), EngineError>;

    /// Makes everything written so far durable.
    ///
    /// **Errors**: the database's.
    fn sync(&self) -> Result<(), EngineError>;

    /// Makes a copy of the present in a folder that does not exist yet, as a database of its own that later writes do not
    /// change. Cheap: files that are never written again are shared.
    ///
    /// **Errors**: the database's; one that has no files has no copies.
    fn checkpoint(&self, folder: &Path) -> Result<(), EngineError> {
        Err(EngineError::Other(format!("a database in memory cannot be copied to {}", folder.display())))
    }

    /// What it keeps in memory beside what the system keeps of its files.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// The present, kept as it is.
    fn snapshot(&self) -> Box<dyn Read + Send + Sync + '_>;
}
