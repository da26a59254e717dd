use std::{fmt, ops::Deref, sync::Arc};

use super::{EventContext, FromEvent, FromInit, InitContext, Needs};
use crate::error::{Error, EventError, Result};

/// What the application gave to the service with [`.state(value)`](crate::Builder::state), by its type. Cheap to clone; handlers share one value.
///
/// Start-up fails when a handler takes a `State<T>` that was not provided (rule R1).
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// struct Database;
///
/// #[channel("/orders")]
/// struct Orders { database: State<Database> }
///
/// #[channel]
/// impl Orders {
///     #[on(init)]
///     fn new(database: State<Database>) -> Self {
///         Self { database }
///     }
/// }
/// ```
pub struct State<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&&*self.0).finish()
    }
}

fn missing<T>() -> String {
    format!("the state `{0}` was not provided: call `.state(…)` with a value of type `{0}`", std::any::type_name::<T>())
}

impl<T: Send + Sync + 'static> FromEvent for State<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        let state = context.socket.channel.services.states.get();
        state.map(State).ok_or_else(|| EventError::internal(missing::<T>()))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}

/// Implemented by no type: it only exists for the compile error about `axum`'s extractor of the same name.
#[diagnostic::on_unimplemented(
    message = "`axum`'s `State` is for HTTP routes and cannot be the argument of a handler",
    label = "another `State` than the prelude's",
    note = "take `carolina_sockets::State<{Self}>`, which `carolina_sockets::prelude` has: leave `use axum::extract::State` out of this file, or write the path"
)]
#[doc(hidden)]
pub trait NoRouteState {}

#[doc(hidden)]
impl<T: NoRouteState> FromEvent for axum::extract::State<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Err(context.not_here("axum::extract::State"))
    }
}

impl<T: Send + Sync + 'static> FromInit for State<T> {
    fn from_init(context: &InitContext) -> Result<Self> {
        context.states.get().map(State).ok_or_else(|| Error::Init(missing::<T>().into()))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<T>();
    }
}
