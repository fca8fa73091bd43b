//! What a channel reads of a stored body, to show it to people.
//!
//! Leaves the result's value out: one that is nested deep cannot be read everywhere.

use serde::Deserialize;
use sublane_core::delivery::ArtifactLink;

/// A body.
#[derive(Deserialize)]
pub(super) struct Body {
    /// `run.succeeded` and so on.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) data: BodyData,
}

/// What it is about.
#[derive(Deserialize)]
pub(super) struct BodyData {
    /// The run's handle for people.
    pub(super) name: String,
    /// What people read, unscrubbed.
    pub(super) text: String,
    /// Files.
    #[serde(default)]
    pub(super) artifacts: Vec<ArtifactLink>,
}
