//! Secrets and models that may be used, by name. The secret itself is never here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::http::Target;

/// A secret that the host puts into requests, and never into a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretGrant {
    /// What the operator calls it.
    pub name: String,
    /// Where in a request it may stand.
    pub place: Place,
    /// Requests to where it may go with.
    pub audience: Target,
}

/// Where in a request a secret may stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The value of this header, or a part of it. In lower case.
    Header(String),
    /// The value of this parameter of the URL.
    Query(String),
    /// A text anywhere below this member of a body that is JSON.
    Body(String),
}

/// A model of a provider, or all of them. Written `provider/model`, or `provider/*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelPattern {
    /// The provider's name.
    pub provider: String,
    /// The model's; `None` = all of the provider.
    pub model: Option<String>,
}

/// The text is not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a model: expected `provider/model`, or `provider/*` for all models of a provider")]
pub struct ParseModelError(String);

impl SecretGrant {
    /// What both allow, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let alike = self.name == other.name && self.place == other.place;
        let audience = self.audience.meet(&other.audience).filter(|_| alike)?;
        Some(Self { audience, ..self.clone() })
    }
}

impl ModelPattern {
    /// Whether every model that `wanted` means is meant here too.
    #[must_use]
    pub fn covers(&self, provider: &str, model: Option<&str>) -> bool {
        self.provider == provider && (self.model.is_none() || self.model.as_deref() == model)
    }

    /// What both allow, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if self.covers(&other.provider, other.model.as_deref()) {
            Some(other.clone())
        } else {
            other.covers(&self.provider, self.model.as_deref()).then(|| self.clone())
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(name) => write!(f, "query {name}"),
            Self::Body(name) => write!(f, "body {name}"),
        }
    }
}

impl FromStr for ModelPattern {
    type Err = ParseModelError;
    fn from_str(text: &str) -> Result<Self, ParseModelError> {
        let refuse = || ParseModelError(text.chars().take(200).collect());
        let (provider, model) = text.split_once('/').ok_or_else(refuse)?;
        let is_word = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() && !"*/\"".contains(c))
        };
        // Names of models may have slashes themselves.
        if !is_word(provider) || !(model == "*" || model.split('/').all(is_word)) {
            return Err(refuse());
        }
        Ok(Self { provider: provider.to_owned(), model: (model != "*").then(|| model.to_owned()) })
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model.as_deref().unwrap_or("*"))
    }
}

super::as_text!(ModelPattern, ParseModelError);
