//! R9, and all ways to emit.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use carolina_sockets::{
    Args, Config, Data, DisconnectReason, Error, EventError, Socket, Sockets, State, User, channel, on,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{DEADLINE, by_hand, start, until, wire::RawSocket};
use serde_json::{Value, json};

#[derive(Default)]
struct Shared {
    outcome: Mutex<Option<Result<(), String>>>,
    reason: Mutex<Option<DisconnectReason>>,
}

#[channel]
struct Feed {
    shared: State<Arc<Shared>>,
}

#[channel]
impl Feed {
    #[on(init)]
    fn new(shared: State<Arc<Shared>>) -> Self {
        Self { shared }
    }

    #[on("join")]
    fn join(&self, socket: Socket, Args(rooms): Args<Vec<String>>) -> Vec<String> {
        assert!(socket.join(rooms));
        socket.rooms()
    }

    #[on("leave")]
    fn leave(&self, socket: Socket, Data(room): Data<String>) -> Vec<String> {
        socket.leave(&room);
        socket.rooms()
    }

    /// Sends until the client cannot be reached any more.
    #[on("flood", timeout = "1m")]
    async fn flood(&self, socket: Socket) {
        let block = "x".repeat(20_000);
        let outcome = loop {
            if let Err(error) = socket.emit("block", &block).await {
                break Err(format!("{error:?}"));
            }
        };
        *self.shared.outcome.lock().unwrap() = Some(outcome);
    }

    #[on("echo")]
    fn echo(&self, Data(value): Data<Value>) -> Value {
        value
    }

    #[on("tell-others")]
    async fn tell_others(&self, socket: Socket, Data(room): Data<Option<String>>) -> Result<(), EventError> {
        match room {
            Some(room) => socket.to(room).emit("told", socket.id()).await?,
            None => socket.broadcast().emit("told", socket.id()).await?,
        };
        Ok(())
    }

    #[on("ask-me")]
    async fn ask_me(&self, socket: Socket) -> Result<String, EventError> {
        // Not to be waited for within the client's own order, so in a task of its own.
        let asked = tokio::spawn(async move { socket.emit_with_ack::<(String, u8)>("question", (1, 2)).await });
        let (text, number) = asked.await??;
        Ok(format!("{text}{number}"))
    }

    #[on(disconnect)]
    fn disconnect(&self, reason: DisconnectReason) {
        *self.shared.reason.lock().unwrap() = Some(reason);
    }

    #[on("whoami")]
    fn whoami(&self, user: Option<User>, _: Sockets) -> Option<String> {
        user.map(|user| user.to_string())
    }
}

async fn feed(send_buffer: usize) -> (TestService, Arc<Shared>) {
    let shared = Arc::<Shared>::default();
    let mut config = Config::default();
    config.limits.send_timeout = Duration::from_millis(300);
    config.limits.send_queue = send_buffer;
    let service = start(by_hand().config(config).mount::<Feed>("/feed").state(shared.clone())).await;
    (service.listen().await.unwrap(), shared)
}

async fn in_rooms(service: &TestService, rooms: &[&str]) -> Client {
    let mut client = service.connect("/feed").await.unwrap();
    client.request::<Value>("join", Args(rooms.to_vec())).await.unwrap();
    client
}

#[tokio::test]
async fn r9_a_slow_reader_is_waited_for_and_then_closed() {
    let (service, shared) = feed(16).await;
    let mut other = service.connect("/feed").await.unwrap();
    let mut slow = RawSocket::join(&service.url(), "/feed").await;
    assert!(slow.send("42/feed,[\"flood\"]").await);
    until("the flood has an end", || shared.outcome.lock().unwrap().is_some()).await;
    let outcome = shared.outcome.lock().unwrap().take().unwrap().unwrap_err();
    assert!(outcome.contains("did not read its messages within 300ms"), "{outcome}");
    until("the disconnect handler", || shared.reason.lock().unwrap().is_some()).await;
    assert_eq!(*shared.reason.lock().unwrap(), Some(DisconnectReason::SlowReader));
    assert_eq!(other.request::<u8>("echo", 5).await.unwrap(), 5, "nobody else is disturbed");
    // Its transport is closed too, once it has read what was on its way.
    let ended = tokio::time::timeout(DEADLINE, async { while slow.read().await.is_some() {} });
    assert!(ended.await.is_ok());
    until("its place is free", || service.sockets().connections() == 1).await;
}

