//! R17: nodes behind HAProxy and nginx, official clients over both transports, and what each fault costs.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use carolina_sockets_tests::{
    DEADLINE,
    nodes::{Node, SECRET, emit},
    program,
    servers::{Balancer, Nginx, Redis, Relay},
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
    transport: String,
}

impl Crowd {
    fn gather(url: &str, count: usize) -> Self {
        Self::gather_with(url, count, &[])
    }

    /// Two after two take these sessions in turn, and the next two none: so that there are both transports to each.
    fn gather_with(url: &str, count: usize, sessions: &[String]) -> Self {
        let mut process = Command::new("node")
            .args(["crowd.mjs", url, &count.to_string()])
            .args(sessions)
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

    /// Waits until this holds of everybody, and returns what they say.
    async fn until(&mut self, what: &str, holds: impl Fn(usize, &Member) -> bool) -> Vec<Member> {
        let until = Instant::now() + DEADLINE;
        loop {
            let report = self.report().await;
            let waiting = report.iter().enumerate().filter(|(number, member)| !holds(*number, member)).count();
            if waiting == 0 {
                return report;
            }
            assert!(Instant::now() < until, "{what}: {waiting} have not");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nobody is left on a node, and everybody is on some.
    async fn left(&mut self, node: u32) {
        self.until("they find another node", |_, member| member.node.is_some_and(|on| on != node)).await;
    }

    /// Waits until everybody has heard a number.
    async fn heard(&mut self, last: u64) -> Vec<Member> {
        self.until("they hear the last", |_, member| member.heard.last() == Some(&last)).await
    }
}

/// A node that emits numbers steadily, on a thread of its own: nothing that a test does holds them up.
struct Numbers {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Numbers {
    fn of(node: &Node) -> Self {
        let (count, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (port, counted, stopped) = (node.port(), count.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                emit(port, json!({ "event": "n", "data": counted.load(Relaxed) }));
                counted.fetch_add(1, Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { count, stop, thread }
    }

    /// How many there were.
    fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Waits for some more of them.
    async fn more(&self, by: u64) {
        let enough = self.count() + by;
        carolina_sockets_tests::until("the numbers go on", || self.count() >= enough).await;
    }

    /// Ends them, and returns the last.
    fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("every number is emitted");
        self.count.load(Relaxed) - 1
    }
}

fn in_order(heard: &[u64]) -> bool {
    heard.windows(2).all(|pair| pair[0] < pair[1])
}

fn complete(heard: &[u64], last: u64) -> bool {
    heard.len() as u64 == last + 1 && in_order(heard)
}

/// What a fault has cost those who were on a node that went away; the others must have been spared.
struct Cost {
    moved: u64,
    missed: u64,
    /// Milliseconds.
    longest: u64,
}

fn cost(before: &[Member], after: &[Member], gone: u32, last: u64) -> Cost {
    let mut cost = Cost { moved: 0, missed: 0, longest: 0 };
    for (before, after) in before.iter().zip(after) {
        assert!(in_order(&after.heard));
        match before.node == Some(gone) {
            true => {
                assert!(after.away > 0);
                cost.moved += 1;
                cost.missed += last + 1 - after.heard.len() as u64;
                cost.longest = cost.longest.max(after.longest);
            }
            false => {
                assert_eq!(after.away, 0, "clients of nodes that stay, stay");
                assert!(complete(&after.heard, last), "and miss nothing");
            }
        }
    }
    assert!(0 < cost.moved && cost.moved < before.len() as u64, "the balancer spreads clients");
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_user_s_events_reach_all_their_tabs_behind_a_balancer() {
    let redis = Redis::start();
    let nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    let users = ["ada", "bob", "eve"];
    // Each has logged in on a node of their own.
    let session = |(node, user): (&Node, &&str)| node.login(user).split_once('=').expect("a cookie").1.to_owned();
    let sessions: Vec<String> = nodes.iter().zip(&users).map(session).collect();
    let mut crowd = Crowd::gather_with(&balancer.url(), 24, &sessions);
    crowd.ask("settled").await;
    let group = |number: usize| number / 2 % 4;
    let before = crowd.until("they upgrade", |_, member| member.transport == "websocket").await;
    for of in 0..4 {
        let on = before.iter().enumerate().filter(|(number, _)| group(*number) == of).filter_map(|(_, tab)| tab.node);
        assert!(on.collect::<BTreeSet<_>>().len() > 1, "the tabs of group {of} are on several nodes");
    }
    // Every node emits to every user, and then to everybody: nothing that it has sent before can come after that.
    let value = |of: usize, node: usize, round: usize| (of * 1_000 + node * 100 + round) as u64;
    for round in 0..30 {
        for (number, node) in nodes.iter().enumerate() {
            for (of, user) in users.iter().enumerate() {
                node.emit(json!({ "user": user, "event": "n", "data": value(of, number, round) }));
            }
        }
    }
    for (number, node) in nodes.iter().enumerate() {
        node.emit(json!({ "event": "n", "data": value(9, number, 0) }));
    }
    let all: Vec<u64> = (0..3).map(|node| value(9, node, 0)).collect();
    let after = crowd.until("they hear the last", |_, tab| all.iter().all(|value| tab.heard.contains(value))).await;
    for (number, tab) in after.into_iter().enumerate() {
        let of = group(number);
        let theirs = (0..3).flat_map(|node| (0..30).map(move |round| value(of, node, round)));
        let mut expected: Vec<u64> = theirs.filter(|_| of < 3).chain(all.iter().copied()).collect();
        let mut heard = tab.heard;
        expected.sort_unstable();
        heard.sort_unstable();
        assert_eq!(heard, expected, "client {number}, of group {of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_node_killed_behind_a_balancer() {
    let redis = Redis::start();
    let [a, mut b, c] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&[a.port(), b.port(), c.port()]);
    let mut crowd = Crowd::gather(&balancer.url(), 24);
    crowd.ask("settled").await;
    let before = crowd.report().await;
    let gone = b.id();
    let numbers = Numbers::of(&a);
    numbers.more(50).await;
    b.kill();
    crowd.left(gone).await;
    numbers.more(50).await;
    let last = numbers.stop();
    let Cost { moved, missed, longest } = cost(&before, &crowd.heard(last).await, gone, last);
    println!(
        "node killed: {moved} of 24 clients moved, away for {longest} ms at most, and missed {missed} of {} deliveries; the others none",
        moved * (last + 1)
    );
    assert!(longest < 10_000, "{longest} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_rolling_restart_behind_a_balancer() {
    let redis = Redis::start();
    let mut nodes: [Node; 3] = std::array::from_fn(|_| Node::start(&redis.url()));
    let balancer = Balancer::start(&nodes.each_ref().map(Node::port));
    for restarted in 0..3 {
        // Whoever has moved is not moved back; a new crowd is spread over all nodes again.
        let mut crowd = Crowd::gather(&balancer.url(), 24);
        crowd.ask("settled").await;
        let before = crowd.report().await;
        let gone = nodes[restarted].id();
        let numbers = Numbers::of(&nodes[(restarted + 1) % 3]);
        numbers.more(50).await;
        let (began, count) = (Instant::now(), numbers.count());
        tokio::task::block_in_place(|| nodes[restarted].restart());
        let (took, meanwhile) = (began.elapsed(), numbers.count() - count);
        assert!(meanwhile > 0, "there are emits while the node is away");
        crowd.left(gone).await;
        numbers.more(50).await;
        let last = numbers.stop();
        let Cost { moved, missed, longest } = cost(&before, &crowd.heard(last).await, gone, last);
        println!(
            "restart of node {restarted}, {took:.1?} and {meanwhile} emits long: {moved} of 24 clients moved, away for {longest} ms at most, and missed {missed} of {} deliveries; the others none",
            moved * (last + 1)
        );
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
        assert_eq!(on_cut.expect("42/open,").await, format!("42/open,[\"n\",{number}]"), "its own, and nothing else");
        assert_eq!(on_well.expect("42/open,").await, format!("42/open,[\"w\",{number}]"), "the others are undisturbed");
    }
    let opened = Instant::now();
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
    println!(
        "node cut off: its client heard 50 of 50 emits of its own node and 0 of 50 of the other, whose client heard 50 of 50 of its own and 0 of 50 of the cut one; both ways again {:.1?} after the way was open",
        opened.elapsed()
    );
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
    let numbers = Numbers::of(&nodes[0]);
    numbers.more(200).await;
    let last = numbers.stop();
    for member in crowd.heard(last).await {
        assert_eq!(member.away, 0);
        assert!(complete(&member.heard, last));
    }
    crowd.until("they upgrade", |_, member| member.transport == "websocket").await;
}

#[tokio::test]
async fn r16_the_worker_example_reaches_a_user() {
    let redis = Redis::start();
    // Its channel is `/`.
    let node = Node::start(&redis.url());
    let ada = node.login("ada");
    let mut tab = RawSocket::join_with(&node.url(), "/", Some(&ada)).await;
    let ran = Command::new(program::path("worker"))
        .args(["ada", &redis.url()])
        .env("CAROLINA_SESSION__SECRET", SECRET)
        .output()
        .await
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    tab.expect("42[\"report-ready\",1048575]").await;
    let ran =
        Command::new(program::path("worker")).env_remove("CAROLINA_BACKPLANE__URL").arg("ada").output().await.unwrap();
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("CAROLINA_BACKPLANE__URL"));
}

#[tokio::test]
async fn r17_nginx_keeps_clients_with_their_node_and_tells_who_they_are() {
    #[derive(Deserialize)]
    struct Told {
        own: String,
        seen: String,
        node: u32,
        transport: String,
        answered: u32,
    }

    let redis = Redis::start();
    let trusting = [("CAROLINA_TRUSTED_PROXIES", "127.0.0.1")];
    let nodes: [Node; 2] = std::array::from_fn(|_| Node::start_with(&redis.url(), &trusting));
    let nginx = Nginx::start(&nodes.each_ref().map(Node::port));
    let clients = Command::new("node")
        .args(["behind.mjs", &nginx.url(), "12"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e"))
        .kill_on_drop(true)
        .output();
    let clients = tokio::time::timeout(DEADLINE * 2, clients).await.expect("they are done in time").unwrap();
    assert!(clients.status.success(), "{}", String::from_utf8_lossy(&clients.stderr));
    let told: Vec<Told> = serde_json::from_slice(&clients.stdout).unwrap();
    assert_eq!(told.len(), 12);
    for (number, client) in told.iter().enumerate() {
        assert_eq!(client.seen, client.own, "the server sees the client, not nginx");
        assert_eq!(client.transport, ["polling", "websocket", "websocket"][number % 3]);
        assert_eq!(client.answered, 21, "{}", client.own);
    }
    assert_eq!(told.iter().map(|client| client.node).collect::<BTreeSet<_>>().len(), 2, "both nodes have clients");
}
