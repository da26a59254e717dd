//! Reads an event's arguments from the text of its packet, with the JSON path of what does not fit.

use std::{collections::VecDeque, fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, SeqAccess, Visitor,
        value::{SeqAccessDeserializer, UnitDeserializer},
    },
};
use serde_path_to_error::Track;

use super::{attachments, binary::Strict};
use crate::error::{EventError, code};

/// Reads an event's arguments from its JSON array: with `all` as one sequence, otherwise the first one. With `pad`,
/// missing ones of a sequence read as `null`.
///
/// # Errors
///
/// `invalid_payload`, with the JSON path of what does not fit.
pub(crate) fn read<T: DeserializeOwned>(
    text: &str,
    attachments: Option<&VecDeque<Bytes>>,
    all: bool,
    pad: bool,
) -> Result<T, EventError> {
    let root = if all { "the arguments" } else { "the first argument" };
    if let Some(attachments) = attachments {
        return attachments::read(text, attachments, all, pad).map_err(|(path, reason)| invalid(&path, root, &reason));
    }
    // Try without tracking the path first: only an invalid payload pays for locating the error.
    if let Ok(value) = arguments(text, Arguments { all, pad, payload: Plain(PhantomData) }) {
        return Ok(value);
    }
    let mut track = Track::new();
    match arguments(text, Arguments { all, pad, payload: Tracked(&mut track, PhantomData) }) {
        Ok(value) => Ok(value),
        Err(error) => Err(invalid(&track.path().to_string(), root, &error.to_string())),
    }
}

/// Reads a value from JSON text.
///
/// # Errors
///
/// `invalid_payload`, with the JSON path of what does not fit.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, EventError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| invalid(&error.path().to_string(), "the value itself", &error.inner().to_string()))
}

/// `root` is what the path `.` is.
fn invalid(path: &str, root: &str, reason: &str) -> EventError {
    // "invalid type: string "x", expected u32 at line 1 column 5": the position is meaningless to a client.
    let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
    let expected = match reason.split_once("expected ") {
        Some((_, expected)) => expected,
        None => reason.strip_prefix("missing ").unwrap_or(reason),
    };
    let place = if path == "." { root.to_owned() } else { format!("`{path}`") };
    EventError::new(code::INVALID_PAYLOAD, format!("invalid payload at {place}: {reason}"))
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
    /// Whether missing arguments read as `null`; only for types with a fixed number of arguments.
    pad: bool,
    payload: S,
}

/// Produces the value of a missing argument.
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
        // The seed is passed by reference, as it is needed again if there is no element.
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

/// A sequence that, after its end, yields `null`s.
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
        T::deserialize(Strict(deserializer))
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
        T::deserialize(Strict(serde_path_to_error::Deserializer::new(deserializer, self.0)))
    }
}

impl<'de, T: Deserialize<'de>> Missing<'de> for Tracked<'_, T> {
    fn missing<E: serde::de::Error>(self) -> Result<T, E> {
        Plain(PhantomData).missing()
    }
}
