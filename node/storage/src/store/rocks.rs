//! RocksDB as the store's database: the settings, and what its errors mean to us.

use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{BLOCK_CACHE_USAGE, ESTIMATE_TABLE_READERS_MEM, PropName, SIZE_ALL_MEM_TABLES};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBPinnableSlice,
    DBRecoveryMode, ErrorKind, IteratorMode, LogLevel, Options, ReadOptions, SnapshotWithThreadMode,
    WriteBatch, WriteOptions,
};

use super::engine::{Batch, Column, Engine, EngineError, KeyRange, Memory, Pairs, Read};
use crate::sealing::Encryption;

/// A RocksDB with one column family for each [`Column`].
pub(super) struct RocksEngine {
    db: DB,
}

// Memory of one process: at most MEMTABLE_BYTES + CACHE_BYTES and a little, because several validators may share
// a machine in tests.
const MEMTABLE_BYTES: usize = 64 << 20;
const CACHE_BYTES: usize = 64 << 20;
/// A table of the memory is a sorted list, and to find a place in it waits for memory: four small ones of a column, which are
/// merged when they are written to disk, cost less than a large one.
const COLUMN_MEMTABLE_BYTES: usize = 4 << 20;
const MEMTABLES_MERGED: i32 = 4;
const COLUMN_MEMTABLES_MAX: i32 = 8;
const BLOCK_BYTES: usize = 8 << 10;
/// A file is compacted when so many of so many entries in a row, or this part of all, are deletions.
const DELETIONS_WINDOW: usize = 4_096;
const DELETIONS_MAX: usize = 2_048;
const DELETIONS_RATIO: f64 = 0.5;
const BLOOM_BITS_PER_KEY: f64 = 10.0;

impl RocksEngine {
    /// Opens the database in `folder`, or makes one there. `encryption` is what becomes of values before they get here.
    pub(super) fn open(folder: &Path, create: bool, encryption: Encryption) -> Result<Self, EngineError> {
        let mut options = database_options();
        options.create_if_missing(create);
        // An older program made fewer.
        options.create_missing_column_families(true);
        options.set_error_if_exists(create);
        let db = DB::open_cf_descriptors(&options, folder, columns(encryption)).map_err(engine_error)?;
        Ok(RocksEngine { db })
    }

    /// Opens a database that nobody writes to, without changing it.
    pub(super) fn open_to_read(folder: &Path) -> Result<Self, EngineError> {
        // How values were compressed is written with them.
        let columns = columns(Encryption::None);
        let db = DB::open_cf_descriptors_read_only(&database_options(), folder, columns, false);
        Ok(RocksEngine { db: db.map_err(engine_error)? })
    }

    fn changes(&self, batch: Batch<'_>) -> Result<WriteBatch, EngineError> {
        let mut changes = WriteBatch::default();
        for (column, key, value) in batch.changes {
            match value {
                Some(value) => changes.put_cf(self.family(column)?, key, value),
                None => changes.delete_cf(self.family(column)?, key),
            }
        }
        Ok(changes)
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, EngineError> {
        let absent = || EngineError::Corrupt(format!("there is no column family {column}"));
        self.db.cf_handle(column.name()).ok_or_else(absent)
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    // After a power cut the write-ahead log is read up to the first unreadable record and no further, so that a
    // crash leaves a prefix of the blocks over all columns. (Stricter modes refuse an ordinary torn tail, laxer
    // ones can leave a hole.) That nothing which was synced is missing is checked by the durable mark.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    // A log file is not written over, or the remains of an older one could pass for its end.
    options.set_recycle_log_file_num(0);
    options.set_max_total_wal_size(256 << 20);
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_background_jobs(2);
    options.set_max_file_opening_threads(2);
    options.set_max_open_files(512);
    options.set_bytes_per_sync(1 << 20);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(4 << 20);
    options.set_keep_log_file_num(3);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn columns(encryption: Encryption) -> [ColumnFamilyDescriptor; Column::ALL.len()] {
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    let options = |column| column_options(column, &cache, encryption);
    Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), options(column)))
}

fn column_options(column: Column, cache: &Cache, encryption: Encryption) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(BLOCK_BYTES);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(COLUMN_MEMTABLE_BYTES);
    options.set_min_write_buffer_number_to_merge(MEMTABLES_MERGED);
    options.set_max_write_buffer_number(COLUMN_MEMTABLES_MAX);
    if !matches!(column, Column::State | Column::OtherState) {
        // Old blocks that are dropped give their space back without waiting for newer ones to push them down.
        options.add_compact_on_deletion_collector_factory(DELETIONS_WINDOW, DELETIONS_MAX, DELETIONS_RATIO);
    }
    // Hashes, signatures and what is encrypted do not compress; everything else does.
    options.set_compression_type(match (encryption, column) {
        (Encryption::Values, _) => DBCompressionType::None,
        (_, Column::Transactions | Column::Values | Column::Certificates) => DBCompressionType::None,
        _ => DBCompressionType::Lz4,
    });
    options
}

