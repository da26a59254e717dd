//! What the Admin UI is shown of a socket: nothing by which anybody could act as its client.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderMap;
use serde_json::{Map, Value as Json, json};

use crate::{
    config::Transport,
    core::SocketState,
    engine::{DisconnectReason, EventPayload},
    guard::is_secure,
    identity::mask_room,
};

/// What is shown in place of a secret.
const HIDDEN: &str = "***";

/// The headers that are shown. Others may hold secrets, whatever their names.
const HEADERS: [&str; 14] = [
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "dnt",
    "origin",
    "pragma",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// The parameters of the query that are shown: those of Engine.IO, but for `sid`.
const PARAMETERS: [&str; 4] = ["EIO", "transport", "t", "b64"];

/// How many characters of a client's id are shown.
const CLIENT_ID: usize = 12;

/// The event by which a client presents its session.
const SESSION_EVENT: &str = "session_id";

/// Packets that are larger are shown by their size.
const MOST_BYTES: usize = 16 * 1024;

/// A socket. `None` once it has left.
pub(super) fn socket(socket: &SocketState) -> Option<Json> {
    let (id, request) = (socket.id.to_string(), socket.client.request());
    let query = query(request.uri.query().unwrap_or_default());
    let shown: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let parameters: Map<String, Json> = query.into_iter().map(|(name, value)| (name, value.into())).collect();
    let issued = socket.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Some(json!({
        "id": id,
        "clientId": id.chars().take(CLIENT_ID).collect::<String>(),
        "transport": transport(socket.client.transport()),
        "nsp": socket.channel.path,
        "data": { "userId": socket.identity().user_id() },
        "handshake": {
            "address": socket.client.address().to_string(),
            "headers": headers(&request.headers),
            "query": parameters,
            "issued": u64::try_from(issued).unwrap_or_default(),
            "secure": is_secure(request, &[]),
            "time": time(socket.since),
            "url": format!("{}?{}", request.uri.path(), shown.join("&")),
            "xdomain": request.headers.contains_key(http::header::ORIGIN),
        },
        "rooms": rooms(socket)?,
    }))
}

/// The rooms of a socket, with the one of its own that official servers put it into. `None` once it has left.
pub(super) fn rooms(socket: &SocketState) -> Option<BTreeSet<String>> {
    let rooms = socket.raw()?.rooms().into_iter().filter(|room| !room.starts_with('\0'));
    Some(rooms.map(|room| mask_room(&room).into_owned()).chain([socket.id.to_string()]).collect())
}

pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Polling => "polling",
        Transport::Websocket => "websocket",
    }
}

/// A time as JavaScript writes it.
pub(super) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn headers(headers: &HeaderMap) -> Map<String, Json> {
    let show = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let shown =
            if HEADERS.contains(&name.as_str()) { String::from_utf8_lossy(value.as_bytes()) } else { HIDDEN.into() };
        (name.as_str().to_owned(), shown.into())
    };
    headers.iter().map(show).collect()
}

fn query(text: &str) -> Vec<(String, String)> {
    let show = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let value = if PARAMETERS.contains(&&*name) { value.into_owned() } else { HIDDEN.to_owned() };
        (name.into_owned(), value)
    };
    form_urlencoded::parse(text.as_bytes()).map(show).collect()
}

/// The name and arguments of an event that a client has sent.
pub(super) fn received(event: &EventPayload) -> Json {
    match event.event_name() {
        Some(SESSION_EVENT) => json!([SESSION_EVENT, HIDDEN]),
        name if event.bytes() > MOST_BYTES => too_large(name.unwrap_or_default(), event.bytes()),
        _ => packet(event.text()),
    }
}

/// The name and arguments in a packet.
pub(super) fn packet(text: &str) -> Json {
    let name = || serde_json::from_str::<Vec<Json>>(text).ok().and_then(|all| Some(all.first()?.as_str()?.to_owned()));
    if text.len() > MOST_BYTES {
        return too_large(&name().unwrap_or_default(), text.len());
    }
    serde_json::from_str(text).unwrap_or_else(|_| json!([]))
}

fn too_large(name: &str, bytes: usize) -> Json {
    json!([name, format!("{bytes} bytes, which are not shown")])
}

/// A reason in the words of the official server, where it has some.
pub(super) fn reason(reason: DisconnectReason) -> String {
    match reason {
        DisconnectReason::TransportClose => "transport close".to_owned(),
        DisconnectReason::TransportError => "transport error".to_owned(),
        DisconnectReason::HeartbeatTimeout => "ping timeout".to_owned(),
        DisconnectReason::ClientLeft => "client namespace disconnect".to_owned(),
        DisconnectReason::ServerDisconnect => "server namespace disconnect".to_owned(),
        DisconnectReason::ServerShutdown => "server shutting down".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r27_secrets_of_the_handshake_are_hidden() {
        let mut all = HeaderMap::new();
        for name in ["cookie", "authorization", "x-api-key", "proxy-authorization", "referer", "host"] {
            all.insert(name, "secret".parse().unwrap());
        }
        let shown = headers(&all);
        assert_eq!(shown["host"], "secret");
        assert_eq!(shown.values().filter(|value| **value == HIDDEN).count(), 5, "{shown:?}");
        let shown = query("EIO=4&transport=polling&sid=secret&token=secret&ticket=a%20b");
        let text = format!("{shown:?}");
        assert!(!text.contains("secret") && !text.contains("a b"), "{text}");
        assert_eq!(shown[0], ("EIO".to_owned(), "4".to_owned()));
    }

    #[test]
    fn r27_a_session_that_is_presented_is_hidden() {
        let event = EventPayload::from_text(r#"["session_id","s3cret"]"#);
        assert_eq!(received(&event), json!(["session_id", "***"]));
        let event = EventPayload::from_text(r#"["say",{"a":1},2]"#);
        assert_eq!(received(&event), json!(["say", { "a": 1 }, 2]));
        let long = format!(r#"["say","{}"]"#, "x".repeat(MOST_BYTES));
        assert!(received(&EventPayload::from_text(&long)).to_string().len() < 100);
        assert!(packet(&long).to_string().len() < 100);
    }
}
