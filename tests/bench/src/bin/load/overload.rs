//! Broadcasts asked for faster than they can be made: what becomes of them, and is it told?

use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use carolina_bench::{Metrics, process::Process};
use clap::Args;
use tokio::task::JoinSet;

use crate::{
    Target,
    broadcast::{news, request},
    client::Client,
    crowd, wire,
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Broadcasts asked for
    #[arg(long, default_value_t = 2000)]
    per_second: u64,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// Silence after which nothing more is expected, and the longest wait for it.
const SILENCE: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(200);

#[derive(Default)]
struct Tally {
    received: Cell<u64>,
    /// Broadcasts whose answer says how many it missed, and those that were refused with an error.
    answered: Cell<u64>,
    refused: Cell<u64>,
    missed: Cell<u64>,
    out_of_order: Cell<u64>,
    closed: Cell<u64>,
}

fn add(counter: &Cell<u64>, count: u64) {
    counter.set(counter.get() + count);
}

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    if settings.clients == 0 || settings.per_second == 0 {
        bail!("--clients and --per-second have to be at least 1");
    }
    let tally = Rc::new(Tally::default());
    let mut clients = crowd::ready(target, settings.clients).await?;
    let sender = clients.swap_remove(0);
    let mut tasks = JoinSet::new();
    for client in clients {
        let tally = tally.clone();
        tasks.spawn_local(async move {
            let Err(_) = receive(client, &tally).await;
            add(&tally.closed, 1);
        });
    }
    let generator = Process::current().cpu()?;
    let begin = Instant::now();
    let asked = send(sender, settings, &tally);
    let (asked, on_time) = asked.await?;
    let elapsed = begin.elapsed().as_secs_f64();
    let generator = (Process::current().cpu()? - generator).as_secs_f64();

    let due = asked * settings.clients as u64;
    let refused = tally.refused.get() * settings.clients as u64;
    let told = tally.received.get() + tally.missed.get() + refused;
    let mut metrics = Metrics::new();
    metrics.insert("asked".into(), asked as f64);
    metrics.insert("on_time_percent".into(), on_time as f64 * 100.0 / due as f64);
    metrics.insert("delivered_percent".into(), tally.received.get() as f64 * 100.0 / due as f64);
    metrics.insert("told_missed_percent".into(), (tally.missed.get() + refused) as f64 * 100.0 / due as f64);
    metrics.insert("untold".into(), due.saturating_sub(told) as f64);
    metrics.insert("untold_percent".into(), due.saturating_sub(told) as f64 * 100.0 / due as f64);
    metrics.insert("told_twice".into(), told.saturating_sub(due) as f64);
    metrics.insert("unanswered".into(), asked.saturating_sub(tally.answered.get() + tally.refused.get()) as f64);
    metrics.insert("out_of_order".into(), tally.out_of_order.get() as f64);
    metrics.insert("closed_clients".into(), tally.closed.get() as f64);
    metrics.insert("generator_cpu_share".into(), generator / elapsed);
    Ok(metrics)
}

fn take(client: &mut Client, tally: &Tally, last: &mut u64) -> io::Result<()> {
    while let Some(packet) = client.take()? {
        let packet = client.packet(packet);
        if let Some(number) = news(packet) {
            add(&tally.received, 1);
            match number < *last {
                true => add(&tally.out_of_order, 1),
                false => *last = number,
            }
        } else if let Some((_, answer)) = wire::acknowledgement(packet) {
            match answer.strip_prefix(b"[").and_then(wire::number) {
                Some((missed, _)) => {
                    add(&tally.answered, 1);
                    add(&tally.missed, missed);
                }
                None => add(&tally.refused, 1),
            }
        }
    }
    Ok(())
}

async fn receive(mut client: Client, tally: &Tally) -> io::Result<std::convert::Infallible> {
    let mut last = 0;
    loop {
        client.exchange().await?;
        take(&mut client, tally, &mut last)?;
    }
}

/// Asks for broadcasts on time, then waits until nothing comes any more. Returns how many it asked for, and how much had
/// been delivered by the time the last was asked for.
async fn send(mut client: Client, settings: Settings, tally: &Tally) -> Result<(u64, u64)> {
    let text = "x".repeat(64);
    let wanted = (settings.per_second as f64 * settings.seconds).round() as u64;
    let begin = Instant::now();
    let mut asked = 0;
    let mut last = 0;
    let mut on_time = 0;
    let mut progress = (0, begin);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            arrived = client.exchange() => arrived?,
            _ = ticks.tick() => {}
        }
        take(&mut client, tally, &mut last)?;
        let now = Instant::now();
        let due = ((now - begin).as_secs_f64() * settings.per_second as f64) as u64;
        while asked < due.min(wanted) {
            client.push(&[b"42", asked.to_string().as_bytes(), request("broadcast", asked, &text).as_bytes()]);
            asked += 1;
            if asked == wanted {
                on_time = tally.received.get();
            }
        }
        let so_far = tally.received.get() + tally.answered.get() + tally.refused.get();
        if so_far > progress.0 {
            progress = (so_far, now);
        }
        if now - begin > LONGEST {
            bail!("after {} s the server is still delivering", LONGEST.as_secs());
        }
        if asked == wanted && now - progress.1 > SILENCE {
            if client.unsent() > 0 {
                bail!("the server stopped to read: {} bytes could not be sent", client.unsent());
            }
            return Ok((asked, on_time));
        }
    }
}
