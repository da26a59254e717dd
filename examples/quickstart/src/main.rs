//! A channel, declared and served. `client.mjs` beside it talks to it.

use carolina_sockets::prelude::*;

/// Clients of `/custom`.
#[channel("/custom")]
#[derive(Default)]
struct MyCustomChannel {
    checkins: AtomicU64,
}

#[derive(Deserialize)]
struct Checkin {
    desk: String,
}

#[derive(Serialize)]
struct Welcome {
    number: u64,
}

#[channel]
impl MyCustomChannel {
    /// Answers with the number of the check-in, and notifies everyone on the channel.
    #[on("checkin")]
    async fn checkin(&self, socket: Socket, Data(checkin): Data<Checkin>) -> Result<Welcome, EventError> {
        if checkin.desk.is_empty() {
            return Err(EventError::new("no_desk", "name the desk to check in at"));
        }
        if socket.user_id().is_some() {
            socket.join("authenticated");
        }
        let number = self.checkins.fetch_add(1, Relaxed) + 1;
        socket.broadcast().emit("checked-in", &checkin.desk).await?;
        Ok(Welcome { number })
    }
}

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    carolina_sockets::serve().await
}
