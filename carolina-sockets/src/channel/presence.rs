use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::ChannelHandle;
use crate::{
    core::ChannelCore,
    error::{Error, Result},
    identity::UserKey,
    presence::{Present, read, write},
};

/// Who is on a channel, from anywhere in an application (rule R20); see [`ChannelHandle::presence`](crate::ChannelHandle::presence). Cheap to clone.
///
/// ```no_run
/// use carolina_sockets::{Present, prelude::*};
///
/// #[derive(Serialize, Deserialize)]
/// struct Viewer {
///     name: String,
/// }
///
/// # async fn example() -> carolina_sockets::Result {
/// let here: Vec<Present<Viewer>> = carolina_sockets::sockets().channel("/rooms")?.presence().list().await?;
/// for Present { key, metas, .. } in here {
///     println!("{key} is here {} times, as {}", metas.len(), metas[0].name);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ChannelPresence {
    channel: ChannelHandle,
}

impl ChannelPresence {
    pub(super) fn new(channel: ChannelHandle) -> Self {
        Self { channel }
    }

    /// Who is on the channel, on every node, by key in alphabetical order. Every node knows the whole list, so that nobody is asked; what other
    /// nodes have told in the last moment (`presence.batch`, 50 ms by default) may be missing. For a path with parameters,
    /// `sockets.of::<Rooms>()?.at(7).presence()` is one room, and without [`at`](ChannelHandle::at) it is all of them together.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when the channel is not declared with `presence`, or what was tracked does not read as a `T`;
    /// [`Error::Parameters`] when [`at`](ChannelHandle::at) was given what the path does not take.
    pub async fn list<T: DeserializeOwned>(&self) -> Result<Vec<Present<T>>> {
        let core = self.core()?;
        match core.template().filter(|_| core.is_template()) {
            Some(template) => core.services.presences.list_where(|path| template.matches(path)),
            None => core.services.presences.list(&core.path),
        }
    }

    /// Lists a key that no socket stands for: a robot, a device that is known by other means. It is listed until [`untrack`](Self::untrack), or until
    /// this node ends. Sockets with the same key have entries of their own beside it, and so has each node that calls this. Called again on the
    /// same node, it replaces the entry.
    ///
    /// ```no_run
    /// # use carolina_sockets::prelude::*;
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Viewer { name: String }
    /// # #[channel("/rooms/{id}", presence)]
    /// # #[derive(Default)]
    /// # struct Rooms;
    /// # async fn example() -> carolina_sockets::Result {
    /// let room = carolina_sockets::sockets().of::<Rooms>()?.at(7).presence();
    /// room.track("robot", &Viewer { name: "The robot".into() }).await?;
    /// room.update("robot", |viewer: &mut Viewer| viewer.name.push_str(" (busy)")).await?;
    /// room.untrack("robot").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when `meta` is not an object with fields, or has more bytes than `presence.max_meta` (4096) together with the key; when the
    /// channel is not declared with `presence`; when it has parameters and [`at`](ChannelHandle::at) does not say which instance is meant.
    /// [`Error::Parameters`] when [`at`](ChannelHandle::at) was given what the path does not take.
    pub async fn track<T: Serialize>(&self, key: impl UserKey, meta: &T) -> Result {
        let core = self.one()?;
        core.services.presences.track_outside(&core.path, &key.user_key(), write(&core.path, meta)?)
    }

    /// Changes what [`track`](Self::track) shows. Nothing is sent when nothing changes. The function should be quick: other changes on the
    /// channel wait for it.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] when the key was not tracked from outside on this node, or as [`track`](Self::track).
    pub async fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: impl UserKey,
        change: impl FnOnce(&mut T),
    ) -> Result {
        let core = self.one()?;
        core.services.presences.update_outside(&core.path, &key.user_key(), |meta| {
            let mut value = read(&core.path, meta)?;
            change(&mut value);
            write(&core.path, &value)
        })
    }

    /// Takes off the list what [`track`](Self::track) has put on it, on this node. The entries of sockets stay. Nothing happens if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Presence`] and [`Error::Parameters`] as for [`track`](Self::track).
    pub async fn untrack(&self, key: impl UserKey) -> Result {
        let core = self.one()?;
        core.services.presences.untrack_outside(&core.path, &key.user_key());
        Ok(())
    }

    fn core(&self) -> Result<&ChannelCore> {
        self.channel.check()?;
        let core = &*self.channel.core;
        match core.linger {
            Some(_) => Ok(core),
            None => {
                Err(self.refused("the channel keeps no list of who is there: add `presence` to its `#[channel(…)]`"))
            }
        }
    }

    /// As [`core`](Self::core), for what is done on one list.
    fn one(&self) -> Result<&ChannelCore> {
        let core = self.core()?;
        if core.is_template() {
            return Err(self.refused("each instance has a list of its own: write `.at(…)` before `.presence()`"));
        }
        Ok(core)
    }

    fn refused(&self, reason: &str) -> Error {
        Error::Presence { path: self.channel.core.path.clone(), reason: reason.to_owned() }
    }
}

impl fmt::Debug for ChannelPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelPresence").field(&self.channel.path()).finish()
    }
}
