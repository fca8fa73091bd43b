//! The purse: what is spent, and the one way to split it.
//!
//! Nothing is ever created here: what a child holds was taken from its
//! parent, so that a tree never spends more than its root held.

use serde::{Deserialize, Serialize};

use super::LimitHit;

/// What is spent and therefore split. What a child gets is taken from its
/// parent, and what it leaves comes back when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purse {
    /// Guest CPU in microseconds.
    pub cpu_us: u64,
    /// Runs that may be spawned, in all.
    pub spawns: u64,
    /// Bytes of artifacts that may be written.
    pub artifact_bytes: u64,
}

/// What a parent asks for its child's purse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurseAsk {
    /// Guest CPU in microseconds; `None` = half of what the parent has.
    pub cpu_us: Option<u64>,
    /// Runs that the child's tree may spawn. Default 0.
    pub spawns: u64,
    /// Bytes of artifacts; `None` = half of what the parent has if it may write any, else 0.
    pub artifact_bytes: Option<u64>,
    /// Whether the child may write artifacts at all.
    pub artifacts: bool,
}

impl Purse {
    /// Takes a child's purse out of this one; the spawn itself costs one of `spawns`.
    ///
    /// # Errors
    /// [`LimitHit`] names what there is too little of; then nothing was taken.
    pub fn split(&mut self, ask: &PurseAsk) -> Result<Self, LimitHit> {
        let child = Self {
            cpu_us: ask.cpu_us.unwrap_or(self.cpu_us / 2),
            spawns: ask.spawns,
            artifact_bytes: match ask.artifact_bytes {
                Some(bytes) => bytes,
                None if ask.artifacts => self.artifact_bytes / 2,
                None => 0,
            },
        };
        let short = |which, has| Err(LimitHit::new(which, has));
        if self.spawns == 0 || child.spawns > self.spawns - 1 {
            return short("purse.spawns", self.spawns);
        }
        if child.cpu_us > self.cpu_us || self.cpu_us == 0 {
            return short("purse.cpu-us", self.cpu_us);
        }
        if child.artifact_bytes > self.artifact_bytes {
            return short("purse.artifact-bytes", self.artifact_bytes);
        }
        self.cpu_us -= child.cpu_us;
        self.spawns -= child.spawns + 1;
        self.artifact_bytes -= child.artifact_bytes;
        Ok(child)
    }

    /// Takes guest CPU that was used; more than there is takes all of it.
    pub fn spend_cpu(&mut self, cpu_us: u64) {
        self.cpu_us = self.cpu_us.saturating_sub(cpu_us);
    }

    /// The smaller of the two, part by part.
    #[must_use]
    pub fn at_most(self, ceiling: Self) -> Self {
        Self {
            cpu_us: self.cpu_us.min(ceiling.cpu_us),
            spawns: self.spawns.min(ceiling.spawns),
            artifact_bytes: self.artifact_bytes.min(ceiling.artifact_bytes),
        }
    }

    /// Puts back what a child did not spend.
    pub fn give_back(&mut self, rest: Self) {
        self.cpu_us = self.cpu_us.saturating_add(rest.cpu_us);
        self.spawns = self.spawns.saturating_add(rest.spawns);
        self.artifact_bytes = self.artifact_bytes.saturating_add(rest.artifact_bytes);
    }
}
