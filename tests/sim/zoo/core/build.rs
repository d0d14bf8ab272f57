//! Copies the sources of `node/consensus` and plants every bug of `bugs/` in the copy, each behind its own switch.
//!
//! The product's sources hold no trace of it. A bug whose place is not found any more is left out and listed in
//! `LOST`; the zoo's tests fail on it, the build does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(dead_code, reason = "where bugs were seen and who hunts them is for the zoo")]
#[path = "bugs/mod.rs"]
mod bugs;

use bugs::Bug;

/// All bugs that stand in the same text of the same function.
type Place = (&'static str, &'static str, &'static str);

/// Left out of the copy: unit tests would need what they depend on, and the copy is wrong on purpose.
const UNIT_TESTS: &str = "#[cfg(test)]\nmod tests;\n";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let sources = manifest.join("../../../../node/consensus/src");
    let copy = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("consensus");
    println!("cargo::rerun-if-changed=bugs");
    println!("cargo::rerun-if-changed={}", sources.display());
    if copy.exists() {
        fs::remove_dir_all(&copy).expect("the old copy can be removed");
    }
    copy_folder(&sources, &copy);
    let mut places: BTreeMap<Place, Vec<Bug>> = BTreeMap::new();
    for bug in bugs::all() {
        places.entry((bug.file, bug.within, bug.text)).or_default().push(bug);
    }
    let mut lost = Vec::new();
    for ((file, within, text), bugs) in places {
        let path = copy.join(file);
        let source = fs::read_to_string(&path).unwrap_or_default();
        match plant(&source, within, text, &bugs) {
            Some(planted) => fs::write(&path, planted).expect("the copy can be written"),
            None => lost.extend(bugs.iter().map(|bug| bug.name)),
        }
    }
    write_root(&copy, &lost);
}

/// Puts a choice in place of the first `text` that follows `within`.
fn plant(source: &str, within: &str, text: &str, bugs: &[Bug]) -> Option<String> {
    let begin = source.find(within)?;
    let place = begin + source[begin..].find(text)?;
    let (before, after) = (&source[..place], &source[place + text.len()..]);
    let mut choice = String::new();
    for Bug { name, instead, .. } in bugs {
        choice += &format!("if crate::planted::is({name:?}) {{ {instead} }} else ");
    }
    choice += &format!("{{ {text} }}");
    // An expression needs its parentheses; a statement must not have them.
    let choice = if text.ends_with(';') { choice } else { format!("({choice})") };
    Some(format!("{before}{choice}{after}"))
}

/// The root of the copy: the modules of `lib.rs` without its documentation and attributes, which cannot be included.
fn write_root(copy: &Path, lost: &[&str]) {
    let library = fs::read_to_string(copy.join("lib.rs")).expect("the core has a root");
    let modules = library.find("\nmod ").expect("the core has modules");
    let root = format!(
        "{}\n/// Bugs whose place was not found.\npub const LOST: &[&str] = &{lost:?};\n",
        &library[modules..]
    );
    fs::write(copy.join("root.rs"), root).expect("the copy can be written");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the core's sources are there") {
        let path = entry.expect("the folder can be read").path();
        let target = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            let source = fs::read_to_string(&path).expect("a source file can be read");
            fs::write(&target, source.replace(UNIT_TESTS, "")).expect("a file can be copied");
        }
    }
}
