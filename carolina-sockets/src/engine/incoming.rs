//! What a client's frames hold, before the engine reads them.
//!
//! Most frames are only followed, and the engine reads them as they came. Messages in several frames, and packets that are
//! no events and come in pieces, are put together first, so that each packet is seen as a whole. A message that exceeds a
//! limit is skipped; see [`super::excess`].

use bytes::BytesMut;

use super::{
    excess::{BEGINNING, Excess, Instead, Limit, MOST_SKIPPED, Packet, Skipped, mark, replace},
    frames::{BINARY, CONTINUATION, FrameHead, LONGEST_HEAD, TEXT, push_frame, unmask},
};
use crate::path::MAX_BYTES;

/// How many bytes at the start of a packet tell its type and namespace.
pub(super) const PREFIX_LENGTH: usize = 2 + MAX_BYTES + 1;

/// How much of a CONNECT packet is handed over, at most.
const MOST_CONNECT: usize = 64 * 1024;

/// A reserved opcode, for what the polling session says of a packet that it has skipped.
pub(super) const NOTICE: u8 = 15;

/// How large a notice can be.
const MOST_NOTICE: u64 = BEGINNING as u64 + 100;

/// What was found in a client's frames.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// The first bytes of a packet that is no event.
    Beginning(&'a [u8]),
    /// A whole CONNECT packet. Its beginning was handed over before.
    Connect(&'a [u8]),
    /// A message that exceeds a limit, and the first bytes of its packet. It is answered in its turn.
    Skipped(Excess, &'a [u8]),
    /// A message that exceeds a limit and cannot be answered.
    Unanswerable(Excess),
    /// Frames that are not in order.
    Invalid,
}

/// What a client's messages may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageLimits {
    /// How many bytes, attachments included.
    pub(super) bytes: u64,
    pub(super) attachments: usize,
}

/// The position in the stream of a client's frames.
#[derive(Debug)]
pub(super) struct Incoming {
    limits: MessageLimits,
    state: State,
    /// The message that is being put together or skipped.
    message: Option<Box<Message>>,
    attachments: Attachments,
}

#[derive(Debug)]
enum State {
    /// In a frame's head, with the bytes received so far. The engine has not got these.
    Head([u8; LONGEST_HEAD], u8),
    /// In the payload of a frame that the engine reads as it comes, with the number of bytes left and that of all.
    Passing { left: u64, length: u64 },
    /// In the payload of a frame of the message that is put together or skipped, with its mask.
    Collecting { left: u64, mask: [u8; 4] },
}

/// A message of which the engine has got nothing yet.
#[derive(Debug)]
struct Message {
    opcode: u8,
    /// Of a message that is too large, the beginning alone.
    collected: Vec<u8>,
    /// How many bytes its frames have, as far as their heads have come in.
    bytes: u64,
    /// The last of its frames has begun.
    is_final: bool,
    is_too_large: bool,
}

/// The attachments that the last packet announced.
#[derive(Debug, Default)]
struct Attachments {
    expected: usize,
    /// The bytes of the packet and of those attachments that have come in.
    bytes: u64,
    /// They are a client's acknowledgement's.
    is_answer: bool,
    /// They are skipped, as the packet was.
    is_skipped: bool,
}

/// What is done with an attachment.
enum Attachment {
    Pass,
    Skip,
    /// It is too large; an event gets the mark in its place.
    Mark(Excess),
    Unanswerable(Excess),
}

impl Attachments {
    fn next(&mut self, bytes: u64, limits: MessageLimits) -> Attachment {
        self.bytes = self.bytes.saturating_add(bytes);
        let excess = Excess::bytes(self.bytes, limits.bytes);
        if self.expected == 0 {
            // The engine refuses it, if it is small enough to be read.
            return if bytes > limits.bytes { Attachment::Unanswerable(excess) } else { Attachment::Pass };
        }
        self.expected -= 1;
        match self.bytes > limits.bytes {
            _ if self.is_skipped => Attachment::Skip,
            true if self.is_answer => Attachment::Unanswerable(excess),
            true => Attachment::Mark(excess),
            false => Attachment::Pass,
        }
    }
}

/// What the engine reads in place of a chunk.
struct Output<'a> {
    bytes: &'a [u8],
    /// The position up to which it is decided.
    decided: usize,
    /// `None` as long as the engine reads the bytes as they came.
    replaced: Option<BytesMut>,
}

