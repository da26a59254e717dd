use std::fmt;

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};

use super::{EventContext, FromEvent, Trigger};
use crate::error::{EventError, Result};

/// The event's payload: `Data<T>` is its first argument, `Data<(A, B)>` the first two, `Data<Bytes>` a binary one.
/// Further arguments are ignored; a missing one reads as JSON `null`.
///
/// A payload that does not fit `T` never reaches the handler: the client is answered with `invalid_payload`, whose
/// details name the JSON path and what was expected there (rule R8). [`TryData`] hands the error to the handler.
/// The [table of arguments](crate::extract#from-javascript-to-rust) shows what arrives of what a client sends.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Move {
///     x: i32,
///     y: i32,
/// }
///
/// #[channel("/board")]
/// #[derive(Default)]
/// struct Board;
///
/// #[channel]
/// impl Board {
///     /// `emit("move", "rook", { x: 1, y: 2 })`
///     #[on("move")]
///     async fn moved(&self, Data((piece, to)): Data<(String, Move)>) -> String {
///         format!("{piece} to {}, {}", to.x, to.y)
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// Like [`Data`], but the handler runs in any case and decides itself what to do with a payload that does not fit. The error is the
/// `invalid_payload` that [`Data`] would have answered with.
#[derive(Debug)]
pub struct TryData<T>(pub Result<T, EventError>);

/// All arguments of an event, however many there are: `Args<Vec<T>>`. Those that do not read as `T` are answered with
/// `invalid_payload`, as with [`Data`].
///
/// Emitting or returning `Args(vec)` sends several arguments likewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args<T>(pub T);

/// The event's name: for handlers of several events, and for `#[on(any)]`. In lifecycle handlers it does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event(pub String);

impl<T: DeserializeOwned + Send> FromEvent for Data<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        match &context.trigger {
            Trigger::Event { payload, .. } => payload.read().map(Self),
            _ => Err(context.not_here("Data")),
        }
    }
}

impl<T: DeserializeOwned + Send> FromEvent for TryData<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(Self(Data::from_event(context).await.map(|data: Data<T>| data.0)))
    }
}

impl<T: DeserializeOwned + Send> FromEvent for Args<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        match &context.trigger {
            Trigger::Event { payload, .. } => payload.read_all().map(Self),
            _ => Err(context.not_here("Args")),
        }
    }
}

impl FromEvent for Event {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(Self(context.event().to_owned()))
    }
}

impl std::ops::Deref for Event {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: Serialize> Serialize for Args<Vec<T>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Args(self.0.as_slice()).serialize(serializer)
    }
}

impl<T: Serialize> Serialize for Args<&[T]> {
    /// As a tuple, which is sent as several arguments.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}
