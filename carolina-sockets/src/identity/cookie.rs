//! The session cookie's value: the session's id, encrypted, as `tower-sessions` writes its private cookies.

use cookie::{Cookie, CookieJar, Key};
use http::{HeaderMap, header::COOKIE};
use tower_sessions::session::Id;

/// A sealed id in base64 without padding: 12 bytes of nonce, 22 of id, 16 of tag.
const SEALED_BYTES: usize = 67;
/// How many characters of base64 each part of a marker has.
const MARKER_CHARACTERS: usize = 16;
/// The longest value that is looked at: a sealed id of which every byte is percent-encoded, and some.
const MAX_VALUE_BYTES: usize = 256;
/// How many cookies of the name are looked at. A browser sends more than one only when a page of a sister domain, or one at
/// another path, has set one as well.
const COOKIES: usize = 4;
/// How much of a request's cookies is looked at, in bytes. Browsers and servers in front allow less.
const COOKIE_BYTES: usize = 32 * 1024;

/// Seals and opens session cookies, with the newest of `session.secret`'s keys and with any of them.
///
/// A value is bound to the cookie's name, so that no other encrypted cookie of the application is accepted in its
/// place.
pub(crate) struct CookieKeys {
    name: String,
    /// The newest first; never empty.
    keys: Vec<Key>,
}

/// A session id decrypted from a cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) id: Id,
    /// Whether an older key than the newest opened it.
    pub(crate) outdated: bool,
}

/// The session cookie of a request or handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    Nothing,
    /// A value that no key has sealed.
    Invalid,
    Valid(Opened),
}

impl CookieKeys {
    /// Derives keys from `session.secret`, the newest first. Without a secret, a random one is generated: sessions end
    /// with the process, and no other node can open their cookies. The configuration has checked that secrets are long
    /// enough.
    pub(crate) fn new(name: &str, secrets: &[String]) -> Self {
        let mut keys: Vec<_> = secrets.iter().map(|secret| Key::derive_from(secret.as_bytes())).collect();
        if keys.is_empty() {
            keys.push(Key::generate());
        }
        Self { name: name.to_owned(), keys }
    }

    /// The cookie's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The cookie's value for a session, sealed with the newest key: base64url without padding, which no client puts in
    /// quotes.
    pub(crate) fn seal(&self, id: Id) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(&self.keys[0]).add(Cookie::new(self.name.clone(), id.to_string()));
        let sealed = jar.get(&self.name).map(Cookie::value).unwrap_or_default();
        sealed.trim_end_matches('=').replace('+', "-").replace('/', "_")
    }

    /// The name of the marker: the cookie that tells scripts of the page that the session has changed.
    pub(crate) fn marker_name(&self) -> String {
        format!("{}.marker", self.name)
    }

    /// The marker's value: a part that changes with the session's id, a dot, and a part that changes with its user and is
    /// empty without one. Both are keyed digests, from which nothing can be learned about the session.
    pub(crate) fn marker(&self, id: Id, user: Option<&str>) -> String {
        let digest = |text: String| {
            let mut jar = CookieJar::new();
            jar.signed_mut(&self.keys[0]).add(Cookie::new(self.marker_name(), text));
            let signed = jar.get(&self.marker_name()).map(Cookie::value).unwrap_or_default();
            signed.chars().take(MARKER_CHARACTERS).collect::<String>().replace('+', "-").replace('/', "_")
        };
        let user = user.map_or_else(String::new, |user| digest(format!("user {id} {user}")));
        format!("{}.{user}", digest(format!("session {id}")))
    }

    /// The session behind a cookie's value, percent-encoded or not, in quotes or not. `None` for whatever no key has sealed
    /// under this cookie's name; what is too long or has foreign characters costs no cryptography. Values in base64 with
    /// padding, which the library wrote before, are read as well.
    pub(crate) fn open(&self, value: &str) -> Option<Opened> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=%\"".contains(&byte);
        if value.len() > MAX_VALUE_BYTES || !value.bytes().all(known) {
            return None;
        }
        let decoded = Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?;
        let sealed = decoded.value_trimmed();
        let sealed = sealed.strip_suffix('=').unwrap_or(sealed);
        if sealed.len() != SEALED_BYTES {
            return None;
        }
        let sealed = sealed.replace('-', "+").replace('_', "/") + "=";
        let sealed = Cookie::new(self.name.clone(), sealed);
        let jar = CookieJar::new();
        let opened = self
            .keys
            .iter()
            .enumerate()
            .find_map(|(age, key)| jar.private(key).decrypt(sealed.clone()).map(|opened| (age, opened)));
        let (age, opened) = opened?;
        Some(Opened { id: opened.value().parse().ok()?, outdated: age > 0 })
    }

    /// The session that a request's cookies name. Of several cookies with the name the first that opens counts, among the
    /// first few.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Presented {
        let mut found = Presented::Nothing;
        for value in values(headers, &self.name).take(COOKIES) {
            match value.and_then(|value| self.open(value)) {
                Some(opened) => return Presented::Valid(opened),
                None => found = Presented::Invalid,
            }
        }
        found
    }
}

