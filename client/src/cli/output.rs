//! Data on standard output, as a table for people or JSON for programs; talk on standard error.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Form of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    Table,
    /// JSON.
    Json,
}

/// Where a command's data goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// In the form that was asked for.
    pub(crate) fn new(format: Format) -> Self {
        Output { format }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Shows `rows` under `head`, or `value` as JSON.
    pub(crate) fn rows<T: Serialize>(self, value: &T, head: &[&str], rows: Vec<Vec<String>>) {
        match self.format {
            Format::Json => line(&json(value)),
            Format::Table => line(&table(head, rows)),
        }
    }

    /// Shows one thing by its fields, or as JSON.
    pub(crate) fn fields<T: Serialize>(self, value: &T, fields: &[(&str, String)]) {
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        match self.format {
            Format::Json => line(&json(value)),
            Format::Table => fields.iter().for_each(|(name, value)| line(&format!("{name:width$}  {value}"))),
        }
    }
}

/// One line of data.
pub(crate) fn line(text: &str) {
    // A reader that went away, such as `head`, has what it wanted.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// One line of talk.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A table of text. On a terminal it is no wider than that.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED).set_header(head.to_vec());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

fn json<T: Serialize>(value: &T) -> String {
    // Our own types have string keys only, so there is no way to fail.
    serde_json::to_string_pretty(value).unwrap_or_default()
}
