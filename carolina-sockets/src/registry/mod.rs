//! What the linker found: every driver with its handlers, sorted, and checked for conflicts.

mod channel;
mod conflict;
#[cfg(feature = "contract")]
mod description;
pub(crate) mod row;
#[cfg(test)]
pub(crate) mod test_rows;

use std::{any::TypeId, collections::HashMap};

use row::{ChannelRow, HandlerRow};

pub use channel::{Channel, MainChannel, channel_type, erase};
pub(crate) use conflict::{conflicts, handler_conflicts, name_conflict};
#[cfg(feature = "contract")]
pub use description::Description;
#[cfg(feature = "contract")]
pub(crate) use description::{Argument, Arguments, Schemas, opaque};

/// A driver and its handlers.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) row: &'static ChannelRow,
    pub(crate) handlers: Vec<&'static HandlerRow>,
}

/// All rows, sorted by name and location, as link order is arbitrary.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) drivers: Vec<Driver>,
    /// Handlers whose struct is not a channel.
    pub(crate) orphans: Vec<&'static HandlerRow>,
}

impl Registry {
    /// What is linked into this program.
    pub(crate) fn linked() -> Self {
        Self::from_rows(inventory::iter::<ChannelRow>, inventory::iter::<HandlerRow>)
    }

    /// A registry of these rows.
    pub(crate) fn from_rows(
        channels: impl IntoIterator<Item = &'static ChannelRow>,
        handlers: impl IntoIterator<Item = &'static HandlerRow>,
    ) -> Self {
        let mut drivers: Vec<Driver> = channels.into_iter().map(|row| Driver { row, handlers: Vec::new() }).collect();
        drivers.sort_by_key(|driver| (driver.row.driver, driver.row.location));
        let mut by_type = HashMap::with_capacity(drivers.len());
        for (position, driver) in drivers.iter().enumerate() {
            by_type.entry((driver.row.channel)()).or_insert(position);
        }
        let mut orphans = Vec::new();
        let mut handlers: Vec<&HandlerRow> = handlers.into_iter().collect();
        handlers.sort_by_key(|row| row.location);
        for row in handlers {
            match by_type.get(&(row.channel)()) {
                Some(&position) => drivers[position].handlers.push(row),
                None => orphans.push(row),
            }
        }
        Self { drivers, orphans }
    }

    /// The drivers with this name: more than one only if names conflict.
    pub(crate) fn by_name(&self, name: &str) -> impl Iterator<Item = &Driver> {
        self.drivers.iter().filter(move |driver| driver.row.driver == name)
    }

    pub(crate) fn by_type(&self, of: TypeId) -> Option<&Driver> {
        self.drivers.iter().find(|driver| (driver.row.channel)() == of)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        test_rows::{A, B, channel, handler},
        *,
    };
    use crate::registry::row::On;

    #[test]
    fn link_order_is_any_order() {
        let (a, b) = (channel::<A>("A", None, 1), channel::<B>("B", None, 2));
        let (first, second) = (handler::<A>("A", On::Any, 3), handler::<A>("A", On::Connect, 4));
        for (channels, handlers) in [([a, b], [first, second]), ([b, a], [second, first])] {
            let registry = Registry::from_rows(channels, handlers);
            assert_eq!(registry.drivers.iter().map(|driver| driver.row.driver).collect::<Vec<_>>(), ["A", "B"]);
            assert_eq!(registry.drivers[0].handlers.iter().map(|row| row.location.line).collect::<Vec<_>>(), [3, 4]);
            assert!(registry.drivers[1].handlers.is_empty() && registry.orphans.is_empty());
        }
    }

    #[test]
    fn drivers_are_found_by_name_and_by_type() {
        let registry = Registry::from_rows([channel::<A>("A", None, 1), channel::<B>("B", None, 2)], []);
        assert_eq!(registry.by_name("B").map(|driver| driver.row.location.line).collect::<Vec<_>>(), [2]);
        assert_eq!(registry.by_name("C").count(), 0);
        assert_eq!(registry.by_type(TypeId::of::<A>()).unwrap().row.driver, "A");
        assert!(registry.by_type(TypeId::of::<()>()).is_none());
    }

    #[test]
    fn the_built_in_driver_is_linked() {
        assert_eq!(Registry::linked().by_name("MainChannel").count(), 1);
    }
}