/// The values of a request's cookies of this name, as they were sent; `None` for one that is no text.
fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
    let mut left = COOKIE_BYTES;
    let lines = headers.get_all(COOKIE).into_iter().map(move |line| {
        let line = line.as_bytes();
        let line = &line[..line.len().min(left)];
        left -= line.len();
        line
    });
    lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(move |cookie| {
        let value = cookie.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?;
        Some(std::str::from_utf8(value.trim_ascii()).ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret that has been in use for years";
    const NEW: &str = "a new secret that nobody has seen up to now!";

    fn keys(name: &str, secrets: &[&str]) -> CookieKeys {
        CookieKeys::new(name, &secrets.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>())
    }

    fn id_of(keys: &CookieKeys, value: &str) -> Option<Id> {
        keys.open(value).map(|opened| opened.id)
    }

    #[test]
    fn r10_a_sealed_id_opens_as_it_is_and_percent_encoded() {
        let keys = keys("sid", &[NEW]);
        let id = Id::default();
        let sealed = keys.seal(id);
        assert_eq!(sealed.len(), SEALED_BYTES);
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
        assert!(!sealed.contains(&id.to_string()));
        assert_eq!(id_of(&keys, &sealed), Some(id));
        let encoded: String = sealed.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(id_of(&keys, &encoded), Some(id));
        let cookie = Cookie::new("sid", sealed).encoded().to_string();
        assert_eq!(id_of(&keys, cookie.strip_prefix("sid=").unwrap()), Some(id));
    }

    #[test]
    fn r11_a_marker_changes_with_the_session_and_its_user_and_shows_neither() {
        let keys = keys("sid", &[NEW]);
        let (one, other) = (Id(1), Id(2));
        let marker = keys.marker(one, Some("ada"));
        assert_eq!(marker, keys.marker(one, Some("ada")));
        assert!(marker.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{marker}");
        let (session, user) = marker.split_once('.').unwrap();
        assert_eq!((session.len(), user.len()), (MARKER_CHARACTERS, MARKER_CHARACTERS));
        assert_eq!(keys.marker(one, None), format!("{session}."));
        let (same, bob) =
            keys.marker(one, Some("bob")).split_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(same == session && bob != user);
        let renewed = keys.marker(other, Some("ada"));
        assert!(!renewed.contains(session) && !renewed.contains(user), "{renewed}");
        assert_ne!(self::keys("sid", &[OLD]).marker(one, Some("ada")), marker);
    }

    #[test]
    fn r10_a_value_opens_in_quotes_and_as_it_was_written_before() {
        let keys = keys("sid", &[NEW]);
        // Several, so that `+` and `/` are among their characters.
        for id in (0..20).map(|_| Id::default()) {
            let mut jar = CookieJar::new();
            jar.private_mut(&Key::derive_from(NEW.as_bytes())).add(Cookie::new("sid", id.to_string()));
            let old = jar.get("sid").unwrap().value().to_owned();
            assert!(old.ends_with('='));
            for value in [old.clone(), keys.seal(id)] {
                let quoted = format!("\"{value}\"");
                let encoded: String = quoted.bytes().map(|byte| format!("%{byte:02X}")).collect();
                for value in [value, quoted, encoded] {
                    assert_eq!(id_of(&keys, &value), Some(id), "{value}");
                }
            }
            let headers = HeaderMap::from_iter([(COOKIE, format!("a=\"b\"; sid=\"{old}\"").parse().unwrap())]);
            assert!(keys.find(&headers) == Presented::Valid(Opened { id, outdated: false }));
        }
    }

    #[test]
    fn r10_a_value_opens_with_any_key_until_the_key_is_retired() {
        let id = Id::default();
        let sealed = keys("sid", &[OLD]).seal(id);
        assert!(keys("sid", &[OLD]).open(&sealed) == Some(Opened { id, outdated: false }));
        assert!(keys("sid", &[NEW, OLD]).open(&sealed) == Some(Opened { id, outdated: true }));
        assert!(keys("sid", &[NEW]).open(&sealed).is_none());
    }

    #[test]
    fn r15_nothing_but_a_sealed_id_opens() {
        let keys = keys("sid", &[NEW]);
        let sealed = keys.seal(Id::default());
        let mut forged = sealed.clone().into_bytes();
        forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let mut jar = CookieJar::new();
        jar.private_mut(&Key::derive_from(NEW.as_bytes())).add(Cookie::new("sid", "x".repeat(22)));
        let no_id = jar.get("sid").unwrap().value();
        let other_name = self::keys("other", &[NEW]).seal(Id::default());
        let plain = Id::default().to_string();
        let refused = [
            "",
            "%",
            "%%%",
            "=",
            "a",
            "\u{1F980}",
            "x; Path=/",
            &forged,
            &sealed[1..],
            &sealed[..SEALED_BYTES - 4],
            &other_name,
            &plain,
            &"A".repeat(SEALED_BYTES),
            &"A".repeat(1_000_000),
            &format!("{sealed}; Path=/"),
            &format!("{sealed}AAAA"),
            &format!("{sealed}=="),
            &format!("\"{sealed}"),
            &format!("\"\"{sealed}\"\""),
            "\"",
            "\"\"",
        ];
        for value in refused {
            assert!(keys.open(value).is_none(), "{value:.80} was opened");
        }
        // Sealed with the right key, and still no id: 22 characters whose last cannot end 16 bytes.
        assert_eq!(no_id.len(), SEALED_BYTES + 1);
        assert!(keys.open(no_id).is_none());
    }

    #[test]
    fn r10_the_cookie_that_opens_counts() {
        let keys = keys("sid", &[NEW]);
        let id = Id::default();
        let found = |header: String| keys.find(&HeaderMap::from_iter([(COOKIE, header.parse().unwrap())]));
        assert!(found("a=b".into()) == Presented::Nothing);
        assert!(found("sid=forged".into()) == Presented::Invalid);
        let sealed = keys.seal(id);
        let valid = Presented::Valid(Opened { id, outdated: false });
        assert!(found(format!("sid=forged; a=b; sid={sealed}")) == valid);
        assert!(found(format!("side=x; xsid={sealed};;=; sid = {sealed} ")) == valid);
    }

    #[test]
    fn r15_only_a_few_cookies_are_read() {
        let keys = keys("sid", &[NEW]);
        let id = Id::default();
        let found = |before: String| {
            keys.find(&HeaderMap::from_iter([(COOKIE, format!("{before}sid={}", keys.seal(id)).parse().unwrap())]))
        };
        let valid = Presented::Valid(Opened { id, outdated: false });
        assert!(found("sid=forged; ".repeat(COOKIES - 1)) == valid);
        assert!(found("sid=forged; ".repeat(COOKIES)) == Presented::Invalid);
        assert!(found("other=1; ".repeat(1000)) == valid);
        assert!(found(format!("other={}; ", "x".repeat(COOKIE_BYTES))) == Presented::Nothing);
    }
}
