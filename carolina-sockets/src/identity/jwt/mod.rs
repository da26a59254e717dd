//! Identifies clients by a JSON Web Token.

mod keys;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Validation, crypto::rust_crypto, decode, decode_header, errors::ErrorKind};
use parking_lot::RwLock;
use serde_json::{Map, Value, json};

pub use keys::JwtKeys;

use super::{Handshake, Identify, Identity};
use crate::{
    error::{Error, EventError, Result, code},
    telemetry::metric,
};

/// Longer tokens are rejected unread.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The largest accepted leeway.
const MAX_LEEWAY: Duration = Duration::from_secs(3600);

/// Identifies clients by a JSON Web Token, from `auth: { token }` or from the header `Authorization: Bearer …` (rule
/// R13).
///
/// A client without a token is anonymous. An invalid token refuses the client with `unauthenticated` and a reason. A
/// token must have an expiry; when it passes, connected sockets become anonymous and leave private channels.
///
/// ```
/// use carolina_sockets::{Sockets, identity::{JwtIdentify, JwtKeys}};
///
/// # fn identify(jwks: &str) -> carolina_sockets::Result {
/// let identify = JwtIdentify::builder(JwtKeys::new().jwks(jwks)?)
///     .issuer("https://login.example")
///     .audience("chat")
///     .build()?;
/// let builder = Sockets::builder().identify(identify.clone());
/// // When the provider has published new keys:
/// identify.replace_keys(JwtKeys::new().jwks(jwks)?)?;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share their keys.
#[derive(Clone)]
pub struct JwtIdentify(Arc<Inner>);

struct Inner {
    keys: RwLock<Arc<JwtKeys>>,
    rules: JwtBuilder,
}

/// Makes a [`JwtIdentify`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct JwtBuilder {
    keys: JwtKeys,
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    user_claim: String,
}

impl JwtBuilder {
    /// The required issuer of the token (`iss`). If set several times, any of them is accepted; if not set, any issuer.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// The required audience of the token (`aud`). If set several times, any of them is accepted; if not set, only
    /// tokens without an audience.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The allowed clock difference: a token is accepted this long after `exp` and before `nbf`. By default 30 s, at
    /// most an hour.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The claim that names the user: a text or an integer. By default `sub`.
    pub fn user_claim(mut self, claim: impl Into<String>) -> Self {
        self.user_claim = claim.into();
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with every mistake: no key, too large a leeway, an empty issuer, audience or claim.
    pub fn build(mut self) -> Result<JwtIdentify> {
        let mut faults = Vec::new();
        if self.leeway > MAX_LEEWAY {
            faults.push(format!("JWT: a leeway of {:?} is more than {MAX_LEEWAY:?}", self.leeway));
        }
        if self.issuers.iter().chain(&self.audiences).chain([&self.user_claim]).any(String::is_empty) {
            faults.push("JWT: an issuer, audience or claim is empty".to_owned());
        }
        if self.keys.is_empty() {
            faults.push(NO_KEY.to_owned());
        }
        if !faults.is_empty() {
            return Err(Error::Config(faults));
        }
        // With two providers compiled in, `jsonwebtoken` would panic at the first token. A provider that the
        // application has installed is kept.
        let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
        let keys = RwLock::new(Arc::new(std::mem::take(&mut self.keys)));
        Ok(JwtIdentify(Arc::new(Inner { keys, rules: self })))
    }
}

const NO_KEY: &str = "JWT: there is no key to check tokens with";

impl JwtIdentify {
    /// A builder with these keys.
    pub fn builder(keys: JwtKeys) -> JwtBuilder {
        JwtBuilder {
            keys,
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(30),
            user_claim: "sub".to_owned(),
        }
    }

    /// Checks tokens with these keys from now on. Sockets that are connected stay until their tokens expire.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when there are none; the previous keys stay.
    pub fn replace_keys(&self, keys: JwtKeys) -> Result {
        if keys.is_empty() {
            return Err(Error::Config(vec![NO_KEY.to_owned()]));
        }
        *self.0.keys.write() = Arc::new(keys);
        Ok(())
    }

    /// Verifies a token and returns its identity, for tokens that are not sent by `auth` or header.
    ///
    /// # Errors
    ///
    /// `unauthenticated` with the reason, also as `details.reason`.
    pub fn verify(&self, token: &str) -> Result<Identity, EventError> {
        self.check(token).map_err(Refusal::into_error)
    }

