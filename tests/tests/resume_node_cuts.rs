//! R23 and R24 on three nodes, under official clients whose connections are cut at random and that come back to any node, while nodes are killed and started
//! again.

use carolina_sockets_tests::{
    nodes::Node,
    resume::{Plan, cuts, seed, storm},
    servers::{Postgres, Redis},
};

/// A node where all channels resume.
fn node(server: &str) -> Node {
    let settings = [
        ("CAROLINA_RESUME__CHANNELS", "all"),
        ("CAROLINA_TRANSPORT__PING_INTERVAL", "1s"),
        ("CAROLINA_TRANSPORT__PING_TIMEOUT", "1s"),
    ];
    Node::start_with(server, &settings)
}

async fn three_nodes(server: &str) {
    let nodes = (0..3).map(|_| node(server)).collect();
    let seen = storm(nodes, Plan { seed: seed(2), cuts: cuts(60), kill_every: 150 }).await;
    println!("{seen:?}");
    assert!(seen.resumed > 0, "{seen:?}");
    assert!(seen.gaps.len() <= seen.resumed / 10, "more than needed were told of a gap: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_nothing_is_lost_over_redis_when_nodes_die() {
    let redis = Redis::start();
    three_nodes(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_nothing_is_lost_over_postgres_when_nodes_die() {
    let postgres = Postgres::start();
    three_nodes(&postgres.url()).await;
}
