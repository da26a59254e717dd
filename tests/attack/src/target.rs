//! The server as a process, what it uses, and what each attack costs.

use std::{
    cell::Cell,
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
    paced::Paced,
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
        let beside = beside(&other, &mut paced, attack, scale).await.max(calm);
        match run(&target, &mut paced, attack, scale, (calm, beside)).await {
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

/// The latency of the clients while another server is attacked, which runs when nobody else does: they share a core with the
/// attackers, and the kernel works for both. Whatever this is, the attacked server cannot make it less.
async fn beside(other: &Target, paced: &mut Paced, attack: &Attack, scale: Scale) -> Duration {
    if scale.least < Duration::from_secs(1) {
        return Duration::ZERO;
    }
    let before = other.stats().await.unwrap_or_default();
    paced.measure();
    let began = Instant::now();
    while began.elapsed() < scale.least && (attack.run)(other.address, scale).await.is_ok() {}
    let p99 = paced.measure().p99;
    // It has work to do until it has forgotten them.
    let until = Instant::now() + FORGET;
    while other.stats().await.is_some_and(|now| now.0 > before.0) && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
    }
    p99
}

async fn run(
    target: &Target,
    paced: &mut Paced,
    attack: &Attack,
    scale: Scale,
    (calm, beside): (Duration, Duration),
) -> Result<String, String> {
    let (connections, tasks) = target.stats().await.ok_or("the server does not answer before the attack")?;
    let (memory, files) = (target.memory(), target.files());
    paced.measure();
    let began = Instant::now();
    let is_again = Cell::new(false);
    let attacking = async {
        // Again and again: what is rare must show. So there are more clients than the attack has, until the server has noticed
        // that the first ones are gone; what they make it keep is measured before.
        loop {
            (attack.run)(target.address, scale).await?;
            is_again.set(true);
            if began.elapsed() >= scale.least {
                return Ok(());
            }
        }
    };
    tokio::pin!(attacking);
    let mut peak = memory;
    let outcome: Result<(), String> = loop {
        tokio::select! {
            outcome = &mut attacking => break outcome,
            () = sleep(Duration::from_millis(10)) => if !is_again.get() {
                peak = peak.max(target.memory());
            },
        }
    };
    let measured = paced.measure();
    outcome?;
    let grown = peak.saturating_sub(memory);
    let most = PER_CLIENT * attack.clients(scale) as u64 + KEPT;
    if grown > most {
        return Err(format!("memory grew by {}, at most {} was allowed", mega(grown), mega(most)));
    }
    // What the attack left behind.
    let until = Instant::now() + FORGET;
    loop {
        let now = target.stats().await.ok_or("the server does not answer after the attack")?;
        let (left, tasks_left) = (now.0.saturating_sub(connections), now.1.saturating_sub(tasks));
        let files_left = target.files().saturating_sub(files);
        if left == 0 && tasks_left <= 8 && files_left <= 4 {
            break;
        }
        if Instant::now() > until {
            return Err(format!("{left} connections, {tasks_left} tasks and {files_left} files are left"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let kept = target.memory().saturating_sub(memory);
    if kept > most {
        return Err(format!("memory stays grown by {}", mega(kept)));
    }
    if measured.lost > 0 {
        return Err(format!("{} of the clients that behave lost their connection", measured.lost));
    }
    let p99 = measured.p99;
    let ratio = |other: Duration| p99.as_secs_f64() / other.as_secs_f64().max(1e-6);
    let (to_calm, to_beside) = (ratio(calm), ratio(beside));
    Ok(format!(
        "p99 of the others {p99:?} ({to_calm:.1} x calm, {to_beside:.1} x as when another server is attacked), memory +{}, kept +{}",
        mega(grown),
        mega(kept)
    ))
}

fn mega(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
