//! Clients that do not ask to resume get, byte for byte, what they get where nothing can be resumed.

use std::time::Duration;

use carolina_sockets_tests::{engine_io::Connection, nodes::Node, wire::RawSocket};
use serde_json::json;

/// Without what is random in it.
fn masked(text: &str) -> String {
    match text.split_once("\"sid\":\"") {
        Some((before, after)) => {
            format!("{before}\"sid\":\"…\"{}", after.split_once('"').map_or("", |(_, after)| after))
        }
        None => text.to_owned(),
    }
}

/// What reaches a client of each transport, while another client asks to resume.
async fn received(channels: &str) -> (Vec<String>, Vec<String>) {
    let node = Node::alone_with(&[("CAROLINA_RESUME__CHANNELS", channels)]);
    let url = node.url();
    let mut asks = RawSocket::open(&url).await;
    asks.also_join_with("/open", "{\"resume\":true}").await;
    let mut socket = RawSocket::open(&url).await;
    let mut frames = vec![socket.read().await.expect("a handshake")];
    socket.send("40/open,{\"resume\":false,\"token\":\"text\"}").await;
    frames.push(socket.read().await.expect("an answer"));
    socket.send("42/open,7[\"join\",\"room\"]").await;
    frames.push(socket.read().await.expect("an acknowledgement"));
    // By polling, without a payload.
    let mut polling = Connection::open(&url).await;
    let (status, opened) = request(&mut polling, "GET", "EIO=4&transport=polling", "").await;
    assert_eq!(status, 200);
    let sid = opened.split_once("\"sid\":\"").and_then(|(_, after)| after.split_once('"')).expect("a session").0;
    let query = format!("EIO=4&transport=polling&sid={sid}");
    let mut bodies = vec![opened.clone()];
    request(&mut polling, "POST", &query, "40/open,").await;
    bodies.push(request(&mut polling, "GET", &query, "").await.1);
    for (data, room) in [(json!(1), ""), (json!("text"), "room"), (json!({ "a": ["0123456789abcdef:1"] }), "")] {
        tokio::task::block_in_place(|| node.emit(json!({ "event": "news", "data": data, "room": room })));
        frames.push(socket.read().await.expect("an event"));
        if room.is_empty() {
            bodies.push(request(&mut polling, "GET", &query, "").await.1);
        }
    }
    // It has been sent offsets, so that the two are told apart.
    if channels == "all" {
        let event = asks.expect("42/open,[\"news\",1,").await;
        assert!(event.contains(":"), "{event}");
    }
    socket.send("41/open,").await;
    // Nothing else was on its way.
    let rest = tokio::time::timeout(Duration::from_millis(300), socket.read()).await;
    assert!(rest.is_err(), "{rest:?}");
    (frames, bodies)
}

async fn request(connection: &mut Connection, method: &str, query: &str, body: &str) -> (u16, String) {
    connection.send(method, query, body).await;
    connection.receive().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_clients_that_do_not_ask_get_the_same_bytes() {
    let (with, without) = (received("all").await, received("none").await);
    let masked = |all: &[String]| all.iter().map(|text| masked(text)).collect::<Vec<_>>();
    assert_eq!(masked(&with.0), masked(&without.0));
    assert_eq!(masked(&with.1), masked(&without.1));
    assert!(with.0.iter().chain(&with.1).all(|text| !text.contains("pid") && !text.contains("carolina:")), "{with:?}");
    assert_eq!(with.0[1].find("{\"sid\":\""), Some("40/open,".len()), "{with:?}");
    assert!(with.0.contains(&"42/open,[\"news\",\"text\"]".to_owned()), "{with:?}");
}
