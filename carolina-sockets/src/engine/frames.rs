//! Tracks the frames of a WebSocket as they arrive, without buffering them.

use std::mem;

use crate::path::MAX_BYTES;
use bytes::{BufMut, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

/// The opcodes of the frames that carry packets, and of the one that ends a stream.
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;

/// A frame written by a server.
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    head: usize,
}

impl<'a> Frame<'a> {
    /// The first frame in these bytes, if it is complete.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let (length, _) = (2..=bytes.len().min(10)).find_map(|end| complete(&bytes[..end]))?;
        let head = match length {
            0..126 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        let payload = bytes.get(head..head + usize::try_from(length).ok()?)?;
        Some(Self { opcode: bytes[0] & 0x0f, payload, head })
    }

    /// How many bytes it takes, its head included.
    pub(super) fn len(&self) -> usize {
        self.head + self.payload.len()
    }
}

/// Adds a whole message as one frame: unmasked as a server sends it, or masked as a client does. The mask of zeros leaves
/// the payload as it is.
pub(super) fn push_frame(to: &mut BytesMut, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) {
    let header = FrameHeader { is_final: true, opcode: OpCode::from(opcode), mask, ..FrameHeader::default() };
    to.reserve(header.len(payload.len() as u64) + payload.len());
    // Writing into memory does not fail.
    let _ = header.format(payload.len() as u64, &mut to.writer());
    to.put_slice(payload);
}

/// How many bytes at the start of a frame are inspected: the packet's type and namespace.
pub(super) const PREFIX_LENGTH: usize = 2 + MAX_BYTES + 1;

/// How much of a CONNECT packet is collected, at most.
const MOST_CONNECT: u64 = 64 * 1024;

/// What was found in a client's frames.
pub(super) enum Seen<'a> {
    /// The first bytes of a text frame without an event.
    Beginning(&'a [u8]),
    /// A whole CONNECT packet. Its beginning was handed over before.
    Connect(&'a [u8]),
}

/// The position in the stream of a client's frames.
#[derive(Debug)]
pub(super) enum Frames {
    /// In a frame's header, with the bytes received so far.
    Header([u8; 14], u8),
    /// In its payload, with the number of bytes left.
    Payload(u64),
    /// In the payload of a frame whose first bytes are being collected.
    Prefix(Box<Prefix>),
    /// In the payload of a CONNECT packet after these bytes.
    Connect(Box<Prefix>),
}

#[derive(Debug)]
pub(super) struct Prefix {
    left: u64,
    mask: [u8; 4],
    seen: Vec<u8>,
}

impl Prefix {
    /// Collects up to `most` bytes, unmasked, and returns those after them.
    fn collect<'a>(&mut self, bytes: &'a [u8], most: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(usize::try_from(self.left).unwrap_or(usize::MAX).min(most).min(bytes.len()));
        for byte in taken {
            let mask = self.mask[self.seen.len() % 4];
            self.seen.push(byte ^ mask);
        }
        self.left -= taken.len() as u64;
        rest
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::Header([0; 14], 0)
    }
}

impl Frames {
    /// Whether the last frame has arrived completely.
    pub(super) fn is_at_boundary(&self) -> bool {
        matches!(self, Self::Header(_, 0))
    }

    fn after_header(opcode: u8, length: u64, mask: [u8; 4], payload: &[u8]) -> Self {
        match length {
            0 => Self::default(),
            left if opcode == TEXT && !is_event(payload, mask, length) => {
                Self::Prefix(Box::new(Prefix { left, mask, seen: Vec::new() }))
            }
            left => Self::Payload(left),
        }
    }

