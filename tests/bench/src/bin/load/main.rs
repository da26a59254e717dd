//! The load generator: does one workload to one server and prints what it found as a line of JSON.

mod broadcast;
mod client;
mod connect;
mod crowd;
mod echo;
mod flood;
mod order;
mod overload;
mod paced;
mod parameters;
mod presence;
mod resume;
mod window;
mod wire;

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed};

use anyhow::Result;
use carolina_bench::{Metrics, process::Process};
use clap::{Parser, Subcommand};

/// Does one workload to one server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the server listens
    #[arg(long)]
    server: SocketAddr,
    /// The server's process, for its processor time and memory
    #[arg(long)]
    process: u32,
    /// Whether clients ask to resume
    #[arg(long)]
    resume: bool,
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    /// Events with acknowledgement, each client with a number of them in flight
    Echo(echo::Settings),
    /// Events with acknowledgement at a fixed rate
    Paced(paced::Settings),
    /// One client has events emitted to all, a number of them at a time
    Broadcast(broadcast::Settings),
    /// One client has events emitted to all at a fixed rate, however many arrive
    Overload(overload::Settings),
    /// Connections, one after the other and some at a time
    Connect(connect::Connect),
    /// Idle connections, coming and leaving in rounds
    Memory(connect::Memory),
    /// A channel with parameters beside one without
    Parameters(parameters::Settings),
    /// Many join a channel that lists who is there
    Presence(presence::Settings),
    /// Numbered events of one client: are they handled in order?
    Order(order::Settings),
    /// Paced clients, without and with one that sends all it can
    Flood(flood::Settings),
    /// Clients that all lose their connections, and all come back
    Return(resume::Return),
    /// What the server keeps of each event
    Kept(resume::Kept),
}

/// A server under measurement.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

async fn run(arguments: Arguments) -> Result<Metrics> {
    client::ASKS.store(arguments.resume, Relaxed);
    let target = Target { address: arguments.server, process: Process::new(arguments.process) };
    match arguments.workload {
        Workload::Echo(settings) => echo::run(target, settings).await,
        Workload::Paced(settings) => paced::run(target, settings).await,
        Workload::Broadcast(settings) => broadcast::run(target, settings).await,
        Workload::Overload(settings) => overload::run(target, settings).await,
        Workload::Connect(settings) => connect::rate(target, settings).await,
        Workload::Memory(settings) => connect::memory(target, settings).await,
        Workload::Parameters(settings) => parameters::run(target, settings).await,
        Workload::Presence(settings) => presence::run(target, settings).await,
        Workload::Order(settings) => order::run(target, settings).await,
        Workload::Flood(settings) => flood::run(target, settings).await,
        Workload::Return(settings) => resume::come_back(target, settings).await,
        Workload::Kept(settings) => resume::kept(target, settings).await,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let metrics = tokio::task::LocalSet::new().run_until(run(Arguments::parse())).await?;
    println!("{}", serde_json::to_string(&metrics)?);
    Ok(())
}
