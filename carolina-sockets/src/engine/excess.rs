//! What the engine is given in place of a message that exceeds a limit.
//!
//! The engine would close the connection. So it does not get the message: an event is replaced by a small one, and an
//! attachment by a mark, so that the event is answered in its turn, with its acknowledgement (rules R7 and R31).

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    error::{EventError, code},
    path::MAX_BYTES,
    telemetry::Cause,
};

/// How much of a message that is too large is kept: what it takes to answer it.
pub(super) const BEGINNING: usize = 2 + MAX_BYTES + 256;

/// How many bytes beyond its limit a message may have to be skipped in place of closing the connection.
pub(super) const MOST_SKIPPED: u64 = 64 * 1024 * 1024;

/// How many bytes a replaced packet may have.
pub(super) const REPLACED: usize = 4096;

/// How many bytes a [mark](mark) has.
pub(super) const MARK: usize = 32;

/// How many characters of an event's name are repeated.
const LONGEST_NAME: usize = 128;

/// The name of the event that replaces one. A client that sends it itself gets the same answer, for its own event.
const EVENT: &str = "carolina:payload_too_large";

/// Proves that something was put into a client's messages by this process.
static PROOF: LazyLock<[u8; 16]> = LazyLock::new(rand::random);

/// A limit on messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Limit {
    Payload,
    Attachments,
}

/// By how much a message exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Excess {
    pub(super) limit: Limit,
    /// Bytes, or attachments.
    pub(super) actual: u64,
    pub(super) allowed: u64,
}

impl Limit {
    fn setting(self) -> &'static str {
        match self {
            Self::Payload => "limits.max_payload",
            Self::Attachments => "limits.max_attachments",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Payload => "bytes",
            Self::Attachments => "attachments",
        }
    }

    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Payload => Cause::PayloadTooLarge,
            Self::Attachments => Cause::Attachments,
        }
    }
}

impl Excess {
    pub(super) fn bytes(actual: u64, allowed: u64) -> Self {
        Self { limit: Limit::Payload, actual, allowed }
    }

    /// What is wrong, and which setting to raise.
    pub(super) fn message(self) -> String {
        let Self { limit, actual, allowed } = self;
        format!("{actual} {}, of {allowed} allowed ({})", limit.unit(), limit.setting())
    }

    /// The answer to the event.
    pub(super) fn into_error(self) -> EventError {
        let details = serde_json::json!({
            "setting": self.limit.setting(), "actual": self.actual, "allowed": self.allowed,
        });
        EventError::new(code::PAYLOAD_TOO_LARGE, format!("the message has {}", self.message())).details(details)
    }
}

/// What is done with a packet of text that exceeds a limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// The engine is given this packet.
    Packet(String),
    /// The engine is given nothing: a client's acknowledgement, which nobody answers.
    Nothing,
    /// The connection is closed.
    Close,
}

/// Replaces a packet of text, of which this is the beginning.
pub(super) fn replace(beginning: &[u8], excess: Excess) -> Instead {
    let Some(packet) = Packet::parse(beginning) else { return Instead::Close };
    let namespace = if packet.namespace == "/" { String::new() } else { format!("{},", packet.namespace) };
    match packet.kind {
        b'0' => {
            let auth = serde_json::json!({ EVENT: excess });
            Instead::Packet(format!("40{namespace}{auth}"))
        }
        b'2' | b'5' => {
            let ack = packet.ack.map_or_else(String::new, |ack| ack.to_string());
            let replaced = serde_json::json!([EVENT, { "event": packet.event(), "excess": excess }]);
            Instead::Packet(format!("42{namespace}{ack}{replaced}"))
        }
        b'3' | b'6' => Instead::Nothing,
        _ => Instead::Close,
    }
}

/// The data of a replaced event.
#[derive(Deserialize)]
struct Replaced {
    event: String,
    excess: Excess,
}

