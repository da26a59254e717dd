//! The channel that the rules of events are tested with. Its handlers stand beside the tests that they are for.

use std::sync::{Arc, Mutex};

use carolina_sockets::{Ack, Builder, Config, Data, DisconnectReason, Socket, SocketId, State, channel, on};
use carolina_sockets_tests::by_hand;
use tokio::sync::Notify;

/// What a test and its channel share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Whose `#[on(connect)]` has finished.
    ready: Mutex<Vec<SocketId>>,
    pub(crate) seen: Mutex<Vec<u64>>,
    pub(crate) gate: Notify,
    pub(crate) reasons: Mutex<Vec<(String, Vec<String>)>>,
    pub(crate) kept: Mutex<Vec<Ack>>,
}

#[channel]
pub(crate) struct Desk {
    pub(crate) shared: State<Arc<Shared>>,
}

#[channel]
impl Desk {
    #[on(init)]
    fn new(shared: State<Arc<Shared>>) -> Self {
        Self { shared }
    }

    #[on(connect)]
    async fn connect(&self, socket: Socket) {
        tokio::task::yield_now().await;
        self.shared.ready.lock().unwrap().push(socket.id());
    }

    #[on(disconnect)]
    async fn disconnect(&self, socket: Socket, reason: DisconnectReason) {
        tokio::task::yield_now().await;
        self.shared.seen.lock().unwrap().push(u64::MAX);
        self.shared.reasons.lock().unwrap().push((format!("{reason:?}"), socket.rooms()));
    }

    /// Whether `#[on(connect)]` had finished before.
    #[on("first")]
    fn first(&self, socket: Socket) -> bool {
        self.shared.ready.lock().unwrap().contains(&socket.id())
    }

    /// Of uneven speed.
    #[on("number")]
    async fn number(&self, Data(number): Data<u64>) {
        for _ in 0..[1, 0, 0, 5, 0, 0, 0][number as usize % 7] {
            tokio::task::yield_now().await;
        }
        self.shared.seen.lock().unwrap().push(number);
    }
}

pub(crate) fn desk(shared: &Arc<Shared>) -> Builder {
    let mut config = Config::default();
    config.limits.events_per_second = 1_000_000;
    config.limits.mailbox = 20_000;
    config.limits.connections_per_address = 5_000;
    by_hand().config(config).mount::<Desk>("/desk").state(shared.clone())
}
