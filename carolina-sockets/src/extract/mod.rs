//! What a handler may take as arguments.
//!
//! Every argument of an `#[on]` method is an extractor: a type that implements [`FromEvent`]. They may stand in any
//! order, and one event may be read by several of them.

mod ack;
mod context;
mod data;
mod handshake;
mod session;
mod socket;
mod state;

use std::{any::TypeId, future::Future};

pub use ack::Ack;
pub use context::EventContext;
pub(crate) use context::Trigger;
pub use data::{Args, Data, Event, TryData};
pub use session::User;
pub use state::State;

use crate::{
    core::States,
    error::{EventError, Result},
};

/// Something a handler can take as an argument.
///
/// Implement it for a type of your own to read it in one place and use it in any handler. A type that only puts
/// others together calls their `from_event` in turn; one that looks something up may wait, since the function is
/// asynchronous.
///
/// ```
/// use carolina_sockets::prelude::*;
/// use carolina_sockets::{EventContext, FromEvent};
///
/// /// The language that the client's browser asks for.
/// struct Language(String);
///
/// impl FromEvent for Language {
///     async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
///         let handshake = Handshake::from_event(context).await?;
///         let header = handshake.headers().get("accept-language");
///         let value = header.and_then(|value| value.to_str().ok()).unwrap_or("en");
///         Ok(Language(value.to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of a handler",
    label = "not an extractor",
    note = "a handler may take: `Socket`, `Data<T>` and `TryData<T>` with `T: Deserialize`, `Args<T>`, `Ack`, `Event`, `Sockets`, `State<T>`, `Session`, `User`, `Option<User>`, `Handshake`, and in `#[on(disconnect)]` `DisconnectReason`",
    note = "wrap the event's payload in `Data<{Self}>`, or implement `carolina_sockets::FromEvent` for `{Self}`"
)]
pub trait FromEvent: Sized {
    /// Reads the value from an event.
    ///
    /// # Errors
    ///
    /// The handler does not run; the client is answered with the error (rule R7).
    fn from_event(context: &mut EventContext) -> impl Future<Output = Result<Self, EventError>> + Send;

    /// Names the application state that [`from_event`](Self::from_event) will ask for, so that start-up can tell
    /// when it was not provided (rule R1). Most extractors need none.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// Something `#[on(init)]` can take as an argument: [`State<T>`] or [`Sockets`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of `#[on(init)]`",
    label = "there is no client yet",
    note = "`#[on(init)]` may take `State<T>` and `Sockets`"
)]
pub trait FromInit: Sized {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// Start-up fails with the error.
    fn from_init(context: &InitContext) -> Result<Self>;

    /// Names the application state it will ask for.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// What is known when a channel is built.
#[derive(Debug)]
pub struct InitContext {
    pub(crate) states: States,
}

/// Collects what handlers need from the application.
#[derive(Debug, Default)]
pub struct Needs {
    pub(crate) states: Vec<(TypeId, &'static str)>,
}

impl Needs {
    /// A handler takes [`State<T>`].
    pub fn state<T: Send + Sync + 'static>(&mut self) {
        self.states.push((TypeId::of::<T>(), std::any::type_name::<T>()));
    }
}
