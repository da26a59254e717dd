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
mod core;
mod dispatch;
mod engine;
pub mod error;
pub mod extract;
#[cfg(test)]
mod fuzz;
mod guard;
pub mod http;
pub mod identity;
mod namespace;
mod path;
mod plan;
pub mod prelude;
#[doc(hidden)]
pub mod private;
#[cfg(feature = "redis")]
mod redis_client;
mod registry;
mod service;
mod session_sync;
mod socket;
mod suggest;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

pub use carolina_sockets_macros::{channel, on};

pub use channel::{Broadcast, ChannelHandle, Delivery, Emitter, EmitterChannel, Rooms};
#[cfg(feature = "cli")]
pub use cli::{Cli, cli};
pub use config::{Config, Transport};
pub use engine::{DisconnectReason, SocketId};
pub use error::{Error, EventError, Result};
pub use extract::{
    Ack, Args, Data, Event, EventContext, FromEvent, FromInit, InitContext, Needs, State, TryData, User,
};
pub use identity::{Cookies, Handshake, Identify, Identity, Query, UserKey};
pub use registry::{Channel, MainChannel};
pub use service::{Builder, Sockets, SocketsLayer, SocketsService, sockets, try_sockets};
#[cfg(feature = "serve")]
pub use service::{Serve, serve};
pub use socket::Socket;

/// What the program `carolina` runs.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub fn carolina() -> std::process::ExitCode {
    cli::carolina()
}
