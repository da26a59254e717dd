//! What `examples/quickstart` does, on socketioxide and axum alone: no sessions, no configuration, no limits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::Router;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};

static CHECKINS: AtomicU64 = AtomicU64::new(0);

#[derive(Deserialize)]
struct Checkin {
    desk: String,
}

#[derive(Serialize)]
struct Welcome {
    number: u64,
}

#[derive(Serialize)]
struct Refusal {
    error: &'static str,
}

async fn checkin(socket: SocketRef, Data(checkin): Data<Checkin>, ack: AckSender) {
    if checkin.desk.is_empty() {
        ack.send(&Refusal { error: "name the desk to check in at" }).ok();
        return;
    }
    let number = CHECKINS.fetch_add(1, Relaxed) + 1;
    socket.broadcast().emit("checked-in", &checkin.desk).await.ok();
    ack.send(&Welcome { number }).ok();
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/custom", async |socket: SocketRef| socket.on("checkin", checkin));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, Router::new().layer(layer)).await
}
