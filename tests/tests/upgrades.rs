//! Clients whose WebSockets fail while they upgrade, and sessions without a client.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use carolina_sockets::{Config, Data, channel, on, testing::TestService};
use carolina_sockets_tests::{
    by_hand,
    cutting_proxy::{Cut, CuttingProxy},
    engine_io::{Connection, Polling, Websocket, request},
    start, until,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

#[channel("/open")]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    fn echo(&self, Data(value): Data<u32>) -> u32 {
        value
    }
}

const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(8);

async fn service(ping_interval: Duration, ping_timeout: Duration) -> TestService {
    let mut config = Config::default();
    config.transport.ping_interval = ping_interval;
    config.transport.ping_timeout = ping_timeout;
    config.limits.connect_timeout = Duration::from_secs(60);
    config.limits.connections_per_address = 10_000;
    start(by_hand().config(config).mount::<Open>("/open")).await.listen().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn official_clients_whose_websockets_are_cut_stay_connected() {
    const COUNT: usize = 100;
    let service = service(PING_INTERVAL, PING_TIMEOUT).await;
    let millis = Duration::from_millis;
    let cuts = [Cut::Opened(millis(0)), Cut::Opened(millis(5)), Cut::Opened(millis(50)), Cut::Pinged, Cut::Answered];
    let mut proxies = Vec::new();
    for cut in cuts {
        proxies.push(CuttingProxy::start(&service.url(), cut).await);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in tests/e2e first, or `make test`, which does");
    let mut clients = Command::new("node")
        .args(["upgrades.mjs", &COUNT.to_string()])
        .args(proxies.iter().map(CuttingProxy::url))
        .current_dir(folder)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(clients.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
        line.expect("the clients get on").unwrap().expect("the clients have not failed")
    };
    assert_eq!(line().await, "ready");
    service.sockets().channel("/open").unwrap().emit("tick", 1).await.unwrap();
    let groups: Vec<(usize, usize, usize)> = serde_json::from_str(&line().await).unwrap();
    for (cut, (got, lost, polling)) in cuts.into_iter().zip(groups) {
        assert_eq!(got, COUNT, "{cut:?}: who got the event");
        // With the other cuts a client may believe that it has upgraded: it has lost its connection and comes back.
        if cut == cuts[0] || cut == Cut::Pinged {
            assert_eq!((lost, polling), (0, COUNT), "{cut:?}: the sessions go on by polling");
        }
    }

    // Killed, the clients say nothing more.
    clients.kill().await.unwrap();
    let killed = Instant::now();
    until("no session is left", || service.sockets().connections() == 0).await;
    let most = PING_INTERVAL + PING_TIMEOUT + Duration::from_secs(2);
    assert!(killed.elapsed() < most, "{:?}", killed.elapsed());
}

const SHORT_INTERVAL: Duration = Duration::from_millis(300);
const SHORT_TIMEOUT: Duration = Duration::from_millis(200);

/// A client on the channel, by polling.
async fn joined(url: &str) -> (Polling, String) {
    let mut client = Polling::open(url).await;
    client.post("40/open,").await;
    let connect = client.expect("40/open,").await;
    let connect: serde_json::Value = serde_json::from_str(&connect[8..]).unwrap();
    let socket_id = connect["sid"].as_str().unwrap().to_owned();
    (client, socket_id)
}

async fn is_served(client: &mut Polling) -> bool {
    client.post("42/open,7[\"echo\",5]").await == (200, "ok".to_owned()) && client.expect("43").await == "43/open,7[5]"
}

#[tokio::test]
async fn a_session_goes_on_by_polling_after_any_failed_upgrade() {
    let service = service(Duration::from_secs(30), Duration::from_secs(30)).await;
    let (mut client, _) = joined(&service.url()).await;
    for packets in [&[][..], &["2probe"], &["2probe", "2probe"], &["5"], &["4nonsense"], &["2probe", "4nonsense"]] {
        let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
        for packet in packets {
            socket.send(packet).await;
        }
        socket.abort();
        assert!(is_served(&mut client).await, "{packets:?}");
    }
    // One at a time: a second WebSocket ends, and the first may go on.
    let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
    Websocket::open(&service.url(), &client.upgrade()).await.unwrap().expect_end().await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(client.fetch().await.1, "6");
    // What was not fetched before the client switches comes over the WebSocket.
    client.post("42/open,8[\"echo\",6]").await;
    socket.send("5").await;
    assert_eq!(socket.text().await, "43/open,8[6]");
}

#[tokio::test]
async fn a_session_whose_websocket_was_tried_ends_with_its_client() {
    let service = service(SHORT_INTERVAL, SHORT_TIMEOUT).await;
    let mut clients = Vec::new();
    for packets in [&[][..], &["2probe"], &["2probe", "5"]] {
        let (client, _) = joined(&service.url()).await;
        let mut socket = Websocket::open(&service.url(), &client.upgrade()).await.unwrap();
        for packet in packets {
            socket.send(packet).await;
        }
        // Neither side closes its connections.
        clients.push((client, socket));
    }
    assert_eq!(service.sockets().connections(), clients.len());
    let begun = Instant::now();
    until("no session is left", || service.sockets().connections() == 0).await;
    assert!(begun.elapsed() < SHORT_INTERVAL + SHORT_TIMEOUT + Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_opens_and_aborts_holds_no_place() {
    let service = service(SHORT_INTERVAL, SHORT_TIMEOUT).await;
    for _ in 0..20 {
        Websocket::open_session(&service.url()).await.abort();
        // Not even the answer is read.
        let websocket = "EIO=4&transport=websocket";
        Connection::open(&service.url()).await.send("GET", websocket, "").await;
        drop(Polling::open(&service.url()).await);
    }
    let begun = Instant::now();
    until("every place is free", || service.sockets().connections() == 0).await;
    // Not only after `limits.connect_timeout`.
    assert!(begun.elapsed() < SHORT_INTERVAL + SHORT_TIMEOUT + Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn whoever_knows_a_socket_s_id_or_part_of_a_token_can_do_nothing_with_it() {
    let service = service(Duration::from_secs(30), Duration::from_secs(30)).await;
    let url = service.url();
    let (mut client, socket_id) = joined(&url).await;
    let token = client.sid().to_owned();
    assert_ne!(token, socket_id);
    let altered = {
        let last = if token.ends_with('A') { 'B' } else { 'A' };
        format!("{}{last}", &token[..token.len() - 1])
    };
    let guesses = [
        socket_id.clone(),
        format!("{socket_id}{token}"),
        altered,
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        token.to_lowercase(),
        token.to_uppercase(),
        String::new(),
        "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ];
    for guess in guesses {
        let query = format!("EIO=4&transport=polling&sid={guess}");
        for packets in ["1", "41/open,", "42/open,9[\"echo\",1]", "3"] {
            assert_eq!(request(&url, "POST", &query, packets).await.0, 400, "{guess} posts");
        }
        assert_eq!(request(&url, "GET", &query, "").await.0, 400, "{guess} reads");
        let query = format!("EIO=4&transport=websocket&sid={guess}");
        assert_eq!(Websocket::open(&url, &query).await.err(), Some(400), "{guess} upgrades");
    }
    assert!(is_served(&mut client).await);
}
