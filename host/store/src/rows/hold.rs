//! What holds a destination, and what is open for it.

use sublane_core::delivery::Hold;
use sublane_core::{Delivery, Destination};

use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// Rows of destinations.
pub trait HoldRows {
    /// Deliveries to a destination that are not settled, in the order in which they were owed.
    fn open_deliveries(&mut self, to: &Destination, limit: u32) -> Result<Vec<Delivery>>;
    /// What keeps anything from being sent to a destination; it may be over.
    fn hold(&mut self, on: &Destination) -> Result<Option<Hold>>;
    /// Sets it, or takes it away.
    fn set_hold(&mut self, on: &Destination, hold: Option<&Hold>) -> Result<()>;
}
