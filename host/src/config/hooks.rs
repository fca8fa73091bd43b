//! The door for calls of hooks.

use std::net::SocketAddr;

use hyper::Uri;

use crate::strict::Item;

/// The door for calls of hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HooksConfig {
    /// Address and port to listen on. Default none: no plugin can open a hook.
    pub listen: Option<SocketAddr>,
    /// What stands before the listener, by which callers come. Default the listener's own address.
    pub public_url: Option<String>,
}

pub(super) fn read(item: &Item<'_>) -> Option<HooksConfig> {
    let table = item.table(&["listen", "public-url"])?;
    let listen = table.get("listen").map(|item| {
        let address = item.text()?.parse().ok();
        if address.is_none() {
            item.must_be("an address and a port such as \"127.0.0.1:8787\"");
        }
        address
    });
    let public_url = table.get("public-url").map(|item| url(&item));
    match (listen, public_url) {
        (None, Some(_)) => {
            table
                .get("public-url")?
                .fail("`hooks.public-url` needs `listen` beside it, or nobody is behind it");
            None
        }
        (listen, public_url) => {
            let listen = listen.map_or(Some(None), |listen| listen.map(Some));
            let public_url = public_url.map_or(Some(None), |url| url.map(Some));
            Some(HooksConfig { listen: listen?, public_url: public_url? })
        }
    }
}

fn url(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let fits = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    if !fits {
        item.must_be("a URL without a query such as \"https://example.org\"");
    }
    fits.then(|| text.to_owned())
}