/// The name of the event that was replaced by this one, and why; `None` for all other events.
pub(super) fn replaced(text: &str) -> Option<(String, Excess)> {
    if !text.strip_prefix("[\"").is_some_and(|rest| rest.starts_with(EVENT)) {
        return None;
    }
    let (_, Replaced { event, excess }) = serde_json::from_str::<(String, Replaced)>(text).ok()?;
    Some((event.chars().take(LONGEST_NAME).collect(), excess))
}

/// Why a client's `auth` was replaced by this one; `None` for all others.
pub(super) fn replaced_auth(text: &str) -> Option<Excess> {
    if !text.strip_prefix("{\"").is_some_and(|rest| rest.starts_with(EVENT)) {
        return None;
    }
    serde_json::from_value(serde_json::from_str::<serde_json::Value>(text).ok()?.get_mut(EVENT)?.take()).ok()
}

/// What replaces an attachment.
pub(super) fn mark(excess: Excess) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark[..16].copy_from_slice(&*PROOF);
    mark[16..24].copy_from_slice(&excess.actual.to_be_bytes());
    mark[24..].copy_from_slice(&excess.allowed.to_be_bytes());
    mark
}

/// Why an attachment was replaced by this one; `None` for all others.
pub(super) fn marked(attachment: &[u8]) -> Option<Excess> {
    let mark: &[u8; MARK] = attachment.try_into().ok()?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    let excess = Excess::bytes(number(&mark[16..24])?, number(&mark[24..])?);
    (mark[..16] == *PROOF).then_some(excess)
}

/// Stands for a packet of a polling client's body, most of which was not kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) is_binary: bool,
    pub(super) bytes: u64,
    pub(super) beginning: Vec<u8>,
}

/// The first byte of what stands for such a packet. No packet begins with it.
pub(super) const SKIPPED: u8 = 2;

impl Skipped {
    /// Without a separator of packets.
    pub(super) fn encode(&self) -> Vec<u8> {
        let kind = if self.is_binary { 'b' } else { 't' };
        let proof = STANDARD_NO_PAD.encode(*PROOF);
        let mut encoded = vec![SKIPPED];
        encoded.extend_from_slice(format!("{proof}:{kind}:{}:", self.bytes).as_bytes());
        encoded.extend_from_slice(&self.beginning);
        encoded
    }

    /// Reads what this process has written, and nothing else.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        let mut parts = encoded.strip_prefix(&[SKIPPED])?.splitn(4, |byte| *byte == b':');
        if STANDARD_NO_PAD.decode(parts.next()?).ok()? != *PROOF {
            return None;
        }
        let is_binary = parts.next()? == b"b";
        let bytes = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        Some(Self { is_binary, bytes, beginning: parts.next()?.to_vec() })
    }
}

/// A Socket.IO packet of text, as far as it is known.
pub(super) struct Packet<'a> {
    /// The digit of its type.
    pub(super) kind: u8,
    /// How many attachments follow.
    pub(super) attachments: usize,
    pub(super) namespace: &'a str,
    ack: Option<u64>,
    /// The JSON after all of these.
    rest: &'a str,
}

