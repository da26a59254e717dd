//! Access to the backplane's server is not enough to send anything to nodes and their clients. Over a real Redis and a real
//! PostgreSQL.

use carolina_sockets::Emitter;
use carolina_sockets_tests::{
    DEADLINE,
    nodes::{Node, SECRET},
    servers::{Postgres, Redis, Server},
    until,
    wire::RawSocket,
};
use futures_util::StreamExt;
use redis::AsyncCommands;
use serde_json::json;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::mpsc;

const OTHER_SECRET: &str = "another secret that no node of the test has";
const CONTROL: &str = "carolina-control";

/// Somebody who has access to the server, but not to the secret.
enum Attacker {
    Redis(Box<redis::Client>, Box<redis::aio::MultiplexedConnection>),
    Postgres(PgPool),
}

impl Attacker {
    async fn at(server: &Server) -> Self {
        match server {
            Server::Redis(redis) => {
                let client = redis::Client::open(redis.url()).unwrap();
                let connection = client.get_multiplexed_async_connection().await.unwrap();
                Self::Redis(Box::new(client), Box::new(connection))
            }
            Server::Postgres(postgres) => Self::Postgres(PgPool::connect(&postgres.url()).await.unwrap()),
        }
    }

    /// The channel on which nodes send each other emits on `/open`.
    fn requests(&self) -> &'static str {
        match self {
            Self::Redis(..) => "carolina-request#/open#",
            // The adapter's hash of `carolina#/open`.
            Self::Postgres(_) => "ch_bee08376eacea1c0",
        }
    }

    async fn publish(&mut self, channel: &str, message: &[u8]) {
        match self {
            Self::Redis(_, connection) => connection.publish::<_, _, ()>(channel, message).await.unwrap(),
            Self::Postgres(pool) => {
                let text = std::str::from_utf8(message).unwrap();
                sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(text).execute(&*pool).await.unwrap();
            }
        }
    }

    /// What is published on a channel from now on.
    async fn listen(&self, channel: &str) -> Recorded {
        let (to, from) = mpsc::unbounded_channel();
        match self {
            Self::Redis(client, _) => {
                let mut subscriber = client.get_async_pubsub().await.unwrap();
                subscriber.subscribe(channel).await.unwrap();
                tokio::spawn(async move {
                    let mut messages = subscriber.into_on_message();
                    while let Some(message) = messages.next().await {
                        let _ = to.send(message.get_payload_bytes().to_vec());
                    }
                });
            }
            Self::Postgres(pool) => {
                let mut listener = PgListener::connect_with(pool).await.unwrap();
                listener.listen(channel).await.unwrap();
                tokio::spawn(async move {
                    while let Ok(note) = listener.recv().await {
                        let _ = to.send(note.payload().as_bytes().to_vec());
                    }
                });
            }
        }
        Recorded(from)
    }

    /// How an adapter's message spells a text.
    fn spelled(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Redis(..) => text.as_bytes().to_vec(),
            Self::Postgres(_) => text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",").into_bytes(),
        }
    }

    /// A message of the control channel as nodes without a secret send it.
    fn control(&self, message: &str) -> Vec<u8> {
        let kind = match self {
            Self::Redis(..) => "",
            Self::Postgres(_) => "t",
        };
        format!("carolina1:{kind}{message}").into_bytes()
    }
}

struct Recorded(mpsc::UnboundedReceiver<Vec<u8>>);

