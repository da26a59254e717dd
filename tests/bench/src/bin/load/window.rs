//! The time in which is measured, between warming up and the end, and what is counted in it.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use anyhow::Result;
use carolina_bench::{Metrics, process::Process};
use clap::Args;
use hdrhistogram::Histogram;

use crate::Target;

/// How long a measurement takes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Times {
    /// Seconds before anything is counted
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds in which is counted
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Times {
    /// The time before anything is counted.
    pub(crate) fn warm_up(self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    Over,
}

/// Latencies in nanoseconds, from 1 µs to 100 s, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 100_000_000_000, 3).expect("these bounds are in order")
}

/// Writes down the median and the tail of latencies under `{prefix}p50_us` and the like.
pub(crate) fn describe(metrics: &mut Metrics, prefix: &str, latencies: &Histogram<u64>) {
    for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)] {
        metrics.insert(format!("{prefix}{name}"), latencies.value_at_quantile(quantile) as f64 / 1e3);
    }
}

/// What is being counted.
pub(crate) struct Window {
    phase: Cell<Phase>,
    messages: Cell<u64>,
    /// Answers that are not what was asked for, at any time.
    wrong: Cell<u64>,
    latencies: RefCell<Histogram<u64>>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            phase: Cell::new(Phase::WarmUp),
            messages: Cell::new(0),
            wrong: Cell::new(0),
            latencies: RefCell::new(histogram()),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase.get() == Phase::Over
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Measuring
    }

    /// Counts an answer that took this long.
    pub(crate) fn answered(&self, latency: Duration) {
        if self.is_open() {
            self.messages.set(self.messages.get() + 1);
            self.latencies.borrow_mut().saturating_record(latency.as_nanos() as u64);
        }
    }

    /// Counts a delivery.
    pub(crate) fn delivered(&self) {
        if self.is_open() {
            self.messages.set(self.messages.get() + 1);
        }
    }

    /// Counts an answer that is wrong.
    pub(crate) fn wrong(&self) {
        self.wrong.set(self.wrong.get() + 1);
    }

    /// Measures, while the clients are at work in their tasks.
    pub(crate) async fn measure(&self, target: Target, times: Times) -> Result<Metrics> {
        tokio::time::sleep(Duration::from_secs_f64(times.warm_up)).await;
        let (server, generator) = (target.process.cpu()?, Process::current().cpu()?);
        self.phase.set(Phase::Measuring);
        let begin = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(times.seconds)).await;
        self.phase.set(Phase::Over);
        let elapsed = begin.elapsed().as_secs_f64();
        let server = (target.process.cpu()? - server).as_secs_f64();
        let generator = (Process::current().cpu()? - generator).as_secs_f64();

        let messages = self.messages.get() as f64;
        let mut metrics = Metrics::new();
        metrics.insert("messages_per_second".into(), messages / elapsed);
        if messages > 0.0 {
            metrics.insert("cpu_us_per_message".into(), server * 1e6 / messages);
        }
        metrics.insert("server_cpu_share".into(), server / elapsed);
        metrics.insert("generator_cpu_share".into(), generator / elapsed);
        metrics.insert("wrong_answers".into(), self.wrong.get() as f64);
        let latencies = self.latencies.borrow();
        if !latencies.is_empty() {
            describe(&mut metrics, "", &latencies);
        }
        Ok(metrics)
    }
}
