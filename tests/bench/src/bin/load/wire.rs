//! WebSocket frames as a client makes and reads them, by hand: the generator shares its time with nobody, and must not
//! be what limits a measurement.

use std::{io, ops::Range};

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Appends a frame whose payload is `parts`, one after the other.
///
/// A client has to mask what it sends. The key is zero, which masks by leaving all as it is: the server unmasks
/// as it would with any other.
pub(crate) fn push_frame(output: &mut Vec<u8>, opcode: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    output.push(FINAL | opcode);
    match length {
        0..126 => output.push(MASKED | length as u8),
        126..=0xFFFF => {
            output.push(MASKED | 126);
            output.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            output.push(MASKED | 127);
            output.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    output.extend_from_slice(&[0; 4]);
    for part in parts {
        output.extend_from_slice(part);
    }
}

/// A frame that has arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Where its payload lies in the buffer; the next frame begins at its end.
    pub(crate) payload: Range<usize>,
}

/// The frame that begins at `start`, once all of it is there.
pub(crate) fn read_frame(buffer: &[u8], start: usize) -> io::Result<Option<Frame>> {
    let [first, second, rest @ ..] = &buffer[start..] else { return Ok(None) };
    if first & FINAL == 0 || second & MASKED != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the server sent a masked frame or a fragment of one"));
    }
    let (length, header) = match (second & !MASKED, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 10),
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 2),
    };
    let begin = start + header;
    let end = usize::try_from(length).ok().and_then(|length| begin.checked_add(length));
    let end = end.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the server announced an endless frame"))?;
    Ok((end <= buffer.len()).then_some(Frame { opcode: first & 0x0F, payload: begin..end }))
}

/// Reads a decimal number from the front; returns it and what follows.
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

/// An acknowledgement, `43<id>[…]`: its id and the JSON array.
pub(crate) fn acknowledgement(packet: &[u8]) -> Option<(u64, &[u8])> {
    number(packet.strip_prefix(b"43")?)
}

/// The offset behind an event's arguments.
pub(crate) fn offset(packet: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(packet).ok()?.strip_suffix("\"]")?;
    text.rsplit_once('"').map(|(_, offset)| offset)
}

/// Whether an acknowledgement's array holds an error.
pub(crate) fn is_error(answer: &[u8]) -> bool {
    answer.starts_with(br#"[{"error":"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server makes of a frame of ours: without the mask bit and the key.
    fn as_server(frame: &[u8]) -> Vec<u8> {
        let header = match frame[1] & !MASKED {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let mut sent = frame.to_vec();
        sent[1] &= !MASKED;
        sent.drain(header..header + 4);
        sent
    }

    #[test]
    fn reads_what_it_writes_at_every_length() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; length];
            let mut output = Vec::new();
            push_frame(&mut output, TEXT, &[&payload[..length / 2], &payload[length / 2..]]);
            let sent = as_server(&output);
            let frame = read_frame(&sent, 0).unwrap().unwrap();
            assert_eq!((frame.opcode, &sent[frame.payload.clone()]), (TEXT, &payload[..]));
            assert_eq!(frame.payload.end, sent.len());
            for short in 0..sent.len().min(20) {
                assert_eq!(read_frame(&sent[..short], 0).unwrap().map(|f| f.payload.end > short), None);
            }
        }
    }

    #[test]
    fn refuses_fragments_and_masked_frames() {
        assert!(read_frame(&[TEXT, 0], 0).is_err());
        assert!(read_frame(&[FINAL | TEXT, MASKED], 0).is_err());
        assert!(read_frame(&[FINAL | TEXT, 127, 255, 255, 255, 255, 255, 255, 255, 255], 0).is_err());
    }

    #[test]
    fn reads_offsets() {
        assert_eq!(offset(br#"42["news",{"a":1},"1f:7"]"#), Some("1f:7"));
        assert_eq!(offset(br#"42["news",{"a":1}]"#), None);
    }

    #[test]
    fn reads_acknowledgements() {
        assert_eq!(acknowledgement(br#"4317["x"]"#), Some((17, &br#"["x"]"#[..])));
        assert_eq!(acknowledgement(br#"42["news"]"#), None);
        assert_eq!(acknowledgement(b"43[]"), None);
        assert!(is_error(br#"[{"error":{"code":"overloaded"}}]"#));
        assert!(!is_error(br#"["error"]"#));
    }
}
