//! R16 and R17: several nodes as processes of their own, over a real Redis and a real PostgreSQL.

use std::time::{Duration, Instant};

use carolina_sockets::Emitter;
use carolina_sockets_tests::{
    DEADLINE,
    nodes::{Node, SECRET, send},
    servers::{Postgres, Redis, Server},
    until,
    wire::RawSocket,
};
use serde_json::{Value, json};

fn redis() -> Server {
    Server::Redis(Redis::start())
}

fn postgres() -> Server {
    Server::Postgres(Postgres::start())
}

fn three(server: &Server) -> [Node; 3] {
    std::array::from_fn(|_| Node::start(&server.url()))
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
    tokio::time::timeout(DEADLINE, async {
        // The others are told, and do it when they are.
        loop {
            a.emit(json!({ "room": "everywhere", "event": "found" }));
            if tokio::time::timeout(Duration::from_millis(300), ada_b.expect("42/open,[\"found\"")).await.is_ok() {
                break;
            }
        }
    })
    .await
    .unwrap();

    // Acknowledgements of all nodes.
    let port = a.port();
    let asked =
        tokio::task::spawn_blocking(move || carolina_sockets_tests::nodes::http(port, "GET", "/ask", None, None));
    for (socket, answer) in [(&mut ada_a, 1), (&mut ada_b, 2), (&mut bob_c, 3)] {
        let question = socket.expect("42/open,").await;
        let question = if question.contains("question") {
            question
        } else {
            loop {
                let next = socket.expect("42/open,").await;
                if next.contains("question") {
                    break next;
                }
            }
        };
        let id: String = question.trim_start_matches("42/open,").chars().take_while(char::is_ascii_digit).collect();
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
    worker.channel("/open").to("news").emit("long-from-worker", &long).await.unwrap();
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

async fn a_log_out_reaches_all_nodes(server: Server) {
    let [a, b, _c] = three(&server);
    let ada = a.login("ada");
    let mut member = RawSocket::join_with(&b.url(), "/members", Some(&ada)).await;
    member.also_join("/open").await;
    let began = Instant::now();
    assert_eq!(a.http("POST", "/logout", Some(&ada), None).status, 200);
    member.expect("41/members").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // On the public channel it stays, as nobody.
    member.send("42/open,1[\"whoami\"]").await;
    assert_eq!(member.expect("43/open,1").await, "43/open,1[null]");
    let mut again = RawSocket::open_with(&b.url(), Some(&ada)).await;
    again.send("40/members,").await;
    assert!(again.expect("44/members").await.contains("unauthenticated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_log_out_reaches_all_nodes_over_redis() {
    a_log_out_reaches_all_nodes(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_log_out_reaches_all_nodes_over_postgres() {
    a_log_out_reaches_all_nodes(postgres()).await;
}

/// The backplane is away for a while: local clients lose nothing, others what was emitted meanwhile.
async fn an_outage_costs_the_messages_of_that_time(mut server: Server) {
    let a = Node::start_with(&server.url(), &[("CAROLINA_SESSION__STORE", "memory")]);
    let b = Node::start_with(&server.url(), &[("CAROLINA_SESSION__STORE", "memory")]);
    let mut local = RawSocket::join(&a.url(), "/open").await;
    let mut remote = RawSocket::join(&b.url(), "/open").await;
    let away = Duration::from_secs(10);
    let mut number = 0_u64;
    let mut emit = |node: &Node| {
        number += 1;
        node.emit(json!({ "event": "n", "data": number }));
        number
    };
    for _ in 0..20 {
        emit(&a);
    }
    remote.expect("42/open,[\"n\",20]").await;
    server.stop();
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < away {
        let one = Instant::now();
        emit(&a);
        slowest = slowest.max(one.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let during = number;
    server.start_again();
    // Until one gets through again.
    let resumed = Instant::now();
    let last = loop {
        assert!(resumed.elapsed() < DEADLINE, "it does not resume: {}", a.log());
        let sent = {
            number += 1;
            a.emit(json!({ "event": "n", "data": number }));
            number
        };
        if tokio::time::timeout(Duration::from_millis(200), remote.expect(&format!("42/open,[\"n\",{sent}]")))
            .await
            .is_ok()
        {
            break sent;
        }
    };
    let resumed = resumed.elapsed();
    for expected in 1..=last {
        assert_eq!(
            local.expect("42/open,[\"n\"").await,
            format!("42/open,[\"n\",{expected}]"),
            "local clients miss nothing"
        );
    }
    let told = || a.log().contains("the backplane is away") && a.log().contains("the backplane is back");
    carolina_sockets_tests::until("the log tells of the outage and its end", told).await;
    println!("outage: {} emits while away, slowest {slowest:?}, resumed within {resumed:?}", during - 20);
    assert!(slowest < Duration::from_secs(3), "an emit waited {slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_an_outage_of_redis_costs_the_messages_of_that_time() {
    an_outage_costs_the_messages_of_that_time(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_an_outage_of_postgres_costs_the_messages_of_that_time() {
    an_outage_costs_the_messages_of_that_time(postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_redis_that_hangs_is_away() {
    let redis = Redis::start();
    let [a, b] = std::array::from_fn(|_| Node::start_with(&redis.url(), &[("CAROLINA_SESSION__STORE", "memory")]));
    let mut local = RawSocket::join(&a.url(), "/open").await;
    let mut remote = RawSocket::join(&b.url(), "/open").await;
    redis.pause();
    until("the nodes notice", || [&a, &b].iter().all(|node| node.log().contains("the backplane is away"))).await;
    let began = Instant::now();
    a.emit(json!({ "event": "n", "data": 1 }));
    local.expect("42/open,[\"n\",1]").await;
    assert!(began.elapsed() < Duration::from_secs(1), "an emit waited {:?}", began.elapsed());
    redis.resume();
    until("the nodes are back", || [&a, &b].iter().all(|node| node.log().contains("the backplane is back"))).await;
    a.emit(json!({ "event": "n", "data": 2 }));
    assert_eq!(remote.expect("42/open,").await, "42/open,[\"n\",2]", "what was emitted meanwhile is not sent later");
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_redis_over_tls() {
    let redis = Redis::start_with_tls();
    let authority = Redis::authority();
    let [a, b] = std::array::from_fn(|_| {
        Node::start_with(&redis.url(), &[("SSL_CERT_FILE", authority.to_str().expect("a path in UTF-8"))])
    });
    let cookie = a.login("ada");
    let mut socket = RawSocket::join_with(&b.url(), "/open", Some(&cookie)).await;
    socket.send("42/open,1[\"whoami\"]").await;
    socket.expect("43/open,1[\"ada\"]").await;
    a.emit(json!({ "event": "n", "data": 1 }));
    socket.expect("42/open,[\"n\",1]").await;
    // By an authority that this process does not know.
    let error = Emitter::connect(&redis.url()).await.unwrap_err().to_string();
    assert!(error.contains("certificate") && error.lines().count() == 1, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_that_dies_costs_the_others_nothing() {
    let server = redis();
    let [a, mut b, c] = three(&server);
    let mut on_a = RawSocket::join(&a.url(), "/open").await;
    let mut on_c = RawSocket::join(&c.url(), "/open").await;
    let _on_b = RawSocket::join(&b.url(), "/open").await;
    for number in 0..200 {
        if number == 50 {
            b.kill();
        }
        if number == 150 {
            b.start_again();
        }
        a.emit(json!({ "event": "n", "data": number }));
    }
    for socket in [&mut on_a, &mut on_c] {
        for number in 0..200 {
            assert_eq!(socket.expect("42/open,[\"n\"").await, format!("42/open,[\"n\",{number}]"));
        }
    }
    // Who asks for acknowledgements is not kept waiting by the dead.
    b.kill();
    let began = Instant::now();
    let port = a.port();
    let asked =
        tokio::task::spawn_blocking(move || carolina_sockets_tests::nodes::http(port, "GET", "/ask", None, None));
    for socket in [&mut on_a, &mut on_c] {
        let question = socket.expect("42/open,").await;
        let id: String = question.trim_start_matches("42/open,").chars().take_while(char::is_ascii_digit).collect();
        socket.send(&format!("43/open,{id}[7]")).await;
    }
    let answers: Vec<Value> = serde_json::from_str(&asked.await.unwrap().body).unwrap();
    assert_eq!(answers, [7, 7]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_nodes_tell_who_comes_and_goes() {
    for server in [redis(), postgres()] {
        let [a, b] = std::array::from_fn(|_| Node::start(&server.url()));
        let mut c = Node::start(&server.url());
        let told = |what: &str| a.log().contains(what) && b.log().contains(what);
        until("all are counted", || told("nodes=3")).await;
        c.kill();
        until("the others notice", || told("a node has left: there were 3 nodes=2")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_garbage_on_redis_is_dropped() {
    let redis = Redis::start();
    let url = redis.url();
    let a = Node::start(&url);
    let mut socket = RawSocket::join(&a.url(), "/open").await;
    let port = url.rsplit(':').next().unwrap().to_owned();
    for round in 0..200 {
        for channel in ["carolina-control", "carolina-request#/open#"] {
            let sent = std::process::Command::new("redis-cli")
                .args(["-p", &port, "publish", channel, &format!("garbage {round}")])
                .output();
            assert!(sent.unwrap().status.success());
        }
    }
    a.emit(json!({ "event": "still", "data": 1 }));
    socket.expect("42/open,[\"still\",1]").await;
    let lines = a.log().lines().filter(|line| line.contains("comes from no node")).count();
    assert!((1..10).contains(&lines), "{lines} lines: {}", a.log());
    assert!(!a.log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_garbage_on_postgres_is_dropped() {
    let postgres = Postgres::start();
    let [a, b] = std::array::from_fn(|_| Node::start(&postgres.url()));
    let mut socket = RawSocket::join(&b.url(), "/open").await;
    for garbage in ["", "garbage", "carolina1:", "carolina1:x", "carolina1:t{", "carolina1:r1", "carolina1:ré"] {
        postgres.execute(&format!("SELECT pg_notify('carolina-control', '{garbage}') FROM generate_series(1, 100)"));
        postgres
            .execute(&format!("SELECT pg_notify('carolina-control', '{garbage}' || g) FROM generate_series(1, 100) g"));
    }
    a.emit(json!({ "event": "still", "data": 1 }));
    socket.expect("42/open,[\"still\",1]").await;
    let lines = b.log().lines().filter(|line| line.contains("comes from no node")).count();
    assert!((1..10).contains(&lines), "{lines} lines: {}", b.log());
    assert!(!b.log().contains("panicked"));
}

#[tokio::test]
async fn r16_what_cannot_be_reached_is_one_clear_line() {
    for (url, expected) in [
        ("redis://:secret@127.0.0.1:1/0", "`redis://:***@127.0.0.1:1/0`"),
        ("postgres://me:secret@127.0.0.1:1/db", "`postgres://me:***@127.0.0.1:1/db`"),
    ] {
        let error = tokio::time::timeout(DEADLINE, Emitter::connect(url)).await.unwrap().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let error = Emitter::connect("redis://127.0.0.1:1").await.unwrap_err();
    let causes = std::iter::successors(std::error::Error::source(&error), |&error| error.source());
    let last = causes.last().expect("a source").to_string();
    assert!(last.starts_with("Connection refused"), "{last}");
    let redis = Redis::start_with_password("right");
    let wrong = redis.url().replace("redis://", "redis://:wrong@");
    let error = tokio::time::timeout(DEADLINE, Emitter::connect(&wrong)).await.unwrap().unwrap_err().to_string();
    assert!(error.contains(":***@") && !error.contains("wrong@"), "{error}");
    for prefix in ["x".repeat(49), "a\"b".to_owned()] {
        let refused = Emitter::connect_with_prefix("postgres://127.0.0.1:1/db", &prefix).await.unwrap_err().to_string();
        assert!(refused.contains(&prefix) && refused.contains("at most 48"), "{refused}");
    }
    let cluster = Emitter::connect("redis-cluster://127.0.0.1:1").await.unwrap_err().to_string();
    assert!(cluster.contains("use a single Redis"), "{cluster}");
}

#[tokio::test]
async fn r11_a_session_that_moves_cuts_its_polling_clients_on_other_nodes() {
    let redis = Redis::start();
    let [a, b] = std::array::from_fn(|_| Node::start(&redis.url()));
    let cookie = a.login("ada");
    let engine = |method: &str, sid: &str, body: &str| {
        let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
        send(b.port(), method, &format!("/socket.io/?EIO=4&transport=polling{sid}"), Some(&cookie), body)
    };
    let opened = engine("GET", "", "").body;
    let opened: Value = serde_json::from_str(opened.trim_start_matches('0')).expect("a session");
    let sid = opened["sid"].as_str().expect("its id").to_owned();
    // Past the server's ping, which may come along.
    let next = |packet: &str| {
        let found = std::iter::repeat_with(|| engine("GET", &sid, "").body).find(|body| body != "2").unwrap();
        assert!(found.contains(packet), "{found}");
    };
    engine("POST", &sid, "40/open,");
    next("40/open,{");
    engine("POST", &sid, "42/open,1[\"whoami\"]");
    next("43/open,1[\"ada\"]");

    // A poll is under way when the session moves.
    let (port, path) = (b.port(), format!("/socket.io/?EIO=4&transport=polling&sid={sid}"));
    let (own, at) = (cookie.clone(), path.clone());
    let poll = tokio::task::spawn_blocking(move || send(port, "GET", &at, Some(&own), ""));
    assert_eq!(a.http("POST", "/login?user=bob", Some(&cookie), None).status, 200);
    let ended = tokio::time::timeout(DEADLINE, poll).await.expect("the poll ends").unwrap();
    assert!([200, 400].contains(&ended.status), "{ended:?}");
    // Its client comes back by itself, with the cookie that its browser has then. What was on its way may still come.
    let mut rest = std::iter::repeat_with(|| send(port, "GET", &path, Some(&cookie), "").status).take(5);
    assert!(rest.any(|status| status == 400), "the session has ended");
}
