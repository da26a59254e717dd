//! Handles the control messages of other nodes, and of processes that serve no sockets.

use std::sync::{Arc, Weak};

use futures_util::StreamExt;

use super::{Inner, Sockets};
use crate::{
    backplane::{AppendNotification, Message, Question},
    channel::{count_missed, disconnect_for_others, instances_for_others, sockets_for_others},
    core::{ChannelCore, end},
    engine::{DisconnectReason, EncodedPayload, Recipients},
    error::{Error, Result},
    resume::EncodedEntry,
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

/// Follows the logs of the server between the nodes until the service stops, if any channel has one.
pub(super) async fn follow_logs(sockets: &Sockets) -> Result {
    let inner = sockets.inner();
    let Some(log) = inner.services.resumes.shared_log() else { return Ok(()) };
    let mut notifications = log.notifications().await.map_err(Error::backplane)?;
    let weak: Weak<Inner> = Arc::downgrade(inner);
    inner.background.spawn(async move {
        while let Some(notification) = notifications.next().await {
            let Some(inner) = weak.upgrade() else { return };
            // Where nobody is on an instance, and nobody may come back, nobody needs it.
            let Some(core) = inner.core(&notification.path) else { continue };
            match &core.resume {
                Some(log) => log.receive(notification),
                // It is turned off on this node.
                None => deliver_without_log(&core, &notification),
            }
        }
    });
    Ok(())
}

/// Sends an event to this node's clients of a channel that has no log here.
fn deliver_without_log(core: &ChannelCore, notification: &AppendNotification) {
    let Some(Ok((payload, recipients))) = notification.entry.as_deref().map(EncodedEntry::decode_event) else { return };
    if let Some(recipients) = recipients {
        count_missed(
            core.label(),
            "an emit of another node",
            core.emit_here(&payload, &recipients).unwrap_or_default(),
        );
    }
}

/// Ends the socket of a client that has come back to another node. Returns its rooms; `None` if it is not here, or not yet, or is just leaving.
fn let_go(inner: &Inner, path: &str, pid: &str, claim: u64) -> Option<Vec<String>> {
    let (socket, rooms) = inner.services.resumes.at(path).and_then(|log| log.release_session(pid, claim))?;
    let socket = socket.and_then(|id| inner.core(path)?.socket(id));
    if let Some(socket) = socket
        && let Some(raw) = socket.raw()
    {
        socket.set_moved();
        end(&socket, &raw, DisconnectReason::TransportClose);
        if let Some(engine) = &inner.engine {
            engine.close_client(&socket.client);
        }
    }
    rooms
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
                Question::Moved { path, pid, from, claim } if from == inner.bus.node() => {
                    vec![serde_json::to_string(&let_go(inner, &path, &pid, claim)).unwrap_or_default()]
                }
                Question::Moved { .. } => return,
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
        Message::Emit { path, to, except, payload, attachments, logged } => {
            let Some(core) = inner.core(&path) else { return };
            let mut missed = 0;
            let payload = match EncodedPayload::from_texts(payload, &attachments) {
                Ok(payload) => payload,
                Err(reason) => {
                    return refused(Cause::BackplanePacket, &format!("an emit on the control channel: {reason}"));
                }
            };
            let recipients = Recipients::in_rooms(to, except);
            for channel in core.each_kept().into_iter().filter(|channel| !logged.contains(&channel.path)) {
                missed += channel.emit_here(&payload, &recipients).unwrap_or_default();
            }
            count_missed(core.label(), "an emit of another process", missed);
        }
    }
}
