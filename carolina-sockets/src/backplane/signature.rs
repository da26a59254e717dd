//! Signatures of the messages between nodes, so that access to the backplane's server is not enough to emit or to disconnect
//! users.
//!
//! A signed message is [`SIGNED`], a header in base64 and the payload. The header has an HMAC-SHA256 of everything else and
//! of the channel, the sender's random number, the message's number and the time. Without a secret a message is
//! [`UNSIGNED`] and the payload.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use crate::telemetry::{Cause, refused};

/// The prefixes of our messages; other messages on our channels are dropped.
const UNSIGNED: &[u8] = b"carolina1:";
const SIGNED: &[u8] = b"carolina2:";
/// Separates these keys from others derived from `session.secret`, such as those for cookies.
const PURPOSE: &[u8] = b"carolina-sockets: messages between nodes, 1";

const TAG: usize = 32;
const TAG_TEXT: usize = TAG.div_ceil(3) * 4 - (3 - TAG % 3) % 3;
/// The tag, and sender, number and time with 8 bytes each.
const HEADER: usize = TAG + 3 * 8;
const HEADER_TEXT: usize = HEADER.div_ceil(3) * 4 - (3 - HEADER % 3) % 3;

/// How old a message may be, in milliseconds, and how far the clocks of two nodes may differ.
const LIFETIME: u64 = 60_000;

/// The keys of `session.secret`, the newest first; none if there is no secret.
#[derive(Clone)]
pub(crate) struct Keys(Vec<Hmac<Sha256>>);

impl Keys {
    pub(crate) fn new(secrets: &[String], prefix: &str) -> Self {
        let key = |secret: &String| {
            let mut derived = keyed(secret.as_bytes());
            derived.update(PURPOSE);
            derived.update(prefix.as_bytes());
            keyed(&derived.finalize().into_bytes())
        };
        Self(secrets.iter().map(key).collect())
    }

    /// Signs what the server keeps of a log or a client: `of` says whose it is.
    pub(super) fn sign_kept(&self, of: &[&str], text: &str) -> String {
        match self.0.first() {
            None => text.to_owned(),
            Some(key) => format!("{}{text}", URL_SAFE_NO_PAD.encode(kept_mac(key, of, text).finalize().into_bytes())),
        }
    }

    /// Takes off the signature of what was kept, if it is right.
    pub(super) fn open_kept<'a>(&self, of: &[&str], signed: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            return Some(signed);
        }
        let (tag, text) = signed.split_at_checked(TAG_TEXT)?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.0.iter().any(|key| kept_mac(key, of, text).verify_slice(&tag).is_ok()).then_some(text)
    }

    /// Signs a row of the table for messages that are too long for a notification. Its id ties it to the signed
    /// notification that names it.
    #[cfg(feature = "postgres")]
    pub(super) fn sign_row(&self, table: &str, id: i64, row: &[u8]) -> Vec<u8> {
        match self.0.first() {
            None => row.to_vec(),
            Some(key) => [&row_mac(key, table, id, row).finalize().into_bytes()[..], row].concat(),
        }
    }

    /// Takes off the signature of a row, if it is right.
    #[cfg(feature = "postgres")]
    pub(super) fn open_row(&self, table: &str, id: i64, mut row: Vec<u8>) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return Some(row);
        }
        let (tag, rest) = row.split_at_checked(TAG)?;
        self.0.iter().any(|key| row_mac(key, table, id, rest).verify_slice(tag).is_ok()).then(|| row.split_off(TAG))
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Lengths are included, so that nothing can be moved from one part into the next.
fn message_mac(key: &Hmac<Sha256>, channel: &str, header: &[u8], payload: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(b"message");
    mac.update(&(channel.len() as u64).to_be_bytes());
    mac.update(channel.as_bytes());
    mac.update(header);
    mac.update(payload);
    mac
}

