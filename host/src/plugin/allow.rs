//! The operator's side of a plugin's authority, before it is known what the plugin asks for.

use sublane_core::grants::Authority;

use super::Manifest;

/// What an operator allows a plugin.
#[expect(clippy::large_enum_variant, reason = "there is one for each plugin")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allow {
    /// Everything that its manifest asks for, today and after each update.
    Asked,
    /// This, as far as it is asked for.
    These(Authority),
}

impl Default for Allow {
    fn default() -> Self {
        Self::These(Authority::default())
    }
}

impl Allow {
    /// The operator's side for a plugin with this manifest.
    #[must_use]
    pub fn for_manifest(&self, manifest: &Manifest) -> Authority {
        match self {
            Self::Asked => manifest.asks.clone(),
            Self::These(authority) => authority.clone(),
        }
    }
}
