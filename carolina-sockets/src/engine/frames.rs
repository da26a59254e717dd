//! The frames of WebSockets.

use bytes::{BufMut, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

/// The opcodes of the frames that carry packets, and of the one that ends a stream.
pub(super) const CONTINUATION: u8 = 0;
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
        let head = FrameHead::first(bytes)?;
        let end = head.size.checked_add(usize::try_from(head.length).ok()?)?;
        Some(Self { opcode: head.opcode, payload: bytes.get(head.size..end)?, head: head.size })
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

/// Takes the mask off, or puts it on.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

/// The head of a frame that a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// How many bytes the head takes.
    pub(super) size: usize,
    /// The frame ends its message.
    pub(super) is_final: bool,
    pub(super) opcode: u8,
    pub(super) mask: [u8; 4],
    /// How many bytes of payload follow.
    pub(super) length: u64,
    /// The frame is masked and has no reserved bits, as the protocol asks for.
    pub(super) is_valid: bool,
}

/// How many bytes the head of a client's frame takes at most.
pub(super) const LONGEST_HEAD: usize = 14;

impl FrameHead {
    /// The head that these bytes begin with, if all of it is there.
    pub(super) fn first(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, after) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let is_masked = second & 0x80 != 0;
        let (mask, size) = match is_masked {
            true => (bytes.get(after..after + 4)?.try_into().ok()?, after + 4),
            false => ([0; 4], after),
        };
        let is_valid = is_masked && first & 0x70 == 0;
        Some(Self { size, is_final: first & 0x80 != 0, opcode: first & 0x0f, mask, length, is_valid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_complete() {
        for length in [0, 1, 125, 126, 0xffff, 0x10000] {
            let mut frame = BytesMut::new();
            push_frame(&mut frame, BINARY, Some([1, 2, 3, 4]), &vec![0; length]);
            let size = frame.len() - length;
            for end in 0..size {
                assert_eq!(FrameHead::first(&frame[..end]), None, "{length}: {end} of {size} bytes");
            }
            let (mask, length) = ([1, 2, 3, 4], length as u64);
            let head = FrameHead { size, is_final: true, opcode: BINARY, mask, length, is_valid: true };
            assert_eq!(FrameHead::first(&frame), Some(head));
        }
        let unmasked = FrameHead::first(&[0x81, 1, b'2']).unwrap();
        assert_eq!((unmasked.size, unmasked.length, unmasked.is_valid), (2, 1, false));
        assert!(!FrameHead::first(&[0xc1, 0x80, 0, 0, 0, 0]).unwrap().is_valid, "a reserved bit");
    }
}