fn engine_error(error: rocksdb::Error) -> EngineError {
    let kind = error.kind();
    let text = error.into_string();
    match kind {
        // The C interface gives the system's words and not its number.
        _ if text.contains("No space left on device") || text.contains("Disk quota exceeded") => {
            EngineError::Full(text)
        }
        ErrorKind::Corruption => EngineError::Corrupt(text),
        _ => EngineError::Other(text),
    }
}

fn read_options(range: KeyRange) -> (ReadOptions, IteratorMode<'static>) {
    let mut options = ReadOptions::default();
    let mode = if range.backwards { IteratorMode::End } else { IteratorMode::Start };
    options.set_iterate_lower_bound(range.from);
    if let Some(to) = range.to {
        options.set_iterate_upper_bound(to);
    }
    (options, mode)
}

type RocksValue<'a> = Result<Option<DBPinnableSlice<'a>>, rocksdb::Error>;

fn copied(values: Vec<RocksValue<'_>>) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
    let copied = |value: RocksValue<'_>| Ok(value.map_err(engine_error)?.map(|bytes| bytes.to_vec()));
    values.into_iter().map(copied).collect()
}

type RocksPair = (Box<[u8]>, Box<[u8]>);

fn pairs<'a>(pairs: impl Iterator<Item = Result<RocksPair, rocksdb::Error>> + 'a) -> Pairs<'a> {
    Box::new(pairs.map(|pair| pair.map(|(key, value)| (key.into(), value.into())).map_err(engine_error)))
}

fn failed<'a>(error: EngineError) -> Pairs<'a> {
    Box::new(std::iter::once(Err(error)))
}

impl Read for RocksEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.db.get_cf(self.family(column)?, key).map_err(engine_error)
    }

    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        copied(self.db.batched_multi_get_cf(self.family(column)?, keys, false))
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        let (options, mode) = read_options(range);
        match self.family(column) {
            Ok(family) => pairs(self.db.iterator_cf_opt(family, options, mode)),
            Err(error) => failed(error),
        }
    }
}

struct RocksSnapshot<'a> {
    engine: &'a RocksEngine,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl Read for RocksSnapshot<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.snapshot.get_cf(self.engine.family(column)?, key).map_err(engine_error)
    }

    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let family = self.engine.family(column)?;
        let values = self.snapshot.multi_get_cf(keys.iter().map(|key| (family, key)));
        values.into_iter().map(|value| value.map_err(engine_error)).collect()
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        let (options, mode) = read_options(range);
        match self.engine.family(column) {
            Ok(family) => pairs(self.snapshot.iterator_cf_opt(family, options, mode)),
            Err(error) => failed(error),
        }
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        self.db.write(self.changes(batch)?).map_err(engine_error)
    }

    /// Without the log.
    fn load(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        self.db.write_opt(self.changes(batch)?, &unlogged).map_err(engine_error)
    }

    fn finish_loading(&self) -> Result<(), EngineError> {
        for column in Column::ALL {
            self.db.flush_cf(self.family(column)?).map_err(engine_error)?;
        }
        self.db.flush_wal(true).map_err(engine_error)
    }

    fn clear(&self, column: Column) -> Result<(), EngineError> {
        let family = self.family(column)?;
        let mut changes = WriteBatch::default();
        // Above every key of a column: they begin with small numbers or are hashes.
        changes.delete_range_cf(family, Vec::new(), vec![0xff_u8; 64]);
        self.db.write(changes).map_err(engine_error)?;
        // The mark of the deletion would slow down every look-up in what is written next.
        self.db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.db.flush_wal(true).map_err(engine_error)
    }

    fn checkpoint(&self, folder: &Path) -> Result<(), EngineError> {
        let checkpoint = Checkpoint::new(&self.db).map_err(engine_error)?;
        checkpoint.create_checkpoint(folder).map_err(engine_error)
    }

    fn memory(&self) -> Memory {
        let of = |column: Column, property: &PropName| {
            let family = self.family(column).ok()?;
            self.db.property_int_value_cf(family, property).ok().flatten()
        };
        let of_all = |property| Column::ALL.iter().filter_map(|column| of(*column, property)).sum();
        Memory {
            tables: of_all(SIZE_ALL_MEM_TABLES),
            // One for all columns.
            cache: of(Column::State, BLOCK_CACHE_USAGE).unwrap_or_default(),
            files: of_all(ESTIMATE_TABLE_READERS_MEM),
        }
    }

    fn snapshot(&self) -> Box<dyn Read + Send + Sync + '_> {
        Box::new(RocksSnapshot { engine: self, snapshot: self.db.snapshot() })
    }
}
