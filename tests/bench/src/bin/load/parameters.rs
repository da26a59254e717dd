//! A channel with parameters, `/echo/{number}`, beside one without, `/plain`: echo, memory, and paths opened and left.

use std::time::{Duration, Instant};

use anyhow::Result;
use carolina_bench::Metrics;
use clap::Args;
use tokio::task::JoinSet;

use crate::{
    Target,
    client::Client,
    connect::{closed, settled},
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    /// How many paths are opened and left, 1,000 at a time
    #[arg(long, default_value_t = 1_000_000)]
    paths: usize,
    /// How many instances are open at a time, each with a client of its own
    #[arg(long, default_value_t = 10_000)]
    instances: usize,
    /// How long each round of echo takes
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// How many clients echo, and how many events each has in flight.
const CLIENTS: usize = 100;
const IN_FLIGHT: usize = 8;

/// How many paths are open at a time.
const AT_A_TIME: usize = 1000;

/// Rounds of which the median is told.
const ROUNDS: usize = 5;

fn plain(_: usize) -> String {
    "/plain".to_owned()
}

fn instance(number: usize) -> String {
    format!("/echo/{number}")
}

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    let mut metrics = Metrics::new();
    // In turns, so that what changes meanwhile is the same for both.
    let (mut echoed_plain, mut echoed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        echoed_plain.push(echo(target, plain, settings.seconds).await?);
        echoed.push(echo(target, instance, settings.seconds).await?);
    }
    let (before, files) = (settled(target).await?, target.process.open_files()?);
    let (mut plain_bytes, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain_bytes.push(connected(target, plain, settings.instances, before, files).await?);
        bytes.push(connected(target, instance, settings.instances, before, files).await?);
    }
    for (name, own, other) in [("echo_per_second", echoed, echoed_plain), ("bytes_per_socket", bytes, plain_bytes)] {
        let (own, other) = (median(own), median(other));
        metrics.insert(format!("plain_{name}"), other);
        metrics.insert(name.to_owned(), own);
        metrics.insert(format!("{name}_ratio"), own / other);
    }
    let mut client = Client::connect(target.address).await?;
    open_and_leave(&mut client, 0, AT_A_TIME).await?;
    let first = settled(target).await?;
    let begin = Instant::now();
    for number in 1..settings.paths / AT_A_TIME {
        open_and_leave(&mut client, number * AT_A_TIME, AT_A_TIME).await?;
    }
    metrics.insert("paths_per_second".to_owned(), settings.paths as f64 / begin.elapsed().as_secs_f64());
    let last = settled(target).await?;
    metrics.insert("paths_last_to_first".to_owned(), last as f64 / first as f64);
    Ok(metrics)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Events answered per second.
async fn echo(target: Target, path: fn(usize) -> String, seconds: f64) -> Result<f64> {
    let mut clients = JoinSet::new();
    let begin = Instant::now() + Duration::from_millis(300);
    let end = begin + Duration::from_secs_f64(seconds);
    for number in 0..CLIENTS {
        let path = path(number);
        clients.spawn_local(async move {
            let mut client = Client::connect_to(target.address, &path).await?;
            let event = format!("42{path},1[\"echo\",\"{}\"]", "x".repeat(64));
            for _ in 0..IN_FLIGHT {
                client.push(&[event.as_bytes()]);
            }
            let mut answered = 0_u64;
            loop {
                client.next().await?;
                let mut count = 1;
                while client.take()?.is_some() {
                    count += 1;
                }
                let now = Instant::now();
                if now >= begin {
                    answered += count;
                }
                if now >= end {
                    client.leave().await?;
                    return std::io::Result::Ok(answered);
                }
                for _ in 0..count {
                    client.push(&[event.as_bytes()]);
                }
            }
        });
    }
    let mut all = 0;
    while let Some(answered) = clients.join_next().await {
        all += answered??;
    }
    Ok(all as f64 / seconds)
}

/// The bytes of a client on a channel.
async fn connected(target: Target, path: fn(usize) -> String, count: usize, before: u64, files: usize) -> Result<f64> {
    let mut clients = Vec::with_capacity(count);
    for begin in (0..count).step_by(64) {
        let mut joining = JoinSet::new();
        for number in begin..count.min(begin + 64) {
            let path = path(number);
            joining.spawn_local(async move { Client::connect_to(target.address, &path).await });
        }
        while let Some(client) = joining.join_next().await {
            clients.push(client??);
        }
    }
    let bytes = settled(target).await?.saturating_sub(before) as f64 / count as f64;
    for client in clients {
        client.leave().await?;
    }
    closed(target, files).await?;
    Ok(bytes)
}

async fn open_and_leave(client: &mut Client, first: usize, count: usize) -> Result<()> {
    for number in first..first + count {
        client.push(&[format!("40{},", instance(number)).as_bytes()]);
    }
    for _ in 0..count {
        let answer = client.next().await?;
        anyhow::ensure!(client.packet(answer.clone()).starts_with(b"40/"), "not let in");
    }
    for number in first..first + count {
        client.close(&instance(number));
    }
    // Answered behind all of them.
    client.open("/plain").await?;
    client.close("/plain");
    Ok(())
}
