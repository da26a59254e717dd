//! Official clients whose connections are cut, and whether they have missed anything without being told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carolina_sockets::{identity::async_trait, prelude::*};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{nodes::Node, program::Script, random_cuts::RandomCuts, wire::RawSocket};

/// The clients: their users, rooms and transports.
const CLIENTS: [(Option<&str>, &[&str], &[&str]); 3] = [
    (Some("ada"), &["r0"], &["websocket"]),
    (Some("bob"), &["r0", "r1"], &["polling"]),
    (None, &["r1"], &["polling", "websocket"]),
];

/// How long a server may take to notice that a connection is lost, in milliseconds.
const UNNOTICED: u64 = 1_000;

/// What is done to the clients.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Equal seeds cut in the same places, as far as the clients do the same.
    pub seed: u64,
    /// How many connections are cut.
    pub cuts: u64,
    /// So many events after another, a node is killed, and started again: never with 0.
    pub kill_every: usize,
}

/// How many cuts there are: those of a short run, or `RESUME_CUTS`.
pub fn cuts(short: u64) -> u64 {
    std::env::var("RESUME_CUTS").map_or(short, |cuts| cuts.parse().expect("RESUME_CUTS is a number"))
}

/// What is drawn from: `RESUME_SEED`, or this.
pub fn seed(usual: u64) -> u64 {
    std::env::var("RESUME_SEED").map_or(usual, |seed| seed.parse().expect("RESUME_SEED is a number"))
}

/// Whom an event was sent to.
#[derive(Clone, Copy, Debug)]
enum To {
    All,
    Room(&'static str),
    User(&'static str),
}

/// An event, with the times before and after its sending, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    to: To,
    began: u64,
    ended: u64,
}

/// What a client notes.
#[derive(Clone, Debug)]
enum Note {
    Connected { recovered: bool },
    Joined,
    Disconnected,
    Gap { reason: String, since: Option<u64> },
    Event { number: u64, offset: Option<String> },
}

/// What the clients have been through, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were cut.
    pub cuts: u64,
    /// Events that clients have got.
    pub events: usize,
    /// Connections that were resumed.
    pub resumed: usize,
    /// Connections that were not, but for the first ones.
    pub anew: usize,
    /// The reasons of the gaps that clients were told of.
    pub gaps: Vec<String>,
    /// Events that were missed, and are in a gap.
    pub missed: usize,
    /// Events that came on connections which were cut before they were connected, and then again.
    pub again: usize,
}

/// A channel of the tests that resume, with these options. Whoever uses it imports the prelude.
#[macro_export]
macro_rules! feed {
    ($name:ident, $($option:tt)*) => {
        #[channel($($option)*)]
        #[derive(Default)]
        struct $name {
            left: AtomicUsize,
        }

        #[channel]
        impl $name {
            #[on(connect)]
            fn connect(&self, socket: Socket, resumed: Resumed) {
                socket.set(resumed.map(|resumed| resumed.events));
            }

            #[on("resumed")]
            fn resumed(&self, socket: Socket) -> Option<usize> {
                socket.get::<Option<usize>>().flatten()
            }

            #[on("left")]
            fn left(&self) -> usize {
                self.left.load(Relaxed)
            }

            #[on("shout")]
            async fn shout(&self, socket: Socket, Data(value): Data<::serde_json::Value>) -> Result<(), EventError> {
                socket.channel_handle().emit("shout", &value).await?;
                Ok(())
            }

            #[on("others")]
            async fn others(&self, socket: Socket, Data(value): Data<::serde_json::Value>) -> Result<(), EventError> {
                socket.broadcast().emit("others", &value).await?;
                Ok(())
            }

            #[on("bytes")]
            async fn bytes(&self, socket: Socket, Data(value): Data<Bytes>) -> Result<(), EventError> {
                socket.channel_handle().emit("shout", &value).await?;
                Ok(())
            }

            #[on("tell")]
            async fn tell(&self, socket: Socket, Data(text): Data<String>) -> Result<(), EventError> {
                Ok(socket.emit("told", &text).await?)
            }

            #[on("join")]
            fn join(&self, socket: Socket, Data(room): Data<String>) -> bool {
                socket.join(room)
            }

            #[on("room")]
            async fn room(&self, socket: Socket, Data((room, text)): Data<(String, String)>) -> Result<(), EventError> {
                socket.channel_handle().to(room).emit("room", &text).await?;
                Ok(())
            }

            #[on(disconnect)]
            fn disconnect(&self) {
                self.left.fetch_add(1, Relaxed);
            }
        }
    };
}

