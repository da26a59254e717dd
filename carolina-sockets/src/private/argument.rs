//! Reads a handler's argument without asking the compiler a second time whether it can be read.
//!
//! One assertion, [`assert_extractor`], has the bound, and with it the compiler's message. What the expansion does with
//! the argument besides goes through [`Probe`], which answers for every type: `(&Probe::<T>::new()).argument()`.

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

/// An argument that is an extractor.
#[derive(Debug)]
pub struct Readable<T>(PhantomData<fn() -> T>);

/// An argument that is none. [`assert_extractor`] does not compile beside it.
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

    /// Tells what start-up must provide for it.
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
