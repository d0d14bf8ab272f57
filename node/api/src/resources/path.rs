//! A way from one asset to another.

use serde::Serialize;
use serde_json::{Map, Value};
use stellar_xdr::Asset;

use crate::format;
use crate::resources::fields::{self, Fields, set};

/// A way, with what goes in and what comes out.
#[derive(Clone, Debug, Serialize)]
pub struct Path {
    #[serde(flatten)]
    ends: Map<String, Value>,
    path: Value,
}

impl Path {
    /// The way from `source` over `between` to `destination`.
    pub fn new(source: &(Asset, i64), between: &[Asset], destination: &(Asset, i64)) -> Self {
        let mut ends = Fields::new();
        for (prefix, (asset, amount)) in [("source_", source), ("destination_", destination)] {
            fields::asset(&mut ends, prefix, asset);
            set(&mut ends, &format!("{prefix}amount"), format::amount(*amount));
        }
        Path { ends, path: fields::path(between) }
    }
}
