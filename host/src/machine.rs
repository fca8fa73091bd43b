//! What the machine has to give, and how much of it a host may take.
//!
//! Owns the looks at mappings, memory, file descriptors and the disk, and the sizes that
//! follow from them: a host stops admitting before the machine stops giving. Never decides
//! who gets what there is.

mod disk;

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::pool::SMALLEST;
use crate::engine::{MAX_MEMORY_BYTES, PoolSizes, SMALL_MEMORY_BYTES};

pub use disk::{Disk, Free, Low};

/// Mappings that an instance takes at most: its memory, its table, its stack, and their guards.
const MAPPINGS_PER_INSTANCE: u64 = 6;
/// Mappings for all else in the process.
const OTHER_MAPPINGS: u64 = 4_096;
/// File descriptors that an instance takes at most: the files that it has open.
const DESCRIPTORS_PER_INSTANCE: u64 = 8;
/// File descriptors for all else: the store, deliveries, requests.
const OTHER_DESCRIPTORS: u64 = 512;
/// The part of the machine's memory that small instances may have, and the part of large ones.
const SMALL_PART: u64 = 4;
const LARGE_PART: u64 = 2;
/// What memory ceilings are rounded down to, in bytes: a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// What this machine lets the process have. `u64::MAX` is what nobody bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory mappings of a process: `vm.max_map_count`.
    pub mappings: u64,
    /// Memory in bytes: what the machine has, or what the process's control group may have of it.
    pub memory_bytes: u64,
    /// Open files of the process: its limit `RLIMIT_NOFILE`.
    pub descriptors: u64,
}

/// What an operator asks for; `None` is what fits, up to the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Instances of small plugins. Default 1,000.
    pub small: Option<u32>,
    /// Instances of large ones. Default 16.
    pub large: Option<u32>,
    /// Instances of one plugin. Default nine tenths of those of its engine.
    pub per_plugin: Option<u32>,
    /// Linear memory that a plugin may ask for, in bytes. Default what half of the machine's memory
    /// has for each of the large instances, at most 1 GiB.
    pub memory_bytes: Option<u64>,
}

/// What is asked for does not fit on this machine. Says which limit it is, and what to set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooSmall {
    /// Mappings.
    #[error(
        "{instances} instances take up to {needs} memory mappings and `vm.max_map_count` is {has}: set it \
         higher (`sysctl -w vm.max_map_count={needs}`), or `limits.instances-small` and \
         `limits.instances-large` to {fits} together"
    )]
    Mappings {
        /// Of both kinds, as asked for or the fewest there can be.
        instances: u64,
        /// Mappings for them.
        needs: u64,
        /// Mappings that there are.
        has: u64,
        /// Instances that fit.
        fits: u64,
    },
    /// File descriptors.
    #[error(
        "{instances} instances may have up to {needs} files open and the process may have {has}: set its \
         limit higher (`ulimit -n {needs}`, `LimitNOFILE={needs}` of systemd), or `limits.instances-small` \
         and `limits.instances-large` to {fits} together"
    )]
    Descriptors {
        /// Of both kinds, as asked for or the fewest there can be.
        instances: u64,
        /// File descriptors for them.
        needs: u64,
        /// File descriptors that there are.
        has: u64,
        /// Instances that fit.
        fits: u64,
    },
    /// Memory of small instances.
    #[error(
        "{instances} small instances may take {needs_mib} MiB of memory, and a quarter of what this machine \
         has is {has_mib} MiB: set `limits.instances-small` to at most {fits}, or give it more memory"
    )]
    SmallMemory {
        /// As asked for, or the fewest there can be.
        instances: u64,
        /// For them, in MiB.
        needs_mib: u64,
        /// A quarter, in MiB.
        has_mib: u64,
        /// Instances that fit.
        fits: u64,
    },
    /// Memory of large instances.
    #[error(
        "{instances} large instances of {each_mib} MiB may take {needs_mib} MiB of memory, and half of what \
         this machine has is {has_mib} MiB: set `limits.instances-large` or `limits.memory` lower, or give it \
         more memory"
    )]
    LargeMemory {
        /// As asked for, or the fewest there can be.
        instances: u64,
        /// For one, in MiB.
        each_mib: u64,
        /// For all, in MiB.
        needs_mib: u64,
        /// Half, in MiB.
        has_mib: u64,
    },
}