/// A client is the user that its `auth` names.
pub struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        #[derive(Deserialize)]
        struct Auth {
            name: Option<String>,
        }
        Ok(handshake.auth::<Auth>()?.name.map_or_else(Identity::anonymous, Identity::user))
    }
}

/// A client that resumes, and reads what is on the wire.
#[derive(Debug)]
pub struct Wire {
    /// Its connection.
    pub socket: RawSocket,
    channel: String,
    /// What it is known by.
    pub pid: String,
    /// The last one that it was told.
    pub offset: String,
    /// What came before the answer to its CONNECT.
    pub missed: Vec<String>,
    /// The gap that it was told, if it was.
    pub gap: Option<Value>,
}

impl Wire {
    /// Joins a channel of the service at a URL.
    pub async fn join(url: &str, channel: &str, auth: Value) -> Self {
        let mut socket = RawSocket::open(url).await;
        assert!(socket.send(&format!("40{channel},{auth}")).await);
        let answer = format!("40{channel},");
        let mut missed = Vec::new();
        let answer = loop {
            let packet = socket.read().await.expect("an answer");
            if let Some(answer) = packet.strip_prefix(&answer) {
                break answer.to_owned();
            }
            if packet.starts_with("42") || packet.starts_with("45") {
                missed.push(packet);
            }
        };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let pid = answer["pid"].as_str().unwrap_or_default().to_owned();
        let mut this = Self { socket, channel: channel.to_owned(), pid, offset: String::new(), missed, gap: None };
        let own = this.event().await;
        if own[0] == "carolina:gap" {
            this.gap = Some(own[1].clone());
        }
        this
    }

    /// Comes back with what a former connection has left, as this user.
    pub async fn resume(url: &str, mut auth: Value, channel: &str, name: Option<&str>) -> Self {
        if let Some(name) = name {
            auth["name"] = name.into();
        }
        Self::join(url, channel, auth).await
    }

    /// The next event, with its offset.
    pub async fn event(&mut self) -> Vec<Value> {
        let beginning = format!("42{},", self.channel);
        let packet = self.socket.expect(&beginning).await;
        let mut event: Vec<Value> = serde_json::from_str(&packet[beginning.len()..]).unwrap();
        self.offset = event.pop().and_then(|offset| offset.as_str().map(str::to_owned)).expect("an offset");
        event
    }

    /// What it comes back with.
    pub fn auth(&self) -> Value {
        serde_json::json!({ "pid": self.pid, "offset": self.offset })
    }
}

/// A client that does not ask to resume, on a channel where another one has.
#[derive(Debug)]
pub struct Unaware {
    socket: RawSocket,
    channel: String,
    received: Vec<String>,
    _asks: RawSocket,
}

impl Unaware {
    /// Joins a channel of the service at a URL.
    pub async fn join(url: &str, channel: &str) -> Self {
        let mut asks = RawSocket::open(url).await;
        assert!(asks.send(&format!("40{channel},{{\"resume\":true}}")).await);
        asks.expect("40").await;
        let mut socket = RawSocket::open(url).await;
        assert!(socket.send(&format!("40{channel},")).await);
        let answer = socket.expect("40").await;
        let sid = answer.split('"').nth(3).expect("a `sid`").to_owned();
        Self { socket, channel: channel.to_owned(), received: vec![answer.replace(&sid, "SID")], _asks: asks }
    }

    /// Sends an event, and reads so many packets.
    pub async fn send(&mut self, event: &str, answers: usize) {
        assert!(self.socket.send(&format!("42{},{event}", self.channel)).await);
        for _ in 0..answers {
            self.receive().await;
        }
    }

    /// Reads a packet.
    pub async fn receive(&mut self) {
        self.received.push(self.socket.expect("4").await);
    }

    /// What it has received, without its `sid` and the name of the channel.
    pub fn received(&self) -> String {
        self.received.join("\n").replace(&self.channel, "/channel")
    }
}

#[derive(Deserialize)]
struct Told {
    log: Vec<Vec<Value>>,
    doubles: usize,
}

