//! The endpoint for programs in other languages: what it sends to whom, and what it refuses. The programs of the chapter on it run in
//! `nodes/publishing.rs`.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use carolina_sockets::{
    Config, Socket, channel, on,
    testing::{ClientError, TestService},
};
use carolina_sockets_tests::{by_hand, start};
use hmac::{Hmac, Mac};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "one secret of the endpoint for publishing";

/// Joins rooms by the names in the handshake's query.
#[channel]
#[derive(Default)]
struct News;

#[channel]
impl News {
    #[on("join")]
    fn join(&self, socket: Socket, room: carolina_sockets::Data<String>) {
        socket.join(room.0);
    }

    #[on("session")]
    fn session(&self, socket: Socket) -> Option<String> {
        socket.session_id()
    }
}

/// An argument with a binary value inside.
#[derive(serde::Deserialize)]
struct Within {
    within: Vec<Bytes>,
}

fn configured() -> Config {
    let mut config = Config::default().secret("a secret of the session, and of it alone");
    config.publish.secret = vec!["the newer secret of the endpoint for publishing".to_owned(), SECRET.to_owned()];
    config.publish.max_body = 10_000;
    config
}

async fn news() -> TestService {
    start(by_hand().config(configured()).mount::<News>("/news")).await
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn sign(secret: &str, timestamp: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

async fn post(service: &TestService, timestamp: u64, signature: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::post("/_carolina/emit")
        .header("carolina-timestamp", timestamp.to_string())
        .header("carolina-signature", signature)
        .body(Body::from(body.to_owned()));
    let response = service.http(request.unwrap()).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{body:?}")))
}

async fn publish(service: &TestService, what: Value) -> (StatusCode, Value) {
    let (time, body) = (now(), what.to_string());
    post(service, time, &sign(SECRET, time, &body), &body).await
}

async fn publish_well(service: &TestService, what: Value) -> Value {
    let (status, answer) = publish(service, what).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test]
async fn published_messages_reach_whom_they_name() -> Result<(), ClientError> {
    let service = news().await;
    let mut inside = service.connect("/news").await?;
    let mut muted = service.connect("/news").await?;
    let mut outside = service.connect("/news").await?;
    inside.request::<()>("join", "sports").await?;
    muted.request::<()>("join", "sports").await?;
    muted.request::<()>("join", "muted").await?;

    let all = json!({ "channel": "/news", "event": "all", "arguments": [1, { "two": [2.5, null] }] });
    assert_eq!(publish_well(&service, all).await, json!({ "emitted": 1, "repeated": 0, "missed": 0 }));
    for client in [&mut inside, &mut muted, &mut outside] {
        assert_eq!(client.expect::<(u8, Value)>("all").await?, (1, json!({ "two": [2.5, null] })));
    }

    let batch = json!([
        { "channel": "/news", "event": "some", "rooms": "sports", "except": ["muted"], "arguments": ["a"] },
        { "channel": "/news", "event": "some", "rooms": ["none", "sports"], "except": { "rooms": "muted", "users": [7] }, "arguments": ["b"] },
        { "channel": "/news", "event": "some", "rooms": [], "users": [], "arguments": ["nobody"] },
    ]);
    assert_eq!(publish_well(&service, batch).await["emitted"], 3);
    assert_eq!(inside.expect::<String>("some").await?, "a");
    assert_eq!(inside.expect::<String>("some").await?, "b");
    for client in [&mut inside, &mut muted, &mut outside] {
        client.expect_none("some").await?;
    }

    publish_well(&service, json!({ "channel": "/news", "event": "bare" })).await;
    inside.expect::<()>("bare").await?;

    let binary = json!([{ "$base64": "AQL/" }, { "within": [{ "$base64": "Bw==" }] }]);
    publish_well(&service, json!({ "channel": "/news", "event": "binary", "arguments": binary })).await;
    let (first, second): (Bytes, Within) = outside.expect("binary").await?;
    assert_eq!((&first[..], &second.within[0][..]), (&[1, 2, 255][..], &[7][..]));
    Ok(())
}

#[tokio::test]
async fn published_messages_reach_instances_of_a_path_with_parameters() -> Result<(), ClientError> {
    let service = start(by_hand().config(configured()).mount::<News>("/news/{topic}")).await;
    let mut one = service.connect("/news/a%20b").await?;
    let mut same = service.connect("/news/a%20%62").await?;
    let mut other = service.connect("/news/c").await?;
    publish_well(&service, json!({ "channel": "/news/a%20b", "event": "one", "arguments": [1] })).await;
    same.request::<()>("join", "sports").await?;
    publish_well(&service, json!({ "channel": "/news/a%20b", "event": "room", "rooms": "sports" })).await;
    // Nobody is there, which is no mistake.
    publish_well(&service, json!({ "channel": "/news/nobody", "event": "one", "arguments": [3] })).await;
    for client in [&mut one, &mut same] {
        assert_eq!(client.expect::<u8>("one").await?, 1);
    }
    same.expect::<()>("room").await?;
    one.expect_none("room").await?;
    other.expect_none("one").await?;
    let all = json!({ "channel": "/news/{topic}", "event": "all", "arguments": [2] });
    publish_well(&service, all).await;
    for client in [&mut one, &mut same, &mut other] {
        assert_eq!(client.expect::<u8>("all").await?, 2);
    }
    let (status, answer) = publish(&service, json!({ "channel": "/news", "event": "one" })).await;
    assert_eq!((status, &answer["path"]), (StatusCode::BAD_REQUEST, &json!("channel")), "{answer}");
    Ok(())
}

#[tokio::test]
async fn published_messages_reach_sessions_and_users() -> Result<(), ClientError> {
    let service = news().await;
    let (ada, same_user) = (service.login_as(7).await?, service.login_as(7).await?);
    let (mut ada, mut same_user) = (ada.connect("/news").await?, same_user.connect("/news").await?);
    let session: String = ada.request("session", ()).await?;
    let to_both = json!({ "channel": "/news", "event": "e", "users": [7], "except": { "sessions": session } });
    publish_well(
        &service,
        json!([to_both, { "channel": "/news", "event": "e", "sessions": [session], "arguments": ["own"] }]),
    )
    .await;
    assert_eq!(ada.expect::<String>("e").await?, "own");
    same_user.expect::<()>("e").await?;
    same_user.expect_none("e").await?;
    // As tests of an application see it.
    assert_eq!(service.expect_broadcast::<()>("/news", "e").await?.to, ["user.7"]);
    Ok(())
}

#[tokio::test]
async fn a_message_with_a_key_is_sent_once() -> Result<(), ClientError> {
    let service = news().await;
    let mut client = service.connect("/news").await?;
    let message =
        |key: &str| json!({ "channel": "/news", "event": "once", "arguments": [key], "idempotency_key": key });
    let answer = publish_well(&service, json!([message("a"), message("b"), message("a")])).await;
    assert_eq!(answer, json!({ "emitted": 2, "repeated": 1, "missed": 0 }));
    let answer = publish_well(&service, json!([message("b"), message("c")])).await;
    assert_eq!(answer, json!({ "emitted": 1, "repeated": 1, "missed": 0 }));
    for key in ["a", "b", "c"] {
        assert_eq!(client.expect::<String>("once").await?, key);
    }
    client.expect_none("once").await
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place() -> Result<(), ClientError> {
    let service = news().await;
    let mut client = service.connect("/news").await?;
    let news = |key: &str, value: Value| {
        let mut message = json!({ "channel": "/news", "event": "e" });
        message[key] = value;
        message
    };
    for (body, path, told) in [
        (json!(5), "", "the body is a number: write an object such as"),
        (json!({ "event": "e" }), "channel", "is missing: write a channel's path"),
        (json!({ "channel": "/nwes", "event": "e" }), "channel", "mounted are: /news"),
        (json!({ "channel": "/news" }), "event", "is missing: write the event's name"),
        (json!({ "channel": "/news", "event": "disconnect" }), "event", "which Socket.IO reserves: to disconnect"),
        (news("chanel", json!("/news")), "chanel", "did you mean `channel`?"),
        (news("colour", json!("red")), "colour", "is unknown; there are channel, rooms, users"),
        (news("rooms", json!([1])), "rooms[0]", "is a number: write a room as a text"),
        (news("rooms", json!("user.7")), "rooms", "name its user in `users`"),
        (news("except", json!(["session.x"])), "except[0]", "its session in `sessions`"),
        (news("except", json!({ "user": 7 })), "except.user", "did you mean `users`?"),
        (news("except", json!({ "users": [1.5] })), "except.users[0]", "a user as a text or whole number"),
        (news("sessions", json!([7])), "sessions[0]", "a session's id as a text"),
        (news("arguments", json!("one")), "arguments", "is a text: write a list, also for a single one"),
        (news("arguments", json!([[{ "$base64": "?" }]])), "arguments[0][0].$base64", "is not base64"),
        (news("arguments", json!([{ "$base64": "AA==", "b": 1 }])), "arguments[0]", "alone"),
        (news("idempotency_key", json!("")), "idempotency_key", "has 0 bytes"),
        (news("idempotency_key", json!(1)), "idempotency_key", "is a number: write a text"),
    ] {
        let (status, answer) = publish(&service, body.clone()).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_payload")), "{body}: {answer}");
        assert_eq!(answer["path"], path, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(told), "{answer}");
        assert!(answer.get("index").is_none() && answer.get("errors").is_none(), "{answer}");
    }
    // Nothing of a list is sent if one of its messages has a mistake; all mistakes are told.
    let (_, answer) = publish(&service, json!([news("arguments", json!([])), news("rooms", json!(1)), 5])).await;
    assert_eq!((&answer["path"], &answer["index"]), (&json!("[1].rooms"), &json!(1)), "{answer}");
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[1]["path"], &errors[1]["index"]), (2, &json!("[2]"), &json!(2)), "{answer}");
    let many: Vec<Value> = (0..1001).map(|_| json!(0)).collect();
    let (_, answer) = publish(&service, many.into()).await;
    assert!(answer["message"].as_str().unwrap().contains("may be 1000"), "{answer}");
    let time = now();
    let (status, answer) = post(&service, time, &sign(SECRET, time, "{"), "{").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["message"].as_str().unwrap().starts_with("the body is not JSON"), "{answer}");
    client.expect_none("e").await
}

