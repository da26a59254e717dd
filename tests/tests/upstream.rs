//! What socketioxide does today and carolina-sockets relies on or works around, against socketioxide alone.
//!
//! A test that fails after an update has found a change for the better or the worse; its message says what can go or has to
//! be looked at. The list is `carolina-sockets/src/engine/UPSTREAM.md`.
//!
//! The clock is paused and nothing leaves the process: time passes only when nobody has anything to do, so that "nothing
//! comes" is an observation, and a deadline costs no time.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use carolina_sockets_tests::DEADLINE;
use engineioxide_core::PacketBuf;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use serde::Serialize;
use serde_json::Value as Json;
use socketioxide::{
    SendError, SocketError, SocketIo, SocketIoBuilder, TransportType,
    adapter::{Emitter, LocalAdapter},
    extract::{AckSender, SocketRef},
    handler::{ConnectHandler, MessageHandler},
    service::SocketIoService,
    socket::{DisconnectReason, Socket},
};
use socketioxide_core::{Value, adapter::RemoteSocketData, parser::Parse};
use socketioxide_parser_common::CommonParser;
use socketioxide_redis::{
    CustomRedisAdapter, RedisAdapterConfig, RedisAdapterCtr,
    drivers::{ChanItem, Driver, MessageStream},
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tower_layer::Layer;
use tower_service::Service;

/// Long enough for all that is going to happen by itself; shorter than the interval of pings.
const MOMENT: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// socketioxide without carolina-sockets.
struct Server {
    io: SocketIo,
    service: SocketIoService<Router>,
}

impl Server {
    fn new() -> Self {
        Self::of(SocketIo::builder())
    }

    fn of(builder: SocketIoBuilder<LocalAdapter>) -> Self {
        let (service, io) = builder.build_with_inner_svc(Router::<()>::new());
        Self { io, service }
    }

    /// One whose namespaces let everybody in.
    fn with_namespaces(paths: &[&'static str]) -> Self {
        let server = Self::new();
        for &path in paths {
            server.io.ns(path, || async {});
        }
        server
    }

    /// Opens a session by polling and joins a namespace, up to the answer, with the first ping answered.
    async fn poll(&self, namespace: &str) -> Polling {
        let polling = Polling::open(&self.service).await;
        polling.post(&format!("40{namespace}")).await;
        sleep(MOMENT).await;
        let (_, answer) = polling.get().await;
        assert!(answer.contains("40"), "{answer}");
        polling.post("3").await;
        polling
    }

    fn socket(&self) -> SocketRef {
        self.io.sockets().pop().expect("a socket on `/`")
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("in time")
}

async fn text<B>(response: Response<B>) -> (StatusCode, String)
where
    B: http_body_util::BodyExt<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// A client that polls.
struct Polling {
    service: SocketIoService<Router>,
    open: Json,
}

impl Polling {
    async fn open(service: &SocketIoService<Router>) -> Self {
        let request = Request::get("/socket.io/?EIO=4&transport=polling").body(Body::empty()).expect("a request");
        let response = within(service.clone().call(request)).await.expect("an answer");
        let (status, packet) = text(response).await;
        assert_eq!(status, StatusCode::OK, "{packet}");
        let open = packet.strip_prefix('0').and_then(|json| serde_json::from_str(json).ok());
        Self { service: service.clone(), open: open.expect("an open packet") }
    }

    fn id(&self) -> &str {
        self.open["sid"].as_str().expect("a session has an id")
    }

    fn uri(&self, transport: &str) -> String {
        format!("/socket.io/?EIO=4&transport={transport}&sid={}", self.id())
    }

    async fn call(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = within(self.service.clone().call(request)).await.expect("an answer");
        within(text(response)).await
    }

    async fn get(&self) -> (StatusCode, String) {
        self.call(Request::get(self.uri("polling")).body(Body::empty()).expect("a request")).await
    }

    async fn post(&self, packet: &str) -> (StatusCode, String) {
        let request = Request::post(self.uri("polling")).body(Body::from(packet.to_owned()));
        self.call(request.expect("a request")).await
    }
}

/// A client with a WebSocket.
struct Client(WebSocketStream<DuplexStream>);

impl Client {
    async fn open<S>(service: &S) -> Self
    where
        S: Service<(DuplexStream, Request<()>), Error: std::fmt::Debug> + Clone,
    {
        let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).expect("a request");
        Self::open_with(service, request, 64 * 1024).await
    }

    /// Opens one by a request, with a pipe that holds so many bytes.
    async fn open_with<S>(service: &S, request: Request<()>, pipe: usize) -> Self
    where
        S: Service<(DuplexStream, Request<()>), Error: std::fmt::Debug> + Clone,
    {
        let (far, near) = duplex(pipe);
        within(service.clone().call((near, request))).await.map(drop).expect("the engine takes it");
        Self(WebSocketStream::from_raw_socket(far, Role::Client, None).await)
    }

    async fn join<S>(service: &S, namespaces: &[&str]) -> Self
    where
        S: Service<(DuplexStream, Request<()>), Error: std::fmt::Debug> + Clone,
    {
        let mut client = Self::open(service).await;
        let open = client.read().await.expect("an open packet");
        assert!(open.starts_with("0{"), "{open}");
        for namespace in namespaces {
            client.send(&format!("40{namespace}")).await;
            let answer = client.read().await.expect("the connection lives");
            assert!(answer.starts_with("40"), "{answer}");
        }
        // What socketioxide does after it has told the client.
        sleep(MOMENT).await;
        client
    }

    async fn send(&mut self, packet: &str) {
        within(self.0.send(Message::Text(packet.into()))).await.expect("the connection lives");
    }

    /// The next packet, pings included; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        match within(self.0.next()).await {
            Some(Ok(Message::Text(text))) => Some(text.to_string()),
            _ => None,
        }
    }

    /// The next packet that is not a ping; pings are answered.
    async fn read(&mut self) -> Option<String> {
        loop {
            match self.next().await {
                Some(ping) if ping == "2" => self.send("3").await,
                packet => return packet,
            }
        }
    }

    /// The next packet that comes by itself, if there is one.
    async fn pending(&mut self) -> Option<String> {
        timeout(MOMENT, self.read()).await.ok().flatten()
    }
}

