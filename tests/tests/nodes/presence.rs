//! R20: who is on a channel, on all nodes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use carolina_sockets_tests::{
    nodes::Node,
    presence::{Mirror, sorted},
    servers::Server,
    wire::RawSocket,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{postgres, redis};

/// What is mirrored, and how often each key has appeared in it and disappeared from it.
#[derive(Default)]
struct Seen {
    mirror: Mirror,
    states: usize,
    /// `+key` and `-key`.
    changes: Vec<String>,
}

/// A client on `/here`. It is cut when it is dropped.
struct Tab {
    key: &'static str,
    seen: Arc<std::sync::Mutex<Seen>>,
    commands: mpsc::UnboundedSender<String>,
    task: JoinHandle<()>,
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tab {
    /// Joins; without a key it only watches.
    async fn open(node: &Node, key: &'static str) -> Self {
        let mut socket = RawSocket::open(&node.url()).await;
        let auth = if key.is_empty() { String::new() } else { format!("{{\"key\":\"{key}\"}}") };
        socket.also_join_with("/here", &auth).await;
        let (commands, mut received) = mpsc::unbounded_channel::<String>();
        let seen = Arc::<std::sync::Mutex<Seen>>::default();
        let keeps = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    command = received.recv() => match command {
                        Some(command) => drop(socket.send(&command).await),
                        None => return,
                    },
                    text = socket.read() => match text {
                        Some(text) => keeps.lock().unwrap().take(&text),
                        None => return,
                    },
                }
            }
        });
        let tab = Self { key, seen, commands, task };
        tab.until("a state", |seen| seen.states > 0).await;
        tab
    }

    fn send(&self, event: &str) {
        let _ = self.commands.send(format!("42/here,{event}"));
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        while !holds(&self.seen.lock().unwrap()) {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}: {:?}", self.seen.lock().unwrap().keys());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn sees(&self, keys: &[&str]) {
        self.until(&format!("{keys:?}"), |seen| seen.keys() == keys).await;
    }

    fn changes(&self) -> Vec<String> {
        self.seen.lock().unwrap().changes.clone()
    }
}

impl Seen {
    fn keys(&self) -> Vec<String> {
        self.mirror.list().into_iter().map(|(key, _)| key).collect()
    }

    fn take(&mut self, text: &str) {
        let Some(event) = text.strip_prefix("42/here,") else { return };
        let event: Value = serde_json::from_str(event).expect("an event");
        let before = self.keys();
        match event[0].as_str() {
            Some("presence_state") => {
                self.mirror.state(&event[1]);
                self.states += 1;
            }
            Some("presence_diff") => self.mirror.diff(&event[1]),
            _ => return,
        }
        if self.states == 1 && event[0] == "presence_state" {
            return;
        }
        let now = self.keys();
        self.changes.extend(now.iter().filter(|key| !before.contains(key)).map(|key| format!("+{key}")));
        self.changes.extend(before.iter().filter(|key| !now.contains(key)).map(|key| format!("-{key}")));
    }
}

/// A node's list, as the application sees it.
fn listed(node: &Node) -> Vec<(String, Vec<Value>)> {
    let response = node.http("GET", "/present", None, None);
    assert_eq!(response.status, 200, "{}", response.body);
    let list: Vec<Value> = serde_json::from_str(&response.body).unwrap();
    let entry =
        |one: &Value| (one["key"].as_str().unwrap().to_owned(), sorted(one["metas"].as_array().unwrap().clone()));
    list.iter().map(entry).collect()
}

fn keys(node: &Node) -> Vec<String> {
    listed(node).into_iter().map(|(key, _)| key).collect()
}

async fn until_listed(node: &Node, expected: &[&str]) {
    let began = Instant::now();
    while keys(node) != expected {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?} in place of {expected:?}", keys(node));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn start(server: &Server, linger: &str) -> Node {
    Node::start_with(&server.url(), &[("CAROLINA_PRESENCE__LINGER", linger)])
}

