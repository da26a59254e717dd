//! R17: a backplane that goes away and comes back.

use std::time::{Duration, Instant};

use carolina_sockets_tests::{
    DEADLINE,
    nodes::Node,
    numbers::Numbers,
    relay::Relay,
    servers::{Redis, Server},
    until,
    wire::RawSocket,
};
use serde_json::json;

use crate::{postgres, redis};

/// The backplane is away for a while: local clients lose nothing, others what was emitted meanwhile.
async fn an_outage_costs_the_messages_of_that_time(mut server: Server) {
    let own_sessions = [("CAROLINA_SESSION__STORE", "memory")];
    let a = Node::start_with(&server.url(), &own_sessions);
    let b = Node::start_with(&server.url(), &own_sessions);
    let mut local = RawSocket::join(&a.url(), "/open").await;
    let mut remote = RawSocket::join(&b.url(), "/open").await;
    let numbers = Numbers::of(&a);
    numbers.more(20).await;
    remote.expect("42/open,[\"n\",19]").await;
    tokio::task::block_in_place(|| server.stop());
    let away = numbers.count();
    until("the log tells of the outage", || a.log().contains("the backplane is away")).await;
    numbers.more(100).await;
    tokio::task::block_in_place(|| server.start_again());
    let (back, resumed) = (numbers.count(), Instant::now());
    until("the log tells of its end", || a.log().contains("the backplane is back")).await;
    // Until one gets through again.
    let after = async {
        loop {
            let event = remote.expect("42/open,[\"n\",").await;
            let number: u64 = event["42/open,[\"n\",".len()..].trim_end_matches(']').parse().unwrap();
            if number >= back {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, after).await.unwrap_or_else(|_| panic!("it does not resume: {}", a.log()));
    let resumed = resumed.elapsed();
    let (last, slowest) = numbers.stop();
    for expected in 0..=last {
        let event = local.expect("42/open,[\"n\"").await;
        assert_eq!(event, format!("42/open,[\"n\",{expected}]"), "local clients miss nothing");
    }
    println!("outage: {} emits while away, slowest {slowest:?}, resumed within {resumed:?}", back - away);
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
async fn r17_a_node_that_is_cut_off_serves_its_own_and_comes_back() {
    let redis = Redis::start();
    let relay = Relay::start(redis.port()).await;
    let cut =
        Node::start_with(&format!("redis://127.0.0.1:{}", relay.port()), &[("CAROLINA_SESSION__STORE", "memory")]);
    let well = Node::start(&redis.url());
    let mut on_cut = RawSocket::join(&cut.url(), "/open").await;
    let mut on_well = RawSocket::join(&well.url(), "/open").await;
    cut.emit(json!({ "event": "n", "data": 0 }));
    on_well.expect("42/open,[\"n\",0]").await;
    on_cut.expect("42/open,[\"n\",0]").await;
    relay.close();
    until("the node notices", || cut.log().contains("the backplane is away")).await;
    for number in 1..=50 {
        cut.emit(json!({ "event": "n", "data": number }));
        well.emit(json!({ "event": "w", "data": number }));
    }
    for number in 1..=50 {
        assert_eq!(on_cut.expect("42/open,").await, format!("42/open,[\"n\",{number}]"), "its own, and nothing else");
        assert_eq!(on_well.expect("42/open,").await, format!("42/open,[\"w\",{number}]"), "the others are undisturbed");
    }
    let opened = Instant::now();
    relay.open();
    until("the node is back", || cut.log().contains("the backplane is back")).await;
    let numbers = Numbers::of(&well);
    // What others emit reaches it again, once it listens to them again.
    on_cut.expect("42/open,[\"n\"").await;
    println!(
        "node cut off: its client heard 50 of 50 emits of its own node and 0 of 50 of the other, whose client heard 50 of 50 of its own and 0 of 50 of the cut one; both ways again {:.1?} after the way was open",
        opened.elapsed()
    );
    numbers.stop();
    cut.emit(json!({ "event": "last", "data": 51 }));
    on_well.expect("42/open,[\"last\",51]").await;
    assert!(!well.log().contains("away"));
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
