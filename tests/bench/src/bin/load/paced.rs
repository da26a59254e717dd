//! Events with acknowledgement at a fixed rate, whether or not the ones before were answered: what clients see of a
//! server that has time to spare.

use std::{
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use carolina_bench::Metrics;
use clap::Args;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{
    Target,
    client::Client,
    crowd,
    echo::argument,
    window::{Times, Window},
    wire,
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Events of each client
    #[arg(long, default_value_t = 20.0)]
    per_second: f64,
    /// Size of the argument as JSON text
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    #[command(flatten)]
    pub(crate) times: Times,
}

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    let clients = enter(target, settings).await?;
    send(target, settings, clients).await
}

/// Connects the clients.
pub(crate) async fn enter(target: Target, settings: Settings) -> Result<Vec<Client>> {
    if settings.clients == 0 || settings.per_second <= 0.0 {
        bail!("--clients and --per-second have to be more than 0");
    }
    crowd::ready(target, settings.clients).await
}

/// Has them send, and measures.
pub(crate) async fn send(target: Target, settings: Settings, connected: Vec<Client>) -> Result<Metrics> {
    let window = Rc::new(Window::new());
    let between = Duration::from_secs_f64(1.0 / settings.per_second);
    let mut clients = JoinSet::new();
    for (number, client) in connected.into_iter().enumerate() {
        // Spread evenly, so that they do not all send at once.
        let offset = between.mul_f64(number as f64 / settings.clients as f64);
        clients.spawn_local(send_paced(client, between, offset, settings.bytes, window.clone()));
    }
    let mut metrics = window.measure(target, settings.times).await?;
    let mut lost = 0;
    while let Some(done) = clients.join_next().await {
        lost += done??;
    }
    metrics.insert("lost_answers".into(), lost as f64);
    Ok(metrics)
}

/// Returns how many events were not answered within 5 seconds after the last.
async fn send_paced(
    mut client: Client,
    between: Duration,
    offset: Duration,
    bytes: usize,
    window: Rc<Window>,
) -> io::Result<usize> {
    let tail = format!("[\"echo\",{}]", argument(bytes));
    let mut sent: Vec<Option<Instant>> = Vec::new();
    let mut in_flight = 0;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, between);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut deadline = None;
    loop {
        if window.is_over() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + Duration::from_secs(5));
            if in_flight == 0 || Instant::now() > deadline {
                return Ok(in_flight);
            }
        }
        tokio::select! {
            arrived = client.exchange() => arrived?,
            _ = ticks.tick() => {
                if !window.is_over() {
                    client.push(&[b"42", sent.len().to_string().as_bytes(), tail.as_bytes()]);
                    sent.push(Some(Instant::now()));
                    in_flight += 1;
                }
                continue;
            }
        }
        let now = Instant::now();
        while let Some(packet) = client.take()? {
            let Some((id, answer)) = wire::acknowledgement(client.packet(packet)) else {
                window.wrong();
                continue;
            };
            if wire::is_error(answer) {
                window.wrong();
            }
            match usize::try_from(id).ok().and_then(|id| sent.get_mut(id)).and_then(Option::take) {
                Some(at) => {
                    window.answered(now - at);
                    in_flight -= 1;
                }
                None => window.wrong(),
            }
        }
    }
}