fn kept_mac(key: &Hmac<Sha256>, of: &[&str], text: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(b"kept");
    for part in of {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(text.as_bytes());
    mac
}

#[cfg(feature = "postgres")]
fn row_mac(key: &Hmac<Sha256>, table: &str, id: i64, row: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(b"row");
    mac.update(&(table.len() as u64).to_be_bytes());
    mac.update(table.as_bytes());
    mac.update(&id.to_be_bytes());
    mac.update(row);
    mac
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Signs messages that are sent in the order in which they are signed.
pub(super) struct Signer {
    keys: Keys,
    sender: u64,
    sent: AtomicU64,
}

impl Signer {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, sender: rand::random(), sent: AtomicU64::new(0) }
    }

    /// The message of a payload on a channel. It is text if the payload is.
    pub(super) fn sign(&self, channel: &str, payload: &[u8]) -> Vec<u8> {
        self.sign_at(channel, payload, now())
    }

    /// The same for a payload that is text.
    #[cfg(feature = "postgres")]
    pub(super) fn sign_text(&self, channel: &str, payload: &str) -> String {
        String::from_utf8(self.sign(channel, payload.as_bytes())).expect("the mark and the header are ASCII")
    }

    fn sign_at(&self, channel: &str, payload: &[u8], time: u64) -> Vec<u8> {
        let Some(key) = self.keys.0.first() else { return [UNSIGNED, payload].concat() };
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let fields = [self.sender, number, time].map(u64::to_be_bytes).concat();
        let tag = message_mac(key, channel, &fields, payload).finalize().into_bytes();
        let header = URL_SAFE_NO_PAD.encode([&tag[..], &fields].concat());
        [SIGNED, header.as_bytes(), payload].concat()
    }
}

/// Checks received messages.
pub(super) struct Verifier {
    keys: Keys,
    seen: Mutex<HashMap<u64, HashMap<String, Window>>>,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not begin as messages do.
    Foreign,
    /// It is not signed, and should be.
    Unsigned,
    /// It is signed, and there is no secret here.
    NoSecret,
    /// The signature fits no secret.
    Forged,
    /// The time of signing is this many milliseconds away.
    Stale(u64),
    /// It was received before.
    Replayed,
}

impl Refusal {
    /// Counts it, and logs it at most once per second.
    pub(super) fn tell(self, channel: &str) {
        let at = format!("a message on `{channel}` of the backplane");
        match self {
            Self::Foreign => refused(Cause::Backplane, &format!("a message on `{channel}` that comes from no node")),
            Self::Unsigned => refused(
                Cause::BackplaneSignature,
                &format!(
                    "{at} without a signature: if a node or an Emitter sent it, it has no session.secret; set the one that this node has (CAROLINA_SESSION__SECRET, or Emitter::connect_with_secret)"
                ),
            ),
            Self::NoSecret => refused(
                Cause::BackplaneSignature,
                &format!(
                    "{at} that is signed, which cannot be checked without session.secret: set the one that the other nodes have (CAROLINA_SESSION__SECRET)"
                ),
            ),
            Self::Forged => refused(
                Cause::BackplaneSignature,
                &format!(
                    "{at} with a wrong signature: if a node or an Emitter sent it, its session.secret is another one than here; set the same for all"
                ),
            ),
            Self::Stale(by) => refused(
                Cause::BackplaneSignature,
                &format!(
                    "{at} whose time differs from this node's by {} s: it was sent again, or the clocks of two nodes differ by more than {} s; synchronize them",
                    by / 1000,
                    LIFETIME / 1000
                ),
            ),
            Self::Replayed => refused(
                Cause::BackplaneSignature,
                &format!("{at} that was received before, or after a thousand later ones"),
            ),
        }
    }
}

impl Verifier {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, seen: Mutex::default() }
    }

    /// The payload of a message, if its signature is valid.
    pub(super) fn open<'a>(&self, channel: &str, message: &'a [u8]) -> Result<&'a [u8], Refusal> {
        self.open_at(channel, message, now())
    }

    /// The same for a message that is text.
    #[cfg(feature = "postgres")]
    pub(super) fn open_text<'a>(&self, channel: &str, message: &'a str) -> Result<&'a str, Refusal> {
        let payload = self.open(channel, message.as_bytes())?;
        std::str::from_utf8(payload).map_err(|_| Refusal::Forged)
    }

    fn open_at<'a>(&self, channel: &str, message: &'a [u8], now: u64) -> Result<&'a [u8], Refusal> {
        if let Some(payload) = message.strip_prefix(UNSIGNED) {
            return if self.keys.0.is_empty() { Ok(payload) } else { Err(Refusal::Unsigned) };
        }
        let signed = message.strip_prefix(SIGNED).ok_or(Refusal::Foreign)?;
        if self.keys.0.is_empty() {
            return Err(Refusal::NoSecret);
        }
        let (header, payload) = signed.split_at_checked(HEADER_TEXT).ok_or(Refusal::Forged)?;
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Refusal::Forged)?;
        let (tag, fields) = header.split_at_checked(TAG).ok_or(Refusal::Forged)?;
        if !self.keys.0.iter().any(|key| message_mac(key, channel, fields, payload).verify_slice(tag).is_ok()) {
            return Err(Refusal::Forged);
        }
        let (fields, []) = fields.as_chunks::<8>() else { return Err(Refusal::Forged) };
        let &[sender, number, time] = fields else { return Err(Refusal::Forged) };
        let [sender, number, time] = [sender, number, time].map(u64::from_be_bytes);
        if now.abs_diff(time) > LIFETIME {
            return Err(Refusal::Stale(now.abs_diff(time)));
        }
        if self.note(sender, channel, number, time, now) { Ok(payload) } else { Err(Refusal::Replayed) }
    }

    /// Whether this is the first message with its number.
    fn note(&self, sender: u64, channel: &str, number: u64, time: u64, now: u64) -> bool {
        let mut seen = self.seen.lock();
        if let Some(window) = seen.get_mut(&sender).and_then(|channels| channels.get_mut(channel)) {
            return window.note(number, time);
        }
        // Senders come and go. Messages of those that are removed here are too old to be accepted again.
        seen.retain(|_, channels| {
            channels.retain(|_, window| window.newest.saturating_add(LIFETIME) >= now);
            !channels.is_empty()
        });
        let window = seen.entry(sender).or_default().entry(channel.to_owned()).or_insert_with(|| Window::new(number));
        window.note(number, time)
    }
}

