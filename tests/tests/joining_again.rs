//! Every CONNECT is answered, however soon it comes after a leave or a refusal.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use carolina_sockets::{Config, channel, on, testing::TestService};
use carolina_sockets_tests::{
    by_hand,
    engine_io::{Polling, Websocket},
    start, until,
};

#[channel]
#[derive(Default)]
struct Open;

#[channel]
#[derive(Default)]
struct Shut;

#[channel]
impl Shut {
    #[on(authorize)]
    fn authorize(&self) -> bool {
        false
    }
}

static JOINED: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Keeps the engine busy after its clients have been let in.
#[channel]
#[derive(Default)]
struct Busy;

#[channel]
impl Busy {
    #[on(connect)]
    fn connect(&self) {
        JOINED.fetch_add(1, SeqCst);
        std::thread::sleep(Duration::from_millis(10));
    }

    #[on(disconnect)]
    fn disconnect(&self) {
        LEFT.fetch_add(1, SeqCst);
    }
}

async fn service() -> TestService {
    let mut config = Config::default();
    config.limits.events_per_second = 10_000_000;
    let builder = by_hand().config(config).mount::<Open>("/open").mount::<Shut>("/shut").mount::<Busy>("/busy");
    start(builder).await.listen().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_the_engine_is_busy_with_the_join_may_join_again() {
    let service = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    for _ in 0..10 {
        socket.send("40/busy,").await;
        assert!(socket.text().await.starts_with("40/busy,"));
        socket.send("41/busy,").await;
    }
    // Each was one join.
    socket.send("40/open,").await;
    assert!(socket.text().await.starts_with("40/open,"));
    until("each has ended", || LEFT.load(SeqCst) == 10).await;
    assert_eq!(JOINED.load(SeqCst), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connect_over_a_websocket_is_answered() {
    const CLIENTS: usize = 32;
    let service = service().await;
    let each = rounds(5_000) / CLIENTS;
    let clients = (0..CLIENTS).map(|_| {
        let url = service.url();
        tokio::spawn(async move {
            let mut socket = Websocket::open_session(&url).await;
            for round in 0..each {
                socket.send("40/open,").await;
                expect(&mut socket, "40/open,", round).await;
                socket.send("41/open,").await;
                socket.send("40/shut,").await;
                expect(&mut socket, "44/shut,", round).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// The next packet, pings apart.
async fn expect(socket: &mut Websocket, beginning: &str, round: usize) {
    loop {
        let packet = socket.text().await;
        if packet == "2" {
            socket.send("3").await;
            continue;
        }
        assert!(packet.starts_with(beginning), "round {round}: {packet}");
        return;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connect_by_polling_is_answered() {
    const CLIENTS: usize = 32;
    let service = service().await;
    let each = rounds(1_000) / CLIENTS;
    let clients = (0..CLIENTS).map(|_| {
        let url = service.url();
        tokio::spawn(async move {
            let mut client = Polling::open(&url).await;
            for _ in 0..each {
                client.post("40/open,").await;
                client.expect("40/open,").await;
                client.post("41/open,\x1e40/shut,").await;
                client.expect("44/shut,").await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// How often to try: `CAROLINA_JOINS` for a longer run.
fn rounds(usual: usize) -> usize {
    std::env::var("CAROLINA_JOINS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}
