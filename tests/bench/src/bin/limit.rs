//! The limit: a WebSocket server that knows just enough of Socket.IO to answer the generator, by cutting text apart.
//! Nothing is parsed, nothing is promised; what a real server does beyond this shows as its distance.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

type Others = Arc<Mutex<HashMap<u64, UnboundedSender<Utf8Bytes>>>>;

/// The answer to a packet, if it wants one; a broadcast goes to all instead.
fn answer(packet: &str, others: &Others) -> Option<String> {
    if packet == "40" {
        return Some(r#"40{"sid":"limit"}"#.to_owned());
    }
    let event = packet.strip_prefix("42")?;
    let (id, event) = event.split_at(event.find('[')?);
    let argument = event.split_once(',')?.1.strip_suffix(']')?;
    if event.starts_with(r#"["broadcast""#) {
        let news = Utf8Bytes::from(format!(r#"42["news",{argument}]"#));
        for client in others.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // A client that has just left takes no news.
            let _ = client.send(news.clone());
        }
        return (!id.is_empty()).then(|| format!("43{id}[0]"));
    }
    (!id.is_empty()).then(|| format!("43{id}[{argument}]"))
}

async fn serve(stream: TcpStream, number: u64, others: Others) -> Result<()> {
    stream.set_nodelay(true)?;
    // Little, as servers of many connections do; the default of 128 KiB would be most of an idle one.
    let settings = WebSocketConfig::default().read_buffer_size(8192);
    let mut socket = accept_async_with_config(stream, Some(settings)).await?;
    let open = r#"0{"sid":"limit","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#;
    socket.send(Message::text(open)).await?;
    let (sender, mut news) = unbounded_channel();
    others.lock().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
    loop {
        tokio::select! {
            message = socket.next() => {
                let mut message = message;
                while let Some(received) = message {
                    match received? {
                        Message::Text(packet) => if let Some(answer) = answer(&packet, &others) {
                            socket.feed(Message::text(answer)).await?;
                        },
                        Message::Close(_) => return Ok(()),
                        _ => {}
                    }
                    match socket.next().now_or_never() {
                        Some(next) => message = next,
                        None => break,
                    }
                }
            }
            Some(first) = news.recv() => {
                socket.feed(Message::Text(first)).await?;
                while let Ok(next) = news.try_recv() {
                    socket.feed(Message::Text(next)).await?;
                }
            }
        }
        socket.flush().await?;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: bench-limit ADDRESS:PORT")?;
    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    let others = Others::default();
    for number in 0.. {
        let (stream, _) = listener.accept().await?;
        let others = others.clone();
        tokio::spawn(async move {
            let served = serve(stream, number, others.clone()).await;
            others.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            // Clients go away as they like; the generator notices what matters.
            drop(served);
        });
    }
    Ok(())
}
