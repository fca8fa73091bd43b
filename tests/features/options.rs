//! Odd values of options: each is told with what it should be, or borne; none hangs, panics or does
//! something else than it says.

use serde_json::{Value, json};
use sublane_tests::command::CommandLine;
use sublane_tests::{Setup, TestHost, component, temporary};

/// A durable host and the command line beside it, whose console somebody answers.
async fn beside() -> (TestHost, CommandLine) {
    let directory = temporary();
    let line = CommandLine::beside(&directory);
    let file = directory.path().join("sublane.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    let answered = format!(
        "{text}agent = \"spawns/echo\"\n[plugins.spawns]\ncomponent = {:?}\nallow = \"asked\"\n",
        component("spawns")
    );
    std::fs::write(&file, answered).expect("written");
    (Setup::durable(&directory).plugin("spawns").start().await, line)
}

/// It is refused as wrong, in these words and not many more.
async fn check_wrong(line: &CommandLine, words: &[&str], expected: &str) {
    let said = line.run(words).await;
    assert!(said.exit == 2 && said.err.contains(expected), "{words:?}: {said:?}");
    assert!(said.err.len() < 1_000 && said.out.is_empty(), "{words:?}: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ages_and_numbers_that_are_none_are_told_with_what_they_should_be() {
    let (_host, line) = beside().await;
    let (runs, deliveries) = (["runs", "list"], ["deliveries", "list"]);
    for (list, option, age) in [
        (runs, "--since", "-1h"),
        (deliveries, "--older", "-1h"),
        (runs, "--older", ""),
        (runs, "--older", "5"),
        (runs, "--older", "99999999999999999999y"),
    ] {
        check_wrong(&line, &[list[0], list[1], option, age], "such as `90s`, `2h` or `1d 12h`").await;
    }
    for age in ["584000000000y", "0s"] {
        line.json(&["runs", "list", "--older", age, "--since", age]).await;
    }
    for (list, limit) in [(runs, "0"), (runs, "-1"), (runs, "10001"), (deliveries, "99999999999")] {
        check_wrong(&line, &[list[0], list[1], "--limit", limit], "'--limit <NUMBER>'").await;
    }
    check_wrong(&line, &["conversations", "list", "--limit", "0"], "0 is not in 1..=10000").await;
    check_wrong(&line, &["runs", "logs", "echo", "--lines", "-1"], "'--lines <NUMBER>'").await;
    for (option, value, expected) in [
        ("--slots", "0", "1 to 1024 slots, not 0"),
        ("--slots", "1025", "1 to 1024 slots, not 1025"),
        ("--queue-length", "0", "1 to 1000000 runs may wait, not 0"),
    ] {
        let said = line.run(&["lanes", "limits", "main", option, value]).await;
        assert!(said.exit == 4 && said.err.contains(expected), "{said:?}");
    }
    check_wrong(&line, &["lanes", "limits", "main", "--slots", "-1"], "'--slots <NUMBER>'").await;
    let nothing = "<--slots <NUMBER>|--queue-length <NUMBER>|--as-configured>";
    check_wrong(&line, &["lanes", "limits", "main"], nothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_empty_or_endless_are_told_in_few_words() {
    let (host, line) = beside().await;
    host.run("spawns/echo", json!(1)).await;
    let named: [&[&str]; 8] = [
        &["runs", "show", ""],
        &["runs", "tree", ""],
        &["runs", "logs", ""],
        &["runs", "cancel", ""],
        &["runs", "cancel", "--conversation", ""],
        &["runs", "retry", ""],
        &["deliveries", "show", ""],
        &["conversations", "show", ""],
    ];
    for words in named {
        check_wrong(&line, words, "is named: give its id").await;
    }
    check_wrong(&line, &["runs", "list", "--plugin", ""], "a value is required").await;
    for to in ["", ":", "console:", ":room"] {
        check_wrong(&line, &["deliveries", "list", "--to", to], "such as `webhook:films`").await;
    }
    // With an empty id each message would be taken for the same.
    for event in [String::new(), "x".repeat(129)] {
        check_wrong(&line, &["send", "--event", &event, "hello"], "an id has 1 to 128 bytes").await;
    }
    let endless = "x".repeat(100_000);
    for words in [
        ["runs", "show", &endless],
        ["runs", "cancel", &endless],
        ["deliveries", "retry", &endless],
        ["conversations", "show", &endless],
        ["plugin", "remove", &endless],
        ["lanes", "pause", &endless],
    ] {
        let said = line.run(&words).await;
        assert!([2, 4].contains(&said.exit) && said.err.len() < 500, "{words:?}: {}", said.err.len());
        assert!(said.err.contains("characters)"), "{}", said.err);
    }
    let said = line.run(&["runs", "list", "--plugin", &endless]).await;
    assert_eq!((said.exit, said.out.as_str()), (0, "no runs\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_says_why_it_is_none() {
    let (host, line) = beside().await;
    let place = host.directory.path().to_str().expect("text");
    let nowhere = format!("{place}/nowhere/today.db");
    let long = format!("{place}/{}", "x".repeat(300));
    for (file, expected) in [
        ("/", "is no file: name a new one"),
        (place, "is no file: name a new one"),
        ("/dev/null", "is no file: name a new one"),
        (&nowhere, "there is no directory"),
        (&long, "File name too long"),
    ] {
        for force in [&[][..], &["--force"]] {
            let said = line.run(&[&["store", "backup", file], force].concat()).await;
            assert!(said.exit == 4 && said.err.contains(expected), "{file}: {said:?}");
        }
    }
    let today = format!("{place}/today.db");
    let copied = line.json(&["store", "backup", &today]).await;
    assert!(copied["bytes"].as_u64() > Some(0) && copied["file"] == today.as_str());
    let again = line.run(&["store", "backup", &today]).await;
    assert!(again.exit == 4 && again.err.contains("add --force"), "{again:?}");
}

/// Whatever looks says the same to machines, whatever the environment is.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_looks_answers_in_json() {
    let (host, line) = beside().await;
    let run = host.begin("spawns/echo", json!(1)).await;
    host.ended(run).await;
    let id = run.to_string();
    let commands: [&[&str]; 13] = [
        &["runs", "list"],
        &["runs", "tree"],
        &["runs", "show", &id],
        &["runs", "logs", &id],
        &["deliveries", "list"],
        &["lanes", "list"],
        &["conversations", "list"],
        &["conversations", "show", "console:test"],
        &["plugin", "list"],
        &["config", "check"],
        &["store", "check"],
        &["store", "gc"],
        &["runs", "cancel", &id],
    ];
    for words in commands {
        let plain = line.json(words).await;
        assert!(plain.is_object(), "{words:?}: {plain}");
        let said = line.run_in(&[], &[words, &["--json"]].concat()).await;
        let bare: Value = said.json();
        let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        assert_eq!((said.exit, keys(&bare)), (0, keys(&plain)), "{words:?} with an empty environment");
    }
    // Narrower than any column, with nothing that says who and where one is.
    let narrow = [("COLUMNS", "1"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("SUBLANE_CONFIG", "")];
    for words in [&["runs", "list"][..], &["runs", "tree"], &["deliveries", "list"], &["lanes", "list"]] {
        let said = line.run_in(&narrow, words).await;
        assert!(said.exit == 0 && !said.out.contains('\u{1b}'), "{words:?}: {said:?}");
    }
}
