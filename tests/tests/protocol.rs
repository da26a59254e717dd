//! The points of the protocols, Engine.IO 4 and Socket.IO 5, one test each, with the settings of their public test suites.

use std::time::Duration;

use carolina_sockets::{Args, Config, EventError, Handshake, Socket, channel, on, testing::TestService};
use carolina_sockets_tests::{
    by_hand,
    engine_io::{Connection, Polling, Websocket, request},
    start,
};
use serde_json::{Value, json};

/// An event's argument, of any kind.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Argument {
    Value(Value),
    Binary(bytes::Bytes),
}

#[channel]
#[derive(Default)]
struct Suite;

#[channel]
impl Suite {
    #[on(connect)]
    async fn connect(&self, socket: Socket, handshake: Handshake) -> Result<(), EventError> {
        Ok(socket.emit("auth", handshake.auth::<Value>()?).await?)
    }

    #[on("message")]
    async fn message(&self, socket: Socket, arguments: Args<Vec<Argument>>) -> Result<(), EventError> {
        Ok(socket.emit("message-back", arguments).await?)
    }

    #[on("message-with-ack")]
    fn message_with_ack(&self, arguments: Args<Vec<Argument>>) -> Args<Vec<Argument>> {
        arguments
    }
}

const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(200);

const POLLING: &str = "EIO=4&transport=polling";
const WEBSOCKET: &str = "EIO=4&transport=websocket";

async fn service() -> TestService {
    let mut config = Config::default();
    config.transport.ping_interval = PING_INTERVAL;
    config.transport.ping_timeout = PING_TIMEOUT;
    config.limits.max_payload = 1_000_000;
    config.limits.connect_timeout = Duration::from_secs(1);
    let builder = by_hand().config(config).mount::<Suite>("/").mount::<Suite>("/custom");
    start(builder).await.listen().await.unwrap()
}

/// A client on the main namespace.
async fn joined(url: &str) -> Websocket {
    let mut socket = Websocket::open_session(url).await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    assert_eq!(socket.text().await, "42[\"auth\",{}]");
    socket
}

/// The same by polling.
async fn joined_by_polling(url: &str) -> Polling {
    let mut client = Polling::open(url).await;
    client.post("40").await;
    client.expect("42[\"auth\"").await;
    client
}

fn is_open_packet(packet: &str, upgrades: &Value) {
    let open: Value = serde_json::from_str(packet.strip_prefix('0').unwrap()).unwrap();
    assert!(open["sid"].is_string());
    let rest = json!({
        "sid": open["sid"], "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000,
    });
    assert_eq!(open, rest);
}

// Handshake.

#[tokio::test]
async fn polling_opens_a_session() {
    let service = service().await;
    let (status, body) = request(&service.url(), "GET", POLLING, "").await;
    assert_eq!(status, 200);
    is_open_packet(&body, &json!(["websocket"]));
}

