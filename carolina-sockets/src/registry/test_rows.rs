//! Rows for unit tests.

use std::any::TypeId;

use super::row::{Call, ChannelRow, HandlerRow, Location, On, Options};
use crate::{
    core::{AnyChannel, EventFuture},
    extract::{EventContext, Needs},
};

pub(crate) struct A;
pub(crate) struct B;

/// A channel's row, identified by its line.
pub(crate) fn channel<C: 'static>(driver: &'static str, path: Option<&'static str>, line: u32) -> &'static ChannelRow {
    Box::leak(Box::new(ChannelRow {
        driver,
        path,
        private: false,
        presence: None,
        resume: None,
        guards: &[],
        emits: &[],
        docs: crate::__contract_value!(""),
        channel: TypeId::of::<C>,
        default: || None,
        location: Location::new("src/test_rows.rs", line, 1),
    }))
}

/// A private channel's row.
pub(crate) fn private<C: 'static>(driver: &'static str, path: Option<&'static str>, line: u32) -> &'static ChannelRow {
    let row = ChannelRow {
        private: true,
        location: Location::new("src/test_rows.rs", line, 1),
        ..*channel::<C>(driver, path, line)
    };
    Box::leak(Box::new(row))
}

/// A row of a handler that needs nothing.
pub(crate) fn handler<C: 'static>(driver: &'static str, on: On, line: u32) -> &'static HandlerRow {
    needing::<C>(driver, on, line, |_| {})
}

/// A row of a handler with these needs.
pub(crate) fn needing<C: 'static>(
    driver: &'static str,
    on: On,
    line: u32,
    needs: fn(&mut Needs),
) -> &'static HandlerRow {
    Box::leak(Box::new(HandlerRow {
        channel: TypeId::of::<C>,
        driver,
        method: "method",
        on,
        options: Options::default(),
        guards: &[],
        needs,
        call: Call::Event(uncalled),
        describe: crate::__contract_value!(|_| {}),
        location: Location::new("src/test_rows.rs", line, 1),
    }))
}

fn uncalled<'a>(_: &'a AnyChannel, _: &'a mut EventContext) -> EventFuture<'a> {
    unreachable!("rows of unit tests are never called")
}
