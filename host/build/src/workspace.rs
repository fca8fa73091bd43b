//! What cargo says about a workspace: which of its packages are plugin crates.
//!
//! Owns the reading of `cargo metadata`.
//! Never resolves dependencies, so it works without a network and a lock file.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;

use crate::PLUGIN_MANIFEST;
use crate::error::Error;
use crate::toolchain::Toolchain;

/// The crate type of a plugin's library.
const CDYLIB: &str = "cdylib";

/// A cargo workspace, or the package that is one by itself.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<Package>,
}

/// A member of a workspace.
#[derive(Debug, Clone)]
pub struct Package {
    pub(crate) id: String,
    name: String,
    manifest: PathBuf,
    /// What its library is compiled to; nothing where it has none.
    crate_types: Vec<String>,
}

impl Workspace {
    /// Reads the workspace that the crate or workspace in `dir` belongs to.
    ///
    /// Fails when `dir` has no Cargo.toml or cargo cannot read it.
    pub fn load(toolchain: &Toolchain, dir: &Path) -> Result<Self, Error> {
        if !dir.join("Cargo.toml").is_file() {
            return Err(Error::NotACrate { dir: dir.to_owned() });
        }
        let mut cargo = toolchain.cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(dir);
        let output = cargo
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Start { program: cargo.get_program().display().to_string(), source })?;
        let refused = |message: String| Error::Metadata { dir: dir.to_owned(), message };
        if !output.status.success() {
            return Err(refused(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| refused(error.to_string()))?;
        Ok(metadata.into())
    }

    /// The directory of the workspace's Cargo.toml and Cargo.lock.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory for it.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Its members, in cargo's order.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The member of this name.
    pub fn package(&self, name: &str) -> Result<&Package, Error> {
        self.packages.iter().find(|package| package.name == name).ok_or_else(|| Error::UnknownPackage {
            package: name.to_owned(),
            workspace: self.root.clone(),
            known: self.packages.iter().map(|package| package.name.clone()).collect(),
        })
    }

    /// The member whose Cargo.toml lies in `dir`.
    pub(crate) fn package_in(&self, dir: &Path) -> Result<&Package, Error> {
        let wanted = dir.join("Cargo.toml").canonicalize().ok();
        let found = self.packages.iter().find(|package| package.manifest.canonicalize().ok() == wanted);
        found.ok_or_else(|| Error::OnlyAWorkspace {
            dir: dir.to_owned(),
            plugins: self
                .packages
                .iter()
                .filter(|package| package.is_cdylib())
                .map(|package| package.dir().display().to_string())
                .collect(),
        })
    }
}

impl Package {
    /// Its name in Cargo.toml.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of its Cargo.toml.
    pub fn dir(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// Whether its library is a `cdylib`, as a plugin's is.
    pub fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|name| name == CDYLIB)
    }

    /// Whether its library is a `cdylib` and something else besides, such as
    /// the `rlib` that tests and examples use.
    pub(crate) fn is_also_a_library(&self) -> bool {
        self.is_cdylib() && self.crate_types.iter().any(|name| name != CDYLIB)
    }

    /// Its `plugin.toml`, which need not exist.
    pub fn plugin_manifest(&self) -> PathBuf {
        self.dir().join(PLUGIN_MANIFEST)
    }

    /// That this is a crate of which a plugin can be built.
    pub(crate) fn check_is_plugin(&self) -> Result<(), Error> {
        if !self.is_cdylib() {
            return Err(Error::NotCdylib { package: self.name.clone(), manifest: self.manifest.clone() });
        }
        let path = self.plugin_manifest();
        if !path.is_file() {
            return Err(Error::NoPluginManifest { package: self.name.clone(), path });
        }
        Ok(())
    }
}

/// The part of `cargo metadata` that is looked at.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<MetadataTarget>,
}

/// A library's kinds are its crate types; no other target's kind is one, though
/// an example, too, can be compiled to a `cdylib`.
#[derive(Deserialize)]
struct MetadataTarget {
    kind: Vec<String>,
    crate_types: Vec<String>,
}

impl From<Metadata> for Workspace {
    fn from(metadata: Metadata) -> Self {
        let packages = metadata.packages.into_iter().map(|package| Package {
            crate_types: package
                .targets
                .into_iter()
                .find(|target| target.kind == target.crate_types && target.kind != ["bin"])
                .map(|library| library.crate_types)
                .unwrap_or_default(),
            id: package.id,
            name: package.name,
            manifest: package.manifest_path,
        });
        Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            packages: packages.collect(),
        }
    }
}
