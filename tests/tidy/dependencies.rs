//! Dependencies point inward: the picture of `docs/ARCHITECTURE.md` as a table, compared with `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Each crate of ours and the crates of ours that it may know. Tests and benches may know everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("carat-types", &[]),
    ("carat-consensus", &["carat-types"]),
    ("carat-ledger", &["carat-types"]),
    ("carat-confidential", &["carat-types"]),
    ("carat-network", &["carat-types"]),
    ("carat-vault", &["carat-types"]),
    ("carat-handovers", &["carat-types"]),
    ("carat-storage", &["carat-types", "carat-ledger", "carat-vault"]),
    ("carat-history", &["carat-types", "carat-ledger", "carat-storage"]),
    ("carat-api", &["carat-types", "carat-ledger", "carat-history"]),
    (
        "carat-node",
        &[
            "carat-types",
            "carat-consensus",
            "carat-ledger",
            "carat-network",
            "carat-handovers",
            "carat-storage",
            "carat-history",
            "carat-api",
        ],
    ),
    ("carat-client", &["carat-types", "carat-network", "carat-handovers", "carat-vault"]),
    ("carat-genesis", &["carat-types", "carat-ledger", "carat-network", "carat-handovers", "carat-storage"]),
];

/// May know everything: they test and measure.
const UNBOUND: &[&str] = &[
    "carat-tests",
    "carat-sim",
    "carat-zoo",
    "carat-planted-consensus",
    "carat-leaks",
    "carat-chaos",
    "carat-model",
    "carat-benches",
    "carat-fuzz",
];

/// What the pure crates may not bring along, directly or through others: clocks, files, sockets, threads, databases.
const IMPURE: &[&str] =
    &["tokio", "quinn", "rocksdb", "axum", "reqwest", "rand", "getrandom", "rayon", "mio"];
const PURE: &[&str] = &["carat-types", "carat-consensus", "carat-ledger", "carat-confidential"];

#[test]
fn every_arrow_between_our_crates_is_in_the_picture() {
    let arrows = our_arrows();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    for (from, tos) in &arrows {
        if UNBOUND.contains(&from.as_str()) {
            continue;
        }
        let allowed = allowed.get(from.as_str()).unwrap_or_else(|| panic!("{from} is not in the picture"));
        for to in tos {
            assert!(allowed.contains(to.as_str()), "new arrow {from} -> {to}: draw it or take it out");
        }
    }
    assert_eq!(arrows.len(), ALLOWED.len() + UNBOUND.len(), "every crate of the workspace was looked at");
}

#[test]
fn pure_crates_bring_no_clock_file_socket_or_thread_library() {
    let metadata = metadata(&[]);
    let names = names(&metadata);
    let graph = normal_graph(&metadata);
    for pure in PURE {
        let mut seen = BTreeSet::new();
        let mut queue: Vec<&str> =
            names.iter().filter(|(_, name)| *name == pure).map(|(id, _)| *id).collect();
        while let Some(id) = queue.pop() {
            let name = names[id];
            assert!(!IMPURE.contains(&name), "{pure} depends on {name}");
            for next in graph.get(id).into_iter().flatten() {
                if seen.insert(*next) {
                    queue.push(next);
                }
            }
        }
        assert!(seen.len() > 3, "the graph of {pure} was read");
    }
}

fn metadata(arguments: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Our crates and the crates of ours that each depends on, development dependencies left out.
fn our_arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let arrow = |package: &Value| {
        let to = package["dependencies"].as_array().expect("dependencies").iter();
        let to = to.filter(|dependency| dependency["kind"].is_null()).filter_map(|d| d["name"].as_str());
        let to = to.filter(|name| name.starts_with("carat-")).map(str::to_owned).collect();
        (package["name"].as_str().expect("name").to_owned(), to)
    };
    packages.iter().map(arrow).collect()
}

/// The name of each package, by its id.
fn names(metadata: &Value) -> BTreeMap<&str, &str> {
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| (package["id"].as_str().expect("id"), package["name"].as_str().expect("name")))
        .collect()
}

/// Package to the packages that it links in a normal build, as resolved. By id: two versions of a package link different things.
fn normal_graph(metadata: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("nodes") {
        let from = node["id"].as_str().expect("id");
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                graph.entry(from).or_default().insert(dependency["pkg"].as_str().expect("pkg"));
            }
        }
    }
    graph
}
