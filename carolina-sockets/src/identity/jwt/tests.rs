use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};

use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";
const OTHER: &str = "another secret of more than thirty-two bytes";

fn claims() -> Value {
    json!({ "sub": "ada", "exp": get_current_timestamp() + 600, "iss": "https://login.example", "aud": "chat" })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn sign(kid: Option<&str>, algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

fn hs(kid: Option<&str>, secret: &str, claims: &Value) -> String {
    sign(kid, Algorithm::HS256, &EncodingKey::from_secret(secret.as_bytes()), claims)
}

fn identify(keys: JwtKeys) -> JwtIdentify {
    JwtIdentify::builder(keys).issuer("https://login.example").audience("chat").audience("admin").build().unwrap()
}

fn by_secret() -> JwtIdentify {
    identify(JwtKeys::new().hmac("2026", SECRET).unwrap())
}

fn reason(identify: &JwtIdentify, token: &str) -> String {
    let error = identify.verify(token).unwrap_err();
    assert_eq!(error.code(), "unauthenticated");
    error.details_value().unwrap()["reason"].as_str().unwrap().to_owned()
}

#[test]
fn r13_a_token_names_its_bearer_until_it_expires() {
    let claims = with(json!({ "roles": ["admin"] }));
    let identity = by_secret().verify(&hs(Some("2026"), SECRET, &claims)).unwrap();
    assert_eq!(identity, Identity::user("ada"));
    assert_eq!(identity.data().get("roles"), Some(&json!(["admin"])));
    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(claims["exp"].as_u64().unwrap() + 30);
    assert_eq!(identity.expires_at(), Some(ends));
    let number = hs(Some("2026"), SECRET, &with(json!({ "sub": 7 })));
    assert_eq!(by_secret().verify(&number).unwrap(), Identity::user(7));
}

#[test]
fn r13_a_token_that_does_not_hold_says_why() {
    let identify = by_secret();
    let refused = |changes: Value| reason(&identify, &hs(Some("2026"), SECRET, &with(changes)));
    let now = get_current_timestamp();
    assert_eq!(refused(json!({ "exp": now - 31 })), "expired");
    assert_eq!(refused(json!({ "exp": 0 })), "expired");
    assert_eq!(refused(json!({ "exp": null })), "no_expiry");
    assert_eq!(refused(json!({ "exp": "tomorrow" })), "no_expiry");
    assert_eq!(refused(json!({ "nbf": now + 100 })), "not_yet_valid");
    assert_eq!(refused(json!({ "iss": "https://evil.example" })), "issuer");
    assert_eq!(refused(json!({ "iss": null })), "issuer");
    assert_eq!(refused(json!({ "iss": 7 })), "issuer");
    assert_eq!(refused(json!({ "aud": "shop" })), "audience");
    assert_eq!(refused(json!({ "aud": null })), "audience");
    assert_eq!(refused(json!({ "aud": [] })), "audience");
    for nobody in [json!(null), json!(""), json!(1.5), json!(true)] {
        assert_eq!(refused(json!({ "sub": nobody })), "no_user");
    }
    assert_eq!(refused(json!({ "sub": { "id": 7 } })), "malformed");
    assert!(identify.verify(&hs(Some("2026"), SECRET, &with(json!({ "exp": now - 20 })))).is_ok());
    assert!(identify.verify(&hs(Some("2026"), SECRET, &with(json!({ "aud": ["shop", "admin"] })))).is_ok());
    assert_eq!(reason(&identify, &hs(Some("2026"), OTHER, &claims())), "signature");
    assert_eq!(reason(&identify, &hs(Some("2025"), SECRET, &claims())), "unknown_key");
    // Without an audience of its own, a service takes no token that is for another.
    let any = JwtIdentify::builder(JwtKeys::new().hmac(None, SECRET).unwrap()).build().unwrap();
    assert_eq!(reason(&any, &hs(None, SECRET, &claims())), "audience");
}

#[test]
fn r15_garbage_is_no_token() {
    let identify = by_secret();
    let token = hs(Some("2026"), SECRET, &claims());
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let body = token.split('.').nth(1).unwrap();
    let none = format!("{}.{body}.", part(r#"{"alg":"none","typ":"JWT"}"#));
    let unsigned = format!("{}.{body}.", part(r#"{"alg":"HS256","kid":"2026"}"#));
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".to_owned()]);
    let critical = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let (long, deep) = ("A".repeat(1_000_000), format!("{}.{}.x", part(&"[".repeat(3000)), part(&"[".repeat(3000))));
    for garbage in
        ["", ".", "..", "...", "a.b.c", "\u{1F980}", &none, &critical, &long, &deep, &token[..60], &token[10..]]
    {
        assert_eq!(reason(&identify, garbage), "malformed", "{garbage:.60}");
    }
    assert_eq!(reason(&identify, &unsigned), "signature");
}

#[test]
fn r15_keys_that_cannot_serve_are_refused_with_their_names() {
    let text = |result: Result<JwtKeys>| result.unwrap_err().to_string();
    assert!(text(JwtKeys::new().hmac("old", "short")).contains("`old` has 5 bytes"));
    assert!(text(JwtKeys::new().rsa_pem("a", "nonsense")).contains("`a` is not a public RSA key"));
    assert!(text(JwtKeys::new().ec_pem("b", "nonsense")).contains("`b` is not a public key on an elliptic curve"));
    assert!(text(JwtKeys::new().ed_pem(None, "nonsense")).contains("the key is not a public Ed25519 key"));
    assert!(text(JwtKeys::new().jwks("[]")).contains("not a JSON Web Key Set"));
    assert!(text(JwtKeys::new().jwks(r#"{"keys":[]}"#)).contains("none of the 0 keys"));
    let weak = json!({ "keys": [{ "kty": "oct", "kid": "weak", "k": "c2hvcnQ" }] }).to_string();
    assert!(text(JwtKeys::new().jwks(&weak)).contains("`weak` has 5 bytes"));
    let faults = JwtIdentify::builder(JwtKeys::new()).leeway(Duration::MAX).issuer("").build().unwrap_err().to_string();
    assert!(faults.contains("3 problems") && faults.contains("no key"), "{faults}");
    let shown = format!("{:?}", JwtKeys::new().hmac("2026", SECRET).unwrap());
    assert_eq!(shown, r#"["2026"]"#);
}

#[test]
fn r13_a_token_comes_by_auth_or_by_header() {
    let token = |auth: Value, header: Option<&str>| {
        let headers = header.map(|header| (AUTHORIZATION, header.parse().unwrap()));
        JwtIdentify::token(Some(&auth), &HeaderMap::from_iter(headers))
    };
    assert_eq!(token(json!({}), None), Ok(None));
    assert_eq!(token(json!(["token"]), None), Ok(None));
    assert_eq!(token(json!({ "token": "a" }), Some("Bearer b")), Ok(Some("a".to_owned())));
    assert_eq!(token(json!({ "token": null }), Some("bearer b")), Ok(Some("b".to_owned())));
    assert_eq!(token(json!({}), Some("Basic YTpi")), Ok(None));
    assert_eq!(token(json!({ "token": 7 }), None), Err(Refusal::Malformed));
}