impl Output<'_> {
    /// The engine reads what came before `begin`, and not what came from there to `end`.
    fn leave_out(&mut self, begin: usize, end: usize) -> &mut BytesMut {
        let replaced = self.replaced.get_or_insert_with(BytesMut::new);
        replaced.extend_from_slice(&self.bytes[self.decided..begin]);
        self.decided = end;
        replaced
    }

    fn finish(mut self) -> Option<BytesMut> {
        if let Some(replaced) = &mut self.replaced {
            replaced.extend_from_slice(&self.bytes[self.decided..]);
        }
        self.replaced
    }
}

/// What [`Incoming::read`] has found out about a chunk.
pub(super) struct Chunk {
    /// How many frames began in it.
    pub(super) begun: usize,
    /// The bytes of the largest message that has come in with it.
    pub(super) largest: u64,
    /// What the engine reads in its place; `None` if it reads the chunk as it came.
    pub(super) replaced: Option<BytesMut>,
}

impl Incoming {
    pub(super) fn new(limits: MessageLimits) -> Self {
        Self { limits, state: State::Head([0; LONGEST_HEAD], 0), message: None, attachments: Attachments::default() }
    }

    /// Whether the engine has got whole frames.
    pub(super) fn is_at_boundary(&self) -> bool {
        !matches!(self.state, State::Passing { .. })
    }

    /// Whether the last packet's attachments are not all there.
    pub(super) fn awaits_attachments(&self) -> bool {
        self.attachments.expected > 0
    }

