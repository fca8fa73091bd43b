//! Who makes films: the plugin itself, or somebody whom the operator has chosen.
//!
//! Owns the choice: a value of the bucket `video`, which the agent `configure` sets and the tool
//! reads. Without one, films are drawn here. Never makes a film.

pub mod fal;

use sublane_sdk::{Error, Failure, Scope, agent, data, kv};

use fal::Fal;

/// Where the choice is kept.
const BUCKET: &str = "video";
/// Under which key.
const KEY: &str = "provider";

/// Who makes films.
#[data]
#[derive(Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// This plugin, inside the sandbox.
    #[default]
    BuiltIn,
    /// fal.ai, by its queue.
    Fal(Fal),
}

/// Chooses who makes films from now on: `"built-in"`, or `{"fal": {"model": "fal-ai/veo3/fast"}}`.
/// Films that are being made are not touched.
#[agent]
pub fn configure(provider: Provider) -> Result<String, Failure> {
    let text = match &provider {
        Provider::BuiltIn => "Films are drawn here.".to_owned(),
        Provider::Fal(fal) => {
            fal.check()?;
            format!("Films are made by {} at {}.", fal.model, fal.queue)
        }
    };
    kv::set_json(BUCKET, KEY, &provider)?;
    Ok(text)
}

/// Who was chosen. Where the plugin may not even look, nobody was.
pub(crate) fn chosen() -> Result<Provider, Error> {
    match kv::get_json(BUCKET, KEY) {
        Ok(provider) => Ok(provider.unwrap_or_default()),
        Err(Error::Denied(_)) => Ok(Provider::BuiltIn),
        Err(error) => Err(error),
    }
}

impl Provider {
    /// What the run that makes a film needs for it, besides CPU and room for the file.
    pub(crate) fn scope(&self, scope: Scope) -> Scope {
        match self {
            Self::BuiltIn => scope,
            Self::Fal(fal) => fal.scope(scope),
        }
    }
}
