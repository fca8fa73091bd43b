//! [`HoldRows`] over one connection.

use rusqlite::params;
use sublane_core::delivery::Hold;
use sublane_core::{Delivery, Destination};

use super::codec::{self, instant};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::HoldRows;

type Result<T> = std::result::Result<T, StoreError>;

impl HoldRows for Session<'_> {
    fn open_deliveries(&mut self, to: &Destination, limit: u32) -> Result<Vec<Delivery>> {
        self.all("delivery", Sql::DeliveriesTo, params![to.channel, to.address, limit], codec::delivery)
    }

    fn hold(&mut self, on: &Destination) -> Result<Option<Hold>> {
        self.one("destination_hold", Sql::Hold, params![on.channel, on.address], codec::hold)
    }

    fn set_hold(&mut self, on: &Destination, hold: Option<&Hold>) -> Result<()> {
        let Destination { channel, address } = on;
        let written = match hold {
            Some(hold) => {
                self.execute(Sql::HoldSet, params![channel, address, hold.until.map(instant), hold.note])
            }
            None => self.execute(Sql::HoldDelete, params![channel, address]),
        };
        written.map(drop)
    }
}
