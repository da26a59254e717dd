//! The control messages between nodes: sessions that changed, users to be disconnected, and emits of processes that serve
//! no sockets.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use socketioxide_core::Value;

use super::{BackplaneError, Link, packet::check_event};
use crate::telemetry::{Cause, refused};

/// A message to all other nodes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// Read a session again; `moved_to` is its new id if it was renewed.
    Session { id: String, moved_to: Option<String> },
    /// Disconnect a user's sockets from every channel.
    DisconnectUser { user: String },
    /// Send an event to this node's clients.
    Emit { path: String, to: Vec<String>, except: Vec<String>, payload: String, attachments: Vec<String> },
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
}

impl Bus {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, node: rand::random() }
    }

    /// Whether there may be other nodes.
    pub(crate) fn has_backplane(&self) -> bool {
        self.link.is_some()
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

    /// The messages of other nodes. Anything else is dropped and logged, at most once per second.
    pub(crate) async fn listen(&self) -> Result<BoxStream<'static, Message>, BackplaneError> {
        let node = self.node;
        let messages = self.link.listen().await?.filter_map(move |text| async move {
            match serde_json::from_str::<Envelope>(&text) {
                Ok(envelope) => (envelope.from != node).then_some(envelope.message),
                Err(error) => {
                    refused(
                        Cause::Backplane,
                        &format!("something on the control channel that is not a message: {error}"),
                    );
                    None
                }
            }
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
