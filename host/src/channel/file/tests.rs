//! What is written into a folder, what is there already, and what cannot be written.

use std::fs;
use std::os::unix::fs::symlink;

use sublane_core::delivery::ArtifactLink;
use sublane_core::{Delivery, DeliveryBody};
use tempfile::TempDir;

use super::*;
use crate::channel::testing::{body, delivery};

/// A channel with the folder `films`, and the directory that holds it and the artifacts.
fn channel(change: impl FnOnce(&mut Folder)) -> (FileChannel, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut folder = Folder::new(directory.path().join("out/films"));
    change(&mut folder);
    let folders = BTreeMap::from([("films".to_owned(), folder)]);
    (FileChannel::new(folders, &directory.path().join("artifacts")), directory)
}

/// A message with files of these names; the content of each is its name.
fn with_files(directory: &TempDir, names: &[&str]) -> DeliveryBody {
    let mut body = body("Your films are done. 🎬");
    for (number, name) in names.iter().enumerate() {
        let link = ArtifactLink {
            id: format!("{number:064x}"),
            name: (*name).to_owned(),
            media_type: "video/mp4".to_owned(),
            size: name.len() as u64,
            url: "file:///of-no-interest".to_owned(),
        };
        let artifact = sublane_core::ArtifactRef {
            id: link.id.clone(),
            name: link.name.clone(),
            media_type: link.media_type.clone(),
            size: link.size,
        };
        let path = directory.path().join("artifacts").join(artifact.path());
        fs::create_dir_all(path.parent().expect("it is below")).expect("a directory");
        fs::write(path, name).expect("writes");
        body.data.artifacts.push(link);
    }
    body
}

fn film(body: &DeliveryBody) -> Delivery {
    delivery(1, "file:films", body)
}

