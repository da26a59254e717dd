//! Events with acknowledgement, a fixed number of them in flight for each client.

use std::{
    io::{self, Write as _},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use carolina_bench::Metrics;
use clap::Args;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Target,
    client::Client,
    crowd,
    window::{Times, Window},
    wire,
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// Events that each client has sent and not got answered
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Size of the argument as JSON text
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    #[command(flatten)]
    times: Times,
}

/// A JSON string of this many bytes, quotes included.
pub(crate) fn argument(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)))
}

/// How long the last answers are waited for.
const LAST: Duration = Duration::from_secs(5);

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    if settings.in_flight == 0 || settings.clients == 0 {
        bail!("--clients and --in-flight have to be at least 1");
    }
    let window = Rc::new(Window::new());
    let mut clients = JoinSet::new();
    for client in crowd::ready(target, settings.clients).await? {
        clients.spawn_local(keep_sending(client, settings, window.clone()));
    }
    let mut metrics = window.measure(target, settings.times).await?;
    let mut unanswered = 0;
    while let Some(done) = clients.join_next().await {
        unanswered += done??;
    }
    metrics.insert("lost_answers".into(), unanswered as f64);
    Ok(metrics)
}

/// Returns how many events were never answered.
async fn keep_sending(mut client: Client, settings: Settings, window: Rc<Window>) -> io::Result<usize> {
    let argument = argument(settings.bytes);
    let tail = format!("[\"echo\",{argument}]");
    let expected = format!("[{argument}]");
    // A slot for each event in flight, with the id it has and when it was sent. Ids are a slot's number plus a multiple
    // of how many there are, so that however far answers overtake one another, each finds its slot.
    let mut slots: Vec<(u64, Instant)> = (0..settings.in_flight as u64).map(|slot| (slot, Instant::now())).collect();
    let mut free: Vec<usize> = (0..settings.in_flight).collect();
    let mut digits = Vec::new();
    loop {
        if window.is_over() && free.len() == settings.in_flight {
            return Ok(0);
        }
        let now = Instant::now();
        while let Some(slot) = free.pop_if(|_| !window.is_over()) {
            slots[slot].1 = now;
            digits.clear();
            write!(digits, "{}", slots[slot].0)?;
            client.push(&[b"42", &digits, tail.as_bytes()]);
        }
        match timeout_when(window.is_over(), client.exchange()).await {
            Some(arrived) => arrived?,
            None => return Ok(settings.in_flight - free.len()),
        }
        let now = Instant::now();
        while let Some(packet) = client.take()? {
            let Some((id, answer)) = wire::acknowledgement(client.packet(packet)) else {
                window.wrong();
                continue;
            };
            if answer != expected.as_bytes() {
                window.wrong();
            }
            let slot = (id % settings.in_flight as u64) as usize;
            if slots[slot].0 == id {
                window.answered(now - slots[slot].1);
                slots[slot].0 += settings.in_flight as u64;
                free.push(slot);
            } else {
                window.wrong();
            }
        }
    }
}

/// Waits, but not for ever once the measurement is over.
async fn timeout_when<F: Future>(limited: bool, future: F) -> Option<F::Output> {
    match limited {
        true => timeout(LAST, future).await.ok(),
        false => Some(future.await),
    }
}
