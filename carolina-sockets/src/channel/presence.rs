use std::fmt;

use serde::de::DeserializeOwned;

use super::ChannelHandle;
use crate::{
    error::{Error, Result},
    presence::Present,
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
        self.channel.check()?;
        let core = &self.channel.core;
        if core.linger.is_none() {
            let reason = "the channel keeps no list of who is there: add `presence` to its `#[channel(…)]`".to_owned();
            return Err(Error::Presence { path: core.path.clone(), reason });
        }
        match core.template().filter(|_| core.is_template()) {
            Some(template) => core.services.presences.list_where(|path| template.matches(path)),
            None => core.services.presences.list(&core.path),
        }
    }
}

impl fmt::Debug for ChannelPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelPresence").field(&self.channel.path()).finish()
    }
}