/// Everything below a directory, by name, with the content of files.
fn tree(at: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(at).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            let below = tree(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text));
            found.extend(below);
        } else {
            found.push((name, fs::read_to_string(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

fn is_retry(result: &AttemptResult, words: &str) -> bool {
    matches!(result, AttemptResult::Retry { note, ambiguous: false, .. } if note.contains(words))
}

#[tokio::test]
async fn a_delivery_is_a_directory_with_body_text_and_files() {
    let (channel, directory) = channel(|_| {});
    let body = with_files(&directory, &["film.mp4", "film.mp4", "../../escape.txt", "text.txt"]);
    let film = film(&body);
    let out = directory.path().join("out/films");
    let place = out.join(film.id.to_string());
    let written = AttemptResult::Delivered { note: place.display().to_string() };
    assert_eq!(channel.deliver(&film).await, written);
    let expected = [
        ("2-film.mp4", "film.mp4"),
        ("2-text.txt", "text.txt"),
        ("_._.._escape.txt", "../../escape.txt"),
        ("delivery.json", &film.body),
        ("film.mp4", "film.mp4"),
        ("text.txt", "Your films are done. 🎬"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(tree(&place), expected);
    assert_eq!(fs::read_dir(out).expect("it is there").count(), 1, "nothing else is left there");
}

/// Complaints 17122 and 89626: however often a delivery is repeated, it is there once.
#[tokio::test]
async fn a_repetition_changes_nothing() {
    let (channel, directory) = channel(|_| {});
    let mut film = film(&with_files(&directory, &["film.mp4"]));
    channel.deliver(&film).await;
    let before = tree(directory.path());
    // The file's artifact is gone by now; nobody needs it any more.
    fs::remove_dir_all(directory.path().join("artifacts")).expect("removes");
    for attempt in 2..5 {
        film.attempts = attempt;
        let again = channel.deliver(&film).await;
        let AttemptResult::Delivered { note } = again else { panic!("{again:?}") };
        assert!(note.ends_with("was there already"), "{note}");
    }
    let out = |tree: Vec<(String, String)>| -> Vec<_> {
        tree.into_iter().filter(|(name, _)| name.starts_with("out/")).collect()
    };
    assert_eq!(out(tree(directory.path())), out(before));
}

#[tokio::test]
async fn what_an_interrupted_attempt_left_is_removed_and_the_whole_is_written() {
    let (channel, directory) = channel(|_| {});
    let mut film = film(&with_files(&directory, &["film.mp4"]));
    let out = directory.path().join("out/films");
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::write(elsewhere.join("kept"), "kept").expect("writes");
    // A host died while it wrote; and somebody laid a link where the next would write.
    let half = out.join(format!(".{}.1.tmp", film.id));
    fs::create_dir_all(&half).expect("a directory");
    fs::write(half.join("film.mp4"), "fi").expect("writes");
    symlink(&elsewhere, out.join(format!(".{}.2.tmp", film.id))).expect("a link");
    film.attempts = 2;
    assert!(matches!(channel.deliver(&film).await, AttemptResult::Delivered { .. }));
    let names: Vec<String> = tree(&out).into_iter().map(|(name, _)| name).collect();
    let id = film.id;
    assert_eq!(names, ["delivery.json", "film.mp4", "text.txt"].map(|name| format!("{id}/{name}")));
    assert_eq!(tree(&elsewhere), [("kept".to_owned(), "kept".to_owned())]);
}

#[tokio::test]
async fn nothing_that_is_there_is_written_over_and_no_link_is_followed() {
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let film = film(&body("done"));
    fs::write(elsewhere.path().join("delivery.json"), &*film.body).expect("writes");
    let obstacles: [fn(&Path, &Path); 4] = [
        |place, elsewhere| symlink(elsewhere, place).expect("a link"),
        |place, _| fs::write(place, "a file").expect("writes"),
        |place, _| {
            fs::create_dir(place).expect("a directory");
            fs::write(place.join("delivery.json"), "{}").expect("writes");
        },
        |place, elsewhere| {
            fs::create_dir(place).expect("a directory");
            symlink(elsewhere.join("delivery.json"), place.join("delivery.json")).expect("a link");
        },
    ];
    for obstacle in obstacles {
        let (channel, directory) = channel(|_| {});
        let out = directory.path().join("out/films");
        fs::create_dir_all(&out).expect("a directory");
        obstacle(&out.join(film.id.to_string()), elsewhere.path());
        let before = (tree(directory.path()), tree(elsewhere.path()));
        let result = channel.deliver(&film).await;
        assert!(
            matches!(&result, AttemptResult::Permanent { note } if note.contains("move it away, then retry")),
            "{result:?}"
        );
        assert_eq!((tree(directory.path()), tree(elsewhere.path())), before);
    }
}

/// Complaint 126800: a directory that is not there yet is waited for.
#[tokio::test]
async fn a_directory_that_cannot_be_used_now_is_tried_again() {
    let film = film(&body("done"));
    let (later, directory) = channel(|folder| folder.create = false);
    assert!(is_retry(&later.deliver(&film).await, "cannot open"));
    fs::create_dir_all(directory.path().join("out/films")).expect("a directory");
    assert!(matches!(later.deliver(&film).await, AttemptResult::Delivered { .. }));
    let (blocked, directory) = channel(|_| {});
    fs::write(directory.path().join("out"), "a file").expect("writes");
    assert!(is_retry(&blocked.deliver(&film).await, "cannot create"));
    // Nobody, not even root, makes a directory there.
    let (nobodys, _directory) = channel(|folder| folder.directory = "/proc/self".into());
    assert!(is_retry(&nobodys.deliver(&film).await, "cannot create"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_to_write_files_has_its_time() {
    let (channel, directory) = channel(|_| {});
    let film = film(&with_files(&directory, &["film.mp4"]));
    let place =
        |artifact: &sublane_core::ArtifactRef| directory.path().join("artifacts").join(artifact.path());
    let link = &film_link(&film);
    // A medium that does not answer: a pipe that nobody writes to.
    let content = place(link);
    fs::remove_file(&content).expect("there");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &content, mode).expect("a pipe");
    let mut attempt = channel.deliver(&film);
    assert!(futures_util::FutureExt::now_or_never(attempt.as_mut()).is_none(), "it waits for the medium");
    tokio::time::advance(ATTEMPT_TIMEOUT).await;
    let AttemptResult::Retry { note, ambiguous: true, .. } = attempt.await else {
        panic!("it is to be repeated")
    };
    assert_eq!(note, "the directory takes nothing in time");
    // Whoever reads from it ends.
    drop(fs::OpenOptions::new().write(true).open(&content).expect("somebody reads"));
}

fn film_link(film: &Delivery) -> sublane_core::ArtifactRef {
    let body: DeliveryBody = serde_json::from_str(&film.body).expect("it is a body");
    let link = &body.data.artifacts[0];
    let (id, name, media_type) = (link.id.clone(), link.name.clone(), link.media_type.clone());
    sublane_core::ArtifactRef { id, name, media_type, size: link.size }
}

#[tokio::test]
async fn a_file_that_is_gone_is_told_and_leaves_nothing() {
    let (channel, directory) = channel(|_| {});
    let film = film(&with_files(&directory, &["film.mp4"]));
    fs::remove_dir_all(directory.path().join("artifacts")).expect("removes");
    let result = channel.deliver(&film).await;
    assert!(
        matches!(&result, AttemptResult::Permanent { note } if note.contains("artifact `film.mp4`")),
        "{result:?}"
    );
    assert!(tree(&directory.path().join("out/films")).is_empty());
}

#[tokio::test]
async fn text_for_people_steers_no_terminal() {
    let (channel, directory) = channel(|_| {});
    let film = film(&body("red \u{1b}[31m\nalert"));
    channel.deliver(&film).await;
    let place = directory.path().join("out/films").join(film.id.to_string());
    assert_eq!(fs::read_to_string(place.join("text.txt")).expect("it is there"), "red \u{FFFD}[31m\nalert");
    assert_eq!(fs::read_to_string(place.join("delivery.json")).expect("it is there"), *film.body);
}

#[tokio::test]
async fn a_value_may_be_nested_as_deep_as_it_likes() {
    let (channel, _directory) = channel(|_| {});
    let mut film = film(&body("done"));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    film.body = film.body.replacen(r#""text":"#, &format!(r#""value":{deep},"text":"#), 1).into();
    assert!(film.body.len() > 10_000);
    assert!(matches!(channel.deliver(&film).await, AttemptResult::Delivered { .. }));
}

#[test]
fn a_check_says_beforehand_what_would_fail() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut folder = Folder::new(directory.path().join("a/b"));
    assert!(folder.check().is_ok(), "it can be made");
    assert!(!directory.path().join("a").exists(), "and was not");
    folder.create = false;
    let error = crate::error::chain(&folder.check().expect_err("it is not there"));
    assert!(error.contains("a/b` cannot be written to: No such file"), "{error}");
    fs::write(directory.path().join("a"), "a file").expect("writes");
    assert!(folder.check().is_err());
    assert!(Folder::new(directory.path().join("a")).check().is_err());
}
