//! The time that one event and one start take.

use std::hint::black_box;

use carolina_bench_micro::{Dispatch, Events, start_up};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn dispatch(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("event, there and back");
    for (name, events) in [("1 declared", Events::One), ("1,000 declared", Events::Thousand)] {
        let mut dispatch = runtime.block_on(Dispatch::start(events)).expect("it starts");
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(runtime.block_on(dispatch.request()).expect("an answer")));
        });
    }
    group.finish();
}

fn start(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("start-up");
    group.sample_size(20);
    for channels in [1, 10, 100, 1000] {
        group.bench_with_input(BenchmarkId::from_parameter(channels), &channels, |bencher, channels| {
            bencher.iter(|| black_box(runtime.block_on(start_up(*channels)).expect("it starts")));
        });
    }
    group.finish();
}

criterion_group!(benches, dispatch, start);
criterion_main!(benches);
