//! The corpora in the tree: one file a target, `corpus/NAME`, each input after its length as u32, big-endian.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn file(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The inputs that the fuzzer has found for a target.
///
/// **Errors**: the file cannot be read, or ends within an input.
pub fn read(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(file(target))?;
    let mut rest = bytes.as_slice();
    let mut inputs = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let cut = || io::Error::other(format!("the corpus of {target} ends within an input"));
        let (input, behind) = tail.split_at_checked(length).ok_or_else(cut)?;
        inputs.push(input.to_vec());
        rest = behind;
    }
    Ok(inputs)
}

/// Replaces the corpus of a target. Sorted, so that the file depends on the inputs alone.
///
/// **Errors**: the file cannot be written.
pub fn write(target: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort();
    inputs.dedup();
    let mut bytes = Vec::new();
    for input in inputs {
        bytes.extend(u32::try_from(input.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(input);
    }
    fs::write(file(target), bytes)
}
