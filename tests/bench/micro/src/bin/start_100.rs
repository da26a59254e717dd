//! Starts a service of 100 channels, a number of times.

use carolina_sockets::prelude::*;

include!(concat!(env!("OUT_DIR"), "/start_100.rs"));

fn main() -> std::process::ExitCode {
    carolina_bench_micro::run("bench-start-100 TIMES", std::env::args().nth(1), carolina_bench_micro::starts)
}