impl Recorded {
    /// The next message in which this occurs.
    async fn next_with(&mut self, part: &[u8]) -> Vec<u8> {
        let found = async {
            loop {
                let message = self.0.recv().await.expect("the server is there");
                if find(&message, part).is_some() {
                    return message;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("a message")
    }
}

fn find(message: &[u8], part: &[u8]) -> Option<usize> {
    message.windows(part.len()).position(|window| window == part)
}

fn replace(message: &[u8], part: &[u8], by: &[u8]) -> Vec<u8> {
    let at = find(message, part).expect("the part is there");
    [&message[..at], by, &message[at + part.len()..]].concat()
}

/// The message as a node without a secret would send it.
fn unsigned(message: &[u8]) -> Vec<u8> {
    [b"carolina1:", &message["carolina2:".len() + 75..]].concat()
}

/// The next message to a client that is not a ping.
async fn next(socket: &mut RawSocket) -> String {
    socket.expect("4").await
}

async fn emitter(server: &Server, prefix: &str, secret: &str) -> Emitter {
    Emitter::connect_with_secret(&server.url(), prefix, secret).await.unwrap()
}

async fn control_messages_need_a_valid_signature(server: Server) {
    let node = Node::start(&server.url());
    let ada = node.login("ada");
    let mut socket = RawSocket::join_with(&node.url(), "/open", Some(&ada)).await;
    let mut attacker = Attacker::at(&server).await;
    let mut recorded = attacker.listen(CONTROL).await;
    let good = emitter(&server, "carolina", SECRET).await;
    let mut round = 0;
    let mut only_good_ones_arrive = async |socket: &mut RawSocket, what: &str| {
        round += 1;
        good.channel("/open").emit("good", round).await.unwrap();
        assert_eq!(next(socket).await, format!("42/open,[\"good\",{round}]"), "after {what}");
    };
    only_good_ones_arrive(&mut socket, "nothing").await;
    let taken = recorded.next_with(b"good").await;

    for garbage in ["", "garbage", "carolina2:", "carolina2:garbage", &format!("carolina2:{}", "A".repeat(75))] {
        attacker.publish(CONTROL, garbage.as_bytes()).await;
        only_good_ones_arrive(&mut socket, garbage).await;
    }

    // This process has no secret.
    let unsigned_emitter = Emitter::connect(&server.url()).await.unwrap();
    let other = emitter(&server, "carolina", OTHER_SECRET).await;
    for (emitter, what) in [(&unsigned_emitter, "unsigned ones"), (&other, "ones with another secret")] {
        emitter.channel("/open").emit("bad", 1).await.unwrap();
        emitter.disconnect_user("ada").await.unwrap();
        only_good_ones_arrive(&mut socket, what).await;
    }

    attacker.publish(CONTROL, &taken).await;
    only_good_ones_arrive(&mut socket, "a repeated one").await;
    attacker.publish(CONTROL, &unsigned(&taken)).await;
    only_good_ones_arrive(&mut socket, "one without its signature").await;
    good.channel("/nowhere").emit("good", 0).await.unwrap();
    let unseen = recorded.next_with(b"/nowhere").await;
    attacker.publish(CONTROL, &replace(&unseen, b"/nowhere", b"/open")).await;
    only_good_ones_arrive(&mut socket, "a changed one").await;

    // What is meant for the nodes of another prefix, which have the same secret.
    let mut elsewhere = attacker.listen("elsewhere-control").await;
    emitter(&server, "elsewhere", SECRET).await.channel("/open").emit("bad", 1).await.unwrap();
    let moved = elsewhere.next_with(b"bad").await;
    attacker.publish(CONTROL, &moved).await;
    only_good_ones_arrive(&mut socket, "one of another channel").await;
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_need_a_valid_signature_over_redis() {
    control_messages_need_a_valid_signature(Server::Redis(Redis::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_need_a_valid_signature_over_postgres() {
    control_messages_need_a_valid_signature(Server::Postgres(Postgres::start())).await;
}

async fn emits_of_nodes_need_a_valid_signature(server: Server) {
    let [a, b] = std::array::from_fn(|_| Node::start(&server.url()));
    let mut socket = RawSocket::join(&b.url(), "/open").await;
    let mut attacker = Attacker::at(&server).await;
    let requests = attacker.requests();
    let mut recorded = attacker.listen(requests).await;
    let mut round = 0;
    let mut only_good_ones_arrive = async |socket: &mut RawSocket, what: &str| {
        round += 1;
        a.emit(json!({ "event": "good", "data": round }));
        assert_eq!(next(socket).await, format!("42/open,[\"good\",{round}]"), "after {what}");
    };
    only_good_ones_arrive(&mut socket, "nothing").await;
    let (good, evil) = (attacker.spelled("good"), attacker.spelled("evil"));
    let taken = recorded.next_with(&good).await;

    attacker.publish(requests, &taken).await;
    only_good_ones_arrive(&mut socket, "a repeated one").await;
    attacker.publish(requests, &unsigned(&taken)).await;
    only_good_ones_arrive(&mut socket, "one without its signature").await;
    attacker.publish(requests, &replace(&taken, &good, &evil)).await;
    only_good_ones_arrive(&mut socket, "a changed one").await;
    let mut control = attacker.listen(CONTROL).await;
    emitter(&server, "carolina", SECRET).await.channel("/open").to("nobody").emit("evil", 1).await.unwrap();
    let moved = control.next_with(b"evil").await;
    attacker.publish(requests, &moved).await;
    only_good_ones_arrive(&mut socket, "one of the control channel").await;
    for log in [a.log(), b.log()] {
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn emits_of_nodes_need_a_valid_signature_over_redis() {
    emits_of_nodes_need_a_valid_signature(Server::Redis(Redis::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emits_of_nodes_need_a_valid_signature_over_postgres() {
    emits_of_nodes_need_a_valid_signature(Server::Postgres(Postgres::start())).await;
}

/// PostgreSQL alone has rows, for what is too long for a notification.
#[tokio::test(flavor = "multi_thread")]
async fn rows_need_a_valid_signature() {
    let postgres = Postgres::start();
    let [a, b] = std::array::from_fn(|_| Node::start(&postgres.url()));
    let mut socket = RawSocket::join(&b.url(), "/open").await;
    let long = "x".repeat(20_000);
    postgres.execute(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         NEW.payload = set_byte(NEW.payload, position('120,120,120'::bytea IN NEW.payload), 51); RETURN NEW; END $$; \
         CREATE TRIGGER change BEFORE INSERT ON carolina_backplane FOR EACH ROW EXECUTE FUNCTION change()",
    );
    a.emit(json!({ "event": "long", "data": long }));
    a.emit(json!({ "event": "short" }));
    assert!(next(&mut socket).await.starts_with("42/open,[\"short\""));
    until("the refusal is logged", || b.log().contains("a row whose signature is wrong")).await;

    postgres.execute("DROP TRIGGER change ON carolina_backplane");
    a.emit(json!({ "event": "long", "data": long }));
    assert_eq!(next(&mut socket).await, format!("42/open,[\"long\",\"{long}\"]"));
}

async fn nodes_without_a_secret_pass_on_only_events(server: Server) {
    let [a, b] = std::array::from_fn(|_| Node::start_without_secret(&server.url()));
    let mut socket = RawSocket::join(&b.url(), "/open").await;
    let mut attacker = Attacker::at(&server).await;
    let requests = attacker.requests();
    let mut recorded = attacker.listen(requests).await;
    let mut round = 0;
    let mut only_good_ones_arrive = async |socket: &mut RawSocket, what: &str| {
        round += 1;
        a.emit(json!({ "event": "good", "data": round }));
        assert_eq!(next(socket).await, format!("42/open,[\"good\",{round}]"), "after {what}");
    };
    only_good_ones_arrive(&mut socket, "nothing").await;
    let text = attacker.spelled("[\"good\",1]");
    let taken = recorded.next_with(&text).await;

    let not_json = attacker.spelled("[\"evil\",1}");
    let no_name = attacker.spelled("[666666,1] ");
    let mut evil = vec![
        ("no JSON", replace(&taken, &text, &not_json)),
        (
            "no name",
            replace(
                &taken,
                &text,
                &no_name[..no_name.len() - attacker.spelled(" ").len() - usize::from(requests.starts_with("ch_"))],
            ),
        ),
        ("garbage", b"carolina1:garbage".to_vec()),
    ];
    match attacker {
        Attacker::Redis(..) => {
            // The packet is an array of its namespace, its type, and its data, which begin with their kind.
            let head = [b"\xa5/open\x02\x93\x00\x9a", &text[..]].concat();
            let changed = |namespace: &[u8; 5], kind: u8, data: u8| {
                let head_of = [b"\xa5", &namespace[..], &[kind, 0x93, data, 0x9a], &text[..]].concat();
                replace(&taken, &head, &head_of)
            };
            evil.push(("another namespace", changed(b"/oper", 2, 0)));
            evil.push(("a disconnect", changed(b"/open", 1, 0)));
            evil.push(("attachments without attachments", changed(b"/open", 5, 0)));
            evil.push(("raw bytes", changed(b"/open", 2, 1)));
        }
        Attacker::Postgres(_) => {
            let changed = |from: &str, to: &str| replace(&taken, from.as_bytes(), to.as_bytes());
            evil.push(("another namespace", changed("\"ns\":\"/open\"", "\"ns\":\"/oper\"")));
            evil.push(("a disconnect", changed("\"/open\",\"type\":2", "\"/open\",\"type\":1")));
            evil.push(("attachments without attachments", changed("\"/open\",\"type\":2", "\"/open\",\"type\":5")));
            evil.push(("raw bytes", changed("\"data\":[0,", "\"data\":[1,")));
        }
    }
    for (what, message) in &evil {
        attacker.publish(requests, message).await;
        only_good_ones_arrive(&mut socket, what).await;
    }
    for payload in
        ["garbage", "1", "[]", "[1]", "[\\\"evil\\\",1}", "[\\\"evil\\\",{\\\"_placeholder\\\":true,\\\"num\\\":1}]"]
    {
        for attachments in ["[\"AAAA\"]", "[\"not base64!\"]"] {
            let emit = format!(
                r#"{{"from":1,"message":{{"emit":{{"path":"/open","to":[],"except":[],"payload":"{payload}","attachments":{attachments}}}}}}}"#
            );
            attacker.publish(CONTROL, &attacker.control(&emit)).await;
        }
        only_good_ones_arrive(&mut socket, payload).await;
    }

    // One line per second and cause, however many messages there are.
    let before = b.log().lines().count();
    for _ in 0..300 {
        for (_, message) in &evil {
            attacker.publish(requests, message).await;
        }
    }
    if let Attacker::Redis(_, connection) = &mut attacker {
        let responses: Vec<String> = redis::cmd("PUBSUB")
            .arg("CHANNELS")
            .arg("carolina-response#/open#*")
            .query_async(&mut **connection)
            .await
            .unwrap();
        assert_eq!(responses.len(), 2);
        // A response without a request, and something that is not a response.
        let answer =
            [&b"carolina1:\x92\xb0AAAAAAAAAAAAAAAA\x92\xb0AAAAAAAAAAAAAAAA\x92\x01\x01"[..], b"carolina1:garbage"];
        for channel in &responses {
            for message in answer.iter().cycle().take(600) {
                let _: () = connection.publish(channel, message).await.unwrap();
            }
        }
    }
    only_good_ones_arrive(&mut socket, "a flood").await;
    let log = b.log();
    let lines = log.lines().count() - before;
    assert!(lines < 40, "{lines} lines: {log}");
    assert!(log.contains("backplane_packet") && !log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_secret_pass_on_only_events_over_redis() {
    nodes_without_a_secret_pass_on_only_events(Server::Redis(Redis::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_secret_pass_on_only_events_over_postgres() {
    nodes_without_a_secret_pass_on_only_events(Server::Postgres(Postgres::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_common_secret_log_it() {
    let redis = Redis::start();
    let url = redis.url();
    let (with, without) = (Node::start(&url), Node::start_without_secret(&url));
    let other = Node::start_with(&url, &[("CAROLINA_SESSION__SECRET", OTHER_SECRET)]);
    for (node, sender, line) in [
        (&with, &without, "it has no session.secret; set the one that this node has"),
        (&without, &with, "cannot be checked without session.secret: set the one that the other nodes have"),
        (&with, &other, "its session.secret is another one than here; set the same for all"),
    ] {
        until(line, || {
            sender.emit(json!({ "event": "unheard" }));
            node.log().contains(line)
        })
        .await;
    }
}
