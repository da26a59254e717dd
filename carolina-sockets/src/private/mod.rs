//! Items used by the macros' expansions only. Not part of the public interface: it changes without notice.

mod argument;
#[cfg(feature = "contract")]
pub mod describe;
mod guard;
pub mod returned;

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    future::Future,
    marker::PhantomData,
};

use crate::{identity::UserKey, presence::write_extra};

#[cfg(feature = "contract")]
pub use crate::registry::Description;
pub use crate::{
    core::{AnyChannel, EventFuture, Outcome},
    error::{Error, EventError},
    extract::{EventContext, FromEvent, FromInit, InitContext, Needs},
    guard::Rate,
    registry::{
        Channel, channel_type, erase,
        row::{
            Call, ChannelRow, EmitRow, ErasedChannel, Extras, GuardCall, GuardRow, HandlerRow, Location, On, Options,
            PresenceRow, ResumeRow,
        },
    },
};
pub use argument::{Readable, Unreadable, ViaReadable, ViaUnreadable, assert_extractor};
pub use futures_core::future::BoxFuture;
pub use guard::{Awaited, Direct, GuardArguments, GuardFunction, GuardOutput, guard};
pub use inventory;

/// The channel a handler belongs to.
pub fn downcast<C: Any>(channel: &AnyChannel) -> &C {
    channel.downcast_ref().expect("a handler row is only called with a channel of the type the row names")
}

/// Checks at compile time that a `Path<T>` takes as many parameters as the channel's path has. A path without any is left to
/// start-up, as the channel may be mounted elsewhere.
pub const fn check_parameters<C: Channel>(taken: usize) {
    let Some(path) = C::PATH else { return };
    let (path, mut at, mut count) = (path.as_bytes(), 0, 0);
    while at < path.len() {
        if path[at] == b'{' {
            count += 1;
        }
        at += 1;
    }
    assert!(
        count == 0 || count == taken,
        "the channel's path has another number of parameters than this `Path<T>` takes: one is `Path<T>`, several are a tuple in order, as `Path<(u64, String)>`, or a struct by their names"
    );
}

/// Boxes a future. The compiler shows the line of its bound, and with it the comment there.
pub fn on_any_thread<'a, T, F>(future: F) -> BoxFuture<'a, T>
where
    F: Future<Output = T>,
    F: Send, // It may go on on another thread: end a lock's guard or a `RefCell`'s borrow before each `.await`.
    F: 'a,
{
    Box::pin(future)
}

/// Detects at compile time whether a channel implements `Default`: `{ use private::{DefaultBuilt as _, NotBuilt as _};
/// (&private::Probe::<C>::new()).build() }`.
#[derive(Debug)]
pub struct Probe<C>(PhantomData<fn() -> C>);

impl<C> Probe<C> {
    /// A probe for `C`.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The channel implements `Default`.
pub trait DefaultBuilt {
    /// Builds it.
    fn build(&self) -> Option<ErasedChannel>;
}

impl<C: Channel + Default> DefaultBuilt for Probe<C> {
    fn build(&self) -> Option<ErasedChannel> {
        Some(erase(C::default()))
    }
}

/// The channel does not implement `Default`.
pub trait NotBuilt {
    /// Builds nothing.
    fn build(&self) -> Option<ErasedChannel>;
}

impl<C> NotBuilt for &Probe<C> {
    fn build(&self) -> Option<ErasedChannel> {
        None
    }
}

/// What `#[on(authorize)]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[on(authorize)]` cannot return `{Self}`",
    label = "return `bool` or `Result<(), E>` where `E: Into<EventError>`"
)]
pub trait AuthorizeOutput {
    /// The outcome of it.
    fn into_outcome(self) -> Outcome;
}

impl AuthorizeOutput for bool {
    fn into_outcome(self) -> Outcome {
        if self { Outcome::Done } else { Outcome::Failed(EventError::forbidden()) }
    }
}

impl<E: Into<EventError>> AuthorizeOutput for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        self.map_or_else(|error| Outcome::Failed(error.into()), |()| Outcome::Done)
    }
}

/// What `#[on(connect)]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[on(connect)]` cannot return `{Self}`",
    label = "return nothing or `Result<(), E>` where `E: Into<EventError>`"
)]
pub trait ConnectOutput {
    /// The outcome of it.
    fn into_outcome(self) -> Outcome;
}

