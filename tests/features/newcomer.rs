//! What somebody meets who has just begun: no store yet, no configuration, a
//! command line that is not quite right. Each says what to do, and none is a fault.

use sublane_tests::command::CommandLine;
use sublane_tests::temporary;

#[tokio::test]
async fn where_no_host_has_run_there_is_nothing_and_that_is_no_error() {
    let line = CommandLine::alone(&temporary());
    for (what, list) in [("runs", "runs"), ("deliveries", "deliveries"), ("conversations", "conversations")] {
        let said = line.run(&[what, "list", "--json"]).await;
        assert_eq!(said.exit, 0, "{said:?}");
        assert_eq!(said.json()[list], serde_json::json!([]));
        assert!(said.err.contains("no host has run on"), "{said:?}");
    }
    let said = line.run(&["runs", "show", "film"]).await;
    assert_eq!(said.exit, 4, "{said:?}");
    assert!(said.err.ends_with("error: there is no run `film`\n"), "{said:?}");
}

#[tokio::test]
async fn what_is_not_named_is_the_command_lines_fault() {
    let line = CommandLine::alone(&temporary());
    let said = line.run(&["runs", "show", ""]).await;
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.err.contains("no run is named: give its id, its name"), "{said:?}");
    for words in [&["send", ""][..], &["send", " \n"], &["run", ""]] {
        let said = line.run(words).await;
        assert_eq!(said.exit, 2, "{said:?}");
        assert!(said.err.contains("the message is empty: say what is wanted"), "{said:?}");
    }
    let said = line.run(&["run"]).await;
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.err.contains("--agent <PLUGIN/AGENT> [--task <JSON>]"), "{said:?}");
}

#[tokio::test]
async fn a_task_is_read_from_a_file_with_a_bound() {
    let line = CommandLine::alone(&temporary());
    let said = line.run(&["run", "--agent", "a/b", "--task", "@/dev/zero"]).await;
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(
        said.err.contains("/dev/zero cannot be read: it is neither a regular file nor a pipe"),
        "{said:?}"
    );
}

#[tokio::test]
async fn without_a_configuration_people_are_told_how_to_name_one() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    std::fs::remove_file(directory.path().join("sublane.toml")).expect("it was there");
    for words in [["config", "check"], ["runs", "list"]] {
        let said = line.run(&words).await;
        assert_eq!(said.exit, 2, "{said:?}");
        assert!(
            said.err.contains("there is no configuration") && said.err.contains("SUBLANE_CONFIG"),
            "{said:?}"
        );
    }
}

/// An answer that was not written down was not given; and nobody is followed who does not read.
#[tokio::test]
async fn what_cannot_be_written_or_is_not_read_ends_the_command() {
    let directory = temporary();
    let line = CommandLine::alone(&directory);
    line.json(&["runs", "list"]).await;
    let begin = |words: &[&str], out: std::process::Stdio| {
        let mut command = std::process::Command::new(sublane_tests::command::binary());
        command.arg("--config").arg(directory.path().join("sublane.toml")).args(words);
        command.stdout(out).stderr(std::process::Stdio::piped()).spawn().expect("it starts")
    };
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let full = begin(&["runs", "list"], full.into()).wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(4), "{told}");
    assert!(told.contains("the standard output cannot be written to: No space left"), "{told}");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let followed = begin(&["runs", "list", "--watch", "--json"], writer.into());
    drop(reader);
    let ended = followed.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(141), "{}", String::from_utf8_lossy(&ended.stderr));
}
