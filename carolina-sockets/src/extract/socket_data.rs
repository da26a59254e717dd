use std::{any::type_name, ops::Deref};

use super::{EventContext, FromEvent};
use crate::error::{EventError, Result};

/// What [`Socket::set`](crate::Socket::set) has left on the socket, by its type (rule R29). Without it, the handler does not run and the
/// event fails with `internal`, as it is the server that has forgotten it; the log says which type. With `Option<SocketData<T>>` the handler
/// decides.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Clone)]
/// struct Nick(String);
///
/// #[channel("/lounge")]
/// #[derive(Default)]
/// struct Lounge;
///
/// #[channel]
/// impl Lounge {
///     #[on("call-me")]
///     async fn call_me(&self, socket: Socket, Data(name): Data<String>) {
///         socket.set(Nick(name));
///     }
///
///     #[on("say")]
///     async fn say(&self, socket: Socket, nick: Option<SocketData<Nick>>, Data(text): Data<String>) -> Result<(), EventError> {
///         let nick = nick.map_or_else(|| "somebody".to_owned(), |SocketData(nick)| nick.0);
///         socket.broadcast().emit("said", (nick, text)).await?;
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketData<T>(pub T);

impl<T> Deref for SocketData<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Send + Sync + 'static> FromEvent for Option<SocketData<T>> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(context.socket.values.get().map(SocketData))
    }
}

impl<T: Clone + Send + Sync + 'static> FromEvent for SocketData<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Option::<Self>::from_event(context).await?.ok_or_else(|| {
            let of = type_name::<T>();
            EventError::internal(format!(
                "the socket has no `SocketData<{of}>`: call `socket.set(…)` with a value of that type before, in `#[on(connect)]` for example"
            ))
        })
    }
}
