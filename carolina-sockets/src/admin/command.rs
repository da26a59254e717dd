//! What the Admin UI asks: each node carries it out for its own sockets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::find;
use crate::{
    channel::checked,
    core::{ChannelCore, SocketState, end},
    engine::{DisconnectReason, Recipients, SocketId, encode_event},
    extract::Args,
};

/// What one of the page's buttons does.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    Emit {
        path: String,
        to: Option<String>,
        event: String,
        arguments: Vec<Json>,
    },
    Join {
        path: String,
        to: Option<String>,
        room: String,
    },
    Leave {
        path: String,
        to: Option<String>,
        room: String,
    },
    /// With `close`, from all channels.
    Disconnect {
        path: String,
        to: Option<String>,
        close: bool,
    },
}

impl Command {
    /// Reads an event of the page.
    pub(super) fn read(packet: &str) -> Option<Self> {
        let packet: Vec<Json> = serde_json::from_str(packet).ok()?;
        let text = |at: usize| packet.get(at).and_then(Json::as_str).map(str::to_owned);
        // An empty filter is none, as with the official server.
        let filter = |at: usize| text(at).filter(|filter| !filter.is_empty());
        let path = text(1)?;
        match packet.first()?.as_str()? {
            "emit" => {
                let arguments = packet.get(4..).unwrap_or_default().to_vec();
                Some(Self::Emit { path, to: filter(2), event: text(3)?, arguments })
            }
            "join" => Some(Self::Join { path, to: filter(3), room: text(2)? }),
            "leave" => Some(Self::Leave { path, to: filter(3), room: text(2)? }),
            "_disconnect" => {
                let close = packet.get(2).and_then(Json::as_bool).unwrap_or(false);
                Some(Self::Disconnect { path, to: filter(3), close })
            }
            _ => None,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Emit { path, .. }
            | Self::Join { path, .. }
            | Self::Leave { path, .. }
            | Self::Disconnect { path, .. } => path,
        }
    }

    /// Carries it out for the sockets of this node.
    pub(super) async fn run(self, channels: &[Arc<ChannelCore>]) {
        let Some(core) = &find(channels, self.path()) else { return };
        match self {
            Self::Emit { to, event, arguments, .. } => {
                let arguments = Args(arguments);
                for core in core.each() {
                    emit(&core, to.as_deref(), &event, &arguments).await;
                }
            }
            Self::Join { to, room, .. } => {
                let Some(room) = own(&room) else { return };
                for socket in sockets(core, to.as_deref()) {
                    if let Some(raw) = socket.raw() {
                        socket.mailbox.if_open(|| raw.join(vec![room.clone()]));
                    }
                }
            }
            Self::Leave { to, room, .. } => {
                let Some(room) = own(&room) else { return };
                for raw in sockets(core, to.as_deref()).iter().filter_map(|socket| socket.raw()) {
                    raw.leave(vec![room.clone()]);
                }
            }
            Self::Disconnect { to, close, .. } => {
                for socket in sockets(core, to.as_deref()) {
                    // A client has the same id on all channels. The connection is then the client's to close, once it has
                    // read that it is on none.
                    let each = channels.iter().flat_map(|core| core.each());
                    let others = each.filter(|other| close && !Arc::ptr_eq(other, core));
                    let all = others.filter_map(|other| other.socket(socket.id)).chain([socket.clone()]);
                    for socket in all {
                        if let Some(raw) = socket.raw() {
                            end(&socket, &raw, DisconnectReason::ServerDisconnect);
                        }
                    }
                }
            }
        }
    }
}

/// The room, unless it is the library's own.
fn own(room: &str) -> Option<String> {
    match checked(room) {
        Ok(_) => Some(room.to_owned()),
        Err(error) => {
            tracing::warn!(%error, "the Admin UI");
            None
        }
    }
}

/// The socket with this id, or those in this room, or all.
fn sockets(core: &Arc<ChannelCore>, to: Option<&str>) -> Vec<Arc<SocketState>> {
    match to {
        None => core.sockets(),
        Some(to) => match by_id(core, to) {
            Some(socket) => vec![socket],
            None => core.in_room(to),
        },
    }
}

fn by_id(core: &Arc<ChannelCore>, text: &str) -> Option<Arc<SocketState>> {
    let id = text.parse::<SocketId>().ok()?;
    core.each().iter().find_map(|core| core.socket(id))
}

/// Emits to the sockets of one channel or instance.
async fn emit(core: &Arc<ChannelCore>, to: Option<&str>, event: &str, arguments: &Args<Vec<Json>>) {
    let packet = match encode_event(event, arguments) {
        Ok((packet, _)) => packet,
        Err(error) => return tracing::warn!(%error, "the Admin UI"),
    };
    if let Some(socket) = to.and_then(|to| by_id(core, to)) {
        if socket.raw().is_some_and(|raw| raw.emit(event, arguments).is_ok()) {
            core.services.observed.tell(|observer| observer.sent(&socket, &packet));
        }
        return;
    }
    let mut recipients = Recipients::all();
    recipients.local_only();
    if let Some(room) = to {
        recipients.add_rooms(vec![room.to_owned()]);
    }
    let Ok(namespace) = core.namespace() else { return };
    match namespace.emit(event, arguments, &recipients).await {
        Ok(_) => core.services.observed.tell(|observer| observer.broadcast(core, &recipients, &packet)),
        Err(error) => tracing::warn!(%error, "the Admin UI"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r27_the_events_of_the_page_are_read() {
        let some = |text: &str| Some(text.to_owned());
        for (packet, command) in [
            (
                r#"["emit","/a",null,"hi",1,{"b":2}]"#,
                Command::Emit {
                    path: "/a".to_owned(),
                    to: None,
                    event: "hi".to_owned(),
                    arguments: vec![1.into(), serde_json::json!({ "b": 2 })],
                },
            ),
            (r#"["join","/a","r","f"]"#, Command::Join { path: "/a".to_owned(), to: some("f"), room: "r".to_owned() }),
            (r#"["leave","/a","r",""]"#, Command::Leave { path: "/a".to_owned(), to: None, room: "r".to_owned() }),
            (r#"["_disconnect","/a",true]"#, Command::Disconnect { path: "/a".to_owned(), to: None, close: true }),
        ] {
            assert_eq!(Command::read(packet), Some(command), "{packet}");
        }
        for packet in [r#"["emit"]"#, r#"["emit","/a"]"#, r#"["join","/a",5]"#, r#"["other","/a"]"#, "{}", ""] {
            assert_eq!(Command::read(packet), None, "{packet}");
        }
    }
}
