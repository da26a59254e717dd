//! Packets of channels with parameters, on the wire.
//!
//! What a client sends to an instance, `42/orders/42,7["note"]`, is given to the engine as an event of the template's
//! namespace, `42/orders/{id},CODE["note"]`. The code, in the place of the acknowledgement's id, has the number of the
//! instance on this connection, that id, and whether it was an event, a CONNECT or a DISCONNECT. Only the head of a frame
//! is changed; what follows passes through as it is. See [`super::instances`].
//!
//! Most events do not take that way: one that has arrived whole, while the engine has nothing left to read, is handed over at
//! once. The engine would read it twice, for the connection and for the namespace.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use socketioxide_core::{Value, parser::Parse};
use socketioxide_parser_common::CommonParser;

use super::{
    DisconnectReason,
    client::ClientConnection,
    frames::{FrameHead, TEXT, push_frame, unmask},
    instances::{InstanceKey, Joined, Known, Opened},
};
use crate::{
    path::MAX_BYTES,
    telemetry::{Cause, refused},
};

/// What stands in the place of an acknowledgement's id: that, the number of the instance, and the kind, so that the text is short while
/// both numbers are small.
pub(super) struct Code;

/// What a client has sent to an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Event,
    Connect,
    Disconnect,
}

impl Code {
    const ID_BITS: u32 = 40;
    const NUMBER_BITS: u32 = 20;
    const KIND_BITS: u32 = 2;
    /// The last number of an instance on a connection.
    pub(super) const LAST_NUMBER: u32 = (1 << Self::NUMBER_BITS) - 1;

    /// `None` for an id that is larger than any client makes.
    fn write(kind: Kind, number: u32, ack: Option<i64>) -> Option<i64> {
        let id = ack.map_or(Some(0), |ack| ack.checked_add(1))?;
        let kind = match kind {
            Kind::Event => 0,
            Kind::Connect => 1,
            Kind::Disconnect => 2,
        };
        let fits = (0..1 << Self::ID_BITS).contains(&id);
        fits.then_some((((id << Self::NUMBER_BITS) | i64::from(number)) << Self::KIND_BITS) | kind)
    }

    pub(super) fn read(code: i64) -> Option<(Kind, u32, Option<i64>)> {
        let kind = match code & ((1 << Self::KIND_BITS) - 1) {
            0 => Kind::Event,
            1 => Kind::Connect,
            2 => Kind::Disconnect,
            _ => return None,
        };
        let number = u32::try_from((code >> Self::KIND_BITS) & i64::from(Self::LAST_NUMBER)).ok()?;
        let id = code >> (Self::KIND_BITS + Self::NUMBER_BITS);
        Some((kind, number, (id > 0).then(|| id - 1)))
    }
}

/// The longest head of a packet: its type, the number of attachments, the path, and the id of the acknowledgement.
const MOST_HEAD: usize = 2 + 10 + MAX_BYTES + 64 + 20;

/// The first byte of a text message in one frame.
const FINAL_TEXT: u8 = 0x80 | TEXT;

/// So many events are handed over at once: nothing is written meanwhile.
const MAX_HANDED_OVER: usize = 16;

/// The largest CONNECT packet.
const MOST_CONNECT: usize = 64 * 1024;

/// Rewrites what one client sends.
pub(super) struct Translator {
    known: Arc<Known>,
    /// Bytes left of a frame that passes through.
    pass: u64,
    /// The beginning of a frame, until it is known what it is.
    beginning: Vec<u8>,
    /// What came after the first CONNECT of a template, until its namespace is joined.
    waiting: Option<(usize, Vec<u8>)>,
    /// How many answers of such namespaces are still to be taken out of what is written.
    hidden: usize,
}

/// What the engine reads of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translated {
    /// The chunk, from this place on.
    From(usize),
    Changed(BytesMut),
}

