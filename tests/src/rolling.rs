//! A rolling restart behind HAProxy, under official clients with events under way.

use std::time::Duration;

use serde::Deserialize;

use crate::{DEADLINE, balancers::Balancer, nodes::Node, program::Script, servers::Redis};

/// What it is done with.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many clients there are.
    pub clients: usize,
    /// `drain.delay`: longer than the balancer needs to notice.
    pub delay: Duration,
    /// `drain.over`.
    pub over: Duration,
}

/// What the clients have seen of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Events that were answered by their handler.
    pub answered: u64,
    /// Events that were answered with an error, as their client was about to be closed.
    pub refused: u64,
    /// Events whose connection ended before there was an answer.
    pub lost: u64,
    /// Attempts to connect that failed.
    pub refused_connections: u64,
    /// Clients that were told twice of one end.
    pub told_twice: u64,
    /// When clients were disconnected, in milliseconds.
    pub disconnects: Vec<u64>,
    /// When they were connected again.
    pub connects: Vec<u64>,
    /// The longest time that one was not connected, in milliseconds.
    pub longest: u64,
    /// Clients that are not connected at the end.
    pub left: usize,
    /// Clients that were disconnected at all.
    pub away: usize,
    /// Handlers that have begun, on all nodes.
    #[serde(default)]
    pub begun: u64,
}

/// Restarts three nodes, one after another.
pub async fn restart(plan: Plan) -> Seen {
    let redis = Redis::start();
    let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
    let (delay, over) = (milliseconds(plan.delay), milliseconds(plan.over));
    let clients = (plan.clients * 4).to_string();
    let settings = [
        ("CAROLINA_DRAIN__DELAY", delay.as_str()),
        ("CAROLINA_DRAIN__OVER", over.as_str()),
        ("CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS", clients.as_str()),
    ];
    let mut nodes: [Node; 3] = std::array::from_fn(|_| Node::start_with(&redis.url(), &settings));
    let balancer = Balancer::start_for(&nodes.each_ref().map(Node::port), plan.clients * 6 + 1000);
    let mut crowd = Script::start(&["rolling.mjs", &balancer.url(), &plan.clients.to_string(), "300"]);
    let mut say = async |word: &str| {
        let answer = crowd.ask(word, DEADLINE * 3).await;
        answer.unwrap_or_else(|| panic!("the crowd does not answer `{word}`"))
    };
    let mut begun = 0;
    for node in &mut nodes {
        say("settled").await;
        tokio::task::block_in_place(|| node.end());
        begun += begun_on(node);
        tokio::task::block_in_place(|| node.start_again());
        // The balancer asks every half second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let mut seen: Seen = serde_json::from_str(&say("end").await).expect("a report");
    for node in &mut nodes {
        tokio::task::block_in_place(|| node.end());
        begun += begun_on(node);
    }
    seen.begun = begun;
    seen
}

/// What a node has logged at its end.
fn begun_on(node: &Node) -> u64 {
    let log = node.log();
    let count = log.lines().find_map(|line| line.strip_prefix("work begun: "));
    count.unwrap_or_else(|| panic!("the node did not end in order: {log}")).parse().expect("a number")
}
