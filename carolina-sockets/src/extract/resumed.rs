use std::ops::Deref;

use super::{EventContext, FromEvent};
use crate::{
    error::{EventError, Result},
    resume::Resumption,
};

/// Whether a client has come back and been given what it missed, for `#[on(connect)]` of a channel with `resume` (rule R23): read as an `Option`.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/feed", resume)]
/// #[derive(Default)]
/// struct Feed;
///
/// #[channel]
/// impl Feed {
///     #[on(connect)]
///     async fn connect(&self, socket: Socket, resumed: Resumed) -> Result<(), EventError> {
///         match *resumed {
///             Some(resumed) => println!("it was away since {:?} and missed {} events", resumed.since, resumed.events),
///             None => socket.emit("state", "all of it").await?,
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumed(pub Option<Resumption>);

impl Deref for Resumed {
    type Target = Option<Resumption>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromEvent for Resumed {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        Ok(Self(context.socket.resume.as_ref().and_then(|asking| asking.resumed())))
    }
}
