//! What it takes to let clients resume.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use carolina_bench::Metrics;
use clap::Args;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    Target,
    client::{ASKS, Client, Place},
    crowd, paced,
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Return {
    /// How many they are
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// Events that are emitted to all while they are away
    #[arg(long, default_value_t = 10)]
    missed: usize,
    /// Within which time they come back, spread evenly, in seconds
    #[arg(long, default_value_t = 1.0)]
    within: f64,
    /// Those who stay
    #[command(flatten)]
    paced: paced::Settings,
}

/// Paced clients without and with all the others coming back at the same time.
pub(crate) async fn come_back(target: Target, settings: Return) -> Result<Metrics> {
    ensure!(ASKS.load(Relaxed), "this needs --resume");
    let before = target.process.resident()?;
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = move |last| IpAddr::V4(Ipv4Addr::new(127, high.max(1), low, last));
    let crowd = crowd::connect(target, settings.count, Some(address(2))).await?;
    let mut emitter = Client::connect(target.address).await?;
    emitter.ready().await?;
    let (leave, leaving) = watch::channel(false);
    let mut staying = JoinSet::new();
    for client in crowd {
        staying.spawn_local(until_cut(client, leaving.clone()));
    }
    let news = |number: usize| format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(40));
    // An offset for each, as they have after an event.
    broadcast(&mut emitter, 0, &news(0)).await?;
    let calm = paced::run(target, settings.paced).await?;
    let connected = target.process.resident()?;
    leave.send_replace(true);
    let mut places = Vec::new();
    while let Some(place) = staying.join_next().await {
        places.push(place??);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while target.process.open_files()? > 200 {
        ensure!(Instant::now() < deadline, "the server has not noticed that the clients are gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for number in 1..=settings.missed {
        broadcast(&mut emitter, number, &news(number)).await?;
    }
    let away = target.process.resident()?;
    // Those who were there all the time.
    let there = paced::enter(target, settings.paced).await?;
    let others = tokio::task::spawn_local(paced::send(target, settings.paced, there));
    tokio::time::sleep(settings.paced.times.warm_up()).await;
    let begin = Instant::now();
    let port = Rc::new(Cell::new(10_000));
    let mut coming = JoinSet::new();
    for (number, place) in places.into_iter().enumerate() {
        let at = begin + Duration::from_secs_f64(settings.within * number as f64 / settings.count as f64);
        let port = port.clone();
        coming.spawn_local(async move {
            tokio::time::sleep_until(at.into()).await;
            let client = Client::come_back(target.address, address(3), &port, place.clone()).await?;
            let took = at.elapsed();
            ensure!(client.place.pid == place.pid, "a client was not resumed");
            Ok((client, took))
        });
    }
    let (mut clients, mut took) = (Vec::new(), Vec::new());
    while let Some(done) = coming.join_next().await {
        let (client, time) = done?.context("coming back")?;
        if client.given != settings.missed {
            bail!("a client got {} of {} events", client.given, settings.missed);
        }
        clients.push(client);
        took.push(time);
    }
    let all = begin.elapsed();
    let after = target.process.resident()?;
    took.sort_unstable();
    let others = others.await??;
    let percentile = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_secs_f64() * 1e6;
    let of = |metrics: &Metrics, name: &str| metrics.get(name).copied().unwrap_or(f64::NAN);
    let per_client = |bytes: u64| bytes.saturating_sub(before) as f64 / settings.count as f64;
    Ok(Metrics::from([
        ("all_resumed_ms".into(), all.as_secs_f64() * 1e3),
        ("resume_p50_us".into(), percentile(50)),
        ("resume_p99_us".into(), percentile(99)),
        ("calm_p99_us".into(), of(&calm, "p99_us")),
        ("others_p99_us".into(), of(&others, "p99_us")),
        ("connected_bytes_per_client".into(), per_client(connected)),
        ("away_bytes_per_client".into(), per_client(away)),
        ("resumed_bytes_per_client".into(), per_client(after)),
    ]))
}

/// Keeps the offsets that come, and is cut.
async fn until_cut(mut client: Client, mut leaving: watch::Receiver<bool>) -> Result<Place> {
    loop {
        let packet = tokio::select! {
            packet = client.next() => packet?,
            _ = leaving.wait_for(|leaving| *leaving) => break,
        };
        client.keep_offset(packet);
    }
    ensure!(!client.place.offset.is_empty(), "a client has no offset");
    Ok(client.place)
}

/// Has an event emitted to all, and waits for it, and for the answer.
async fn broadcast(emitter: &mut Client, id: usize, news: &str) -> Result<()> {
    emitter.push(&[format!("42{id}[\"broadcast\",{news}]").as_bytes()]);
    for _ in 0..2 {
        emitter.next().await?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Kept {
    /// How many events are emitted; the server has to keep them all
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// How many bytes their text has
    #[arg(long, default_value_t = 40)]
    bytes: usize,
}

/// The memory of the server before and after events that it keeps.
pub(crate) async fn kept(target: Target, settings: Kept) -> Result<Metrics> {
    let mut emitter = Client::connect(target.address).await?;
    emitter.ready().await?;
    let text = "x".repeat(settings.bytes);
    broadcast(&mut emitter, 0, &format!("{{\"number\":0,\"text\":\"{text}\"}}")).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = target.process.resident()?;
    for number in 1..=settings.events {
        broadcast(&mut emitter, number, &format!("{{\"number\":{number},\"text\":\"{text}\"}}")).await?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = target.process.resident()?;
    Ok(Metrics::from([("bytes_per_event".into(), after.saturating_sub(before) as f64 / settings.events as f64)]))
}
