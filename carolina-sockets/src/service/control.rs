//! Does what other nodes, and processes without sockets, ask for.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;
use socketioxide_core::{
    adapter::{BroadcastFlags, BroadcastOptions, CoreAdapter},
    packet::Packet,
};

use super::{Inner, LEFT, Sockets};
use crate::{
    backplane::{Message, decode},
    error::{Error, Result},
    guard::{Cause, refused},
    identity::live,
};

/// Listens to the control channel until the service stops.
pub(super) async fn listen(sockets: &Sockets) -> Result {
    let inner = sockets.inner();
    let mut messages = inner.bus.listen().await.map_err(|error| Error::Backplane(error.to_string()))?;
    let (weak, stop): (Weak<Inner>, _) = (Arc::downgrade(inner), inner.stop.clone());
    tokio::spawn(async move {
        while let Some(Some(message)) = stop.run_until_cancelled(messages.next()).await {
            let Some(inner) = weak.upgrade() else { return };
            obey(&Sockets::from(inner), message).await;
        }
    });
    Ok(())
}

async fn obey(sockets: &Sockets, message: Message) {
    match message {
        Message::Session { id, moved_to } => {
            if let Err(error) = live::refresh_here(sockets, &id, moved_to.as_deref()).await {
                tracing::warn!(%error, "a session that changed on another node could not be read");
            }
        }
        Message::DisconnectUser { user } => {
            live::disconnect_user_here(sockets, &user);
        }
        Message::Emit { path, to, except, payload, attachments } => {
            let Some(backplane) = sockets.inner().mounts.get(&path).and_then(|mount| mount.backplane()) else { return };
            let Some(value) = decode(payload, &attachments) else {
                return refused(Cause::Backplane, "an emit on the control channel whose attachments are none");
            };
            let mut options = BroadcastOptions::default();
            options.add_flag(BroadcastFlags::Broadcast);
            options.rooms.extend(to.into_iter().map(Into::into));
            options.except.extend(except.into_iter().map(Into::into));
            options.except.push(LEFT.into());
            if let Err(missed) = backplane.get_local().broadcast(Packet::event(path.clone(), value), options) {
                crate::channel::count_missed(&path, "an emit of another process", missed.len());
            }
        }
    }
}
