//! R23 and R24 under official clients whose connections are cut at random.

use carolina_sockets_tests::{
    nodes::Node,
    resume::{Plan, cuts, storm},
};

#[tokio::test(flavor = "multi_thread")]
async fn r23_nothing_is_lost_or_doubled_by_cuts() {
    let node = Node::alone_with(&[("CAROLINA_RESUME__CHANNELS", "all")]);
    let seen = storm(vec![node], Plan { seed: 1, cuts: cuts(60), kill_every: 0 }).await;
    println!("{seen:?}");
    assert!(seen.gaps.is_empty() && seen.anew == 0, "{seen:?}");
}

/// The log is so short that some clients come back too late: they are told, and nothing of it is given.
#[tokio::test(flavor = "multi_thread")]
async fn r24_what_a_short_log_has_lost_is_told() {
    let node = Node::alone_with(&[("CAROLINA_RESUME__CHANNELS", "all"), ("CAROLINA_RESUME__EVENTS", "4")]);
    let seen = storm(vec![node], Plan { seed: 2, cuts: cuts(60), kill_every: 0 }).await;
    println!("{seen:?}");
    assert!(seen.resumed > 0 && seen.missed > 0, "{seen:?}");
    assert!(seen.gaps.iter().all(|reason| reason == "overflow"), "{seen:?}");
}
