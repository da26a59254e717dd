//! The test kit: users and cookies, patterns, emits without a client, and a clock that is paused.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{Router, body::Body, routing::post};
use bytes::Bytes;
use carolina_sockets::{
    Config, Data, EventError, Socket, User, channel,
    http::Session,
    on,
    testing::{ClientError, TestService, assert_broadcast, assert_emitted},
};
use carolina_sockets_tests::{Log, by_hand, start};
use futures_util::FutureExt;
use http::Request;
use serde::{Deserialize, Serialize};

#[channel]
#[derive(Default)]
struct Map;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Position {
    x: f64,
    y: f64,
    name: Option<String>,
}

#[channel]
impl Map {
    #[on("whoami")]
    fn whoami(&self, user: Option<User>) -> Option<String> {
        user.map(|user| user.to_string())
    }

    #[on("move")]
    async fn walk(&self, socket: Socket, Data(to): Data<Position>) -> Result<(), EventError> {
        socket.broadcast().emit("moved", &to).await?;
        socket.emit("moved", &to).await?;
        Ok(())
    }

    #[on("rare", rate = "1/h")]
    fn rare(&self) {}
}

async fn map() -> TestService {
    start(by_hand().mount::<Map>("/map")).await
}

fn position(x: f64) -> Position {
    Position { x, y: 2.0, name: Some("Ada".to_owned()) }
}

