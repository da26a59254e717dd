//! A rolling restart of three nodes under many official clients: `cargo run --release --all-features --bin rolling -- [CLIENTS] [SECONDS]`.

use std::time::Duration;

use carolina_sockets_tests::rolling::{Plan, restart};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (clients, seconds) = (number(3000), number(15));
    let over = Duration::from_secs(seconds as u64);
    let seen = restart(Plan { clients, delay: Duration::from_secs(2), over }).await;
    println!(
        "{clients} clients, each node closed over {over:?}: {} disconnected, for {} ms at most; {} not connected at the end",
        seen.away, seen.longest, seen.left
    );
    println!(
        "handlers begun {}, answered {}; events refused before they began {}, without an answer {}; connections refused {}; told twice {}",
        seen.begun, seen.answered, seen.refused, seen.lost, seen.refused_connections, seen.told_twice
    );
    println!("connected again, in each second:");
    let last = seen.connects.iter().max().copied().unwrap_or_default() / 1000;
    let first = seen.connects.iter().min().copied().unwrap_or_default() / 1000;
    let in_second = |second: u64| seen.connects.iter().filter(|at| **at / 1000 == second).count();
    let most = (first..=last).map(in_second).max().unwrap_or(1).max(1);
    for second in first..=last {
        let count = in_second(second);
        println!("{second:>4} s {count:>5} {}", "#".repeat(count * 60 / most));
    }
}
