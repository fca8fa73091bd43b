//! Results as files: what a host writes into a folder, across crashes and a disk that comes late.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::json;
use sublane::channel::{Channel, Class, FileChannel, Folder};
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, DeliveryState};
use sublane_store::DeliveryFilter;
use sublane_tests::{Setup, TestHost, temporary};
use tempfile::TempDir;

/// The channel `archive` of a host with its artifacts in this directory.
fn archive(directory: &TempDir, folder: Folder) -> FileChannel {
    FileChannel::new([("films".to_owned(), folder)].into(), &directory.path().join("artifacts"))
}

/// The only delivery, once there is one.
async fn delivery(host: &TestHost) -> Option<Delivery> {
    let filter = DeliveryFilter { limit: 10, ..DeliveryFilter::default() };
    let mut all = host.inner().store.deliveries(filter).await.expect("the store answers");
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

/// Waits until the only delivery has reached some state.
async fn when(host: &TestHost, state: DeliveryState) -> Delivery {
    let mut changes = host.inner().changes();
    let reached = async {
        loop {
            match delivery(host).await {
                Some(delivery) if delivery.state == state => return delivery,
                _ => {}
            }
            changes.changed().await.expect("the host lives");
        }
    };
    tokio::time::timeout(sublane_tests::PATIENCE, reached).await.expect("it comes to be")
}

/// Names in a directory; hidden ones as well.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    names.sort();
    names
}

/// Does what the channel behind it does, and then never comes back: the host does not learn of it.
struct Mute(FileChannel, Arc<AtomicBool>);

#[async_trait]
impl Channel for Mute {
    fn class(&self) -> Class {
        self.0.class()
    }
    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        self.0.deliver(delivery).await;
        self.1.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}

/// Complaints 89626 and 41235, R10: the host ends after it has sent and before it has noted so.
/// Complaint 115895, R6: the file that a run made reaches people whatever happens to the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_there_once_with_its_files_whatever_happens_to_the_host() {
    let directory = temporary();
    let folder = directory.path().join("films");
    let is_written = Arc::new(AtomicBool::new(false));
    let mute = Mute(archive(&directory, Folder::new(&folder)), is_written.clone());
    let setup = Setup::durable(&directory).plugin("spawns");
    let host = setup.channel("archive", Arc::new(mute), None).start().await;
    // It fails afterwards: what it had finished is delivered even so.
    let steps = json!([{ "write": { "name": "film.txt", "text": "a film" } }, { "fail": "no more prompts" }]);
    let run = host.begin_for("spawns/act", steps, &["archive:films"]).await;
    host.ended(run).await;
    host.until("it is written", || is_written.load(Ordering::SeqCst)).await;
    assert_eq!(delivery(&host).await.map(|delivery| delivery.state), Some(DeliveryState::Sending));
    drop(host);
    let setup = Setup::durable(&directory).plugin("spawns");
    let channel = archive(&directory, Folder::new(&folder));
    let host = setup.channel("archive", Arc::new(channel), None).start().await;
    let delivered = when(&host, DeliveryState::Delivered).await;
    assert_eq!(delivered.attempts, 2);
    assert_eq!(names(&folder), [delivered.id.to_string()]);
    let place = folder.join(delivered.id.to_string());
    assert_eq!(names(&place), ["delivery.json", "film.txt", "text.txt"]);
    let read = |name: &str| std::fs::read_to_string(place.join(name)).expect("it is there");
    assert_eq!((read("film.txt").as_str(), read("delivery.json").as_str()), ("a film", &*delivered.body));
    host.host.stop().await;
}

/// Complaint 126800, R32: a disk that is not mounted yet is waited for, and nothing is made in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_comes_late_gets_what_was_owed_meanwhile() {
    let directory = temporary();
    let mut folder = Folder::new(directory.path().join("mounted-later"));
    folder.create = false;
    let channel = archive(&directory, folder.clone());
    let clock = sublane::clock::ManualClock::at(sublane_core::Timestamp(1_700_000_000_000));
    let setup = Setup::in_memory().clock(Arc::new(clock.clone())).plugin("spawns");
    let host = setup.channel("archive", Arc::new(channel), None).start().await;
    host.begin_for("spawns/echo", json!("done"), &["archive:films"]).await;
    let waits = when(&host, DeliveryState::Pending).await;
    assert!(waits.note.contains("cannot open"), "{}", waits.note);
    assert!(!folder.directory.exists());
    std::fs::create_dir(&folder.directory).expect("a directory");
    clock.advance(waits.next_at.since(sublane::clock::Clock::now(&clock)));
    let delivered = when(&host, DeliveryState::Delivered).await;
    assert_eq!(names(&folder.directory), [delivered.id.to_string()]);
    host.host.stop().await;
}
