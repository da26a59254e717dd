//! The signature of a request: an HMAC-SHA256 of timestamp and body.

use std::time::SystemTime;

use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha2::Sha256;

const TIMESTAMP: &str = "carolina-timestamp";
const SIGNATURE: &str = "carolina-signature";
const SCHEME: &str = "sha256=";

/// How far a timestamp may be from the server's clock, in seconds.
const TOLERANCE: u64 = 300;

/// The keys of `publish.secret`.
pub(super) struct Keys(Vec<Hmac<Sha256>>);

/// What the headers of a request say.
#[derive(Debug)]
pub(super) struct Signed {
    timestamp: String,
    signature: Vec<u8>,
}

/// Reads the headers, whose timestamp has to be recent.
///
/// # Errors
///
/// What is wrong with them, and what to send instead.
pub(super) fn read(headers: &HeaderMap) -> Result<Signed, String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    read_at(headers, now)
}

fn read_at(headers: &HeaderMap, now: u64) -> Result<Signed, String> {
    let header = |name: &str, shown: &str, value: &str| {
        let found = headers.get(name).ok_or_else(|| format!("the header {shown} is missing: {value}"))?;
        found.to_str().map(str::to_owned).map_err(|_| format!("the header {shown} is not text: {value}"))
    };
    let in_seconds = "the time now, in seconds since 1970";
    let timestamp = header(TIMESTAMP, "Carolina-Timestamp", in_seconds)?;
    let signature =
        header(SIGNATURE, "Carolina-Signature", "`sha256=` and the signature of timestamp and body, in hexadecimal")?;
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let time: u64 = timestamp
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| format!("Carolina-Timestamp is not a whole number: write {in_seconds}"))?;
    if time.abs_diff(now) > TOLERANCE {
        let side = if time < now { "behind" } else { "ahead of" };
        return Err(format!(
            "Carolina-Timestamp is {} s {side} the server's clock, and may be {TOLERANCE}: sign again with {in_seconds}, \
             and set the clocks of both machines",
            time.abs_diff(now)
        ));
    }
    let hexadecimal = signature.strip_prefix(SCHEME).and_then(decode);
    let signature = hexadecimal.ok_or("Carolina-Signature is not `sha256=` and 64 hexadecimal digits")?;
    Ok(Signed { timestamp, signature })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(pair[0])? << 4 | digit(pair[1])?)
        })
        .collect()
}

impl Keys {
    pub(super) fn new(secrets: &[String]) -> Self {
        let key = |secret: &String| Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        Self(secrets.iter().map(key).collect())
    }

    /// Whether one of the secrets has signed timestamp and body. The comparison takes the same time for every signature.
    ///
    /// # Errors
    ///
    /// What the signature has to be, unless one has.
    pub(super) fn check(&self, signed: &Signed, body: &[u8]) -> Result<(), String> {
        let is_of = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(signed.timestamp.as_bytes());
            mac.update(b".");
            mac.update(body);
            mac.verify_slice(&signed.signature).is_ok()
        };
        if self.0.iter().any(is_of) {
            return Ok(());
        }
        Err("Carolina-Signature is not that of this timestamp and body: it is the HMAC-SHA256 of the timestamp, a dot and \
             the body, byte for byte as it is sent, with `publish.secret` as the key"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, timestamp.parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    /// `printf '1000.{}' | openssl dgst -sha256 -hmac 'a secret of at least thirty-two bytes'`.
    const SIGNED: &str = "sha256=5a52cdb2767ce755cb65c3071469253dff5d99c08492d24bdbf0718b47cca05d";

    fn keys() -> Keys {
        Keys::new(&[
            "another secret, which is newer than that".to_owned(),
            "a secret of at least thirty-two bytes".to_owned(),
        ])
    }

    #[test]
    fn the_signature_is_what_openssl_makes() {
        let signed = read_at(&headers("1000", SIGNED), 1000).unwrap();
        keys().check(&signed, b"{}").unwrap();
        assert!(keys().check(&signed, b"{ }").is_err());
        let other = read_at(&headers("1001", SIGNED), 1000).unwrap();
        assert!(keys().check(&other, b"{}").is_err(), "the timestamp is signed as well");
    }

    #[test]
    fn headers_are_refused_with_what_to_send_instead() {
        for (timestamp, signature, told) in [
            ("now", SIGNED, "not a whole number"),
            ("+1000", SIGNED, "not a whole number"),
            ("", SIGNED, "not a whole number"),
            ("699", SIGNED, "is 301 s behind the server's clock"),
            ("1301", SIGNED, "is 301 s ahead of the server's clock"),
            ("1000", "7f2b", "not `sha256=`"),
            ("1000", "sha256=7f2b", "64 hexadecimal digits"),
        ] {
            let message = read_at(&headers(timestamp, signature), 1000).unwrap_err();
            assert!(message.contains(told), "{message}");
        }
        assert!(read_at(&headers("700", SIGNED), 1000).is_ok() && read_at(&headers("1300", SIGNED), 1000).is_ok());
        let missing = read_at(&HeaderMap::new(), 1000).unwrap_err();
        assert_eq!(missing, "the header Carolina-Timestamp is missing: the time now, in seconds since 1970");
    }
}