/// Starts the clients.
fn start(urls: &[&str], sessions: &[Option<String>]) -> Script {
    let clients: Vec<Value> = CLIENTS
        .iter()
        .zip(sessions)
        .map(|((_, rooms, transports), session)| {
            json!({ "urls": urls, "transports": transports, "session": session, "rooms": rooms })
        })
        .collect();
    Script::start(&["cuts.mjs", &json!(clients).to_string()])
}

/// The nodes, of which one at a time may be on its way back.
struct Nodes {
    here: Vec<Node>,
    coming: Option<JoinHandle<Node>>,
}

impl Nodes {
    /// Kills one of several, which comes back soon.
    async fn kill(&mut self, random: &mut StdRng) {
        self.settle().await;
        let mut node = self.here.swap_remove(random.random_range(0..self.here.len()));
        node.kill();
        let away = Duration::from_millis(random.random_range(50..400));
        self.coming = Some(tokio::task::spawn_blocking(move || {
            std::thread::sleep(away);
            node.start_again();
            node
        }));
    }

    /// Waits until all are there.
    async fn settle(&mut self) {
        if let Some(coming) = self.coming.take() {
            self.here.push(coming.await.expect("it starts"));
        }
    }
}

fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(time.as_millis()).expect("a time of this age")
}

/// Cuts three clients of these nodes again and again, while events are on their way to all, to rooms and to users. Fails when a client has missed an
/// event and was not told, or got one twice or in another order.
pub async fn storm(nodes: Vec<Node>, plan: Plan) -> Seen {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let sessions: Vec<_> = CLIENTS
        .iter()
        .map(|(user, ..)| user.map(|user| nodes[0].login(user).split_once('=').expect("a cookie").1.to_owned()))
        .collect();
    let mut proxies = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        proxies.push(RandomCuts::start(&node.url(), plan.seed * 10 + number as u64).await);
    }
    let urls: Vec<&str> = proxies.iter().map(RandomCuts::url).collect();
    let mut clients = start(&urls, &sessions);
    clients.ask("joined", crate::DEADLINE).await.expect("the clients join");
    let mut nodes = Nodes { here: nodes, coming: None };
    let mut sent = Vec::new();
    let cut_so_far = || proxies.iter().map(RandomCuts::cuts).sum::<u64>();
    proxies.iter().for_each(|proxy| proxy.cut(true));
    let began = std::time::Instant::now();
    while cut_so_far() < plan.cuts {
        assert!(
            began.elapsed() < Duration::from_secs(20 + plan.cuts),
            "{} cuts take too long: {}",
            plan.cuts,
            cut_so_far()
        );
        let to = match random.random_range(0..8) {
            0..4 => To::All,
            4 => To::Room("r0"),
            5 => To::Room("r1"),
            6 => To::User("ada"),
            _ => To::User("bob"),
        };
        send(&nodes.here[random.random_range(0..nodes.here.len())], to, &mut sent);
        if plan.kill_every > 0 && sent.len() % plan.kill_every == 0 {
            nodes.kill(&mut random).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..6))).await;
    }
    proxies.iter().for_each(|proxy| proxy.cut(false));
    nodes.settle().await;
    // Connections that were opened before are still cut.
    tokio::time::sleep(Duration::from_secs(2)).await;
    clients.ask("joined", crate::DEADLINE).await.expect("the clients are connected at the end");
    send(&nodes.here[0], To::All, &mut sent);
    let all = clients.ask(&format!("heard {}", sent.len()), crate::DEADLINE * 2).await.expect("the clients answer");
    let told = clients.ask("report", crate::DEADLINE).await.expect("a report");
    let told: Vec<Told> = serde_json::from_str(&told).expect("a report");
    let mut seen = Seen { cuts: cut_so_far(), ..Seen::default() };
    for (number, told) in told.into_iter().enumerate() {
        check(plan, number, told, &sent, &mut seen);
    }
    assert!(all.starts_with("heard"), "the last event has not come: {seen:?}");
    seen
}

fn send(node: &Node, to: To, sent: &mut Vec<Sent>) {
    let number = sent.len() as u64 + 1;
    let event = match to {
        To::All => json!({ "event": "n", "data": number }),
        To::Room(room) => json!({ "event": "n", "data": number, "room": room }),
        To::User(user) => json!({ "event": "n", "data": number, "user": user }),
    };
    let began = now();
    tokio::task::block_in_place(|| node.emit(event));
    sent.push(Sent { number, to, began, ended: now() });
}