/// Acknowledges whatever comes.
async fn acknowledge(ack: AckSender) {
    ack.send("ok").expect("room for an acknowledgement");
}

// The session.

#[tokio::test(start_paused = true)]
async fn the_first_ping_is_sent_at_once() {
    let hour = Duration::from_secs(60 * 60);
    let server = Server::of(SocketIo::builder().ping_interval(hour));
    let mut client = Client::open(&server.service).await;
    let opened = Instant::now();
    client.next().await.expect("an open packet");
    let ping = timeout(MOMENT, client.next()).await.ok().flatten();
    assert!(
        ping.as_deref() == Some("2") && opened.elapsed() < MOMENT,
        "engineioxide now waits for the interval before the first ping: what engine/ does to hold the first one back can go"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_upgrade_leaves_its_session_for_ever() {
    let server = Server::with_namespaces(&["/"]);
    let polling = server.poll("").await;
    let upgrade = Request::get(polling.uri("websocket")).body(()).unwrap();
    let mut socket = Client::open_with(&server.service, upgrade, 1024).await;
    socket.send("no probe").await;
    assert_eq!(socket.next().await, None, "the upgrade has failed");
    drop(socket);
    sleep(DAY).await;
    let answer = polling.get().await;
    assert_eq!(
        (answer.0, answer.1.as_str(), server.io.sockets().len()),
        (StatusCode::OK, "6", 1),
        "engineioxide now ends the session of a failed upgrade, or lets it go on by polling: engine/upgrade.rs need no longer \
         do so"
    );
}

#[tokio::test(start_paused = true)]
async fn the_session_s_id_is_that_of_all_its_sockets_and_its_only_credential() {
    let server = Server::with_namespaces(&["/", "/other"]);
    // Opened with nothing that would tell one client from another; each request is by itself.
    let polling = server.poll("").await;
    polling.post("40/other,").await;
    let (_, answer) = polling.get().await;
    assert_eq!(
        (answer.as_str(), server.socket().id.as_str()),
        (format!("40/other,{{\"sid\":\"{}\"}}", polling.id()).as_str(), polling.id()),
        "socketioxide now has public ids apart from the session's: engine/ can tell clients those instead of signing the \
         session's, and engine/client.rs needs another key than the socket's id"
    );
}

#[tokio::test(start_paused = true)]
async fn the_connect_packet_holds_the_id_alone() {
    let server = Server::with_namespaces(&["/"]);
    let mut client = Client::open(&server.service).await;
    client.read().await.expect("an open packet");
    client.send("40{\"token\":1}").await;
    let packet = client.read().await.expect("an answer");
    let data: serde_json::Map<String, Json> = serde_json::from_str(packet.strip_prefix("40").unwrap()).unwrap();
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        ["sid"],
        "socketioxide now sends more with the CONNECT packet: see whether engine/hooks.rs can send the identity with it"
    );
}

#[tokio::test(start_paused = true)]
async fn polling_alone_offers_an_upgrade_all_the_same() {
    let server = Server::of(SocketIo::builder().transports([TransportType::Polling]));
    let polling = Polling::open(&server.service).await;
    assert_eq!(
        polling.open["upgrades"],
        serde_json::json!(["websocket"]),
        "engineioxide no longer offers transports that are off: the note in engine/UPSTREAM.md can go"
    );
}

#[tokio::test(start_paused = true)]
async fn the_request_s_head_is_kept_as_long_as_the_session_and_no_longer() {
    let server = Server::with_namespaces(&["/"]);
    let held = Arc::new(());
    let mut request = Request::get("/socket.io/?EIO=4&transport=websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .unwrap();
    request.extensions_mut().insert(held.clone());
    let mut client = Client::open_with(&server.service, request, 1024).await;
    client.read().await.expect("an open packet");
    client.send("40").await;
    client.read().await.expect("an answer");
    sleep(MOMENT).await;
    assert!(
        server.socket().req_parts().headers.contains_key("sec-websocket-key"),
        "engineioxide no longer keeps all of the request's head: engine/head.rs may have nothing left to do"
    );
    assert!(Arc::strong_count(&held) > 1, "engine/client.rs: a connection has to live as long as its session");
    drop(client);
    sleep(MOMENT).await;
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "engineioxide keeps the extensions of a session that has ended: the place of engine/client.rs among the connections \
         is not freed"
    );
}

#[tokio::test(start_paused = true)]
async fn each_layering_is_an_engine_of_its_own() {
    let (layer, _io) = SocketIo::new_layer();
    let (one, other) = (layer.layer(Router::new()), layer.layer(Router::new()));
    let polling = Polling::open(&one).await;
    let elsewhere = Polling { service: other, open: polling.open.clone() };
    assert_ne!(
        elsewhere.post("3").await.0,
        StatusCode::OK,
        "layerings of socketioxide now share their sessions: engine/mod.rs need not keep one service to clone"
    );
    assert_eq!(polling.post("3").await.0, StatusCode::OK);
}

// Ending.

#[tokio::test(start_paused = true)]
async fn a_late_event_of_a_left_namespace_closes_the_connection() {
    let server = Server::with_namespaces(&["/", "/other"]);
    let mut client = Client::join(&server.service, &["", "/other,"]).await;
    server.socket().disconnect().unwrap();
    assert_eq!(client.read().await.as_deref(), Some("41"));
    client.send("42[\"late\"]").await;
    assert_eq!(
        client.pending().await.as_deref(),
        Some("1"),
        "socketioxide now ignores the events of a namespace that was left: engine/rejoin.rs, engine/frames.rs and the deferral \
         in engine/hooks.rs DisconnectHook can go"
    );
}

#[tokio::test(start_paused = true)]
async fn an_early_event_closes_the_connection() {
    let server = Server::with_namespaces(&["/other"]);
    let forever = |_: SocketRef| std::future::pending::<Result<(), Infallible>>();
    server.io.ns("/", (|| async {}).with(forever));
    let mut client = Client::join(&server.service, &["/other,"]).await;
    client.send("40").await;
    client.send("42[\"early\"]").await;
    assert_eq!(
        client.pending().await.as_deref(),
        Some("1"),
        "socketioxide now ignores or keeps events that come before the namespace has let the client in: engine/hooks.rs \
         ConnectHook may take its time"
    );
}

#[tokio::test(start_paused = true)]
async fn leaving_every_namespace_leaves_the_connection_open() {
    let server = Server::with_namespaces(&["/", "/other"]);
    let mut client = Client::join(&server.service, &[""]).await;
    server.socket().disconnect().unwrap();
    assert_eq!(client.read().await.as_deref(), Some("41"));
    client.send("40/other,").await;
    let answer = client.pending().await;
    assert!(
        answer.is_some_and(|answer| answer.starts_with("40/other,")),
        "socketioxide now ends connections: see whether engine/mod.rs Engine::cut and close_polling can use that"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_a_client_that_does_not_read() {
    let server = Server::with_namespaces(&["/"]);
    let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
    let mut client = Client::open_with(&server.service, request, 1024).await;
    client.read().await.expect("an open packet");
    client.send("40").await;
    client.read().await.expect("an answer");
    sleep(MOMENT).await;
    let socket = server.socket();
    for _ in 0..16 {
        socket.emit("news", &"x".repeat(1024)).unwrap();
    }
    let closed = timeout(DAY, server.io.close()).await;
    assert!(
        closed.is_err(),
        "engineioxide now ends connections whose clients do not read: engine/stream.rs ClientStream::poll_write need not watch \
         for a cut, and service/shutdown.rs need not limit Engine::close"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_forgets_the_disconnect_handlers() {
    let server = Server::new();
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    server.io.ns("/", move |socket: SocketRef| async move {
        socket.on_disconnect(move || async move { tell.store(true, SeqCst) });
    });
    let mut client = Client::join(&server.service, &[""]).await;
    within(server.io.close()).await;
    while client.read().await.is_some() {}
    sleep(MOMENT).await;
    assert!(
        !told.load(SeqCst),
        "socketioxide now calls disconnect handlers when it is closed: service/shutdown.rs need not end each socket first"
    );
}

#[tokio::test(start_paused = true)]
async fn closing_leaves_sessions_without_a_namespace() {
    let server = Server::with_namespaces(&["/"]);
    let polling = Polling::open(&server.service).await;
    within(server.io.close()).await;
    sleep(MOMENT).await;
    assert_eq!(
        polling.post("3").await.0,
        StatusCode::OK,
        "socketioxide now ends all sessions when it is closed: the note in engine/UPSTREAM.md can go"
    );
}

#[tokio::test(start_paused = true)]
async fn joining_a_room_after_the_end_leaks_it() {
    let server = Server::with_namespaces(&["/"]);
    let _client = Client::join(&server.service, &[""]).await;
    let socket = server.socket();
    socket.join("before");
    socket.clone().disconnect().unwrap();
    assert!(socket.rooms().is_empty(), "socketioxide no longer removes a socket that leaves from its rooms");
    socket.join("after");
    assert_eq!(
        socket.rooms(),
        ["after"],
        "socketioxide now refuses rooms to sockets that have left: socket.rs Socket::join need not ask `unless_closed`"
    );
}

#[tokio::test(start_paused = true)]
async fn dynamic_namespaces_are_never_removed() {
    let server = Server::new();
    server.io.dyn_ns("/room/{id}", || async {}).unwrap();
    let client = Client::join(&server.service, &["/room/1,"]).await;
    drop(client);
    sleep(DAY).await;
    assert!(
        server.io.of("/room/1").is_some_and(|room| room.sockets().is_empty()),
        "socketioxide now removes dynamic namespaces that nobody is in: channels with parameters could be namespaces of theirs"
    );
}

// Admission.

#[tokio::test(start_paused = true)]
async fn the_connect_handler_runs_after_the_client_was_told() {
    let server = Server::new();
    let gate = Arc::new(Notify::new());
    let opened = gate.clone();
    server.io.ns("/", move |socket: SocketRef| async move {
        opened.notified().await;
        socket.on("event", acknowledge);
    });
    server.io.ns("/other", |socket: SocketRef| async move { socket.on("event", acknowledge) });
    let mut client = Client::open(&server.service).await;
    client.read().await.expect("an open packet");
    const CHANGED: &str = "socketioxide now runs the connect handler before it tells the client: engine/hooks.rs ConnectHook can \
                           set its handlers in `call`";
    client.send("40").await;
    assert!(client.pending().await.is_some_and(|answer| answer.starts_with("40{")), "{CHANGED}");
    client.send("40/other,").await;
    client.read().await.expect("an answer");
    sleep(MOMENT).await;
    client.send("421[\"event\"]").await;
    client.send("42/other,2[\"event\"]").await;
    assert_eq!(client.read().await.as_deref(), Some("43/other,2[\"ok\"]"), "{CHANGED}");
    gate.notify_one();
    sleep(MOMENT).await;
    client.send("423[\"event\"]").await;
    assert_eq!(client.read().await.as_deref(), Some("433[\"ok\"]"), "{CHANGED}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_who_is_not_let_in_yet() {
    let server = Server::new();
    let sent = Arc::new(Mutex::new(None));
    let result = sent.clone();
    let middleware = move |socket: SocketRef| async move {
        *result.lock().unwrap() = Some(socket.emit("early", &()));
        Ok::<(), Infallible>(())
    };
    server.io.ns("/", (|| async {}).with(middleware));
    let _client = Client::join(&server.service, &[""]).await;
    let sent = sent.lock().unwrap().take();
    assert!(
        matches!(sent, Some(Err(SendError::Socket(SocketError::Closed)))),
        "socketioxide now sends events before the CONNECT packet, which no client expects: engine/socket.rs EngineSocket::emit \
         has to hold them back"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_leaves_the_rooms_of_earlier_middlewares() {
    let server = Server::new();
    let refused = Arc::new(Mutex::new(None));
    let kept = refused.clone();
    let joins = move |socket: SocketRef| async move {
        socket.join("room");
        *kept.lock().unwrap() = Some(socket);
        Ok::<(), Infallible>(())
    };
    let refuses = || async { Err::<(), _>("not today") };
    // The last one runs first.
    server.io.ns("/", (|| async {}).with(refuses).with(joins));
    let mut client = Client::open(&server.service).await;
    client.read().await.expect("an open packet");
    client.send("40").await;
    assert!(client.read().await.is_some_and(|answer| answer.starts_with("44")));
    let refused = refused.lock().unwrap().take().expect("the first middleware has run");
    assert!(
        refused.rooms().is_empty(),
        "socketioxide no longer takes refused sockets out of the rooms that a middleware has put them into: engine/hooks.rs \
         ConnectHook has to call leave_all before it refuses"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_connect_packet_is_ignored() {
    let server = Server::with_namespaces(&["/"]);
    let mut client = Client::join(&server.service, &[""]).await;
    client.send("40").await;
    assert_eq!(
        client.pending().await,
        None,
        "socketioxide now answers a second CONNECT: engine/rejoin.rs need not notice it on its way in"
    );
    assert_eq!(server.io.sockets().len(), 1);
}

// Events.

#[tokio::test(start_paused = true)]
async fn handlers_that_are_closures_run_beside_one_another() {
    let server = Server::new();
    server.io.ns("/", |socket: SocketRef| async move {
        let gate = Arc::new(Notify::new());
        let opens = gate.clone();
        socket.on("first", move |ack: AckSender| async move {
            gate.notified().await;
            acknowledge(ack).await;
        });
        socket.on("second", move |ack: AckSender| async move {
            acknowledge(ack).await;
            opens.notify_one();
        });
    });
    let mut client = Client::join(&server.service, &[""]).await;
    client.send("421[\"first\"]").await;
    client.send("422[\"second\"]").await;
    let answers = [client.pending().await, client.pending().await];
    assert_eq!(
        answers.map(Option::unwrap_or_default),
        ["432[\"ok\"]", "431[\"ok\"]"],
        "socketioxide now runs a socket's handlers one after the other: core/mailbox.rs may have nothing left to do"
    );
}

/// Sets a handler within a handler, from another thread, and notes whether that has to wait.
struct Nested(mpsc::UnboundedSender<bool>);

impl MessageHandler<LocalAdapter, ()> for Nested {
    fn call(&self, socket: Arc<Socket>, _: Value, _: Option<i64>) {
        let (done, set) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            socket.on_fallback(|| async {});
            let _ = done.send(());
        });
        let waits = set.recv_timeout(Duration::from_millis(100)).is_err();
        self.0.send(waits).expect("the test waits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_called_in_place_and_under_the_lock_of_handlers() {
    let server = Server::new();
    let (to, mut noted) = mpsc::unbounded_channel();
    server.io.ns("/", move |socket: SocketRef| async move { socket.on_fallback(Nested(to)) });
    let mut client = Client::join(&server.service, &[""]).await;
    client.send("42[\"event\"]").await;
    assert_eq!(
        within(noted.recv()).await,
        Some(true),
        "socketioxide no longer holds its lock while it calls a handler: the note at engine/hooks.rs SocketHooks::event can go; \
         make sure that events still come in order (r6)"
    );
}

/// Chosen as long as there is no public constructor. When this no longer compiles, there is one:
/// `EngineSocket::acknowledge` in engine/socket.rs can use it instead of an extractor with an empty value.
trait PrivateConstructor: Sized {
    fn new() -> Option<Self>;
}

impl PrivateConstructor for AckSender {
    fn new() -> Option<Self> {
        None
    }
}

#[test]
fn an_acknowledgement_is_sent_by_an_extractor_alone() {
    assert!(<AckSender>::new().is_none());
}

// Sending.

#[tokio::test(start_paused = true)]
async fn a_full_buffer_is_an_error_and_keeps_the_socket_where_it_is() {
    let server = Server::with_namespaces(&["/"]);
    let _polling = server.poll("").await;
    let socket = server.socket();
    let full = loop_until_full(&socket);
    assert_eq!(full, 128, "socketioxide's buffer has another size: config/limits, limits.send_buffer");
    assert!(
        matches!(socket.clone().disconnect(), Err(SocketError::InternalChannelFull)) && socket.connected(),
        "socketioxide now disconnects sockets whose buffers are full: channel/mod.rs Broadcast::disconnect and core/end.rs can \
         use its own way"
    );
}

fn loop_until_full(socket: &SocketRef) -> usize {
    for sent in 0..100_000 {
        match socket.emit("news", &()) {
            Ok(()) => {}
            Err(SendError::Socket(SocketError::InternalChannelFull)) => return sent,
            Err(error) => panic!("{error}"),
        }
    }
    panic!(
        "socketioxide's buffer has no end any more: engine/socket.rs SendError::Full never comes, rule R9 needs a limit of ours"
    )
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_finds_no_room_ends_the_session() {
    let server = Server::new();
    let reason = Arc::new(Mutex::new(None));
    let told = reason.clone();
    server.io.ns("/", move |socket: SocketRef| async move {
        socket.on_disconnect(move |reason: DisconnectReason| async move { *told.lock().unwrap() = Some(reason) });
    });
    let _polling = server.poll("").await;
    sleep(MOMENT).await;
    loop_until_full(&server.socket());
    sleep(Duration::from_secs(26)).await;
    assert_eq!(
        *reason.lock().unwrap(),
        Some(DisconnectReason::HeartbeatTimeout),
        "a full buffer no longer ends the session at the next ping: the note in engine/UPSTREAM.md can go"
    );
}

#[test]
fn a_queue_of_packets_has_five_kilobytes() {
    // tokio's channels make room for 32 at once.
    let queue = 32 * size_of::<PacketBuf>();
    assert!(
        queue > 4096,
        "engineioxide's queue has {queue} bytes per connection now: the figures in docs/performance.md and engine/UPSTREAM.md \
         can be taken anew"
    );
}

#[derive(Serialize)]
struct New<T>(T);

fn written(value: &impl Serialize) -> (String, usize) {
    match CommonParser.encode_value(value, Some("e")).unwrap() {
        Value::Str(text, attachments) => (text.to_string(), attachments.map_or(0, |attachments| attachments.len())),
        Value::Bytes(_) => panic!("a packet of text"),
    }
}

#[test]
fn a_newtype_is_written_without_the_event_and_binary_values_in_wrappers_are_lost() {
    assert_eq!(
        written(&New(4)).0,
        "4",
        "socketioxide now writes a newtype as the value in it: engine/payload/write.rs Writer::transparent, for what is whole, \
         can go"
    );
    for lost in [written(&vec![Some(Bytes::from_static(b"ab"))]), written(&vec![New(Bytes::from_static(b"ab"))])] {
        assert_eq!(
            lost,
            ("[\"e\",[[97,98]]]".to_owned(), 0),
            "socketioxide now attaches binary values below an Option or a newtype: engine/payload/write.rs can go"
        );
    }
    assert_eq!(written(&vec![Bytes::from_static(b"ab")]).1, 1);
}

// Other nodes.

#[test]
fn a_remote_socket_is_an_id_a_node_and_a_namespace() {
    let data = serde_json::to_value(RemoteSocketData::default()).unwrap();
    let mut known: Vec<_> = data.as_object().unwrap().keys().collect();
    known.sort();
    assert_eq!(
        known,
        ["id", "ns", "server_id"],
        "socketioxide now tells more about the sockets of other nodes: see whether Backplane::fetch_sockets in backplane/mod.rs \
         can tell whose they are, so that a user's sockets need no rooms of their own"
    );
}

/// A server between nodes that is away.
#[derive(Clone)]
struct Away;

impl Driver for Away {
    type Error = io::Error;

    async fn publish(&self, _: String, _: Vec<u8>) -> Result<(), io::Error> {
        Err(io::Error::other("away"))
    }

    async fn subscribe(&self, _: String, size: usize) -> Result<MessageStream<ChanItem>, io::Error> {
        Ok(MessageStream::new(mpsc::channel(size).1))
    }

    async fn unsubscribe(&self, _: String) -> Result<(), io::Error> {
        Ok(())
    }

    async fn num_serv(&self, _: &str) -> Result<u16, io::Error> {
        Err(io::Error::other("away"))
    }
}

#[tokio::test(start_paused = true)]
async fn an_emit_that_reaches_no_other_node_reaches_nobody() {
    type Adapter = CustomRedisAdapter<Emitter, Away>;
    let adapter = RedisAdapterCtr::new_with_driver(Away, RedisAdapterConfig::new());
    let builder = SocketIo::builder().with_adapter::<Adapter>(adapter);
    let (service, io) = builder.build_with_inner_svc(Router::<()>::new());
    io.ns("/", |_: SocketRef<Adapter>| async {}).await.unwrap();
    let mut client = Client::join(&service, &[""]).await;
    assert!(io.emit("news", &()).await.is_err());
    assert_eq!(
        client.pending().await,
        None,
        "socketioxide-redis now serves its own clients when the others cannot be reached: backplane/mod.rs Backplane::broadcast \
         must no longer do so, or they get events twice"
    );
}
