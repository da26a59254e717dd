//! Who else is told what happens to sockets.

use std::sync::Arc;
#[cfg(feature = "admin")]
use std::sync::OnceLock;

use super::{ChannelCore, SocketState};
use crate::engine::{DisconnectReason, EventPayload, Recipients};

/// Is told what happens to the sockets of this node. Nothing of it may wait: most is called under locks.
#[cfg_attr(not(feature = "admin"), allow(dead_code, reason = "nobody else is told"))]
pub(crate) trait Observer: Send + Sync {
    /// A socket is on its channel.
    fn connected(&self, socket: &Arc<SocketState>);

    /// It has left.
    fn disconnected(&self, socket: &SocketState, reason: DisconnectReason);

    /// It has sent an event.
    fn received(&self, socket: &SocketState, event: &EventPayload);

    /// It was sent an event; `packet` is the JSON array of its name and arguments.
    fn sent(&self, socket: &SocketState, packet: &str);

    /// The same for several.
    fn broadcast(&self, channel: &Arc<ChannelCore>, recipients: &Recipients, packet: &str);
}

/// The observer of a service, if it has one.
#[derive(Default)]
pub(crate) struct Observed(#[cfg(feature = "admin")] OnceLock<Arc<dyn Observer>>);

#[cfg(feature = "admin")]
impl Observed {
    /// Set once.
    pub(crate) fn set(&self, observer: Arc<dyn Observer>) {
        let _ = self.0.set(observer);
    }

    /// Tells the observer, if there is one.
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = self.0.get() {
            what(&**observer);
        }
    }
}

#[cfg(not(feature = "admin"))]
impl Observed {
    /// Without the feature there is nobody to tell.
    pub(crate) fn tell(&self, _: impl FnOnce(&dyn Observer)) {}
}
