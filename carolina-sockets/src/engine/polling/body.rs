//! Reads the body of a polling client's request.

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;

use super::{
    super::excess::{BEGINNING, Excess, Instead, MOST_SKIPPED, Skipped, replace},
    packets::SEPARATOR,
};

/// A body that comes in. It keeps no more than its limit, and of a packet that does not fit only the beginning, so that
/// the packet can be answered.
pub(in crate::engine) struct PostedBody {
    most: usize,
    /// Engine.IO 3, whose packets cannot be told apart before all have come in.
    is_legacy: bool,
    /// The packets so far, with their separators.
    packets: Vec<u8>,
    /// How many bytes the client has sent in these packets. Binary ones count as they are, not as they are written.
    kept: usize,
    /// Where the packet that comes in begins in `packets`.
    begin: usize,
    /// How many bytes of it have come in.
    bytes: u64,
    /// It is an attachment.
    is_binary: bool,
    /// How many bytes have come in.
    all: u64,
    /// A packet that did not fit cannot be answered: there are too many, or it is no event, or it cannot be told which.
    is_overfull: bool,
}

/// How many bytes are kept of packets that do not fit, at most.
const MOST_BEGINNINGS: usize = 64 * 1024;

impl PostedBody {
    pub(in crate::engine) fn new(most: usize, is_legacy: bool) -> Self {
        Self {
            most,
            is_legacy,
            packets: Vec::new(),
            kept: 0,
            begin: 0,
            bytes: 0,
            is_binary: false,
            all: 0,
            is_overfull: false,
        }
    }

    /// Reads all of it. The inner error is the number of bytes of a body whose packets cannot be answered one by one; of one
    /// that is far too large, the number of those that had come in.
    pub(in crate::engine) async fn read(mut self, body: Body) -> Result<Result<Bytes, u64>, axum::Error> {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            self.all += chunk.len() as u64;
            if self.all > (self.most as u64).saturating_add(MOST_SKIPPED) {
                return Ok(Err(self.all));
            }
            self.is_overfull |= self.is_legacy && self.all > self.most as u64;
            if self.is_overfull {
                // The rest is read all the same, as otherwise the client would not read the answer.
                self.packets = Vec::new();
            } else {
                self.add(&chunk);
            }
        }
        self.end_packet();
        Ok(if self.is_overfull { Err(self.all) } else { Ok(self.packets.into()) })
    }

    fn add(&mut self, chunk: &[u8]) {
        if self.is_legacy {
            return self.packets.extend_from_slice(chunk);
        }
        for (number, part) in chunk.split(|byte| *byte == SEPARATOR).enumerate() {
            if number > 0 {
                self.end_packet();
                if self.is_overfull {
                    return;
                }
                self.packets.push(SEPARATOR);
                self.begin = self.packets.len();
            }
            if self.bytes == 0 {
                self.is_binary = part.first() == Some(&b'b');
            }
            let was_kept = self.fits();
            self.bytes += part.len() as u64;
            if self.fits() {
                self.packets.extend_from_slice(part);
            } else {
                if was_kept {
                    self.packets.truncate(self.begin + BEGINNING);
                    self.packets.shrink_to(self.begin + BEGINNING);
                }
                let room = (self.begin + BEGINNING).saturating_sub(self.packets.len());
                self.packets.extend_from_slice(&part[..part.len().min(room)]);
            }
        }
    }

    /// How many bytes the packet has, once decoded.
    fn decoded(&self) -> u64 {
        if self.is_binary { self.bytes.saturating_sub(1) / 4 * 3 } else { self.bytes }
    }

    fn fits(&self) -> bool {
        self.kept as u64 + self.decoded() <= self.most as u64
    }

    fn end_packet(&mut self) {
        if self.is_legacy {
            return;
        }
        let decoded = self.decoded();
        if self.fits() {
            self.kept += usize::try_from(decoded).unwrap_or(usize::MAX);
        } else {
            let beginning = self.packets.split_off(self.begin);
            let is_binary = self.is_binary;
            // A packet that is not too large by itself is one of too many.
            let bytes = decoded.max(self.most as u64 + 1);
            let excess = Excess::bytes(bytes, self.most as u64);
            self.is_overfull |= !is_binary && replace(&beginning, excess) == Instead::Close;
            let skipped = Skipped { is_binary, bytes, beginning: if is_binary { Vec::new() } else { beginning } };
            // What is kept of the others takes a third more than its bytes, if it is binary.
            self.is_overfull |= self.packets.len() > self.kept / 3 * 4 + MOST_BEGINNINGS;
            if !self.is_overfull {
                self.packets.extend_from_slice(&skipped.encode());
            }
        }
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(most: usize, body: &str, size: usize) -> Bytes {
        let pieces: Vec<_> =
            body.as_bytes().chunks(size).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        PostedBody::new(most, false).read(body).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn r31_a_body_with_a_large_packet_that_cannot_be_answered_is_refused() {
        for packet in ["4", "44", "2", "x"] {
            let body = format!("42[\"a\"]\u{1e}{packet}{}", "4".repeat(2000));
            let read = PostedBody::new(1000, false).read(Body::from(body.clone())).await.unwrap();
            assert_eq!(read, Err(body.len() as u64), "{packet}");
        }
    }

    #[tokio::test]
    async fn r31_of_a_packet_that_is_too_large_the_beginning_is_kept() {
        let large = format!("42[\"a\",\"{}\"]", "x".repeat(5000));
        let binary = format!("b{}", "A".repeat(4000));
        let body = [&large, "42[\"b\"]", &binary, "3"].join("\u{1e}");
        for size in [1, 2, 7, 100, 10_000] {
            let read = read(2000, &body, size).await;
            let packets: Vec<_> = read.split(|byte| *byte == SEPARATOR).collect();
            let skipped = Skipped::decode(packets[0]).unwrap();
            assert_eq!((skipped.is_binary, skipped.bytes), (false, large.len() as u64), "in pieces of {size}");
            assert_eq!(skipped.beginning, &large.as_bytes()[..BEGINNING], "in pieces of {size}");
            assert_eq!(packets[1], b"42[\"b\"]");
            let skipped = Skipped::decode(packets[2]).unwrap();
            assert_eq!((skipped.is_binary, skipped.bytes), (true, 3000), "in pieces of {size}");
            assert_eq!((packets[3], packets.len()), (&b"3"[..], 4));
            let fitting = format!("b{}", "A".repeat(2600));
            assert_eq!(self::read(2000, &fitting, size).await, fitting, "binary packets count as they are");
        }
    }

    #[tokio::test]
    async fn r14_a_body_keeps_no_more_than_its_limit() {
        let body = vec![format!("42[\"{}\"]", "x".repeat(500)); 100].join("\u{1e}");
        let read = read(2000, &body, 1000).await;
        let packets = read.split(|byte| *byte == SEPARATOR);
        assert_eq!(packets.filter(|packet| Skipped::decode(packet).is_none()).count(), 3);
    }

    #[tokio::test]
    async fn r14_a_body_of_many_packets_that_do_not_fit_is_refused() {
        let body = format!("{}{}", "x".repeat(2000), "\u{1e}x".repeat(100_000));
        assert!(PostedBody::new(2000, false).read(Body::from(body)).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn r31_a_body_that_is_far_too_large_is_not_read() {
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let pieces = std::iter::repeat_n(piece, 100).map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        assert!(PostedBody::new(2000, false).read(body).await.unwrap().is_err());
        let body = Body::from("x".repeat(3000));
        assert_eq!(PostedBody::new(2000, true).read(body).await.unwrap(), Err(3000), "Engine.IO 3");
    }
}
