//! The server as a process, what it uses, and what each attack costs.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    Scale,
    attacks::{ATTACKS, Attack},
    client, cores,
    paced::{Measured, Paced},
};

/// What one hostile client may make the server keep.
const PER_CLIENT: u64 = 4_000_000;

/// What memory may have grown by besides: allocators keep some of what they had.
const KEPT: u64 = 24_000_000;

/// How long the server has to forget its attackers: interval and timeout of its pings, and some time to spare.
const FORGET: Duration = Duration::from_secs(12);

/// A server in a process of its own. It ends with this.
pub(crate) struct Target {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Target {
    fn start() -> Self {
        let mut process = cores::server()
            .arg("server")
            .env("CAROLINA_BIND", "127.0.0.1:0")
            .env("CAROLINA_SESSION__SECRET", "for this attack alone and long enough for that")
            .env("CAROLINA_LIMITS__CONNECT_TIMEOUT", "2s")
            .env("CAROLINA_LIMITS__BODY_TIMEOUT", "2s")
            .env("CAROLINA_LIMITS__CONNECTIONS_PER_ADDRESS", "20000")
            .env("CAROLINA_TRANSPORT__PING_INTERVAL", "3s")
            .env("CAROLINA_TRANSPORT__PING_TIMEOUT", "2s")
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts once more");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let first = lines.next().expect("it says where it listens").expect("its output is text");
        let address = first.strip_prefix("listening on http://").expect("it says where it listens");
        let address = address.parse().expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
    }

    /// Open files.
    fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).map_or(0, Iterator::count)
    }

    /// Connections and tasks.
    async fn stats(&self) -> Option<(u64, u64)> {
        let answer = client::http(self.address, "GET /stats HTTP/1.1", b"").await.ok()?;
        let stats: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
        Some((stats["connections"].as_u64()?, stats["tasks"].as_u64()?))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs every attack whose name has this in it; returns how many failed.
pub(crate) async fn attack_all(scale: Scale, name: &str) -> usize {
    let target = Target::start();
    // What an attack costs whoever is on the same machine, though it is not on the attacked server.
    let other = Target::start();
    cores::give_way(other.process.id(), "0");
    let mut paced = Paced::start(target.address);
    cores::attack();
    sleep(Duration::from_secs(1)).await;
    // How they joined does not count.
    paced.measure();
    sleep(Duration::from_secs(3)).await;
    let calm = paced.measure().p99;
    println!("calm: p99 {calm:?}, memory {}, files {}", mega(target.memory()), target.files());
    let mut failed = 0;
    let chosen: Vec<_> = ATTACKS.iter().filter(|attack| attack.name.contains(name)).collect();
    for attack in &chosen {
        let cost = async {
            let beside = beside(&other, &mut paced, attack, scale).await?;
            run(&target, &mut paced, attack, scale, (calm, beside)).await
        };
        match cost.await {
            Ok(cost) => println!("ok      {}: {cost}", attack.name),
            Err(reason) => {
                failed += 1;
                println!("FAILED  {}: {reason}", attack.name);
            }
        }
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    failed
}

/// What the clients notice while a server is attacked again and again: what is rare must show.
async fn again(target: &Target, paced: &mut Paced, attack: &Attack, scale: Scale) -> Result<Measured, String> {
    paced.measure();
    let began = Instant::now();
    while began.elapsed() < scale.latency {
        (attack.run)(target.address, scale).await?;
    }
    Ok(paced.measure())
}

/// The latency of the clients while another server is attacked, which runs when nobody else does: they share a core with the
/// attackers, and the kernel works for both. Whatever this is, the attacked server cannot make it less.
async fn beside(other: &Target, paced: &mut Paced, attack: &Attack, scale: Scale) -> Result<Option<Duration>, String> {
    if scale.latency.is_zero() {
        return Ok(None);
    }
    let of_other = |error: String| format!("of the other server: {error}");
    let before = Load::of(other).await.map_err(of_other)?;
    paced.measure();
    let began = Instant::now();
    // It may be too slow for its own deadlines.
    while began.elapsed() < scale.latency && (attack.run)(other.address, scale).await.is_ok() {}
    let measured = paced.measure();
    // It has work to do until it has forgotten them.
    before.until_forgotten(other).await.map_err(of_other)?;
    Ok(Some(measured.p99))
}

async fn run(
    target: &Target,
    paced: &mut Paced,
    attack: &Attack,
    scale: Scale,
    (calm, beside): (Duration, Option<Duration>),
) -> Result<String, String> {
    let before = Load::of(target).await?;
    paced.measure();
    let attacking = (attack.run)(target.address, scale);
    tokio::pin!(attacking);
    let mut peak = before.memory;
    let outcome = loop {
        tokio::select! {
            outcome = &mut attacking => break outcome,
            () = sleep(Duration::from_millis(10)) => peak = peak.max(target.memory()),
        }
    };
    peak = peak.max(target.memory());
    let first = paced.measure();
    outcome?;
    let most = PER_CLIENT * attack.clients(scale) as u64 + KEPT;
    let grown = peak.saturating_sub(before.memory);
    if grown > most {
        return Err(format!("memory grew by {}, at most {} was allowed", mega(grown), mega(most)));
    }
    before.until_forgotten(target).await?;
    let kept = target.memory().saturating_sub(before.memory);
    if kept > KEPT + most / 4 {
        return Err(format!("memory stays grown by {}", mega(kept)));
    }
    let again = again(target, paced, attack, scale).await?;
    before.until_forgotten(target).await?;
    if again.lost > 0 {
        return Err(format!("{} of the clients that behave lost their connection", again.lost));
    }
    let p99 = first.p99.max(again.p99);
    let ratio = |other: Duration| p99.as_secs_f64() / other.as_secs_f64().max(1e-6);
    let latency = match beside {
        None => format!("{:.1} x calm", ratio(calm)),
        Some(beside) => {
            let beside = beside.max(calm);
            format!("{:.1} x calm, {:.1} x as when another server is attacked", ratio(calm), ratio(beside))
        }
    };
    Ok(format!("p99 of the others {p99:?} ({latency}), memory +{}, kept +{}", mega(grown), mega(kept)))
}

/// What the server has at a time.
struct Load {
    memory: u64,
    files: usize,
    connections: u64,
    tasks: u64,
}

impl Load {
    async fn of(target: &Target) -> Result<Self, String> {
        let (connections, tasks) = target.stats().await.ok_or("the server does not answer")?;
        Ok(Self { memory: target.memory(), files: target.files(), connections, tasks })
    }

    /// Waits until the server has forgotten its attackers.
    async fn until_forgotten(&self, target: &Target) -> Result<(), String> {
        let until = Instant::now() + FORGET;
        loop {
            let now = Self::of(target).await?;
            let connections = now.connections.saturating_sub(self.connections);
            let (tasks, files) = (now.tasks.saturating_sub(self.tasks), now.files.saturating_sub(self.files));
            if connections == 0 && tasks <= 8 && files <= 4 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("{connections} connections, {tasks} tasks and {files} files are left"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn mega(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
