//! The official JavaScript client, over both transports.

use carolina_sockets::{Args, Data, EventError, Handshake, Socket, channel, on, testing::TestService};
use carolina_sockets_tests::{by_hand, program::node, start};
use serde_json::{Value, json};

#[channel]
#[derive(Default)]
struct Official;

#[derive(serde::Deserialize)]
struct Auth {
    token: Option<String>,
}

/// One argument, whatever it holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stamp(u64);

#[channel]
impl Official {
    /// Is not over before the client has sent its first event: its answer comes behind that.
    #[on(connect)]
    async fn connect(&self, socket: Socket, handshake: Handshake) -> Result<(), EventError> {
        socket.emit_with_ack::<()>("connecting", ()).await?;
        Ok(socket.emit("welcome", handshake.auth::<Auth>()?.token).await?)
    }

    #[on("echo")]
    fn echo(&self, Data(value): Data<Value>) -> Value {
        value
    }

    #[on("reverse")]
    fn reverse(&self, Args(mut values): Args<Vec<Value>>) -> Args<Vec<Value>> {
        values.reverse();
        Args(values)
    }

    #[on("binary")]
    fn binary(&self, Data(bytes): Data<bytes::Bytes>) -> bytes::Bytes {
        bytes.iter().rev().copied().collect::<Vec<u8>>().into()
    }

    #[on("stamp")]
    async fn stamp(&self, socket: Socket, Data(stamp): Data<Stamp>) -> Result<Stamp, EventError> {
        socket.emit("stamped", &stamp).await?;
        socket.broadcast().emit("stamped", &stamp).await?;
        let again: Stamp = socket.emit_with_ack("stamp-again", &stamp).await?;
        Ok(Stamp(again.0 + 1))
    }

    #[on("maybe")]
    fn maybe(&self, Data(bytes): Data<Option<bytes::Bytes>>) -> Option<bytes::Bytes> {
        bytes
    }

    #[on("nothing")]
    async fn nothing(&self) {}

    #[on("fails")]
    fn fails(&self) -> Result<(), EventError> {
        Err(EventError::new("sold_out", "none are left").details(json!({ "waiting": 2 })))
    }

    #[on("count")]
    async fn count(&self, Data(number): Data<u32>) -> u32 {
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
        number
    }

    #[on("ask", concurrent)]
    async fn ask(&self, socket: Socket) -> Result<String, EventError> {
        Ok(socket.emit_with_ack("question", "why").await?)
    }

    #[on("dismiss")]
    fn dismiss(&self, socket: Socket) {
        drop(socket.disconnect());
    }
}

#[channel(private)]
#[derive(Default)]
struct Private;

async fn service() -> TestService {
    official(carolina_sockets::Config::default()).await
}

/// The service that `client.mjs` expects.
pub(super) async fn official(mut config: carolina_sockets::Config) -> TestService {
    config.limits.events_per_second = 100_000;
    config.limits.mailbox = 2_000;
    let builder = by_hand()
        .config(config)
        .mount::<Official>("/official")
        .mount::<Official>("/other")
        .mount::<Private>("/private");
    start(builder).await.listen().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_websocket() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "websocket"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_polling() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "polling"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_polling_with_upgrade() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "polling,websocket"]).await;
}
