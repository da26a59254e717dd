//! R17: the sockets of a channel, on all nodes.

use std::time::{Duration, Instant};

use carolina_sockets_tests::{nodes::Node, servers::Server, until, wire::RawSocket};
use futures_util::future::join_all;
use serde_json::Value;

use crate::{postgres, redis, three};

fn listed(node: &Node, query: &str) -> Value {
    let response = node.http("GET", &format!("/sockets{query}"), None, None);
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

fn users(listed: &Value) -> Vec<Option<&str>> {
    let mut users: Vec<_> = listed["all"].as_array().unwrap().iter().map(|socket| socket["user_id"].as_str()).collect();
    users.sort();
    users
}

async fn sockets_of_all_nodes_are_listed(server: Server) {
    let [a, b, mut c] = three(&server);
    let (ada, bob) = (a.login("ada"), b.login("bob"));
    let _on_a = RawSocket::join_with(&a.url(), "/open", Some(&ada)).await;
    let mut on_b = RawSocket::join_with(&b.url(), "/open", Some(&bob)).await;
    let _on_c = RawSocket::join(&c.url(), "/open").await;
    // More than one message can tell of.
    let url = c.url();
    let _crowd = join_all((0..150).map(|_| RawSocket::join(&url, "/open"))).await;
    on_b.send("42/open,2[\"join\",\"news\"]").await;
    on_b.expect("43/open,2").await;
    // The nodes know of each other.
    for node in [&a, &b, &c] {
        until("all are counted", || node.log().contains("nodes=3")).await;
    }
    let all = listed(&a, "");
    assert_eq!((all["all"].as_array().unwrap().len(), &all["here"]), (153, &1.into()), "{}", all["here"]);
    assert_eq!(users(&all)[151..], [Some("ada"), Some("bob")]);
    for node in [&a, &b, &c] {
        let news = listed(node, "?room=news");
        let found = news["all"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0]["user_id"], &found[0]["rooms"][0]), (&"bob".into(), &"news".into()));
        assert_eq!(found[0]["remote_address"], "127.0.0.1");
    }
    // A node that has died is waited for, and no more.
    c.kill();
    let began = Instant::now();
    assert_eq!(users(&listed(&a, "")), [Some("ada"), Some("bob")]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_sockets_of_all_nodes_are_listed_over_redis() {
    sockets_of_all_nodes_are_listed(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_sockets_of_all_nodes_are_listed_over_postgres() {
    sockets_of_all_nodes_are_listed(postgres()).await;
}
