//! Many clients join a channel that lists who is there, each under a key of its own: how long it takes until all know of all, and what each is sent.

use std::{cell::RefCell, io, rc::Rc, time::Instant};

use anyhow::{Context, Result, ensure};
use carolina_bench::Metrics;
use clap::Args;
use memchr::memmem;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{Target, client::Client, connect::settled, crowd::AT_A_TIME};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    /// How many clients join
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// How many more join after them, one after the other
    #[arg(long, default_value_t = 50)]
    more: usize,
}

const PATH: &str = "/here";

/// How long it may take until all know of all.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(300);

/// What all clients have been told.
#[derive(Default)]
struct Told {
    /// How many clients know of so many, for each number.
    knowing: Vec<usize>,
    state_bytes: u64,
    diff_bytes: u64,
    states: u64,
    /// How many entries the largest list had, and its size.
    largest: (usize, usize),
    /// What the first client was told: how many were there, how many joined, bytes.
    first: Vec<(usize, usize, usize)>,
}

struct Everyone {
    told: RefCell<Told>,
    changed: Notify,
}

impl Everyone {
    /// Waits until this many clients know of this many.
    async fn know(&self, clients: usize, of: usize) -> Result<()> {
        let all = async {
            while self.told.borrow().knowing.get(of).is_none_or(|knowing| *knowing < clients) {
                self.changed.notified().await;
            }
        };
        timeout(LONGEST, all).await.with_context(|| format!("not all {clients} clients know of {of}"))
    }
}

/// How many entries a list has.
fn entries(list: &[u8]) -> usize {
    memmem::find_iter(list, br#""metas":["#).count()
}

/// Follows the list.
async fn follow(mut client: Client, is_first: bool, everyone: Rc<Everyone>) -> io::Result<()> {
    let mut known = 0;
    loop {
        let range = client.next().await?;
        let packet = client.packet(range);
        let Some(event) = packet.strip_prefix(b"42/here,[\"presence_") else { continue };
        let before = known;
        let mut told = everyone.told.borrow_mut();
        if event.starts_with(b"state") {
            known = entries(event);
            told.states += 1;
            told.state_bytes += event.len() as u64;
            told.largest = told.largest.max((known, event.len()));
        } else {
            let leaves = memmem::rfind(event, br#""leaves":{"#).unwrap_or(event.len());
            let (joined, left) = (entries(&event[..leaves]), entries(&event[leaves..]));
            known = (known + joined).saturating_sub(left);
            told.diff_bytes += event.len() as u64;
            if is_first {
                told.first.push((before, joined, event.len()));
            }
        }
        if told.knowing.len() <= known {
            told.knowing.resize(known + 1, 0);
        }
        // A client that knows of more has known of fewer.
        (before + 1..=known).for_each(|number| told.knowing[number] += 1);
        drop(told);
        everyone.changed.notify_one();
        client.shrink();
    }
}

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    let Settings { clients: count, more } = settings;
    ensure!(count >= 100 && more > 0, "--clients has to be at least 100, --more at least 1");
    let everyone = Rc::new(Everyone { told: RefCell::default(), changed: Notify::new() });
    let before = settled(target).await?;
    let processor = target.process.cpu()?;
    let mut following = JoinSet::new();
    let begin = Instant::now();
    following.spawn_local(follow(Client::connect_to(target.address, PATH).await?, true, everyone.clone()));
    let mut joining = JoinSet::new();
    for number in 1..count {
        if number >= AT_A_TIME {
            let joined: io::Result<Client> = joining.join_next().await.context("nobody joins")??;
            following.spawn_local(follow(joined?, false, everyone.clone()));
        }
        joining.spawn_local(Client::connect_to(target.address, PATH));
    }
    while let Some(joined) = joining.join_next().await {
        following.spawn_local(follow(joined??, false, everyone.clone()));
    }
    let joined = begin.elapsed();
    everyone.know(count, count).await?;
    let storm = begin.elapsed().as_secs_f64();
    let processor = (target.process.cpu()? - processor).as_secs_f64();
    let mut metrics = {
        let told = everyone.told.borrow();
        let per_join = |present: std::ops::Range<usize>| {
            let (joins, bytes) = told
                .first
                .iter()
                .filter(|(before, ..)| present.contains(before))
                .fold((0, 0), |(joins, bytes), (_, joined, more)| (joins + joined, bytes + more));
            bytes as f64 / joins as f64
        };
        let (first, last) = (per_join(0..count / 10), per_join(count - count / 10..count));
        Metrics::from([
            ("joined_seconds".into(), joined.as_secs_f64()),
            ("storm_seconds".into(), storm),
            ("joins_per_second".into(), count as f64 / storm),
            ("cpu_us_per_join".into(), processor * 1e6 / count as f64),
            ("bytes_per_join_at_first".into(), first),
            ("bytes_per_join_at_last".into(), last),
            ("bytes_per_join_ratio".into(), last / first),
            ("state_bytes_per_entry".into(), told.largest.1 as f64 / told.largest.0 as f64),
            ("states_per_client".into(), told.states as f64 / count as f64),
            ("state_bytes".into(), told.state_bytes as f64),
            ("diff_bytes".into(), told.diff_bytes as f64),
        ])
    };
    metrics.insert("bytes_per_client".into(), settled(target).await?.saturating_sub(before) as f64 / count as f64);
    let mut times = Vec::with_capacity(more);
    for number in count + 1..=count + more {
        let begin = Instant::now();
        let client = Client::connect_to(target.address, PATH).await?;
        following.spawn_local(follow(client, false, everyone.clone()));
        everyone.know(number, number).await?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    metrics.insert("join_seen_by_all_p50_us".into(), times[more / 2]);
    metrics.insert("join_seen_by_all_max_us".into(), times[more - 1]);
    let mut ended = 0;
    while let Some(done) = following.try_join_next() {
        done??;
        ended += 1;
    }
    ensure!(ended == 0, "{ended} clients ended early");
    Ok(metrics)
}
