//! Which interfaces of WASI 0.2 a component may import, and what becomes of them.
//!
//! Owns the names. What is served is in `imports/wasi`; what is denied is linked
//! there too, so that components of other languages load, and does nothing.

/// The minor version of which every patch version is served.
const VERSION: &str = "0.2.";

/// Interfaces that do something, inside the run.
const SERVED: &[&str] = &[
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/exit",
];

/// Interfaces that are there, empty or denied.
const DENIED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
];

/// What an import of WASI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import<'n> {
    /// An interface that is served, or denied: its name without a version.
    Known(&'n str),
    /// One of these in a version that is not served.
    OtherVersion,
}

/// What this import is, if it is one of WASI that may be imported.
#[must_use]
pub fn import(import: &str) -> Option<Import<'_>> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    if !SERVED.contains(&name) && !DENIED.contains(&name) {
        return None;
    }
    let is_patch = |patch: &str| patch.bytes().all(|b| b.is_ascii_digit()) && patch.parse::<u32>().is_ok();
    let is_served = version.strip_prefix(VERSION).is_some_and(is_patch);
    Some(if is_served { Import::Known(name) } else { Import::OtherVersion })
}

/// Whether this import is to be linked and denied.
#[must_use]
pub fn is_denied(name: &str) -> bool {
    matches!(import(name), Some(Import::Known(name)) if DENIED.contains(&name))
}

/// What a component with these imports of WASI gets, and what it does not get, for people.
#[must_use]
pub fn told(imports: &[String]) -> Vec<String> {
    let has = |package: &str| imports.iter().any(|import| import.starts_with(package));
    let mut lines = Vec::new();
    let mut tell = |packages: &[&str], line: &str| {
        if packages.iter().any(|package| has(package)) {
            lines.push(line.to_owned());
        }
    };
    tell(&["wasi:clocks/", "wasi:io/poll"], "clocks: the time of the run; sleeping is a wait");
    tell(&["wasi:random/"], "random: from the seed of the run");
    tell(&["wasi:cli/stdout", "wasi:cli/stderr"], "stdout, stderr: lines of the log of the run");
    tell(&["wasi:cli/stdin"], "stdin: empty");
    tell(&["wasi:cli/exit"], "exit: the run fails");
    tell(&["wasi:cli/environment"], "environment, arguments: empty");
    tell(&["wasi:filesystem/"], "denied: files; those of the operator are in the import `files`");
    tell(&["wasi:sockets/"], "denied: sockets and names of machines");
    tell(&["wasi:http/"], "denied: HTTP; requests are made by the import `http`");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_version_is_served_and_no_other() {
        for patch in ["0", "9", "12", "4294967295"] {
            let name = format!("wasi:io/poll@0.2.{patch}");
            assert_eq!(import(&name), Some(Import::Known("wasi:io/poll")), "{name}");
        }
        for version in
            ["", "@", "@0.2", "@0.2.", "@0.2.0-rc", "@0.2.+1", "@0.2.4294967296", "@0.3.0", "@1.2.0"]
        {
            let name = format!("wasi:io/poll{version}");
            assert_eq!(import(&name), Some(Import::OtherVersion), "{name}");
        }
        for name in ["wasi:nn/graph@0.2.0", "wasi:io/pol@0.2.0", "io/poll@0.2.0", "", "@"] {
            assert_eq!(import(name), None, "{name}");
        }
    }
}
