//! The time that one event and one start take.

use std::{hint::black_box, process::Command, time::Duration};

use carolina_bench_micro::{Dispatch, runtime};
use carolina_sockets::prelude::*;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

include!(concat!(env!("OUT_DIR"), "/dispatch.rs"));

fn dispatch(criterion: &mut Criterion) {
    let runtime = runtime().expect("a runtime");
    let mut group = criterion.benchmark_group("event, there and back");
    let narrow = runtime.block_on(Dispatch::start::<Narrow>()).expect("it starts");
    let wide = runtime.block_on(Dispatch::start::<Wide>()).expect("it starts");
    for (name, mut dispatch) in [("1 declared", narrow), ("1,000 declared", wide)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(runtime.block_on(dispatch.request()).expect("an answer")));
        });
    }
    group.finish();
}

/// Has a program of its own do the work, since what is linked in decides which channels there are.
fn timed_by(program: &str, times: u64) -> Duration {
    let output = Command::new(program).arg(times.to_string()).output().expect("the program starts");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let nanoseconds = String::from_utf8_lossy(&output.stdout).trim().parse().expect("it prints nanoseconds");
    Duration::from_nanos(nanoseconds)
}

fn start(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("start-up, by channels");
    group.sample_size(20);
    for (channels, program) in [
        (1, env!("CARGO_BIN_EXE_bench-start-1")),
        (10, env!("CARGO_BIN_EXE_bench-start-10")),
        (100, env!("CARGO_BIN_EXE_bench-start-100")),
        (1000, env!("CARGO_BIN_EXE_bench-start-1000")),
    ] {
        group.bench_function(BenchmarkId::from_parameter(channels), |bencher| {
            bencher.iter_custom(|times| timed_by(program, times));
        });
    }
    group.finish();
}

criterion_group!(benches, dispatch, start);
criterion_main!(benches);
