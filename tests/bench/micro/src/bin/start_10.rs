//! Starts a service of 10 channels, a number of times.

use carolina_sockets::prelude::*;

include!(concat!(env!("OUT_DIR"), "/start_10.rs"));

fn main() -> std::process::ExitCode {
    carolina_bench_micro::run("bench-start-10 TIMES", std::env::args().nth(1), carolina_bench_micro::starts)
}
