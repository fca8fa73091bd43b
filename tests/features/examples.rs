//! Every example plugin, run as its author would.

use serde_json::json;
use sublane_tests::{Setup, value};

#[tokio::test(flavor = "multi_thread")]
async fn hello_agent_greets() {
    let host = Setup::in_memory().plugin("hello-agent").start().await;
    let outcome = host.run("hello-agent/hello", json!({ "name": "Ada" })).await;
    assert_eq!(value(&outcome), json!("Hello, Ada!"));
    host.until("the greeting is delivered", || host.recorder.texts() == ["Hello, Ada!"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spawn_and_wait_counts_words_in_parts() {
    let host = Setup::in_memory().plugin("spawn-and-wait").start().await;
    let text = "one two\nthree\nfour five six\nseven\neight nine";
    assert_eq!(value(&host.run("spawn-and-wait/count", json!(text)).await), json!(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_directory_counts_words_shelf_by_shelf() {
    let directory = sublane_tests::temporary();
    let library = directory.path().join("library");
    for (book, text) in
        [("a/one", "one two"), ("a/two", "three"), ("b/three", "four five six"), ("loose", "seven")]
    {
        let file = library.join(book);
        std::fs::create_dir_all(file.parent().expect("a shelf")).expect("a directory");
        std::fs::write(file, text).expect("a file");
    }
    let host = Setup::durable(&directory).plugin("shared-directory").files("library", library).start().await;
    assert_eq!(value(&host.run("shared-directory/count", json!(null)).await), json!(6));
}
