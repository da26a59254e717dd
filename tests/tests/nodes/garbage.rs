//! R17: what others write into the channels of a backplane.

use carolina_sockets_tests::{
    nodes::Node,
    servers::{Postgres, Redis},
    wire::RawSocket,
};
use serde_json::json;

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