async fn nodes_know_who_is_there(server: Server) {
    let (a, b) = (start(&server, "2s"), start(&server, "2s"));
    let watcher = Tab::open(&b, "").await;
    let ada = Tab::open(&a, "ada").await;
    let _tab = Tab::open(&b, "ada").await;
    let _bob = Tab::open(&b, "bob").await;
    watcher.sees(&["ada", "bob"]).await;
    ada.sees(&["ada", "bob"]).await;
    ada.send("[\"mood\",\"great\"]");
    watcher.until("a mood", |seen| seen.mirror.list()[0].1.iter().any(|meta| meta["mood"] == "great")).await;
    // A node that starts late has the list before it serves anybody.
    let mut c = start(&server, "2s");
    assert_eq!(keys(&c), ["ada", "bob"]);
    let late = Tab::open(&c, "cyd").await;
    late.sees(&["ada", "bob", "cyd"]).await;
    // Its own key may be in the state already: the first client of a node waits until `#[on(presence)]` has been asked.
    assert!(late.changes().is_empty() || late.changes() == ["+cyd"], "{:?}", late.changes());
    watcher.sees(&["ada", "bob", "cyd"]).await;
    // A node that dies takes its own entries along, and nobody else's.
    c.kill();
    let died = Instant::now();
    watcher.sees(&["ada", "bob"]).await;
    println!("a node's death was noticed after {:?}", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(12), "{:?}", died.elapsed());
    until_listed(&a, &["ada", "bob"]).await;
    // One of ada's tabs goes, and then the other.
    drop(ada);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(listed(&b)[0].1.len(), 1);
    assert_eq!(watcher.changes(), ["+ada", "+bob", "+cyd", "-cyd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_nodes_know_who_is_there_over_redis() {
    nodes_know_who_is_there(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_nodes_know_who_is_there_over_postgres() {
    nodes_know_who_is_there(postgres()).await;
}

/// Clients of a node that restarts go to another one, and come back when that restarts.
async fn a_rolling_restart_shows_nobody_leaving(server: Server) {
    let mut nodes = [start(&server, "15s"), start(&server, "15s"), start(&server, "15s")];
    let names = ["ada", "bob", "cyd"];
    let mut tabs: Vec<(usize, Tab)> = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        tabs.push((at, Tab::open(&nodes[at], name).await));
    }
    let mut watchers: Vec<(usize, Tab)> = vec![(2, Tab::open(&nodes[2], "").await)];
    watchers[0].1.sees(&names).await;
    let mut seen = Vec::new();
    for at in 0..3 {
        tokio::task::block_in_place(|| nodes[at].restart());
        for (on, tab) in tabs.iter_mut().filter(|(on, _)| *on == at) {
            // Some come back late, to another node.
            tokio::time::sleep(Duration::from_secs(2)).await;
            *on = (at + 1) % 3;
            *tab = Tab::open(&nodes[*on], tab.key).await;
        }
        for (on, tab) in watchers.iter_mut().filter(|(on, _)| *on == at) {
            seen.extend(tab.changes());
            *tab = Tab::open(&nodes[*on], "").await;
            // It is told at once of everybody, those included who have not come back yet.
            tab.sees(&names).await;
        }
        watchers.push((at, Tab::open(&nodes[at], "").await));
        watchers.last().unwrap().1.sees(&names).await;
        for node in &nodes {
            until_listed(node, &names).await;
        }
    }
    for (_, tab) in watchers {
        seen.extend(tab.changes());
    }
    seen.retain(|change| change.starts_with('-'));
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_a_rolling_restart_shows_nobody_leaving_over_redis() {
    a_rolling_restart_shows_nobody_leaving(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_a_rolling_restart_shows_nobody_leaving_over_postgres() {
    a_rolling_restart_shows_nobody_leaving(postgres()).await;
}

/// Whatever is missed while the backplane is away is made up for, and nobody is thought dead meanwhile.
async fn an_outage_is_made_up_for(mut server: Server) {
    let settings = [("CAROLINA_PRESENCE__LINGER", "1s"), ("CAROLINA_SESSION__STORE", "memory")];
    let nodes: [Node; 2] = std::array::from_fn(|_| Node::start_with(&server.url(), &settings));
    let watcher = Tab::open(&nodes[1], "").await;
    let ada = Tab::open(&nodes[0], "ada").await;
    let _bob = Tab::open(&nodes[0], "bob").await;
    watcher.sees(&["ada", "bob"]).await;
    tokio::task::block_in_place(|| server.stop());
    drop(ada);
    let _cyd = Tab::open(&nodes[0], "cyd").await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(watcher.changes(), ["+ada", "+bob"]);
    tokio::task::block_in_place(|| server.start_again());
    watcher.sees(&["bob", "cyd"]).await;
    assert!(!watcher.changes().contains(&"-bob".to_owned()), "{:?}", watcher.changes());
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_an_outage_of_redis_is_made_up_for() {
    an_outage_is_made_up_for(redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_an_outage_of_postgres_is_made_up_for() {
    an_outage_is_made_up_for(postgres()).await;
}

/// Joins, cuts, tabs, updates, deaths and restarts of nodes: when it is quiet, every client's list is the server's.
async fn any_storm_ends_with_equal_lists(server: Server, seed: u64) {
    let mut nodes = [start(&server, "2s"), start(&server, "2s"), start(&server, "2s")];
    let names = ["ada", "bob", "cyd", "dan", "eva"];
    let mut random = StdRng::seed_from_u64(seed);
    let mut tabs: Vec<(usize, Tab)> = Vec::new();
    for step in 0..120 {
        match random.random_range(0..20) {
            0..8 => {
                let (on, name) = (random.random_range(0..3), names[random.random_range(0..names.len())]);
                tabs.push((on, Tab::open(&nodes[on], name).await));
            }
            _ if tabs.is_empty() => {}
            8..13 => drop(tabs.swap_remove(random.random_range(0..tabs.len()))),
            13..19 => {
                let tab = &tabs[random.random_range(0..tabs.len())].1;
                tab.send(&format!("[\"mood\",\"{step}\"]"));
            }
            _ => {
                let at = random.random_range(0..3);
                tabs.retain(|(on, _)| *on != at);
                tokio::task::block_in_place(|| {
                    if step % 2 == 0 {
                        nodes[at].kill();
                        nodes[at].start_again();
                    } else {
                        nodes[at].restart();
                    }
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
    }
    let open = |name: &str| tabs.iter().filter(|(_, tab)| tab.key == name).count();
    let began = Instant::now();
    'again: loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let lists: Vec<_> = nodes.iter().map(listed).collect();
        let mirrors: Vec<_> = tabs.iter().map(|(_, tab)| tab.seen.lock().unwrap().mirror.list()).collect();
        let wait = began.elapsed() < Duration::from_secs(40);
        for list in lists.iter().chain(&mirrors) {
            let here = |name: &str| list.iter().find(|(key, _)| key == name).map_or(0, |(_, metas)| metas.len());
            let counts: Vec<_> = names.iter().map(|name| (name, here(name), open(name))).collect();
            if wait && (counts.iter().any(|(_, here, open)| here != open) || *list != lists[0]) {
                continue 'again;
            }
            assert!(counts.iter().all(|(_, here, open)| here == open), "seed {seed}: {counts:?}");
            assert_eq!(*list, lists[0], "seed {seed}");
        }
        for (_, tab) in &tabs {
            for name in names {
                // What a message tells of each entry is checked by the mirror.
                let mut changes = tab.changes();
                changes.retain(|change| change[1..] == *name);
                assert!(changes.windows(2).all(|two| two[0] != two[1]), "seed {seed}: {}: {changes:?}", tab.key);
            }
        }
        println!("seed {seed}: equal after {:?}, {} clients", began.elapsed(), tabs.len());
        return;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_any_storm_ends_with_equal_lists_over_redis() {
    any_storm_ends_with_equal_lists(redis(), 1).await;
    any_storm_ends_with_equal_lists(redis(), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r20_any_storm_ends_with_equal_lists_over_postgres() {
    any_storm_ends_with_equal_lists(postgres(), 3).await;
}