impl Machine {
    /// Looks at the machine.
    #[must_use]
    pub fn read() -> Self {
        Self {
            mappings: number(Path::new("/proc/sys/vm/max_map_count")).unwrap_or(u64::MAX),
            memory_bytes: memory_bytes(),
            descriptors: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        }
    }

    /// Instances of both kinds that mappings and descriptors leave room for.
    fn instances(&self) -> u64 {
        let mappings = self.mappings.saturating_sub(OTHER_MAPPINGS) / MAPPINGS_PER_INSTANCE;
        mappings.min(self.descriptors.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS_PER_INSTANCE)
    }

    /// The pools that a host makes here: what is asked for, and by default what fits.
    ///
    /// # Errors
    /// [`TooSmall`] when what is asked for does not fit, or not even the smallest pools do.
    pub fn fit(&self, asked: &Asked) -> Result<PoolSizes, TooSmall> {
        let default = PoolSizes::default();
        let least = u64::from(SMALLEST);
        let (large, memory_bytes) = self.large(asked)?;
        let small = match asked.small {
            Some(small) => u64::from(small),
            None => {
                let by_memory = self.memory_bytes / SMALL_PART / SMALL_MEMORY_BYTES;
                let beside = self.instances().saturating_sub(large);
                u64::from(default.small).min(by_memory).min(beside).max(least)
            }
        };
        // What nobody asked for gives way first.
        let large = match asked.large {
            Some(_) => large,
            None => large.min(self.instances().saturating_sub(small)).max(least),
        };
        self.check(small, large, memory_bytes)?;
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(PoolSizes { small: count(small), large: count(large), per_plugin: asked.per_plugin, memory_bytes })
    }

    /// How many large instances there are, and how much memory one may have.
    fn large(&self, asked: &Asked) -> Result<(u64, u64), TooSmall> {
        let (default, half) = (PoolSizes::default(), self.memory_bytes / LARGE_PART);
        let each = |large: u64| (half / large / PAGE_BYTES * PAGE_BYTES).clamp(PAGE_BYTES, MAX_MEMORY_BYTES);
        Ok(match (asked.large.map(u64::from), asked.memory_bytes) {
            (Some(large), Some(memory)) => (large, memory),
            (Some(large), None) => (large, each(large)),
            (None, Some(memory)) => {
                (u64::from(default.large).min(half / memory.max(1)).max(u64::from(SMALLEST)), memory)
            }
            (None, None) => (u64::from(default.large), each(u64::from(default.large))),
        })
    }

    fn check(&self, small: u64, large: u64, memory_bytes: u64) -> Result<(), TooSmall> {
        let (instances, fits) = (small + large, self.instances());
        let needs = OTHER_MAPPINGS + instances * MAPPINGS_PER_INSTANCE;
        if needs > self.mappings {
            return Err(TooSmall::Mappings { instances, needs, has: self.mappings, fits });
        }
        let needs = OTHER_DESCRIPTORS + instances * DESCRIPTORS_PER_INSTANCE;
        if needs > self.descriptors {
            return Err(TooSmall::Descriptors { instances, needs, has: self.descriptors, fits });
        }
        let (has, needs) = (self.memory_bytes / SMALL_PART, small * SMALL_MEMORY_BYTES);
        if needs > has {
            return Err(TooSmall::SmallMemory {
                instances: small,
                needs_mib: needs >> 20,
                has_mib: has >> 20,
                fits: has / SMALL_MEMORY_BYTES,
            });
        }
        let (has, needs) = (self.memory_bytes / LARGE_PART, large.saturating_mul(memory_bytes));
        if needs > has {
            return Err(TooSmall::LargeMemory {
                instances: large,
                each_mib: memory_bytes >> 20,
                needs_mib: needs >> 20,
                has_mib: has >> 20,
            });
        }
        Ok(())
    }
}

/// Takes all file descriptors that the process may have: most machines give few at first. Where the
/// machine refuses, it stays with those.
pub fn take_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if maximum.is_some()
        && current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What the machine has, or less where a control group of the process says so.
fn memory_bytes() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let bounds = memory_files(&groups).into_iter().filter_map(|file| number(&file));
    bounds.chain(total(&info)).min().unwrap_or(u64::MAX)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// The files that may bound the memory of a process with these control groups, its own and those above.
fn memory_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            some if some.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        files.extend(group.ancestors().map(|above| Path::new(root).join(above).join(file)));
    }
    files
}

#[cfg(test)]
mod tests;
