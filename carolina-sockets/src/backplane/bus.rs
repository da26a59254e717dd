//! The control messages between nodes: sessions that changed, users to be disconnected, questions and their answers, emits of
//! processes that serve no sockets, and which messages other programs have published.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use socketioxide_core::Value;
use tokio::sync::mpsc;

use super::{BackplaneError, Link, SharedLog, packet::check_event};
use crate::telemetry::{Cause, histogram, refused};

/// A message to all other nodes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// Read a session again; `moved_to` is its new id if it was renewed.
    Session { id: String, moved_to: Option<String> },
    /// Disconnect a user's sockets from every channel.
    DisconnectUser { user: String },
    /// Tell what this node has, by an [`Answer`](Self::Answer).
    Ask { id: u64, question: Question },
    /// A part of a node's answer, and whether it is the last one.
    Answer { id: u64, part: String, last: bool },
    /// Messages with these idempotency keys were published by another node.
    Published { keys: Vec<String> },
    /// Disconnect this node's clients in these rooms, or all where none is named, from a channel with parameters.
    Disconnect { path: String, to: Vec<String>, except: Vec<String> },
    /// What the Admin UI asks of every node, or what one node shows there of sockets of others.
    Admin { text: String },
    /// Tells nothing: the node measures when its own comes back.
    Lag { id: u64 },
    /// Send an event to this node's clients. Those on instances that are `logged` get it from the log of the server.
    Emit {
        path: String,
        to: Vec<String>,
        except: Vec<String>,
        payload: String,
        attachments: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logged: Vec<String>,
    },
    /// Who is on channels of the node with this id.
    Presence { from: u64, news: PresenceNews },
}

/// What a node tells of the presence entries that it owns. The number is that of its latest [`Changes`](Self::Changes), so that who has
/// missed some notices it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PresenceNews {
    Changes {
        number: u64,
        changes: Vec<PresenceChange>,
    },
    /// It is alive.
    Beat {
        number: u64,
    },
    /// It needs all entries of a node, or of every node.
    Ask {
        of: Option<u64>,
    },
    /// A part of all its entries.
    All {
        number: u64,
        entries: Vec<PresenceEntry>,
        first: bool,
        last: bool,
    },
    /// It shuts down. What remains of its entries waits for clients to come back.
    Bye,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PresenceChange {
    Put(PresenceEntry),
    Remove {
        path: String,
        key: String,
        reference: String,
    },
    /// The entry of another node, whose client has come back to this one.
    Take {
        owner: u64,
        path: String,
        key: String,
        reference: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PresenceEntry {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) reference: String,
    pub(crate) meta: serde_json::Map<String, serde_json::Value>,
    /// For how many milliseconds it waits for its client to come back, if that has lost its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) linger: Option<u64>,
    /// The node that has left it behind, if that is not the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<u64>,
}

/// What a node asks the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// The sockets of a channel in these rooms, or all where none is named. Only nodes with that channel answer.
    Sockets { path: String, to: Vec<String>, except: Vec<String> },
    /// The instances of a channel with parameters that anybody is on.
    Instances { path: String },
    /// All sockets, as the Admin UI shows them.
    Admin,
    /// The rooms of a client that has come back to another node, for the time with this number. Only the node that it was on answers, and lets it go.
    Moved { path: String, pid: String, from: u64, claim: u64 },
}

/// How long answers are waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The questions that wait for answers.
type Asked = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<(String, bool)>>>>;

/// One of them, which is forgotten when nobody waits any more.
struct Waiting {
    id: u64,
    asked: Asked,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.asked.lock().remove(&self.id);
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    /// The sending node, which ignores its own messages.
    from: u64,
    message: Message,
}

/// The control channel.
#[derive(Clone)]
pub(crate) struct Bus {
    link: Link,
    node: u64,
    asked: Asked,
    /// The last [`Message::Lag`] of this node that has not come back, and when it was published.
    lag: Arc<Mutex<Option<(u64, Instant)>>>,
}

