//! R17: nodes that come and go.

use std::time::{Duration, Instant};

use carolina_sockets_tests::{
    nodes::{Node, http},
    until,
    wire::RawSocket,
};
use serde_json::{Value, json};

use crate::{emitting::asked_with, postgres, redis, three};

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_that_dies_costs_the_others_nothing() {
    let server = redis();
    let [a, mut b, c] = three(&server);
    let mut on_a = RawSocket::join(&a.url(), "/open").await;
    let mut on_c = RawSocket::join(&c.url(), "/open").await;
    let _on_b = RawSocket::join(&b.url(), "/open").await;
    for number in 0..200 {
        if number == 50 {
            b.kill();
        }
        if number == 150 {
            b.start_again();
        }
        a.emit(json!({ "event": "n", "data": number }));
    }
    for socket in [&mut on_a, &mut on_c] {
        for number in 0..200 {
            assert_eq!(socket.expect("42/open,[\"n\"").await, format!("42/open,[\"n\",{number}]"));
        }
    }
    // Who asks for acknowledgements is not kept waiting by the dead.
    b.kill();
    let began = Instant::now();
    let port = a.port();
    let asked = tokio::task::spawn_blocking(move || http(port, "GET", "/ask", None, None));
    for socket in [&mut on_a, &mut on_c] {
        let id = asked_with(socket).await;
        socket.send(&format!("43/open,{id}[7]")).await;
    }
    let answers: Vec<Value> = serde_json::from_str(&asked.await.unwrap().body).unwrap();
    assert_eq!(answers, [7, 7]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_nodes_tell_who_comes_and_goes() {
    for server in [redis(), postgres()] {
        let [a, b] = std::array::from_fn(|_| Node::start(&server.url()));
        let mut c = Node::start(&server.url());
        let told = |what: &str| a.log().contains(what) && b.log().contains(what);
        until("all are counted", || told("nodes=3")).await;
        c.kill();
        until("the others notice", || told("a node has left: there were 3 nodes=2")).await;
    }
}
