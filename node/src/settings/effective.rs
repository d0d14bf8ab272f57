//! The settings in force, each with where it comes from: what `carat-node check` prints.

use config::{Config, Source as _, Value, ValueKind};

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name, sections before it.
    pub key: String,
    /// Its value.
    pub value: String,
    /// `default`, `environment`, or the file.
    pub origin: String,
}

impl Effective {
    /// The origin of what nobody has set.
    pub const DEFAULT: &str = "default";
}

/// Every setting of `config`, by name. Settings name files of keys, never keys: nothing in them is secret.
pub(super) fn of(config: &Config) -> Vec<Effective> {
    let mut found = Vec::new();
    for (key, value) in config.collect().unwrap_or_default() {
        walk(key, &value, &mut found);
    }
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

fn walk(key: String, value: &Value, found: &mut Vec<Effective>) {
    match &value.kind {
        ValueKind::Table(fields) => {
            fields.iter().for_each(|(name, value)| walk(format!("{key}.{name}"), value, found));
        }
        ValueKind::Array(items) => {
            let places = items.iter().enumerate();
            places.for_each(|(place, value)| walk(format!("{key}[{place}]"), value, found));
        }
        _ => {
            let origin = match value.origin() {
                None => Effective::DEFAULT,
                Some("the environment") => "environment",
                Some(file) => file,
            };
            found.push(Effective { key, value: value.to_string(), origin: origin.to_owned() });
        }
    }
}
