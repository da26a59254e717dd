//! R25: a rolling restart that nobody notices much of.

use std::time::Duration;

use carolina_sockets_tests::{
    nodes::Node,
    rolling::{Plan, restart},
    servers::{Redis, Server},
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_rolling_restart_cuts_no_handler_and_refuses_nobody() {
    let plan = Plan {
        clients: 60,
        delay: Duration::from_millis(1500),
        over: Duration::from_secs(3),
        pause: Duration::from_millis(300),
    };
    let seen = restart(plan).await;
    let problems = seen.problems(&plan);
    assert!(problems.is_empty(), "{problems:#?}\n{seen:?}");
}

/// Whether a node says that it takes clients.
fn is_ready(node: &Node) -> bool {
    node.http("GET", "/ready", None, None).status == 200
}

async fn not_ready_while_it_is_away(mut server: Server) {
    let node = Node::start(&server.url());
    assert!(is_ready(&node));
    tokio::task::block_in_place(|| server.stop());
    until("it is not ready", || tokio::task::block_in_place(|| !is_ready(&node))).await;
    assert_eq!(node.http("GET", "/live", None, None).status, 200);
    until("the log says so", || node.log().contains("not ready: ")).await;
    tokio::task::block_in_place(|| server.start_again());
    until("it is ready again", || tokio::task::block_in_place(|| is_ready(&node))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_node_is_not_ready_while_redis_is_away() {
    not_ready_while_it_is_away(Server::Redis(Redis::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_node_is_not_ready_while_postgresql_is_away() {
    not_ready_while_it_is_away(crate::postgres()).await;
}
