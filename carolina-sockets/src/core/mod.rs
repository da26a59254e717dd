//! The types that event handling works on: a channel without its handlers ([`ChannelCore`]), a socket on it
//! ([`SocketState`]) with its queue, the one answer to each event, and how a socket ends.

mod answer;
mod channel;
mod declared;
mod end;
mod mailbox;
mod observer;
mod roster;
mod services;
mod socket;
#[cfg(feature = "testing")]
mod tap;
mod values;

use std::any::Any;

use futures_core::future::BoxFuture;

pub use answer::Outcome;
pub(crate) use answer::{
    AckState, AnswerState, Reply, acknowledge, acknowledge_nothing, deliver, refuse, to_client_error,
};
pub(crate) use channel::{ChannelCore, Handlers};
pub(crate) use declared::DeclaredEmits;
pub(crate) use end::{CLOSED_EVENT, Closed, Leaving, disconnect_unauthorized, end};
pub(crate) use mailbox::{Held, Identify, Job, Left, Mailbox, Submitted};
pub(crate) use observer::Observed;
#[cfg(feature = "admin")]
pub(crate) use observer::Observer;
pub(crate) use roster::Roster;
pub(crate) use services::{Services, States};
pub(crate) use socket::SocketState;
#[cfg(feature = "testing")]
pub(crate) use tap::{Recorded, Tap};

/// A channel whose concrete type only its handlers know.
pub type AnyChannel = dyn Any + Send + Sync;

/// The future of a running handler.
pub type EventFuture<'a> = BoxFuture<'a, Outcome>;
