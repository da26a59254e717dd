//! A rolling restart behind HAProxy, under official clients with events under way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{DEADLINE, balancers::Balancer, nodes::Node, program::Script, servers::Redis};

/// How many clients are in one process.
const TOGETHER: usize = 500;

/// Nobody is without a connection for longer, in milliseconds.
const LONGEST: u64 = 5_000;

/// What it is done with.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many clients there are.
    pub clients: usize,
    /// `drain.delay`: longer than the balancer needs to notice.
    pub delay: Duration,
    /// `drain.over`.
    pub over: Duration,
    /// How long each client waits between an answer and its next event.
    pub pause: Duration,
}

/// What the clients and the balancer have seen of it. Times are in milliseconds since the beginning.
#[derive(Debug, Default, Deserialize, Serialize)]
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
    /// When clients were disconnected.
    pub disconnects: Vec<u64>,
    /// When they were connected again.
    pub connects: Vec<u64>,
    /// The longest time that one was not connected.
    pub longest: u64,
    /// Clients that are not connected at the end.
    pub left: usize,
    /// Clients that were disconnected at all.
    pub away: usize,
    /// Handlers that have begun, on all nodes.
    #[serde(default)]
    pub begun: u64,
    /// The restarts, in their order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// When what happened as one node restarted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The node was not ready any more.
    pub not_ready: u64,
    /// The balancer had noticed.
    pub noticed: u64,
    /// The node refused new clients, and began to close those that it had.
    pub closing: u64,
    /// Its process had ended.
    pub ended: u64,
    /// The balancer had noticed that it was back.
    pub back: u64,
}

impl Seen {
    /// Adds what other clients have seen.
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.lost += other.lost;
        self.refused_connections += other.refused_connections;
        self.told_twice += other.told_twice;
        self.disconnects.extend(other.disconnects);
        self.connects.extend(other.connects);
        self.longest = self.longest.max(other.longest);
        self.left += other.left;
        self.away += other.away;
    }

    /// What was promised, and is not so.
    pub fn problems(&self, plan: &Plan) -> Vec<String> {
        let over = plan.over.as_millis() as u64;
        let mut problems = Vec::new();
        let mut ensure = |holds: bool, problem: String| problems.extend((!holds).then_some(problem));
        ensure(self.longest < LONGEST, format!("a client was without a connection for {} ms", self.longest));
        ensure(self.left == 0, format!("{} clients are not back", self.left));
        ensure(self.refused_connections == 0, format!("{} attempts to connect were refused", self.refused_connections));
        ensure(self.begun == self.answered, format!("{} handlers began, {} answered", self.begun, self.answered));
        ensure(self.told_twice == 0, format!("{} clients were told twice", self.told_twice));
        // Those on their way while their connection was closed.
        ensure(self.lost <= 5.max(plan.clients as u64 / 20), format!("{} events without an answer", self.lost));
        ensure(self.away * 2 > plan.clients, format!("{} clients have moved", self.away));
        for (number, step) in self.steps.iter().enumerate() {
            ensure(step.noticed < step.closing, format!("the balancer noticed too late: {number}: {step:?}"));
            // A connect is a moment after the disconnect; those of one node do not reach into the next one's time.
            let of_step: Vec<u64> = self.connects.iter().filter_map(|at| at.checked_sub(step.closing)).collect();
            let count = |from, to| of_step.iter().filter(|at| (from..to).contains(*at)).count();
            let fifths: Vec<usize> = (0..5).map(|fifth| count(over * fifth / 5, over * (fifth + 1) / 5)).collect();
            let all: usize = fifths.iter().sum();
            ensure(
                fifths.iter().all(|connects| connects * 20 >= all && connects * 5 <= all * 2) && all > 0,
                format!("not spread over drain.over: {fifths:?} connects in each fifth of it, of node {number}"),
            );
        }
        problems
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// Restarts three nodes, one after another.
pub async fn restart(plan: Plan) -> Seen {
    let redis = Redis::start();
    let duration = |time: Duration| format!("{}ms", time.as_millis());
    let (delay, over) = (duration(plan.delay), duration(plan.over));
    let connections = (plan.clients * 4).to_string();
    let settings = [
        ("CAROLINA_DRAIN__DELAY", delay.as_str()),
        ("CAROLINA_DRAIN__OVER", over.as_str()),
        ("CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS", connections.as_str()),
    ];
    let mut nodes: [Node; 3] = std::array::from_fn(|_| Node::start_with(&redis.url(), &settings));
    // Each is two open files.
    let balancer = Balancer::start_for(&nodes.each_ref().map(Node::port), plan.clients * 5 / 2 + 1000);
    let (url, pause) = (balancer.url(), plan.pause.as_millis().to_string());
    let groups = (0..plan.clients).step_by(TOGETHER).map(|first| (plan.clients - first).min(TOGETHER).to_string());
    let mut crowd: Vec<Script> = groups.map(|count| Script::start(&["rolling.mjs", &url, &count, &pause])).collect();
    // What each group answers.
    let mut say = async |word: &str| {
        let mut answers = Vec::new();
        for group in &mut crowd {
            let answer = group.ask(word, 6 * DEADLINE).await;
            answers.push(answer.unwrap_or_else(|| panic!("the clients do not answer `{word}`")));
        }
        answers
    };
    let (mut seen, mut began) = (Seen::default(), None);
    for (number, node) in nodes.iter_mut().enumerate() {
        say("settled").await;
        let (asked, since) = (SystemTime::now(), *began.get_or_insert(milliseconds(SystemTime::now())));
        tokio::task::block_in_place(|| node.end());
        let ended = SystemTime::now();
        seen.begun += begun_on(node);
        let logged = |what| milliseconds(node.logged_at(what)) - since;
        let (not_ready, closing) = (logged(": shutting down "), logged(": closing the clients, "));
        let noticed = tokio::task::block_in_place(|| balancer.noticed(number, "DOWN", asked));
        tokio::task::block_in_place(|| node.start_again());
        let back = tokio::task::block_in_place(|| balancer.noticed(number, "UP", ended));
        let [noticed, ended, back] = [noticed, ended, back].map(|at| milliseconds(at) - since);
        seen.steps.push(Step { not_ready, noticed, closing, ended, back });
    }
    for report in say("end").await {
        seen.add(serde_json::from_str(&report).expect("a report"));
    }
    let began = began.expect("there are nodes");
    seen.connects.iter_mut().chain(&mut seen.disconnects).for_each(|at| *at -= began);
    for node in &mut nodes {
        tokio::task::block_in_place(|| node.end());
        seen.begun += begun_on(node);
    }
    seen
}

/// What a node has logged at its end.
fn begun_on(node: &Node) -> u64 {
    let log = node.log();
    let count = log.lines().find_map(|line| line.strip_prefix("work begun: "));
    count.unwrap_or_else(|| panic!("the node did not end in order: {log}")).parse().expect("a number")
}
