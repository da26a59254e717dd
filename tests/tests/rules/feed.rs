//! The channel that emitting is tested with.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use carolina_sockets::{
    Args, Config, Data, DisconnectReason, EventError, Socket, State, channel, on, testing::TestService,
};
use carolina_sockets_tests::{by_hand, start};
use serde_json::Value;

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) outcome: Mutex<Option<Result<(), String>>>,
    pub(crate) reason: Mutex<Option<DisconnectReason>>,
}

#[channel]
pub(crate) struct Feed {
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
}

pub(crate) async fn feed(send_buffer: usize) -> (TestService, Arc<Shared>) {
    let shared = Arc::<Shared>::default();
    let mut config = Config::default();
    config.limits.send_timeout = Duration::from_millis(300);
    config.limits.send_queue = send_buffer;
    let service = start(by_hand().config(config).mount::<Feed>("/feed").state(shared.clone())).await;
    (service.listen().await.unwrap(), shared)
}