#[tokio::test]
async fn polling_with_another_version_is_refused() {
    let service = service().await;
    for query in ["transport=polling", "EIO=abc&transport=polling"] {
        assert_eq!(request(&service.url(), "GET", query, "").await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn polling_with_an_unknown_transport_is_refused() {
    let service = service().await;
    for query in ["EIO=4", "EIO=4&transport=abc"] {
        assert_eq!(request(&service.url(), "GET", query, "").await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn polling_with_another_method_is_refused() {
    let service = service().await;
    for method in ["POST", "PUT"] {
        assert_eq!(request(&service.url(), method, POLLING, "").await.0, 400, "{method}");
    }
}

#[tokio::test]
async fn a_websocket_opens_a_session() {
    let service = service().await;
    let mut socket = Websocket::open(&service.url(), WEBSOCKET).await.unwrap();
    is_open_packet(&socket.text().await, &json!([]));
}

#[tokio::test]
async fn a_websocket_with_another_version_is_refused() {
    let service = service().await;
    for query in ["transport=websocket", "EIO=abc&transport=websocket"] {
        assert_eq!(Websocket::open(&service.url(), query).await.err(), Some(400), "{query}");
    }
}

#[tokio::test]
async fn a_websocket_with_an_unknown_transport_is_refused() {
    let service = service().await;
    for query in ["EIO=4", "EIO=4&transport=abc"] {
        assert_eq!(Websocket::open(&service.url(), query).await.err(), Some(400), "{query}");
    }
}

// Heartbeat.

#[tokio::test]
async fn polling_clients_are_pinged_by_the_interval() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    for _ in 0..3 {
        assert_eq!(client.fetch().await, (200, "2".to_owned()));
        assert_eq!(client.post("3").await, (200, "ok".to_owned()));
    }
}

#[tokio::test]
async fn a_polling_session_without_pongs_ends_on_time() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    tokio::time::sleep(PING_INTERVAL + PING_TIMEOUT).await;
    assert_eq!(client.fetch().await.0, 400);
}

#[tokio::test]
async fn websockets_are_pinged_by_the_interval() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
    assert!(begun.elapsed() > 3 * PING_INTERVAL - Duration::from_millis(100), "not at once: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_websocket_without_pongs_is_closed() {
    let service = service().await;
    Websocket::open_session(&service.url()).await.expect_end().await;
}

// Closing.

#[tokio::test]
async fn a_polling_client_that_closes_has_its_poll_answered() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    assert_eq!(client.post_while_polling("1").await, (200, "6".to_owned()));
    assert_eq!(client.fetch().await.0, 400);
}

#[tokio::test]
async fn a_poll_that_the_closing_body_overtakes_is_answered() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    let mut closing = Connection::open(&service.url()).await;
    closing.send("POST", &client.query(), "1").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(client.fetch().await, (200, "6".to_owned()));
    assert_eq!(closing.receive().await, (200, "ok".to_owned()));
    assert_eq!(client.fetch().await.0, 400);
}

#[tokio::test]
async fn a_websocket_client_that_closes_is_closed() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("1").await;
    socket.expect_end().await;
}

// Upgrade.

#[tokio::test]
async fn a_polling_session_upgrades() {
    let service = service().await;
    let mut client = joined_by_polling(&service.url()).await;
    let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(client.fetch().await, (200, "6".to_owned()), "so that the client can stop polling");
    socket.send("5").await;
    socket.send("42[\"message\",1]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn a_poll_after_the_upgrade_is_refused() {
    let service = service().await;
    let mut client = joined_by_polling(&service.url()).await;
    let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
    // It does not wait for the answer, and polls at the same time.
    socket.send("2probe").await;
    socket.send("5").await;
    assert_eq!(client.fetch().await.0, 400);
    assert_eq!(client.post("42[\"message\",1]").await.0, 400);
    assert_eq!(socket.text().await, "3probe");
    socket.send("42[\"message\",2]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",2]");
}

#[tokio::test]
async fn a_second_websocket_after_the_upgrade_is_closed() {
    let service = service().await;
    let client = joined_by_polling(&service.url()).await;
    let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
    socket.send("2probe").await;
    socket.send("5").await;
    for _ in 0..2 {
        Websocket::open(&service.url(), &client.upgrade()).await.unwrap().expect_end().await;
    }
    assert_eq!(socket.text().await, "3probe");
    socket.send("42[\"message\",2]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",2]");
}

// Messages by polling.

#[tokio::test]
async fn a_body_has_one_packet_or_several() {
    let service = service().await;
    let mut client = joined_by_polling(&service.url()).await;
    for body in ["42[\"message\",1]", "42[\"message\",1]\x1e42[\"message\",2]\x1e42[\"message\",3]"] {
        assert_eq!(client.post(body).await, (200, "ok".to_owned()));
        let expected = body.replace("message", "message-back");
        assert_eq!(client.expect("42").await, expected.split('\x1e').next().unwrap());
    }
}

#[tokio::test]
async fn a_body_has_binary_packets_in_base64() {
    let service = service().await;
    let mut client = joined_by_polling(&service.url()).await;
    client.post("451-[\"message\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==").await;
    let (status, body) = client.fetch().await;
    assert_eq!(status, 200);
    assert_eq!(body, "451-[\"message-back\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==");
}

#[tokio::test]
async fn a_body_that_is_no_packet_ends_the_session() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    assert_eq!(client.post("abc").await.0, 400);
    assert_eq!(client.fetch().await.0, 400);
}

#[tokio::test]
async fn two_polls_at_a_time_end_the_session() {
    let service = service().await;
    let mut client = Polling::open(&service.url()).await;
    let mut second = Connection::open(&service.url()).await;
    let query = client.query();
    let (first, second) = tokio::join!(client.fetch(), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        second.request("GET", &query, "").await
    });
    assert_eq!(first, (200, "1".to_owned()));
    assert_eq!(second.0, 400);
    assert_eq!(client.fetch().await.0, 400);
}

// Joining.

#[tokio::test]
async fn a_client_joins_the_main_namespace() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40").await;
    let connect: Value = serde_json::from_str(&socket.text().await[2..]).unwrap();
    assert_eq!(connect, json!({ "sid": connect["sid"].as_str().unwrap() }));
    assert_eq!(socket.text().await, "42[\"auth\",{}]");
}

#[tokio::test]
async fn a_client_joins_the_main_namespace_with_a_payload() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40{\"token\":\"123\"}").await;
    assert!(socket.text().await.starts_with("40{\"sid\":"));
    assert_eq!(socket.text().await, "42[\"auth\",{\"token\":\"123\"}]");
}

