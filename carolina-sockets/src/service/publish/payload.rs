//! The messages in a request's body.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::Sockets;
use crate::{
    channel::{Broadcast, ChannelHandle, checked},
    error::{Error, code},
    event_name,
    suggest::did_you_mean,
};

/// The keys of a message.
const KEYS: [&str; 8] = ["channel", "rooms", "users", "sessions", "except", "event", "arguments", "idempotency_key"];
/// The keys of its `except`.
const EXCEPT_KEYS: [&str; 3] = ["rooms", "users", "sessions"];
/// The key of an object that stands for binary data.
const BASE64: &str = "$base64";
/// How many messages one request may have.
const MOST_MESSAGES: usize = 1000;
/// The bytes of an idempotency key, at most.
const LONGEST_KEY: usize = 128;

/// A message that has passed all checks.
pub(super) struct Emit {
    /// Its place in a batch.
    pub(super) index: Option<usize>,
    /// `None` if it is for rooms of which there are none.
    pub(super) to: Option<Broadcast>,
    pub(super) event: String,
    pub(super) arguments: Vec<Value>,
    pub(super) key: Option<String>,
}

/// What is wrong with a payload, and where.
#[derive(Debug)]
pub(super) struct Mistake {
    index: Option<usize>,
    path: String,
    problem: String,
}

impl Mistake {
    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "code": code::INVALID_PAYLOAD, "message": self.to_string(), "path": self.path });
        if let Some(index) = self.index {
            body["index"] = index.into();
        }
        body
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.problem),
            path => write!(f, "`{path}` {}", self.problem),
        }
    }
}

/// Reads one message or a list of them.
///
/// # Errors
///
/// Every mistake in every message; then nothing is emitted.
pub(super) fn read(sockets: &Sockets, body: &[u8]) -> Result<Vec<Emit>, Vec<Mistake>> {
    let whole = |problem: String| vec![Mistake { index: None, path: String::new(), problem }];
    let payload: Value =
        serde_json::from_slice(body).map_err(|error| whole(format!("the body is not JSON: {error}")))?;
    let messages = match payload {
        Value::Array(messages) if messages.len() > MOST_MESSAGES => {
            let problem =
                format!("there are {} messages, and may be {MOST_MESSAGES}: send several lists", messages.len());
            return Err(whole(problem));
        }
        Value::Array(messages) => messages.into_iter().enumerate().map(|(index, one)| (Some(index), one)).collect(),
        one => vec![(None, one)],
    };
    let (mut emits, mut mistakes) = (Vec::new(), Vec::new());
    for (index, message) in messages {
        let mut reader = Reader { sockets, index, mistakes: &mut mistakes };
        emits.extend(reader.message(message));
    }
    if mistakes.is_empty() { Ok(emits) } else { Err(mistakes) }
}

/// Reads one message.
struct Reader<'a> {
    sockets: &'a Sockets,
    index: Option<usize>,
    mistakes: &'a mut Vec<Mistake>,
}

