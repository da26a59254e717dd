//! R16: what one node emits reaches the clients of all.

use carolina_sockets::Emitter;
use carolina_sockets_tests::{
    DEADLINE, Log,
    nodes::{SECRET, http},
    servers::{Redis, Server},
    wire::RawSocket,
};
use serde_json::{Value, json};

use crate::{postgres, redis, three};

/// Waits for the question that `/ask` has asked, and returns the id that its answer goes to.
pub(crate) async fn asked_with(socket: &mut RawSocket) -> String {
    loop {
        let event = socket.expect("42/open,").await;
        if event.contains("question") {
            return event.trim_start_matches("42/open,").chars().take_while(char::is_ascii_digit).collect();
        }
    }
}

async fn every_emit_reaches_all_nodes(server: Server) {
    let nodes = three(&server);
    let [a, b, c] = &nodes;
    let (ada, bob) = (a.login("ada"), b.login("bob"));
    // Ada has tabs on two nodes, Bob one on the third; a cookie is good on every node.
    let mut ada_a = RawSocket::join_with(&a.url(), "/open", Some(&ada)).await;
    let mut ada_b = RawSocket::join_with(&b.url(), "/open", Some(&ada)).await;
    let mut bob_c = RawSocket::join_with(&c.url(), "/open", Some(&bob)).await;
    ada_b.send("42/open,1[\"whoami\"]").await;
    assert_eq!(ada_b.expect("43/open,1").await, "43/open,1[\"ada\"]");

    c.emit(json!({ "user": "ada", "event": "for-ada", "data": { "a": "é\u{1f600}" } }));
    for socket in [&mut ada_a, &mut ada_b] {
        assert_eq!(socket.expect("42/open,[\"for-").await, "42/open,[\"for-ada\",{\"a\":\"é\u{1f600}\"}]");
    }
    a.emit(json!({ "event": "for-all", "data": 1 }));
    for socket in [&mut ada_a, &mut ada_b] {
        socket.expect("42/open,[\"for-all\",1]").await;
    }
    // Bob's first is the one for all.
    assert_eq!(bob_c.expect("42/open,[\"for-").await, "42/open,[\"for-all\",1]");

    // More than a notification can hold.
    let long = "x".repeat(60_000);
    b.emit(json!({ "user": "bob", "event": "long", "data": long }));
    assert_eq!(bob_c.expect("42/open,[\"long").await.len(), 60_000 + "42/open,[\"long\",\"\"]".len());

    // Rooms, of sockets elsewhere.
    bob_c.send("42/open,2[\"join\",\"news\"]").await;
    bob_c.expect("43/open,2").await;
    a.emit(json!({ "room": "news", "event": "in-room" }));
    bob_c.expect("42/open,[\"in-room\"").await;
    assert_eq!(c.http("POST", "/join", None, Some(json!({ "room": "everywhere" }))).status, 200);
    // The others are told, and do it when they are.
    let joined = async {
        loop {
            ada_b.send("42/open,4[\"join\",\"here\"]").await;
            if ada_b.expect("43/open,4").await.contains("everywhere") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, joined).await.expect("sockets elsewhere join");
    a.emit(json!({ "room": "everywhere", "event": "found" }));
    ada_b.expect("42/open,[\"found\"").await;

    // Acknowledgements of all nodes.
    let port = a.port();
    let asked = tokio::task::spawn_blocking(move || http(port, "GET", "/ask", None, None));
    for (socket, answer) in [(&mut ada_a, 1), (&mut ada_b, 2), (&mut bob_c, 3)] {
        let id = asked_with(socket).await;
        socket.send(&format!("43/open,{id}[{answer}]")).await;
    }
    let asked = asked.await.unwrap();
    let mut answers: Vec<u64> = serde_json::from_str::<Vec<Value>>(&asked.body)
        .unwrap_or_else(|_| panic!("{asked:?}"))
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    answers.sort_unstable();
    assert_eq!(answers, [1, 2, 3], "{asked:?}");

    // Each user is online once, however many tabs and nodes.
    for node in &nodes {
        let online: Value = serde_json::from_str(&node.http("GET", "/online?user=ada", None, None).body).unwrap();
        assert_eq!(online, json!({ "users": ["ada", "bob"], "is": true }));
    }
    let online: Value = serde_json::from_str(&a.http("GET", "/online?user=eve", None, None).body).unwrap();
    assert_eq!(online["is"], false);

    // A process that serves no sockets.
    let worker = Emitter::connect_with_secret(&server.url(), "carolina", SECRET).await.unwrap();
    worker.channel("/open").emit_to_user("ada", "from-worker", (1, "two")).await.unwrap();
    for socket in [&mut ada_a, &mut ada_b] {
        assert_eq!(socket.expect("42/open,[\"from-worker").await, "42/open,[\"from-worker\",1,\"two\"]");
    }
    let open = worker.channel("/open");
    open.to("nobody").emit("to-nobody", 1).await.unwrap();
    open.to("news").except("nobody").emit("long-from-worker", &long).await.unwrap();
    bob_c.expect("42/open,[\"long-from-worker").await;

    // A user is disconnected from anywhere.
    assert_eq!(c.http("POST", "/disconnect", None, Some(json!({ "user": "ada" }))).status, 200);
    for socket in [&mut ada_a, &mut ada_b] {
        socket.expect("41/open").await;
    }
    bob_c.send("42/open,3[\"whoami\"]").await;
    bob_c.expect("43/open,3[\"bob\"]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_every_emit_reaches_all_nodes_over_redis() {
    every_emit_reaches_all_nodes(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_every_emit_reaches_all_nodes_over_postgres() {
    every_emit_reaches_all_nodes(postgres()).await;
}

#[tokio::test]
async fn a_worker_without_a_secret_is_warned() {
    let redis = Redis::start();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    Emitter::connect_with_secret(&redis.url(), "carolina", SECRET).await.unwrap();
    assert!(!log.text().contains("session.secret"), "{}", log.text());
    Emitter::connect(&redis.url()).await.unwrap();
    assert!(log.text().contains("the configuration of this process has no session.secret"), "{}", log.text());
}
