//! Settings are documented, and the document names settings that exist.
//!
//! The settings are found by asking for what is not there: the refusal names every key that is expected in its place.

use std::collections::BTreeSet;

use carat_node::Settings;

const UNKNOWN: &str = "no_such_key";

/// What a validator needs, and a key that is none in the table `path`.
fn refusal(path: &[String]) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let key = [path, &[UNKNOWN.to_owned()]].concat().join(".");
    let text = format!("validator.index = 0\nnetwork.listen = \"127.0.0.1:1\"\n{key} = 0\n");
    std::fs::write(home.path().join("node.toml"), text).expect("written");
    Settings::load(home.path()).err().map(|error| error.to_string()).unwrap_or_default()
}

/// The keys that may stand in the table `path`; none where it is no table of ours.
fn keys(path: &[String]) -> Vec<String> {
    let error = refusal(path);
    let Some((_, expected)) = error.split_once(&format!("unknown field `{UNKNOWN}`, expected ")) else {
        return Vec::new();
    };
    let expected = expected.split(" (hint").next().and_then(|text| text.split(" for key ").next());
    expected.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every setting by its full name.
fn settings() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Vec<String>> = keys(&[]).into_iter().map(|key| vec![key]).collect();
    assert!(open.len() >= 7, "sections: {open:?}");
    while let Some(path) = open.pop() {
        let inner = keys(&path);
        if inner.is_empty() {
            found.insert(path.join("."));
        }
        open.extend(inner.into_iter().map(|key| [path.clone(), vec![key]].concat()));
    }
    found
}

#[test]
fn settings_and_their_document_agree() {
    let path = super::files::root().join("docs/operations/configuration.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let cells = text.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let documented: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(settings(), documented, "settings on the left, documented on the right");
}