    fn check(&self, token: &str) -> Result<Identity, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Malformed);
        }
        let header = decode_header(token).map_err(|_| Refusal::Malformed)?;
        // No critical extension (`crit`) is supported.
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        let keys = self.0.keys.read().clone();
        let mut refusal = Refusal::UnknownKey;
        for key in keys.candidates(header.kid.as_deref(), header.alg) {
            match decode::<Map<String, Value>>(token, &key.key, &self.0.rules.validation(&key.algorithms)) {
                Ok(token) => return self.0.rules.identity(token.claims),
                Err(error) => {
                    let reason = Refusal::from(error.kind());
                    // Of several keys, report the error of the one that signed the token.
                    if refusal == Refusal::UnknownKey || reason != Refusal::Signature {
                        refusal = reason;
                    }
                }
            }
        }
        Err(refusal)
    }

    /// The token that a client sends, if any.
    fn token(auth: Option<&Value>, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        match auth.and_then(|auth| auth.get("token")) {
            Some(Value::String(token)) => return Ok(Some(token.clone())),
            None | Some(Value::Null) => {}
            Some(_) => return Err(Refusal::Malformed),
        }
        let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
        let header = header.to_str().map_err(|_| Refusal::Malformed)?;
        Ok(match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
            // Other schemes, such as Basic, are ignored.
            _ => None,
        })
    }
}

#[async_trait]
impl Identify for JwtIdentify {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        // `auth` can be any JSON; only an object can have a token.
        let auth = handshake.auth::<Value>().ok();
        let token = Self::token(auth.as_ref(), handshake.headers()).map_err(Refusal::into_error)?;
        token.map_or_else(|| Ok(Identity::anonymous()), |token| self.verify(&token))
    }
}

impl fmt::Debug for JwtIdentify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtIdentify").field("keys", &self.0.keys.read()).finish_non_exhaustive()
    }
}

impl JwtBuilder {
    fn validation(&self, algorithms: &[jsonwebtoken::Algorithm]) -> Validation {
        let mut validation = Validation {
            algorithms: algorithms.to_vec(),
            leeway: self.leeway.as_secs(),
            validate_nbf: true,
            ..Validation::default()
        };
        let mut required = vec!["exp"];
        if !self.issuers.is_empty() {
            validation.set_issuer(&self.issuers);
            required.push("iss");
        }
        if !self.audiences.is_empty() {
            validation.set_audience(&self.audiences);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn identity(&self, claims: Map<String, Value>) -> Result<Identity, Refusal> {
        let user = match claims.get(&self.user_claim) {
            Some(Value::String(user)) if !user.is_empty() => user.clone(),
            Some(Value::Number(user)) if user.is_i64() || user.is_u64() => user.to_string(),
            _ => return Err(Refusal::NoUser),
        };
        let seconds = claims.get("exp").and_then(Value::as_f64).filter(|seconds| seconds.is_finite());
        let ends = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let ends = ends.and_then(|ends| SystemTime::UNIX_EPOCH.checked_add(ends)?.checked_add(self.leeway));
        let identity = Identity::user(user).with_data(claims);
        Ok(match ends {
            Some(ends) => identity.with_expiry(ends),
            // The date is out of range: it never expires.
            None => identity,
        })
    }
}

/// Why a token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Malformed,
    UnknownKey,
    Signature,
    Expired,
    NotYet,
    NoExpiry,
    Issuer,
    Audience,
    NoUser,
}

impl From<&ErrorKind> for Refusal {
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYet,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => match claim.as_str() {
                "exp" => Self::NoExpiry,
                "iss" => Self::Issuer,
                "aud" => Self::Audience,
                _ => Self::Malformed,
            },
            _ => Self::Malformed,
        }
    }
}

impl Refusal {
    fn into_error(self) -> EventError {
        let (reason, message) = match self {
            Self::Malformed => ("malformed", "the token is not a supported JSON Web Token"),
            Self::UnknownKey => {
                ("unknown_key", "the token is signed with a key or algorithm that is not accepted here")
            }
            Self::Signature => ("signature", "the token's signature does not hold"),
            Self::Expired => ("expired", "the token has expired; get a new one"),
            Self::NotYet => ("not_yet_valid", "the token is not valid yet (`nbf`); compare the clocks"),
            Self::NoExpiry => ("no_expiry", "the token does not say when it expires (`exp`)"),
            Self::Issuer => ("issuer", "the token is from another issuer (`iss`)"),
            Self::Audience => ("audience", "the token is for another audience (`aud`)"),
            Self::NoUser => ("no_user", "the token names no user by a text or an integer"),
        };
        metric::token_refused(reason);
        EventError::new(code::UNAUTHENTICATED, message).details(json!({ "reason": reason }))
    }
}
