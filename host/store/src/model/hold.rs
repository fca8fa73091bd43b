//! [`HoldRows`] over the maps.

use sublane_core::delivery::Hold;
use sublane_core::{Delivery, Destination};

use super::tables::{Tables, oldest};
use crate::StoreError;
use crate::rows::HoldRows;

type Result<T> = std::result::Result<T, StoreError>;

impl HoldRows for Tables {
    fn open_deliveries(&mut self, to: &Destination, limit: u32) -> Result<Vec<Delivery>> {
        Ok(oldest(self.deliveries.values(), limit, |it| it.destination == *to && !it.state.is_settled()))
    }

    fn hold(&mut self, on: &Destination) -> Result<Option<Hold>> {
        Ok(self.holds.get(on).cloned())
    }

    fn set_hold(&mut self, on: &Destination, hold: Option<&Hold>) -> Result<()> {
        self.holds.remove(on);
        hold.map(|hold| self.holds.insert(on.clone(), hold.clone()));
        Ok(())
    }
}
