//! R5: what a client sends the moment it is in.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use carolina_sockets::{Config, EventError, Socket, SocketId, State, channel, on};
use carolina_sockets_tests::{by_hand, start, wire::RawSocket};
use tokio::sync::watch;

/// What a test and its channels share.
#[derive(Default)]
struct Opening {
    open: watch::Sender<bool>,
    /// Whose `#[on(connect)]` has finished.
    ready: Mutex<HashSet<SocketId>>,
    ran: AtomicUsize,
}

impl Opening {
    async fn wait(&self) {
        self.open.subscribe().wait_for(|open| *open).await.expect("the test holds the sender");
    }
}

/// Lets clients in once it is told to.
#[channel]
struct Hall {
    opening: State<Arc<Opening>>,
}

#[channel]
impl Hall {
    #[on(init)]
    fn new(opening: State<Arc<Opening>>) -> Self {
        Self { opening }
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket) {
        self.opening.wait().await;
        self.opening.ready.lock().unwrap().insert(socket.id());
    }

    #[on("first")]
    fn first(&self, socket: Socket) -> bool {
        self.opening.ran.fetch_add(1, SeqCst);
        self.opening.ready.lock().unwrap().contains(&socket.id())
    }
}

/// Lets nobody in, once it is told to decide.
#[channel]
struct Gate {
    opening: State<Arc<Opening>>,
}

#[channel]
impl Gate {
    #[on(init)]
    fn new(opening: State<Arc<Opening>>) -> Self {
        Self { opening }
    }

    #[on(connect)]
    async fn connect(&self) -> Result<(), EventError> {
        self.opening.wait().await;
        Err(EventError::new("closed", "not today"))
    }

    #[on("first")]
    fn first(&self) {
        self.opening.ran.fetch_add(1, SeqCst);
    }
}

/// Where a connection is seen to live.
#[channel]
#[derive(Default)]
struct Street;

#[channel]
impl Street {
    #[on("first")]
    fn first(&self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r5_the_first_event_is_never_lost() {
    let opening = Arc::<Opening>::default();
    let mut config = Config::default();
    config.limits.connections_per_address = 5_000;
    let service = Arc::new(start(by_hand().config(config).mount::<Hall>("/hall").state(opening.clone())).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let service = service.clone();
        clients.spawn(async move {
            let mut client = service.connect("/hall").await.unwrap();
            // At once, while `connect` is still running; the server has read it when it has answered what comes behind it.
            let first = client.send_request("first", ()).unwrap();
            client.expect_none("exception").await.unwrap();
            (client, first)
        });
    }
    let clients = clients.join_all().await;
    assert_eq!(opening.ran.load(SeqCst), 0, "no event handler runs before `connect` has finished");
    opening.open.send_replace(true);
    for (mut client, first) in clients {
        assert_eq!(client.answer::<bool>(first).await, Ok(true));
    }
    assert_eq!(opening.ran.load(SeqCst), 1_000);
}

#[tokio::test]
async fn r5_who_is_not_let_in_runs_no_handler_and_is_answered() {
    let opening = Arc::<Opening>::default();
    let service = start(by_hand().mount::<Gate>("/gate").mount::<Street>("/street").state(opening.clone())).await;
    let service = service.listen().await.unwrap();
    let mut client = RawSocket::join(&service.url(), "/gate").await;
    client.send("42/gate,1[\"first\"]").await;
    // Packets of a connection are read in order.
    client.also_join("/street").await;
    opening.open.send_replace(true);
    let exception = client.expect("42/gate,").await;
    assert!(exception.contains("exception") && exception.contains("not today"), "{exception}");
    let answer = client.expect("43/gate,1").await;
    assert!(answer.contains("forbidden"), "{answer}");
    client.expect("41/gate,").await;
    client.send("42/street,2[\"first\"]").await;
    client.expect("43/street,2").await;
    assert_eq!(opening.ran.load(SeqCst), 0);
}
