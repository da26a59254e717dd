#![doc = include_str!("../../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[allow(unused_extern_crates)]
extern crate self as carolina_sockets;

mod backplane;
mod channel;
pub mod config;
mod connection;
mod dispatch;
mod error;
mod extract;
mod guard;
pub mod http;
pub mod identity;
mod namespace;
mod nearest;
mod plan;
#[doc(hidden)]
pub mod private;
mod registry;
mod service;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;

pub use carolina_sockets_macros::{channel, on};

pub use channel::{Broadcast, ChannelHandle, Delivery, MainChannel, Rooms};
pub use config::{Config, Transport};
pub use error::{Error, EventError, Result};
pub use extract::{
    Ack, Args, Cookies, Data, DisconnectReason, Event, EventContext, FromEvent, FromInit, Handshake, InitContext,
    Needs, Query, State, TryData, User,
};
pub use identity::{Identify, Identity, UserKey};
pub use private::Channel;
pub use service::{Builder, Sockets, SocketsLayer, SocketsService, sockets, try_sockets};
#[cfg(feature = "serve")]
pub use service::{Serve, serve};
pub use socket::{Socket, SocketId};

/// What a file of channels needs: `use carolina_sockets::prelude::*;`.
///
/// Beside the library's own names it brings `serde`'s `Serialize` and `Deserialize`, `Bytes`, and the atomic types
/// with `Relaxed`, which a channel's `&self` makes one reach for.
pub mod prelude {
    pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

    pub use bytes::Bytes;
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        Ack, Args, ChannelHandle, Data, DisconnectReason, Event, EventError, Handshake, Identify, Identity, Socket,
        Sockets, State, TryData, User, UserKey, channel, http::Session, on,
    };
}
