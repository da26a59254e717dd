//! Who may see the Admin UI.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use serde_json::Value as Json;
use sha2::Sha256;
use tokio::sync::Semaphore;

use crate::config::Config;

/// How long a page need not ask for the password again.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// How many wrong passwords may come from one address within [`FORGET`].
const MOST_FAILURES: u32 = 10;
const FORGET: Duration = Duration::from_secs(60);

/// How many addresses are remembered.
const MOST_ADDRESSES: usize = 1024;

/// The user and password, and the sessions of pages that have given them.
///
/// A session is a time and a nonce with their signature, so that every node with the same `session.secret` knows it, and
/// none has to keep it. It ends with the password.
pub(super) struct Credentials {
    user: String,
    hash: String,
    /// Signs sessions.
    key: Vec<u8>,
    /// Checking a password takes long, on purpose. One at a time, so that guesses take one core at most.
    one: Semaphore,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

/// Somebody who may see it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// The session that the page gets, if it came with a password.
    pub(super) session: Option<String>,
}

impl Credentials {
    /// Those that are configured, if any are.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let (user, hash) = (config.admin.user.clone()?, config.admin.password.clone()?);
        let secret = match config.session.secret.first() {
            Some(secret) => secret.as_bytes().to_vec(),
            None => rand::random::<[u8; 32]>().to_vec(),
        };
        let key = sign(&secret, &format!("admin sessions of {user} with {hash}"));
        Some(Self { user, hash, key, one: Semaphore::new(1), failures: Mutex::default() })
    }

    /// Whether a client with this `auth` payload may see it.
    pub(super) async fn admit(&self, auth: Option<&str>, address: IpAddr) -> Option<Admitted> {
        let auth: Json = serde_json::from_str(auth?).ok()?;
        if auth["sessionId"].as_str().is_some_and(|session| self.knows(session)) {
            return Some(Admitted { session: None });
        }
        let (user, password) = (auth["username"].as_str()?, auth["password"].as_str()?.to_owned());
        if self.has_failed_often(address) {
            tracing::warn!(%address, "the Admin UI: too many wrong passwords from this address");
            return None;
        }
        // Whatever the user's name is, so that the time tells nothing of it.
        let is_right = {
            let _one = self.one.acquire().await.ok()?;
            let hash = self.hash.clone();
            tokio::task::spawn_blocking(move || is_password(&password, &hash)).await.ok()?
        };
        if user != self.user || !is_right {
            self.failed(address);
            tracing::warn!(%address, "the Admin UI: a wrong user or password");
            return None;
        }
        tracing::info!(%address, "somebody has logged in to the Admin UI");
        Some(Admitted { session: Some(self.session()) })
    }

    fn session(&self) -> String {
        let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 12]>());
        let signed = format!("{}.{nonce}", seconds());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign(&self.key, &signed)))
    }

    fn knows(&self, session: &str) -> bool {
        let Some((signed, signature)) = session.rsplit_once('.') else { return false };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let made = signed.split('.').next().and_then(|made| made.parse::<u64>().ok());
        // In constant time.
        mac(&self.key, signed).verify_slice(&signature).is_ok()
            && made.is_some_and(|made| seconds().saturating_sub(made) < SESSION.as_secs())
    }

    fn has_failed_often(&self, address: IpAddr) -> bool {
        let mut failures = self.failures.lock();
        failures.retain(|_, (_, since)| since.elapsed() < FORGET);
        failures.get(&address).is_some_and(|(count, _)| *count >= MOST_FAILURES)
    }

    fn failed(&self, address: IpAddr) {
        let mut failures = self.failures.lock();
        if failures.len() < MOST_ADDRESSES || failures.contains_key(&address) {
            failures.entry(address).or_insert((0, Instant::now())).0 += 1;
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    // Its keys may have any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(text.as_bytes());
    mac
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    mac(key, text).finalize().into_bytes().to_vec()
}

fn is_password(password: &str, hash: &str) -> bool {
    if !hash.starts_with("$argon2") {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn credentials(hash: &str) -> Credentials {
        let mut config = Config::default().secret("s".repeat(32));
        config.admin.user = Some("ada".to_owned());
        config.admin.password = Some(hash.to_owned());
        Credentials::new(&config).unwrap()
    }

    fn bcrypt_hash() -> String {
        bcrypt::hash("wonderland", 4).unwrap()
    }

    async fn admits(credentials: &Credentials, auth: Json) -> bool {
        credentials.admit(Some(&auth.to_string()), HERE).await.is_some()
    }

    #[tokio::test]
    async fn r27_the_password_opens_and_so_does_the_session_that_it_gave() {
        // `argon2 somesalt -id -t 1 -m 8 -e` of the same password.
        let argon2 = {
            use argon2::PasswordHasher;
            let salt = b"somesaltsomesalt";
            Argon2::default().hash_password_with_salt(b"wonderland", salt).unwrap().to_string()
        };
        for hash in [bcrypt_hash(), argon2] {
            let ours = credentials(&hash);
            let auth = serde_json::json!({ "username": "ada", "password": "wonderland" }).to_string();
            let session = ours.admit(Some(&auth), HERE).await.unwrap().session.unwrap();
            let by_session = serde_json::json!({ "sessionId": session });
            assert!(admits(&ours, by_session.clone()).await);
            assert!(admits(&credentials(&hash), by_session.clone()).await, "another node with the same secret");
            assert!(!admits(&credentials(&bcrypt_hash()), by_session).await, "another password");
        }
    }

    #[tokio::test]
    async fn r27_nothing_else_opens() {
        let ours = credentials(&bcrypt_hash());
        let future = format!("{}.x.{}", seconds(), URL_SAFE_NO_PAD.encode([0; 32]));
        for auth in [
            serde_json::json!({}),
            serde_json::json!({ "username": "ada" }),
            serde_json::json!({ "username": "ada", "password": "Wonderland" }),
            serde_json::json!({ "username": "eve", "password": "wonderland" }),
            serde_json::json!({ "username": ["ada"], "password": { "$ne": "" } }),
            serde_json::json!({ "sessionId": "" }),
            serde_json::json!({ "sessionId": null }),
            serde_json::json!({ "sessionId": future }),
        ] {
            assert!(!admits(&ours, auth.clone()).await, "{auth}");
        }
        assert_eq!(ours.admit(None, HERE).await, None);
        assert_eq!(ours.admit(Some("no JSON"), HERE).await, None);
    }

    #[tokio::test]
    async fn r27_who_guesses_is_stopped() {
        let ours = credentials(&bcrypt_hash());
        for _ in 0..MOST_FAILURES {
            assert!(!admits(&ours, serde_json::json!({ "username": "ada", "password": "x" })).await);
        }
        let right = serde_json::json!({ "username": "ada", "password": "wonderland" });
        assert!(!admits(&ours, right.clone()).await, "even what is right");
        let other = IpAddr::from([192, 0, 2, 1]);
        assert!(ours.admit(Some(&right.to_string()), other).await.is_some(), "but not from elsewhere");
    }

    #[test]
    fn r27_a_session_ends() {
        let ours = credentials(&bcrypt_hash());
        let at = |made: u64| {
            let signed = format!("{made}.nonce");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign(&ours.key, &signed)))
        };
        assert!(ours.knows(&at(seconds())));
        assert!(!ours.knows(&at(seconds() - SESSION.as_secs())));
    }
}