    /// Takes in a chunk. What packets other than events begin with is handed over, unmasked: all that is needed to know which
    /// channel a client joins or leaves.
    pub(super) fn read(&mut self, bytes: &[u8], mut on_seen: impl FnMut(Seen<'_>)) -> Chunk {
        let (mut begun, mut largest) = (0, 0);
        let mut at = 0;
        let mut output = Output { bytes, decided: 0, replaced: None };
        while at < bytes.len() {
            match &mut self.state {
                State::Head(head, have) => {
                    let before = usize::from(*have);
                    let found = if before == 0 {
                        FrameHead::first(&bytes[at..])
                    } else {
                        let more = (LONGEST_HEAD - before).min(bytes.len() - at);
                        head[before..before + more].copy_from_slice(&bytes[at..at + more]);
                        FrameHead::first(&head[..before + more])
                    };
                    let Some(found) = found else {
                        // Never more than the head can have.
                        let more = bytes.len() - at;
                        head[before..before + more].copy_from_slice(&bytes[at..]);
                        *have += u8::try_from(more).unwrap_or(u8::MAX);
                        output.leave_out(at, bytes.len());
                        break;
                    };
                    let head = *head;
                    let end = at + found.size - before;
                    begun += 1;
                    let passes = self.begin_frame(found, &bytes[end..], &mut on_seen);
                    if !passes {
                        output.leave_out(at, end);
                    } else if before > 0 {
                        output.leave_out(at, end).extend_from_slice(&head[..found.size]);
                    }
                    at = end;
                    if matches!(self.state, State::Collecting { left: 0, .. }) {
                        largest = largest.max(self.message.as_ref().map_or(0, |message| message.bytes));
                        self.end_frame(at, &mut output, &mut on_seen);
                    }
                }
                State::Passing { left, length } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= taken as u64;
                    at += taken;
                    if *left == 0 {
                        largest = largest.max(*length);
                        self.state = State::Head([0; LONGEST_HEAD], 0);
                    }
                }
                State::Collecting { left, mask } => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    if let Some(message) = &mut self.message {
                        message.collect(&bytes[at..at + taken], *mask);
                    }
                    mask.rotate_left(taken % 4);
                    *left -= taken as u64;
                    output.leave_out(at, at + taken);
                    at += taken;
                    if matches!(self.state, State::Collecting { left: 0, .. }) {
                        largest = largest.max(self.message.as_ref().map_or(0, |message| message.bytes));
                        self.end_frame(at, &mut output, &mut on_seen);
                    }
                }
            }
        }
        Chunk { begun, largest, replaced: output.finish() }
    }

    /// Decides what is done with a frame, of whose payload so much is there. `true` when the engine reads it as it comes.
    fn begin_frame(&mut self, head: FrameHead, payload: &[u8], on_seen: &mut impl FnMut(Seen<'_>)) -> bool {
        let FrameHead { is_final, opcode, mask, length, .. } = head;
        let pass = match length {
            0 => State::Head([0; LONGEST_HEAD], 0),
            length => State::Passing { left: length, length },
        };
        let is_data = matches!(opcode, TEXT | BINARY);
        let is_in_message = self.message.is_some();
        let is_notice = opcode == NOTICE && !is_in_message && length <= MOST_NOTICE;
        // What is not as the protocol says, the engine refuses.
        if !head.is_valid || !(is_data || is_notice || opcode == CONTINUATION && is_in_message) {
            self.state = pass;
            return true;
        }
        if is_data && is_in_message {
            on_seen(Seen::Invalid);
            self.state = pass;
            return true;
        }
        if is_data && is_final && length <= self.limits.bytes {
            let passes = if opcode == TEXT {
                self.text_passes(payload, mask, length, on_seen)
            } else {
                // One that does not pass is counted when it has come in.
                self.attachments.expected == 0
                    || !self.attachments.is_skipped
                        && self.attachments.bytes.saturating_add(length) <= self.limits.bytes
            };
            if passes {
                if opcode == BINARY {
                    self.attachments.next(length, self.limits);
                }
                self.state = pass;
                return true;
            }
        }
        let message = self.message.get_or_insert_with(|| Box::new(Message::new(opcode)));
        let was = message.bytes;
        message.bytes = was.saturating_add(length);
        message.is_final = is_final;
        // Of an attachment that is not read, nothing is needed.
        message.is_too_large |= opcode == BINARY && is_final && !is_in_message;
        if message.bytes > self.limits.bytes && opcode != NOTICE {
            message.is_too_large = true;
            message.collected.truncate(BEGINNING);
            message.collected.shrink_to_fit();
            let most = self.limits.bytes.saturating_add(MOST_SKIPPED);
            if message.bytes > most && was <= most {
                on_seen(Seen::Unanswerable(Excess::bytes(message.bytes, self.limits.bytes)));
            }
        }
        self.state = State::Collecting { left: length, mask };
        false
    }

    /// Whether the engine reads a message of text as it comes: an event, or what is there as a whole and within the limits.
    fn text_passes(&mut self, payload: &[u8], mask: [u8; 4], length: u64, on_seen: &mut impl FnMut(Seen<'_>)) -> bool {
        let there = payload.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        let is_whole = there as u64 == length;
        if let [first, second, ..] = payload[..there]
            && (first ^ mask[0], second ^ mask[1]) == (b'4', b'2')
        {
            self.attachments = Attachments::default();
            return true;
        }
        if !is_whole {
            return false;
        }
        let mut prefix = [0; PREFIX_LENGTH];
        let known = there.min(PREFIX_LENGTH);
        for (position, byte) in payload[..known].iter().enumerate() {
            prefix[position] = byte ^ mask[position % 4];
        }
        let prefix = &prefix[..known];
        if prefix.starts_with(b"40") {
            let packet: Vec<u8> =
                payload[..there].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            return self.look_at(&packet, length, on_seen).is_none();
        }
        self.look_at(prefix, length, on_seen).is_none()
    }

    /// Hands over what has to be known of a packet of text, which is whole or of which this is the prefix, and begins to count
    /// its attachments. Returns by how much it exceeds their limit.
    fn look_at(&mut self, packet: &[u8], length: u64, on_seen: &mut impl FnMut(Seen<'_>)) -> Option<Excess> {
        self.attachments = Attachments::default();
        if let [b'4', kind @ (b'5' | b'6'), ..] = packet {
            let expected = Packet::parse(packet).map_or(0, |packet| packet.attachments);
            if expected > self.limits.attachments {
                let (actual, allowed) = (expected as u64, self.limits.attachments as u64);
                return Some(Excess { limit: Limit::Attachments, actual, allowed });
            }
            self.attachments =
                Attachments { expected, bytes: length, is_answer: *kind == b'6', ..Attachments::default() };
        }
        if !packet.is_empty() && !matches!(packet, [b'4', b'2' | b'5', ..]) {
            on_seen(Seen::Beginning(&packet[..packet.len().min(PREFIX_LENGTH)]));
        }
        if packet.starts_with(b"40") && packet.len() <= MOST_CONNECT {
            on_seen(Seen::Connect(packet));
        }
        None
    }

    /// A frame of the message has come in.
    fn end_frame(&mut self, at: usize, output: &mut Output<'_>, on_seen: &mut impl FnMut(Seen<'_>)) {
        self.state = State::Head([0; LONGEST_HEAD], 0);
        let Some(message) = self.message.take_if(|message| message.is_final) else { return };
        let Message { opcode, collected, bytes, is_too_large, .. } = *message;
        match opcode {
            NOTICE => match Skipped::decode(&collected) {
                Some(Skipped { is_binary: true, bytes, .. }) => self.attachment(bytes, None, at, output, on_seen),
                Some(Skipped { bytes, beginning, .. }) => {
                    self.skip_text(&beginning, Excess::bytes(bytes, self.limits.bytes), at, output, on_seen)
                }
                // As it came: the engine refuses it.
                None => push_frame(output.leave_out(at, at), opcode, Some([0; 4]), &collected),
            },
            BINARY => self.attachment(bytes, Some(&collected).filter(|_| !is_too_large), at, output, on_seen),
            _ if is_too_large => {
                self.skip_text(&collected, Excess::bytes(bytes, self.limits.bytes), at, output, on_seen);
            }
            _ => match self.look_at(&collected, bytes, on_seen) {
                Some(excess) => {
                    self.skip_text(&collected[..collected.len().min(BEGINNING)], excess, at, output, on_seen)
                }
                None => push_frame(output.leave_out(at, at), TEXT, Some([0; 4]), &collected),
            },
        }
    }

    /// Puts something in the place of a packet of text.
    fn skip_text(
        &mut self,
        beginning: &[u8],
        excess: Excess,
        at: usize,
        output: &mut Output<'_>,
        on_seen: &mut impl FnMut(Seen<'_>),
    ) {
        let expected = Packet::parse(beginning).map_or(0, |packet| packet.attachments);
        self.attachments = Attachments { expected, is_skipped: true, ..Attachments::default() };
        match replace(beginning, excess) {
            Instead::Packet(packet) => {
                on_seen(Seen::Skipped(excess, beginning));
                if packet.starts_with("40") {
                    on_seen(Seen::Beginning(packet.as_bytes()));
                    on_seen(Seen::Connect(packet.as_bytes()));
                }
                push_frame(output.leave_out(at, at), TEXT, Some([0; 4]), packet.as_bytes());
            }
            Instead::Nothing => on_seen(Seen::Skipped(excess, beginning)),
            Instead::Close => on_seen(Seen::Unanswerable(excess)),
        }
    }

    /// An attachment has come in; without its bytes if it was too large.
    fn attachment(
        &mut self,
        bytes: u64,
        collected: Option<&Vec<u8>>,
        at: usize,
        output: &mut Output<'_>,
        on_seen: &mut impl FnMut(Seen<'_>),
    ) {
        match self.attachments.next(bytes, self.limits) {
            Attachment::Pass => {
                if let Some(collected) = collected {
                    push_frame(output.leave_out(at, at), BINARY, Some([0; 4]), collected);
                }
            }
            Attachment::Skip => {}
            Attachment::Mark(excess) => {
                on_seen(Seen::Skipped(excess, b"45"));
                push_frame(output.leave_out(at, at), BINARY, Some([0; 4]), &mark(excess));
            }
            Attachment::Unanswerable(excess) => on_seen(Seen::Unanswerable(excess)),
        }
    }
}

impl Message {
    fn new(opcode: u8) -> Self {
        Self { opcode, collected: Vec::new(), bytes: 0, is_final: false, is_too_large: false }
    }

    fn collect(&mut self, bytes: &[u8], mask: [u8; 4]) {
        let most = if self.is_too_large { BEGINNING.saturating_sub(self.collected.len()) } else { bytes.len() };
        let bytes = &bytes[..bytes.len().min(most)];
        let before = self.collected.len();
        self.collected.extend_from_slice(bytes);
        unmask(&mut self.collected[before..], mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MessageLimits = MessageLimits { bytes: 100_000, attachments: 2 };

    /// A part of a message, as a client sends it.
    fn part(opcode: u8, is_final: bool, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut whole = BytesMut::new();
        push_frame(&mut whole, opcode, Some(mask), payload);
        if !is_final {
            whole[0] &= 0x7f;
        }
        let begin = whole.len() - payload.len();
        whole[begin..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        whole.to_vec()
    }

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        part(opcode, true, payload, [1, 2, 3, 250])
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Read {
        beginnings: Vec<Vec<u8>>,
        connects: Vec<Vec<u8>>,
        skipped: Vec<Excess>,
        unanswerable: Vec<Excess>,
        invalid: usize,
        begun: usize,
        /// The messages that the engine gets.
        messages: Vec<(u8, Vec<u8>)>,
    }

    fn read(limits: MessageLimits, stream: &[u8], size: usize) -> Read {
        let mut incoming = Incoming::new(limits);
        let (mut read, mut passed) = (Read::default(), Vec::new());
        for piece in stream.chunks(size) {
            let chunk = incoming.read(piece, |seen| match seen {
                Seen::Beginning(packet) => read.beginnings.push(packet.to_vec()),
                Seen::Connect(packet) => read.connects.push(packet.to_vec()),
                Seen::Skipped(excess, _) => read.skipped.push(excess),
                Seen::Unanswerable(excess) => read.unanswerable.push(excess),
                Seen::Invalid => read.invalid += 1,
            });
            read.begun += chunk.begun;
            passed.extend_from_slice(chunk.replaced.as_deref().unwrap_or(piece));
        }
        let mut rest = &passed[..];
        while let Some(head) = FrameHead::first(rest) {
            assert!(head.is_final && head.is_valid);
            let (payload, after) = rest[head.size..].split_at(head.length as usize);
            let unmasked = payload.iter().zip(head.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            read.messages.push((head.opcode, unmasked));
            rest = after;
        }
        assert!(rest.is_empty(), "whole frames");
        read
    }

    const SIZES: [usize; 8] = [1, 2, 3, 7, 100, 1000, 33_333, usize::MAX];

    #[test]
    fn beginnings_are_found_however_the_bytes_arrive() {
        let long = vec![b'x'; 70_000];
        let middling = vec![b'y'; 300];
        let joining = [b"40/chat,", &middling[..]].concat();
        let sent: [(u8, &[u8]); 11] = [
            (1, b"40/chat,"),
            (2, b"40/no"),
            (1, b""),
            (9, b"ping"),
            (1, &long),
            (1, &middling),
            (1, b"42[\"a\"]"),
            (1, b"3"),
            (1, b"451-[\"a\"]"),
            (2, b"attached"),
            (1, &joining),
        ];
        let stream: Vec<u8> = sent.iter().flat_map(|(opcode, payload)| frame(*opcode, payload)).collect();
        for size in SIZES {
            let read = read(LIMITS, &stream, size);
            assert_eq!(read.begun, sent.len(), "in chunks of {size}");
            let beginnings: Vec<&[u8]> =
                vec![b"40/chat,", &long[..PREFIX_LENGTH], &middling[..PREFIX_LENGTH], b"3", &joining[..PREFIX_LENGTH]];
            assert_eq!(read.beginnings, beginnings, "in chunks of {size}");
            assert_eq!(read.connects, [&b"40/chat,"[..], &joining], "in chunks of {size}");
            let messages: Vec<_> = sent.iter().map(|(opcode, payload)| (*opcode, payload.to_vec())).collect();
            assert_eq!(read.messages, messages, "in chunks of {size}");
        }
    }

    #[test]
    fn r15_messages_in_several_frames_are_put_together() {
        let stream = [
            part(TEXT, false, b"4", [9, 8, 7, 6]),
            part(CONTINUATION, false, b"", [1; 4]),
            frame(9, b"ping"),
            part(CONTINUATION, false, b"0/ch", [5, 4, 3, 2]),
            part(CONTINUATION, true, b"at,{}", [1, 2, 3, 4]),
            part(TEXT, false, b"42[\"a", [0, 1, 2, 3]),
            part(CONTINUATION, true, b"\"]", [1; 4]),
            part(BINARY, false, b"1", [1; 4]),
            part(CONTINUATION, true, b"2", [2; 4]),
            frame(TEXT, b"3"),
        ]
        .concat();
        for size in SIZES {
            let read = read(LIMITS, &stream, size);
            let expected = Read {
                beginnings: vec![b"40/chat,{}".to_vec(), b"3".to_vec()],
                connects: vec![b"40/chat,{}".to_vec()],
                begun: 10,
                messages: vec![
                    (9, b"ping".to_vec()),
                    (TEXT, b"40/chat,{}".to_vec()),
                    (TEXT, b"42[\"a\"]".to_vec()),
                    (BINARY, b"12".to_vec()),
                    (TEXT, b"3".to_vec()),
                ],
                ..Read::default()
            };
            assert_eq!(read, expected, "in chunks of {size}");
        }
        let stream = [part(TEXT, false, b"4", [1; 4]), frame(TEXT, b"3")].concat();
        assert_eq!(read(LIMITS, &stream, 5).invalid, 1, "a message within another");
    }

    #[test]
    fn r31_a_message_over_the_limit_is_skipped() {
        let limits = MessageLimits { bytes: 1000, attachments: 2 };
        let large = [b"42/chat,17[\"a\",\"", &vec![b'x'; 3000][..]].concat();
        let (first, rest) = large.split_at(600);
        let (second, third) = rest.split_at(900);
        let fragments = [
            part(TEXT, false, first, [1, 2, 3, 4]),
            part(CONTINUATION, false, second, [5, 6, 7, 8]),
            frame(9, b"ping"),
            part(CONTINUATION, true, third, [9; 4]),
        ];
        for sent in [frame(TEXT, &large), fragments.concat()] {
            let stream = [sent, frame(TEXT, b"42[\"b\"]")].concat();
            for size in SIZES {
                let mut read = read(limits, &stream, size);
                let excess = Excess::bytes(large.len() as u64, 1000);
                assert_eq!(read.skipped, [excess], "in chunks of {size}");
                assert_eq!(read.unanswerable, []);
                read.messages.retain(|(opcode, _)| *opcode == TEXT);
                let [(_, replaced), (_, next)] = &read.messages[..] else { panic!("{:?}", read.messages) };
                assert!(replaced.starts_with(b"42/chat,17[\""), "{replaced:?}");
                assert_eq!(next, b"42[\"b\"]");
            }
        }
    }

    #[test]
    fn r31_attachments_over_the_limits_are_skipped() {
        let limits = MessageLimits { bytes: 1000, attachments: 2 };
        let attachment = |bytes: usize| frame(BINARY, &vec![7; bytes]);
        let next = frame(TEXT, b"42[\"b\"]");
        for size in SIZES {
            // Too many.
            let stream = [frame(TEXT, b"453-9[\"a\"]"), attachment(1), attachment(2000), attachment(3), next.clone()];
            let found = read(limits, &stream.concat(), size);
            assert_eq!(found.skipped, [Excess { limit: Limit::Attachments, actual: 3, allowed: 2 }]);
            assert_eq!(found.messages.len(), 2, "{:?}", found.messages);
            assert!(found.messages[0].1.starts_with(b"429[\""));
            // Too large by themselves, and together.
            for (first, second) in [(2000, 1), (600, 600)] {
                let stream = [frame(TEXT, b"452-9[\"a\"]"), attachment(first), attachment(second), next.clone()];
                let found = read(limits, &stream.concat(), size);
                assert_eq!(found.messages.len(), 4, "{:?}", found.messages);
                assert_eq!(found.messages[2], (BINARY, mark(*found.skipped.last().unwrap()).to_vec()));
                assert_eq!(found.unanswerable, []);
            }
            // An acknowledgement's, of which the engine has the packet; and one that belongs to nothing.
            let stream = [frame(TEXT, b"461-9[1]"), attachment(2000)].concat();
            assert_eq!(read(limits, &stream, size).unanswerable.len(), 1);
            assert_eq!(read(limits, &attachment(2000), size).unanswerable, [Excess::bytes(2000, 1000)]);
        }
    }

    #[test]
    fn r31_what_cannot_be_answered_is_known_as_soon_as_can_be() {
        let limits = MessageLimits { bytes: 1000, attachments: 2 };
        assert_eq!(read(limits, &frame(TEXT, &[b'2'; 2000]), 100).unanswerable.len(), 1);
        let mut head = vec![0x81, 0xff];
        head.extend((u64::MAX >> 1).to_be_bytes());
        head.extend([0; 4]);
        assert_eq!(read(limits, &head, 5).unanswerable, [Excess::bytes(u64::MAX >> 1, 1000)], "before it comes");
    }
}