    /// Takes in what was read, and tells how many frames began in it. What a text frame without an event begins with is
    /// handed over, unmasked: all that is needed to know which channel a client joins or leaves. A CONNECT packet is handed
    /// over once more when it is complete.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut on_seen: impl FnMut(Seen<'_>)) -> usize {
        let mut begun = 0;
        while !bytes.is_empty() {
            if let (Self::Header(_, 0), Some((opcode, length, mask, payload))) = (&*self, short(bytes)) {
                begun += 1;
                bytes = payload;
                *self = Self::after_header(opcode, length, mask, bytes);
                continue;
            }
            match self {
                Self::Header(head, have) => {
                    head[usize::from(*have)] = bytes[0];
                    *have += 1;
                    bytes = &bytes[1..];
                    if let Some((length, mask)) = complete(&head[..usize::from(*have)]) {
                        begun += 1;
                        *self = Self::after_header(head[0] & 0x0f, length, mask, bytes);
                    }
                }
                Self::Payload(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= taken as u64;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
                Self::Prefix(beginning) => {
                    bytes = beginning.collect(bytes, PREFIX_LENGTH - beginning.seen.len());
                    if beginning.left == 0 || beginning.seen.len() == PREFIX_LENGTH {
                        if !is_event(&beginning.seen, [0; 4], beginning.seen.len() as u64) {
                            on_seen(Seen::Beginning(&beginning.seen));
                        }
                        let is_connect = beginning.seen.starts_with(b"40");
                        *self = match beginning.left {
                            0 => {
                                if is_connect {
                                    on_seen(Seen::Connect(&beginning.seen));
                                }
                                Self::default()
                            }
                            left if is_connect && left < MOST_CONNECT => {
                                let Self::Prefix(beginning) = mem::take(self) else { unreachable!("matched above") };
                                Self::Connect(beginning)
                            }
                            left => Self::Payload(left),
                        };
                    }
                }
                Self::Connect(packet) => {
                    bytes = packet.collect(bytes, usize::MAX);
                    if packet.left == 0 {
                        on_seen(Seen::Connect(&packet.seen));
                        *self = Self::default();
                    }
                }
            }
        }
        begun
    }
}

/// Whether a text frame is an event (`42`, or `45` with attachments), as far as its payload has come in.
fn is_event(payload: &[u8], mask: [u8; 4], length: u64) -> bool {
    length >= 2 && payload.len() >= 2 && payload[0] ^ mask[0] == b'4' && matches!(payload[1] ^ mask[1], b'2' | b'5')
}

/// The opcode, payload length and mask of a short frame whose head is complete, and what follows the head: the usual case,
/// read at once.
fn short(bytes: &[u8]) -> Option<(u8, u64, [u8; 4], &[u8])> {
    let &[first, second @ 0x80..0xfe, a, b, c, d, ref payload @ ..] = bytes else { return None };
    Some((first & 0x0f, u64::from(second & 0x7f), [a, b, c, d], payload))
}

/// A head's payload length and mask, once all of it is there.
fn complete(head: &[u8]) -> Option<(u64, [u8; 4])> {
    let second = *head.get(1)?;
    let (length, after) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(head.get(2..10)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    match second & 0x80 {
        0 => (head.len() == after).then_some((length, [0; 4])),
        _ => Some((length, head.get(after..after + 4)?.try_into().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(position, byte)| byte ^ mask[position % 4]));
        frame
    }

    #[test]
    fn beginnings_are_found_however_the_bytes_arrive() {
        let long = vec![b'x'; 70_000];
        let middling = vec![b'y'; 300];
        let mut stream = Vec::new();
        let joining = [b"40/chat,", &middling[..]].concat();
        let payloads: [(u8, &[u8]); 10] = [
            (1, b"40/chat,"),
            (2, b"40/no"),
            (1, b""),
            (9, b"ping"),
            (1, &long),
            (1, &middling),
            (1, b"42[\"a\"]"),
            (1, b"3"),
            (1, b"451-[\"a\"]"),
            (1, &joining),
        ];
        for (number, (opcode, payload)) in payloads.iter().enumerate() {
            stream.extend(frame(*opcode, payload, [number as u8, 2, 3, 250]));
        }
        for size in [1, 2, 3, 7, 100, 1000, stream.len()] {
            let mut frames = Frames::default();
            let (mut seen, mut connects, mut begun) = (Vec::new(), Vec::new(), 0);
            for chunk in stream.chunks(size) {
                begun += frames.read(chunk, |part| match part {
                    Seen::Beginning(packet) => seen.push(packet.to_vec()),
                    Seen::Connect(packet) => connects.push(packet.to_vec()),
                });
            }
            assert_eq!(begun, payloads.len(), "in chunks of {size}");
            let expected: Vec<&[u8]> =
                vec![b"40/chat,", &long[..PREFIX_LENGTH], &middling[..PREFIX_LENGTH], b"3", &joining[..PREFIX_LENGTH]];
            assert_eq!(seen, expected, "in chunks of {size}");
            assert_eq!(connects, [&b"40/chat,"[..], &joining], "in chunks of {size}");
        }
    }
}
