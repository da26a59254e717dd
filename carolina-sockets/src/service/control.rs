//! Handles the control messages of other nodes, and of processes that serve no sockets.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;

use super::{Inner, Sockets};
use crate::{
    backplane::{Message, Question},
    channel::{count_missed, disconnect_for_others, instances_for_others, sockets_for_others},
    engine::{EncodedPayload, Recipients},
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
        Message::Admin { text } => super::admin::handle(inner, &text).await,
        Message::Ask { id, question } => {
            let parts = match question {
                // A node without the channel does not answer; one without that instance has no sockets.
                Question::Sockets { path, to, except } => match inner.core(&path) {
                    Some(core) => sockets_for_others(&core, to, except),
                    None if inner.template_of(&path).is_some() => vec!["[]".to_owned()],
                    None => return,
                },
                Question::Instances { path } => match inner.core(&path) {
                    Some(core) => instances_for_others(&core),
                    None => return,
                },
                Question::Admin => super::admin::sockets_for_others(inner),
            };
            let bus = inner.bus.clone();
            // Not here, since messages that follow need not wait until it is sent.
            inner.background.spawn(async move {
                if let Err(error) = bus.answer(id, parts).await {
                    tracing::warn!(%error, "another node's question could not be answered");
                }
            });
        }
        Message::Disconnect { path, to, except } => {
            if let Some(core) = inner.core(&path) {
                disconnect_for_others(&core, to, except);
            }
        }
        Message::Presence { from, news } => inner.services.presences.handle(from, news).await,
        // They go to whoever has asked or measures.
        Message::Answer { .. } | Message::Lag { .. } => {}
        Message::Published { keys } => {
            if let Some(publisher) = &inner.publisher {
                publisher.remember(keys);
            }
        }
        Message::Emit { path, to, except, payload, attachments } => {
            let Some(core) = inner.core(&path) else { return };
            let mut missed = 0;
            let payload = match EncodedPayload::from_texts(payload, &attachments) {
                Ok(payload) => payload,
                Err(reason) => {
                    return refused(Cause::BackplanePacket, &format!("an emit on the control channel: {reason}"));
                }
            };
            let recipients = Recipients::in_rooms(to, except);
            for channel in core.each_kept() {
                missed += channel.emit_here(&payload, &recipients).unwrap_or_default();
            }
            count_missed(core.label(), "an emit of another process", missed);
        }
    }
}
