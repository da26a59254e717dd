use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, SeqAccess, Visitor,
        value::{SeqAccessDeserializer, UnitDeserializer},
    },
    ser::SerializeTuple,
};
use serde_path_to_error::Track;
use socketioxide_core::{Value, parser::is_de_tuple};

use super::{EventContext, FromEvent, Moment, attached};
use crate::error::{EventError, Result};

/// The event's payload: `Data<T>` is its first argument, `Data<(A, B)>` the first two, `Data<Bytes>` a binary one.
/// Arguments that are not asked for are ignored; one that is missing reads as JSON `null`.
///
/// A payload that does not fit `T` never reaches the handler: the client is answered with `invalid_payload`, whose
/// details name the JSON path and what was expected there (rule R8). [`TryData`] hands the error to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// Like [`Data`], but the handler runs in any case and decides itself what an unfit payload means.
#[derive(Debug)]
pub struct TryData<T>(pub Result<T, EventError>);

/// All arguments of an event, however many there are: `Args<Vec<T>>`.
///
/// What is emitted or returned as `Args(vec)` becomes several arguments likewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args<T>(pub T);

/// The event's name: for handlers of several events, and for `#[on(any)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event(pub String);

impl<T: DeserializeOwned + Send> FromEvent for Data<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        match &context.moment {
            Moment::Event { payload, .. } => read::<T>(payload, is_de_tuple::<T>()).map(Self),
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
        match &context.moment {
            Moment::Event { payload, .. } => read::<T>(payload, true).map(Self),
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
    /// As a tuple, which is what becomes several arguments.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

/// Reads a payload; `all` reads the arguments as one sequence, otherwise the first one is read.
fn read<T: DeserializeOwned>(payload: &Value, all: bool) -> Result<T, EventError> {
    let Value::Str(text, attachments) = payload else {
        return Err(EventError::invalid_payload(".", "a packet of text"));
    };
    let pad = is_de_tuple::<T>();
    if let Some(attachments) = attachments.as_ref().filter(|attachments| !attachments.is_empty()) {
        return attached::read(text, attachments, all, pad).map_err(|(path, reason)| invalid(&path, &reason));
    }
    // The fast way first. Only a payload that is refused pays for finding out where it went wrong.
    if let Ok(value) = arguments(text, Arguments { all, pad, payload: Plain(PhantomData) }) {
        return Ok(value);
    }
    let mut track = Track::new();
    match arguments(text, Arguments { all, pad, payload: Tracked(&mut track, PhantomData) }) {
        Ok(value) => Ok(value),
        Err(error) => Err(invalid(&track.path().to_string(), &error.to_string())),
    }
}

/// Reads a value from JSON text, telling where it does not fit.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, EventError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| invalid(&error.path().to_string(), &error.inner().to_string()))
}

fn invalid(path: &str, reason: &str) -> EventError {
    // "invalid type: string "x", expected u32 at line 1 column 5": the position means nothing to a client.
    let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
    let expected = match reason.split_once("expected ") {
        Some((_, expected)) => expected,
        None => reason.strip_prefix("missing ").unwrap_or(reason),
    };
    EventError::new("invalid_payload", format!("invalid payload at `{path}`: {reason}"))
        .details(serde_json::json!({ "path": path, "expected": expected }))
}

fn arguments<'de, S: Missing<'de>>(text: &'de str, seed: Arguments<S>) -> serde_json::Result<S::Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = reader.deserialize_seq(seed)?;
    reader.end()?;
    Ok(value)
}

/// Visits the packet's array.
struct Arguments<S> {
    all: bool,
    /// Whether arguments that did not come read as `null`. Only for what asks for a number of them.
    pad: bool,
    payload: S,
}

/// Reads a value from nothing: an argument that did not come.
trait Missing<'de>: DeserializeSeed<'de> {
    fn missing<E: serde::de::Error>(self) -> Result<Self::Value, E>;
}

impl<'de, S: Missing<'de>> Visitor<'de> for Arguments<S> {
    type Value = S::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's name and arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<S::Value, A::Error> {
        sequence.next_element::<IgnoredAny>()?;
        if self.all {
            let padded = Padded { sequence: &mut sequence, pad: self.pad };
            let value = self.payload.deserialize(SeqAccessDeserializer::new(padded))?;
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(value);
        }
        // The seed is needed again should there be no element, so it is asked for by reference.
        let mut seed = Some(self.payload);
        let value = sequence.next_element_seed(Once(&mut seed))?;
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        match (value, seed) {
            (Some(value), _) => Ok(value),
            (None, Some(seed)) => seed.missing(),
            (None, None) => Err(A::Error::custom("an argument that is not there")),
        }
    }
}

/// A sequence behind whose end there are `null`s.
struct Padded<'a, A> {
    sequence: &'a mut A,
    pad: bool,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Padded<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let mut seed = Some(seed);
        let value = self.sequence.next_element_seed(Once(&mut seed))?;
        match seed {
            Some(seed) if self.pad && value.is_none() => seed.deserialize(UnitDeserializer::new()).map(Some),
            _ => Ok(value),
        }
    }
}

struct Once<'a, S>(&'a mut Option<S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Once<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(D::Error::custom("a seed is used once")),
        }
    }
}

/// Reads a value.
struct Plain<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Plain<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

impl<'de, T: Deserialize<'de>> Missing<'de> for Plain<T> {
    fn missing<E: serde::de::Error>(self) -> Result<T, E> {
        T::deserialize(UnitDeserializer::new())
    }
}

/// Reads a value and keeps track of where it is.
struct Tracked<'a, T>(&'a mut Track, PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Tracked<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(serde_path_to_error::Deserializer::new(deserializer, self.0))
    }
}

impl<'de, T: Deserialize<'de>> Missing<'de> for Tracked<'_, T> {
    fn missing<E: serde::de::Error>(self) -> Result<T, E> {
        Plain(PhantomData).missing()
    }
}
