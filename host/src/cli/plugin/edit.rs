//! Changes `[plugins]` in a configuration's text, and leaves all else in it as it was written.
//!
//! Owns how the file is replaced: whole or not at all, with its mode and its owner, and never
//! over what somebody else has written meanwhile. Knows no rule of the configuration.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

/// What stands behind `allow`.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    /// There is no such key.
    Nothing,
    /// The word for whatever is asked for.
    Asked,
    /// These keys.
    These(Table),
}

/// The text with a plugin more.
pub(super) fn added(text: &str, id: &str, component: &str, allow: Allowed) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let plugins = document.entry("plugins").or_insert_with(|| {
        let mut plugins = Table::new();
        plugins.set_implicit(true);
        Item::Table(plugins)
    });
    match plugins {
        Item::Table(plugins) => {
            let mut plugin = Table::new();
            plugin.insert("component", component.into());
            set_allow(&mut plugin, allow);
            plugin.decor_mut().set_prefix(if text.trim().is_empty() { "" } else { "\n" });
            plugins.insert(id, Item::Table(plugin));
        }
        Item::Value(Value::InlineTable(plugins)) => {
            let mut plugin = InlineTable::new();
            plugin.insert("component", component.into());
            set_inline_allow(&mut plugin, allow);
            plugins.insert(id, Value::InlineTable(plugin));
        }
        _ => bail!("`plugins` is no table"),
    }
    Ok(document.to_string())
}

/// The text with another component for a plugin, and with another `allow` if one is named.
pub(super) fn upgraded(
    text: &str,
    id: &str,
    component: &str,
    allow: Option<Allowed>,
) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    match plugin(&mut document, id)? {
        Entry::Table(plugin) => {
            if let Some(value) = plugin.get_mut("component").and_then(Item::as_value_mut) {
                put(value, component);
            }
            allow.into_iter().for_each(|allow| set_allow(plugin, allow));
        }
        Entry::Inline(plugin) => {
            if let Some(value) = plugin.get_mut("component") {
                put(value, component);
            }
            allow.into_iter().for_each(|allow| set_inline_allow(plugin, allow));
        }
    }
    Ok(document.to_string())
}

/// The text in which a plugin is allowed nothing of these kinds, of none when none is named.
/// `asked` is what the word `"asked"` stands for.
pub(super) fn revoked(text: &str, id: &str, kinds: &[&str], asked: &Table) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let is_gone = |key: &str| kinds.is_empty() || kinds.contains(&key);
    let rest = || {
        let mut rest = asked.clone();
        rest.retain(|key, _| !is_gone(key));
        if rest.is_empty() || kinds.is_empty() { Allowed::Nothing } else { Allowed::These(rest) }
    };
    match plugin(&mut document, id)? {
        Entry::Table(plugin) => match plugin.get_mut("allow") {
            Some(Item::Table(allow)) => allow.retain(|key, _| !is_gone(key)),
            Some(Item::Value(Value::InlineTable(allow))) => allow.retain(|key, _| !is_gone(key)),
            Some(_) => set_allow(plugin, rest()),
            None => {}
        },
        Entry::Inline(plugin) => match plugin.get_mut("allow") {
            Some(Value::InlineTable(allow)) => allow.retain(|key, _| !is_gone(key)),
            Some(_) => set_inline_allow(plugin, rest()),
            None => {}
        },
    }
    Ok(document.to_string())
}

/// What the configuration says of one plugin.
enum Entry<'d> {
    Table(&'d mut Table),
    Inline(&'d mut InlineTable),
}

fn plugin<'d>(document: &'d mut DocumentMut, id: &str) -> anyhow::Result<Entry<'d>> {
    let entry = match document.get_mut("plugins") {
        Some(Item::Table(plugins)) => match plugins.get_mut(id) {
            Some(Item::Table(plugin)) => Some(Entry::Table(plugin)),
            Some(Item::Value(Value::InlineTable(plugin))) => Some(Entry::Inline(plugin)),
            _ => None,
        },
        Some(Item::Value(Value::InlineTable(plugins))) => match plugins.get_mut(id) {
            Some(Value::InlineTable(plugin)) => Some(Entry::Inline(plugin)),
            _ => None,
        },
        _ => None,
    };
    entry.ok_or_else(|| anyhow!("there is no plugin `{id}` in it"))
}

/// Another value in the same place: what stands around it stays.
fn put(value: &mut Value, new: &str) {
    let decor = value.decor().clone();
    *value = new.into();
    *value.decor_mut() = decor;
}

