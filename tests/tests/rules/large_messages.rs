//! R31: messages beyond `limits.max_payload` and `limits.max_attachments`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use carolina_sockets::{
    Config, Data, DisconnectReason, Event, State, channel, on,
    testing::{ClientError, TestService},
};
use carolina_sockets_tests::{
    by_hand,
    engine_io::{Polling, Websocket, request},
    program::node,
    start, until, with_tls,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[derive(Default)]
struct Seen {
    handled: AtomicUsize,
    ended: std::sync::Mutex<Vec<DisconnectReason>>,
}

#[channel("/large")]
struct Large(Arc<Seen>);

#[channel]
impl Large {
    #[on(init)]
    fn init(State(seen): State<Arc<Seen>>) -> Self {
        Self((*seen).clone())
    }

    #[on("echo")]
    fn echo(&self, Data(value): Data<Value>) -> usize {
        self.0.handled.fetch_add(1, SeqCst);
        value.as_str().map_or(0, str::len)
    }

    #[on("binary")]
    fn binary(&self, Data(parts): Data<Vec<bytes::Bytes>>) -> usize {
        self.0.handled.fetch_add(1, SeqCst);
        parts.iter().map(bytes::Bytes::len).sum()
    }

    /// Not even this one gets what is too large.
    #[on(any)]
    fn any(&self, Event(name): Event) -> String {
        self.0.handled.fetch_add(1, SeqCst);
        name
    }

    #[on(disconnect)]
    fn disconnect(&self, reason: DisconnectReason) {
        self.0.ended.lock().unwrap().push(reason);
    }
}

const LIMIT: u64 = 20_000;

async fn service() -> (TestService, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let mut config = Config::default();
    config.limits.max_payload = LIMIT;
    config.limits.max_attachments = 2;
    let builder = by_hand().config(config).state(seen.clone()).mount::<Large>("/large");
    (start(builder).await.listen().await.unwrap(), seen)
}

fn too_large(setting: &str, actual: u64, allowed: u64) -> Value {
    let unit = if setting == "limits.max_payload" { "bytes" } else { "attachments" };
    json!({
        "code": "payload_too_large",
        "message": format!("the message has {actual} {unit}, of {allowed} allowed ({setting})"),
        "details": { "setting": setting, "actual": actual, "allowed": allowed },
    })
}

/// The error in an acknowledgement.
fn error(packet: &str, beginning: &str) -> Value {
    let answer = packet.strip_prefix(beginning).unwrap_or_else(|| panic!("{packet}"));
    serde_json::from_str::<Value>(answer).unwrap()[0]["error"].take()
}

fn bytes(length: usize) -> bytes::Bytes {
    vec![7; length].into()
}

#[tokio::test]
async fn r31_what_is_too_large_is_answered_and_the_connection_goes_on() {
    let (service, seen) = service().await;
    let mut client = service.connect("/large").await.unwrap();
    let large = "x".repeat(30_000);
    let Err(ClientError::Rejected { code, details, .. }) = client.request::<usize>("echo", &large).await else {
        panic!("it is refused")
    };
    assert_eq!((code.as_str(), details.unwrap()["allowed"].as_u64()), ("payload_too_large", Some(LIMIT)));
    let error = client.request::<usize>("binary", vec![bytes(15_000), bytes(15_000)]).await.unwrap_err();
    assert_eq!(error.code(), "payload_too_large");
    let error = client.request::<usize>("binary", vec![bytes(1), bytes(1), bytes(1)]).await.unwrap_err();
    assert_eq!(error.details().unwrap()["setting"], "limits.max_attachments");
    let error = client.request::<usize>("undeclared", &large).await.unwrap_err();
    assert_eq!(error.code(), "payload_too_large");
    // Without an acknowledgement; what follows is handled.
    client.emit("echo", &large).await.unwrap();
    let exception: Value = client.expect("exception").await.unwrap();
    assert_eq!((&exception["code"], &exception["event"]), (&json!("payload_too_large"), &json!("echo")));
    assert_eq!(seen.handled.load(SeqCst), 0);
    assert_eq!(client.request::<usize>("echo", "x".repeat(15_000)).await.unwrap(), 15_000);
    assert_eq!(client.request::<usize>("binary", vec![bytes(9_000), bytes(9_000)]).await.unwrap(), 18_000);
}

#[tokio::test]
async fn r31_both_transports_answer_alike() {
    let (service, seen) = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40/large,").await;
    assert!(socket.text().await.starts_with("40/large,"));
    let mut polling = Polling::open(&service.url()).await;
    polling.post("40/large,").await;
    polling.expect("40/large,").await;

    let event = format!("42/large,7[\"echo\",\"{}\"]", "x".repeat(30_000));
    let expected = too_large("limits.max_payload", event.len() as u64, LIMIT);
    socket.send(&event).await;
    socket.send("42/large,8[\"echo\",\"a\"]").await;
    assert_eq!(error(&socket.text().await, "43/large,7"), expected);
    assert_eq!(socket.text().await, "43/large,8[1]");
    assert_eq!(polling.post(&format!("{event}\u{1e}42/large,[\"echo\",\"a\"]")).await, (200, "ok".to_owned()));
    assert_eq!(error(&polling.expect("43/large,7").await, "43/large,7"), expected);
    until("what follows it in the body", || seen.handled.load(SeqCst) == 2).await;
    assert_eq!(seen.handled.swap(0, SeqCst), 2);

    // An attachment that is too large, in a body of its own.
    let header = "451-/large,9[\"binary\",[{\"_placeholder\":true,\"num\":0}]]";
    let excess = too_large("limits.max_payload", header.len() as u64 + 30_000, LIMIT);
    socket.send(header).await;
    socket.send_binary(&bytes(30_000)).await;
    assert_eq!(error(&socket.text().await, "43/large,9"), excess);
    polling.post(header).await;
    assert_eq!(polling.post(&format!("b{}", "Bwc4".repeat(10_000))).await.0, 200);
    assert_eq!(error(&polling.expect("43/large,9").await, "43/large,9"), excess);
    // One that fits does so by both transports, though it is larger where it is written as text.
    polling.post(&header.replace(",9[", ",10[")).await;
    polling.post(&format!("b{}", "Bwc4".repeat(6_000))).await;
    polling.expect("43/large,10[18000]").await;
    assert_eq!(seen.handled.load(SeqCst), 1);

    // Who joins with too much is told so.
    let joining = format!("40/large,{{\"token\":\"{}\"}}", "x".repeat(30_000));
    let mut other = Websocket::open_session(&service.url()).await;
    other.send(&joining).await;
    let refused = other.text().await;
    assert!(refused.starts_with("44/large,") && refused.contains("payload_too_large: the message has 3"), "{refused}");
}

#[tokio::test]
async fn r31_what_cannot_be_answered_is_closed_with_a_reason() {
    let (service, seen) = service().await;
    let mut socket = Websocket::open_session(&service.url()).await;
    socket.send("40/large,").await;
    assert!(socket.text().await.starts_with("40/large,"));
    socket.send(&"3".repeat(30_000)).await;
    let (code, reason) = socket.expect_close().await;
    assert_eq!(code, CloseCode::Size);
    assert_eq!(reason, "payload_too_large: 30000 bytes, of 20000 allowed (limits.max_payload)");
    until("the disconnect handler", || *seen.ended.lock().unwrap() == [DisconnectReason::PayloadTooLarge]).await;

    // More packets than fit, and than are answered one by one.
    let mut polling = Polling::open(&service.url()).await;
    polling.post("40/large,").await;
    polling.expect("40/large,").await;
    let (status, body) = polling.post(&vec![format!("42[\"{}\"]", "x".repeat(500)); 1000].join("\u{1e}")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["code"]), (413, &json!("payload_too_large")));
    assert!(body["message"].as_str().unwrap().ends_with("of 20000 allowed (limits.max_payload)"), "{body}");
    until("the disconnect handler", || seen.ended.lock().unwrap().len() == 2).await;
    assert_eq!(seen.ended.lock().unwrap()[1], DisconnectReason::PayloadTooLarge);
    assert_eq!(request(&service.url(), "GET", &polling.query(), "").await.0, 400);
}

