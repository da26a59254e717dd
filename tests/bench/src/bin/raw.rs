//! The contract on `socketioxide` as its documentation shows it: a closure for each event, axum around it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, bail};
use axum::{Router, serve::ListenerExt};
use carolina_bench::contract::{News, OTHERS, ROOMS, room};
use socketioxide::{
    BroadcastError, SocketIo,
    extract::{AckSender, Data, SocketRef},
};

static HANDLED: AtomicU64 = AtomicU64::new(0);

fn on_connect(socket: SocketRef) {
    socket.on("echo", async |Data::<String>(text), ack: AckSender| {
        ack.send(&text).ok();
    });
    socket.on("numbered", async |Data::<u64>(_), ack: AckSender| {
        ack.send(&HANDLED.fetch_add(1, Relaxed)).ok();
    });
    socket.on("join", async |socket: SocketRef, Data::<usize>(number), ack: AckSender| {
        socket.join(room(number));
        ack.send(&number).ok();
    });
    socket.on("broadcast", async |io: SocketIo, Data::<News>(news), ack: AckSender| {
        let missed = missed(io.emit("news", &news).await);
        ack.send(&missed).ok();
    });
    socket.on("publish", async |io: SocketIo, Data::<News>(news), ack: AckSender| {
        let rooms: Vec<String> = (0..ROOMS).map(room).collect();
        let missed = missed(io.to(rooms).emit("news", &news).await);
        ack.send(&missed).ok();
    });
    for event in OTHERS {
        socket.on(event, async |Data::<String>(text), ack: AckSender| {
            ack.send(&text).ok();
        });
    }
}

/// How many clients a broadcast did not reach, as far as its error tells.
fn missed(sent: Result<(), BroadcastError>) -> usize {
    match sent {
        Err(BroadcastError::Socket(errors)) => errors.len(),
        _ => 0,
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("usage: bench-raw ADDRESS:PORT [--nodelay]")?;
    let nodelay = match arguments.next().as_deref() {
        None => false,
        Some("--nodelay") => true,
        Some(other) => bail!("{other}: there is only --nodelay"),
    };
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| on_connect(socket));
    let listener =
        tokio::net::TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    // Off as it is by default, or on as in the library.
    let listener = listener.tap_io(move |stream| drop(stream.set_nodelay(nodelay)));
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}
