use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use super::row::{ChannelRow, ErasedChannel, Location};

/// What [`#[channel]`](macro@crate::channel) implements for a struct. It is not meant to be implemented by hand: the attribute also registers the
/// struct to be found at start-up (rule R1).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a channel",
    label = "`#[channel]` is missing on the struct",
    note = "write `#[channel]` or `#[channel(\"/path\")]` above `struct {Self}` as well as above its impl block"
)]
pub trait Channel: Any + Send + Sync + 'static {
    /// The driver's name: the struct's.
    const DRIVER: &'static str;
    /// The path that the attribute declares, if any.
    const PATH: Option<&'static str> = None;
}

/// The type behind a row.
pub fn channel_type<C: Channel>() -> TypeId {
    TypeId::of::<C>()
}

/// Erases a channel's type.
pub fn erase<C: Any + Send + Sync>(channel: C) -> ErasedChannel {
    Arc::new(channel)
}

/// The built-in driver: it adds clients to the rooms of their session and user, and handles no events. It serves `/`
/// unless another driver is mounted there (rule R3).
#[derive(Debug, Default)]
pub struct MainChannel;

impl Channel for MainChannel {
    const DRIVER: &'static str = "MainChannel";
}

inventory::submit! {
    ChannelRow {
        driver: MainChannel::DRIVER,
        path: None,
        private: false,
        presence: None,
        resume: None,
        guards: &[],
        emits: &[],
        docs: crate::__contract_value!("The built-in channel: clients are in the rooms of their session and user, and hear what is sent to these."),
        channel: channel_type::<MainChannel>,
        default: || Some(erase(MainChannel)),
        location: Location::new(file!(), line!(), column!()),
    }
}
