//! RocksDB column families, the journal, blocks, state.