#[tokio::test]
async fn a_client_joins_a_custom_namespace() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40/custom,").await;
    assert!(socket.text().await.starts_with("40/custom,{\"sid\":"));
    assert_eq!(socket.text().await, "42/custom,[\"auth\",{}]");
}

#[tokio::test]
async fn a_client_joins_a_custom_namespace_with_a_payload() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40/custom,{\"token\":\"abc\"}").await;
    assert!(socket.text().await.starts_with("40/custom,{\"sid\":"));
    assert_eq!(socket.text().await, "42/custom,[\"auth\",{\"token\":\"abc\"}]");
}

#[tokio::test]
async fn a_namespace_that_is_unknown_is_refused() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40/random").await;
    assert_eq!(socket.text().await, "44/random,{\"message\":\"Invalid namespace\"}");
}

#[tokio::test]
async fn an_invalid_first_packet_closes_the_connection() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("4abc").await;
    socket.expect_end().await;
}

#[tokio::test]
async fn a_client_that_never_joins_is_closed() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    while let Some(ping) = socket.next().await {
        // Its pongs keep it open no longer than `limits.connect_timeout`.
        match ping.to_text().unwrap() {
            "2" => socket.send("3").await,
            closing => assert_eq!(closing, "1"),
        }
    }
}

#[tokio::test]
async fn the_answer_to_connect_comes_alone() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    // A client that takes one message at a time is not late for the event that the server sends at once.
    socket.expect_nothing(Duration::from_millis(1)).await;
    assert_eq!(socket.text().await, "42[\"auth\",{}]");
}

// Leaving.

#[tokio::test]
async fn a_client_that_leaves_the_main_namespace_stays_connected() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send("41").await;
    assert_eq!(socket.text().await, "2");
}

#[tokio::test]
async fn a_client_that_leaves_a_custom_namespace_stays_on_the_others() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send("40/custom").await;
    assert!(socket.text().await.starts_with("40/custom,"));
    assert_eq!(socket.text().await, "42/custom,[\"auth\",{}]");
    socket.send("41/custom").await;
    socket.send("42[\"message\",\"message to main namespace\"]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",\"message to main namespace\"]");
}

// Events.

#[tokio::test]
async fn an_event_has_arguments() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send("42[\"message\",1,\"2\",{\"3\":[true]}]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",1,\"2\",{\"3\":[true]}]");
}

const TWO: &str = "{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}";

#[tokio::test]
async fn an_event_has_binary_arguments() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send(&format!("452-[\"message\",{TWO}]")).await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(socket.text().await, format!("452-[\"message-back\",{TWO}]"));
    assert_eq!(socket.binary().await, [1, 2, 3]);
    assert_eq!(socket.binary().await, [4, 5, 6]);
}

#[tokio::test]
async fn an_event_is_acknowledged() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]").await;
    assert_eq!(socket.text().await, "43456[1,\"2\",{\"3\":[false]}]");
}

#[tokio::test]
async fn an_event_is_acknowledged_with_binary_arguments() {
    let service = service().await;
    let mut socket = joined(&service.url()).await;
    socket.send(&format!("452-789[\"message-with-ack\",{TWO}]")).await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(socket.text().await, format!("462-789[{TWO}]"));
    assert_eq!(socket.binary().await, [1, 2, 3]);
    assert_eq!(socket.binary().await, [4, 5, 6]);
}

#[tokio::test]
async fn invalid_packets_close_the_connection() {
    let service = service().await;
    // An unknown type, a payload that is no array, and an acknowledgement id that is no number.
    for packet in ["4abc", "42{}", "42abc[\"message-with-ack\",1]"] {
        let mut socket = joined(&service.url()).await;
        socket.send(packet).await;
        socket.expect_end().await;
    }
}

/// The client learns that the session has been closed, in place of that it is unknown.
#[tokio::test]
async fn r9_what_waits_when_the_server_closes_a_session_is_fetched() {
    let service = service().await;
    let mut client = joined_by_polling(&service.url()).await;
    service.sockets().channel("/").unwrap().emit("last", 1).await.unwrap();
    service.sockets().shutdown().await;
    let (status, body) = client.fetch().await;
    let packets: Vec<&str> = body.split('\u{1e}').collect();
    let [last, closed] = packets[..] else { panic!("{status}: {body}") };
    assert_eq!((status, last), (200, "42[\"last\",1]"));
    assert!(closed.starts_with("42[\"carolina:closed\",{\"code\":\"shutting_down\""), "{closed}");
    assert_eq!(client.fetch().await, (200, "1".to_owned()), "alone");
    assert_eq!(client.fetch().await.0, 400, "and no more than once");
}
