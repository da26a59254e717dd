//! Packets as the bodies of requests and responses hold them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};

use super::super::{
    excess::{SKIPPED, Skipped},
    frames::{BINARY, CLOSE, TEXT, push_frame},
    incoming::NOTICE,
};

/// Separates the packets of one body.
pub(super) const SEPARATOR: u8 = 0x1e;

/// A packet for the client.
pub(super) enum Outgoing {
    Text(Bytes),
    Binary(Bytes),
}

impl Outgoing {
    /// Closes the session.
    pub(super) const CLOSE: Self = Self::Text(Bytes::from_static(b"1"));
    /// Answers a poll that has nothing to fetch.
    pub(super) const NOOP: Self = Self::Text(Bytes::from_static(b"6"));

    pub(super) fn is_close(&self) -> bool {
        matches!(self, Self::Text(text) if text[..] == *b"1")
    }

    /// Whether it is from the application, in place of a ping.
    pub(super) fn is_message(&self) -> bool {
        match self {
            Self::Text(text) => text.first() == Some(&b'4'),
            Self::Binary(_) => true,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// How many bytes it takes in a body.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len().div_ceil(3) * 4 + 1,
        }
    }

    /// As it is in a body, of Engine.IO 3 in place of 4 if it is `legacy`.
    pub(super) fn encode(&self, legacy: bool) -> Vec<u8> {
        match (self, legacy) {
            (Self::Text(text), false) => text.to_vec(),
            (Self::Binary(data), false) => format!("b{}", STANDARD.encode(data)).into_bytes(),
            (Self::Text(text), true) => {
                let text = String::from_utf8_lossy(text);
                format!("{}:{text}", text.encode_utf16().count()).into_bytes()
            }
            // The packet's type, its first byte, goes before the encoded rest.
            (Self::Binary(data), true) => {
                let text = format!("b4{}", STANDARD.encode(data.get(1..).unwrap_or_default()));
                format!("{}:{text}", text.len()).into_bytes()
            }
        }
    }
}

/// The frame that ends a stream, masked by zeros.
pub(super) const CLOSE_FRAME: &[u8] = &[0x80 | CLOSE, 0x80, 0, 0, 0, 0];

/// The frames that a body's packets would have been on a WebSocket; `None` when it has others than a client sends.
pub(in crate::engine) fn frames(body: &[u8]) -> Option<BytesMut> {
    let mut frames = BytesMut::with_capacity(body.len() + 16);
    for packet in body.split(|byte| *byte == SEPARATOR) {
        match packet.first()? {
            b'b' => push_frame(&mut frames, BINARY, Some([0; 4]), &STANDARD.decode(&packet[1..]).ok()?),
            // What stands for a packet that was too large. Anything else like it is refused.
            &SKIPPED => push_frame(&mut frames, NOTICE, Some([0; 4]), Skipped::decode(packet).map(|_| packet)?),
            b'1'..=b'4' if std::str::from_utf8(packet).is_ok() => {
                push_frame(&mut frames, TEXT, Some([0; 4]), packet);
            }
            _ => return None,
        }
        if packet == b"1" {
            frames.extend_from_slice(CLOSE_FRAME);
        }
    }
    Some(frames)
}

#[cfg(not(feature = "legacy-clients"))]
pub(super) mod legacy {
    /// There are no clients with Engine.IO 3.
    pub(in crate::engine) async fn frames(_: bytes::Bytes, _: Option<&http::HeaderValue>) -> Option<bytes::BytesMut> {
        None
    }
}

/// Bodies of Engine.IO 3.
#[cfg(feature = "legacy-clients")]
pub(super) mod legacy {
    use std::pin::pin;

    use axum::body::Body;
    use bytes::{Bytes, BytesMut};
    use engineioxide_core::{Packet, ProtocolVersion, payload};
    use futures_util::StreamExt;
    use http::HeaderValue;

    use super::{BINARY, CLOSE_FRAME, TEXT, push_frame};

    pub(in crate::engine) async fn frames(body: Bytes, content_type: Option<&HeaderValue>) -> Option<BytesMut> {
        let mut frames = BytesMut::with_capacity(body.len() + 16);
        let most = body.len() as u64;
        let mut packets = pin!(payload::decoder(Body::from(body), content_type, ProtocolVersion::V3, most));
        while let Some(packet) = packets.next().await {
            match packet.ok()? {
                Packet::Binary(data) | Packet::BinaryV3(data) => {
                    let typed = [&[4], &data[..]].concat();
                    push_frame(&mut frames, BINARY, Some([0; 4]), &typed);
                }
                packet @ (Packet::Ping | Packet::Pong | Packet::Message(_)) => {
                    push_frame(&mut frames, TEXT, Some([0; 4]), String::from(packet).as_bytes());
                }
                Packet::Close => {
                    push_frame(&mut frames, TEXT, Some([0; 4]), b"1");
                    frames.extend_from_slice(CLOSE_FRAME);
                }
                _ => return None,
            }
        }
        Some(frames)
    }
}
