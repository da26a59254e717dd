//! The Admin UI, on two nodes.

use carolina_sockets_tests::{
    nodes::Node,
    program::{self, node},
    servers::Redis,
};

/// By bcrypt, of `wonderland`.
const HASH: &str = "$2a$06$ZxjybitalayXbapO9NvmE.v2G/fM3zNvTaVxRweu1IpgtFiFnnGQO";

#[tokio::test]
async fn r27_the_official_client_sees_and_does_everything_on_all_nodes() {
    let redis = Redis::start();
    let settings =
        [("CAROLINA_ADMIN__USER", "ada"), ("CAROLINA_ADMIN__PASSWORD", HASH), ("CAROLINA_ADMIN__MODE", "development")];
    let url = redis.url();
    let (one, two) = (Node::start_with(&url, &settings), Node::start_with(&url, &settings));
    let cookie = two.login("ada");
    node("admin.mjs", &[&one.url(), &two.url(), &cookie, "ada", "wonderland"]).await;
}

#[tokio::test]
async fn r27_production_mode_shows_sums_and_without_a_password_there_is_nothing() {
    let redis = Redis::start();
    let url = redis.url();
    let settings = [("CAROLINA_ADMIN__USER", "ada"), ("CAROLINA_ADMIN__PASSWORD", HASH)];
    let (with, without) = (Node::start_with(&url, &settings), Node::start_with(&url, &[]));
    node("admin-production.mjs", &[&with.url(), &without.url(), "ada", "wonderland"]).await;
}

#[tokio::test]
async fn r27_the_page_works_in_a_browser() {
    let redis = Redis::start();
    let files = program::e2e().join("node_modules/@socket.io/admin-ui/ui/dist");
    let settings = [
        ("CAROLINA_ADMIN__USER", "ada"),
        ("CAROLINA_ADMIN__PASSWORD", HASH),
        ("CAROLINA_ADMIN__MODE", "development"),
        ("CAROLINA_ADMIN__FILES", files.to_str().unwrap()),
    ];
    let node = Node::start_with(&redis.url(), &settings);
    program::node("admin-page.mjs", &[&node.url(), "ada", "wonderland"]).await;
}
