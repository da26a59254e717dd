//! A rolling restart of three nodes under many official clients: `make rolling`, or
//! `cargo run --release --all-features --bin rolling -- [CLIENTS] [SECONDS]`. The plot and its data are left in `target/rolling`.

mod plot;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use carolina_sockets_tests::rolling::{Plan, restart};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (clients, seconds) = (number(3000), number(15));
    let plan = Plan {
        clients: clients as usize,
        delay: Duration::from_secs(2),
        over: Duration::from_secs(seconds),
        // Some thousand events per second at most, of clients that share the machine with the nodes.
        pause: Duration::from_millis(clients.max(300)),
    };
    let seen = restart(plan).await;
    println!(
        "{clients} clients, each node closed over {seconds} s: {} disconnected, for {} ms at most; {} not connected at the end",
        seen.away, seen.longest, seen.left
    );
    println!(
        "handlers begun {}, answered {}; events refused before they began {}, without an answer {}; connections refused {}; told twice {}",
        seen.begun, seen.answered, seen.refused, seen.lost, seen.refused_connections, seen.told_twice
    );
    for (number, step) in seen.steps.iter().enumerate() {
        println!(
            "node {number}: the balancer noticed {} ms after it was not ready, {} ms before it refused anybody",
            step.noticed.saturating_sub(step.not_ready),
            step.closing.saturating_sub(step.noticed)
        );
    }
    println!("connected again, in each second:");
    let connects = plot::each_second(&seen);
    let most = connects.iter().copied().max().unwrap_or_default().max(1);
    for (second, count) in connects.into_iter().enumerate() {
        println!("{second:>4} s {count:>5} {}", "#".repeat(count * 60 / most));
    }
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("rolling");
    std::fs::create_dir_all(&folder).expect("a folder for the plot");
    std::fs::write(folder.join("plot.svg"), plot::svg(&seen, &plan)).expect("the plot");
    std::fs::write(folder.join("data.json"), serde_json::to_string(&seen).expect("JSON")).expect("its data");
    println!("plot and data: {}", folder.display());
    let problems = seen.problems(&plan);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
