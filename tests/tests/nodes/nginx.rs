//! R17: nodes behind nginx.

use std::collections::BTreeSet;

use carolina_sockets_tests::{balancers::Nginx, nodes::Node, program, servers::Redis};
use serde::Deserialize;

#[tokio::test]
async fn r17_nginx_keeps_clients_with_their_node_and_tells_who_they_are() {
    #[derive(Deserialize)]
    struct Told {
        own: String,
        seen: String,
        node: u32,
        transport: String,
        answered: u32,
    }

    let redis = Redis::start();
    let trusting = [("CAROLINA_TRUSTED_PROXIES", "127.0.0.1")];
    let nodes: [Node; 2] = std::array::from_fn(|_| Node::start_with(&redis.url(), &trusting));
    let nginx = Nginx::start(&nodes.each_ref().map(Node::port));
    let clients = program::node("behind.mjs", &[&nginx.url(), "12"]).await;
    let told: Vec<Told> = serde_json::from_str(&clients).unwrap();
    assert_eq!(told.len(), 12);
    for (number, client) in told.iter().enumerate() {
        assert_eq!(client.seen, client.own, "the server sees the client, not nginx");
        assert_eq!(client.transport, ["polling", "websocket", "websocket"][number % 3]);
        assert_eq!(client.answered, 21, "{}", client.own);
    }
    assert_eq!(told.iter().map(|client| client.node).collect::<BTreeSet<_>>().len(), 2, "both nodes have clients");
}
