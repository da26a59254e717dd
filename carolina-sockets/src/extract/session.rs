use std::{borrow::Cow, fmt, sync::Arc};

use super::{EventContext, FromEvent};
use crate::{
    error::{EventError, Result},
    http::Session,
    identity::UserKey,
};

/// The user behind the socket. A handler that takes it does not run without a user: the client is answered with
/// `unauthenticated`. With `Option<User>` the handler decides. In `#[on(disconnect)]` it is the user at the time of
/// leaving, also if the socket left because that user logged out.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/notes")]
/// #[derive(Default)]
/// struct Notes;
///
/// #[channel]
/// impl Notes {
///     #[on("whoami")]
///     fn whoami(&self, user: User) -> String {
///         user.id().to_owned()
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User(Arc<str>);

impl User {
    /// The user's key, as in the room `user.{id}`.
    pub fn id(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UserKey for User {
    fn user_key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

impl FromEvent for Option<User> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(context.identity().user_id().map(|id| User(id.into())))
    }
}

impl FromEvent for User {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Option::<Self>::from_event(context).await?.ok_or_else(EventError::unauthenticated)
    }
}

impl FromEvent for Option<Session> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        let identity = context.identity();
        let identities = &context.socket.channel.services.identities;
        Ok(identity.session_id().and_then(|id| identities.session(id)).map(Session::from))
    }
}

/// The session as HTTP handlers have it, read from the store on first use. Rejects with `unauthenticated` if the socket
/// has none.
impl FromEvent for Session {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Option::<Self>::from_event(context).await?.ok_or_else(EventError::unauthenticated)
    }
}
