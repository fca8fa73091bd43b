//! Requests of plugins to other machines: what may be reached beside the Internet.

use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::path;
use crate::strict::Item;

/// What bounds every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpConfig {
    /// Networks of addresses that are not public and may be reached all the same. Default none.
    pub allow_private: Vec<IpNet>,
    /// Certificates (PEM) to trust besides the public roots. Default none.
    pub ca_file: Option<PathBuf>,
}

pub(super) fn read(item: &Item<'_>, base: &Path) -> Option<HttpConfig> {
    let table = item.table(&["allow-private", "ca-file"])?;
    let allow_private =
        table.get("allow-private").map_or_else(|| Some(Vec::new()), |item| item.list_of(network));
    let ca_file = table.get("ca-file").map_or(Some(None), |item| path(&item, base).map(Some));
    Some(HttpConfig { allow_private: allow_private?, ca_file: ca_file? })
}

fn network(item: &Item<'_>) -> Option<IpNet> {
    let network = item.text()?.parse::<IpNet>().ok();
    // `10.1.2.3/8` means a network to some and a slip to others.
    let network = network.filter(|network| *network == network.trunc());
    if network.is_none() {
        item.must_be("a network such as \"127.0.0.1/32\" or \"fd00::/8\"");
    }
    network
}
