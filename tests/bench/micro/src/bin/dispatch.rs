//! Sends events to a channel that declares one, or a thousand.

use carolina_bench_micro::{requests, run};
use carolina_sockets::prelude::*;

include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let usage = "bench-dispatch narrow|wide TIMES";
    match arguments.next().as_deref() {
        Some("narrow") => run(usage, arguments.next(), requests::<Narrow>),
        Some("wide") => run(usage, arguments.next(), requests::<Wide>),
        _ => run(usage, None, requests::<Narrow>),
    }
}
