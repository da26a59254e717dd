//! R17: nodes behind HAProxy, official clients over both transports, and what each fault costs.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use carolina_sockets_tests::{
    DEADLINE,
    nodes::{Node, program},
    servers::{Balancer, Redis, Relay},
    wire::RawSocket,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A process full of official clients.
struct Crowd {
    _process: Child,
    ask: ChildStdin,
    hear: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Member {
    heard: Vec<u64>,
    node: Option<u32>,
    away: u32,
    /// Milliseconds.
    longest: u64,
}

impl Crowd {
    fn gather(url: &str, count: usize) -> Self {
        let mut process = Command::new("node")
            .args(["crowd.mjs", url, &count.to_string()])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (ask, hear) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { _process: process, ask, hear: BufReader::new(hear).lines() }
    }

    async fn ask(&mut self, word: &str) -> String {
        self.ask.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(DEADLINE * 2, self.hear.next_line()).await;
        line.unwrap_or_else(|_| panic!("the crowd does not answer `{word}`")).unwrap().expect("the crowd is there")
    }

    async fn report(&mut self) -> Vec<Member> {
        serde_json::from_str(&self.ask("report").await).unwrap()
    }

    /// Waits until everybody who stayed has heard a number.
    async fn heard(&mut self, last: u64, stayed: impl Fn(&Member) -> bool) -> Vec<Member> {
        let until = Instant::now() + DEADLINE;
        loop {
            let report = self.report().await;
            if report.iter().filter(|member| stayed(member)).all(|member| member.heard.last() == Some(&last)) {
                return report;
            }
            assert!(Instant::now() < until, "number {last} has not reached everybody");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Emits numbers steadily while something happens, and returns the last.
async fn numbers(from: &Node, first: u64, while_: impl Future<Output = ()>) -> u64 {
    let mut last = first;
    let emit = |number| from.emit(json!({ "event": "n", "data": number }));
    emit(last);
    tokio::pin!(while_);
    loop {
        tokio::select! {
            () = &mut while_ => break,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                last += 1;
                emit(last);
            }
        }
    }
    last + 1
}

fn in_order(heard: &[u64]) -> bool {
    heard.windows(2).all(|pair| pair[0] < pair[1])
}

fn complete(heard: &[u64], last: u64) -> bool {
    heard.len() as u64 == last + 1 && in_order(heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_killed_behind_a_balancer() {
    let redis = Redis::start();
    let [a, mut b, c] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&[a.port(), b.port(), c.port()]);
    let mut crowd = Crowd::gather(&balancer.url(), 24);
    crowd.ask("settled").await;
    let before = crowd.report().await;
    let on_b = before.iter().filter(|member| member.node == Some(b.id())).count();
    assert!(on_b > 0 && on_b < 24, "the balancer spreads clients");
    let killed = b.id();
    let fault = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        b.kill();
        crowd.ask("settled").await;
    };
    let last = numbers(&a, 0, fault).await;
    a.emit(json!({ "event": "n", "data": last }));
    let after = crowd.heard(last, |_| true).await;
    let mut lost = 0;
    let mut longest = 0;
    for (before, after) in before.iter().zip(&after) {
        assert!(in_order(&after.heard));
        match before.node == Some(killed) {
            true => {
                lost += last + 1 - after.heard.len() as u64;
                longest = longest.max(after.longest);
                assert!(after.away > 0 && after.node != Some(killed));
            }
            false => {
                assert_eq!(after.away, 0, "others are not disturbed");
                assert!(complete(&after.heard, last), "others lose nothing");
            }
        }
    }
    println!(
        "node killed: {on_b} of 24 clients moved, away for {longest} ms at most; they missed {lost} of {} deliveries, others none",
        on_b as u64 * last
    );
    assert!(longest < 10_000, "{longest} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_rolling_restart_behind_a_balancer() {
    let redis = Redis::start();
    let mut nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    let mut crowd = Crowd::gather(&balancer.url(), 24);
    for restarted in 0..3 {
        crowd.ask("settled").await;
        crowd.ask("forget").await;
        let before = crowd.report().await;
        let leaving = nodes[restarted].id();
        let (steady, node) = match restarted {
            0 => {
                let [a, b, _] = &mut nodes;
                (b, a)
            }
            _ => {
                let (first, rest) = nodes.split_at_mut(restarted);
                (&mut first[0], &mut rest[0])
            }
        };
        let fault = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            tokio::task::block_in_place(|| node.restart());
            crowd.ask("settled").await;
        };
        let last = numbers(steady, 0, fault).await;
        steady.emit(json!({ "event": "n", "data": last }));
        let after = crowd.heard(last, |_| true).await;
        let mut moved = 0;
        let mut longest = 0;
        for (before, after) in before.iter().zip(&after) {
            assert!(in_order(&after.heard));
            match before.node == Some(leaving) {
                true => {
                    moved += 1;
                    longest = longest.max(after.longest);
                }
                false => {
                    assert_eq!(after.away, 0, "clients of nodes that stay, stay");
                    assert!(complete(&after.heard, last), "and lose nothing");
                }
            }
        }
        println!("restart of node {restarted}: {moved} clients moved, away for {longest} ms at most");
        assert!(longest < 5_000, "{longest} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_that_is_cut_off_serves_its_own_and_comes_back() {
    let redis = Redis::start();
    let mut relay = Relay::start(redis.port());
    let cut =
        Node::start_with(&format!("redis://127.0.0.1:{}", relay.port()), &[("CAROLINA_SESSION__STORE", "memory")]);
    let well = Node::start(&redis.url());
    let mut on_cut = RawSocket::join(&cut.url(), "/open").await;
    let mut on_well = RawSocket::join(&well.url(), "/open").await;
    cut.emit(json!({ "event": "n", "data": 0 }));
    on_well.expect("42/open,[\"n\",0]").await;
    on_cut.expect("42/open,[\"n\",0]").await;
    relay.close();
    carolina_sockets_tests::until("the node notices", || cut.log().contains("the backplane is away")).await;
    for number in 1..=50 {
        cut.emit(json!({ "event": "n", "data": number }));
        well.emit(json!({ "event": "w", "data": number }));
    }
    for number in 1..=50 {
        assert_eq!(on_cut.expect("42/open,[\"n\"").await, format!("42/open,[\"n\",{number}]"));
        assert_eq!(on_well.expect("42/open,").await, format!("42/open,[\"w\",{number}]"), "the others are undisturbed");
    }
    relay.open();
    carolina_sockets_tests::until("the node is back", || cut.log().contains("the backplane is back")).await;
    let again = tokio::time::timeout(DEADLINE, async {
        loop {
            well.emit(json!({ "event": "again" }));
            if tokio::time::timeout(Duration::from_millis(200), on_cut.expect("42/open,[\"again\"")).await.is_ok() {
                break;
            }
        }
    });
    again.await.expect("what others emit reaches it again");
    cut.emit(json!({ "event": "n", "data": 51 }));
    on_well.expect("42/open,[\"n\",51]").await;
    assert!(!well.log().contains("away"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_polling_stays_with_its_node() {
    let redis = Redis::start();
    let nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    let mut crowd = Crowd::gather(&balancer.url(), 12);
    crowd.ask("settled").await;
    let last = numbers(&nodes[0], 0, async { tokio::time::sleep(Duration::from_secs(1)).await }).await;
    nodes[0].emit(json!({ "event": "n", "data": last }));
    for member in crowd.heard(last, |_| true).await {
        assert_eq!(member.away, 0);
        assert!(complete(&member.heard, last));
    }
}

#[tokio::test]
async fn r16_the_worker_example_reaches_a_user() {
    let redis = Redis::start();
    // Its channel is `/`.
    let node = Node::start(&redis.url());
    let ada = node.login("ada");
    let mut tab = RawSocket::join_with(&node.url(), "/", Some(&ada)).await;
    let ran = Command::new(program("worker")).args(["ada", &redis.url()]).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    tab.expect("42[\"report-ready\",1048575]").await;
    let ran = Command::new(program("worker")).env_remove("CAROLINA_BACKPLANE__URL").arg("ada").output().await.unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("CAROLINA_BACKPLANE__URL"));
}
