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

/// The ids of all sessions, as Redis has them.
async fn sessions(redis: &Redis) -> String {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    // A key is the id, 16 bytes in Base64.
    let ids: Vec<String> = keys.into_iter().filter(|key| key.len() == 22 && !key.contains(':')).collect();
    assert!(!ids.is_empty(), "there is a session");
    ids.join(",")
}

/// Where pictures for the chapter are to be left: `ADMIN_PICTURES`.
fn pictures() -> Option<String> {
    std::env::var("ADMIN_PICTURES").ok()
}

fn settings(mode: &'static str, files: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("CAROLINA_ADMIN__USER", "ada"),
        ("CAROLINA_ADMIN__PASSWORD", HASH),
        ("CAROLINA_ADMIN__MODE", mode),
        ("CAROLINA_ADMIN__FILES", files),
    ]
}

/// The built pages, as npm has them.
fn files() -> &'static str {
    let files = program::e2e().join("node_modules/@socket.io/admin-ui/ui/dist");
    files.to_str().expect("a path in UTF-8").to_owned().leak()
}

#[tokio::test]
async fn r27_every_page_and_button_in_a_browser_on_two_nodes_without_any_secret() {
    let redis = Redis::start();
    let (url, settings) = (redis.url(), settings("development", files()));
    let (one, two) = (Node::start_with(&url, &settings), Node::start_with(&url, &settings));
    let cookie = two.login("ada");
    let (pid, sessions, pictures) = (two.id().to_string(), sessions(&redis).await, pictures());
    let (one, two) = (one.url(), two.url());
    let mut arguments = vec![&*one, &two, &pid, &cookie, &sessions, "ada", "wonderland"];
    arguments.extend(pictures.as_deref());
    node("admin-page.mjs", &arguments).await;
}

#[tokio::test]
async fn r27_the_page_in_production_mode_in_a_browser_shows_sums_alone() {
    let redis = Redis::start();
    let one = Node::start_with(&redis.url(), &settings("production", files()));
    let cookie = one.login("ada");
    let (url, sessions, pictures) = (one.url(), sessions(&redis).await, pictures());
    let mut arguments = vec![&*url, &cookie, &sessions, "ada", "wonderland"];
    arguments.extend(pictures.as_deref());
    node("admin-page-production.mjs", &arguments).await;
}