fn set_allow(plugin: &mut Table, allow: Allowed) {
    // What was written above the key or its heading is about what the plugin may do, and stays.
    let above = match plugin.get("allow") {
        Some(Item::Table(table)) => table.decor().prefix().cloned(),
        Some(_) => plugin.key("allow").and_then(|key| key.leaf_decor().prefix().cloned()),
        None => None,
    };
    let above = above.as_ref().and_then(|above| above.as_str()).unwrap_or_default().trim().to_owned();
    plugin.remove("allow");
    match allow {
        Allowed::Nothing => {}
        Allowed::Asked => {
            plugin.insert("allow", "asked".into());
            if !above.is_empty()
                && let Some(mut key) = plugin.key_mut("allow")
            {
                key.leaf_decor_mut().set_prefix(format!("{above}\n"));
            }
        }
        Allowed::These(mut table) => {
            table.decor_mut().set_prefix(if above.is_empty() {
                "\n".to_owned()
            } else {
                format!("\n{above}\n")
            });
            plugin.insert("allow", Item::Table(table));
        }
    }
}

fn set_inline_allow(plugin: &mut InlineTable, allow: Allowed) {
    plugin.remove("allow");
    match allow {
        Allowed::Nothing => {}
        Allowed::Asked => drop(plugin.insert("allow", "asked".into())),
        Allowed::These(table) => drop(plugin.insert("allow", Value::InlineTable(table.into_inline_table()))),
    }
    // Nobody can have written a comment in one.
    plugin.fmt();
}

/// The text without a plugin. What is written above its heading stays: it may be about more.
pub(super) fn removed(text: &str, id: &str) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let gone = match document.get_mut("plugins") {
        Some(Item::Table(plugins)) => plugins.remove(id),
        Some(Item::Value(Value::InlineTable(plugins))) => plugins.remove(id).map(Item::Value),
        _ => None,
    };
    let gone = gone.ok_or_else(|| anyhow!("there is no plugin `{id}` in it"))?;
    if let Item::Table(gone) = gone
        && let Some(above) = gone.decor().prefix().and_then(|prefix| prefix.as_str())
        && !above.trim().is_empty()
    {
        let (mut path, mut found) = (Vec::new(), None);
        behind(&document, gone.position().unwrap_or_default(), &mut path, &mut found);
        match found.and_then(|(_, path)| heading(&mut document, &path)) {
            Some(next) => {
                let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                // An empty line tells the one from the other.
                let both = format!("{}\n\n{}", above.trim_end(), own.trim_start_matches('\n'));
                next.decor_mut().set_prefix(both);
            }
            None => {
                let both = format!("{above}{}", document.trailing().as_str().unwrap_or_default());
                document.set_trailing(both);
            }
        }
    }
    Ok(document.to_string())
}

/// Finds the first table with a heading that stands behind this place in the file.
fn behind<'t>(
    table: &'t Table,
    place: isize,
    path: &mut Vec<&'t str>,
    found: &mut Option<(isize, Vec<String>)>,
) {
    for (key, item) in table {
        let Item::Table(inner) = item else { continue };
        path.push(key);
        if let Some(at) =
            inner.position().filter(|at| *at > place && !inner.is_implicit() && !inner.is_dotted())
            && found.as_ref().is_none_or(|(best, _)| at < *best)
        {
            *found = Some((at, path.iter().map(|key| (*key).to_owned()).collect()));
        }
        behind(inner, place, path, found);
        path.pop();
    }
}

fn heading<'d>(document: &'d mut DocumentMut, path: &[String]) -> Option<&'d mut Table> {
    path.iter().try_fold(document.as_table_mut(), |table, key| table.get_mut(key)?.as_table_mut())
}

/// Puts `new` in the place of a file that holds `old`.
pub(super) fn replace(file: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    // A link stays one: what it leads to is replaced.
    let file = file.canonicalize().with_context(|| format!("{} cannot be found", file.display()))?;
    let unwritten = || format!("{} cannot be written", file.display());
    let replaced = || -> anyhow::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("/"));
        let meta = std::fs::metadata(&file)?;
        let mut staged = tempfile::NamedTempFile::new_in(directory)?;
        staged.write_all(new.as_bytes())?;
        let own = staged.as_file();
        let is_ours = own.metadata().map(|own| (own.uid(), own.gid()))?;
        if is_ours != (meta.uid(), meta.gid()) {
            fchown(own, Some(meta.uid()), Some(meta.gid())).context("its owner cannot be kept")?;
        }
        own.set_permissions(meta.permissions())?;
        own.sync_all()?;
        if std::fs::read(&file)? != old.as_bytes() {
            bail!("somebody has changed it meanwhile: look at it and repeat this");
        }
        staged.persist(&file)?;
        Ok(File::open(directory)?.sync_all()?)
    };
    replaced().with_context(unwritten)
}

#[cfg(test)]
mod tests {
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
        let text =
            |allow: &str| format!("# A.\n[plugins.film]\ncomponent = \"film.wasm\"\n{allow}# The end.\n");
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
}
