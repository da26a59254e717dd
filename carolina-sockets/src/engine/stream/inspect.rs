//! What is done with what a client sends, before the engine reads it.

use std::time::Duration;

use bytes::BytesMut;

use super::{
    super::{
        DisconnectReason,
        client::{ClientConnection, PacketKind},
        excess::{Excess, Packet},
        incoming::{PREFIX_LENGTH, Seen},
        rejoin::joined,
    },
    CHUNK, ClientStream, SMALL_CHUNK, SMALLEST_CHUNK,
    closing::Closing,
};
use crate::{
    error::code,
    telemetry::{Cause, histogram, refused, traffic},
};

/// How long a channel's path may be.
const MOST_PATH: usize = PREFIX_LENGTH - 3;

/// What each packet counts in addition to its bytes.
const PACKET_COST: usize = 512;

/// A message of so many bytes waits for the client's turn.
const LARGE: u64 = 16 * 1024;

/// The status of a WebSocket that is closed as a message was too large.
const TOO_LARGE: u16 = 1009;

impl ClientStream {
    /// Looks at what has come in: it is counted, whoever joins a channel again is noticed, and what exceeds a limit is
    /// reported. Returns what the engine reads in its place, if that is something else.
    pub(super) fn inspect(&mut self, read: &[u8]) -> Option<BytesMut> {
        let (client, rejoin) = (&self.client, &self.rejoin);
        let mut pause = Duration::ZERO;
        let (mut connects, mut awaits) = (0, false);
        let (mut unanswerable, mut pinged) = (None, self.pinged);
        let chunk = self.incoming.read(read, |seen| match seen {
            Seen::Beginning(packet) => {
                if packet.first() == Some(&b'3')
                    && let Some(written) = pinged.take()
                {
                    histogram::ping(written);
                }
                if let Some(path) = left(packet) {
                    client.joins.remove(path);
                }
                if let Some(wait) = client.count_packet(kind(packet, client)) {
                    pause += wait;
                }
                if let Some(id) = client.id().filter(|_| rejoin.has_any()) {
                    rejoin.packet_received(id, packet);
                }
            }
            Seen::Connect(packet) => {
                connects += 1;
                if joined(packet).is_some_and(|path| rejoin.has_path(path)) {
                    client.joins.add(packet);
                    awaits = true;
                }
            }
            Seen::Skipped(excess, beginning) => {
                refused(excess.limit.cause(), &report(excess, beginning, client));
            }
            Seen::Unanswerable(excess) => {
                let first = unanswerable.replace(excess).is_none() && self.closing.is_none();
                if first {
                    let message = report(excess, b"", client);
                    refused(excess.limit.cause(), &format!("{message}; the connection is closed"));
                }
            }
            Seen::Invalid => {
                refused(Cause::InvalidPacket, "a message that begins within another");
                client.close_with(DisconnectReason::InvalidPacket);
            }
        });
        self.pinged = pinged;
        traffic::received(chunk.begun, read.len());
        let packets = chunk.begun * PACKET_COST;
        self.since_turn += read.len() + packets;
        self.chunk = match connects {
            0 if packets <= read.len() => CHUNK,
            0 => SMALL_CHUNK,
            _ => SMALLEST_CHUNK,
        };
        if connects > 0 {
            self.writer.expect_answers(connects);
            self.pauses.hold(&self.client.joins);
        }
        // A large message costs much when it is there as a whole, and many that join at once must not delay those who are in.
        if connects > 0 || chunk.largest >= LARGE {
            self.since_turn = 0;
            self.turn.get_or_insert_with(|| self.turns.next());
        }
        if awaits {
            self.pauses.watch();
        }
        if !pause.is_zero() {
            self.pauses.pause(pause);
        }
        if let Some(excess) = unanswerable {
            self.begin_closing(excess);
        }
        chunk.replaced
    }

    /// Closes the connection for a message that cannot be answered.
    fn begin_closing(&mut self, excess: Excess) {
        if self.carrier.is_polling() {
            self.client.close_with(DisconnectReason::PayloadTooLarge);
        } else if self.closing.is_none() {
            self.client.set_close_reason(DisconnectReason::PayloadTooLarge);
            let reason = format!("{}: {}", code::PAYLOAD_TOO_LARGE, excess.message());
            self.closing = Some(Box::new(Closing::new(TOO_LARGE, &reason)));
        }
    }
}

/// Who has exceeded a limit, with what, and by how much.
fn report(excess: Excess, beginning: &[u8], client: &ClientConnection) -> String {
    let what = Packet::parse(beginning).map_or_else(String::new, |packet| packet.describe());
    format!("a message from {}{what} with {}", client.address(), excess.message())
}

fn kind(packet: &[u8], client: &ClientConnection) -> PacketKind {
    let [b'4', b'0' | b'1', path @ ..] = packet else { return PacketKind::Other };
    if !is_short(path) {
        refused(Cause::InvalidPacket, &format!("a channel's path of more than {MOST_PATH} bytes"));
        client.close_with(DisconnectReason::InvalidPacket);
    }
    PacketKind::Membership
}

/// The namespace that a DISCONNECT packet leaves.
fn left(packet: &[u8]) -> Option<&[u8]> {
    match packet.strip_prefix(b"41")? {
        [] => Some(b"/"),
        path => path.split(|byte| matches!(byte, b',' | b'?')).next(),
    }
}

/// Whether the path that a packet begins with, if it begins with one, is at an end here.
fn is_short(path: &[u8]) -> bool {
    path.first() != Some(&b'/') || path.len() <= MOST_PATH || path.iter().any(|byte| matches!(byte, b',' | b'?'))
}
