//! R5 to R8: an event's way from the client to its one outcome.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use carolina_sockets::{
    Ack, Args, Data, DisconnectReason, Event, EventContext, EventError, FromEvent, Handshake, Socket, Sockets, State,
    TryData, channel, on, testing::ClientError,
};
use carolina_sockets_tests::{Log, by_hand, start, until, wire::RawSocket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What a test and its channel share.
#[derive(Default)]
struct Shared {
    /// Whose `#[on(connect)]` has finished.
    ready: Mutex<Vec<carolina_sockets::SocketId>>,
    seen: Mutex<Vec<u64>>,
    gate: Notify,
    connected: AtomicUsize,
    early: AtomicUsize,
    reasons: Mutex<Vec<(String, Vec<String>)>>,
    done: AtomicBool,
    kept: Mutex<Vec<Ack>>,
}

#[channel]
struct Desk {
    shared: State<Arc<Shared>>,
}

#[derive(Deserialize)]
struct Checkin {
    desk: String,
    #[serde(default)]
    items: Vec<u8>,
}

#[derive(Serialize)]
struct Welcome {
    number: u64,
}

struct Language(String);

impl FromEvent for Language {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        tokio::task::yield_now().await;
        let handshake = Handshake::from_event(context).await?;
        match handshake.headers().get("accept-language") {
            Some(value) => Ok(Self(value.to_str()?.to_owned())),
            None => Err(EventError::new("no_language", "say which")),
        }
    }
}

#[channel]
impl Desk {
    #[on(init)]
    fn new(shared: State<Arc<Shared>>) -> Self {
        Self { shared }
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket) {
        tokio::time::sleep(Duration::from_millis(3)).await;
        self.shared.ready.lock().unwrap().push(socket.id());
        self.shared.connected.fetch_add(1, SeqCst);
    }

    #[on(disconnect)]
    async fn disconnect(&self, socket: Socket, reason: DisconnectReason) {
        tokio::task::yield_now().await;
        self.shared.seen.lock().unwrap().push(u64::MAX);
        self.shared.reasons.lock().unwrap().push((format!("{reason:?}"), socket.rooms()));
    }

    #[on("first")]
    fn first(&self, socket: Socket) -> bool {
        let ready = self.shared.ready.lock().unwrap().contains(&socket.id());
        self.shared.early.fetch_add(usize::from(!ready), SeqCst);
        ready
    }

    #[on("checkin")]
    async fn checkin(&self, Data(checkin): Data<Checkin>) -> Result<Welcome, EventError> {
        Ok(Welcome { number: checkin.desk.len() as u64 + checkin.items.len() as u64 })
    }

    /// Of uneven speed.
    #[on("number")]
    async fn number(&self, Data(number): Data<u64>) {
        match number % 7 {
            0 => tokio::task::yield_now().await,
            3 => tokio::time::sleep(Duration::from_micros(200)).await,
            _ => {}
        }
        self.shared.seen.lock().unwrap().push(number);
    }

    #[on("wait")]
    async fn wait(&self) {
        self.shared.gate.notified().await;
    }

    #[on("free", concurrent)]
    async fn free(&self, Data(number): Data<u64>) -> u64 {
        number
    }

