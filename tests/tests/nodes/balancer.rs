//! R16 and R17: nodes behind HAProxy, official clients over both transports, and what each fault costs.

use std::{collections::BTreeSet, time::Instant};

use carolina_sockets_tests::{
    balancers::Balancer,
    crowd::{Crowd, Member},
    nodes::Node,
    numbers::Numbers,
    servers::Redis,
};
use serde_json::json;

fn in_order(heard: &[u64]) -> bool {
    heard.windows(2).all(|pair| pair[0] < pair[1])
}

fn complete(heard: &[u64], last: u64) -> bool {
    heard.len() as u64 == last + 1 && in_order(heard)
}

/// What a fault has cost those who were on a node that went away; the others must have been spared.
struct Cost {
    moved: u64,
    missed: u64,
    /// Milliseconds.
    longest: u64,
}

fn cost(before: &[Member], after: &[Member], gone: u32, last: u64) -> Cost {
    let mut cost = Cost { moved: 0, missed: 0, longest: 0 };
    for (before, after) in before.iter().zip(after) {
        assert!(in_order(&after.heard));
        match before.node == Some(gone) {
            true => {
                assert!(after.away > 0);
                cost.moved += 1;
                cost.missed += last + 1 - after.heard.len() as u64;
                cost.longest = cost.longest.max(after.longest);
            }
            false => {
                assert_eq!(after.away, 0, "clients of nodes that stay, stay");
                assert!(complete(&after.heard, last), "and miss nothing");
            }
        }
    }
    assert!(0 < cost.moved && cost.moved < before.len() as u64, "the balancer spreads clients");
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_user_s_events_reach_all_their_tabs_behind_a_balancer() {
    let redis = Redis::start();
    let nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    let users = ["ada", "bob", "eve"];
    // Each has logged in on a node of their own.
    let session = |(node, user): (&Node, &&str)| node.login(user).split_once('=').expect("a cookie").1.to_owned();
    let sessions: Vec<String> = nodes.iter().zip(&users).map(session).collect();
    let mut crowd = Crowd::gather_with(&balancer.url(), 24, &sessions);
    crowd.ask("settled").await;
    let group = |number: usize| number / 2 % 4;
    let before = crowd.until("they upgrade", |_, member| member.transport == "websocket").await;
    for of in 0..4 {
        let on = before.iter().enumerate().filter(|(number, _)| group(*number) == of).filter_map(|(_, tab)| tab.node);
        assert!(on.collect::<BTreeSet<_>>().len() > 1, "the tabs of group {of} are on several nodes");
    }
    // Every node emits to every user, and then to everybody: nothing that it has sent before can come after that.
    let value = |of: usize, node: usize, round: usize| (of * 1_000 + node * 100 + round) as u64;
    for round in 0..30 {
        for (number, node) in nodes.iter().enumerate() {
            for (of, user) in users.iter().enumerate() {
                node.emit(json!({ "user": user, "event": "n", "data": value(of, number, round) }));
            }
        }
    }
    for (number, node) in nodes.iter().enumerate() {
        node.emit(json!({ "event": "n", "data": value(9, number, 0) }));
    }
    let all: Vec<u64> = (0..3).map(|node| value(9, node, 0)).collect();
    let after = crowd.until("they hear the last", |_, tab| all.iter().all(|value| tab.heard.contains(value))).await;
    for (number, tab) in after.into_iter().enumerate() {
        let of = group(number);
        let theirs = (0..3).flat_map(|node| (0..30).map(move |round| value(of, node, round)));
        let mut expected: Vec<u64> = theirs.filter(|_| of < 3).chain(all.iter().copied()).collect();
        let mut heard = tab.heard;
        expected.sort_unstable();
        heard.sort_unstable();
        assert_eq!(heard, expected, "client {number}, of group {of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_killed_behind_a_balancer() {
    let redis = Redis::start();
    let [a, mut b, c] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&[a.port(), b.port(), c.port()]);
    let mut crowd = Crowd::gather(&balancer.url(), 24);
    crowd.ask("settled").await;
    let before = crowd.report().await;
    let gone = b.id();
    let numbers = Numbers::of(&a);
    numbers.more(50).await;
    b.kill();
    crowd.left(gone).await;
    numbers.more(50).await;
    let (last, _) = numbers.stop();
    let Cost { moved, missed, longest } = cost(&before, &crowd.heard(last).await, gone, last);
    println!(
        "node killed: {moved} of 24 clients moved, away for {longest} ms at most, and missed {missed} of {} deliveries; the others none",
        moved * (last + 1)
    );
    assert!(longest < 10_000, "{longest} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_rolling_restart_behind_a_balancer() {
    let redis = Redis::start();
    let mut nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    for restarted in 0..3 {
        // Whoever has moved is not moved back; a new crowd is spread over all nodes again.
        let mut crowd = Crowd::gather(&balancer.url(), 24);
        crowd.ask("settled").await;
        let before = crowd.report().await;
        let gone = nodes[restarted].id();
        let numbers = Numbers::of(&nodes[(restarted + 1) % 3]);
        numbers.more(50).await;
        let (began, count) = (Instant::now(), numbers.count());
        tokio::task::block_in_place(|| nodes[restarted].restart());
        let (took, meanwhile) = (began.elapsed(), numbers.count() - count);
        assert!(meanwhile > 0, "there are emits while the node is away");
        crowd.left(gone).await;
        numbers.more(50).await;
        let (last, _) = numbers.stop();
        let Cost { moved, missed, longest } = cost(&before, &crowd.heard(last).await, gone, last);
        println!(
            "restart of node {restarted}, {took:.1?} and {meanwhile} emits long: {moved} of 24 clients moved, away for {longest} ms at most, and missed {missed} of {} deliveries; the others none",
            moved * (last + 1)
        );
        assert!(longest < 5_000, "{longest} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_polling_stays_with_its_node() {
    let redis = Redis::start();
    let nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    let mut crowd = Crowd::gather(&balancer.url(), 12);
    crowd.ask("settled").await;
    let numbers = Numbers::of(&nodes[0]);
    numbers.more(200).await;
    let (last, _) = numbers.stop();
    for member in crowd.heard(last).await {
        assert_eq!(member.away, 0);
        assert!(complete(&member.heard, last));
    }
    crowd.until("they upgrade", |_, member| member.transport == "websocket").await;
}
