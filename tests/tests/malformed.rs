//! R15: malformed input of any kind. Nobody panics, and nobody else is disturbed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use carolina_sockets::{Config, Data, EventError, Socket, channel, on, testing::TestService};
use carolina_sockets_tests::{
    DEADLINE, again, by_hand,
    servers::{Postgres, Redis},
    start, until,
    wire::{RawSocket, exchange},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;

#[channel("/open")]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    async fn echo(&self, _socket: Socket, Data(value): Data<Value>) -> Result<Value, EventError> {
        tokio::task::yield_now().await;
        Ok(value)
    }

    #[on(any)]
    fn any(&self, Data(_): Data<Option<Vec<u8>>>) {}
}

async fn open() -> TestService {
    let mut config = Config::default();
    config.limits.connect_timeout = Duration::from_secs(2);
    config.limits.connections_per_address = 100_000;
    start(by_hand().config(config).mount::<Open>("/open")).await.listen().await.unwrap()
}

/// Frames, from sound to nonsense.
fn frame(random: &mut StdRng) -> String {
    const PIECES: [&str; 44] = [
        "4",
        "40",
        "40/open,",
        "41/open,",
        "42/open,",
        "43/open,",
        "44/open,",
        "45",
        "451-/open,",
        "452-",
        "0",
        "1",
        "2",
        "3",
        "5",
        "6",
        "[\"echo\",1]",
        "[\"echo\"",
        "[]",
        "[1]",
        "[null]",
        "{}",
        "null",
        "\"",
        "7",
        "-1",
        "99999999999999999999",
        "[\"echo\",{\"a\":[[[[",
        "[\"session_id\",\"x\"]",
        "[\"session_id\"]",
        "[\"session_id\",{}]",
        "[\"\"]",
        "[\"\\u0000\"]",
        "[\"e\\u0063ho\",2]",
        "é",
        "\u{1e}",
        "\0",
        "{\"_placeholder\":true,\"num\":0}",
        "[\"echo\",{\"_placeholder\":true,\"num\":7}]",
        "/",
        ",",
        "?x=1",
        "/nowhere,",
        "{\"sessionId\":7}",
    ];
    match random.random_range(0..10) {
        0 => (0..random.random_range(0..60)).map(|_| random.random::<char>()).collect(),
        1 => "[".repeat(random.random_range(0..5_000)),
        _ => (0..random.random_range(1..6)).filter_map(|_| PIECES.choose(random)).copied().collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r15_arbitrary_frames_harm_nobody() {
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = panics.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Those of the service, not of another test.
        let here = info.location().is_some_and(|location| location.file().contains("malformed.rs"));
        counted.fetch_add(usize::from(!here), SeqCst);
        before(info);
    }));
    let service = open().await;
    let url = service.url();
    let mut attackers = tokio::task::JoinSet::new();
    let (attacking, mut attacked) = tokio::sync::mpsc::unbounded_channel();
    for seed in 0..8_u64 {
        let (url, attacking) = (url.clone(), attacking.clone());
        attackers.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let mut socket = RawSocket::join(&url, "/open").await;
            for number in 0..500 {
                if number % 50 == 0 {
                    attacking.send(()).unwrap();
                }
                let alive = match random.random_range(0..8) {
                    0 => socket.send_binary((0..random.random_range(0..64)).map(|_| random.random()).collect()).await,
                    _ => socket.send(&frame(&mut random)).await,
                };
                if !alive {
                    socket = match random.random_range(0..2) {
                        0 => RawSocket::open(&url).await,
                        _ => RawSocket::join(&url, "/open").await,
                    };
                }
            }
        });
    }
    let mut witness = service.connect("/open").await.unwrap();
    // All along, and within its own rate.
    drop(attacking);
    let mut asked = 0_u32;
    while attacked.recv().await.is_some() {
        assert_eq!(witness.request::<u32>("echo", asked).await.unwrap(), asked);
        asked += 1;
    }
    while let Some(ended) = attackers.join_next().await {
        ended.unwrap();
    }
    assert_eq!(asked, 80);
    let _ = std::panic::take_hook();
    assert_eq!(panics.load(SeqCst), 0);
    service.connect("/open").await.unwrap().request::<u8>("echo", 1).await.unwrap();
}

