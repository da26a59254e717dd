//! What a file with channels needs: `use carolina_sockets::prelude::*;`.
//!
//! Besides the library's own names it has `serde`'s `Serialize` and `Deserialize`, `Bytes`, and the atomic types with
//! `Relaxed`, which a channel's `&self` often needs. With the feature `valid`, `Valid` and `Validate` are in it too, with `contract`
//! `JsonSchema` and `schemars`, by which its derive finds its own crate.

pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

pub use bytes::Bytes;
pub use serde::{Deserialize, Serialize};

pub use crate::{
    Ack, Args, ChannelHandle, Data, DisconnectReason, Event, EventError, Handshake, Identify, Identity, Path, Presence,
    Resumed, Socket, SocketData, Sockets, State, TryData, User, UserKey, channel, emits, http::Session, on,
};

#[cfg(feature = "valid")]
pub use crate::Valid;
#[cfg(feature = "contract")]
pub use schemars::{self, JsonSchema};
#[cfg(feature = "valid")]
pub use validator::Validate;