impl Reader<'_> {
    /// `path` is below the message.
    fn mistake(&mut self, path: &str, problem: impl Into<String>) {
        let path = match (self.index, path) {
            (None, path) => path.to_owned(),
            (Some(index), "") => format!("[{index}]"),
            (Some(index), path) => format!("[{index}].{path}"),
        };
        self.mistakes.push(Mistake { index: self.index, path, problem: problem.into() });
    }

    fn message(&mut self, message: Value) -> Option<Emit> {
        let Value::Object(mut fields) = message else {
            let example = r#"{ "channel": "/news", "event": "headline", "arguments": ["it rains"] }"#;
            let what = if self.index.is_some() { "" } else { "the body " };
            self.mistake(
                "",
                format!("{what}is {}: write an object such as {example}, or a list of them", of_kind(&message)),
            );
            return None;
        };
        self.unknown_keys(&fields, "", &KEYS);
        let channel = self.channel(fields.get("channel"));
        let event = self.event(fields.get("event"));
        let key = self.idempotency_key(fields.get("idempotency_key"));
        let arguments = self.arguments(fields.remove("arguments"));
        let to = self.selection(&fields, "");
        let except = match fields.get("except") {
            Some(Value::Object(except)) => {
                self.unknown_keys(except, "except.", &EXCEPT_KEYS);
                self.selection(except, "except.")
            }
            Some(rooms) => Selection { rooms: Some(self.names(rooms, "except", Kind::Room)), ..Selection::default() },
            None => Selection::default(),
        };
        let to = select(&channel?, to, except);
        Some(Emit { index: self.index, to, event: event?, arguments, key })
    }

    fn unknown_keys(&mut self, fields: &Map<String, Value>, above: &str, known: &[&str]) {
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            let near = did_you_mean(key, known.iter().copied());
            let near = if near.is_empty() { format!("; there are {}", known.join(", ")) } else { near };
            self.mistake(&format!("{above}{key}"), format!("is unknown{near}"));
        }
    }

    fn channel(&mut self, value: Option<&Value>) -> Option<ChannelHandle> {
        match value {
            Some(Value::String(path)) => match self.sockets.channel(path) {
                Ok(channel) => return Some(channel),
                Err(error) => self.mistake("channel", format!("is `{path}`: {error}")),
            },
            Some(other) => {
                self.mistake("channel", format!("is {}: write a channel's path, as \"/news\"", of_kind(other)))
            }
            None => self.mistake("channel", "is missing: write a channel's path, as \"/news\""),
        }
        None
    }

    fn event(&mut self, value: Option<&Value>) -> Option<String> {
        match value {
            Some(Value::String(event)) => match event_name::instead_of(event) {
                Some(instead) => self.mistake("event", format!("is `{event}`, which Socket.IO reserves: {instead}")),
                None => return Some(event.clone()),
            },
            Some(other) => self.mistake("event", format!("is {}: write the event's name", of_kind(other))),
            None => self.mistake("event", "is missing: write the event's name"),
        }
        None
    }

    fn idempotency_key(&mut self, value: Option<&Value>) -> Option<String> {
        match value? {
            Value::String(key) if (1..=LONGEST_KEY).contains(&key.len()) => return Some(key.clone()),
            Value::String(key) => self.mistake(
                "idempotency_key",
                format!("has {} bytes: write 1 to {LONGEST_KEY}, a UUID for example", key.len()),
            ),
            other => {
                self.mistake("idempotency_key", format!("is {}: write a text, a UUID for example", of_kind(other)))
            }
        }
        None
    }

    fn arguments(&mut self, value: Option<Value>) -> Vec<Value> {
        match value {
            None => Vec::new(),
            Some(Value::Array(arguments)) => {
                for (number, argument) in arguments.iter().enumerate() {
                    self.binary(argument, &format!("arguments[{number}]"));
                }
                arguments
            }
            Some(other) => {
                self.mistake("arguments", format!("is {}: write a list, also for a single one", of_kind(&other)));
                Vec::new()
            }
        }
    }

    /// Checks the binary values in an argument.
    fn binary(&mut self, value: &Value, path: &str) {
        match value {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| self.binary(item, &format!("{path}[{at}]")));
            }
            Value::Object(fields) => match fields.get(BASE64) {
                Some(Value::String(text)) if fields.len() == 1 => {
                    if let Err(error) = STANDARD.decode(text) {
                        self.mistake(
                            &format!("{path}.{BASE64}"),
                            format!("is not base64 with the alphabet `+/` and padding: {error}"),
                        );
                    }
                }
                Some(_) => self.mistake(
                    path,
                    format!(
                        "has the key `{BASE64}`, which stands for binary data: write {{ \"{BASE64}\": \"…\" }} alone"
                    ),
                ),
                None => fields.iter().for_each(|(key, field)| self.binary(field, &format!("{path}.{key}"))),
            },
            _ => {}
        }
    }

    fn selection(&mut self, fields: &Map<String, Value>, above: &str) -> Selection {
        let mut names = |key: &str, kind: Kind| Some(self.names(fields.get(key)?, &format!("{above}{key}"), kind));
        Selection {
            rooms: names("rooms", Kind::Room),
            users: names("users", Kind::User),
            sessions: names("sessions", Kind::Session),
        }
    }

    /// A name or a list of names.
    fn names(&mut self, value: &Value, path: &str, kind: Kind) -> Vec<String> {
        let is_list = value.is_array();
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut names = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let path = if is_list { format!("{path}[{at}]") } else { path.to_owned() };
            match (item, kind) {
                (Value::String(text), Kind::Room) => match checked(text) {
                    Ok(room) => names.extend(room),
                    Err(Error::ReservedRoom { room, .. }) => {
                        let problem = format!(
                            "is `{room}`, a room of the library's own: name its user in `users`, its session in `sessions`"
                        );
                        self.mistake(&path, problem);
                    }
                    Err(error) => self.mistake(&path, format!("cannot be used: {error}")),
                },
                (Value::String(text), _) => names.push(text.clone()),
                (Value::Number(number), Kind::User) if !number.is_f64() => names.push(number.to_string()),
                (other, kind) => {
                    let wanted = match kind {
                        Kind::Room => "a room as a text",
                        Kind::User => "a user as a text or whole number",
                        Kind::Session => "a session's id as a text",
                    };
                    self.mistake(&path, format!("is {}: write {wanted}, or a list of them", of_kind(other)));
                }
            }
        }
        names
    }
}

/// What a name is of.
#[derive(Clone, Copy)]
enum Kind {
    Room,
    User,
    Session,
}

/// Rooms, users and sessions; `None` where the key is not there.
#[derive(Default)]
struct Selection {
    rooms: Option<Vec<String>>,
    users: Option<Vec<String>>,
    sessions: Option<Vec<String>>,
}

impl Selection {
    /// Whether it names something, and nothing is in it.
    fn is_nobody(&self) -> bool {
        let lists = || [&self.rooms, &self.users, &self.sessions].into_iter().flatten();
        lists().next().is_some() && lists().all(Vec::is_empty)
    }
}

fn select(channel: &ChannelHandle, to: Selection, except: Selection) -> Option<Broadcast> {
    if to.is_nobody() {
        return None;
    }
    let mut clients = channel.except(except.rooms.unwrap_or_default());
    for user in except.users.into_iter().flatten() {
        clients = clients.except_user(user);
    }
    for session in except.sessions.into_iter().flatten() {
        clients = clients.except_session(session);
    }
    if let Some(rooms) = to.rooms.filter(|rooms| !rooms.is_empty()) {
        clients = clients.to(rooms);
    }
    for user in to.users.into_iter().flatten() {
        clients = clients.to_user(user);
    }
    for session in to.sessions.into_iter().flatten() {
        clients = clients.to_session(session);
    }
    Some(clients)
}

fn of_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value as it is sent: `{ "$base64": "…" }` is binary.
pub(super) struct Sent<'a>(pub(super) &'a Value);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sent)),
            Value::Object(fields) => match fields.get(BASE64) {
                Some(Value::String(text)) => {
                    serializer.serialize_bytes(&STANDARD.decode(text).map_err(serde::ser::Error::custom)?)
                }
                _ => {
                    let mut map = serializer.serialize_map(Some(fields.len()))?;
                    fields.iter().try_for_each(|(key, field)| map.serialize_entry(key, &Sent(field)))?;
                    map.end()
                }
            },
            plain => plain.serialize(serializer),
        }
    }
}
