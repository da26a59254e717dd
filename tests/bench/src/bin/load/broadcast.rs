//! One client has events emitted to all, a number of them at a time; each client checks the order.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use anyhow::{Result, bail};
use carolina_bench::{Metrics, contract::ROOMS};
use clap::Args;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{
    Target,
    client::Client,
    crowd,
    window::{Times, Window},
    wire,
};

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Broadcasts that have not reached everybody
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Size of the text that is broadcast
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Each client in a room of its own, each broadcast to all the rooms
    #[arg(long)]
    rooms: bool,
    #[command(flatten)]
    times: Times,
}

/// How long a broadcast may take to reach everybody before it counts as one that has not.
const STALLED: Duration = Duration::from_secs(2);

/// The number of a piece of news, if the packet is one.
pub(crate) fn news(packet: &[u8]) -> Option<u64> {
    Some(wire::number(packet.strip_prefix(br#"42["news",{"number":"#)?)?.0)
}

/// The packet that asks for a broadcast, behind `42` and an id.
pub(crate) fn request(event: &str, number: u64, text: &str) -> String {
    format!(r#"["{event}",{{"number":{number},"text":"{text}"}}]"#)
}

/// What is under way.
struct Fan {
    window: Window,
    clients: usize,
    /// How many clients each broadcast has yet to reach, from `first` on.
    missing: RefCell<std::collections::VecDeque<usize>>,
    first: Cell<u64>,
    out_of_order: Cell<u64>,
    stalled: Cell<u64>,
    reached_all: Notify,
}

impl Fan {
    fn arrived(&self, number: u64) {
        self.window.delivered();
        let mut missing = self.missing.borrow_mut();
        let first = self.first.get();
        let Some(left) = number.checked_sub(first).and_then(|place| missing.get_mut(place as usize)) else { return };
        *left -= 1;
        while missing.front() == Some(&0) {
            missing.pop_front();
            self.first.set(self.first.get() + 1);
            self.reached_all.notify_one();
        }
    }

    fn give_up(&self) {
        let mut missing = self.missing.borrow_mut();
        self.stalled.set(self.stalled.get() + missing.len() as u64);
        self.first.set(self.first.get() + missing.len() as u64);
        missing.clear();
    }
}

pub(crate) async fn run(target: Target, settings: Settings) -> Result<Metrics> {
    if settings.clients == 0 || settings.in_flight == 0 {
        bail!("--clients and --in-flight have to be at least 1");
    }
    if settings.rooms && settings.clients != ROOMS {
        bail!("there are {ROOMS} rooms, so --rooms needs --clients {ROOMS}");
    }
    let fan = Rc::new(Fan {
        window: Window::new(),
        clients: settings.clients,
        missing: RefCell::default(),
        first: Cell::new(0),
        out_of_order: Cell::new(0),
        stalled: Cell::new(0),
        reached_all: Notify::new(),
    });
    let mut clients = crowd::ready(target, settings.clients).await?;
    if settings.rooms {
        for (number, client) in clients.iter_mut().enumerate() {
            client.request("join", &number.to_string()).await?;
        }
    }
    let mut tasks = JoinSet::new();
    let sender = clients.swap_remove(0);
    tasks.spawn_local(send(sender, settings, fan.clone()));
    for client in clients {
        tasks.spawn_local(receive(client, fan.clone()));
    }
    let measured = tokio::select! {
        metrics = fan.window.measure(target, settings.times) => metrics,
        Some(ended) = tasks.join_next() => match ended? {
            Ok(()) => bail!("a client ended early"),
            Err(error) => Err(anyhow::Error::from(error).context("a client lost its connection")),
        },
    };
    let mut metrics = measured?;
    metrics.insert("out_of_order".into(), fan.out_of_order.get() as f64);
    metrics.insert("stalled".into(), fan.stalled.get() as f64);
    Ok(metrics)
}

/// Takes what has arrived; `last` is the highest number so far.
fn take(client: &mut Client, fan: &Fan, last: &mut Option<u64>) -> io::Result<()> {
    while let Some(packet) = client.take()? {
        match news(client.packet(packet)) {
            Some(number) => {
                if last.is_some_and(|last| number < last) {
                    if fan.window.is_open() {
                        fan.out_of_order.set(fan.out_of_order.get() + 1);
                    }
                } else {
                    *last = Some(number);
                }
                fan.arrived(number);
            }
            None => fan.window.wrong(),
        }
    }
    Ok(())
}

async fn receive(mut client: Client, fan: Rc<Fan>) -> io::Result<()> {
    let mut last = None;
    loop {
        client.exchange().await?;
        take(&mut client, &fan, &mut last)?;
    }
}

async fn send(mut client: Client, settings: Settings, fan: Rc<Fan>) -> io::Result<()> {
    let event = if settings.rooms { "publish" } else { "broadcast" };
    let text = "x".repeat(settings.bytes);
    let mut last = None;
    let mut next = 0;
    loop {
        while fan.missing.borrow().len() < settings.in_flight && !fan.window.is_over() {
            client.push(&[b"42", request(event, next, &text).as_bytes()]);
            fan.missing.borrow_mut().push_back(fan.clients);
            next += 1;
        }
        let progress = async {
            tokio::select! {
                arrived = client.exchange() => arrived,
                () = fan.reached_all.notified() => Ok(()),
            }
        };
        let seen = fan.first.get();
        match timeout(STALLED, progress).await {
            Ok(progress) => progress?,
            Err(_) if fan.first.get() == seen => fan.give_up(),
            Err(_) => {}
        }
        take(&mut client, &fan, &mut last)?;
    }
}
