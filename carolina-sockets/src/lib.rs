//! Live events for web pages: annotated [Socket.IO](https://socket.io) channels over
//! [`socketioxide`](https://docs.rs/socketioxide).
//!
//! A struct under [`#[channel]`](macro@channel) is a channel; its methods under [`#[on]`](macro@on) are its handlers; [`serve`]
//! finds all that are linked in and runs them. What the library promises beyond that are the rules that the documentation
//! refers to by number:
//!
//! | | |
//! |---|---|
//! | R1 to R4 | Channels are found without a list; clashes and mistakes are told at start-up, all at once, with their places; sockets are off until needed. |
//! | R5 | Armed before connect: no event is lost, none is handled before `#[on(connect)]` has finished. |
//! | R6 | One socket's events on one channel are handled one at a time, in order; `disconnect` comes last. |
//! | R7, R8 | Every event that asks for an answer gets exactly one; errors have codes, and secrets stay in the log. |
//! | R9 | A slow reader is waited for, then closed; a broadcast counts whom it missed. |
//! | R10, R11 | Who a socket belongs to is known before it joins, and stays true through log-in, log-out and expiry. |
//! | R12 | A private channel lets in only whom it accepts; who is refused has joined nothing. |
//! | R13 | Sessions are `tower-sessions`; identity may come from the application. |
//! | R14 | Pages of other origins are refused; everything has a limit. |
//! | R15 | Malformed input harms only who sent it. |
//! | R16, R17 | One process or many: the same code, the backplane by configuration. |
//!
//! # Where to begin
//!
//! [`serve`] to run an application, [`Sockets::builder`] to embed a service, [`Socket`] and [`ChannelHandle`] to emit,
//! [`EventError`] to fail on purpose, [`FromEvent`] for extractors of your own, [`config::Config`] for the settings, and
//! `testing` (a feature) for tests.
//!
//! # Channels in another crate
//!
//! A crate that nothing refers to is not linked, and its channels are not found. Refer to it: `use the_crate as _;`.

#[allow(unused_extern_crates)]
extern crate self as carolina_sockets;

mod backplane;
mod channel;
#[cfg(feature = "cli")]
mod cli;
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
mod payload;
mod plan;
#[doc(hidden)]
pub mod private;
mod registry;
mod service;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;

pub use carolina_sockets_macros::{channel, on};

pub use backplane::{Emitter, EmitterChannel};
pub use channel::{Broadcast, ChannelHandle, Delivery, MainChannel, Rooms};
#[cfg(feature = "cli")]
pub use cli::{Cli, cli};
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

/// What the program `carolina` runs.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub fn carolina() -> std::process::ExitCode {
    cli::carolina()
}

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

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
