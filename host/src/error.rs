//! An error as people read it: what failed and why, in one line.
//!
//! An error type says its own part and never its source; whoever shows an
//! error shows its causes with it, by the one function here.

use std::error::Error;

/// An error and its causes: `the state directory /srv cannot be used: permission denied`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cache::CacheError;
    use crate::open::OpenError;
    use crate::plugin::{LoadError, Refused};

    #[test]
    fn an_error_says_each_cause_once() {
        let denied = || std::io::Error::other("permission denied");
        let plugin = |source| OpenError::Plugin { id: "film".to_owned(), source: Box::new(source) };
        let path = "film.wasm".into();
        let uncached = CacheError::Io { path: "cache".into(), source: denied() };
        for (error, expected) in [
            (
                OpenError::State { path: "state".into(), source: denied() },
                "the state directory state cannot be used: permission denied",
            ),
            (
                plugin(LoadError::Read { path: "film.wasm".into(), source: denied() }),
                "plugin `film`: film.wasm cannot be read: permission denied",
            ),
            (
                plugin(LoadError::Refused {
                    path: "film.wasm".into(),
                    source: Refused::NotAComponent("it is empty".to_owned()),
                }),
                "plugin `film`: film.wasm: it is empty",
            ),
            (
                plugin(LoadError::Cache { path, source: uncached }),
                "plugin `film`: film.wasm: the compile cache cache cannot be used: permission denied",
            ),
        ] {
            assert_eq!(chain(&error), expected);
        }
    }
}
