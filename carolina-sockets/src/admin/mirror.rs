//! What happens to sockets, shown to the pages of the Admin UI in development mode.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use serde_json::{Value as Json, json};

use super::{Outbox, ToNodes, view};
use crate::{
    background::Background,
    backplane::{Bus, Message},
    config::Transport,
    core::{ChannelCore, Observer, SocketState},
    engine::{DisconnectReason, EventPayload, Recipients, SocketId},
};

/// How often rooms and transports are looked at. They are not told of each change, since most are made by the adapters.
const LOOK: Duration = Duration::from_millis(250);

/// The observer of the service.
pub(super) struct Mirror {
    outbox: Outbox,
    bus: Bus,
    background: Background,
    known: Mutex<HashMap<(String, SocketId), Known>>,
}

/// What the pages were shown of a socket.
struct Known {
    rooms: BTreeSet<String>,
    transport: Transport,
}

impl Mirror {
    pub(super) fn new(outbox: Outbox, bus: Bus, background: Background) -> Self {
        Self { outbox, bus, background, known: Mutex::default() }
    }

    /// Shows changes of rooms and transports, again and again.
    pub(super) async fn look(self: Arc<Self>, channels: Vec<Arc<ChannelCore>>) {
        loop {
            tokio::time::sleep(LOOK).await;
            for socket in channels.iter().flat_map(|core| core.sockets()) {
                self.compare(&socket);
            }
        }
    }

    fn compare(&self, socket: &SocketState) {
        let Some(rooms) = view::rooms(socket) else { return };
        let mut known = self.known.lock();
        let Some(known) = known.get_mut(&key(socket)) else { return };
        let (path, id) = (&socket.channel.path, socket.id);
        for room in rooms.difference(&known.rooms) {
            self.outbox.show("room_joined", vec![json!(path), json!(room), json!(id), now()]);
        }
        for room in known.rooms.difference(&rooms) {
            self.outbox.show("room_left", vec![json!(path), json!(room), json!(id), now()]);
        }
        known.rooms = rooms;
        let transport = socket.client.transport();
        if transport != known.transport {
            known.transport = transport;
            let transport = view::transport(transport);
            self.outbox.show("socket_updated", vec![json!({ "id": id, "nsp": path, "transport": transport })]);
        }
    }

    /// Shows that the recipients on this node were sent an event.
    pub(super) fn sent_here(&self, channel: &Arc<ChannelCore>, recipients: &Recipients, packet: &Json) {
        for channel in channel.each() {
            let Ok(namespace) = channel.namespace() else { continue };
            for id in namespace.local_sockets(recipients) {
                self.outbox.show("event_sent", vec![json!(channel.path), json!(id), packet.clone(), now()]);
            }
        }
    }
}

fn key(socket: &SocketState) -> (String, SocketId) {
    (socket.channel.path.clone(), socket.id)
}

fn now() -> Json {
    view::time(SystemTime::now()).into()
}

impl Observer for Mirror {
    fn connected(&self, socket: &Arc<SocketState>) {
        let (Some(shown), Some(rooms)) = (view::socket(socket), view::rooms(socket)) else { return };
        self.known.lock().insert(key(socket), Known { rooms, transport: socket.client.transport() });
        self.outbox.show("socket_connected", vec![shown, now()]);
    }

    fn disconnected(&self, socket: &SocketState, reason: DisconnectReason) {
        let Some(known) = self.known.lock().remove(&key(socket)) else { return };
        let (path, id) = (&socket.channel.path, socket.id);
        for room in &known.rooms {
            self.outbox.show("room_left", vec![json!(path), json!(room), json!(id), now()]);
        }
        self.outbox.show("socket_disconnected", vec![json!(path), json!(id), json!(view::reason(reason)), now()]);
    }

    fn received(&self, socket: &SocketState, event: &EventPayload) {
        let event = view::received(event);
        self.outbox.show("event_received", vec![json!(socket.channel.path), json!(socket.id), event, now()]);
    }

    fn sent(&self, socket: &SocketState, packet: &str) {
        let event = view::packet(packet);
        self.outbox.show("event_sent", vec![json!(socket.channel.path), json!(socket.id), event, now()]);
    }

    fn broadcast(&self, channel: &Arc<ChannelCore>, recipients: &Recipients, packet: &str) {
        let packet = view::packet(packet);
        self.sent_here(channel, recipients, &packet);
        if recipients.is_local() || !self.bus.has_backplane() {
            return;
        }
        let owned = |rooms: &mut dyn Iterator<Item = &str>| rooms.map(str::to_owned).collect();
        let (mut to, mut except) = recipients.rooms();
        let sent = ToNodes::Sent { path: channel.path.clone(), to: owned(&mut to), except: owned(&mut except), packet };
        let (bus, text) = (self.bus.clone(), serde_json::to_string(&sent).unwrap_or_default());
        self.background.spawn(async move {
            // What is lost on the backplane is logged there.
            let _ = bus.publish(Message::Admin { text }).await;
        });
    }
}
