//! Distinguishes, at compile time, what a handler returns.
//!
//! `serde` implements `Serialize` for `()` and for `Result`, so blanket implementations would overlap. Method
//! resolution prefers the method that needs the fewest added references:
//! `(&&&&&&Wrap::of(&value)).kind().into_outcome(value, context)`.

use std::{convert::Infallible, marker::PhantomData};

use serde::Serialize;

use super::{EventContext, EventError, HandlerError, Outcome};

/// Stands for a value of type `T`.
#[derive(Debug)]
pub struct Wrap<T>(PhantomData<fn() -> T>);

impl<T> Wrap<T> {
    /// The stand-in for `value`.
    pub fn of(_value: &T) -> Self {
        Self(PhantomData)
    }
}

/// Nothing was returned.
#[derive(Debug)]
pub struct Unit;
/// A result of nothing.
#[derive(Debug)]
pub struct UnitResult;
/// A result with a value.
#[derive(Debug)]
pub struct ValueResult;
/// A value.
#[derive(Debug)]
pub struct PlainValue;

/// A type that cannot be sent. It causes a compile error that explains why.
#[derive(Debug)]
pub struct NoAnswer;

/// A result whose value cannot be sent. It causes a compile error about the value.
#[derive(Debug)]
pub struct NoValue;

/// A result whose error is none of a handler's. It causes a compile error about the error.
#[derive(Debug)]
pub struct NoError;

/// Chooses [`Unit`].
pub trait ViaUnit {
    /// The kind.
    fn kind(&self) -> Unit {
        Unit
    }
}
impl ViaUnit for &&&&&Wrap<()> {}

/// Chooses [`UnitResult`].
pub trait ViaUnitResult {
    /// The kind.
    fn kind(&self) -> UnitResult {
        UnitResult
    }
}
impl<E: Into<EventError>> ViaUnitResult for &&&&&Wrap<Result<(), E>> {}

/// Chooses [`ValueResult`].
pub trait ViaResult {
    /// The kind.
    fn kind(&self) -> ValueResult {
        ValueResult
    }
}
impl<T: Serialize, E: Into<EventError>> ViaResult for &&&&Wrap<Result<T, E>> {}

/// Chooses [`NoValue`].
pub trait ViaNoValue {
    /// The kind.
    fn kind(&self) -> NoValue {
        NoValue
    }
}
impl<T, E: Into<EventError>> ViaNoValue for &&&Wrap<Result<T, E>> {}

/// Chooses [`NoError`]. Before [`PlainValue`], since `serde` would write such a result as `{ "Ok": … }`.
pub trait ViaNoError {
    /// The kind.
    fn kind(&self) -> NoError {
        NoError
    }
}
impl<T, E> ViaNoError for &&Wrap<Result<T, E>> {}

/// Chooses [`PlainValue`].
pub trait ViaValue {
    /// The kind.
    fn kind(&self) -> PlainValue {
        PlainValue
    }
}
impl<T: Serialize> ViaValue for &Wrap<T> {}

/// Chooses [`NoAnswer`], when nothing else fits.
pub trait ViaNothing {
    /// The kind.
    fn kind(&self) -> NoAnswer {
        NoAnswer
    }
}
impl<T> ViaNothing for Wrap<T> {}

impl Unit {
    /// Acknowledges with no argument.
    pub fn into_outcome(self, (): (), context: &mut EventContext) -> Outcome {
        context.returned_nothing()
    }
}

impl UnitResult {
    /// Acknowledges with no argument, or fails.
    pub fn into_outcome<E: Into<EventError>>(self, value: Result<(), E>, context: &mut EventContext) -> Outcome {
        match value {
            Ok(()) => context.returned_nothing(),
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

impl ValueResult {
    /// Acknowledges with the value, or fails.
    pub fn into_outcome<T: Serialize, E: Into<EventError>>(
        self,
        value: Result<T, E>,
        context: &mut EventContext,
    ) -> Outcome {
        match value {
            Ok(value) => context.returned(&value),
            Err(error) => Outcome::Failed(error.into()),
        }
    }
}

impl PlainValue {
    /// Acknowledges with the value.
    pub fn into_outcome<T: Serialize>(self, value: T, context: &mut EventContext) -> Outcome {
        context.returned(&value)
    }
}

/// Implemented by no type that a handler can return; it exists for the compile error.
#[diagnostic::on_unimplemented(
    message = "an event handler cannot return `{Self}`",
    label = "does not serialize: derive `Serialize`",
    note = "return `()`, a type that implements `serde::Serialize`, or `Result<_, E>` of these where `E: Into<EventError>`"
)]
pub trait Answer {
    /// Never called.
    fn never(self) -> Outcome;
}

#[diagnostic::do_not_recommend]
impl Answer for Infallible {
    fn never(self) -> Outcome {
        match self {}
    }
}

impl NoAnswer {
    /// Never called.
    pub fn into_outcome<T: Answer>(self, value: T, _: &mut EventContext) -> Outcome {
        value.never()
    }
}

impl NoValue {
    /// Never called.
    pub fn into_outcome<T: Answer, E>(self, value: Result<T, E>, _: &mut EventContext) -> Outcome {
        value.map_or(Outcome::Done, Answer::never)
    }
}

impl NoError {
    /// Never called.
    pub fn into_outcome<T, E: HandlerError>(self, value: Result<T, E>, _: &mut EventContext) -> Outcome {
        value.map_or_else(|error| Outcome::Failed(error.into()), |_| Outcome::Done)
    }
}
