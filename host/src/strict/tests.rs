//! What people read when a file is wrong.

use expect_test::{Expect, expect};
use std::time::Duration;

use super::*;

const KNOWN: &[&str] = &["name", "slots", "memory", "wait", "mode", "inner", "list"];

/// Reads every key in its own way.
fn check(text: &str, expected: &Expect) {
    let answer = read("a.toml", text, KNOWN, |table| {
        let name = table.require("name").and_then(|item| item.name().map(str::to_owned));
        let slots = table.get("slots").map(|item| item.whole(1..=8));
        let memory = table.get("memory").map(|item| item.bytes(1 << 10..=1 << 30));
        let wait = table
            .get("wait")
            .map(|item| item.duration(Duration::from_millis(500)..=Duration::from_secs(86_400)));
        let mode = table.get("mode").map(|item| item.one_of(&[("read", 'r'), ("read-write", 'w')]));
        let list = table.get("list").map(|item| item.list_of(|entry| entry.whole(1..=9)));
        let inner = table.get("inner").map(|item| {
            let inner = item.table(&["text", "place"])?;
            Some((inner.require("text")?.text()?.to_owned(), inner.get("place")?.path().to_owned()))
        });
        Some(format!("{:?}", (name?, slots, memory, wait, mode, list, inner)))
    });
    expected.assert_eq(&answer.unwrap_or_else(|problems| problems.to_string()));
}

#[test]
fn what_is_right_is_read() {
    check(
        "name = 'a-1'\nslots = 0x8\nmemory = '64MiB'\nwait = '10m'\nmode = 'read'\nlist = [1, 2]\n[inner]\ntext = ''\nplace = 0",
        &expect![[
            r#"("a-1", Some(Some(8)), Some(Some(67108864)), Some(Some(600s)), Some(Some('r')), Some(Some([1, 2])), Some(Some(("", "inner.place"))))"#
        ]],
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    check("name = 'a'\nslot = 1", &expect!["a.toml:2: unknown key `slot`; did you mean `slots`?"]);
    check("name = 'a'\nSlots = 1", &expect!["a.toml:2: unknown key `Slots`; did you mean `slots`?"]);
    check(
        "name = 'a'\ninner = { text = 'x', colour = 1, txet = 2, place = 0 }",
        &expect![[r#"
            a.toml:2: unknown key `colour` in [inner]; there is `text` and `place`
            a.toml:2: unknown key `txet` in [inner]; did you mean `text`?"#]],
    );
}

#[test]
fn all_errors_are_told_in_the_order_of_lines() {
    check(
        "slots = 9\nmemory = '64MB'\n\nwait = '10 minutes'\nmode = 'write'\n[inner]\nplace = 0",
        &expect![[r#"
            a.toml:1: missing key `name`
            a.toml:1: `slots` must be a whole number from 1 to 8, not 9
            a.toml:2: `memory` must be a size such as "64MiB": a whole number and one of the units KiB, MiB, GiB, not "64MB"
            a.toml:4: `wait` must be a duration such as "10m": a whole number and one of the units ms, s, m, h, d, not "10 minutes"
            a.toml:5: `mode` must be "read" or "read-write", not "write"
            a.toml:6: missing key `text` in [inner]"#]],
    );
}

#[test]
fn a_wrong_type_says_what_it_found() {
    check(
        "name = 5\nslots = 'four'\nmemory = 64\nwait = 1.5\nmode = true\nlist = 3\ninner = []",
        &expect![[r#"
            a.toml:1: `name` must be a text in quotes, not 5
            a.toml:2: `slots` must be a whole number from 1 to 8, not "four"
            a.toml:3: `memory` must be a size such as "64MiB": a whole number and one of the units KiB, MiB, GiB, not 64
            a.toml:4: `wait` must be a duration such as "10m": a whole number and one of the units ms, s, m, h, d, not 1.5
            a.toml:5: `mode` must be "read" or "read-write", not true
            a.toml:6: `list` must be a list, not 3
            a.toml:7: `inner` must be a table, not a list"#]],
    );
    check(
        "name = 'a'\nlist = [\n  1,\n  12,\n  'x',\n]",
        &expect![[r#"
            a.toml:4: each of `list` must be a whole number from 1 to 9, not 12
            a.toml:5: each of `list` must be a whole number from 1 to 9, not "x""#]],
    );
}

#[test]
fn what_is_out_of_range_names_the_range() {
    check(
        "name = '-a'\nslots = -1\nmemory = '2GiB'\nwait = '1ms'",
        &expect![[r#"
            a.toml:1: `name` must be a name of 1 to 64 letters a-z, digits and `-` that begins with a letter, not "-a"
            a.toml:2: `slots` must be a whole number from 1 to 8, not -1
            a.toml:3: `memory` must be from 1KiB to 1GiB, not "2GiB"
            a.toml:4: `wait` must be from 500ms to 1d, not "1ms""#]],
    );
    check(
        "name = 'a'\nmemory = '99999999999999999999GiB'\nwait = '99999999999999999d'\nslots = 99999999999999999999",
        &expect![[r#"
            a.toml:2: `memory` must be a size such as "64MiB": a whole number and one of the units KiB, MiB, GiB, not "99999999999999999999GiB"
            a.toml:3: `wait` must be a duration such as "10m": a whole number and one of the units ms, s, m, h, d, not "99999999999999999d"
            a.toml:4: `slots` must be a whole number from 1 to 8, not 99999999999999999999"#]],
    );
}

#[test]
fn a_key_that_is_there_twice_is_an_error() {
    check("name = 'a'\nslots = 1\nslots = 2", &expect!["a.toml:3: `slots` is there twice; keep one"]);
    check(
        "name = 'a'\n[inner]\ntext = ''\n[inner]\nplace = 1",
        &expect!["a.toml:4: `inner` is there twice; keep one"],
    );
}

#[test]
fn what_is_no_toml_says_where() {
    check(
        "name = 'a\nslots = = 1\nslot = 2",
        &expect![[r#"
        a.toml:1: not TOML: invalid literal string, expected `'`
        a.toml:2: not TOML: extra `=`, expected nothing
        a.toml:2: not TOML: unexpected key or value, expected newline, `#`"#]],
    );
    check("name = a", &expect!["a.toml:1: not TOML: string values must be quoted, expected literal string"]);
}

#[test]
fn what_is_wrong_does_not_steer_a_terminal() {
    check(
        "name = 'a'\n\"\\u001b[2J\\u202e\" = 1",
        &expect![
            "a.toml:2: unknown key `\u{fffd}[2J\u{fffd}`; there is `name`, `slots`, `memory`, `wait`, `mode`, `inner` and `list`"
        ],
    );
}

#[test]
fn where_there_is_nothing_to_choose_from_it_says_so() {
    assert_eq!(nearest("nope", [].into_iter()), "none is configured");
    assert_eq!(nearest("nope", ["video"].into_iter()), "there is only `video`");
}

#[test]
fn a_file_without_end_is_not_read() {
    let error = load(Path::new("/dev/zero")).expect_err("a device");
    assert_eq!(
        crate::error::chain(&error),
        "/dev/zero cannot be read: it is neither a regular file nor a pipe"
    );
}
