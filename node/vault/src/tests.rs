//! Containers that were cut, changed, put together from others, or opened with the wrong passphrase.

use super::*;

const PURPOSE: &str = "a test";

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse battery staple")
}

/// Two and a half chunks.
fn content() -> Vec<u8> {
    (0..CHUNK_BYTES * 5 / 2).map(|place| u8::try_from(place % 251).expect("small")).collect()
}

fn write(passphrase: Option<&Passphrase>, content: &[u8]) -> Vec<u8> {
    let mut writer = VaultWriter::begin(Vec::new(), PURPOSE, passphrase).expect("begins");
    // Pieces that end nowhere near a chunk's end.
    content.chunks(300_007).for_each(|piece| writer.write(piece).expect("written"));
    writer.finish().expect("ends")
}

fn read(container: &[u8], passphrase: Option<&Passphrase>, length: usize) -> Result<Vec<u8>, VaultError> {
    let mut reader = VaultReader::open(container, PURPOSE, passphrase)?;
    let mut found = vec![0; length];
    reader.read_exact(&mut found)?;
    reader.finish()?;
    Ok(found)
}

/// Where each chunk begins, and the end.
fn borders(container: &[u8]) -> Vec<usize> {
    let header = Header::read(&mut &*container).expect("a header");
    let mut borders = vec![header.to_bytes().len() + TAG_BYTES];
    while let Some(length) = container[borders[borders.len() - 1]..].first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length) & !LAST).expect("small");
        borders.push(borders[borders.len() - 1] + 4 + length);
    }
    borders
}

#[test]
fn container_gives_back_what_was_put_in() {
    let passphrase = passphrase();
    for with in [None, Some(&passphrase)] {
        for length in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, content().len()] {
            let content = &content()[..length];
            let container = write(with, content);
            assert!(read(&container, with, length).expect("reads") == content, "{length} bytes");
            assert!(matches!(read(&container, with, length + 1), Err(VaultError::Truncated { .. })));
        }
    }
}

#[test]
fn encrypted_container_shows_nothing_and_no_two_are_alike() {
    let passphrase = passphrase();
    let (one, other) = (write(Some(&passphrase), &[7; 4096]), write(Some(&passphrase), &[7; 4096]));
    assert!(!one.windows(16).any(|window| window == [7; 16]), "the content is not to be seen");
    let body = borders(&one)[0];
    assert_ne!(one[body..], other[body..], "another salt, another key, other bytes");
}

#[test]
fn wrong_or_missing_passphrase_is_told_from_damage() {
    let passphrase = passphrase();
    let container = write(Some(&passphrase), b"secret");
    let wrong = Passphrase::new("correct horse battery stable");
    assert!(matches!(read(&container, Some(&wrong), 6), Err(VaultError::WrongPassphrase)));
    assert!(matches!(read(&container, None, 6), Err(VaultError::Locked(_))));
    let mut damaged = container.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert!(matches!(read(&damaged, Some(&passphrase), 6), Err(VaultError::Damaged { chunk: 0 })));
}

#[test]
fn container_for_another_purpose_is_refused() {
    let container = write(None, b"content");
    let error = VaultReader::open(&*container, "something else", None).err().expect("refused").to_string();
    assert!(error.contains("a test") && error.contains("something else"), "{error}");
}

#[test]
fn cut_changed_or_moved_chunks_are_refused() {
    let passphrase = passphrase();
    let content = content();
    for with in [None, Some(&passphrase)] {
        let whole = write(with, &content);
        let at = borders(&whole);
        assert_eq!(at.len(), 4, "three chunks");
        let chunk = |number: usize| &whole[at[number]..at[number + 1]];
        let start = &whole[..at[0]];
        let flipped = |place: usize| {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x40;
            bytes
        };
        let table: [(&str, Vec<u8>); 12] = [
            ("empty", Vec::new()),
            ("cut in the header", whole[..20].to_vec()),
            ("cut behind the header", start.to_vec()),
            ("cut within a chunk", whole[..at[1] + 100].to_vec()),
            ("cut between chunks", whole[..at[2]].to_vec()),
            ("exchanged", [start, chunk(1), chunk(0), chunk(2)].concat()),
            ("left out", [start, chunk(0), chunk(2)].concat()),
            ("repeated", [start, chunk(0), chunk(0), chunk(1), chunk(2)].concat()),
            ("more behind the end", [&whole[..], &[0]].concat()),
            ("bit of the magic", flipped(0)),
            ("bit of the salt", flipped(25)),
            ("bit of a chunk", flipped(at[1] + 1_000)),
        ];
        for (what, bytes) in table {
            let error = read(&bytes, with, content.len()).err().unwrap_or_else(|| panic!("{what} was read"));
            assert!(error.to_string().contains("hint:"), "{what}: {error}");
        }
        // The last chunk made to look like one in the middle, and the reverse.
        for place in [at[1], at[2]] {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x80;
            assert!(read(&bytes, with, content.len()).is_err(), "the mark of the last chunk at {place}");
        }
    }
}

#[test]
fn chunk_of_another_container_fits_nowhere() {
    let passphrase = passphrase();
    let (one, other) = (write(Some(&passphrase), &content()), write(Some(&passphrase), &content()));
    let at = borders(&one);
    let mixed = [&one[..at[1]], &other[at[1]..at[2]], &one[at[2]..]].concat();
    assert!(matches!(
        read(&mixed, Some(&passphrase), content().len()),
        Err(VaultError::Damaged { chunk: 1 })
    ));
}

#[test]
fn header_that_asks_for_too_much_work_is_refused() {
    let mut container = write(Some(&passphrase()), b"x");
    // KiB of memory: the first number behind magic, version and cipher.
    container[11..15].copy_from_slice(&u32::MAX.to_be_bytes());
    let end = 8 + 2 + 1 + 12 + 16 + 7 + 2 + PURPOSE.len();
    let checksum = crc32c::crc32c(&container[..end]);
    container[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
    let error = read(&container, Some(&passphrase()), 1).expect_err("refused").to_string();
    assert!(error.contains("more work"), "{error}");
}