#[tokio::test]
async fn r9_a_reader_that_catches_up_loses_nothing() {
    let (service, _) = feed(16).await;
    let mut client = RawSocket::join(&service.url(), "/feed").await;
    let text = "y".repeat(2_000);
    for number in 0..60 {
        assert!(client.send(&format!("42/feed,{number}[\"echo\",\"{text}\"]")).await);
    }
    for number in 0..60 {
        let answer = client.read().await.expect("it is alive");
        assert!(answer.starts_with(&format!("43/feed,{number}[")), "{answer}");
    }
}

#[tokio::test]
async fn routes_emit_by_an_extractor() {
    use axum::{Router, body::Body, routing::post};

    async fn notify(sockets: Sockets) -> Result<(), String> {
        let feed = sockets.of::<Feed>().map_err(|error| error.to_string())?;
        feed.emit("news", "from a route").await.map(drop).map_err(|error| error.to_string())
    }

    let builder = by_hand().state(Arc::new(Shared::default())).mount::<Feed>("/feed");
    let routes = Router::new().route("/notify", post(notify));
    let service = start(builder).await.router(routes);
    let mut client = service.connect("/feed").await.unwrap();
    let answer = service.http(http::Request::post("/notify").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(client.expect::<String>("news").await.unwrap(), "from a route");
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_those_who_leave_have_missed_nothing() {
    // Room for all that is emitted, so that nobody can miss anything for the want of it.
    let (service, _) = feed(4096).await;
    let channel = service.sockets().channel("/feed").unwrap();
    for _ in 0..20 {
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(RawSocket::join(&service.url(), "/feed").await);
        }
        let leaving = tokio::spawn(async move { drop(clients) });
        for _ in 0..200 {
            assert_eq!(channel.emit("news", "bye").await.unwrap().missed(), 0);
            tokio::task::yield_now().await;
        }
        leaving.await.unwrap();
    }
}

#[tokio::test]
async fn r9_a_broadcast_counts_whom_it_missed() {
    let (service, _) = feed(8).await;
    let mut slow = RawSocket::join(&service.url(), "/feed").await;
    let channel = service.sockets().channel("/feed").unwrap();
    let text = "z".repeat(20_000);
    let (mut missed, sent) = (0, 400);
    for _ in 0..sent {
        missed += channel.emit("news", &text).await.unwrap().missed();
        tokio::task::yield_now().await;
    }
    assert!(missed > 0, "the buffers were to be full");
    let received = tokio::spawn(async move {
        let mut received = 0;
        loop {
            let text = slow.read().await.expect("it is alive");
            if text.starts_with("42/feed,[\"fence\"") {
                return received;
            }
            received += 1;
        }
    });
    // Room comes with reading.
    let fenced = tokio::time::timeout(DEADLINE, async {
        while channel.emit("fence", ()).await.unwrap().missed() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    fenced.await.unwrap();
    assert_eq!(received.await.unwrap() + missed, sent);
}

#[tokio::test]
async fn rooms_and_choices() {
    let (service, _) = feed(1024).await;
    let channel = service.sockets().channel("/feed").unwrap();
    let mut red = in_rooms(&service, &["red"]).await;
    let mut both = in_rooms(&service, &["red", "blue"]).await;
    let mut none = in_rooms(&service, &[]).await;

    channel.to("red").emit("a", 1).await.unwrap();
    channel.to(["red", "blue"]).emit("b", (1, "two")).await.unwrap();
    channel.to("red").except("blue").emit("c", json!({})).await.unwrap();
    channel.except(vec!["red".to_owned()]).emit("d", Args(vec![1, 2, 3])).await.unwrap();
    channel.to(Vec::<String>::new()).emit("e", ()).await.unwrap();
    channel.emit("end", ()).await.unwrap();

    for (client, expected) in [(&mut red, "abc"), (&mut both, "ab"), (&mut none, "d")] {
        client.expect::<Value>("end").await.unwrap();
        for event in ["a", "b", "c", "d", "e"] {
            match expected.contains(event) {
                true => assert!(client.expect::<Value>(event).await.is_ok(), "{event} of {expected}"),
                false => client.expect_none(event).await.unwrap(),
            }
        }
        client.expect_none("a").await.expect("each came once");
    }
    assert_eq!(both.request::<Vec<String>>("leave", "red").await.unwrap(), ["blue"]);
    channel.to("red").emit("f", ()).await.unwrap();
    channel.emit("end", ()).await.unwrap();
    both.expect::<Value>("end").await.unwrap();
    both.expect_none("f").await.unwrap();
    red.expect::<Value>("f").await.unwrap();
}

#[tokio::test]
async fn a_socket_speaks_to_the_others() {
    let (service, _) = feed(1024).await;
    let mut one = in_rooms(&service, &["room"]).await;
    let mut two = in_rooms(&service, &["room"]).await;
    let mut three = in_rooms(&service, &[]).await;
    one.request::<()>("tell-others", ()).await.unwrap();
    let id: String = two.expect("told").await.unwrap();
    assert_eq!(three.expect::<String>("told").await.unwrap(), id);
    one.request::<()>("tell-others", "room").await.unwrap();
    two.expect::<String>("told").await.unwrap();
    one.expect_none("told").await.unwrap();
    three.expect_none("told").await.unwrap();
}

#[tokio::test]
async fn acknowledgements_from_clients() {
    let (service, _) = feed(1024).await;
    let channel = service.sockets().channel("/feed").unwrap();
    let mut one = service.connect("/feed").await.unwrap();
    let asked = one.send_request("ask-me", ()).unwrap();
    assert_eq!(one.expect_and_answer::<(u8, u8)>("question", ("x", 7)).await.unwrap(), (1, 2));
    assert_eq!(one.answer::<String>(asked).await.unwrap(), "x7");

    let mut two = service.connect("/feed").await.unwrap();
    let collected = tokio::spawn(async move { channel.emit_with_ack::<u8>("count", ()).await });
    one.expect_and_answer::<Value>("count", 1).await.unwrap();
    two.expect_and_answer::<Value>("count", "not a number").await.unwrap();
    let answers = collected.await.unwrap().unwrap();
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Ok(1))).count(), 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(|answer| matches!(answer, Err(Error::Acknowledgement(_)))).count(),
        1,
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_channel_disconnects_its_clients() {
    let (service, shared) = feed(1024).await;
    let channel = service.sockets().of::<Feed>().unwrap();
    let mut red = in_rooms(&service, &["red"]).await;
    let mut blue = in_rooms(&service, &["blue"]).await;
    channel.to("red").disconnect().await.unwrap();
    red.expect_disconnect().await.unwrap();
    until("the disconnect handler", || shared.reason.lock().unwrap().is_some()).await;
    assert_eq!(*shared.reason.lock().unwrap(), Some(DisconnectReason::ServerDisconnect));
    assert_eq!(blue.request::<u8>("echo", 1).await.unwrap(), 1);
    channel.disconnect().await.unwrap();
    blue.expect_disconnect().await.unwrap();
}

#[tokio::test]
async fn what_does_not_serialize_is_an_error_value() {
    let (service, _) = feed(1024).await;
    let _client = service.connect("/feed").await.unwrap();
    let channel = service.sockets().channel("/feed").unwrap();
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let error = channel.emit("map", &map).await.unwrap_err();
    assert!(matches!(&error, Error::Serialize { event, .. } if event == "map"), "{error}");
}
