//! R29: values on a socket; and the sockets of a channel.

use std::{
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime},
};

use carolina_sockets::{
    Data, EventError, Handshake, Identify, Identity, Socket, SocketData, SocketInfo, State, channel, on,
};
use carolina_sockets_tests::{Log, by_hand, start, until};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
struct Seat(u32);

/// Keeps its socket, which is a circle until the socket has left.
#[derive(Clone)]
struct Keeper(#[allow(dead_code)] Socket, #[allow(dead_code)] Arc<()>);

#[derive(Default)]
struct Shared {
    left: Mutex<Vec<Option<Seat>>>,
    kept: Mutex<Weak<()>>,
}

#[channel]
#[derive(Default)]
struct Seats;

#[channel]
impl Seats {
    #[on(authorize)]
    fn authorize(&self, socket: Socket, handshake: Handshake) -> bool {
        if let Some(seat) = handshake.query().get("seat").and_then(|seat| seat.parse().ok()) {
            socket.set(Seat(seat));
        }
        true
    }

    #[on("seat")]
    fn seat(&self, SocketData(seat): SocketData<Seat>) -> u32 {
        seat.0
    }

    #[on("move")]
    fn change(&self, socket: Socket, Data(to): Data<u32>) -> Option<u32> {
        let before = socket.get::<Seat>();
        socket.set(Seat(to));
        before.map(|seat| seat.0)
    }

    #[on("stand-up")]
    fn stand_up(&self, socket: Socket) -> Option<u32> {
        socket.remove::<Seat>().map(|seat| seat.0)
    }

    #[on("sits")]
    fn sits(&self, seat: Option<SocketData<Seat>>) -> bool {
        seat.is_some()
    }

    #[on("keep")]
    fn keep(&self, socket: Socket, shared: State<Arc<Shared>>) {
        let kept = Arc::new(());
        *shared.kept.lock().unwrap() = Arc::downgrade(&kept);
        socket.set(Keeper(socket.clone(), kept));
    }

    #[on("join")]
    fn join(&self, socket: Socket, Data(rooms): Data<Vec<String>>) -> Result<(), EventError> {
        Ok(socket.try_join(rooms)?)
    }

    #[on(disconnect)]
    fn disconnect(&self, socket: Socket, shared: State<Arc<Shared>>) {
        shared.left.lock().unwrap().push(socket.get::<Seat>());
    }
}

struct ByName;

#[carolina_sockets::identity::async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        Ok(handshake.query().get("name").map_or_else(Identity::anonymous, Identity::user))
    }
}

#[tokio::test]
async fn r29_values_stay_on_their_socket_and_go_with_it() {
    let shared = Arc::<Shared>::default();
    let builder = by_hand().state(shared.clone()).mount::<Seats>("/seats").mount::<Seats>("/others");
    let service = start(builder).await;
    let mut first = service.client().query("seat", "7").connect("/seats").await.unwrap();
    let mut second = service.connect("/seats").await.unwrap();
    // What `authorize` has left is there, and a new value takes the place of the old one.
    assert_eq!(first.request::<u32>("seat", ()).await.unwrap(), 7);
    assert_eq!(first.request::<Option<u32>>("move", 8).await.unwrap(), Some(7));
    assert_eq!(first.request::<u32>("seat", ()).await.unwrap(), 8);
    // It is this socket's on this channel alone.
    assert!(!second.request::<bool>("sits", ()).await.unwrap());
    let mut other = first.channel("/others").await.unwrap();
    assert_eq!(other.request::<u32>("seat", ()).await.unwrap(), 7, "from its own `authorize`");
    assert_eq!(other.request::<Option<u32>>("stand-up", ()).await.unwrap(), Some(7));
    assert_eq!(other.request::<Option<u32>>("stand-up", ()).await.unwrap(), None);
    assert!(first.request::<bool>("sits", ()).await.unwrap());
    // The disconnect handler still has it; afterwards nothing is kept, even if a value kept its socket.
    first.request::<()>("keep", ()).await.unwrap();
    assert!(shared.kept.lock().unwrap().upgrade().is_some());
    drop((first, other));
    until("the socket has left", || shared.left.lock().unwrap().contains(&Some(Seat(8)))).await;
    until("nothing is kept", || shared.kept.lock().unwrap().upgrade().is_none()).await;
}

#[tokio::test]
async fn r29_a_value_that_nothing_has_set_is_internal_and_the_log_says_which() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = start(by_hand().state(Arc::<Shared>::default()).mount::<Seats>("/seats")).await;
    let mut client = service.connect("/seats").await.unwrap();
    let error = client.request::<u32>("seat", ()).await.unwrap_err();
    assert_eq!(error.code(), "internal");
    let reference = error.details().unwrap()["reference"].as_str().unwrap().to_owned();
    let text = log.text();
    let line = text.lines().find(|line| line.contains(&reference)).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("Seat>`: call `socket.set(…)`"), "{line}");
}

#[tokio::test]
async fn a_channel_lists_its_sockets() {
    let before = SystemTime::now();
    let builder = by_hand().identify(ByName).state(Arc::<Shared>::default()).mount::<Seats>("/seats");
    let service = start(builder).await;
    let channel = service.sockets().channel("/seats").unwrap();
    assert_eq!(channel.local_sockets(), []);
    let builder = service.client().query("name", "ada").address("10.1.2.3".parse().unwrap());
    let mut ada = builder.connect("/seats").await.unwrap();
    ada.request::<()>("join", vec!["red", "blue"]).await.unwrap();
    let mut nobody = service.connect("/seats").await.unwrap();
    nobody.request::<()>("join", vec!["red"]).await.unwrap();

    let all = channel.sockets().await.unwrap();
    assert_eq!(all, channel.local_sockets());
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[0].user_id.as_deref(), all[0].rooms.as_slice()),
        (Some("ada"), ["blue", "red"].map(String::from).as_slice())
    );
    assert_eq!(all[0].remote_address.to_string(), "10.1.2.3");
    assert_eq!((all[1].user_id.as_deref(), all[1].rooms.as_slice()), (None, ["red".to_owned()].as_slice()));
    for socket in &all {
        assert!(socket.connected_since >= before && socket.connected_since <= SystemTime::now());
    }
    let ids = |sockets: Vec<SocketInfo>| sockets.iter().map(|socket| socket.id).collect::<Vec<_>>();
    assert_eq!(ids(channel.to("blue").sockets().await.unwrap()), [all[0].id]);
    assert_eq!(ids(channel.to("red").except("blue").local().sockets().await.unwrap()), [all[1].id]);
    assert_eq!(ids(channel.to_user("ada").sockets().await.unwrap()), [all[0].id]);
    assert_eq!(channel.to(Vec::<String>::new()).sockets().await.unwrap(), []);
    channel.to("user.ada").sockets().await.unwrap_err();
    // As JSON, for a page of the application.
    let written = serde_json::to_value(&all[0]).unwrap();
    let millis = all[0].connected_since.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let expected: Value = json!({
        "id": all[0].id, "user_id": "ada", "rooms": ["blue", "red"], "remote_address": "10.1.2.3", "connected_since": millis,
    });
    assert_eq!(written, expected);
    let read: SocketInfo = serde_json::from_value(written).unwrap();
    assert!(all[0].connected_since.duration_since(read.connected_since).unwrap() < Duration::from_millis(1));

    drop(ada);
    until("she has left", || channel.local_sockets().len() == 1).await;
}
