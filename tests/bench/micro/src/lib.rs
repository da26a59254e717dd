//! What is measured close up: one event on its way from packet to handler to acknowledgement, over a stream in memory;
//! and the start of a service with all the channels that its program links in.
//!
//! The programs `bench-dispatch` and `bench-start-…` do one of these a number of times and print how long it took;
//! `bench-count` runs them under callgrind.

use std::{
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use carolina_sockets::{
    Channel, Config, Sockets,
    testing::{Client, TestService},
};
use tokio::runtime::{Builder, Runtime};

/// A service and a client of it that wait for nobody else.
#[derive(Debug)]
pub struct Dispatch {
    client: Client,
    _service: TestService,
}

impl Dispatch {
    /// Starts a service of one channel and connects to it.
    ///
    /// # Errors
    ///
    /// When the service does not start or does not let the client in.
    pub async fn start<C: Channel>() -> Result<Self> {
        let mut config = Config::default();
        config.limits.events_per_second = u32::MAX;
        let builder = Sockets::builder().config(config).discover(false).mount::<C>("/");
        let service = TestService::start(builder).await?;
        let client = service.connect("/").await?;
        Ok(Self { client, _service: service })
    }

    /// Sends an event and waits for its answer.
    ///
    /// # Errors
    ///
    /// When the answer is an error or does not come.
    pub async fn request(&mut self) -> Result<String> {
        Ok(self.client.request("event0", "sixty-four bytes or thereabouts, as most events are in practice").await?)
    }
}

/// Requests this often; returns how long it took, without the start.
///
/// # Errors
///
/// As [`Dispatch::start`] and [`Dispatch::request`].
pub async fn requests<C: Channel>(times: u64) -> Result<Duration> {
    let mut dispatch = Dispatch::start::<C>().await?;
    let begin = Instant::now();
    for _ in 0..times {
        dispatch.request().await?;
    }
    Ok(begin.elapsed())
}

/// Builds a service of all channels that are linked in, this often; returns how long it took.
///
/// # Errors
///
/// When it does not start.
pub async fn starts(times: u64) -> Result<Duration> {
    let mut took = Duration::ZERO;
    for _ in 0..times {
        let begin = Instant::now();
        let sockets = Sockets::builder().config(Config::default()).build().await?;
        took += begin.elapsed();
        drop(sockets);
    }
    Ok(took)
}

/// A runtime of one thread.
///
/// # Errors
///
/// When the system refuses it.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// The `main` of a program that takes a number of times and prints the nanoseconds they took.
pub fn run<F: Future<Output = Result<Duration>>>(
    usage: &str,
    times: Option<String>,
    work: impl FnOnce(u64) -> F,
) -> ExitCode {
    let done = || {
        let times = times.with_context(|| format!("usage: {usage}"))?;
        let times = times.parse().with_context(|| format!("TIMES is a number, not `{times}`"))?;
        println!("{}", runtime()?.block_on(work(times))?.as_nanos());
        Ok(())
    };
    report(done())
}

/// Ends a program: with a line about what went wrong, if anything did.
pub fn report(done: Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
