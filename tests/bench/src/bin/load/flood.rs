//! What paced clients notice of one that sends all it can.

use std::{cell::Cell, io, rc::Rc, time::Instant};

use anyhow::Result;
use carolina_bench::Metrics;
use clap::Args;
use futures_util::FutureExt;

use crate::{Target, client::Client, crowd, echo::argument, paced, wire};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    paced: paced::Settings,
}

/// How much is sent in one go.
const CHUNK: usize = 64 * 1024;

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    let calm = paced::run(target, settings.paced).await?;

    // They are in before the flood begins: what it does to those who come is not measured here.
    let clients = paced::enter(target, settings.paced).await?;
    let flooder = crowd::ready(target, 1).await?.remove(0);
    let sent = Rc::new(Cell::new(0));
    let begin = Instant::now();
    let flooding = tokio::task::spawn_local(flood(flooder, sent.clone()));
    let flooded = paced::send(target, settings.paced, clients).await?;
    let per_second = sent.get() as f64 / begin.elapsed().as_secs_f64();
    // A server may close the flooder: that ends the flood, and is one way to protect the others.
    let closed = flooding.is_finished();
    flooding.abort();

    let mut metrics = Metrics::new();
    for name in ["p50_us", "p99_us", "max_us"] {
        metrics.insert(format!("calm_{name}"), calm.get(name).copied().unwrap_or(f64::NAN));
        metrics.insert(format!("flooded_{name}"), flooded.get(name).copied().unwrap_or(f64::NAN));
    }
    metrics.insert("p99_ratio".into(), metrics["flooded_p99_us"] / metrics["calm_p99_us"]);
    metrics.insert("lost_answers".into(), calm["lost_answers"] + flooded["lost_answers"]);
    metrics.insert("wrong_answers".into(), calm["wrong_answers"] + flooded["wrong_answers"]);
    metrics.insert("server_cpu_share".into(), flooded["server_cpu_share"]);
    metrics.insert("generator_cpu_share".into(), flooded["generator_cpu_share"]);
    metrics.insert("flood_events_per_second".into(), per_second);
    metrics.insert("flooder_closed".into(), f64::from(u8::from(closed)));
    Ok(metrics)
}

/// Sends events without acknowledgement as fast as the server takes them, and drops what comes back.
async fn flood(mut client: Client, sent: Rc<Cell<u64>>) -> io::Result<()> {
    let event = format!("42[\"echo\",{}]", argument(64));
    let mut chunk = Vec::new();
    let mut events = 0;
    while chunk.len() < CHUNK {
        wire::push_frame(&mut chunk, wire::TEXT, &[event.as_bytes()]);
        events += 1;
    }
    loop {
        client.push_frames(&chunk);
        while client.unsent() > 0 {
            client.send_or_receive().await?;
            while client.take()?.is_some() {}
        }
        // Reading must not wait: a server that has nothing to say about these events sends nothing.
        while let Some(arrived) = client.exchange().now_or_never() {
            arrived?;
            while client.take()?.is_some() {}
        }
        sent.set(sent.get() + events);
        // The paced clients of this thread have their turn.
        tokio::task::yield_now().await;
    }
}
