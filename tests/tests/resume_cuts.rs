//! R23 and R24 under official clients whose connections are cut at random.

use carolina_sockets_tests::{
    nodes::Node,
    resume::{Plan, cuts, seed, storm},
    wire::RawSocket,
};
use serde_json::{Value, json};

/// A node where all channels resume. Its pings are frequent: a client that is cut in the middle of its upgrade may not notice otherwise.
fn node(more: &[(&str, &str)]) -> Node {
    let mut settings = vec![
        ("CAROLINA_RESUME__CHANNELS", "all"),
        ("CAROLINA_TRANSPORT__PING_INTERVAL", "1s"),
        ("CAROLINA_TRANSPORT__PING_TIMEOUT", "1s"),
    ];
    settings.extend(more);
    Node::alone_with(&settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_nothing_is_lost_or_doubled_by_cuts() {
    let node = node(&[]);
    let seen = storm(vec![node], Plan { seed: seed(1), cuts: cuts(60), kill_every: 0 }).await;
    println!("{seen:?}");
    assert!(seen.gaps.is_empty() && seen.anew == 0, "{seen:?}");
}

/// What follows the channel's path.
fn payload(packet: &str) -> Value {
    serde_json::from_str(packet.split_once(',').expect("a path").1).expect("a payload")
}

/// When the connection ends between the answer to CONNECT and the gap, the client has a new `pid` and an old offset, or none: it is told once more.
#[tokio::test(flavor = "multi_thread")]
async fn r24_a_gap_that_was_not_heard_is_told_again() {
    let node = node(&[]);
    for knows_offset in [true, false] {
        let mut socket = RawSocket::open(&node.url()).await;
        socket.send("40/open,{\"resume\":true}").await;
        let pid = payload(&socket.expect("40").await)["pid"].clone();
        let offset = payload(&socket.expect("42/open,[\"carolina:offset\"").await)[1].clone();
        let asks = |pid: &Value| match knows_offset {
            true => json!({ "pid": pid, "offset": offset }),
            false => json!({ "pid": pid }),
        };
        socket.send("41/open,").await;
        tokio::task::block_in_place(|| node.emit(json!({ "event": "missed", "data": 1 })));
        socket.send(&format!("40/open,{}", asks(&pid))).await;
        let next = payload(&socket.expect("40").await)["pid"].clone();
        assert_ne!(next, pid);
        drop(socket);
        let mut socket = RawSocket::open(&node.url()).await;
        socket.send(&format!("40/open,{}", asks(&next))).await;
        let again = payload(&socket.expect("40").await)["pid"].clone();
        assert_ne!(again, next, "it has resumed what it was never told of");
        assert_eq!(payload(&socket.expect("42/open,[\"carolina:gap\"").await)[1]["reason"], "expired");
        // Who has heard it resumes.
        let offset = {
            tokio::task::block_in_place(|| node.emit(json!({ "event": "heard", "data": 1 })));
            payload(&socket.expect("42/open,[\"heard\"").await)[2].clone()
        };
        drop(socket);
        let mut socket = RawSocket::open(&node.url()).await;
        socket.send(&format!("40/open,{}", json!({ "pid": again, "offset": offset }))).await;
        assert_eq!(payload(&socket.expect("40").await)["pid"], again);
    }
}