impl Translated {
    /// What the engine reads of this chunk.
    pub(super) fn of<'a>(&'a self, chunk: &'a [u8]) -> &'a [u8] {
        match self {
            Self::From(at) => &chunk[*at..],
            Self::Changed(changed) => changed,
        }
    }
}

/// What is read, as far as it differs from what came.
struct Out<'a> {
    /// What is there in its place, once anything is.
    changed: Option<BytesMut>,
    bytes: &'a [u8],
    /// How many bytes of events have been handed over.
    handed_over: usize,
    /// How many more may be.
    left: usize,
    /// Whether the engine has read all that came before, so that events may be handed over.
    is_idle: bool,
}

impl Out<'_> {
    /// Whether nothing before this place is for the engine to read.
    fn is_next(&self, at: usize) -> bool {
        self.is_idle && self.changed.is_none() && self.handed_over == at && self.left > 0
    }

    /// What differs is written here; before it is what came up to this place.
    fn from(&mut self, at: usize) -> &mut BytesMut {
        self.changed.get_or_insert_with(|| {
            // Paths of templates may be longer than those of their instances.
            let mut changed = BytesMut::with_capacity(self.bytes.len() + self.bytes.len() / 2 + MOST_HEAD);
            changed.extend_from_slice(&self.bytes[self.handed_over..at]);
            changed
        })
    }
}

/// What is done with a frame.
enum Step {
    /// More of it is needed.
    More,
    /// It passes, so many bytes in all.
    Pass(u64),
    /// So many bytes are replaced by what was written; so many after them pass.
    Replace { taken: usize, pass: u64 },
    /// An event of so many bytes was handed over.
    HandedOver(usize),
    /// The namespace of a template is joined first.
    Join(usize),
}

/// What is done with a frame that is to be written.
pub(super) enum Outgoing {
    Keep,
    Drop,
    Replace(Bytes),
}

