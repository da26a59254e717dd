//! Connections: how fast they are made, and what they cost in memory.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use carolina_bench::{Metrics, process::Process};
use clap::Args;
use tokio::{sync::watch, task::JoinSet};

use crate::{Target, client::Client, crowd};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Connect {
    /// How many connections are made, 64 at a time, and kept
    #[arg(long, default_value_t = 5000)]
    count: usize,
}

pub(crate) async fn rate(target: Target, settings: Connect) -> Result<Metrics> {
    // What a server does once, at its first connection, is none of the measurement.
    crowd::ready(target, 10).await?;
    let (server, generator) = (target.process.cpu()?, Process::current().cpu()?);
    let begin = Instant::now();
    let clients = crowd::connect(target, settings.count, None).await?;
    let elapsed = begin.elapsed().as_secs_f64();
    let server = (target.process.cpu()? - server).as_secs_f64();
    let generator = (Process::current().cpu()? - generator).as_secs_f64();
    let count = clients.len() as f64;
    Ok(Metrics::from([
        ("connects_per_second".into(), count / elapsed),
        ("cpu_us_per_connect".into(), server * 1e6 / count),
        ("server_cpu_share".into(), server / elapsed),
        ("generator_cpu_share".into(), generator / elapsed),
    ]))
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Memory {
    /// Idle connections at a time
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// How many times they come and leave
    #[arg(long, default_value_t = 10)]
    rounds: u8,
}

pub(crate) async fn memory(target: Target, settings: Memory) -> Result<Metrics> {
    if settings.rounds < 2 || settings.rounds > 100 {
        bail!("--rounds has to lie between 2 and 100");
    }
    let count = settings.connections as f64;
    let before = target.process.resident()?;
    let files = target.process.open_files()?;
    let per_connection = |resident: u64| resident.saturating_sub(before) as f64 / count;
    let mut metrics = Metrics::from([("before_bytes".into(), before as f64)]);
    let (mut connected, mut left) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds {
        // An address for each round of each process, since closed connections keep their ports for a minute.
        let [.., high, low] = std::process::id().to_be_bytes();
        let from = IpAddr::V4(Ipv4Addr::new(127, high.max(1), low, 2 + round));
        let (leave, leaving) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for client in crowd::connect(target, settings.connections, Some(from)).await? {
            tasks.spawn_local(stay(client, leaving.clone()));
        }
        connected.push(settled(target).await?);
        leave.send_replace(true);
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        closed(target, files).await?;
        left.push(settled(target).await?);
    }
    for (name, round) in [("first", 0), ("second", 1), ("last", connected.len() - 1)] {
        metrics.insert(format!("{name}_bytes_per_connection"), per_connection(connected[round]));
        metrics.insert(format!("{name}_kept_bytes_per_connection"), per_connection(left[round]));
    }
    let (second, last) = (connected[1], connected[connected.len() - 1]);
    metrics.insert("last_to_second".into(), last as f64 / second as f64);
    let (second, last) = (left[1], left[left.len() - 1]);
    metrics.insert("kept_last_to_second".into(), last as f64 / second as f64);
    Ok(metrics)
}

async fn stay(mut client: Client, mut leaving: watch::Receiver<bool>) -> std::io::Result<()> {
    tokio::select! {
        error = client.idle() => return Err(error),
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    client.leave().await
}

/// The memory of the server once it no longer changes by more than 0.1 %, or after 10 seconds.
pub(crate) async fn settled(target: Target) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut last = target.process.resident()?;
    let mut calm = 0;
    while calm < 4 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = target.process.resident()?;
        calm = if now.abs_diff(last) <= last / 1000 { calm + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}

/// Waits until the server has closed what the clients have left.
pub(crate) async fn closed(target: Target, files: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while target.process.open_files()? > files + 5 {
        if Instant::now() > deadline {
            bail!("a minute after the clients left, the server still has {} files open", target.process.open_files()?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