const WORDS: u64 = 16;

/// The numbers of one sender's latest messages on a channel (as in RFC 6479).
struct Window {
    /// When the newest one was signed.
    newest: u64,
    highest: u64,
    received: [u64; WORDS as usize],
}

impl Window {
    fn new(number: u64) -> Self {
        Self { newest: 0, highest: number, received: [0; WORDS as usize] }
    }

    fn note(&mut self, number: u64, time: u64) -> bool {
        self.newest = self.newest.max(time);
        if number > self.highest {
            let (from, to) = (self.highest / 64, number / 64);
            for word in (from + 1..=to).take(WORDS as usize) {
                self.received[(word % WORDS) as usize] = 0;
            }
            self.highest = number;
        } else if self.highest / 64 - number / 64 >= WORDS {
            return false;
        }
        let (word, bit) = ((number / 64 % WORDS) as usize, 1 << (number % 64));
        let first = self.received[word] & bit == 0;
        self.received[word] |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

    use super::*;

    const OLD: &str = "an old secret that has been in use for years";
    const NEW: &str = "a new secret that nobody has seen up to now!";
    const CHANNEL: &str = "carolina-control";
    const NOW: u64 = 1_800_000_000_000;

    fn keys(secrets: &[&str]) -> Keys {
        Keys::new(&secrets.iter().map(|&secret| secret.to_owned()).collect::<Vec<_>>(), "carolina")
    }

    fn signer(secrets: &[&str]) -> Signer {
        Signer::new(keys(secrets))
    }

    fn verifier(secrets: &[&str]) -> Verifier {
        Verifier::new(keys(secrets))
    }

    fn open(verifier: &Verifier, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        verifier.open_at(CHANNEL, message, NOW).map(<[u8]>::to_vec)
    }

    #[test]
    fn what_is_signed_is_opened_once() {
        let (signer, verifier) = (signer(&[NEW]), verifier(&[NEW]));
        for payload in [&b""[..], b"\xff\x00", "é".as_bytes()] {
            let message = signer.sign_at(CHANNEL, payload, NOW);
            assert_eq!(open(&verifier, &message), Ok(payload.to_vec()));
            assert_eq!(open(&verifier, &message), Err(Refusal::Replayed));
        }
    }

    #[test]
    fn every_secret_of_a_rotation_opens_and_the_newest_signs() {
        let message = signer(&[NEW, OLD]).sign_at(CHANNEL, b"x", NOW);
        assert_eq!(open(&verifier(&[NEW]), &message), Ok(b"x".to_vec()));
        assert_eq!(open(&verifier(&[OLD]), &message), Err(Refusal::Forged));
        let message = signer(&[OLD]).sign_at(CHANNEL, b"x", NOW);
        assert_eq!(open(&verifier(&[NEW, OLD]), &message), Ok(b"x".to_vec()));
    }

    #[test]
    fn a_secret_on_one_side_only_is_noticed_on_both() {
        let (signed, unsigned) = (signer(&[NEW]).sign(CHANNEL, b"x"), signer(&[]).sign(CHANNEL, b"x"));
        assert_eq!(open(&verifier(&[NEW]), &unsigned), Err(Refusal::Unsigned));
        assert_eq!(open(&verifier(&[]), &signed), Err(Refusal::NoSecret));
        assert_eq!(open(&verifier(&[]), &unsigned), Ok(b"x".to_vec()));
    }

    #[test]
    fn a_message_is_valid_only_on_its_channel_and_prefix() {
        let message = signer(&[NEW]).sign_at(CHANNEL, b"x", NOW);
        let elsewhere = verifier(&[NEW]).open_at("carolina-request#/#", &message, NOW).map(<[u8]>::to_vec);
        assert_eq!(elsewhere, Err(Refusal::Forged));
        let other = Verifier::new(Keys::new(&[NEW.to_owned()], "other"));
        assert_eq!(open(&other, &message), Err(Refusal::Forged));
    }

    #[test]
    fn a_message_is_valid_for_a_minute() {
        for (time, good) in
            [(NOW - LIFETIME, true), (NOW + LIFETIME, true), (NOW - LIFETIME - 1, false), (NOW + LIFETIME + 1, false)]
        {
            let message = signer(&[NEW]).sign_at(CHANNEL, b"x", time);
            let expected = if good { Ok(b"x".to_vec()) } else { Err(Refusal::Stale(LIFETIME + 1)) };
            assert_eq!(open(&verifier(&[NEW]), &message), expected);
        }
    }

    #[test]
    fn messages_of_removed_senders_are_not_accepted_again() {
        let verifier = verifier(&[NEW]);
        let message = signer(&[NEW]).sign_at(CHANNEL, b"x", NOW);
        assert!(open(&verifier, &message).is_ok());
        let later = NOW + LIFETIME + 1;
        assert!(verifier.open_at(CHANNEL, &signer(&[NEW]).sign_at(CHANNEL, b"y", later), later).is_ok());
        assert_eq!(verifier.seen.lock().len(), 1);
        assert_eq!(verifier.open_at(CHANNEL, &message, later).map(<[u8]>::to_vec), Err(Refusal::Stale(LIFETIME + 1)));
    }

    #[test]
    fn messages_may_overtake_each_other_but_come_once() {
        let mut random = StdRng::seed_from_u64(1);
        let (signer, verifier) = (signer(&[NEW]), verifier(&[NEW]));
        let mut messages: Vec<_> = (0..10_000).map(|_| signer.sign_at(CHANNEL, b"x", NOW)).collect();
        for some in messages.chunks_mut(900) {
            some.shuffle(&mut random);
        }
        for message in &messages {
            assert!(open(&verifier, message).is_ok());
        }
        messages.shuffle(&mut random);
        for message in &messages {
            assert_eq!(open(&verifier, message), Err(Refusal::Replayed));
        }
    }

    #[test]
    fn no_changed_message_is_opened() {
        let mut random = StdRng::seed_from_u64(2);
        let (signer, verifier) = (signer(&[NEW]), verifier(&[NEW]));
        for _ in 0..20_000 {
            let payload: Vec<u8> = (0..random.random_range(0..100)).map(|_| random.random()).collect();
            let mut message = signer.sign_at(CHANNEL, &payload, NOW);
            let at = random.random_range(0..message.len());
            match random.random_range(0..4) {
                0 => message[at] ^= 1 << random.random_range(0..8),
                1 => drop(message.remove(at)),
                2 => message.insert(at, random.random()),
                _ => message.truncate(at),
            }
            let opened = open(&verifier, &message);
            assert!(opened.is_err(), "{opened:?} from {message:?}");
        }
    }

    #[test]
    fn what_the_server_keeps_is_valid_only_where_it_was_written() {
        let (old, both) = (keys(&[OLD]), keys(&[NEW, OLD]));
        let signed = old.sign_kept(&["entry", "/a"], "text");
        assert_eq!(both.open_kept(&["entry", "/a"], &signed), Some("text"));
        for of in [&["entry", "/b"][..], &["client", "/a"], &["entry", "/a", ""]] {
            assert_eq!(both.open_kept(of, &signed), None, "{of:?}");
        }
        for forged in ["", "text", &format!("{signed}x"), &signed[1..], &"é".repeat(40)] {
            assert_eq!(both.open_kept(&["entry", "/a"], forged), None, "{forged}");
        }
        let none = keys(&[]);
        assert_eq!(none.open_kept(&["entry", "/a"], &none.sign_kept(&["entry", "/a"], "text")), Some("text"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn rows_are_valid_only_for_their_id() {
        let (old, both) = (keys(&[OLD]), keys(&[NEW, OLD]));
        let row = old.sign_row("t", 7, b"row");
        assert_eq!(both.open_row("t", 7, row.clone()), Some(b"row".to_vec()));
        assert_eq!(both.open_row("t", 8, row.clone()), None);
        assert_eq!(both.open_row("u", 7, row), None);
        for forged in [&b""[..], b"row", &[0; 40]] {
            assert_eq!(both.open_row("t", 7, forged.to_vec()), None);
        }
        let none = keys(&[]);
        assert_eq!(none.open_row("t", 7, none.sign_row("t", 7, b"row")), Some(b"row".to_vec()));
    }
}
