use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::gap::millis;
use crate::engine::{EncodedPayload, Recipients, SocketId};

/// By how much the clocks of two nodes may differ.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// An event in the log, and whom it was sent to.
pub(super) struct Entry {
    pub(super) number: u64,
    /// Its id in the log of the server; 0 for an event that was numbered here.
    pub(super) id: u64,
    pub(super) at: Instant,
    pub(super) time: SystemTime,
    pub(super) audience: Audience,
    /// With the offset as its last argument.
    pub(super) payload: EncodedPayload,
    pub(super) bytes: usize,
}

/// Whom an event was for.
pub(super) enum Audience {
    /// One client, by its `pid`.
    One(Arc<str>),
    Rooms {
        /// Everybody where none is named.
        to: Box<[String]>,
        except: Box<[String]>,
        /// The `pid` of the client whose event has caused it, and that does not get it.
        sender: Option<Arc<str>>,
        /// The node whose clients it was for, if not for all.
        node: Option<u64>,
    },
}

impl Audience {
    pub(super) fn of(recipients: &Recipients, sender: Option<Arc<str>>) -> Self {
        let (to, except) = named(recipients);
        Self::Rooms { to: to.into(), except: except.into(), sender, node: None }
    }

    /// Whether it is for the client with this `pid`, in these rooms, which was on this node.
    pub(super) fn includes(&self, pid: &Arc<str>, rooms: &HashSet<String>, on: u64) -> bool {
        match self {
            Self::One(one) => one == pid,
            Self::Rooms { to, except, sender, node } => {
                sender.as_ref() != Some(pid)
                    && node.is_none_or(|node| node == on)
                    && (to.is_empty() || to.iter().any(|room| rooms.contains(room)))
                    && !except.iter().any(|room| rooms.contains(room))
            }
        }
    }

    /// The bytes that its names take.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Rooms { to, except, .. } => to.iter().chain(except).map(String::len).sum(),
        }
    }
}

/// The rooms, and the excluded rooms.
fn named(recipients: &Recipients) -> (Vec<String>, Vec<String>) {
    let (to, except) = recipients.rooms();
    // Those of the engine say how sockets are served at this moment.
    let except = except.filter(|room| !room.starts_with('\0'));
    (to.map(str::to_owned).collect(), except.map(str::to_owned).collect())
}

/// An entry as the log of the server has it, as text.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EncodedEntry {
    /// Another one for each event, so that nobody can send one again while it is kept,
    id: u64,
    /// and when it was written, in milliseconds since 1970, so that nobody can later.
    at: u64,
    /// One client, by its `pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    to: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<String>,
    /// The socket whose event has caused it and that does not get it, and its `pid` if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    socket: Option<SocketId>,
    #[serde(rename = "but", default, skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    /// The node whose clients it is for, if not for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<u64>,
    payload: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<String>,
}

impl EncodedEntry {
    /// An event that another process has encoded, for rooms.
    pub(crate) fn new(payload: String, attachments: Vec<String>, to: Vec<String>, except: Vec<String>) -> Self {
        let (id, at) = (rand::random(), millis(SystemTime::now()));
        Self { id, at, to, except, payload, attachments, ..Self::default() }
    }

    /// An event for these recipients. `node` is this one, where they are on it alone.
    pub(super) fn for_recipients(
        payload: &EncodedPayload,
        recipients: &Recipients,
        sender: Option<String>,
        node: u64,
    ) -> Self {
        let (to, except) = named(recipients);
        let (text, attachments) = payload.texts();
        let node = recipients.is_local().then_some(node);
        Self { socket: recipients.left_out(), sender, node, ..Self::new(text, attachments, to, except) }
    }

    /// An event for one client.
    pub(super) fn for_client(payload: &EncodedPayload, pid: &str) -> Self {
        let (text, attachments) = payload.texts();
        Self { one: Some(pid.to_owned()), ..Self::new(text, attachments, Vec::new(), Vec::new()) }
    }

    pub(crate) fn encode(&self) -> String {
        serde_json::to_string(self).expect("there are only names and numbers in it")
    }

    /// Reads what is in the log of the server, unless it was written longer ago than this. The clocks of two nodes may differ by a minute.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn decode(text: &str, longest: Duration) -> Result<ReceivedEntry, String> {
        let entry: Self = serde_json::from_str(text).map_err(|error| format!("it cannot be read: {error}"))?;
        let age = millis(SystemTime::now()).abs_diff(entry.at);
        if u128::from(age) > (longest + MAX_CLOCK_SKEW).as_millis() {
            return Err(format!("its time differs from this node's by {} s", age / 1_000));
        }
        entry.into_received()
    }

    /// The event, and its recipients if it is not for one client.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn decode_event(text: &str) -> Result<(EncodedPayload, Option<Recipients>), String> {
        let received = Self::decode(text, Duration::ZERO)?;
        Ok((received.payload.clone(), received.recipients()))
    }

    pub(super) fn into_received(self) -> Result<ReceivedEntry, String> {
        let Self { id, at: _, one, to, except, socket, sender, node, payload, attachments } = self;
        let payload = EncodedPayload::from_texts(payload, &attachments)?;
        let audience = match one {
            Some(pid) => Audience::One(pid.into()),
            None => Audience::Rooms { to: to.into(), except: except.into(), sender: sender.map(Arc::from), node },
        };
        Ok(ReceivedEntry { id, audience, socket, payload })
    }
}

/// An entry that was received from the log of the server.
pub(super) struct ReceivedEntry {
    pub(super) id: u64,
    pub(super) audience: Audience,
    /// The socket whose event has caused it.
    pub(super) socket: Option<SocketId>,
    pub(super) payload: EncodedPayload,
}

impl ReceivedEntry {
    /// Its recipients, if it is not for one client.
    pub(super) fn recipients(&self) -> Option<Recipients> {
        let Audience::Rooms { to, except, .. } = &self.audience else { return None };
        let mut recipients = self.socket.map_or_else(Recipients::all, Recipients::all_except);
        if !to.is_empty() {
            recipients.add_rooms(to.to_vec());
        }
        recipients.exclude_rooms(except.to_vec());
        Some(recipients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of two versions run side by side while a service is rolled out.
    #[test]
    fn r23_the_names_in_stored_entries_stay() {
        let text = r#"{"id":1,"at":2,"one":"o","to":["t"],"except":["x"],"but":"b","node":3,"payload":"[\"e\"]","attachments":["AA=="]}"#;
        let entry: EncodedEntry = serde_json::from_str(text).unwrap();
        assert_eq!((entry.sender.as_deref(), entry.node), (Some("b"), Some(3)));
        assert_eq!(entry.encode(), text);
    }
}
