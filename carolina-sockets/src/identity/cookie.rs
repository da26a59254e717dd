//! The session cookie's value: the session's id, encrypted, as `tower-sessions` writes its private cookies.

use cookie::{Cookie, CookieJar, Key};
use tower_sessions::session::Id;

use super::Cookies;

/// A sealed id in base64: 12 bytes of nonce, 22 of id, 16 of tag.
const SEALED_BYTES: usize = 68;
/// Longer values are rejected unread: a sealed id with every byte percent-encoded has 204 bytes.
const MAX_VALUE_BYTES: usize = 256;

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
            tracing::warn!(
                "session.secret is not set: a random one is used, so sessions end with this process and hold on this node alone; make one with `openssl rand -base64 48`"
            );
            keys.push(Key::generate());
        }
        Self { name: name.to_owned(), keys }
    }

    /// The cookie's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The cookie's value for a session, sealed with the newest key.
    pub(crate) fn seal(&self, id: Id) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(&self.keys[0]).add(Cookie::new(self.name.clone(), id.to_string()));
        jar.get(&self.name).map(|sealed| sealed.value().to_owned()).unwrap_or_default()
    }

    /// The session behind a cookie's value, percent-encoded or not. `None` for a value that was not sealed by one of
    /// the keys under this cookie's name. Values that are too long or have invalid characters are rejected before
    /// decryption.
    pub(crate) fn open(&self, value: &str) -> Option<Opened> {
        if value.len() > MAX_VALUE_BYTES
            || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=%".contains(&byte))
        {
            return None;
        }
        let sealed = Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?;
        if sealed.value().len() != SEALED_BYTES {
            return None;
        }
        let jar = CookieJar::new();
        let opened = self
            .keys
            .iter()
            .enumerate()
            .find_map(|(age, key)| jar.private(key).decrypt(sealed.clone()).map(|opened| (age, opened)));
        let (age, opened) = opened?;
        Some(Opened { id: opened.value().parse().ok()?, outdated: age > 0 })
    }

    /// The session that a request's cookies name. If several cookies have the name (another subdomain may have set one
    /// too), the first that decrypts counts.
    pub(crate) fn find(&self, cookies: &Cookies) -> Presented {
        let mut found = Presented::Nothing;
        for (_, value) in cookies.iter().filter(|(name, _)| *name == self.name) {
            match self.open(value) {
                Some(opened) => return Presented::Valid(opened),
                None => found = Presented::Invalid,
            }
        }
        found
    }
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
        assert!(!sealed.contains(&id.to_string()));
        assert_eq!(id_of(&keys, &sealed), Some(id));
        let encoded: String = sealed.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(id_of(&keys, &encoded), Some(id));
        let cookie = Cookie::new("sid", sealed).encoded().to_string();
        assert_eq!(id_of(&keys, cookie.strip_prefix("sid=").unwrap()), Some(id));
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
        ];
        for value in refused {
            assert!(keys.open(value).is_none(), "{value:.80} was opened");
        }
        // Sealed with the right key, but not an id: 22 characters that do not decode to 16 bytes.
        assert_eq!(no_id.len(), SEALED_BYTES);
        assert!(keys.open(no_id).is_none());
    }

    #[test]
    fn r10_the_cookie_that_opens_counts() {
        let keys = keys("sid", &[NEW]);
        let id = Id::default();
        let found = |header: String| {
            let headers = http::HeaderMap::from_iter([(http::header::COOKIE, header.parse().unwrap())]);
            keys.find(&Cookies::of(&headers))
        };
        assert!(found("a=b".into()) == Presented::Nothing);
        assert!(found("sid=forged".into()) == Presented::Invalid);
        let sealed = keys.seal(id);
        assert!(found(format!("sid=forged; a=b; sid={sealed}")) == Presented::Valid(Opened { id, outdated: false }));
    }
}