impl Bus {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, node: rand::random(), asked: Asked::default(), lag: Arc::default() }
    }

    /// This process: a node that is started again is another one.
    pub(crate) fn node(&self) -> u64 {
        self.node
    }

    /// The logs that the backplane keeps, if there is one.
    pub(crate) fn shared_log(&self) -> Option<SharedLog> {
        SharedLog::new(&self.link, self.node)
    }

    /// Whether there may be other nodes.
    pub(crate) fn has_backplane(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the backplane is reached; `true` without one.
    pub(crate) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// The time of the backplane's server.
    #[cfg(feature = "cli")]
    pub(crate) async fn server_time(&self) -> Option<std::time::SystemTime> {
        self.link.server_time().await
    }

    /// Sends a message to all other nodes, if there may be any.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), BackplaneError> {
        if !self.has_backplane() {
            return Ok(());
        }
        let envelope = Envelope { from: self.node, message };
        let text = serde_json::to_string(&envelope).map_err(BackplaneError::new)?;
        self.link.publish(text).await
    }

    /// Tells all other nodes of this one's presence entries.
    pub(crate) async fn publish_presence(&self, news: PresenceNews) -> Result<(), BackplaneError> {
        self.publish(Message::Presence { from: self.node, news }).await
    }

    /// Measures how long a message takes over the backplane and back, if somebody records it. By this node's clock alone, since
    /// those of others may differ by more.
    pub(crate) async fn measure_lag(&self) -> Result<(), BackplaneError> {
        let Some(now) = histogram::now() else { return Ok(()) };
        let id = rand::random();
        *self.lag.lock() = Some((id, now));
        self.publish(Message::Lag { id }).await
    }

    /// Asks the other nodes, and returns the parts of what they answer. A node that has not answered in time is left out, with a line in the
    /// log.
    pub(crate) async fn ask(&self, question: Question, nodes: usize) -> Result<Vec<String>, BackplaneError> {
        let (answer, mut answers) = mpsc::unbounded_channel();
        let waiting = Waiting { id: rand::random(), asked: self.asked.clone() };
        self.asked.lock().insert(waiting.id, answer);
        let (mut parts, mut complete) = (Vec::new(), 0);
        if nodes > 0 {
            self.publish(Message::Ask { id: waiting.id, question }).await?;
        }
        let until = tokio::time::Instant::now() + ANSWER_TIMEOUT;
        while complete < nodes {
            let Ok(Some((part, last))) = tokio::time::timeout_at(until, answers.recv()).await else {
                tracing::warn!(nodes, answered = complete, "some nodes have not answered within {ANSWER_TIMEOUT:?}");
                break;
            };
            parts.push(part);
            complete += usize::from(last);
        }
        Ok(parts)
    }

    /// Answers another node's question, in parts, of which there is at least one.
    pub(crate) async fn answer(&self, id: u64, parts: Vec<String>) -> Result<(), BackplaneError> {
        let count = parts.len();
        for (number, part) in parts.into_iter().enumerate() {
            self.publish(Message::Answer { id, part, last: number + 1 == count }).await?;
        }
        Ok(())
    }

    /// The messages of other nodes; answers go to whoever has asked. Anything else is dropped and logged, at most once per second.
    pub(crate) async fn listen(&self) -> Result<BoxStream<'static, Message>, BackplaneError> {
        let (node, asked, lag) = (self.node, self.asked.clone(), self.lag.clone());
        let messages = self.link.listen().await?.filter_map(move |text| {
            let message = match serde_json::from_str::<Envelope>(&text) {
                Ok(Envelope { message: Message::Answer { id, part, last }, .. }) => {
                    // Nobody waits for it where another node has asked, or too late.
                    let _ = asked.lock().get(&id).map(|waiting| waiting.send((part, last)));
                    None
                }
                Ok(Envelope { from, message: Message::Lag { id } }) => {
                    if from == node
                        && let Some((_, published)) = lag.lock().take_if(|(last, _)| *last == id)
                    {
                        histogram::backplane_lag(published);
                    }
                    None
                }
                Ok(envelope) => (envelope.from != node).then_some(envelope.message),
                Err(error) => {
                    refused(
                        Cause::Backplane,
                        &format!("something on the control channel that is not a message: {error}"),
                    );
                    None
                }
            };
            std::future::ready(message)
        });
        Ok(messages.boxed())
    }
}

/// A packet's payload, for [`Message::Emit`].
pub(crate) fn encode(value: &Value) -> Option<(String, Vec<String>)> {
    let Value::Str(text, attachments) = value else { return None };
    let attachments = attachments.iter().flatten().map(|bytes| STANDARD.encode(bytes)).collect();
    Some((text.to_string(), attachments))
}

/// The payload that [`encode`] has made.
///
/// # Errors
///
/// What is wrong with it, if it was made by anything else.
pub(crate) fn decode(payload: String, attachments: &[String]) -> Result<Value, String> {
    let decoded: Result<std::collections::VecDeque<Bytes>, _> =
        attachments.iter().map(|text| STANDARD.decode(text).map(Bytes::from)).collect();
    let attachments = decoded.map_err(|error| format!("an attachment that cannot be read: {error}"))?;
    check_event(&payload, attachments.len())?;
    Ok(Value::Str(payload.into(), (!attachments.is_empty()).then_some(attachments)))
}
