//! The server under attack: every kind of channel, sessions, and a page that tells how many connections and tasks there are.

use std::{process::ExitCode, time::Duration};

use axum::{Json, Router, routing::get};
use carolina_sockets::{http, prelude::*};
use serde_json::{Value, json};

/// Everybody may join.
#[channel("/open")]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    fn echo(&self, Data(value): Data<Value>) -> Value {
        value
    }

    #[on("bytes")]
    fn bytes(&self, Data(all): Data<Vec<Bytes>>) -> usize {
        all.iter().map(Bytes::len).sum()
    }

    #[on("slow")]
    async fn slow(&self, Data(_): Data<String>) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    /// A room that the client names, as careless applications do.
    #[on("join")]
    fn join(&self, socket: Socket, Data(room): Data<String>) -> bool {
        let _ = socket.join(room);
        true
    }

    #[on("shout")]
    async fn shout(&self, socket: Socket, Data(text): Data<String>) -> Result<(), EventError> {
        socket.broadcast().emit("shouted", &text).await?;
        Ok(())
    }
}

/// Users alone may join.
#[channel("/members", private)]
#[derive(Default)]
struct Members;

#[channel]
impl Members {
    #[on("secret")]
    fn secret(&self) -> &'static str {
        "for members"
    }
}

/// Runs until it is killed.
pub(crate) fn run() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(async {
        let router = Router::new().route("/stats", get(stats)).route("/login", get(log_in)).route("/tell", get(tell));
        carolina_sockets::serve().router(router).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn stats(sockets: carolina_sockets::Sockets) -> Json<Value> {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    Json(json!({ "connections": sockets.connections(), "tasks": tasks }))
}

async fn log_in(session: http::Session) -> &'static str {
    match session.insert("user_id", "vic").await {
        Ok(()) => "ok",
        Err(_) => "failed",
    }
}

/// Something for the user alone.
async fn tell(sockets: carolina_sockets::Sockets) -> &'static str {
    let told = match sockets.channel("/open") {
        Ok(channel) => channel.emit_to_user("vic", "private", "for vic").await.is_ok(),
        Err(_) => false,
    };
    if told { "ok" } else { "failed" }
}