/// The official client, with 3 MB where 1 MB is allowed by default, over TCP and over TLS.
#[tokio::test]
async fn r31_the_official_client_reads_what_was_wrong() {
    for config in [Config::default(), with_tls(Config::default())] {
        let seen = Arc::<Seen>::default();
        let builder = by_hand().config(config).state(seen.clone()).mount::<Large>("/large");
        let service = start(builder).await.listen().await.unwrap();
        for transports in ["websocket", "polling", "polling,websocket"] {
            seen.handled.store(0, SeqCst);
            node("large.mjs", &[&service.url(), transports]).await;
            assert_eq!(seen.handled.load(SeqCst), 3, "{} {transports}", service.url());
        }
    }
}

#[tokio::test]
async fn r31_it_is_logged_by_whom_with_what_and_which_setting_to_raise() {
    let log = Arc::<std::sync::Mutex<Vec<u8>>>::default();
    let writer = Log(log.clone());
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (service, _) = service().await;
    let mut client = service.connect("/large").await.unwrap();
    // Other tests may have logged the same cause within the second.
    let expected = "for `echo` on `/large` with";
    let logged = || String::from_utf8_lossy(&log.lock().unwrap()).contains(expected);
    let again = async {
        while !logged() {
            client.request::<usize>("echo", "x".repeat(30_000)).await.unwrap_err();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(carolina_sockets_tests::DEADLINE, again).await.expect("it is logged");
    let log = String::from_utf8_lossy(&log.lock().unwrap()).into_owned();
    let line = log.lines().find(|line| line.contains(expected)).unwrap();
    for part in ["a message from 127.0.0.1", "20000 allowed (limits.max_payload)", "cause=\"payload_too_large\""] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

/// Collects what is logged.
#[derive(Clone)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
