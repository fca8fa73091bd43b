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
