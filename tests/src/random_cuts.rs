//! A proxy that cuts connections at random, wherever they are.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// A connection is cut within this time,
const TIME: Duration = Duration::from_millis(250);
/// or within so many bytes of one direction,
const BYTES: usize = 3_000;
/// of which polling needs more, for its heads.
const POLLING: usize = 4;

/// The proxy. It ends when it is dropped, and with it whatever goes through it.
#[derive(Debug)]
pub struct RandomCuts {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    to: String,
    seed: u64,
    is_cutting: watch::Sender<bool>,
    cuts: AtomicU64,
}

impl RandomCuts {
    /// Starts one in front of the service at `url`. It cuts nothing yet.
    pub async fn start(url: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = url.trim_start_matches("http://").to_owned();
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared { to, seed, is_cutting: watch::Sender::new(false), cuts: AtomicU64::new(0) });
        let passes = shared.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let Ok((near, _)) = listener.accept().await else { return };
                connections.spawn(pass_on(near, passes.clone(), number));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { url, shared, task }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts all connections, now and then those that are opened from here on at random; or none any more.
    pub fn cut(&self, cutting: bool) {
        self.shared.is_cutting.send_replace(cutting);
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Relaxed)
    }
}

impl Drop for RandomCuts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(near: TcpStream, shared: Arc<Shared>, number: u64) -> io::Result<()> {
    let mut random = StdRng::seed_from_u64(shared.seed.wrapping_mul(1_000_003).wrapping_add(number));
    let far = TcpStream::connect(&shared.to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near_read, near_write) = near.into_split();
    let (far_read, mut far_write) = far.into_split();
    let mut head = vec![0; 16 * 1024];
    let read = near_read.read(&mut head).await?;
    let polls = String::from_utf8_lossy(&head[..read]).contains("transport=polling");
    let mut is_cutting = shared.is_cutting.subscribe();
    let (mut time, mut up, mut down) = (TIME * 4, usize::MAX, usize::MAX);
    let bytes = if polls { BYTES * POLLING } else { BYTES };
    let was_cutting = *is_cutting.borrow_and_update();
    match random.random_range(0..3) {
        _ if !was_cutting => {}
        0 => time = random.random_range(Duration::ZERO..TIME),
        1 => up = random.random_range(1..bytes),
        _ => down = random.random_range(1..bytes),
    }
    let first = read.min(up);
    let both = async {
        far_write.write_all(&head[..first]).await?;
        if first == up {
            return Ok(true);
        }
        tokio::select! {
            ended = copy(near_read, far_write, up.saturating_sub(first)) => ended,
            ended = copy(far_read, near_write, down) => ended,
        }
    };
    let cut = async {
        match was_cutting {
            true => tokio::time::sleep(time).await,
            false => drop(is_cutting.wait_for(|is| *is).await),
        }
    };
    let was_cut = tokio::select! {
        was_cut = both => was_cut?,
        () = cut => true,
    };
    if was_cut {
        shared.cuts.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Copies until the end, or so many bytes: then it is `true`.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut left: usize) -> io::Result<bool> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let most = chunk.len().min(left.max(1));
        let read = from.read(&mut chunk[..most]).await?;
        if read == 0 {
            return Ok(false);
        }
        to.write_all(&chunk[..read.min(left)]).await?;
        left = left.saturating_sub(read);
        if left == 0 {
            return Ok(true);
        }
    }
}
