//! A database whose values are sealed: an engine around another one.
//!
//! Keys of rows stay as they are, for they are looked up and sorted by; column and key are what a value is bound to, so that it
//! cannot be moved. Values of one batch share the randomness of their nonces. **Source**: decision record 49.

use std::path::Path;
use std::sync::Arc;

use super::engine::{Batch, Column, Engine, EngineError, KeyRange, Memory, Pairs, Read};
use crate::sealing::{self, DataKey, RestingKey};

/// See the module.
pub(super) struct SealedEngine {
    inner: Arc<dyn Engine>,
    resting: RestingKey,
}

impl SealedEngine {
    pub(super) fn new(inner: Arc<dyn Engine>, resting: RestingKey) -> Self {
        SealedEngine { inner, resting }
    }

    fn opening(&self) -> Opening<'_> {
        Opening { inner: &*self.inner, key: &self.resting.key }
    }

    fn sealed<'b>(&self, mut batch: Batch<'b>) -> Result<Batch<'b>, EngineError> {
        let failed = |error: std::io::Error| EngineError::Other(error.to_string());
        let mut seal = self.resting.key.batch().map_err(failed)?;
        let mut place = Vec::new();
        for (column, key, value) in &mut batch.changes {
            if let Some(value) = value {
                set_place(&mut place, *column, key);
                seal.seal(&place, value.to_mut()).map_err(failed)?;
            }
        }
        Ok(batch)
    }
}

/// What a value is bound to. A column's name holds no zero.
fn set_place(place: &mut Vec<u8>, column: Column, key: &[u8]) {
    place.clear();
    place.extend_from_slice(column.name().as_bytes());
    place.push(0);
    place.extend_from_slice(key);
}

/// Reads through a data key.
struct Opening<'a> {
    inner: &'a dyn Read,
    key: &'a DataKey,
}

impl<'a> Opening<'a> {
    fn opened(&self, column: Column, key: &[u8], mut value: Vec<u8>) -> Result<Vec<u8>, EngineError> {
        let mut place = Vec::with_capacity(16 + key.len());
        set_place(&mut place, column, key);
        self.key.open(&place, &mut value).map_err(|error| {
            EngineError::Corrupt(format!(
                "the value in {column} at key {} is not authentic: {error}",
                hex::encode(key)
            ))
        })?;
        Ok(value)
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.inner.get(column, key)?.map(|value| self.opened(column, key, value)).transpose()
    }

    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let values = self.inner.get_many(column, keys)?.into_iter().zip(keys);
        values.map(|(value, key)| value.map(|value| self.opened(column, key, value)).transpose()).collect()
    }

    fn scan(self, column: Column, range: KeyRange) -> Pairs<'a> {
        Box::new(self.inner.scan(column, range).map(move |pair| {
            let (key, value) = pair?;
            let value = self.opened(column, &key, value)?;
            Ok((key, value))
        }))
    }
}

impl Read for SealedEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.opening().get(column, key)
    }

    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        self.opening().get_many(column, keys)
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        self.opening().scan(column, range)
    }
}

struct SealedSnapshot<'a> {
    inner: Box<dyn Read + Send + Sync + 'a>,
    key: &'a DataKey,
}

impl SealedSnapshot<'_> {
    fn opening(&self) -> Opening<'_> {
        Opening { inner: &*self.inner, key: self.key }
    }
}

impl Read for SealedSnapshot<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.opening().get(column, key)
    }

    fn get_many(&self, column: Column, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        self.opening().get_many(column, keys)
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        self.opening().scan(column, range)
    }
}

impl Engine for SealedEngine {
    fn write(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        self.inner.write(self.sealed(batch)?)
    }

    fn load(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        self.inner.load(self.sealed(batch)?)
    }

    fn finish_loading(&self) -> Result<(), EngineError> {
        self.inner.finish_loading()
    }

    fn clear(&self, column: Column) -> Result<(), EngineError> {
        self.inner.clear(column)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.inner.sync()
    }

    fn checkpoint(&self, folder: &Path) -> Result<(), EngineError> {
        self.inner.checkpoint(folder)?;
        // The copy opens as the store does: its key goes with it.
        sealing::write(folder, &self.resting.container).map_err(|error| EngineError::Other(error.to_string()))
    }

    fn memory(&self) -> Memory {
        self.inner.memory()
    }

    fn snapshot(&self) -> Box<dyn Read + Send + Sync + '_> {
        Box::new(SealedSnapshot { inner: self.inner.snapshot(), key: &self.resting.key })
    }
}
