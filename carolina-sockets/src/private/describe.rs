//! Finds out, at compile time, what the contract can say of a type: by the method that needs the fewest added references, as in
//! [`returned`](super::returned). `(&&&&&&Probe::<T>::new()).argument(description)` for an argument of a handler, `.answer(description)` for what is
//! answered or emitted, `.taken(description)` and `.sent(description)` for a part of it.

use schemars::JsonSchema;

use super::{Description, Probe};
#[cfg(feature = "valid")]
use crate::Valid;
use crate::{Ack, Args, Data, Path, Presence, TryData, User, http::Session, registry::opaque};

/// An extractor whose type has a schema, or of which something else is known.
pub trait ViaKnown {
    /// Describes it.
    fn argument(&self, description: &mut Description<'_>);
}

impl ViaKnown for &&&Probe<User> {
    fn argument(&self, description: &mut Description<'_>) {
        description.needs_user();
    }
}

impl ViaKnown for &&&Probe<Session> {
    fn argument(&self, description: &mut Description<'_>) {
        description.needs_user();
    }
}

impl ViaKnown for &&&Probe<Ack> {
    fn argument(&self, description: &mut Description<'_>) {
        description.answers_by_hand();
    }
}

impl<T: JsonSchema> ViaKnown for &&&Probe<Presence<T>> {
    fn argument(&self, description: &mut Description<'_>) {
        let argument = description.written::<T>();
        description.presence(argument);
    }
}

impl<T: JsonSchema> ViaKnown for &&&Probe<Path<T>> {
    fn argument(&self, description: &mut Description<'_>) {
        let argument = description.read::<T>();
        description.parameters(argument);
    }
}

/// An extractor of the payload whose type has a schema.
pub trait ViaArguments {
    /// Describes it.
    fn argument(&self, description: &mut Description<'_>);
}

/// An extractor of the payload whose type has none.
pub trait ViaOpaque {
    /// Describes it.
    fn argument(&self, description: &mut Description<'_>);
}

macro_rules! payloads {
    ($($(#[$attribute:meta])* $extractor:ident)*) => {$(
        $(#[$attribute])*
        impl<T: JsonSchema> ViaArguments for &&Probe<$extractor<T>> {
            fn argument(&self, description: &mut Description<'_>) {
                description.begin_taken();
                let argument = description.read::<T>();
                description.add_taken(argument);
            }
        }

        $(#[$attribute])*
        impl<T> ViaOpaque for &Probe<$extractor<T>> {
            fn argument(&self, description: &mut Description<'_>) {
                description.begin_taken();
                description.add_taken(opaque::<T>());
            }
        }
    )*};
}

payloads!(Data TryData #[cfg(feature = "valid")] Valid);

impl<T: JsonSchema> ViaArguments for &&Probe<Args<T>> {
    fn argument(&self, description: &mut Description<'_>) {
        let argument = description.read::<T>();
        description.all_taken(argument);
    }
}

impl<T> ViaOpaque for &Probe<Args<T>> {
    fn argument(&self, description: &mut Description<'_>) {
        description.all_taken(opaque::<T>());
    }
}

/// Any other type: an extractor that says nothing of the payload, a part of an answer without a schema.
pub trait ViaAnything {
    /// Says nothing.
    fn argument(&self, description: &mut Description<'_>);
    /// Describes a part of the payload.
    fn taken(&self, description: &mut Description<'_>);
    /// Describes a part of what is sent.
    fn sent(&self, description: &mut Description<'_>);
    /// Describes what is sent.
    fn answer(&self, description: &mut Description<'_>);
}

impl<T> ViaAnything for Probe<T> {
    fn argument(&self, _: &mut Description<'_>) {}

    fn taken(&self, description: &mut Description<'_>) {
        description.add_taken(opaque::<T>());
    }

    fn sent(&self, description: &mut Description<'_>) {
        description.add_sent(opaque::<T>());
    }

    fn answer(&self, description: &mut Description<'_>) {
        description.begin_sent();
        description.add_sent(opaque::<T>());
    }
}

/// A type with a schema.
pub trait ViaSchema {
    /// Describes a part of the payload.
    fn taken(&self, description: &mut Description<'_>);
    /// Describes a part of what is sent.
    fn sent(&self, description: &mut Description<'_>);
    /// Describes what is sent.
    fn answer(&self, description: &mut Description<'_>);
}

impl<T: JsonSchema> ViaSchema for &Probe<T> {
    fn taken(&self, description: &mut Description<'_>) {
        let argument = description.read::<T>();
        description.add_taken(argument);
    }

    fn sent(&self, description: &mut Description<'_>) {
        let argument = description.written::<T>();
        description.add_sent(argument);
    }

    fn answer(&self, description: &mut Description<'_>) {
        description.begin_sent();
        let argument = description.written::<T>();
        description.add_sent(argument);
    }
}

/// `Result<T, E>` without a schema of `T`.
pub trait ViaOpaqueResult {
    /// Describes the value.
    fn answer(&self, description: &mut Description<'_>);
}

impl<T, E> ViaOpaqueResult for &&Probe<Result<T, E>> {
    fn answer(&self, description: &mut Description<'_>) {
        description.may_fail();
        description.begin_sent();
        description.add_sent(opaque::<T>());
    }
}

/// `Result<T, E>`.
pub trait ViaResult {
    /// Describes the value.
    fn answer(&self, description: &mut Description<'_>);
}

impl<T: JsonSchema, E> ViaResult for &&&Probe<Result<T, E>> {
    fn answer(&self, description: &mut Description<'_>) {
        description.may_fail();
        description.begin_sent();
        let argument = description.written::<T>();
        description.add_sent(argument);
    }
}

/// `Result<(), E>`.
pub trait ViaUnitResult {
    /// Nothing is sent.
    fn answer(&self, description: &mut Description<'_>);
}

impl<E> ViaUnitResult for &&&&Probe<Result<(), E>> {
    fn answer(&self, description: &mut Description<'_>) {
        description.may_fail();
        description.begin_sent();
    }
}

/// `()`.
pub trait ViaUnit {
    /// Nothing is sent.
    fn answer(&self, description: &mut Description<'_>);
}

impl ViaUnit for &&&&Probe<()> {
    fn answer(&self, description: &mut Description<'_>) {
        description.begin_sent();
    }
}

/// `Args`, any number of arguments.
pub trait ViaAll {
    /// Describes all of them.
    fn answer(&self, description: &mut Description<'_>);
}

impl<T: JsonSchema> ViaAll for &&&Probe<Args<T>> {
    fn answer(&self, description: &mut Description<'_>) {
        let argument = description.written::<T>();
        description.all_sent(argument);
    }
}
