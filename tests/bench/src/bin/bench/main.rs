//! The runner: for each workload and server a fresh server on one core and the load generator on another, the servers by
//! turns, again and again; then medians, a table and a plot.

mod plot;
mod rows;
mod server;
mod summary;
mod table;
mod workload;

use std::{
    fs,
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use carolina_bench::Record;
use clap::Parser;

use server::{Cores, Server};
use summary::Summary;
use workload::{WORKLOADS, Workload};

/// Measures carolina-sockets against raw socketioxide, Node's socket.io and a bare WebSocket server.
#[derive(Debug, Parser)]
struct Arguments {
    /// The short form: once, less time for each, fewer connections
    #[arg(long)]
    quick: bool,
    /// How often each is measured; medians are shown [default: 3, or 1 with --quick]
    #[arg(long)]
    runs: Option<u32>,
    /// Which servers
    #[arg(long, value_delimiter = ',', default_value = "carolina,raw,node,limit")]
    servers: Vec<Server>,
    /// Which workloads, by name; see --list [default: all, or those of the short form]
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Lists the workloads and ends
    #[arg(long)]
    list: bool,
    /// The core that servers run on
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core that the load generator runs on
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
    /// Where results.jsonl, table.md, plot.svg and the servers' logs go
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// Measures nothing, and makes table and plot from the results.jsonl that is there
    #[arg(long)]
    report: bool,
}

/// The open files that a server needs for 10,000 connections, and a little more.
const OPEN_FILES: u64 = 12_000;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for workload in WORKLOADS {
            println!("{:14} {}", workload.name, workload.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let results = arguments.output.join("results.jsonl");
    let mut failures = 0;
    let records = if arguments.report {
        read(&results)?
    } else {
        fs::create_dir_all(&arguments.output)
            .with_context(|| format!("cannot make the folder {}", arguments.output.display()))?;
        let mut file = fs::File::create(&results).with_context(|| format!("cannot write {}", results.display()))?;
        let (records, failed) = measure(arguments, &mut file)?;
        failures = failed;
        records
    };
    let summary = Summary::of(&records);
    let markdown = table::markdown(&summary);
    write(&arguments.output.join("table.md"), &markdown)?;
    write(&arguments.output.join("plot.svg"), &plot::svg(&summary))?;
    println!("{markdown}");
    println!("written to {}: results.jsonl, table.md, plot.svg", arguments.output.display());
    if failures > 0 {
        eprintln!("bench: {failures} measurements failed; the table leaves them out");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<Record>> {
    let file = fs::File::open(path).with_context(|| format!("cannot read {}: measure first", path.display()))?;
    let lines = std::io::BufReader::new(file).lines().enumerate();
    let records = lines.map(|(number, line)| {
        serde_json::from_str(&line?).with_context(|| format!("{}:{}: no measurement", path.display(), number + 1))
    });
    records.collect()
}

/// The workloads that were asked for.
fn chosen(arguments: &Arguments) -> Result<Vec<&'static Workload>> {
    if arguments.only.is_empty() {
        return Ok(WORKLOADS.iter().filter(|workload| !arguments.quick || workload.quick.is_some()).collect());
    }
    let by_name = |name: &String| {
        let found = WORKLOADS.iter().find(|workload| workload.name == name);
        found.with_context(|| format!("there is no workload `{name}`; --list shows what there is"))
    };
    arguments.only.iter().map(by_name).collect()
}

fn measure(arguments: &Arguments, file: &mut fs::File) -> Result<(Vec<Record>, u32)> {
    let workloads = chosen(arguments)?;
    let runs = arguments.runs.unwrap_or(if arguments.quick { 1 } else { 3 });
    ensure!(runs > 0, "--runs has to be at least 1");
    let cores = Cores { server: arguments.server_core, generator: arguments.generator_core };
    ensure!(cores.server != cores.generator, "--server-core and --generator-core have to differ");
    let available = rlimit::increase_nofile_limit(OPEN_FILES).context("cannot raise the limit of open files")?;
    if available < OPEN_FILES {
        bail!("{OPEN_FILES} open files are needed, {available} allowed: `ulimit -Hn {OPEN_FILES}` as root allows them");
    }
    for server in &arguments.servers {
        server.check()?;
    }

    let (mut records, mut failures) = (Vec::new(), 0);
    for run in 1..=runs {
        for workload in &workloads {
            // By turns, and each time another one first.
            let mut servers: Vec<Server> =
                arguments.servers.iter().copied().filter(|server| !workload.not_by.contains(server)).collect();
            let count = servers.len().max(1);
            servers.rotate_left(run as usize % count);
            for server in servers {
                eprint!("{run}/{runs} {:14} {:9}", workload.name, server.name());
                match server.measure(workload, arguments.quick, cores, &arguments.output) {
                    Ok(metrics) => {
                        eprintln!("{}", workload.brief(&metrics));
                        let (workload, server) = (workload.name.to_owned(), server.name().to_owned());
                        let record = Record { workload, server, run, metrics };
                        writeln!(file, "{}", serde_json::to_string(&record)?)?;
                        records.push(record);
                    }
                    Err(error) => {
                        eprintln!("failed: {error:#}");
                        failures += 1;
                    }
                }
            }
        }
    }
    Ok((records, failures))
}
