//! The keys that tokens are checked with.

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse},
};

use crate::error::{Error, Result};

/// RFC 7518 requires as many bytes as the output of HS256; a shorter secret can be brute-forced.
const MIN_SECRET_BYTES: usize = 32;

/// The keys that [`JwtIdentify`](super::JwtIdentify) checks tokens with.
///
/// Each has the id (`kid`) that tokens name it by; a key without one is tried for tokens that name none, and for those
/// that name an unknown key. The key, never the token, decides the algorithm: a public RSA key is never used as an HMAC
/// secret.
///
/// ```
/// use carolina_sockets::identity::JwtKeys;
///
/// # fn keys() -> carolina_sockets::Result {
/// let keys = JwtKeys::new().hmac("2026", "a secret of at least thirty-two bytes")?;
/// # Ok(())
/// # }
/// # keys().unwrap();
/// ```
#[derive(Clone, Default)]
pub struct JwtKeys(Vec<Key>);

#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

impl JwtKeys {
    /// No keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A secret shared with the issuer of the tokens: HS256, HS384 and HS512.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it has less than 32 bytes.
    pub fn hmac<'a>(self, id: impl Into<Option<&'a str>>, secret: impl AsRef<[u8]>) -> Result<Self> {
        let (id, secret) = (id.into(), secret.as_ref());
        if secret.len() < MIN_SECRET_BYTES {
            return Err(short(id, secret.len()));
        }
        Ok(self.with(id, DecodingKey::from_secret(secret)))
    }

    /// A public RSA key in PEM: RS256 to RS512 and PS256 to PS512.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is not such a key.
    pub fn rsa_pem<'a>(self, id: impl Into<Option<&'a str>>, pem: impl AsRef<[u8]>) -> Result<Self> {
        let id = id.into();
        let key = DecodingKey::from_rsa_pem(pem.as_ref()).map_err(|error| unusable(id, "a public RSA key", &error))?;
        Ok(self.with(id, key))
    }

    /// A public key on the curve P-256 or P-384 in PEM: ES256 and ES384.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is not such a key.
    pub fn ec_pem<'a>(self, id: impl Into<Option<&'a str>>, pem: impl AsRef<[u8]>) -> Result<Self> {
        let id = id.into();
        let key = DecodingKey::from_ec_pem(pem.as_ref())
            .map_err(|error| unusable(id, "a public key on an elliptic curve", &error))?;
        Ok(self.with(id, key))
    }

    /// A public Ed25519 key in PEM: EdDSA.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is not such a key.
    pub fn ed_pem<'a>(self, id: impl Into<Option<&'a str>>, pem: impl AsRef<[u8]>) -> Result<Self> {
        let id = id.into();
        let key =
            DecodingKey::from_ed_pem(pem.as_ref()).map_err(|error| unusable(id, "a public Ed25519 key", &error))?;
        Ok(self.with(id, key))
    }

    /// The keys of a JSON Web Key Set, as an identity provider publishes it. Keys that are not for signatures, or of an
    /// unsupported kind, are skipped.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it is not a key set, has no usable key, or contains an invalid key.
    pub fn jwks(mut self, text: &str) -> Result<Self> {
        let set: JwkSet =
            serde_json::from_str(text).map_err(|error| fault(format!("not a JSON Web Key Set: {error}")))?;
        let before = self.0.len();
        for jwk in &set.keys {
            let Some(only) = usable(jwk) else {
                tracing::debug!(
                    kid = jwk.common.key_id.as_deref(),
                    "a key of the set is skipped: it is not for a supported signature algorithm"
                );
                continue;
            };
            let id = jwk.common.key_id.as_deref();
            let key = DecodingKey::from_jwk(jwk).map_err(|error| unusable(id, "a usable key", &error))?;
            if let (AlgorithmParameters::OctetKey(_), Ok(secret)) = (&jwk.algorithm, key.try_get_as_bytes())
                && secret.len() < MIN_SECRET_BYTES
            {
                return Err(short(id, secret.len()));
            }
            self = self.with(id, key);
            if let (Some(only), Some(key)) = (only, self.0.last_mut()) {
                key.algorithms.retain(|algorithm| *algorithm == only);
            }
        }
        if self.0.len() > before && self.0.iter().all(|key| !key.algorithms.is_empty()) {
            Ok(self)
        } else {
            Err(fault(format!(
                "none of the {} keys in the set is one for signatures that is known here",
                set.keys.len()
            )))
        }
    }

    fn with(mut self, id: Option<&str>, key: DecodingKey) -> Self {
        let algorithms = key.family().algorithms().to_vec();
        self.0.push(Key { id: id.map(str::to_owned), key, algorithms });
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys to try for a token with this key id and algorithm.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&Key> {
        let known = id.filter(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)));
        let named = |key: &&Key| match (id, known) {
            (_, Some(known)) => key.id.as_deref() == Some(known),
            (Some(_), None) => key.id.is_none(),
            (None, None) => true,
        };
        self.0.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm)).collect()
    }
}

impl fmt::Debug for JwtKeys {
    /// The ids alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| key.id.as_deref().unwrap_or("-"))).finish()
    }
}

/// Whether a published key is for signatures; if so, the algorithm it is restricted to, if any.
fn usable(jwk: &Jwk) -> Option<Option<Algorithm>> {
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let known = !matches!(jwk.algorithm, AlgorithmParameters::Other(_));
    match jwk.common.key_algorithm {
        _ if !signs || !known => None,
        None => Some(None),
        Some(algorithm) => algorithm.to_string().parse().ok().map(Some),
    }
}

fn short(id: Option<&str>, bytes: usize) -> Error {
    fault(format!("the secret{} has {bytes} bytes, at least {MIN_SECRET_BYTES} are needed", named(id)))
}

fn unusable(id: Option<&str>, wanted: &str, error: &jsonwebtoken::errors::Error) -> Error {
    fault(format!("the key{} is not {wanted}: {error}", named(id)))
}

fn named(id: Option<&str>) -> String {
    id.map(|id| format!(" `{id}`")).unwrap_or_default()
}

fn fault(message: String) -> Error {
    Error::Config(vec![format!("JWT: {message}")])
}
