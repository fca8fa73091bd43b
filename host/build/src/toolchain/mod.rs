//! Finding or getting a toolchain that compiles for guests.
//!
//! Owns the order of the four ways (`decide`), the look at the machine
//! (`machine`) and the environment that a guest's cargo runs in
//! (`environment`). First match wins:
//!
//! 1. the target is installed for the present cargo: nothing to do;
//! 2. rustup is there and may install: it adds the target;
//! 3. a distribution's toolchain with its sources, from which cargo builds the
//!    standard library; on Debian and its kin root gets it through apt;
//! 4. none: an error with the two commands that would help.
//!
//! Never calls rustup where `RUSTUP_AUTO_INSTALL` is `0`, never removes a
//! package, and never changes what is installed when something already serves.

mod apt;
mod decide;
mod environment;
mod machine;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::GUEST_TARGET;
use crate::error::Error;
use machine::Here;

/// How a toolchain comes by the guests' standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The target is installed beside the compiler.
    Installed,
    /// A distribution's compiler; cargo builds the standard library from source.
    Distribution,
}

/// A cargo that compiles for guests.
#[derive(Debug, Clone)]
pub struct Toolchain {
    kind: Kind,
    cargo: PathBuf,
    /// Only where the compiler does not bring one of its own.
    linker: Option<PathBuf>,
}

impl Toolchain {
    /// Finds a toolchain for the crates in `dir`, or gets one.
    ///
    /// Tells `report` each thing it does and what it settled on, a line each.
    /// May run `rustup target add` or, as root on Debian and its kin,
    /// `apt-get install`; each can take minutes.
    ///
    /// Fails with [`Error::NotACrate`] when `dir` is none, before anything is
    /// looked for or installed, and with [`Error::NoToolchain`] when every way is closed.
    pub fn find(dir: &Path, report: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        if !dir.join("Cargo.toml").is_file() {
            return Err(Error::NotACrate { dir: dir.to_owned() });
        }
        let here = Here::new(dir);
        match decide::settle(&here, report).map_err(|advice| Error::NoToolchain { advice })? {
            Kind::Installed => {
                report(&format!("guest toolchain: {} with {GUEST_TARGET} installed", here.compiler()));
                Ok(Self { kind: Kind::Installed, cargo: here.cargo(), linker: None })
            }
            Kind::Distribution => {
                let linker = here.linker();
                report(&format!(
                    "guest toolchain: {}, which builds std from its sources (linker {})",
                    here.distribution_compiler(),
                    linker.as_deref().unwrap_or(Path::new("of the compiler")).display(),
                ));
                Ok(Self { kind: Kind::Distribution, cargo: machine::DISTRIBUTION_CARGO.into(), linker })
            }
        }
    }

    /// How this toolchain comes by the guests' standard library.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where guests are compiled below cargo's target directory: the kinds have
    /// different compilers, which would rebuild each other's work.
    pub fn target_dir(&self, target: &Path) -> PathBuf {
        target.join(match self.kind {
            Kind::Installed => "guest-installed",
            Kind::Distribution => "guest-distribution",
        })
    }

    /// Cargo in the environment that guests are compiled in. The host's own
    /// `RUSTFLAGS` do not reach it.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        match self.kind {
            Kind::Installed => environment::without_host_flags(&mut command),
            Kind::Distribution => {
                environment::of_distribution(&mut command);
                // `-Zbuild-std` is cargo's, and not for stable compilers.
                command.env("RUSTC_BOOTSTRAP", "1");
            }
        }
        if let Some(linker) = &self.linker {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }

    /// What `cargo build` needs besides the target.
    pub(crate) fn build_arguments(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Installed => &[],
            Kind::Distribution => &["-Zbuild-std=std,panic_abort"],
        }
    }
}