impl ConnectOutput for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl<E: Into<EventError>> ConnectOutput for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        AuthorizeOutput::into_outcome(self)
    }
}

/// What `#[on(disconnect)]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[on(disconnect)]` cannot return `{Self}`",
    label = "return nothing: the client is gone, nobody would receive it"
)]
pub trait DisconnectOutput {
    /// The outcome of it.
    fn into_outcome(self) -> Outcome;
}

impl DisconnectOutput for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

/// What `#[on(presence)]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[on(presence)]` cannot return `{Self}`",
    label = "return `HashMap<String, T>`, or `Result<HashMap<String, T>, E>` where `E: Into<EventError>`",
    note = "`T: Serialize` is a struct, whose fields are shown beside `metas`; the keys may be what `UserKey` is implemented for, and `BTreeMap` or `Vec<(String, T)>` will do as well"
)]
pub trait PresenceOutput {
    /// The fields of each key.
    ///
    /// # Errors
    ///
    /// The handler's own; that of a value that is no object.
    fn into_extras(self) -> Result<Extras, EventError>;
}

fn extras<K: UserKey, T: serde::Serialize>(of: impl IntoIterator<Item = (K, T)>) -> Result<Extras, EventError> {
    of.into_iter().map(|(key, value)| Ok((key.user_key().into_owned(), write_extra(&value)?))).collect()
}

impl<K: UserKey, T: serde::Serialize, S> PresenceOutput for HashMap<K, T, S> {
    fn into_extras(self) -> Result<Extras, EventError> {
        extras(self)
    }
}

impl<K: UserKey, T: serde::Serialize> PresenceOutput for BTreeMap<K, T> {
    fn into_extras(self) -> Result<Extras, EventError> {
        extras(self)
    }
}

impl<K: UserKey, T: serde::Serialize> PresenceOutput for Vec<(K, T)> {
    fn into_extras(self) -> Result<Extras, EventError> {
        extras(self)
    }
}

impl<P: PresenceOutput, E: Into<EventError>> PresenceOutput for Result<P, E> {
    fn into_extras(self) -> Result<Extras, EventError> {
        self.map_err(Into::into)?.into_extras()
    }
}

/// What `#[on(init)]` may return.
#[diagnostic::on_unimplemented(
    message = "`#[on(init)]` cannot return `{Self}`",
    label = "return `Self` or `Result<Self, E>` where `E: Into<EventError>`"
)]
pub trait InitOutput<C> {
    /// The channel, or the error.
    fn into_channel(self) -> Result<ErasedChannel, Error>;
}

impl<C: Any + Send + Sync> InitOutput<C> for C {
    fn into_channel(self) -> Result<ErasedChannel, Error> {
        Ok(erase(self))
    }
}

impl<C: Any + Send + Sync, E: Into<EventError>> InitOutput<C> for Result<C, E> {
    fn into_channel(self) -> Result<ErasedChannel, Error> {
        self.map(erase).map_err(|error| Error::init(error.into()))
    }
}

/// What a channel can send.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be emitted",
    label = "does not implement `serde::Serialize`",
    note = "derive `Serialize` for it; `()` is an event without arguments"
)]
pub trait Emitted {}
impl<T: serde::Serialize> Emitted for T {}

/// Asserts that the type of an `#[emits]` can be sent.
pub const fn assert_emitted<T: Emitted>() {}

/// An error that a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`",
    label = "not convertible into `EventError`",
    note = "use `EventError`, any type that implements `std::error::Error`, or `.map_err(|error| EventError::new(\"code\", …))`; `.map_err(EventError::internal)` makes one of a boxed error"
)]
#[cfg_attr(
    not(feature = "anyhow"),
    diagnostic::on_unimplemented(
        note = "for `anyhow::Error` enable the feature `anyhow`: `carolina-sockets = {{ …, features = [\"anyhow\"] }}`"
    )
)]
pub trait HandlerError: Into<EventError> {}
impl<E: Into<EventError>> HandlerError for E {}

/// Converts the error of a return type that is written as `Result<T, E>`, so that a compile error names `E` if it is
/// not convertible.
///
/// # Errors
///
/// The given one, converted.
pub fn fallible<T, E: HandlerError>(returned: Result<T, E>) -> Result<T, EventError> {
    returned.map_err(Into::into)
}
