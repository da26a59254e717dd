//! Events with acknowledgement, a fixed number of them in flight for each client.

use std::{
    io,
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
    // An event's time of sending, by its id; ids of events in flight lie less than a window apart unless one is lost.
    let slots = (settings.in_flight * 4).next_power_of_two();
    let mut sent = vec![None; slots];
    let mut next = 0;
    let mut in_flight = 0;
    let mut digits = String::new();
    loop {
        let now = Instant::now();
        while in_flight < settings.in_flight && !window.is_over() {
            use std::fmt::Write as _;
            digits.clear();
            write!(digits, "{next}").expect("a String takes all");
            client.push(&[b"42", digits.as_bytes(), tail.as_bytes()]);
            sent[next as usize % slots] = Some((next, now));
            next += 1;
            in_flight += 1;
        }
        if in_flight == 0 {
            return Ok(0);
        }
        match timeout_when(window.is_over(), client.exchange()).await {
            Some(arrived) => arrived?,
            None => return Ok(in_flight),
        }
        let now = Instant::now();
        while let Some(packet) = client.take()? {
            match wire::acknowledgement(client.packet(packet)) {
                Some((id, answer)) => {
                    if answer != expected.as_bytes() {
                        window.wrong();
                    }
                    match sent[id as usize % slots].take_if(|(sent, _)| *sent == id) {
                        Some((_, at)) => {
                            window.answered(now - at);
                            in_flight -= 1;
                        }
                        None => window.wrong(),
                    }
                }
                None => window.wrong(),
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