impl Translator {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self { known, pass: 0, beginning: Vec::new(), waiting: None, hidden: 0 }
    }

    /// Whether reading has to wait; `Some` is to be read now.
    pub(super) fn poll_joined(&mut self, client: &ClientConnection) -> Option<Bytes> {
        let (template, _) = self.waiting.as_ref()?;
        if Opened::joined(client, *template) != Joined::Done {
            return None;
        }
        let (_, rest) = self.waiting.take()?;
        Some(match self.read(client, &rest, false) {
            Translated::From(at) => Bytes::from(rest).slice(at..),
            Translated::Changed(changed) => changed.freeze(),
        })
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Rewrites what was read. `is_idle` when the engine has read and handled whatever came before: then events may be handed
    /// over without it.
    pub(super) fn read(&mut self, client: &ClientConnection, read: &[u8], is_idle: bool) -> Translated {
        if let Some((_, rest)) = &mut self.waiting {
            rest.extend_from_slice(read);
            return Translated::Changed(BytesMut::new());
        }
        let mut whole = std::mem::take(&mut self.beginning);
        let mut changed = None;
        let bytes = if whole.is_empty() {
            read
        } else {
            changed = Some(BytesMut::new());
            whole.extend_from_slice(read);
            &whole
        };
        let mut out = Out { changed, bytes, handed_over: 0, left: MAX_HANDED_OVER, is_idle };
        let mut at = 0;
        while at < bytes.len() {
            if self.pass > 0 {
                let passed = usize::try_from(self.pass).unwrap_or(usize::MAX).min(bytes.len() - at);
                if let Some(changed) = &mut out.changed {
                    changed.extend_from_slice(&bytes[at..at + passed]);
                }
                self.pass -= passed as u64;
                at += passed;
                continue;
            }
            match self.step(client, &bytes[at..], &mut out, at) {
                Step::Pass(length) => self.pass = length,
                Step::More => {
                    out.from(at);
                    self.beginning = bytes[at..].to_vec();
                    break;
                }
                Step::Replace { taken, pass } => {
                    at += taken;
                    self.pass = pass;
                }
                Step::HandedOver(length) => {
                    at += length;
                    out.handed_over = at;
                    out.left -= 1;
                }
                Step::Join(template) => {
                    let packet = format!("40{},", self.known.templates[template].path());
                    push_frame(out.from(at), TEXT, Some([0; 4]), packet.as_bytes());
                    Opened::begin_joining(client, template);
                    self.hidden += 1;
                    self.waiting = Some((template, bytes[at..].to_vec()));
                    break;
                }
            }
        }
        out.changed.map_or(Translated::From(out.handed_over), Translated::Changed)
    }

    /// Looks at the beginning of a frame, which is at this place.
    fn step(&self, client: &ClientConnection, bytes: &[u8], out: &mut Out<'_>, at: usize) -> Step {
        let Some(head) = FrameHead::first(bytes) else { return Step::More };
        let (size, length) = (head.size, head.length);
        // What is not as the protocol says, the engine refuses.
        if !head.is_valid || head.opcode != TEXT || length < 3 {
            return Step::Pass(size as u64 + length);
        }
        // Who is on none of these channels sends nothing to them but a CONNECT.
        if Opened::of(client).is_none() && bytes.get(size + 1).is_some_and(|byte| byte ^ head.mask[1] != b'0') {
            return Step::Pass(size as u64 + length);
        }
        // Most paths are short.
        match self.look_at::<64>(client, bytes, &head, (out, at)) {
            Step::More => self.look_at::<MOST_HEAD>(client, bytes, &head, (out, at)),
            step => step,
        }
    }

    /// Looks at so many bytes of it.
    fn look_at<const MOST: usize>(
        &self,
        client: &ClientConnection,
        bytes: &[u8],
        head: &FrameHead,
        out: (&mut Out<'_>, usize),
    ) -> Step {
        let came = &bytes[head.size..bytes.len().min(head.size + usize::try_from(head.length).unwrap_or(usize::MAX))];
        let mut seen = [0; MOST];
        let seen = &mut seen[..came.len().min(MOST)];
        seen.copy_from_slice(&came[..seen.len()]);
        unmask(seen, head.mask);
        self.look(client, bytes, head, (came, seen), out)
    }

    fn look(
        &self,
        client: &ClientConnection,
        bytes: &[u8],
        &FrameHead { size: head, length, .. }: &FrameHead,
        (came, seen): (&[u8], &[u8]),
        out: (&mut Out<'_>, usize),
    ) -> Step {
        let pass = Step::Pass(head as u64 + length);
        let opened = Opened::of(client);
        let is_complete = came.len() as u64 == length;
        let is_all_seen = is_complete && came.len() == seen.len();
        // Where the path begins.
        let start = match seen {
            [b'4', b'0', b'/', ..] => 2,
            [b'4', b'1'..=b'3', b'/', ..] if opened.is_some() => 2,
            [b'4', b'5' | b'6', digits @ ..] if opened.is_some() => {
                let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
                match &digits[count..] {
                    [b'-', b'/', ..] => 2 + count + 1,
                    [] | [b'-'] if !is_all_seen && count < 10 => return Step::More,
                    _ => return pass,
                }
            }
            [b'4'] | [b'4', b'0'..=b'3'] | [] if !is_all_seen => return Step::More,
            _ => return pass,
        };
        let Some(end) = seen[start..].iter().position(|byte| *byte == b',').map(|end| start + end) else {
            if !is_all_seen && seen.len() < MOST_HEAD {
                return Step::More;
            }
            // A path without anything behind it, or one that is too long.
            return match (is_all_seen, std::str::from_utf8(&seen[start..])) {
                (true, Ok(path)) => {
                    self.packet(client, seen, (start, seen.len()), path, b"", (head, length, bytes), true, out)
                }
                _ => pass,
            };
        };
        let Ok(path) = std::str::from_utf8(&seen[start..end]) else { return pass };
        self.packet(client, seen, (start, end), path, &seen[end + 1..], (head, length, bytes), is_all_seen, out)
    }

    /// A packet of the namespace at this path.
    #[expect(clippy::too_many_arguments, reason = "what is known of the frame")]
    fn packet(
        &self,
        client: &ClientConnection,
        seen: &[u8],
        (start, end): (usize, usize),
        written: &str,
        behind: &[u8],
        (head, length, bytes): (usize, u64, &[u8]),
        is_all_seen: bool,
        (out, at): (&mut Out<'_>, usize),
    ) -> Step {
        let pass = Step::Pass(head as u64 + length);
        let path = written.split('?').next().unwrap_or_default();
        if seen[1] == b'0' {
            return self.connect(client, path, (head, length, bytes), end, (out, at));
        }
        let Some((key, entered)) = Opened::of(client).and_then(|opened| opened.find(path)) else {
            // Nobody but this module sends anything to the namespaces of templates.
            if self.known.templates.iter().any(|template| template.path() == path) {
                refused(Cause::InvalidPacket, "a packet of a channel with parameters that is not open");
                client.close_with(DisconnectReason::InvalidPacket);
            }
            return pass;
        };
        let template = self.known.templates[key.template].path();
        if seen[1] == b'1' {
            let whole = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(head);
            if bytes.len() < whole {
                return if is_all_seen || whole > head + MOST_HEAD { pass } else { Step::More };
            }
            if let Some(opened) = Opened::of(client) {
                opened.close(path);
            }
            push_lifecycle(out.from(at), Kind::Disconnect, key, template);
            return Step::Replace { taken: whole, pass: 0 };
        }
        // The comma is missing where nothing is behind it.
        let mut taken = (end + 1).min(seen.len());
        let mut code = String::new();
        if matches!(seen[1], b'2' | b'5') {
            let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == behind.len() && !is_all_seen && seen.len() < MOST_HEAD {
                return Step::More;
            }
            let id = match &behind[..digits] {
                [] => Ok(None),
                id => std::str::from_utf8(id).unwrap_or_default().parse().map(Some),
            };
            let coded = id.ok().and_then(|id| Some((id, Code::write(Kind::Event, key.number, id)?)));
            let Some((id, number)) = coded else {
                refused(Cause::InvalidPacket, "an acknowledgement's id that no client makes");
                client.close_with(DisconnectReason::InvalidPacket);
                return pass;
            };
            taken += digits;
            if seen[1] == b'2'
                && out.is_next(at)
                && let Some(entered) = entered
                && let Some(payload) = whole_payload(bytes, (head, length), taken)
            {
                entered.event(payload, id);
                return Step::HandedOver(head + length as usize);
            }
            code = number.to_string();
        }
        let beginning = [&seen[..start], template.as_bytes(), b",", code.as_bytes()];
        let (mask, rest) = (&bytes[head - 4..head], length - taken as u64);
        // The rest stays masked as it is, so the new mask begins elsewhere.
        let shift = (taken + 4 - beginning.iter().map(|part| part.len()).sum::<usize>() % 4) % 4;
        let mask = [0, 1, 2, 3].map(|index| mask[(index + shift) % 4]);
        push_beginning(out.from(at), bytes[0], mask, beginning, rest);
        Step::Replace { taken: head + taken, pass: rest }
    }

    /// A CONNECT packet.
    fn connect(
        &self,
        client: &ClientConnection,
        path: &str,
        (head, length, bytes): (usize, u64, &[u8]),
        end: usize,
        (out, at): (&mut Out<'_>, usize),
    ) -> Step {
        let pass = Step::Pass(head as u64 + length);
        let known = &self.known;
        if known.rejoin.has_path(path.as_bytes()) {
            return pass;
        }
        let Some(template) = known.templates.iter().position(|template| template.matches(path)) else { return pass };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MOST_CONNECT || bytes[0] & 0x80 == 0 {
            refused(Cause::InvalidPacket, "a CONNECT packet of more than 64 KB, or in several frames");
            client.close_with(DisconnectReason::InvalidPacket);
            return pass;
        }
        if bytes.len() < head + length {
            return Step::More;
        }
        if Opened::joined(client, template) == Joined::Not {
            return Step::Join(template);
        }
        let mask = &bytes[head - 4..head];
        let payload: Vec<u8> =
            bytes[head..head + length].iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]).collect();
        let auth = std::str::from_utf8(payload.get(end + 1..).unwrap_or_default()).ok();
        let of = (template, &known.templates[template]);
        let out = out.from(at);
        if let Some(number) = Opened::open(client, of, path, auth, known.most) {
            push_lifecycle(out, Kind::Connect, InstanceKey { number, template }, of.1.path());
        }
        Step::Replace { taken: head + length, pass: 0 }
    }

    /// Whether what is written has to be looked at.
    pub(super) fn is_writing_watched(&self, client: &ClientConnection) -> bool {
        self.hidden > 0 || Opened::of(client).is_some_and(Opened::has_aliases)
    }

    /// What is done with a frame of this payload. The answers of templates' namespaces are not for the client, and a path
    /// that it writes in its own way is written so.
    pub(super) fn write(&mut self, client: &ClientConnection, opcode: u8, payload: &[u8]) -> Outgoing {
        if opcode != TEXT || payload.first() != Some(&b'4') {
            return Outgoing::Keep;
        }
        // Behind the type and the number of attachments.
        let digits = payload.iter().skip(2).take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let start = 2 + digits;
        if payload.get(start) != Some(&b'/') {
            return Outgoing::Keep;
        }
        let rest = &payload[start..];
        let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
        let Ok(path) = std::str::from_utf8(&rest[..end]) else { return Outgoing::Keep };
        if self.hidden > 0
            && payload.starts_with(b"40/")
            && self.known.templates.iter().any(|template| template.path() == path)
        {
            self.hidden -= 1;
            return Outgoing::Drop;
        }
        let Some(alias) = Opened::of(client).and_then(|opened| opened.alias(path)) else { return Outgoing::Keep };
        let packet = [&payload[..start], alias.as_bytes(), &rest[end..]].concat();
        let mut frame = BytesMut::new();
        push_frame(&mut frame, TEXT, None, &packet);
        Outgoing::Replace(frame.freeze())
    }
}

/// The payload of an event behind the head of its packet, which takes so many bytes of the frame. `None` if the frame is not
/// here as a whole, or has what the engine refuses.
fn whole_payload(bytes: &[u8], (head, length): (usize, u64), taken: usize) -> Option<Value> {
    let payload = bytes.get(head..head.checked_add(usize::try_from(length).ok()?)?)?;
    if bytes[0] != FINAL_TEXT {
        return None;
    }
    let mut mask = [bytes[head - 4], bytes[head - 3], bytes[head - 2], bytes[head - 1]];
    mask.rotate_left(taken % 4);
    let mut text = payload[taken..].to_vec();
    unmask(&mut text, mask);
    let value = Value::Str(String::from_utf8(text).ok()?.into(), None);
    CommonParser.read_event(&value).is_ok().then_some(value)
}

/// The frame for a CONNECT or a DISCONNECT of an instance: an event whose name is not read.
fn push_lifecycle(out: &mut BytesMut, kind: Kind, key: InstanceKey, template: &str) {
    let code = Code::write(kind, key.number, None).unwrap_or_default();
    push_frame(out, TEXT, Some([0; 4]), format!("42{template},{code}[\"\"]").as_bytes());
}

/// The head of a masked frame and the beginning of its payload, of which so many bytes follow.
fn push_beginning(out: &mut BytesMut, first: u8, mask: [u8; 4], beginning: [&[u8]; 4], rest: u64) {
    let length = beginning.iter().map(|part| part.len() as u64).sum::<u64>() + rest;
    out.put_u8(first);
    match length {
        0..126 => out.put_u8(0x80 | length as u8),
        126..=0xffff => {
            out.put_u8(0x80 | 126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(0x80 | 127);
            out.put_u64(length);
        }
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    beginning.iter().for_each(|part| out.extend_from_slice(part));
    unmask(&mut out[start..], mask);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{frames::Frame, rejoin::Rejoin},
        template::Template,
    };

    fn known() -> Arc<Known> {
        let rejoin = Arc::new(Rejoin::new(crate::background::Background::new(Default::default())));
        rejoin.add_path("/orders/new");
        let templates = vec![Template::parse("/orders/{id}").unwrap(), Template::parse("/{a}/x/{b}").unwrap()];
        Arc::new(Known { templates, rejoin, most: 100 })
    }

    /// A client's frame, masked.
    fn frame(packet: &[u8]) -> BytesMut {
        let mask = [3, 99, 250, 0];
        let masked: Vec<u8> = packet.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]).collect();
        let mut frame = BytesMut::new();
        push_frame(&mut frame, TEXT, Some(mask), &masked);
        frame
    }

    /// The packets in a client's frames.
    fn packets(mut bytes: &[u8]) -> Vec<String> {
        let mut packets = Vec::new();
        while !bytes.is_empty() {
            let FrameHead { size: head, length, mask, .. } = FrameHead::first(bytes).unwrap();
            let end = head + usize::try_from(length).unwrap();
            let packet = bytes[head..end].iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]);
            packets.push(String::from_utf8(packet.collect()).unwrap());
            bytes = &bytes[end..];
        }
        packets
    }

    /// What the engine reads when these packets come in pieces of a size.
    fn read(sent: &[&str], size: usize) -> Vec<String> {
        let client = ClientConnection::slow();
        let mut translator = Translator::new(known());
        let all: Vec<u8> = sent.iter().flat_map(|packet| frame(packet.as_bytes())).collect();
        let mut out = Vec::new();
        for piece in all.chunks(size) {
            out.extend_from_slice(translator.read(&client, piece, true).of(piece));
            for template in 0..2 {
                if Opened::joined(&client, template) == Joined::Begun {
                    Opened::of(&client).unwrap().end_joining(template);
                }
            }
            while translator.is_waiting() {
                out.extend(translator.poll_joined(&client).unwrap());
                for template in 0..2 {
                    if Opened::joined(&client, template) == Joined::Begun {
                        Opened::of(&client).unwrap().end_joining(template);
                    }
                }
            }
        }
        packets(&out)
    }

    fn code(kind: Kind, number: u32, ack: Option<i64>) -> i64 {
        Code::write(kind, number, ack).unwrap()
    }

    #[test]
    fn r18_codes_are_read_as_they_were_written() {
        for kind in [Kind::Event, Kind::Connect, Kind::Disconnect] {
            for number in [1, 77, Code::LAST_NUMBER] {
                for ack in [None, Some(0), Some(1), Some((1 << 40) - 2)] {
                    assert_eq!(Code::read(code(kind, number, ack)), Some((kind, number, ack)));
                }
            }
        }
        assert_eq!(Code::write(Kind::Event, 1, Some((1 << 40) - 1)), None);
        assert_eq!(Code::write(Kind::Event, 1, Some(i64::MAX)), None);
        assert_eq!(Code::read(-1), None);
    }

    #[test]
    fn r18_packets_of_instances_are_events_of_their_template() {
        let long = format!("42/orders/42,[\"long\",\"{}\"]", "x".repeat(70_000));
        let medium = format!("42/orders/42,[\"medium\",\"{}\"]", "y".repeat(110));
        let sent = [
            "40/orders/new,",
            "40{\"a\":1}",
            "40/orders/42,{\"token\":\"t\"}",
            "42/orders/42,[\"note\",1]",
            "42/orders/42,7[\"note\",\"é\"]",
            "451-/orders/42,0[\"file\",{\"_placeholder\":true,\"num\":0}]",
            "43/orders/42,12[1]",
            &medium,
            &long,
            "42/orders/new,1[\"where\"]",
            "42[\"root\"]",
            "2",
            "3probe",
            "40/orders/42,",
            "40/a/x/b?q=1",
            "42/a/x/b,[\"e\"]",
            "41/orders/42,",
            "42/orders/42,[\"late\"]",
            "40/orders/42",
            "42/orders/42,[\"again\"]",
            "41/orders/42",
        ];
        let event = |number, ack| code(Kind::Event, number, ack);
        let expected = [
            "40/orders/new,".to_owned(),
            "40{\"a\":1}".to_owned(),
            "40/orders/{id},".to_owned(),
            format!("42/orders/{{id}},{}[\"\"]", code(Kind::Connect, 1, None)),
            format!("42/orders/{{id}},{}[\"note\",1]", event(1, None)),
            format!("42/orders/{{id}},{}[\"note\",\"é\"]", event(1, Some(7))),
            format!("451-/orders/{{id}},{}[\"file\",{{\"_placeholder\":true,\"num\":0}}]", event(1, Some(0))),
            "43/orders/{id},12[1]".to_owned(),
            medium.replace("/orders/42,", &format!("/orders/{{id}},{}", event(1, None))),
            long.replace("/orders/42,", &format!("/orders/{{id}},{}", event(1, None))),
            "42/orders/new,1[\"where\"]".to_owned(),
            "42[\"root\"]".to_owned(),
            "2".to_owned(),
            "3probe".to_owned(),
            "40/{a}/x/{b},".to_owned(),
            format!("42/{{a}}/x/{{b}},{}[\"\"]", code(Kind::Connect, 2, None)),
            format!("42/{{a}}/x/{{b}},{}[\"e\"]", event(2, None)),
            format!("42/orders/{{id}},{}[\"\"]", code(Kind::Disconnect, 1, None)),
            "42/orders/42,[\"late\"]".to_owned(),
            format!("42/orders/{{id}},{}[\"\"]", code(Kind::Connect, 3, None)),
            format!("42/orders/{{id}},{}[\"again\"]", event(3, None)),
            format!("42/orders/{{id}},{}[\"\"]", code(Kind::Disconnect, 3, None)),
        ];
        for size in [1, 2, 3, 5, 7, 16, 61, 1000, 4096, 200_000] {
            let read = read(&sent, size);
            for (read, expected) in read.iter().zip(&expected) {
                assert_eq!(read, expected, "in pieces of {size}");
            }
            assert_eq!(read.len(), expected.len(), "in pieces of {size}");
        }
    }

    #[test]
    fn r18_what_is_written_names_the_client_s_own_spelling_and_hides_the_template() {
        let client = ClientConnection::slow();
        let mut translator = Translator::new(known());
        for packet in ["40/orders/%34%32,", "40/orders/7,"] {
            translator.read(&client, &frame(packet.as_bytes()), false);
            if let Some(opened) = Opened::of(&client) {
                opened.end_joining(0);
            }
            translator.poll_joined(&client);
        }
        assert!(translator.is_writing_watched(&client));
        let mut write = |packet: &str| match translator.write(&client, TEXT, packet.as_bytes()) {
            Outgoing::Keep => packet.to_owned(),
            Outgoing::Drop => "-".to_owned(),
            Outgoing::Replace(bytes) => String::from_utf8(Frame::first(&bytes).unwrap().payload.to_vec()).unwrap(),
        };
        assert_eq!(write("40/orders/{id},{\"sid\":\"a\"}"), "-");
        assert_eq!(write("42/orders/42,[\"e\"]"), "42/orders/%34%32,[\"e\"]");
        assert_eq!(write("451-/orders/42,[\"e\"]"), "451-/orders/%34%32,[\"e\"]");
        assert_eq!(write("41/orders/42"), "41/orders/%34%32");
        for packet in ["42/orders/7,[\"e\"]", "42[\"e\",\"/orders/42,\"]", "2", "40/orders/{id},"] {
            assert_eq!(write(packet), packet);
        }
        assert!(Opened::of(&client).unwrap().close("/orders/%34%32").is_some());
        assert!(!translator.is_writing_watched(&client));
    }
}
