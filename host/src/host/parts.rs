//! What a host is made of, and why one does not start.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use sublane_core::lane::LaneLimits;
use sublane_store::Store;

use super::Settings;
use crate::artifacts::ArtifactError;
use crate::channel::Channels;
use crate::clock::Clock;
use crate::directories::Directories;
use crate::hooks::Hooks;
use crate::http::Client;
use crate::intents::Asked;
use crate::machine::Disk;
use crate::plugin::Plugins;
use crate::secrets::Secrets;
use crate::versions::{Source, Versions};

/// What a host is made of.
pub struct Parts {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// The versions of plugins, opened before so that plugins could be loaded.
    pub versions: Versions,
    /// The plugins.
    pub plugins: Plugins,
    /// Where the plugins are named, for when they are read anew.
    pub source: Arc<dyn Source>,
    /// The channels.
    pub channels: Channels,
    /// Lanes beside the defaults, or instead of them.
    pub lanes: Vec<(String, LaneLimits)>,
    /// The directory of artifacts.
    pub artifacts: PathBuf,
    /// Directories that plugins may be allowed to use.
    pub directories: Directories,
    /// Requests to other machines.
    pub http: Client,
    /// The door for calls of hooks, if there is one.
    pub hooks: Option<Hooks>,
    /// What requests may carry.
    pub secrets: Secrets,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The disk that all of it is on.
    pub disk: Disk,
    /// Word of other processes that ask something, where that can be heard of.
    pub asked: Option<Asked>,
    /// Numbers.
    pub settings: Settings,
    /// Who answers messages: channel → `plugin/agent`.
    pub answers: HashMap<String, String>,
}

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] sublane_store::StoreError),
    /// The artifact directory cannot be used.
    #[error("the artifact directory {path} cannot be used")]
    Artifacts {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: ArtifactError,
    },
    /// The machine refused something.
    #[error("the guest threads could not be started: {0}")]
    Threads(std::io::Error),
}
