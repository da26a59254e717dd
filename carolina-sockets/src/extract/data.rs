use std::fmt;

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};

use super::{EventContext, FromEvent, Trigger};
use crate::error::{EventError, Result};

/// The event's payload: `Data<T>` is its first argument, `Data<(A, B)>` the first two, `Data<Bytes>` a binary one.
/// Further arguments are ignored; a missing one reads as JSON `null`.
///
/// A payload that does not deserialize into `T` never reaches the handler: the client is answered with
/// `invalid_payload`, whose details name the JSON path and what was expected there (rule R8). [`TryData`] passes the
/// error to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// Like [`Data`], but the handler always runs and handles an invalid payload itself.
#[derive(Debug)]
pub struct TryData<T>(pub Result<T, EventError>);

/// All arguments of an event, however many there are: `Args<Vec<T>>`.
///
/// Emitting or returning `Args(vec)` sends several arguments likewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args<T>(pub T);

/// The event's name: for handlers of several events, and for `#[on(any)]`.
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
