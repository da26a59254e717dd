//! One Engine.IO connection over WebSocket, shared by a test client's channels.

use std::{collections::HashMap, sync::Arc};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use parking_lot::Mutex;
use socketioxide_core::{
    Str, Value,
    packet::{Packet, PacketData},
    parser::{Parse, ParseConfig, ParseError, ParserState},
};
use socketioxide_parser_common::CommonParser;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

/// A packet for a channel's client.
pub(super) enum Incoming {
    Connected,
    Refused(String),
    Event(Value, Option<i64>),
    Answer(i64, Value),
    Disconnected,
}

type Channels = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Incoming>>>>;

/// The connection. It closes when it is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    send: mpsc::UnboundedSender<Message>,
    channels: Channels,
}

impl Wire {
    /// Uses a stream whose WebSocket handshake is complete.
    pub(super) async fn connect(stream: DuplexStream) -> Self {
        // Every read clears the buffer first, so it is kept small.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        let (mut sink, stream) = stream.split();
        let (send, mut to_send) = mpsc::unbounded_channel::<Message>();
        let channels = Channels::default();
        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _ = sink.close().await;
        });
        tokio::spawn(read(stream, send.downgrade(), channels.clone()));
        Self { send, channels }
    }

    /// The receiver of a channel's packets.
    pub(super) fn listen(&self, channel: &str) -> mpsc::UnboundedReceiver<Incoming> {
        let (to, from) = mpsc::unbounded_channel();
        self.channels.lock().insert(channel.to_owned(), to);
        from
    }

    pub(super) fn send(&self, packet: Packet) {
        let Value::Str(text, attachments) = CommonParser.encode(packet) else { return };
        self.send_text(format!("4{text}"));
        for attachment in attachments.into_iter().flatten() {
            let _ = self.send.send(Message::Binary(attachment));
        }
    }

    /// Sends an Engine.IO packet verbatim.
    pub(super) fn send_text(&self, text: String) {
        // A closed connection is reported to the caller that waits for an answer.
        let _ = self.send.send(Message::Text(text.into()));
    }
}

async fn read(
    mut stream: SplitStream<WebSocketStream<DuplexStream>>,
    send: mpsc::WeakUnboundedSender<Message>,
    channels: Channels,
) {
    let (config, state) = (ParseConfig::default(), ParserState::default());
    while let Some(Ok(message)) = stream.next().await {
        let packet = match message {
            Message::Text(text) => match text.as_bytes().first() {
                Some(b'2') => {
                    if let Some(send) = send.upgrade() {
                        let _ = send.send(Message::Text("3".into()));
                    }
                    continue;
                }
                // The parser is the server's and does not parse this packet type.
                Some(b'4') if text.starts_with("44") => {
                    refused(&text[2..], &channels);
                    continue;
                }
                Some(b'4') => CommonParser.decode_str(&config, &state, Str::from(text[1..].to_owned())),
                _ => continue,
            },
            Message::Binary(data) => CommonParser.decode_bin(&config, &state, data),
            _ => continue,
        };
        match packet {
            Ok(packet) => deliver(packet, &channels),
            Err(ParseError::NeedsMoreBinaryData) => {}
            Err(_) => break,
        }
    }
    channels.lock().clear();
}

/// `44/path,{"message":"…"}`.
fn refused(text: &str, channels: &Channels) {
    #[derive(serde::Deserialize)]
    struct Refused {
        message: String,
    }
    let (path, body) = if text.starts_with('/') { text.split_once(',').unwrap_or((text, "{}")) } else { ("/", text) };
    let message = serde_json::from_str(body).map_or_else(|_| body.to_owned(), |refused: Refused| refused.message);
    let channels = channels.lock();
    if let Some(to) = channels.get(path) {
        let _ = to.send(Incoming::Refused(message));
    }
}

fn deliver(packet: Packet, channels: &Channels) {
    let channels = channels.lock();
    let Some(to) = channels.get(packet.ns.as_str()) else { return };
    let incoming = match packet.inner {
        PacketData::Connect(_) => Incoming::Connected,
        PacketData::ConnectError(_) => return,
        PacketData::Event(value, ack) | PacketData::BinaryEvent(value, ack) => Incoming::Event(value, ack),
        PacketData::EventAck(value, ack) | PacketData::BinaryAck(value, ack) => Incoming::Answer(ack, value),
        PacketData::Disconnect => Incoming::Disconnected,
    };
    // The client may have been dropped.
    let _ = to.send(incoming);
}
