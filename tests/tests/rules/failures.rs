//! R8: what a client is told of an event that fails, and what stays in the log.

use std::{collections::HashMap, sync::Arc};

use carolina_sockets::{Data, EventError, User, channel, on};
use carolina_sockets_tests::{Log, start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::desk::{Desk, desk};

#[derive(Deserialize)]
struct Checkin {
    desk: String,
    #[serde(default)]
    items: Vec<u8>,
}

#[derive(Serialize)]
struct Welcome {
    number: u64,
}

#[channel]
impl Desk {
    #[on("checkin")]
    async fn checkin(&self, Data(checkin): Data<Checkin>) -> Result<Welcome, EventError> {
        Ok(Welcome { number: checkin.desk.len() as u64 + checkin.items.len() as u64 })
    }

    #[on("fails")]
    fn fails(&self, Data(code): Data<Option<String>>) -> Result<(), EventError> {
        let code = code.unwrap_or_else(|| "sold_out".to_owned());
        Err(EventError::new(code, "no seats are left").details(json!({ "waiting": 12 })))
    }

    #[on("unknown-error")]
    fn unknown_error(&self) -> Result<u8, EventError> {
        Ok("seven and a half".parse::<u8>()?)
    }

    #[on("panics")]
    async fn panics(&self) -> u8 {
        tokio::task::yield_now().await;
        panic!("a secret of the house")
    }

    #[on("rated", rate = "2/h")]
    fn rated(&self) -> u8 {
        1
    }

    #[on("user")]
    fn user(&self, user: User) -> String {
        user.id().to_owned()
    }

    #[on("unserializable")]
    fn unserializable(&self) -> HashMap<(u8, u8), u8> {
        HashMap::from([((1, 2), 3)])
    }
}

#[tokio::test]
async fn r8_codes_tell_what_went_wrong() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    for (data, path, expected) in [
        (json!({ "desk": 5 }), "desk", "a string"),
        (json!({}), ".", "field `desk`"),
        (json!({ "desk": "A", "items": [1, 2, 300] }), "items[2]", "u8"),
        (json!("text"), ".", "struct Checkin"),
        (json!(null), ".", "struct Checkin"),
    ] {
        let error = client.request::<Value>("checkin", &data).await.unwrap_err();
        assert_eq!(error.code(), "invalid_payload");
        assert_eq!(error.details(), Some(&json!({ "path": path, "expected": expected })), "{data}");
    }
    let error = client.request::<Value>("two", (1, 2)).await.unwrap_err();
    assert_eq!(error.details().unwrap()["path"], "[1]");
    for _ in 0..2 {
        client.request::<u8>("rated", ()).await.unwrap();
    }
    let error = client.request::<u8>("rated", ()).await.unwrap_err();
    assert_eq!(error.code(), "rate_limited");
    assert!(error.details().unwrap()["retry_after_ms"].as_u64().unwrap() > 1_000_000);
    assert_eq!(client.request::<()>("user", ()).await.unwrap_err().code(), "unauthenticated");
}

#[tokio::test]
async fn r8_what_was_not_meant_for_clients_stays_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    for (event, secret) in [
        ("unknown-error", "invalid digit"),
        ("panics", "a secret of the house"),
        ("unserializable", "key must be a string"),
    ] {
        let error = client.request::<Value>(event, ()).await.unwrap_err();
        assert_eq!(error.code(), "internal");
        assert!(!error.to_string().contains(secret), "{error}");
        let reference = error.details().unwrap()["reference"].as_str().unwrap().to_owned();
        let text = log.text();
        let line = text.lines().find(|line| line.contains(&reference)).expect("the log has the reference");
        assert!(line.contains(secret) && line.contains(event), "{line}");
    }
    assert!(client.request::<bool>("first", ()).await.unwrap(), "neither socket nor server has ended");
}
