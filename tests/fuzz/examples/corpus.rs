//! Between the corpora of the tree and folders of single files, as the fuzzer wants them.
//!
//! `corpus unpack FOLDER` writes seeds and corpus of each target to FOLDER/TARGET; `corpus pack FOLDER` makes the corpora
//! of the tree from what is there.

use std::fs;
use std::io;
use std::path::Path;

use carat_fuzz::{TARGETS, corpus, seeds};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["unpack", folder] => unpack(Path::new(folder)),
        ["pack", folder] => pack(Path::new(folder)),
        _ => Err(io::Error::other("expected: corpus unpack FOLDER, or corpus pack FOLDER")),
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let inputs = seeds::seeds(name).into_iter().chain(corpus::read(name)?);
        for (number, input) in inputs.enumerate() {
            fs::write(folder.join(format!("{number:04}")), input)?;
        }
    }
    Ok(())
}

fn pack(folder: &Path) -> io::Result<()> {
    for (name, _) in TARGETS {
        let files: Vec<_> = fs::read_dir(folder.join(name))?.collect::<io::Result<_>>()?;
        let inputs = files.iter().map(|file| fs::read(file.path())).collect::<io::Result<_>>()?;
        corpus::write(name, inputs)?;
    }
    Ok(())
}
