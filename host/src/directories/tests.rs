//! What can be done below a directory, and that nothing leads out of it.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn directories() -> (TempDir, Directories) {
    let base = tempfile::tempdir().expect("a directory");
    for name in ["media/in/raw", "private"] {
        std::fs::create_dir_all(base.path().join(name)).expect("directories");
    }
    std::fs::write(base.path().join("media/in/a.txt"), "hello").expect("a file");
    std::fs::write(base.path().join("private/key"), "secret").expect("a file");
    let paths = BTreeMap::from([("media".to_owned(), base.path().join("media"))]);
    let opened = Directories::open(&paths).expect("it is there");
    (base, opened)
}

fn path(text: &str) -> FilePath {
    text.parse().expect("a path")
}

#[test]
fn files_are_written_read_cut_and_removed() {
    let (_base, media) = directories();
    let file = path("in/new");
    media.write("media", &file, 0, b"hello").expect("written");
    media.write("media", &file, 7, b"world").expect("written behind the end");
    assert_eq!(media.read("media", &file, 0, 100).expect("read"), b"hello\0\0world");
    assert_eq!(media.read("media", &file, 7, 3).expect("read"), b"wor");
    assert_eq!(media.read("media", &file, 100, 3).expect("read"), b"");
    media.set_size("media", &file, 2).expect("cut");
    assert_eq!(media.read("media", &file, 0, 100).expect("read"), b"he");
    media.create_dir("media", &path("out")).expect("made");
    media.create_dir("media", &path("out")).expect("there");
    media.rename("media", &file, &path("out/old")).expect("moved");
    assert!(matches!(media.stat("media", &file), Err(FileError::NotFound)));
    assert_eq!(media.stat("media", &path("out/old")).expect("there").size, 2);
    assert!(matches!(media.remove("media", &path("out")), Err(FileError::Invalid(_))), "it is not empty");
    media.remove("media", &path("out/old")).expect("removed");
    media.remove("media", &path("out")).expect("removed");
    assert!(matches!(media.remove("media", &path("out")), Err(FileError::NotFound)));
}

#[test]
fn a_list_is_in_the_order_of_bytes_and_goes_on() {
    let (base, media) = directories();
    for name in ["b", "a", "B", "\u{e4}"] {
        std::fs::write(base.path().join("media/in/raw").join(name), "x").expect("a file");
    }
    let names = |after| {
        let listed = media.list("media", &path("in/raw"), after).expect("listed");
        listed.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["B", "a", "b", "\u{e4}"]);
    assert_eq!(names(Some("a")), ["b", "\u{e4}"]);
    let listed = media.list("media", &path("in"), None).expect("listed");
    let kinds: Vec<_> = listed.iter().map(|(name, seen)| (name.as_str(), seen.kind, seen.size)).collect();
    assert_eq!(kinds, [("a.txt", Kind::File, 5), ("raw", Kind::Directory, 0)]);
}

#[test]
fn no_link_is_followed_anywhere_on_the_way() {
    let (base, media) = directories();
    let inside = base.path().join("media");
    symlink(base.path().join("private"), inside.join("out")).expect("a link");
    symlink("../private/key", inside.join("key")).expect("a link");
    symlink("in/a.txt", inside.join("near")).expect("a link that stays inside");
    symlink("nowhere", inside.join("dangling")).expect("a link to nothing");
    for text in ["out/key", "key", "near"] {
        let read = media.read("media", &path(text), 0, 10);
        assert!(matches!(read, Err(FileError::Invalid(_))), "{text}: {read:?}");
    }
    assert!(media.list("media", &path("out"), None).is_err());
    assert!(media.write("media", &path("dangling"), 0, b"x").is_err());
    assert!(!base.path().join("media/nowhere").exists(), "nothing is made at the other end of a link");
    assert!(media.rename("media", &path("in/a.txt"), &path("out/a.txt")).is_err());
    assert!(media.create_dir("media", &path("out/new")).is_err());
    assert_eq!(media.stat("media", &path("key")).expect("the link itself").kind, Kind::Other);
    media.remove("media", &path("key")).expect("the link itself");
    assert_eq!(std::fs::read(base.path().join("private/key")).expect("still there"), b"secret");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let (base, media) = directories();
    let pipe = base.path().join("media/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    for attempt in
        [media.read("media", &path("pipe"), 0, 1).map(drop), media.write("media", &path("pipe"), 0, b"x")]
    {
        assert!(matches!(attempt, Err(FileError::Invalid(_))), "{attempt:?}");
    }
    assert!(matches!(media.read("media", &path("in"), 0, 1), Err(FileError::Invalid(_))));
    assert!(matches!(media.read("media", &path(""), 0, 1), Err(FileError::Invalid(_))));
    assert!(matches!(media.read("elsewhere", &path("a"), 0, 1), Err(FileError::NotFound)));
}

#[test]
fn a_file_has_its_limit() {
    let (_base, media) = directories();
    let far = media.write("media", &path("in/a.txt"), MAX_FILE_BYTES, b"x");
    assert!(matches!(far, Err(FileError::Limit("files.file-bytes", MAX_FILE_BYTES))));
    assert!(media.write("media", &path("in/a.txt"), u64::MAX, b"x").is_err());
    assert!(media.set_size("media", &path("in/a.txt"), MAX_FILE_BYTES + 1).is_err());
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let paths = BTreeMap::from([("media".to_owned(), PathBuf::from("/nowhere/at/all"))]);
    let error = Directories::open(&paths).expect_err("it is not there").to_string();
    assert_eq!(error, "the directory `media` (/nowhere/at/all) cannot be opened");
}