impl<'a> Packet<'a> {
    /// Reads the beginning of a message. What follows may be missing.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let message = match std::str::from_utf8(message) {
            Ok(message) => message,
            // Cut within a character.
            Err(error) => std::str::from_utf8(&message[..error.valid_up_to()]).ok()?,
        };
        let rest = message.strip_prefix('4')?;
        let kind = *rest.as_bytes().first().filter(|kind| kind.is_ascii_digit())?;
        let mut rest = &rest[1..];
        let mut attachments = 0;
        if matches!(kind, b'5' | b'6') {
            let (count, after) = rest.split_once('-')?;
            (attachments, rest) = (count.parse().ok()?, after);
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            (namespace, rest) = rest.split_once(',').unwrap_or((rest, ""));
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let ack = rest[..digits].parse().ok();
        Some(Self { kind, attachments, namespace, ack, rest: &rest[digits..] })
    }

    /// Which channel and event it is for, for the log.
    pub(super) fn describe(&self) -> String {
        let event = self.event();
        match self.kind {
            b'2' | b'5' if event.is_empty() => format!(" for `{}`", self.namespace),
            b'2' | b'5' => format!(" for `{event}` on `{}`", self.namespace),
            b'0' => format!(" to join `{}`", self.namespace),
            b'3' | b'6' => format!(" that answers an event on `{}`", self.namespace),
            _ => String::new(),
        }
    }

    /// The event's name; an empty one if it is not at the packet's beginning.
    fn event(&self) -> String {
        let name = self.rest.trim_start().strip_prefix('[').and_then(|rest| {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            values.next()?.ok()
        });
        name.unwrap_or_default().chars().take(LONGEST_NAME).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCESS: Excess = Excess { limit: Limit::Payload, actual: 3000, allowed: 2000 };

    fn replacement(beginning: &str) -> String {
        match replace(beginning.as_bytes(), EXCESS) {
            Instead::Packet(packet) => packet,
            other => panic!("{beginning}: {other:?}"),
        }
    }

    #[test]
    fn r31_an_event_that_is_too_large_is_replaced_by_a_small_one() {
        for (beginning, head, name) in [
            ("42[\"a\",\"xxx", "42[", "a"),
            ("4217[\"a\",\"xxx", "4217[", "a"),
            ("42/chat,17[\"long name\",1", "42/chat,17[", "long name"),
            ("42/chat?x=1,[ \"b\" ,", "42/chat?x=1,[", "b"),
            ("453-/chat,0[\"a\",{\"_placeholder", "42/chat,0[", "a"),
            ("42[\"a name without an end", "42[", ""),
            ("42[\"with \\\"quotes\\\"\",", "42[", "with \"quotes\""),
            ("42", "42[", ""),
        ] {
            let packet = replacement(beginning);
            let text = packet.strip_prefix(&head[..head.len() - 1]).unwrap_or_else(|| panic!("{packet}"));
            assert_eq!(replaced(text), Some((name.to_owned(), EXCESS)), "{beginning}");
        }
        let cut = "42[\"a\",\"é".as_bytes();
        assert!(matches!(replace(&cut[..cut.len() - 1], EXCESS), Instead::Packet(_)), "within a character");
    }

    #[test]
    fn r31_other_packets_are_replaced_or_end_the_connection() {
        let packet = replacement("40/chat,{\"token\":\"xxx");
        assert_eq!(replaced_auth(packet.strip_prefix("40/chat,").unwrap()), Some(EXCESS));
        assert_eq!(replaced_auth(replacement("40{").strip_prefix("40").unwrap()), Some(EXCESS));
        assert_eq!(replace(b"4317[\"xxx", EXCESS), Instead::Nothing);
        assert_eq!(replace(b"461-/chat,17[\"xxx", EXCESS), Instead::Nothing);
        for beginning in ["41/xxx", "2xxx", "4", "", "45", "45x-", "4x", "\u{2}xxx"] {
            assert_eq!(replace(beginning.as_bytes(), EXCESS), Instead::Close, "{beginning}");
        }
    }

    #[test]
    fn r31_only_this_process_marks() {
        assert_eq!(marked(&mark(EXCESS)), Some(EXCESS));
        assert_eq!(marked(&[0; MARK]), None);
        assert_eq!(marked(b"short"), None);
        let skipped = Skipped { is_binary: true, bytes: 3000, beginning: b"a:b".to_vec() };
        assert_eq!(Skipped::decode(&skipped.encode()), Some(skipped));
        assert_eq!(Skipped::decode(b"\x02AAAAAAAAAAAAAAAAAAAAAA:b:3000:x"), None);
        for text in ["[\"echo\",1]", "[\"carolina:payload_too_large\"]", "[\"carolina:payload_too_large\",{}]", ""] {
            assert_eq!(replaced(text), None, "{text}");
        }
    }
}
