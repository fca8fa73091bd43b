//! Which channels there are: how results reach people, and who answers what comes in.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use sublane_core::delivery::{DEFAULT_WINDOW, MIN_CHARS, Order, TextRule};
use sublane_core::grants::AgentPattern;
use sublane_core::undo::UNDO_CHANNEL;

use super::{Names, path, secret};
use crate::channel::webhook::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT};
use crate::channel::{Endpoint, Folder, PlainHttp, Rule};
use crate::strict::{Item, Table};

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// Who answers the messages that come in. Default nobody. Without an agent's name it
    /// is the plugin's only one.
    pub agent: Option<AgentPattern>,
    /// What it is.
    pub kind: ChannelKind,
}

/// The kinds of channels that are built in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// The terminal. Every address is a conversation there.
    Console,
    /// Signed POST requests.
    Webhook {
        /// The receivers by the name that a grant gives them: `webhook:films`.
        addresses: BTreeMap<String, Endpoint>,
    },
    /// Directories.
    File {
        /// The folders by the name that a grant gives them: `file:films`.
        addresses: BTreeMap<String, Folder>,
    },
}

/// Time-outs of an attempt that can be configured.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
/// The most characters that an address can be configured to take at once.
const MAX_CHARS: u32 = 1_000_000;
/// How long a delivery may be tried.
const WINDOW: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));

pub(super) fn read(names: &Names<'_>, base: &Path) -> Option<BTreeMap<String, ChannelConfig>> {
    let channels = names.channels.iter().map(|(name, item)| {
        if *name == UNDO_CHANNEL {
            item.fail("the name is the host's own, for what runs have undone: choose another one");
            return None;
        }
        Some(((*name).to_owned(), channel(item, names, base)?))
    });
    channels.collect::<Vec<_>>().into_iter().collect()
}

fn channel(item: &Item<'_>, names: &Names<'_>, base: &Path) -> Option<ChannelConfig> {
    match item.peek("kind") {
        Some("console") => {
            let table = item.table(&["kind", "agent"])?;
            let agent = table.get("agent").map_or(Some(None), |item| agent(&item, names).map(Some));
            Some(ChannelConfig { agent: agent?, kind: ChannelKind::Console })
        }
        Some("webhook") => {
            let table = item.table(&["kind", "addresses"])?;
            let addresses = named(&table, |item| endpoint(item, base))?;
            Some(ChannelConfig { agent: None, kind: ChannelKind::Webhook { addresses } })
        }
        Some("file") => {
            let table = item.table(&["kind", "addresses"])?;
            let addresses = named(&table, |item| folder(item, base))?;
            Some(ChannelConfig { agent: None, kind: ChannelKind::File { addresses } })
        }
        _ => {
            let table = item.table(&["kind", "agent", "addresses"])?;
            table.require("kind")?.one_of(&[("console", ()), ("webhook", ()), ("file", ())])?;
            None
        }
    }
}

/// The addresses of a channel, when only those that are configured exist.
pub(super) fn addresses<'a>(channel: &Item<'a>) -> Option<Vec<&'a str>> {
    matches!(channel.peek("kind"), Some("webhook" | "file")).then(|| channel.keys("addresses"))
}

fn agent(item: &Item<'_>, names: &Names<'_>) -> Option<AgentPattern> {
    let agent: AgentPattern = item.parse()?;
    names.check_plugin(item, &agent.plugin);
    Some(agent)
}

/// The addresses of a channel, each by its name.
fn named<T>(table: &Table<'_>, read: impl Fn(&Item<'_>) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let named = table.get("addresses").map_or_else(|| Some(Vec::new()), |item| item.named())?;
    let read = |(name, item): (&str, Item<'_>)| Some((name.to_owned(), read(&item)?));
    named.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn folder(item: &Item<'_>, base: &Path) -> Option<Folder> {
    let table = item.table(&["directory", "create", "order", "give-up-after"])?;
    let rule = rule(&table);
    let directory = table.require("directory").and_then(|item| path(&item, base));
    let create = table.get("create").map_or(Some(true), |item| item.yes_or_no());
    Some(Folder { directory: directory?, create: create?, rule: rule? })
}

fn endpoint(item: &Item<'_>, base: &Path) -> Option<Endpoint> {
    let table = item.table(&[
        "url",
        "secret",
        "timeout",
        "connect-timeout",
        "plain-http",
        "ca-file",
        "order",
        "give-up-after",
        "max-text",
        "long-text",
    ])?;
    let rule = rule(&table).and_then(|rule| Some(Rule { text: text(&table)?, ..rule }));
    let address = table.require("url").and_then(|item| url(&item));
    let secret = table.require("secret").and_then(|item| secret::read(&item, base));
    let duration =
        |key, default| table.get(key).map_or(Some(default), |item| item.duration(TIMEOUT.0..=TIMEOUT.1));
    let attempt_timeout = duration("timeout", ATTEMPT_TIMEOUT);
    let connect_timeout = duration("connect-timeout", CONNECT_TIMEOUT);
    let plain = [("loopback", PlainHttp::Loopback), ("anywhere", PlainHttp::Anywhere)];
    let plain_http = table.get("plain-http").map_or(Some(PlainHttp::default()), |item| item.one_of(&plain));
    let ca_file = table.get("ca-file").map_or(Some(None), |item| path(&item, base).map(Some));
    Some(Endpoint {
        url: address?,
        secret: secret?,
        plain_http: plain_http?,
        ca_file: ca_file?,
        connect_timeout: connect_timeout?,
        attempt_timeout: attempt_timeout?,
        rule: rule?,
    })
}

fn rule(table: &Table<'_>) -> Option<Rule> {
    let orders = [("any", Order::Any), ("strict", Order::Strict)];
    let order = table.get("order").map_or(Some(Order::Any), |item| item.one_of(&orders));
    let window =
        table.get("give-up-after").map_or(Some(DEFAULT_WINDOW), |item| item.duration(WINDOW.0..=WINDOW.1));
    Some(Rule { window: window?, order: order?, text: TextRule::Whole })
}

fn text(table: &Table<'_>) -> Option<TextRule> {
    let split: fn(u32) -> TextRule = TextRule::Split;
    let rules = [("split", split), ("shorten", TextRule::Shorten)];
    let most = table.get("max-text").map(|item| item.whole(MIN_CHARS..=MAX_CHARS));
    let long = table.get("long-text").map(|item| (item.one_of(&rules), item));
    match (most, long) {
        (None, None) => Some(TextRule::Whole),
        (None, Some((_, item))) => {
            item.fail(&format!(
                "`{}` needs `max-text` beside it: how many characters are too many",
                item.path()
            ));
            None
        }
        (Some(most), None) => most.map(TextRule::Split),
        (Some(most), Some((rule, _))) => Some(rule?(most?)),
    }
}

fn url(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let fits = text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !fits {
        item.must_be("a URL such as \"https://example.org/hook\"");
    }
    fits.then(|| text.to_owned())
}
