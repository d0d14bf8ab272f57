//! How our files look: module documents, length, marks of unfinished work, and the rules table against the code.

use std::path::{Path, PathBuf};

/// A file this long is surely more than one concept; the soft limit is 600.
const LINES_MAX: usize = 800;

#[test]
fn every_rust_file_begins_with_its_document() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//!"), "{} has no //! at its top", path.display());
    }
}

#[test]
fn no_rust_file_is_too_long() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines, at most {LINES_MAX}", path.display());
    }
}

#[test]
fn no_file_holds_marks_of_unfinished_work() {
    // Put together at run time, so that this file does not find itself.
    let marks = ["FIX", "XX", "HA"].into_iter().zip(["ME", "X", "CK"]).map(|(a, b)| format!("{a}{b}"));
    let marks: Vec<String> = marks.chain([format!("#[{}", "ignore]")]).collect();
    for (path, text) in rust_files() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} holds {mark}", path.display());
        }
    }
}

#[test]
fn every_rule_names_code_and_a_test_that_exist() {
    let root = root();
    let rules = std::fs::read_to_string(root.join("docs/protocol/rules.md")).expect("the rules table");
    let sources: String = rust_files().into_iter().map(|(_, text)| text).collect();
    let mut rows = 0;
    for row in rules.lines().filter(|line| line.starts_with("| ") && !line.contains("---")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _rule, _source, code, test] = cells[..] else { panic!("not five cells: {row}") };
        for file in code.split(',').map(|cell| cell.trim().trim_matches('`')) {
            let file = file.split("::").next().unwrap_or(file);
            assert!(root.join(file).is_file(), "rule {id} names {file}, which is no file");
        }
        for name in test.split(',').map(|cell| cell.trim().trim_matches('`')) {
            let name = name.rsplit("::").next().unwrap_or(name);
            assert!(
                sources.contains(&format!("fn {name}(")),
                "rule {id} names the test {name}, which is nowhere"
            );
        }
        rows += 1;
    }
    assert!(rows >= 20, "the table was read: {rows} rows");
}

/// All Rust files of the project, with their texts.
pub(crate) fn rust_files() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["node", "client", "genesis", "tests", "benches"] {
        collect(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "the project was found");
    files
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project").to_path_buf()
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !["target", "node_modules", ".venv"].contains(&name) {
            collect(&path, files);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            files.push((path, text));
        }
    }
}
