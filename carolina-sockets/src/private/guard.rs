//! Calls a guard, a function of extractors, of which the macros know only the path (rule R29).
//!
//! What is wrong with it is found in three steps, so that each mistake has an error of its own: it is a function, its
//! arguments are extractors, and its result is one that a guard may return.

use std::future::Future;

use super::AuthorizeOutput;
use crate::{
    core::Outcome,
    error::EventError,
    extract::{EventContext, FromEvent, Needs},
    registry::row::GuardCall,
};

/// A function that takes the tuple `A` as its arguments and returns `R`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a guard",
    label = "not a function of at most 8 extractors",
    note = "a guard is a function, `async` or not: `async fn guard(user: User) -> Result<(), EventError>`"
)]
pub trait GuardFunction<A, R> {
    /// Calls it.
    fn call(self, arguments: A) -> R;
}

/// Arguments, each an extractor.
pub trait GuardArguments: Sized {
    /// Reads them, in order.
    fn read(context: &mut EventContext) -> impl Future<Output = Result<Self, EventError>>;

    /// Declares what start-up must provide for them.
    fn needs(needs: &mut Needs);
}

macro_rules! functions {
    ($(($($argument:ident),*))*) => {$(
        impl<Function, Returned, $($argument),*> GuardFunction<($($argument,)*), Returned> for Function
        where
            Function: FnOnce($($argument),*) -> Returned,
        {
            #[allow(non_snake_case)]
            fn call(self, ($($argument,)*): ($($argument,)*)) -> Returned {
                self($($argument),*)
            }
        }

        impl<$($argument: FromEvent),*> GuardArguments for ($($argument,)*) {
            #[allow(unused_variables)]
            async fn read(context: &mut EventContext) -> Result<Self, EventError> {
                Ok(($($argument::from_event(context).await?,)*))
            }

            #[allow(unused_variables)]
            fn needs(needs: &mut Needs) {
                $($argument::needs(needs);)*
            }
        }
    )*};
}

functions! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
}

/// The result is returned at once.
#[derive(Debug)]
pub struct Direct;

/// The result is that of a future.
#[derive(Debug)]
pub struct Awaited;

/// What a guard may return. `K` is [`Direct`] or [`Awaited`].
#[diagnostic::on_unimplemented(
    message = "a guard cannot return `{Self}`",
    label = "return `Result<(), E>` where `E: Into<EventError>`, or `bool`",
    note = "the function may be `async`"
)]
pub trait GuardOutput<K> {
    /// The outcome of it.
    fn into_outcome(self) -> impl Future<Output = Outcome>;
}

impl<R: AuthorizeOutput> GuardOutput<Direct> for R {
    async fn into_outcome(self) -> Outcome {
        AuthorizeOutput::into_outcome(self)
    }
}

impl<R: AuthorizeOutput, F: Future<Output = R>> GuardOutput<Awaited> for F {
    async fn into_outcome(self) -> Outcome {
        AuthorizeOutput::into_outcome(self.await)
    }
}

/// Runs a guard, or tells what it needs.
pub async fn guard<F, A, R, K>(function: F, call: GuardCall<'_>) -> Outcome
where
    F: GuardFunction<A, R>,
    A: GuardArguments,
    R: GuardOutput<K>,
{
    match call {
        GuardCall::Needs(needs) => {
            A::needs(needs);
            Outcome::Done
        }
        GuardCall::Run(context) => match A::read(context).await {
            Ok(arguments) => function.call(arguments).into_outcome().await,
            Err(error) => Outcome::Failed(error),
        },
    }
}
