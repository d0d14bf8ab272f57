//! The file comes back as it was written, stands whole or not at all, and a wrong one is named.

use super::*;

#[test]
fn handovers_read_back_and_no_file_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE_NAME);
    assert_eq!(read(&path).expect("absent"), None);
    write(&path, &[]).expect("written");
    assert_eq!(read(&path).expect("there"), Some(Vec::new()));
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("listed").map(|it| it.expect("one").file_name()).collect();
    assert_eq!(names, [FILE_NAME], "nothing unfinished stays");
}

#[test]
fn a_file_that_is_none_or_too_long_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE_NAME);
    fs::write(&path, b"nothing").expect("written");
    let refused = read(&path).expect_err("refused").to_string();
    assert!(refused.contains("holds no handovers") && refused.contains("hint"), "{refused}");

    // Sparse: it takes no space.
    File::create(&path).and_then(|file| file.set_len(FILE_BYTES_MAX + 1)).expect("made");
    let refused = read(&path).expect_err("refused").to_string();
    assert!(refused.contains("longer than 67108864 bytes") && refused.contains("hint"), "{refused}");
}

#[test]
fn where_a_file_cannot_be_written_the_old_one_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("absent").join(FILE_NAME);
    let refused = write(&absent, &[]).expect_err("refused").to_string();
    assert!(refused.starts_with("cannot write ") && refused.contains("absent"), "{refused}");
    // A folder in its place cannot be replaced by a file.
    let taken = folder.path().join(FILE_NAME);
    fs::create_dir(&taken).expect("made");
    write(&taken, &[]).expect_err("refused");
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing unfinished stays");
}
