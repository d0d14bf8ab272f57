//! Copies the sources of `node/api` and plants every leak of `planted.rs` in the copy, each behind its own switch.
//!
//! The product's sources hold no trace of it. A leak whose place is not found any more is left out and listed in `LOST`, on
//! which a test fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[allow(dead_code, reason = "which leak is switched on is asked at run time")]
#[path = "src/planted.rs"]
mod planted;

use planted::Leak;

/// All leaks that stand in the same text of the same function.
type Place = (&'static str, &'static str, &'static str);

/// The file whose tests are run; those of other files are run where they belong.
const MATRIX: &str = "visibility.rs";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let (sources, copies) =
        (manifest.join("../../node"), PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")));
    println!("cargo::rerun-if-changed=src/planted.rs");
    // The tests share the chain of the index's own.
    for folder in ["api/src", "api/pages", "history/src/tests"] {
        let (from, to) = (sources.join(folder), copies.join(folder));
        println!("cargo::rerun-if-changed={}", from.display());
        if to.exists() {
            fs::remove_dir_all(&to).expect("the old copy can be removed");
        }
        copy_folder(&from, &to, false);
    }
    let copy = copies.join("api/src");
    let mut places: BTreeMap<Place, Vec<Leak>> = BTreeMap::new();
    for leak in planted::ALL {
        places.entry((leak.file, leak.within, leak.text)).or_default().push(*leak);
    }
    let mut lost = Vec::new();
    for ((file, within, text), leaks) in places {
        let path = copy.join(file);
        let source = fs::read_to_string(&path).unwrap_or_default();
        match plant(&source, within, text, &leaks) {
            Some(planted) => fs::write(&path, planted).expect("the copy can be written"),
            None => lost.extend(leaks.iter().map(|leak| leak.name)),
        }
    }
    write_root(&copy, &lost);
}

/// Puts a choice in place of the first `text` that follows `within`.
fn plant(source: &str, within: &str, text: &str, leaks: &[Leak]) -> Option<String> {
    let begin = source.find(within)?;
    let place = begin + source[begin..].find(text)?;
    let (before, after) = (&source[..place], &source[place + text.len()..]);
    let mut choice = String::new();
    for Leak { name, instead, .. } in leaks {
        choice += &format!("if crate::planted::is({name:?}) {{ {instead} }} else ");
    }
    choice += &format!("{{ {text} }}");
    // An expression needs its parentheses; a statement must not have them.
    let choice = if text.ends_with(';') { choice } else { format!("({choice})") };
    Some(format!("{before}{choice}{after}"))
}

/// The root of the copy: the modules of `lib.rs` without its documentation and attributes, which cannot be included.
fn write_root(copy: &Path, lost: &[&str]) {
    let library = fs::read_to_string(copy.join("lib.rs")).expect("the interface has a root");
    let modules = library.find("\npub mod ").expect("the interface has modules");
    let root = format!(
        "{}\n/// Leaks whose place was not found.\npub const LOST: &[&str] = &{lost:?};\n",
        &library[modules..]
    );
    fs::write(copy.join("root.rs"), root).expect("the copy can be written");
}

fn copy_folder(from: &Path, to: &Path, in_tests: bool) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the sources are there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("a file has a name");
        let target = to.join(name);
        if path.is_dir() {
            copy_folder(&path, &target, in_tests || name == "tests");
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let source = fs::read_to_string(&path).expect("a source file can be read");
            fs::write(&target, if in_tests && name == MATRIX { source } else { untested(&source) })
                .expect("a file can be copied");
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

/// The source without its tests, which are left in it as functions that nobody calls.
fn untested(source: &str) -> String {
    let is_test =
        |line: &&str| ["#[test]", "#[tokio::test"].iter().any(|begin| line.trim_start().starts_with(begin));
    source.lines().filter(|line| !is_test(line)).flat_map(|line| [line, "\n"]).collect()
}
