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

/// The text with a plugin more.
pub(super) fn added(text: &str, id: &str, component: &str, allow: Option<&str>) -> anyhow::Result<String> {
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
            if let Some(allow) = allow {
                plugin.insert("allow", allow.into());
            }
            plugin.decor_mut().set_prefix(if text.trim().is_empty() { "" } else { "\n" });
            plugins.insert(id, Item::Table(plugin));
        }
        Item::Value(Value::InlineTable(plugins)) => {
            let mut plugin = InlineTable::new();
            plugin.insert("component", component.into());
            if let Some(allow) = allow {
                plugin.insert("allow", allow.into());
            }
            plugins.insert(id, Value::InlineTable(plugin));
        }
        _ => bail!("`plugins` is no table"),
    }
    Ok(document.to_string())
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
}
