//! What an artifact is on the disk, also after things went wrong.

use std::fs;

use super::*;

fn scratch() -> (tempfile::TempDir, ArtifactDir) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = ArtifactDir::open(&temp.path().join("artifacts"), Handle::current()).expect("opens");
    (temp, dir)
}

async fn written(dir: &ArtifactDir, pieces: &[&[u8]], name: &str) -> ArtifactRef {
    let mut staging = dir.create().await.expect("creates");
    for piece in pieces {
        staging.write(piece).await.expect("writes");
    }
    staging.finish(name.to_owned(), "text/plain".to_owned()).await.expect("finishes")
}

fn staged(dir: &ArtifactDir) -> usize {
    fs::read_dir(dir.root.join(STAGING)).expect("is there").count()
}

#[tokio::test]
async fn content_is_found_under_its_hash() {
    let (_temp, dir) = scratch();
    let artifact = written(&dir, &[b"hello", b" ", b"world"], "greeting.TXT").await;
    let expected = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!((artifact.id.as_str(), artifact.size), (expected, 11));
    assert_eq!(fs::read(dir.root.join(artifact.path())).expect("is there"), b"hello world");
    assert!(artifact.path().ends_with(".txt"));
    assert_eq!(staged(&dir), 0);
}

#[tokio::test]
async fn pieces_larger_and_smaller_than_what_is_gathered_add_up() {
    let (_temp, dir) = scratch();
    let large = vec![7_u8; GATHER_BYTES + 1];
    let artifact = written(&dir, &[b"a", &large, b"b", &large, b"c"], "large.bin").await;
    assert_eq!(artifact.size, 2 * large.len() as u64 + 3);
    let whole = dir.read(&artifact, 0, u32::MAX).await.expect("reads");
    assert_eq!(hex(&Sha256::digest(&whole)), artifact.id);
}

#[tokio::test]
async fn a_piece_is_read_from_anywhere_and_ends_with_the_file() {
    let (_temp, dir) = scratch();
    let artifact = written(&dir, &[b"0123456789"], "digits.txt").await;
    assert_eq!(dir.read(&artifact, 3, 4).await.expect("reads"), "3456");
    assert_eq!(dir.read(&artifact, 8, 4).await.expect("reads"), "89");
    assert_eq!(dir.read(&artifact, 10, 4).await.expect("reads"), "");
    assert_eq!(dir.read(&artifact, u64::MAX, 4).await.expect("reads"), "");
}

#[tokio::test]
async fn the_same_content_twice_is_one_file() {
    let (_temp, dir) = scratch();
    let first = written(&dir, &[b"same"], "a.txt").await;
    let second = written(&dir, &[b"sa", b"me"], "b.txt").await;
    assert_eq!(first.id, second.id);
    assert_eq!(dir.read(&first, 0, 10).await.expect("reads"), "same");
    assert_eq!(staged(&dir), 0);
}

#[tokio::test]
async fn what_is_dropped_unfinished_leaves_nothing() {
    let (_temp, dir) = scratch();
    let mut staging = dir.create().await.expect("creates");
    staging.write(b"half").await.expect("writes");
    assert_eq!(staged(&dir), 1);
    drop(staging);
    let gone = async {
        while staged(&dir) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("it is removed");
}

#[tokio::test]
async fn what_a_dead_process_left_is_cleared() {
    let (_temp, dir) = scratch();
    fs::write(dir.root.join(STAGING).join("left"), "half").expect("writes");
    assert_eq!(dir.clear_staging().expect("clears"), 1);
    assert_eq!(staged(&dir), 0);
}

#[tokio::test]
async fn a_lost_file_and_a_false_name_are_told_apart() {
    let (_temp, dir) = scratch();
    let mut artifact = written(&dir, &[b"soon gone"], "a.txt").await;
    fs::remove_file(dir.root.join(artifact.path())).expect("is there");
    assert!(matches!(dir.read(&artifact, 0, 4).await, Err(ArtifactError::Missing(id)) if id == artifact.id));
    artifact.id = "../../etc/passwd".to_owned();
    assert!(matches!(dir.read(&artifact, 0, 4).await, Err(ArtifactError::BadId(_))));
}

#[tokio::test]
async fn a_link_is_a_url_whatever_the_directory_is_called() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = ArtifactDir::open(&temp.path().join("my films & ü%"), Handle::current()).expect("opens");
    assert!(dir.link_base().starts_with("file:///"), "{}", dir.link_base());
    assert!(dir.link_base().ends_with("/my%20films%20%26%20%C3%BC%25/"), "{}", dir.link_base());
}

fn open(directory: &tempfile::TempDir) -> ArtifactDir {
    ArtifactDir::open(&directory.path().join("artifacts"), Handle::current()).expect("opens")
}

/// Makes an artifact and says when its file was written.
async fn placed(dir: &ArtifactDir, content: &[u8]) -> (ArtifactRef, sublane_core::Timestamp) {
    let mut staging = dir.create().await.expect("created");
    staging.write(content).await.expect("written");
    let artifact = staging.finish("a.txt".to_owned(), "text/plain".to_owned()).await.expect("finished");
    let meta = std::fs::metadata(dir.root.join(artifact.path())).expect("there");
    let since = meta.modified().expect("known").duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    (artifact, sublane_core::Timestamp(u64::try_from(since.as_millis()).expect("small") + 1))
}

/// What `retention::files` removes of a store that refers to nothing.
async fn removed(dir: &ArtifactDir, now: sublane_core::Timestamp) -> u64 {
    let store = sublane_store::Model::default();
    let hour = std::time::Duration::from_secs(3_600);
    let retention = crate::retention::Retention { files: hour, ..Default::default() };
    crate::retention::files(&store, dir, &retention, now).await.expect("looked through").files
}

#[tokio::test]
async fn a_file_without_owner_goes_when_it_is_old() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let (artifact, written) = placed(&open(&directory), b"a film").await;
    let later = written.after(std::time::Duration::from_secs(3_600));
    let dir = open(&directory);
    assert_eq!(removed(&dir, written).await, 0, "it is young");
    assert_eq!(removed(&dir, later).await, 1);
    assert!(!dir.root.join(artifact.path()).exists());
}

/// Its row is about to be committed, and the clock has jumped by a day.
#[tokio::test]
async fn a_file_that_was_placed_lately_stays_whatever_the_clock_says() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let dir = open(&directory);
    let (artifact, written) = placed(&dir, b"a film").await;
    let tomorrow = written.after(std::time::Duration::from_secs(86_400));
    assert_eq!(removed(&dir, tomorrow).await, 0, "placed before this sweep");
    assert!(dir.root.join(artifact.path()).exists());
    assert_eq!(removed(&dir, tomorrow).await, 1, "a whole sweep has passed, and no row came");
}
