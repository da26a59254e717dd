//! Compares the event path with a recorder for metrics and without one: `bench-figures [ROUNDS [TIMES]]`.
//!
//! A recorder cannot be removed, so each measurement is a process of its own; the two kinds alternate. It fails if the path with
//! metrics does less than 0.95 of the events.

use std::{
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use carolina_bench_micro::requests;
use carolina_sockets::prelude::*;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Builder;

include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));

/// The least that is accepted.
const LEAST: f64 = 0.95;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(kind @ ("on" | "off")) => measure(kind == "on", arguments.get(1)),
        rounds => compare(rounds, arguments.get(1)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints how many seconds so many events take.
fn measure(is_on: bool, times: Option<&String>) -> Result<()> {
    let times = times.context("bench-figures on|off TIMES")?.parse()?;
    if is_on {
        let buckets = [0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 65_536.0];
        let handle = PrometheusBuilder::new().set_buckets(&buckets)?.install_recorder()?;
        // As an exporter does every few seconds.
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                handle.run_upkeep();
            }
        });
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let took = runtime.block_on(requests::<Narrow>(times))?;
    println!("{}", took.as_secs_f64());
    Ok(())
}

fn compare(rounds: Option<&str>, times: Option<&String>) -> Result<()> {
    let rounds: usize = rounds.unwrap_or("11").parse().context("bench-figures [ROUNDS [TIMES]]")?;
    let times: u32 = times.map_or("200000", String::as_str).parse().context("bench-figures [ROUNDS [TIMES]]")?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Neither is always the first.
        let order = if round % 2 == 0 { ["off", "on"] } else { ["on", "off"] };
        for kind in order {
            let output = Command::new(std::env::current_exe()?).args([kind, &times.to_string()]).output()?;
            ensure!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr).trim());
            let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
            let per_event = seconds * 1e9 / f64::from(times);
            if kind == "on" { on.push(per_event) } else { off.push(per_event) }
        }
    }
    let (off, on) = (median(off), median(on));
    let ratio = off / on;
    println!(
        "| | ns per event |\n|---|--:|\n| without metrics | {off:.0} |\n| with metrics | {on:.0} |\n\nratio {ratio:.3}"
    );
    ensure!(ratio >= LEAST, "the event path with metrics does {ratio:.3} of the events, and not {LEAST}");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