/// What an assertion panics with.
async fn panics<T>(assertion: impl Future<Output = T>) -> String {
    let Err(panic) = AssertUnwindSafe(assertion).catch_unwind().await else { panic!("it did not fail") };
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[tokio::test]
async fn a_client_may_be_logged_in() -> Result<(), ClientError> {
    let service = map().await;
    for (client, name) in [(service.login_as("ada").await?, "ada"), (service.login_as(7).await?, "7")] {
        let mut tab = client.clone().connect("/map").await?;
        let mut second = client.clone().connect("/map").await?;
        assert_eq!(tab.request::<Option<String>>("whoami", ()).await?.as_deref(), Some(name));
        assert_eq!(second.request::<Option<String>>("whoami", ()).await?.as_deref(), Some(name));
        // Its sockets follow.
        client.logout().await?;
        let mut tab = tab.reconnect().await?;
        assert_eq!(tab.request::<Option<String>>("whoami", ()).await?, None);
        client.login_as("grace").await?;
        let mut tab = tab.reconnect().await?;
        assert_eq!(tab.request::<Option<String>>("whoami", ()).await?.as_deref(), Some("grace"));
    }
    let other = service.connect("/map").await?.request::<Option<String>>("whoami", ()).await?;
    assert_eq!(other, None, "clients of another browser are not");
    let refused = service.login_as(vec!["ada"]).await.unwrap_err();
    assert!(refused.to_string().contains("a text or a whole number"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn cookies_are_kept_across_requests_and_reconnects() -> Result<(), ClientError> {
    let login = async |session: Session| session.insert("user_id", "ada").await.map_err(|error| error.to_string());
    let seen = async |session: Session| session.get::<String>("user_id").await.ok().flatten().unwrap_or_default();
    let logout = async |session: Session| session.flush().await.map_err(|error| error.to_string());
    let routes = Router::new().route("/login", post(login)).route("/seen", post(seen)).route("/logout", post(logout));
    let service = map().await.router(routes);
    let browser = service.client();
    let tab = browser.clone().connect("/map").await?;
    let text = async |path: &str| {
        let response = tab.browser().http(Request::post(path).body(Body::empty()).unwrap()).await;
        String::from_utf8(axum::body::to_bytes(response.into_body(), 1000).await.unwrap().into()).unwrap()
    };
    assert_eq!(text("/seen").await, "");
    text("/login").await;
    assert_eq!(text("/seen").await, "ada");
    assert!(browser.cookie_value("carolina.sid").is_some());
    let mut again = browser.clone().connect("/map").await?;
    assert_eq!(again.request::<Option<String>>("whoami", ()).await?.as_deref(), Some("ada"));
    text("/logout").await;
    assert_eq!((text("/seen").await, browser.cookie_value("carolina.sid")), (String::new(), None));
    let mut again = again.reconnect().await?;
    assert_eq!(again.request::<Option<String>>("whoami", ()).await?, None);
    Ok(())
}

#[tokio::test]
async fn events_are_compared_with_patterns() -> Result<(), ClientError> {
    let service = map().await;
    let mut client = service.connect("/map").await?;
    for x in [1.0, 2.0, 3.0] {
        client.emit("move", position(x)).await?;
    }
    service.sockets().channel("/map").unwrap().emit("title", "a map").await.unwrap();
    let moved = assert_emitted!(client, "moved", Position { x: 1.0, .. });
    assert_eq!(moved, position(1.0));
    assert_emitted!(client, "moved", Position { x, name: Some(name), .. } if *x > 1.5 && name == "Ada");
    let told = panics(async { assert_emitted!(client, "moved", Position { x: 9.0, .. }) }).await;
    assert!(told.contains("`moved` came with Position { x: 3.0") && told.contains("Position { x: 9.0, .. }"), "{told}");
    assert_emitted!(client, "title", "a map");
    client.deadline(Duration::from_millis(10));
    let told = panics(async { assert_emitted!(client, "title", "a map") }).await;
    assert!(told.starts_with("`title`: nothing came in time"), "{told}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn emits_are_seen_without_a_client() -> Result<(), ClientError> {
    let service = map().await;
    let channel = service.sockets().channel("/map").unwrap();
    channel.emit("title", "a map").await.unwrap();
    channel.to(["walkers", "runners"]).except("muted").emit("moved", position(1.0)).await.unwrap();
    channel.emit_to_user(7, "moved", position(2.0)).await.unwrap();
    channel.to([""; 0]).emit("moved", position(3.0)).await.unwrap();
    channel.emit("pair", (1, "two")).await.unwrap();

    let moved = assert_broadcast!(service, "/map", "moved", Position { x: 1.0, .. });
    assert_eq!((moved.to, moved.except), (vec!["walkers".to_owned(), "runners".to_owned()], vec!["muted".to_owned()]));
    let moved = service.expect_broadcast::<Position>("/map", "moved").await?;
    assert_eq!((moved.data, moved.to), (position(2.0), vec!["user.7".to_owned()]));
    service.assert_broadcast("/map", "pair", (1, "two")).await;
    assert_broadcast!(service, "/map", "title", "a map");

    let told = panics(service.assert_broadcast("/map", "moved", 1)).await;
    assert!(told.contains("an emit of `moved` on `/map`") && told.contains("testing.rs:"), "{told}");
    channel.emit("title", "another").await.unwrap();
    let told = panics(service.assert_broadcast("/map", "title", "a map")).await;
    assert!(told.contains(r#"was emitted ["title","another"], and expected ["title","a map"]"#), "{told}");

    // What comes later is waited for, and handlers' broadcasts count.
    let mut client = service.connect("/map").await?;
    let (seen, sent) = tokio::join!(service.expect_broadcast::<Position>("/map", "moved"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.emit("move", position(4.0)).await
    });
    sent?;
    assert_eq!(seen?.data, position(4.0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn rates_follow_a_clock_that_is_advanced() -> Result<(), ClientError> {
    let mut config = Config::default();
    config.limits.events_per_second = 2;
    let service = start(by_hand().config(config).mount::<Map>("/map")).await;
    let mut client = service.connect("/map").await?;
    client.request::<()>("rare", ()).await?;
    let refused = client.request::<()>("rare", ()).await.unwrap_err();
    assert_eq!(refused.code(), "rate_limited");
    service.advance(Duration::from_secs(59 * 60)).await;
    let refused = client.request::<()>("rare", ()).await.unwrap_err();
    let left = refused.details().unwrap()["retry_after_ms"].as_u64().unwrap();
    assert!((59_000..=60_001).contains(&left), "{left}");
    service.advance(Duration::from_millis(left)).await;
    client.request::<()>("rare", ()).await?;

    // The rate of the connection.
    service.advance(Duration::from_secs(1)).await;
    client.request::<Option<String>>("whoami", ()).await?;
    client.request::<Option<String>>("whoami", ()).await?;
    assert_eq!(client.request::<()>("whoami", ()).await.unwrap_err().code(), "rate_limited");
    service.advance(Duration::from_secs(1)).await;
    client.request::<Option<String>>("whoami", ()).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_day_passes_at_once() -> Result<(), ClientError> {
    let service = map().await;
    let mut client = service.connect("/map").await?;
    service.advance(Duration::from_secs(24 * 60 * 60)).await;
    // Its pings were answered.
    client.request::<Option<String>>("whoami", ()).await?;
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_not_paused_is_not_waited_for() {
    let service = map().await;
    let told = panics(service.advance(Duration::from_secs(3600))).await;
    assert!(told.contains("`#[tokio::test(start_paused = true)]`") && told.contains("tests/testing.rs:"), "{told}");
}

#[tokio::test]
async fn events_are_compared_with_data() -> Result<(), ClientError> {
    let service = map().await;
    let mut client = service.connect("/map").await?;
    let channel = service.sockets().channel("/map").unwrap();
    channel.emit("names", vec!["Ada", "Grace"]).await.unwrap();
    channel.emit("pair", (1, "two")).await.unwrap();
    channel.emit("bytes", Bytes::from_static(b"abc")).await.unwrap();
    channel.emit("names", vec!["Ada", "Grace"]).await.unwrap();
    channel.emit("title", "a map").await.unwrap();
    // Several arguments are a tuple.
    client.assert_emitted("names", vec!["Ada", "Grace"]).await;
    client.assert_emitted("pair", (1, "two")).await;
    client.assert_emitted("bytes", Bytes::from_static(b"abc")).await;
    let names: Vec<String> = client.expect("names").await?;
    assert_eq!(names, ["Ada", "Grace"]);
    let told = panics(client.assert_emitted("title", "another")).await;
    assert!(told.contains(r#"on `/map` came ["title","a map"], and expected ["title","another"]"#), "{told}");
    assert!(told.contains("tests/testing.rs:"), "{told}");
    client.deadline(Duration::from_millis(10));
    let told = panics(client.assert_emitted("title", "a map")).await;
    assert!(told.contains("`title` on `/map`: nothing came in time") && told.contains("tests/testing.rs:"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_path_without_a_channel_is_told_with_those_that_there_are() {
    let service = start(by_hand().mount::<Map>("/map").mount::<Map>("/atlas")).await;
    let error = service.connect("/mpa").await.unwrap_err();
    assert_eq!(error.code(), "Invalid namespace");
    let told = error.to_string();
    assert!(
        told.contains("no channel is mounted at `/mpa`; mounted are: /atlas, /map; did you mean `/map`?"),
        "{told}"
    );
}

#[tokio::test]
async fn data_that_does_not_read_as_asked_is_told() -> Result<(), ClientError> {
    let service = map().await;
    let mut client = service.connect("/map").await?;
    let channel = service.sockets().channel("/map").unwrap();
    channel.emit("moved", position(1.0)).await.unwrap();
    let told = client.expect::<Vec<u8>>("moved").await.unwrap_err().to_string();
    assert!(told.contains(r#"`moved`, which came as ["moved",{"x":1.0,"#) && told.contains("a sequence"), "{told}");
    channel.emit("title", vec!["é"; 5000]).await.unwrap();
    let told = client.expect::<Position>("title").await.unwrap_err().to_string();
    assert!(told.contains('…') && told.chars().count() < 500, "{told}");
    let told = service.expect_broadcast::<Vec<u8>>("/map", "moved").await.unwrap_err().to_string();
    assert!(told.contains("`moved`, which came as"), "{told}");
    let told = client.request::<u8>("whoami", ()).await.unwrap_err().to_string();
    assert!(told.contains("the answer to event 0, [null]"), "{told}");
    let refused = client.request::<()>("move", "north").await.unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("invalid payload at the first argument: invalid type: string"), "{told}");
    assert_eq!(refused.details().unwrap()["path"], ".", "{told}");
    Ok(())
}

#[tokio::test]
async fn a_test_is_not_warned_of_what_concerns_servers() {
    let log = Log::default();
    let writer = log.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish(),
    );
    let service = map().await;
    assert!(!log.text().contains("session.secret is not set"), "{}", log.text());
    drop(service);
    by_hand().mount::<Map>("/map").build().await.unwrap();
    assert!(log.text().contains("session.secret is not set"), "{}", log.text());
}
