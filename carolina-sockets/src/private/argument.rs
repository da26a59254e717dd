//! Reads a handler's argument without a second trait bound, which would repeat the compile error.
//!
//! Only [`assert_extractor`] has the bound, and so the compile error. Everything else that the expansion does with the
//! argument goes through [`Probe`], which works for every type: `(&Probe::<T>::new()).argument()`.

use std::{
    convert::Infallible,
    future::{Future, pending},
    marker::PhantomData,
};

use super::Probe;
use crate::{
    error::EventError,
    extract::{EventContext, FromEvent, Needs},
};

/// Asserts [`FromEvent`].
pub const fn assert_extractor<T: FromEvent>() {}

/// A type that is an extractor.
#[derive(Debug)]
pub struct Readable<T>(PhantomData<fn() -> T>);

/// A type that is not an extractor. [`assert_extractor`] does not compile for it.
#[derive(Debug)]
pub struct Unreadable<T>(PhantomData<fn() -> T>);

/// Chooses [`Readable`].
pub trait ViaReadable<T> {
    /// The kind.
    fn argument(&self) -> Readable<T> {
        Readable(PhantomData)
    }
}
impl<T: FromEvent> ViaReadable<T> for Probe<T> {}

/// Chooses [`Unreadable`].
pub trait ViaUnreadable<T> {
    /// The kind.
    fn argument(&self) -> Unreadable<T> {
        Unreadable(PhantomData)
    }
}
impl<T> ViaUnreadable<T> for &Probe<T> {}

impl<T: FromEvent> Readable<T> {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// The extractor's.
    pub fn read(self, context: &mut EventContext) -> impl Future<Output = Result<T, EventError>> + Send {
        T::from_event(context)
    }

    /// Declares what start-up must provide for it.
    pub fn needs(self, needs: &mut Needs) {
        T::needs(needs);
    }
}

impl<T> Unreadable<T> {
    /// Never called.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn read(self, _: &mut EventContext) -> Result<T, EventError> {
        match pending::<Infallible>().await {}
    }

    /// Never called.
    pub fn needs(self, _: &mut Needs) {}
}
