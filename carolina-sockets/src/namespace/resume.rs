//! Clients that have asked to be given what they miss: they are answered once they have it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::enter as enter_channel;
use crate::{
    core::{SocketState, end},
    dispatch::HandlerTable,
    engine::{DisconnectReason, EngineSocket},
    resume::{Gap, Replay, ReplayStatus},
};

/// How long to wait for a client's buffer to have room again.
const PAUSE: Duration = Duration::from_millis(2);

/// Answers a client's CONNECT, after what it has missed, and lets it in.
pub(super) fn enter(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket) {
    let Some(subscriber) = &socket.resume else { return };
    if !subscriber.log.is_shared() {
        return enter_with(table, socket, raw, None);
    }
    let (table, socket, raw) = (table.clone(), socket.clone(), raw.clone());
    socket.channel.tasks.clone().spawn(async move {
        let Some(subscriber) = &socket.resume else { return };
        let (bus, rooms) = (&socket.channel.services.bus, socket.identity().rooms());
        let refused = subscriber.log.claim_session(bus, subscriber, &socket.owner(), rooms).await;
        // One that has left in between would take the place of the next.
        if !socket.mailbox.is_closed() {
            enter_with(&table, &socket, &raw, refused);
        }
    });
}

/// The same, when it is known whether the server between the nodes has the client; `refused` is why it does not give it.
fn enter_with(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket, refused: Option<Gap>) {
    let (Some(subscriber), Ok(namespace)) = (&socket.resume, socket.channel.namespace()) else { return };
    let Some(mut replay) = subscriber.log.begin_resume(namespace, subscriber, raw, socket.owner(), refused) else {
        return;
    };
    if let Some(former) = replay.former.and_then(|former| socket.channel.socket(former)) {
        end_former(&former, socket);
    }
    match replay_missed(socket, raw, &mut replay) {
        ReplayStatus::Done => enter_channel(table, socket, raw),
        ReplayStatus::Left => subscriber.log.abandon(subscriber, socket.id),
        ReplayStatus::Failed => give_up(socket, raw),
        ReplayStatus::Full => {
            let (table, socket, raw) = (table.clone(), socket.clone(), raw.clone());
            socket.channel.tasks.clone().spawn(async move { continue_replay(&table, &socket, &raw, replay).await });
        }
    }
}

/// The rest of it, as the client reads.
async fn continue_replay(table: &Arc<HandlerTable>, socket: &Arc<SocketState>, raw: &EngineSocket, mut replay: Replay) {
    let until = Instant::now() + socket.channel.limits.send_timeout;
    while Instant::now() < until && socket.client.is_alive() && !socket.mailbox.is_closed() {
        tokio::time::sleep(PAUSE).await;
        match replay_missed(socket, raw, &mut replay) {
            ReplayStatus::Done => return enter_channel(table, socket, raw),
            ReplayStatus::Left | ReplayStatus::Failed => break,
            ReplayStatus::Full => {}
        }
    }
    give_up(socket, raw);
}

/// Closes the connection of a client that does not read what it has missed, so that it tries again.
fn give_up(socket: &Arc<SocketState>, raw: &EngineSocket) {
    match &socket.resume {
        Some(subscriber) if socket.mailbox.is_closed() => subscriber.log.abandon(subscriber, socket.id),
        _ => raw.cut(),
    }
}

fn replay_missed(socket: &Arc<SocketState>, raw: &EngineSocket, replay: &mut Replay) -> ReplayStatus {
    let (Some(subscriber), Ok(namespace)) = (&socket.resume, socket.channel.namespace()) else {
        return ReplayStatus::Failed;
    };
    let identity = socket.identity();
    subscriber.log.replay(namespace, subscriber, raw, replay, |mut rooms, enter| {
        // Those of its session and user it has already, as they are now.
        let (own, reserved) = (identity.rooms(), crate::identity::is_reserved);
        rooms.retain(|room| own.contains(room) || !reserved(room));
        socket.mailbox.if_open(|| {
            raw.join(rooms);
            enter();
        })
    })
}

/// Ends the socket of a client that has come back on another: its connection is lost, which has not been noticed yet.
fn end_former(former: &Arc<SocketState>, socket: &Arc<SocketState>) {
    let Some(raw) = former.raw() else { return };
    end(former, &raw, DisconnectReason::TransportClose);
    if !Arc::ptr_eq(&former.client, &socket.client)
        && let Some(engine) = socket.channel.services.engine()
    {
        engine.close_client(&former.client);
    }
}