    #[on("released", concurrent)]
    async fn released(&self) -> &'static str {
        self.shared.gate.notified().await;
        "released"
    }

    #[on("fails")]
    fn fails(&self, Data(code): Data<Option<String>>) -> Result<(), EventError> {
        let code = code.unwrap_or_else(|| "sold_out".to_owned());
        Err(EventError::new(code, "no seats are left").details(json!({ "waiting": 12 })))
    }

    #[on("unknown-error")]
    fn unknown_error(&self) -> Result<u8, EventError> {
        Ok("seven and a half".parse::<u8>()?)
    }

    #[on("panics")]
    async fn panics(&self) -> u8 {
        tokio::task::yield_now().await;
        panic!("a secret of the house")
    }

    #[on("never", timeout = "60ms")]
    async fn never(&self) {
        std::future::pending::<()>().await;
    }

    #[on("rated", rate = "2/h")]
    fn rated(&self) -> u8 {
        1
    }

    #[on("user")]
    fn user(&self, user: carolina_sockets::User) -> String {
        user.id().to_owned()
    }

    #[on("unserializable")]
    fn unserializable(&self) -> HashMap<(u8, u8), u8> {
        HashMap::from([((1, 2), 3)])
    }

    #[on("by-hand")]
    async fn by_hand(&self, ack: Ack, Data(how): Data<String>) -> Result<(), EventError> {
        match how.as_str() {
            "send" => ack.send("sent").await?,
            "later" => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    let _ = ack.send("later").await;
                });
            }
            "drop" => drop(ack),
            "lose" => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    drop(ack);
                });
            }
            "send-then-fail" => {
                let _ = ack.send("first").await;
                return Err(EventError::new("late", "too late"));
            }
            _ => return Err(EventError::new("keep-and-fail", "failed")),
        }
        Ok(())
    }

    #[on("keep", timeout = "50ms")]
    fn keep(&self, ack: Ack) {
        self.shared.kept.lock().unwrap().push(ack);
    }

    #[on("by-hand-and-value")]
    async fn by_hand_and_value(&self, ack: Ack) -> &'static str {
        let _ = ack.send("by hand").await;
        "returned"
    }

    #[on("optional")]
    fn optional(&self, Data((a, b)): Data<(u8, Option<String>)>) -> Vec<String> {
        vec![a.to_string(), b.unwrap_or_default()]
    }

    #[on("two")]
    fn two(&self, Data((a, b)): Data<(u8, String)>) -> (String, u8) {
        (b, a)
    }

    #[on("all")]
    fn all(&self, Args(numbers): Args<Vec<i64>>) -> Args<Vec<i64>> {
        Args(numbers.into_iter().rev().collect())
    }

    #[on("binary")]
    fn binary(&self, Data((name, bytes)): Data<(String, Bytes)>) -> (usize, Bytes) {
        (name.len(), bytes)
    }

    #[on("try")]
    fn try_it(&self, TryData(data): TryData<u8>) -> String {
        data.map_or_else(|error| error.code().to_owned(), |data| data.to_string())
    }

    #[on("a-name", "b-name")]
    fn named(&self, event: Event) -> String {
        event.0
    }

    #[on("language")]
    fn language(&self, Language(language): Language, _: Sockets) -> String {
        language
    }

    #[on("handshake")]
    fn handshake(&self, handshake: Handshake) -> Result<Value, EventError> {
        #[derive(Deserialize)]
        struct Auth {
            token: Option<String>,
        }
        Ok(json!({
            "token": handshake.auth::<Auth>()?.token,
            "query": handshake.query().get("who"),
            "cookie": handshake.cookies().get("fruit"),
            "address": handshake.remote_address().to_string(),
            "transport": format!("{:?}", handshake.transport()),
        }))
    }

    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> Vec<String> {
        socket.join(room);
        socket.rooms()
    }

    #[on("leave-me")]
    fn leave_me(&self, socket: Socket) {
        tokio::spawn(async move { socket.disconnect().await });
    }

    #[on("signal-done")]
    async fn signal_done(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.shared.done.store(true, SeqCst);
    }
}

