//! Handles the control messages of other nodes, and of processes that serve no sockets.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;

use super::{Inner, Sockets};
use crate::{
    backplane::{Message, Question},
    channel::{count_missed, sockets_for_others},
    error::{Error, Result},
    telemetry::{Cause, refused},
};

/// Listens to the control channel until the service stops.
pub(super) async fn listen(sockets: &Sockets) -> Result {
    let inner = sockets.inner();
    let mut messages = inner.bus.listen().await.map_err(Error::backplane)?;
    let weak: Weak<Inner> = Arc::downgrade(inner);
    inner.background.spawn(async move {
        while let Some(message) = messages.next().await {
            let Some(inner) = weak.upgrade() else { return };
            handle_message(&inner, message).await;
        }
    });
    Ok(())
}

async fn handle_message(inner: &Inner, message: Message) {
    match message {
        Message::Session { id, moved_to } => {
            if let Err(error) = inner.session_sync.refresh_here(&id, moved_to.as_deref()).await {
                tracing::warn!(%error, "a session that changed on another node could not be read");
            }
        }
        Message::DisconnectUser { user } => {
            inner.session_sync.disconnect_user_here(&user);
        }
        Message::Ask { id, question: Question::Sockets { path, to, except } } => {
            let Some(core) = inner.namespaces.get(&path).map(|namespace| namespace.core.clone()) else { return };
            let bus = inner.bus.clone();
            // Not here, since messages that follow need not wait until it is sent.
            inner.background.spawn(async move {
                if let Err(error) = bus.answer(id, sockets_for_others(&core, to, except)).await {
                    tracing::warn!(%error, "another node has asked for sockets and could not be answered");
                }
            });
        }
        // They go to whoever has asked.
        Message::Answer { .. } => {}
        Message::Published { keys } => {
            if let Some(publisher) = &inner.publisher {
                publisher.remember(keys);
            }
        }
        Message::Emit { path, to, except, payload, attachments } => {
            let Some(namespace) = inner.namespaces.get(&path).and_then(|namespace| namespace.core.namespace().ok())
            else {
                return;
            };
            match namespace.emit_encoded(payload, &attachments, to, except) {
                Ok(missed) => {
                    count_missed(&path, "an emit of another process", missed);
                }
                Err(reason) => refused(Cause::BackplanePacket, &format!("an emit on the control channel: {reason}")),
            }
        }
    }
}
