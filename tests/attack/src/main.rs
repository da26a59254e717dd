//! Attacks a server of this library as a hostile client would, and reports for each attack what it cost everybody else:
//! the latency of 50 paced clients, memory, open files and tasks, during the attack and after it has ended.
//!
//! The server has a core of its own, and the clients that are measured run before the attackers. Still they share a core, and the
//! kernel works for all of them; so each attack is made on another server as well, which runs when nobody else does. What the
//! clients notice of that is not the attacked server's doing.
//!
//! Memory, files and tasks are looked at after a single attack; then it is made again and again for three seconds, for the
//! latency.
//!
//! `make attack` runs all of it, `make attack-quick` a short form with fewer clients and rounds. The server is a process of
//! its own on the loopback address. Every loop is bounded, in number and in time. The last line counts what passed and
//! what failed; the exit code is 1 when anything did.

mod attacks;
mod client;
mod cores;
mod paced;
mod server;
mod target;

use std::{process::ExitCode, time::Duration};

/// How hard to attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Hostile clients at the same time.
    pub(crate) clients: usize,
    /// How often something is done where once is not telling.
    pub(crate) rounds: usize,
    /// How long an attack is made again and again, for the latency of the others.
    pub(crate) latency: Duration,
}

fn usage() -> ExitCode {
    eprintln!("usage: carolina-attack [--quick | --only PART_OF_A_NAME [--seconds 1-600]]");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let full = Scale { clients: 40, rounds: 20_000, latency: Duration::from_secs(3) };
    let quick = Scale { clients: 10, rounds: 2_000, latency: Duration::ZERO };
    let (scale, name) = match words.as_slice() {
        ["server"] => return server::run(),
        ["paced", address] => match address.parse() {
            Ok(address) => return paced::run(address),
            Err(_) => return ExitCode::from(2),
        },
        [] => (full, ""),
        ["--quick"] => (quick, ""),
        ["--only", name] => (full, *name),
        ["--only", name, "--seconds", seconds] => match seconds.parse() {
            Ok(seconds @ 1..=600) => (Scale { latency: Duration::from_secs(seconds), ..full }, *name),
            _ => return usage(),
        },
        _ => return usage(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let failed = runtime.block_on(target::attack_all(scale, name));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
