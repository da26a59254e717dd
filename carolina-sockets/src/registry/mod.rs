//! What the linker found: every driver with its handlers, sorted, and checked for clashes.

mod clash;
pub(crate) mod row;

use std::any::TypeId;

use row::{ChannelRow, HandlerRow};

pub(crate) use clash::clashes;

/// A driver and its handlers.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) row: &'static ChannelRow,
    pub(crate) handlers: Vec<&'static HandlerRow>,
}

/// All rows, in the order of names and places: link order is any order.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) drivers: Vec<Driver>,
    /// Handlers whose struct is no channel.
    pub(crate) strays: Vec<&'static HandlerRow>,
}

impl Registry {
    /// What is linked into this program.
    pub(crate) fn linked() -> Self {
        Self::of(inventory::iter::<ChannelRow>.into_iter(), inventory::iter::<HandlerRow>.into_iter())
    }

    fn of(
        channels: impl Iterator<Item = &'static ChannelRow>,
        handlers: impl Iterator<Item = &'static HandlerRow>,
    ) -> Self {
        let mut drivers: Vec<Driver> = channels.map(|row| Driver { row, handlers: Vec::new() }).collect();
        drivers.sort_by_key(|driver| (driver.row.driver, driver.row.location));
        let mut strays = Vec::new();
        let mut handlers: Vec<&HandlerRow> = handlers.collect();
        handlers.sort_by_key(|row| row.location);
        for row in handlers {
            let of = (row.channel)();
            match drivers.iter_mut().find(|driver| (driver.row.channel)() == of) {
                Some(driver) => driver.handlers.push(row),
                None => strays.push(row),
            }
        }
        Self { drivers, strays }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Driver> {
        self.drivers.iter().find(|driver| driver.row.driver == name)
    }

    pub(crate) fn by_type(&self, of: TypeId) -> Option<&Driver> {
        self.drivers.iter().find(|driver| (driver.row.channel)() == of)
    }
}
