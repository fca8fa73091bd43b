//! The store in memory: rows in plain maps behind one lock.
//!
//! Owns nothing that outlives it. It serves tests and benchmarks, cannot be
//! configured, and never answers differently from SQLite: one suite holds for both.
//! A transaction runs at once on the caller's thread, under the lock. It is not
//! rolled back: an operation that fails has written nothing by contract.

mod hold;
mod hook;
mod index;
mod log;
mod operator;
mod poll;
mod removal;
mod rows;
mod schedule;
mod tables;
mod version;

use parking_lot::Mutex;

use crate::StoreError;
use crate::backend::{Backend, Transaction};

use tables::Tables;

/// The store in memory. What it holds ends with it.
#[derive(Default)]
pub struct Model {
    tables: Mutex<Tables>,
}

impl Backend for Model {
    async fn write<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        transaction(&mut *self.tables.lock())
    }

    async fn read<T: Send + 'static>(&self, transaction: impl Transaction<T>) -> Result<T, StoreError> {
        transaction(&mut *self.tables.lock())
    }
}
