use std::{any::type_name, fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{EventContext, FromEvent, Needs};
use crate::{
    core::SocketState,
    error::{EventError, Result},
    identity::UserKey,
    presence::{Present, read, write},
};

/// Who is on the channel, and this socket's own entry (rule R20). The channel is declared with `presence`; `T`, a struct with fields, is what clients
/// see of each socket.
///
/// A socket has one entry. Sockets with the same key, such as the tabs of one user, are one who is present: the key joins with its first socket
/// and leaves with its last. A socket that leaves takes its entry along. One whose connection is lost is listed for a while longer
/// (`presence(linger = "15s")`, setting `presence.linger`): if its client comes back in that time, to whichever node, and is tracked
/// under the same key, nobody has left.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// struct Viewer {
///     name: String,
///     typing: bool,
/// }
///
/// #[channel("/rooms", presence)]
/// #[derive(Default)]
/// struct Rooms;
///
/// #[channel]
/// impl Rooms {
///     #[on(connect)]
///     async fn joined(&self, presence: Presence<Viewer>, user: User) -> Result<(), EventError> {
///         presence.track(user.id(), &Viewer { name: user.id().to_owned(), typing: false }).await?;
///         Ok(())
///     }
///
///     #[on("typing")]
///     async fn typing(&self, presence: Presence<Viewer>, Data(typing): Data<bool>) -> Result<(), EventError> {
///         presence.update(|viewer| viewer.typing = typing).await?;
///         Ok(())
///     }
///
///     #[on("count")]
///     async fn count(&self, presence: Presence<Viewer>) -> Result<usize, EventError> {
///         Ok(presence.list().await?.len())
///     }
/// }
/// ```
pub struct Presence<T> {
    socket: Arc<SocketState>,
    shown: PhantomData<fn() -> T>,
}

impl<T> Presence<T> {
    fn path(&self) -> &str {
        &self.socket.channel.path
    }
}

impl<T: Serialize + DeserializeOwned> Presence<T> {
    /// Lists this socket under a key: a user, or any text or number that tells apart who is meant. Called again, it replaces the entry. An entry whose key is
    /// the socket's user ends when the session changes its user.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`](crate::Error::Presence) when `meta` is not an object with fields, has more bytes than `presence.max_meta` (4096)
    /// together with the key, or when the socket has left the channel.
    pub async fn track(&self, key: impl UserKey, meta: &T) -> Result {
        let meta = write(self.path(), meta)?;
        let socket = self.socket.presence_id();
        self.socket.channel.services.presences.track(self.path(), socket, &key.user_key(), meta)
    }

    /// Changes what is shown of this socket. Clients see the old entry leave and the new one join, in one message; for the
    /// front-end package that is neither a leave nor a join. Nothing is sent when nothing changes.
    ///
    /// The function should be quick: other changes on the channel wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`](crate::Error::Presence) when the socket is not tracked, or as [`track`](Self::track).
    pub async fn update(&self, change: impl FnOnce(&mut T)) -> Result {
        let path = self.path();
        self.socket.channel.services.presences.update(path, self.socket.presence_id(), |meta| {
            let mut value = read(path, meta)?;
            change(&mut value);
            write(path, &value)
        })
    }

    /// Takes this socket off the list. Nothing happens if it is not on it.
    ///
    /// # Errors
    ///
    /// None at present.
    pub async fn untrack(&self) -> Result {
        self.socket.channel.services.presences.untrack(self.path(), self.socket.presence_id());
        Ok(())
    }

    /// Who is on the channel, on every node, by key in alphabetical order; see
    /// [`ChannelPresence::list`](crate::ChannelPresence::list).
    ///
    /// # Errors
    ///
    /// [`Error::Presence`](crate::Error::Presence) when what was tracked does not read as a `T`.
    pub async fn list(&self) -> Result<Vec<Present<T>>> {
        self.socket.channel.services.presences.list(self.path())
    }
}

impl<T> Clone for Presence<T> {
    fn clone(&self) -> Self {
        Self { socket: self.socket.clone(), shown: PhantomData }
    }
}

impl<T> fmt::Debug for Presence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presence").field(&self.path()).finish()
    }
}

impl<T: Serialize + DeserializeOwned + 'static> FromEvent for Presence<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        if context.socket.channel.linger.is_none() {
            let channel = &context.socket.channel.path;
            return Err(EventError::internal(format!("`{channel}` is declared without `presence`")));
        }
        Ok(Self { socket: context.socket.clone(), shown: PhantomData })
    }

    fn needs(needs: &mut Needs) {
        needs.presence = Some(type_name::<T>());
    }
}