fn desk(shared: &Arc<Shared>) -> carolina_sockets::Builder {
    let mut config = carolina_sockets::Config::default();
    config.limits.events_per_second = 1_000_000;
    config.limits.mailbox = 20_000;
    config.limits.connections_per_address = 5_000;
    by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r5_the_first_event_is_never_lost() {
    let shared = Arc::<Shared>::default();
    let service = Arc::new(start(desk(&shared)).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let service = service.clone();
        clients.spawn(async move {
            let mut client = service.connect("/desk").await?;
            // At once, while `connect` is still running.
            client.request::<bool>("first", ()).await
        });
    }
    let answers = clients.join_all().await;
    assert_eq!(answers.len(), 1_000);
    assert!(
        answers.iter().all(|answer| answer == &Ok(true)),
        "{:?}",
        answers.iter().find(|answer| **answer != Ok(true))
    );
    assert_eq!(shared.early.load(SeqCst), 0, "no event handler ran before `connect` had finished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r6_events_keep_their_order() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    for number in 0..10_000_u64 {
        client.emit("number", number).await.unwrap();
    }
    // Behind them all, and answered after them all.
    client.deadline(carolina_sockets_tests::DEADLINE);
    client.request::<bool>("first", ()).await.unwrap();
    assert_eq!(*shared.seen.lock().unwrap(), (0..10_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn r6_disconnect_comes_after_the_last_event() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.request::<Vec<String>>("join", "news").await.unwrap();
    for number in 0..100_u64 {
        client.emit("number", number).await.unwrap();
    }
    client.leave();
    until("the disconnect handler", || !shared.reasons.lock().unwrap().is_empty()).await;
    let expected: Vec<u64> = (0..100).chain([u64::MAX]).collect();
    assert_eq!(*shared.seen.lock().unwrap(), expected);
    assert_eq!(*shared.reasons.lock().unwrap(), [("ClientLeft".to_owned(), vec!["news".to_owned()])]);
}

#[tokio::test]
async fn r6_concurrent_handlers_stand_outside_the_order() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    let waiting = client.send_request("wait", ()).unwrap();
    let queued = client.send_request("number", 5).unwrap();
    assert_eq!(client.request::<u64>("free", 9).await.unwrap(), 9, "it overtakes what waits");
    assert!(shared.seen.lock().unwrap().is_empty());
    shared.gate.notify_one();
    client.answer::<()>(waiting).await.unwrap();
    client.answer::<()>(queued).await.unwrap();
    let released = client.send_request("released", ()).unwrap();
    client.request::<()>("number", 6).await.unwrap();
    shared.gate.notify_one();
    assert_eq!(client.answer::<String>(released).await.unwrap(), "released");
}

#[tokio::test]
async fn r6_the_queue_is_bounded() {
    let shared = Arc::<Shared>::default();
    let mut config = carolina_sockets::Config::default();
    config.limits.mailbox = 4;
    let service = start(by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())).await;
    let mut client = service.connect("/desk").await.unwrap();
    let mut other = service.connect("/desk").await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    let waiting = client.send_request("wait", ()).unwrap();
    let queued: Vec<i64> = (0..4).map(|number| client.send_request("number", number).unwrap()).collect();
    let refused = client.request::<()>("number", 4).await.unwrap_err();
    assert_eq!(refused.code(), "overloaded");
    assert!(other.request::<bool>("first", ()).await.unwrap(), "nobody else is disturbed");
    shared.gate.notify_one();
    client.answer::<()>(waiting).await.unwrap();
    for ack in queued {
        client.answer::<()>(ack).await.unwrap();
    }
    assert_eq!(*shared.seen.lock().unwrap(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn r7_success_acknowledges_with_the_value() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    assert_eq!(client.request::<Value>("checkin", json!({ "desk": "AB" })).await.unwrap(), json!({ "number": 2 }));
    assert_eq!(client.request::<(String, u8)>("two", (1, "x")).await.unwrap(), ("x".to_owned(), 1));
    // An argument that did not come is `null`.
    assert_eq!(client.request::<Vec<String>>("optional", (1, "x")).await.unwrap(), ["1", "x"]);
    assert_eq!(client.request::<Vec<String>>("optional", 1).await.unwrap(), ["1", ""]);
    let error = client.request::<Value>("two", 1).await.unwrap_err();
    assert!(error.to_string().contains("[1]"), "{error}");
    let reversed: (i64, i64, i64) = client.request("all", (1, 2, 3)).await.unwrap();
    assert_eq!(reversed, (3, 2, 1));
    let bytes = Bytes::from_static(&[0, 1, 2, 255]);
    assert_eq!(client.request::<(usize, Bytes)>("binary", ("name", bytes.clone())).await.unwrap(), (4, bytes));
    assert_eq!(client.request::<String>("try", "x").await.unwrap(), "invalid_payload");
    assert_eq!(client.request::<String>("try", 7).await.unwrap(), "7");
    assert_eq!(client.request::<String>("a-name", ()).await.unwrap(), "a-name");
    assert_eq!(client.request::<String>("b-name", ()).await.unwrap(), "b-name");
}

#[tokio::test]
async fn r7_without_an_acknowledgement_failure_is_one_exception() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.emit("fails", ()).await.unwrap();
    let body: Value = client.expect("exception").await.unwrap();
    let expected =
        json!({ "code": "sold_out", "message": "no seats are left", "details": { "waiting": 12 }, "event": "fails" });
    assert_eq!(body, expected);
    client.emit("nonsense", ()).await.unwrap();
    let body: Value = client.expect("exception").await.unwrap();
    assert_eq!((&body["code"], &body["event"]), (&json!("unknown_event"), &json!("nonsense")));
    // Success without an acknowledgement says nothing.
    client.emit("checkin", json!({ "desk": "A" })).await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    client.expect_none("exception").await.unwrap();
}

#[tokio::test]
async fn r7_an_acknowledgement_by_hand_is_one_too() {
    let shared = Arc::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    assert_eq!(client.request::<String>("by-hand", "send").await.unwrap(), "sent");
    assert_eq!(client.request::<String>("by-hand", "later").await.unwrap(), "later");
    client.request::<()>("by-hand", "drop").await.unwrap();
    assert_eq!(client.request::<()>("keep", ()).await.unwrap_err().code(), "timeout");
    let kept = shared.kept.lock().unwrap().pop().unwrap();
    kept.send("too late").await.unwrap_err();
    assert_eq!(client.request::<()>("by-hand", "lose").await.unwrap_err().code(), "internal");
    assert_eq!(client.request::<String>("by-hand", "send-then-fail").await.unwrap(), "first");
    assert_eq!(client.request::<()>("by-hand", "fail").await.unwrap_err().code(), "keep-and-fail");
    assert_eq!(client.request::<String>("by-hand-and-value", ()).await.unwrap(), "by hand");
    // A second answer to any of them would have been an error of the client's.
    client.expect_none("exception").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r7_a_thousand_events_have_a_thousand_answers() {
    let shared = Arc::<Shared>::default();
    let mut config = carolina_sockets::Config::default();
    config.limits.events_per_second = 1_000_000;
    config.limits.mailbox = 900;
    config.limits.send_queue = 16;
    let service = start(by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.deadline(carolina_sockets_tests::DEADLINE);
    let ways: [(&str, Value, &str); 10] = [
        ("checkin", json!({ "desk": "A" }), ""),
        ("checkin", json!({ "desk": 5 }), "invalid_payload"),
        ("nonsense", json!(1), "unknown_event"),
        ("user", json!(1), "unauthenticated"),
        ("fails", json!("forbidden"), "forbidden"),
        ("fails", json!("mine"), "mine"),
        ("unknown-error", json!(1), "internal"),
        ("panics", json!(1), "internal"),
        ("unserializable", json!(1), "internal"),
        ("rated", json!(1), "rate_limited"),
    ];
    client.request::<u8>("rated", ()).await.unwrap();
    client.request::<u8>("rated", ()).await.unwrap();
    // All at once: some of them find the mailbox full.
    let sent: Vec<(i64, &str)> = (0..1_000)
        .map(|number| {
            let (event, data, code) = &ways[number % ways.len()];
            (client.send_request(event, data).unwrap(), *code)
        })
        .collect();
    let mut overloaded = 0;
    for (ack, expected) in sent {
        let code = match client.answer::<Value>(ack).await {
            Ok(_) => String::new(),
            Err(ClientError::Rejected { code, .. }) => code,
            Err(other) => panic!("{expected}: {other}"),
        };
        if code == "overloaded" {
            overloaded += 1;
        } else {
            assert_eq!(code, expected);
        }
    }
    assert!(overloaded < 1_000);
    let never = client.request::<()>("never", ()).await.unwrap_err();
    assert_eq!(never.code(), "timeout");
    // Whatever went wrong, the socket is as before, and nothing was answered twice.
    assert!(client.request::<bool>("first", ()).await.unwrap());
    client.expect_none("exception").await.unwrap();
}

#[tokio::test]
async fn r8_codes_tell_what_went_wrong() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    for (data, path, expected) in [
        (json!({ "desk": 5 }), "desk", "a string"),
        (json!({}), ".", "field `desk`"),
        (json!({ "desk": "A", "items": [1, 2, 300] }), "items[2]", "u8"),
        (json!("text"), ".", "struct Checkin"),
        (json!(null), ".", "struct Checkin"),
    ] {
        let error = client.request::<Value>("checkin", &data).await.unwrap_err();
        assert_eq!(error.code(), "invalid_payload");
        assert_eq!(error.details(), Some(&json!({ "path": path, "expected": expected })), "{data}");
    }
    let error = client.request::<Value>("two", (1, 2)).await.unwrap_err();
    assert_eq!(error.details().unwrap()["path"], "[1]");
    for _ in 0..2 {
        client.request::<u8>("rated", ()).await.unwrap();
    }
    let error = client.request::<u8>("rated", ()).await.unwrap_err();
    assert_eq!(error.code(), "rate_limited");
    assert!(error.details().unwrap()["retry_after_ms"].as_u64().unwrap() > 1_000_000);
    assert_eq!(client.request::<()>("user", ()).await.unwrap_err().code(), "unauthenticated");
}

#[tokio::test]
async fn r8_what_was_not_meant_for_clients_stays_in_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    for (event, secret) in [
        ("unknown-error", "invalid digit"),
        ("panics", "a secret of the house"),
        ("unserializable", "key must be a string"),
    ] {
        let error = client.request::<Value>(event, ()).await.unwrap_err();
        assert_eq!(error.code(), "internal");
        assert!(!error.to_string().contains(secret), "{error}");
        let reference = error.details().unwrap()["reference"].as_str().unwrap().to_owned();
        let text = log.text();
        let line = text.lines().find(|line| line.contains(&reference)).expect("the log has the reference");
        assert!(line.contains(secret) && line.contains(event), "{line}");
    }
    assert!(client.request::<bool>("first", ()).await.unwrap(), "neither socket nor server has ended");
}

#[tokio::test]
async fn r8_a_handler_that_never_ends_is_ended() {
    let service = start(desk(&Arc::default())).await;
    let mut client = service.connect("/desk").await.unwrap();
    let never = client.send_request("never", ()).unwrap();
    let behind = client.send_request("first", ()).unwrap();
    assert_eq!(client.answer::<()>(never).await.unwrap_err().code(), "timeout");
    assert!(client.answer::<bool>(behind).await.unwrap(), "the next event has its turn");
}

#[tokio::test]
async fn extractors_read_the_handshake_and_what_the_user_wrote() {
    let service = start(desk(&Arc::default())).await;
    let builder = service.client().header("accept-language", "it").query("who", "me%20too").cookie("fruit", "kiwi%21");
    let mut client = builder.auth(json!({ "token": "t" })).connect("/desk").await.unwrap();
    assert_eq!(client.request::<String>("language", ()).await.unwrap(), "it");
    let handshake: Value = client.request("handshake", ()).await.unwrap();
    let expected =
        json!({ "token": "t", "query": "me too", "cookie": "kiwi!", "address": "127.0.0.1", "transport": "Websocket" });
    assert_eq!(handshake, expected);
    let mut plain = service.connect("/desk").await.unwrap();
    assert_eq!(plain.request::<String>("language", ()).await.unwrap_err().code(), "no_language");
    assert_eq!(plain.request::<Value>("handshake", ()).await.unwrap()["token"], Value::Null);
}

#[tokio::test]
async fn shutdown_lets_running_handlers_finish() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared)).await;
    let mut client = service.connect("/desk").await.unwrap();
    client.request::<bool>("first", ()).await.unwrap();
    let running = client.send_request("signal-done", ()).unwrap();
    // Answered before anything behind it is; so the shutdown begins while it runs.
    client.request::<u64>("free", 1).await.unwrap();
    service.sockets().shutdown().await;
    assert!(shared.done.load(SeqCst));
    client.answer::<()>(running).await.unwrap();
    client.expect_disconnect().await.unwrap();
    assert_eq!(shared.reasons.lock().unwrap().len(), 1, "the disconnect handler has run");
    assert!(service.connect("/desk").await.is_err());
}

