//! JSON Web Tokens that are signed with key pairs. Tokens with a shared secret are tested beside the code.

use carolina_sockets::identity::{Identity, JwtIdentify, JwtKeys};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp, jwk::Jwk};
use serde_json::{Value, json};

// Keys of these tests alone, each private and public.
const RSA: (&str, &str) = (include_str!("keys/rsa.pem"), include_str!("keys/rsa.pub.pem"));
const EC: (&str, &str) = (include_str!("keys/ec.pem"), include_str!("keys/ec.pub.pem"));
const ED: (&str, &str) = (include_str!("keys/ed.pem"), include_str!("keys/ed.pub.pem"));

fn claims() -> Value {
    json!({ "sub": "ada", "exp": get_current_timestamp() + 600, "iss": "https://login.example", "aud": "chat" })
}

fn sign(kid: Option<&str>, algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

fn hs(kid: Option<&str>, secret: &str, claims: &Value) -> String {
    sign(kid, Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), claims)
}

fn identify(keys: JwtKeys) -> JwtIdentify {
    JwtIdentify::builder(keys).issuer("https://login.example").audience("chat").build().unwrap()
}

fn reason(identify: &JwtIdentify, token: &str) -> String {
    let error = identify.verify(token).unwrap_err();
    assert_eq!(error.code(), "unauthenticated");
    error.details_value().unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn r13_what_a_key_is_for_is_decided_by_the_key() {
    let keys = JwtKeys::new().rsa_pem("rsa", RSA.1).unwrap().ec_pem("ec", EC.1).unwrap().ed_pem("ed", ED.1).unwrap();
    let identify = identify(keys);
    let rsa = EncodingKey::from_rsa_pem(RSA.0.as_bytes()).unwrap();
    let ec = EncodingKey::from_ec_pem(EC.0.as_bytes()).unwrap();
    let ed = EncodingKey::from_ed_pem(ED.0.as_bytes()).unwrap();
    let good = [
        ("rsa", Algorithm::RS256, &rsa),
        ("rsa", Algorithm::PS512, &rsa),
        ("ec", Algorithm::ES256, &ec),
        ("ed", Algorithm::EdDSA, &ed),
    ];
    for (kid, algorithm, key) in good {
        assert_eq!(identify.verify(&sign(Some(kid), algorithm, key, &claims())).unwrap(), Identity::user("ada"));
        assert_eq!(identify.verify(&sign(None, algorithm, key, &claims())).unwrap(), Identity::user("ada"));
    }
    assert_eq!(reason(&identify, &sign(Some("ec"), Algorithm::RS256, &rsa, &claims())), "unknown_key");
    // The public key as if it were a secret: everybody knows that one.
    assert_eq!(reason(&identify, &hs(Some("rsa"), RSA.1, &claims())), "unknown_key");
    assert_eq!(reason(&identify, &hs(None, RSA.1, &claims())), "unknown_key");
}

#[test]
fn r13_a_published_set_of_keys_is_read_and_replaced() {
    let ec = EncodingKey::from_ec_pem(EC.0.as_bytes()).unwrap();
    let rsa = EncodingKey::from_rsa_pem(RSA.0.as_bytes()).unwrap();
    let published = |id: &str, key: &EncodingKey, algorithm: Algorithm| {
        let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        serde_json::to_value(jwk).unwrap()
    };
    let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB" });
    let strange = json!({ "kty": "LATTICE", "kid": "new" });
    let old = json!({ "keys": [published("old", &ec, Algorithm::ES256), encryption, strange] }).to_string();
    let new = json!({ "keys": [published("new", &rsa, Algorithm::RS256)] }).to_string();
    let identify = identify(JwtKeys::new().jwks(&old).unwrap());
    let (with_old, with_new) =
        (sign(Some("old"), Algorithm::ES256, &ec, &claims()), sign(Some("new"), Algorithm::RS256, &rsa, &claims()));
    assert!(identify.verify(&with_old).is_ok());
    assert_eq!(reason(&identify, &with_new), "unknown_key");
    identify.replace_keys(JwtKeys::new().jwks(&new).unwrap()).unwrap();
    assert!(identify.verify(&with_new).is_ok());
    assert_eq!(reason(&identify, &with_old), "unknown_key");
    // It says that it is for RS256 alone.
    assert_eq!(reason(&identify, &sign(Some("new"), Algorithm::RS512, &rsa, &claims())), "unknown_key");
    assert!(identify.replace_keys(JwtKeys::new()).is_err());
    assert!(identify.verify(&with_new).is_ok());
}

#[test]
fn r15_a_key_of_another_kind_is_refused() {
    let text = |result: carolina_sockets::Result<JwtKeys>| result.unwrap_err().to_string();
    assert!(text(JwtKeys::new().rsa_pem("a", EC.1)).contains("`a` is not a public RSA key"));
    assert!(text(JwtKeys::new().ec_pem("b", RSA.1)).contains("`b` is not a public key on an elliptic curve"));
    assert!(text(JwtKeys::new().ed_pem(None, RSA.1)).contains("the key is not a public Ed25519 key"));
}
