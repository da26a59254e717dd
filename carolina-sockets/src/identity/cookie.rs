//! The session cookie's value: the session's id, encrypted and authenticated, so that it cannot be guessed or made up.

use cookie::{Cookie, CookieJar, Key};
use tower_sessions::session::Id;

/// Values longer than this are refused unread. A sealed id has 68 characters.
const LONGEST: usize = 256;

/// The keys that seal and open the cookie. The first one seals; all open, so that keys can be rotated.
#[derive(Clone)]
pub(crate) struct CookieKeys {
    name: String,
    keys: Vec<Key>,
}

impl CookieKeys {
    /// Derives the keys from `session.secret`. Without one, a random key is made: sessions end with the process, and
    /// no other node can open them.
    pub(crate) fn new(name: &str, secrets: &[String]) -> Self {
        let keys = match secrets {
            [] => {
                tracing::warn!(
                    "session.secret is not set: a random one is used, so sessions end with this process and hold on this node alone; make one with `openssl rand -base64 48`"
                );
                vec![Key::generate()]
            }
            secrets => secrets.iter().map(|secret| Key::derive_from(secret.as_bytes())).collect(),
        };
        Self { name: name.to_owned(), keys }
    }

    /// The cookie's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The key that seals.
    pub(crate) fn newest(&self) -> &Key {
        &self.keys[0]
    }

    /// The session's id in a cookie's value, as the browser sends it or as a script reads it. `None` for whatever was
    /// not sealed with one of the keys for a cookie of this name.
    pub(crate) fn open(&self, value: &str) -> Option<Id> {
        self.open_with_key(value).map(|(id, _)| id)
    }

    /// The same, with whether it was sealed with an older key.
    pub(crate) fn open_with_key(&self, value: &str) -> Option<(Id, bool)> {
        if value.len() > LONGEST {
            return None;
        }
        let cookie = Cookie::parse_encoded(format!("{}={value}", self.name)).ok()?.into_owned();
        self.keys.iter().enumerate().find_map(|(number, key)| {
            let opened = CookieJar::new().private(key).decrypt(cookie.clone())?;
            Some((opened.value().parse().ok()?, number > 0))
        })
    }

    /// A value for a session's id, sealed with the newest key.
    pub(crate) fn seal(&self, id: Id) -> String {
        let mut jar = CookieJar::new();
        jar.private_mut(self.newest()).add(Cookie::new(self.name.clone(), id.to_string()));
        jar.get(&self.name).map(|cookie| cookie.value().to_owned()).unwrap_or_default()
    }
}

impl std::fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CookieKeys({}, {} keys)", self.name, self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> CookieKeys {
        let secrets: Vec<String> = secrets.iter().map(|secret| secret.repeat(8)).collect();
        CookieKeys::new("carolina.sid", &secrets)
    }

    #[test]
    fn r10_a_sealed_id_opens_with_its_key_and_older_keys() {
        let id = Id::default();
        let old = keys(&["old-key-"]).seal(id);
        let rotated = keys(&["new-key-", "old-key-"]);
        assert_eq!(rotated.open_with_key(&old), Some((id, true)));
        assert_eq!(rotated.open_with_key(&rotated.seal(id)), Some((id, false)));
        assert_eq!(rotated.open(&old.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")), Some(id));
        assert_eq!(keys(&["new-key-"]).open(&old), None);
    }

    #[test]
    fn r10_no_other_value_opens() {
        let keys = keys(&["the-key-"]);
        let sealed = keys.seal(Id(7));
        let other_name = CookieKeys { name: "other".to_owned(), keys: keys.keys.clone() };
        assert_eq!(other_name.open(&sealed), None);
        for forged in [
            "",
            "x",
            "7",
            &Id(7).to_string(),
            &sealed[..sealed.len() - 4],
            &"A".repeat(68),
            &"A".repeat(100_000),
            "%00%ff",
            "é",
        ] {
            assert_eq!(keys.open(forged), None, "{forged}");
        }
        for position in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            if forged != sealed {
                assert!(keys.open(&forged).is_none_or(|id| id == Id(7)), "{forged}");
            }
        }
    }
}
