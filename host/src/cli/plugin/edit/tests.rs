//! The edit of a configuration: what stays, and who waits for whom.

use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect;

use super::*;

const TEXT: &str = "\
# Ours.
state = \"s\"   # here

# The plugins.
# Ask Ada.
[plugins.film]
component = \"film.wasm\" # built on Monday

[plugins.film.allow]
# Not more.
cpu = \"1s\"

# How it is said.
[channels.console]
kind = \"console\"
# The end.
";

#[test]
fn a_plugin_more_leaves_the_rest_as_it_is() {
    let text = added(TEXT, "song", "song.wasm", Some("asked")).expect("TOML");
    let without = removed(&text, "song").expect("it is there");
    assert_eq!(without, TEXT);
    let new: String =
        text.lines().filter(|line| !TEXT.contains(line)).map(|line| format!("{line}\n")).collect();
    expect![[r#"
        [plugins.song]
        component = "song.wasm"
        allow = "asked"
    "#]]
    .assert_eq(&new);
    assert_eq!(
        added("", "song", "song.wasm", None).expect("TOML"),
        "[plugins.song]\ncomponent = \"song.wasm\"\n"
    );
    assert_eq!(
        added("plugins = {}\n", "song", "song.wasm", None).expect("TOML"),
        "plugins = { song = { component = \"song.wasm\" } }\n"
    );
}

#[test]
fn a_plugin_less_leaves_what_was_written_above_it() {
    expect![[r#"
        # Ours.
        state = "s"   # here

        # The plugins.
        # Ask Ada.

        # How it is said.
        [channels.console]
        kind = "console"
        # The end.
    "#]]
    .assert_eq(&removed(TEXT, "film").expect("it is there"));
    assert!(removed(TEXT, "song").is_err());
    let alone = "# All.\n[plugins.film]\ncomponent = \"film.wasm\"\n";
    assert_eq!(removed(alone, "film").expect("it is there"), "# All.\n");
    let inline = "plugins = { film = { component = \"a\" }, song = { component = \"b\" } }\n";
    assert_eq!(removed(inline, "film").expect("there"), "plugins = { song = { component = \"b\" } }\n");
}

#[test]
fn a_file_is_replaced_with_its_mode_and_not_over_others() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let (file, link) = (directory.path().join("real.toml"), directory.path().join("sublane.toml"));
    std::fs::write(&file, "old").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("set");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let error = replace(&link, "older", "new").expect_err("it was changed");
    assert!(format!("{error:#}").contains("somebody has changed it meanwhile"), "{error:#}");
    replace(&link, "old", "new").expect("replaced");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "new");
    assert!(link.symlink_metadata().expect("there").is_symlink());
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 2, "nothing is left");
}

/// Eight who change one file at once, each of whom reads, adds and replaces.
#[test]
fn whoever_changes_a_file_at_once_waits_for_the_others() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let file = directory.path().join("sublane.toml");
    std::fs::write(&file, TEXT).expect("written");
    let add = |id: String| {
        let added = |old: &str| added(old, &id, "song.wasm", None).map_err(Failed::wrong);
        let runtime = crate::cli::small_runtime().expect("a runtime");
        runtime.block_on(change(&file, added)).unwrap_or_else(|failed| panic!("{:#}", failed.error));
    };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..5).for_each(|n| add(format!("song-{thread}-{n}"))));
        }
    });
    let text = std::fs::read_to_string(&file).expect("there");
    assert_eq!(text.matches("[plugins.song-").count(), 40, "{text}");
    assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 1, "nothing is left");
}
