//! Which plugins there are, and what the operator allows each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sublane_core::grants::ChannelGrant;

use super::{Names, path};
pub use crate::plugin::Allow;
use crate::plugin::manifest::{Reference, read_authority};
use crate::strict::Item;

/// A plugin that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginConfig {
    /// The component. Its `plugin.toml` lies beside it.
    pub component: PathBuf,
    /// What it may do, of what it asks for. Default nothing.
    pub allow: Allow,
}

pub(super) fn read(names: &Names<'_>, base: &Path) -> Option<BTreeMap<String, PluginConfig>> {
    let plugins = names.plugins.iter().map(|(id, item)| Some(((*id).to_owned(), plugin(item, names, base)?)));
    plugins.collect::<Vec<_>>().into_iter().collect()
}

fn plugin(item: &Item<'_>, names: &Names<'_>, base: &Path) -> Option<PluginConfig> {
    let table = item.table(&["component", "allow"])?;
    let component = table.require("component").and_then(|item| path(&item, base));
    let allow = table.get("allow").map_or_else(|| Some(Allow::default()), |item| allow(&item, names));
    Some(PluginConfig { component: component?, allow: allow? })
}

fn allow(item: &Item<'_>, names: &Names<'_>) -> Option<Allow> {
    match item.is_text() {
        true if item.text() == Some("asked") => Some(Allow::Asked),
        true => {
            item.must_be("\"asked\", or a table in the form of [asks] in plugin.toml");
            None
        }
        false => read_authority(item, |entry, reference| vet(entry, reference, names)).map(Allow::These),
    }
}

/// What an operator allows has to be there: a slip would otherwise be a denial much later.
fn vet(item: &Item<'_>, reference: Reference<'_>, names: &Names<'_>) {
    match reference {
        Reference::Plugin(id) => names.check_plugin(item, id),
        Reference::Directory(name) => {
            let known = names.files.iter().map(|(known, _)| *known);
            if !known.clone().any(|known| known == name) {
                item.unknown("directory", name, known);
            }
        }
        Reference::Secret(name) => {
            let known = names.secrets.iter().map(|(known, _)| *known);
            if !known.clone().any(|known| known == name) {
                item.unknown("secret", name, known);
            }
        }
        Reference::Channel(ChannelGrant::Origin) => {}
        Reference::Channel(ChannelGrant::Address(to)) => names.check_destination(item, to),
    }
}
