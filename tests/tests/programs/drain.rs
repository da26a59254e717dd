//! R25: what the end of a server is to official clients.

use std::{process::Stdio, time::Duration};

use carolina_sockets::{Config, channel};
use carolina_sockets_tests::{
    DEADLINE, by_hand,
    engine_io::Polling,
    program::{self, e2e},
    start,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

#[channel]
#[derive(Default)]
struct Room;

#[derive(Debug, Deserialize)]
struct Gone {
    #[expect(dead_code, reason = "shown when a test fails")]
    transport: String,
    reason: String,
    active: bool,
    told: Vec<String>,
    /// Milliseconds after the first one.
    after: u64,
}

/// Official clients over both transports, disconnected by a shutdown over such a time.
async fn gone(count: usize, over: Duration) -> Vec<Gone> {
    let mut config = Config::default();
    config.drain.over = over;
    let service = start(by_hand().config(config).mount::<Room>("/room")).await.listen().await.unwrap();
    let mut crowd = Command::new("node");
    crowd.args(["drain.mjs", &service.url(), &count.to_string(), "/room"]).current_dir(e2e());
    let mut crowd = crowd.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(crowd.stdout.take().unwrap()).lines();
    let connected = timeout(DEADLINE, lines.next_line()).await.expect("they connect").unwrap();
    assert_eq!(connected.as_deref(), Some("connected"));
    service.sockets().shutdown().await;
    let gone = timeout(DEADLINE, lines.next_line()).await.expect("they are disconnected").unwrap().unwrap();
    serde_json::from_str(&gone).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_official_clients_are_told_once_and_come_back_by_themselves() {
    for over in [Duration::ZERO, Duration::from_secs(2)] {
        let gone = gone(30, over).await;
        let silent: Vec<&Gone> = gone.iter().filter(|client| client.told.is_empty()).collect();
        assert!(silent.is_empty(), "not told: {silent:?}");
        for client in &gone {
            assert!(client.reason.starts_with("transport"), "{client:?}");
            assert!(client.active, "it connects again: {client:?}");
            assert_eq!(client.told, ["shutting_down"], "{client:?}");
        }
        let last = gone.iter().map(|client| client.after).max().unwrap();
        assert!(over.is_zero() || (1_400..=3_000).contains(&last), "the last one is closed after {last} ms");
    }
}

#[tokio::test]
async fn r25_a_client_between_two_polls_is_told_of_the_end() {
    let mut server = program::start(&mut Command::new(program::path("quickstart"))).await;
    let mut client = Polling::open(&server.url).await;
    client.post("40/custom,").await;
    client.expect("40/custom,").await;
    let pid = server.process.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    // Its next poll comes when everything else has ended.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let told = client.expect("42/custom,").await;
    assert!(told.contains("carolina:closed") && told.contains("shutting_down"), "{told}");
    let ended = timeout(DEADLINE, server.process.wait()).await.expect("it ends").unwrap();
    assert!(ended.success(), "{ended}");
}
