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
    let text = added(TEXT, "song", "song.wasm", Allowed::Asked).expect("TOML");
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
        added("", "song", "song.wasm", Allowed::Nothing).expect("TOML"),
        "[plugins.song]\ncomponent = \"song.wasm\"\n"
    );
    assert_eq!(
        added("plugins = {}\n", "song", "song.wasm", Allowed::Nothing).expect("TOML"),
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

fn these(text: &str) -> Table {
    let document: DocumentMut = text.parse().expect("TOML");
    document.as_table().clone()
}

#[test]
fn an_upgrade_changes_the_component_and_what_it_is_to_be_allowed() {
    let same = upgraded(TEXT, "film", "new.wasm", None).expect("it is there");
    assert_eq!(same, TEXT.replace("\"film.wasm\"", "\"new.wasm\""), "comments stay");
    let more = Some(Allowed::These(these("cpu = \"2s\"\n")));
    let text = upgraded(
        "# A.\n[plugins.film]\ncomponent = \"film.wasm\"\n# Ask.\nallow = \"asked\"\n\n# B.\n[lanes.x]\nslots = 1\n",
        "film",
        "film.wasm",
        more,
    );
    expect![[r#"
        # A.
        [plugins.film]
        component = "film.wasm"

        # Ask.
        [plugins.film.allow]
        cpu = "2s"

        # B.
        [lanes.x]
        slots = 1
    "#]]
    .assert_eq(&text.expect("it is there"));
    let inline = "plugins = { film = { component = \"a\" } }\n";
    let text = upgraded(inline, "film", "b", Some(Allowed::These(these("cpu = \"2s\"\n"))));
    assert_eq!(
        text.expect("it is there"),
        "plugins = { film = { component = \"b\", allow = { cpu = \"2s\" } } }\n"
    );
}

#[test]
fn what_is_revoked_goes_and_what_is_written_around_it_stays() {
    let asked = these("kv = []\nartifacts = { bytes = \"1MiB\" }\n");
    let text = |allow: &str| format!("# A.\n[plugins.film]\ncomponent = \"film.wasm\"\n{allow}# The end.\n");
    let check = |allow: &str, kinds: &[&str], left: &str| {
        assert_eq!(revoked(&text(allow), "film", kinds, &asked).expect("there"), text(left), "{allow}");
    };
    check("allow = { kv = [], cpu = \"1s\" }\n", &["kv"], "allow = { cpu = \"1s\" }\n");
    let table = "\n# Not more.\n[plugins.film.allow]\nkv = [] # ours\ncpu = \"1s\" # enough\n";
    check(table, &["kv", "http"], "\n# Not more.\n[plugins.film.allow]\ncpu = \"1s\" # enough\n");
    check(table, &[], "\n# Not more.\n[plugins.film.allow]\n");
    check("allow = \"asked\"\n", &[], "");
    check("", &["kv"], "");
    check("allow = \"asked\"\n", &["kv"], "\n[plugins.film.allow]\nartifacts = { bytes = \"1MiB\" }\n");
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
        let added = |old: &str| {
            added(old, &id, "song.wasm", Allowed::Nothing).map(|new| (new, ())).map_err(Failed::wrong)
        };
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
