//! R10: the ways in which a client tells who it is.

use crate::lobby::{COOKIE, join, log_in, service, visit, whoami};

#[tokio::test]
async fn r10_a_client_is_known_before_its_first_event_by_cookie_or_auth_and_at_any_time_by_the_event() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    assert_eq!(whoami(&mut join(&service, "/members", &cookie).await).await.as_deref(), Some("ada"));
    let auth = serde_json::json!({ "sessionId": cookie });
    let mut by_auth = service.client().auth(auth).connect("/members").await.unwrap();
    assert_eq!(whoami(&mut by_auth).await.as_deref(), Some("ada"));
    let mut late = service.connect("/lobby").await.unwrap();
    assert_eq!(whoami(&mut late).await, None);
    // What comes behind the event waits for it.
    late.emit("session_id", &cookie).await.unwrap();
    assert_eq!(whoami(&mut late).await.as_deref(), Some("ada"));
    let encoded: String = cookie.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(whoami(&mut join(&service, "/lobby", &encoded).await).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn r10_by_none_of_the_ways_in_anybody_becomes_somebody_else() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    let old = log_in(&service, "bob").await;
    visit(&service, "/logout", Some(&old)).await;
    let mut forged = cookie.clone();
    forged.replace_range(30..31, if &forged[30..31] == "A" { "B" } else { "A" });
    let long = "A".repeat(10_000);
    for value in [old.as_str(), &forged, &cookie[..40], "x", &long] {
        let mut by_cookie = join(&service, "/lobby", value).await;
        assert_eq!(whoami(&mut by_cookie).await, None, "{value:.80}");
        let auth = serde_json::json!({ "sessionId": value });
        let mut by_auth = service.client().auth(auth).connect("/lobby").await.unwrap();
        assert_eq!(whoami(&mut by_auth).await, None, "{value:.80}");
        let error = by_auth.request::<()>("session_id", value).await.unwrap_err();
        assert!(!error.to_string().contains(value), "{error:.200}");
        assert_eq!(whoami(&mut by_auth).await, None, "{value:.80}");
        assert!(service.client().cookie(COOKIE, value).connect("/members").await.is_err(), "{value:.80}");
    }
    let mut client = service.connect("/lobby").await.unwrap();
    for wrong in
        [serde_json::json!(7), serde_json::json!({ "id": 1 }), serde_json::json!(null), serde_json::json!([cookie])]
    {
        assert!(client.request::<()>("session_id", &wrong).await.is_err(), "{wrong}");
        let auth = serde_json::json!({ "sessionId": wrong });
        let mut by_auth = service.client().auth(auth).connect("/lobby").await.unwrap();
        assert_eq!(whoami(&mut by_auth).await, None, "{wrong}");
    }
    assert_eq!(whoami(&mut client).await, None);
}

#[tokio::test]
async fn r10_a_cookie_in_quotes_is_read() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    assert!(cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cookie}");
    // As it was written before.
    let padded = format!("{}=", cookie.replace('-', "+").replace('_', "/"));
    for value in [format!("\"{cookie}\""), format!("\"{padded}\""), padded] {
        assert_eq!(whoami(&mut join(&service, "/members", &value).await).await.as_deref(), Some("ada"), "{value}");
        assert_eq!(visit(&service, "/user", Some(&value)).await, None, "{value}");
    }
}
