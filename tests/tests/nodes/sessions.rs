//! R11 and R17: a session that changes on one node changes on all.

use std::time::{Duration, Instant};

use carolina_sockets_tests::{
    DEADLINE,
    nodes::{Node, send},
    servers::{Redis, Server},
    wire::RawSocket,
};

use crate::{postgres, redis, three};

async fn a_log_out_reaches_all_nodes(server: Server) {
    let [a, b, _c] = three(&server);
    let ada = a.login("ada");
    let mut member = RawSocket::join_with(&b.url(), "/members", Some(&ada)).await;
    member.also_join("/open").await;
    let began = Instant::now();
    assert_eq!(a.http("POST", "/logout", Some(&ada), None).status, 200);
    member.expect("42/members,[\"carolina:closed\",{\"code\":\"unauthenticated\"").await;
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
    let opened: serde_json::Value = serde_json::from_str(opened.trim_start_matches('0')).expect("a session");
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