#[tokio::test]
async fn a_socket_that_was_taken_off_may_come_back_and_its_late_events_harm_nobody() {
    let service = start(desk(&Arc::default()).mount::<Desk>("/other")).await;
    let mut client = service.connect("/desk").await.unwrap();
    let mut other = client.channel("/other").await.unwrap();
    for _ in 0..3 {
        client.request::<()>("leave-me", ()).await.unwrap();
        client.expect_disconnect().await.unwrap();
        // Sent before the client has read the goodbye, as far as the server can tell.
        client.send_raw("42/desk,[\"first\"]");
        client.send_raw("42/desk,7[\"first\"]");
        assert!(other.request::<bool>("first", ()).await.unwrap(), "the connection lives");
        service.sockets().channel("/desk").unwrap().emit("late", ()).await.unwrap();
        client = other.channel("/desk").await.unwrap();
        assert!(client.request::<bool>("first", ()).await.unwrap());
        client.expect_none("late").await.unwrap();
    }
}

/// Lets nobody in, once it is told to decide.
#[channel]
struct Gate {
    shared: State<Arc<Shared>>,
}

#[channel]
impl Gate {
    #[on(init)]
    fn new(shared: State<Arc<Shared>>) -> Self {
        Self { shared }
    }

    #[on(connect)]
    async fn connect(&self) -> Result<(), EventError> {
        self.shared.gate.notified().await;
        Err(EventError::new("closed", "not today"))
    }

    #[on("first")]
    fn first(&self) {
        self.shared.early.fetch_add(1, SeqCst);
    }
}

#[tokio::test]
async fn r5_who_is_not_let_in_runs_no_handler_and_is_answered() {
    let shared = Arc::<Shared>::default();
    let service = start(desk(&shared).mount::<Gate>("/gate")).await.listen().await.unwrap();
    let mut client = RawSocket::join(&service.url(), "/gate").await;
    client.send("42/gate,1[\"first\"]").await;
    // Packets of a connection are read in order.
    client.also_join("/desk").await;
    shared.gate.notify_one();
    let exception = client.expect("42/gate,").await;
    assert!(exception.contains("exception") && exception.contains("not today"), "{exception}");
    let answer = client.expect("43/gate,1").await;
    assert!(answer.contains("forbidden"), "{answer}");
    client.expect("41/gate,").await;
    client.send("42/desk,2[\"first\"]").await;
    client.expect("43/desk,2").await;
    assert_eq!(shared.early.load(SeqCst), 0);
}