#[tokio::test]
async fn r15_malformed_requests_have_an_answer() {
    let service = open().await;
    let url = service.url();
    for (request, status) in [
        ("GET /socket.io/ HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET /socket.io/?EIO=9&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET /socket.io/?EIO=4&transport=pigeon HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET /socket.io/?EIO=4&transport=polling&sid=%00 HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "400"),
        ("DELETE /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\n\r\n", "426"),
        (
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            "426",
        ),
        ("GET /socket.io/?EIO=4&transport=websocket&sid=garbage HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        ("GET /other HTTP/1.1\r\nhost: x\r\n\r\n", "404"),
        ("nonsense\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1}\0\0", ""),
    ] {
        let answer = exchange(&url, request.as_bytes()).await;
        assert!(
            answer.is_empty() && status.is_empty()
                || answer.starts_with(&format!("HTTP/1.1 {status}"))
                || status.is_empty(),
            "{request}: {answer}"
        );
    }
    service.connect("/open").await.unwrap().request::<u8>("echo", 1).await.unwrap();
}

#[tokio::test]
async fn r15_payloads_over_the_limit_end_their_own_connection_alone() {
    let service = open().await;
    let mut witness = service.connect("/open").await.unwrap();
    let mut client = RawSocket::join(&service.url(), "/open").await;
    // No event, which would be answered.
    client.send(&"2".repeat(2_000_000)).await;
    let ended = tokio::time::timeout(DEADLINE, async { while client.read().await.is_some() {} });
    assert!(ended.await.is_ok());
    assert_eq!(witness.request::<u8>("echo", 1).await.unwrap(), 1);
}

#[tokio::test]
async fn r15_odd_events_are_told_what_is_wrong() {
    let service = open().await;
    let mut client = service.connect("/open").await.unwrap();
    client.send_raw("42/open,[\"session_id\",{}]");
    let exception: Value = client.expect("exception").await.unwrap();
    assert_eq!(
        (exception["code"].as_str(), exception["event"].as_str()),
        (Some("invalid_payload"), Some("session_id"))
    );
    client.send_raw("42/open,[\"session_id\",\"forged\"]");
    let exception: Value = client.expect("exception").await.unwrap();
    assert_eq!(exception["code"], "unauthenticated");
    client.send_raw("42/open,[\"echo\",{\"_placeholder\":true,\"num\":7}]");
    assert_eq!(client.request::<u8>("echo", 3).await.unwrap(), 3);
    // A name that JSON has to escape is no event's name to the engine, which ends the connection over it.
    client.send_raw("42/open,[\"e\\u0063ho\",2]");
    client.expect_disconnect().await.unwrap();
}

#[tokio::test]
async fn r15_a_handshake_that_never_completes_is_closed() {
    let service = open().await;
    // Opened, and on no channel.
    let mut silent = RawSocket::open(&service.url()).await;
    let closed = tokio::time::timeout(DEADLINE, async { while silent.read().await.is_some() {} });
    assert!(closed.await.is_ok());
    until("its place is free", || service.sockets().connections() == 0).await;
    // Half a request head.
    let answer = tokio::time::timeout(DEADLINE, exchange_to_end(&service.url())).await;
    assert!(answer.is_ok(), "closed after limits.connect_timeout");
}

async fn exchange_to_end(url: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"GET /socket.io/?EIO=4 HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn r16_the_rules_hold_over_redis() {
    let redis = Redis::start();
    again::over(&redis.url(), &[]).await;
}

#[tokio::test]
async fn r16_the_rules_hold_over_postgres() {
    let postgres = Postgres::start();
    again::over(&postgres.url(), &[]).await;
}