/// Compares what a client has noted with what was sent to it.
fn check(plan: Plan, number: usize, told: Told, sent: &[Sent], seen: &mut Seen) {
    let (user, rooms, transports) = CLIENTS[number];
    let notes: Vec<(Note, u64)> = told.log.iter().map(|entry| read(entry)).collect();
    let expected: Vec<&Sent> = sent
        .iter()
        .filter(|one| match one.to {
            To::All => true,
            To::Room(room) => rooms.contains(&room),
            To::User(to) => user == Some(to),
        })
        .collect();
    // A client that is new has no rooms until it has joined them; for the server it is new before it hears so.
    let mut without_rooms = Vec::new();
    let mut since = None;
    let mut left = 0;
    for (note, at) in &notes {
        match note {
            Note::Disconnected => left = *at,
            Note::Connected { recovered: false } => since = since.or(Some(left)),
            Note::Joined => without_rooms.extend(since.take().map(|since| (since, *at))),
            _ => {}
        }
    }
    without_rooms.extend(since.map(|since| (since, u64::MAX)));
    let had_no_room = |one: &Sent| {
        matches!(one.to, To::Room(_)) && without_rooms.iter().any(|(from, to)| one.began <= *to && one.ended >= *from)
    };
    let mut next = 0;
    // From when the server says that events are missing, until the client was told.
    let mut gap: Option<(u64, u64)> = None;
    let mut is_untold = false;
    let mut is_first = true;
    for (at, (note, time)) in notes.iter().enumerate() {
        let fail = |why: String| -> ! {
            let near: Vec<_> = notes[at.saturating_sub(12)..(at + 3).min(notes.len())].iter().collect();
            panic!("{plan:?}, client {number} over {transports:?}: {why}; around it: {near:#?}");
        };
        match note {
            Note::Connected { recovered: true } => seen.resumed += 1,
            Note::Connected { recovered: false } if is_first => is_first = false,
            Note::Connected { recovered: false } => {
                seen.anew += 1;
                is_untold = true;
            }
            Note::Gap { reason, since } => {
                seen.gaps.push(reason.clone());
                gap = Some((gap.map_or(u64::MAX, |(from, _)| from).min(since.unwrap_or(0)), *time));
                is_untold = false;
            }
            Note::Event { number: got, offset } => {
                if offset.is_none() {
                    fail(format!("event {got} has no offset"));
                }
                let Ok(found) = expected.binary_search_by_key(got, |one| one.number) else {
                    fail(format!("event {got} was sent to others"));
                };
                if found < next {
                    fail(format!("event {got} came twice, or late"));
                }
                if is_untold {
                    fail(format!("it is new and was told of no gap before event {got}"));
                }
                let missed: Vec<_> = expected[next..found].iter().filter(|one| !had_no_room(one)).collect();
                let is_covered = |one: &&&&Sent| {
                    gap.is_some_and(|(from, until)| one.began <= until && one.ended + UNNOTICED >= from)
                };
                if let Some(one) = missed.iter().find(|one| !is_covered(one)) {
                    fail(format!("{one:?} is missing before event {got}"));
                }
                seen.events += 1;
                seen.missed += missed.len();
                gap = None;
                next = found + 1;
            }
            Note::Joined | Note::Disconnected => {}
        }
    }
    assert_eq!(
        next,
        expected.len(),
        "{plan:?}, client {number} over {transports:?}: the end is missing: {:#?}",
        &notes[notes.len().saturating_sub(12)..]
    );
    seen.again += told.doubles;
}

fn read(entry: &[Value]) -> (Note, u64) {
    let time = entry.last().and_then(Value::as_u64).expect("a time");
    let note = match entry[0].as_str() {
        Some("connect") => Note::Connected { recovered: entry[1] == true },
        Some("joined") => Note::Joined,
        Some("disconnect") => Note::Disconnected,
        Some("gap") => Note::Gap { reason: entry[1].as_str().unwrap_or_default().to_owned(), since: entry[2].as_u64() },
        _ => Note::Event { number: entry[1].as_u64().expect("a number"), offset: entry[2].as_str().map(str::to_owned) },
    };
    (note, time)
}