#[tokio::test]
async fn only_what_is_signed_and_recent_is_accepted() -> Result<(), ClientError> {
    let service = news().await;
    let mut client = service.connect("/news").await?;
    let body = json!({ "channel": "/news", "event": "e" }).to_string();
    let time = now();
    for (timestamp, signature, sent, told) in [
        (time, sign("a secret that the service does not know of", time, &body), &body, "is not that of this timestamp"),
        (time, sign(SECRET, time - 1, &body), &body, "is not that of this timestamp"),
        (time, sign(SECRET, time, &body), &body.replace('e', "f"), "is not that of this timestamp"),
        (time - 400, sign(SECRET, time - 400, &body), &body, "behind the server's clock"),
        (time + 400, sign(SECRET, time + 400, &body), &body, "ahead of the server's clock"),
        (time, "sha256=12".to_owned(), &body, "64 hexadecimal digits"),
    ] {
        let (status, answer) = post(&service, timestamp, &signature, sent).await;
        assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(told), "{answer}");
    }
    let unsigned = Request::post("/_carolina/emit").body(Body::from(body.clone())).unwrap();
    assert_eq!(service.http(unsigned).await.status(), StatusCode::UNAUTHORIZED);
    let read = service.http(Request::get("/_carolina/emit").body(Body::empty()).unwrap()).await;
    assert_eq!((read.status(), read.headers()["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    client.expect_none("e").await?;

    // Any of the secrets will do.
    for secret in &configured().publish.secret {
        let (status, _) = post(&service, time, &sign(secret, time, &body), &body).await;
        assert_eq!(status, StatusCode::OK);
        client.expect::<()>("e").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let service = news().await;
    let (status, answer) = publish(&service, json!("x".repeat(10_000))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("payload_too_large")));
    assert!(answer["message"].as_str().unwrap().contains("publish.max_body"), "{answer}");
}

#[tokio::test]
async fn without_a_secret_there_is_no_endpoint() {
    let service = start(by_hand().mount::<News>("/news")).await;
    let request = Request::post("/_carolina/emit").body(Body::from("{}")).unwrap();
    assert_eq!(service.http(request).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_service_that_shuts_down_publishes_nothing_more() {
    let service = news().await;
    tokio::time::timeout(Duration::from_secs(10), service.sockets().shutdown()).await.unwrap();
    let (status, answer) = publish(&service, json!({ "channel": "/news", "event": "e" })).await;
    assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("shutting_down")), "{answer}");
}
