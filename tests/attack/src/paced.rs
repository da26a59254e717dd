//! The clients that must not notice an attack: in a process of their own, so that what is measured is the server.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::{client::WebSocket, cores};

/// How many there are. Each sends one event every 100 ms.
const CLIENTS: usize = 50;

/// The process with these clients. It ends with this.
pub(crate) struct Paced {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the clients noticed since they were last asked.
pub(crate) struct Measured {
    /// The 99th percentile of the time until an event is answered.
    pub(crate) p99: Duration,
    /// How many have lost their connection since the start.
    pub(crate) lost: u64,
}

impl Paced {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let mut process = cores::clients()
            .args(["paced", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let requests = process.stdin.take().expect("its input is piped");
        let answers = BufReader::new(process.stdout.take().expect("its output is piped"));
        Self { process, requests, answers }
    }

    pub(crate) fn measure(&mut self) -> Measured {
        self.requests.write_all(b"\n").expect("the paced clients are asked");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the paced clients answer");
        let (p99, lost) = line.trim().split_once(' ').expect("two numbers");
        Measured { p99: Duration::from_micros(p99.parse().expect("a time")), lost: lost.parse().expect("a number") }
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Record {
    /// In microseconds, since it was last asked for.
    latencies: Mutex<Vec<u64>>,
    lost: AtomicU64,
}

/// The process: answers each line of its input with the 99th percentile and the number of lost clients.
pub(crate) fn run(address: SocketAddr) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let record = Arc::new(Record::default());
    for number in 0..CLIENTS {
        let record = record.clone();
        runtime.spawn(async move {
            sleep(Duration::from_millis(2 * number as u64)).await;
            if pace(address, &record).await.is_err() {
                record.lost.fetch_add(1, Relaxed);
            }
        });
    }
    for _ in std::io::stdin().lock().lines() {
        let mut latencies = std::mem::take(&mut *record.latencies.lock());
        latencies.sort_unstable();
        let at = (latencies.len() * 99 / 100).min(latencies.len().saturating_sub(1));
        println!("{} {}", latencies.get(at).copied().unwrap_or_default(), record.lost.load(Relaxed));
    }
    ExitCode::SUCCESS
}

async fn pace(address: SocketAddr, record: &Record) -> std::io::Result<()> {
    let mut socket = WebSocket::join(address, "/open").await?;
    for id in 0_u64.. {
        let began = Instant::now();
        socket.send(&format!("42/open,{id}[\"echo\",{id}]")).await?;
        socket.expect(&format!("43/open,{id}[{id}]")).await?;
        let took = began.elapsed();
        record.latencies.lock().push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        sleep(Duration::from_millis(100).saturating_sub(took)).await;
    }
    Ok(())
}
