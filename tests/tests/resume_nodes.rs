//! R23 and R24 on several nodes: with Redis or PostgreSQL between them, any node resumes anybody's client.

use std::time::Duration;

use carolina_sockets::{Config, Emitter, prelude::*, testing::TestService};
use carolina_sockets_tests::{
    by_hand, feed,
    nodes::{Node, SECRET},
    resume::{ByName, Unaware, Wire},
    servers::{Postgres, Redis, Server},
    start, until,
    wire::RawSocket,
};
use serde_json::{Value, json};

feed!(Feed, resume);
feed!(Plain, "/plain");

/// Each instance for itself.
#[channel("/of/{id}", resume)]
#[derive(Default)]
struct Of;

/// Where everybody sees who is there.
#[channel("/here", resume, presence)]
#[derive(Default)]
struct Here;

#[channel]
impl Here {
    #[on(connect)]
    async fn joined(&self, presence: Presence<Value>, user: Option<User>) -> Result<(), EventError> {
        if let Some(user) = user {
            presence.track(user.id(), &json!({})).await?;
        }
        Ok(())
    }
}

async fn node_with(server: &Server, change: impl FnOnce(&mut Config)) -> TestService {
    let mut config = Config::default();
    config.backplane.url = Some(server.url());
    config.session.secret = vec![SECRET.to_owned()];
    config.limits.events_per_second = 100_000;
    config.resume.events = 50;
    change(&mut config);
    let builder = by_hand().config(config).identify(ByName);
    let builder = builder.mount::<Feed>("/feed").mount::<Of>("/of/{id}");
    let builder = builder.mount::<Here>("/here").mount::<Plain>("/plain");
    start(builder).await.listen().await.unwrap()
}

async fn node(server: &Server) -> TestService {
    node_with(server, |_| {}).await
}

async fn join(node: &TestService, channel: &str, name: &str) -> Wire {
    Wire::join(&node.url(), channel, json!({ "resume": true, "name": name })).await
}

async fn resume(node: &TestService, auth: Value, channel: &str, name: Option<&str>) -> Wire {
    Wire::resume(&node.url(), auth, channel, name).await
}

/// The first arguments of events.
fn arguments(packets: &[String]) -> Vec<Value> {
    let read = |packet: &String| {
        let text = packet.split_once(',').expect("a path").1;
        serde_json::from_str::<Vec<Value>>(text).expect("an event").swap_remove(1)
    };
    packets.iter().map(read).collect()
}

fn redis() -> Server {
    Server::Redis(Redis::start())
}

fn postgres() -> Server {
    Server::Postgres(Postgres::start())
}

/// A test with each of the servers.
macro_rules! with_both {
    ($($test:ident: $redis:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $redis() {
            $test(redis()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            $test(postgres()).await;
        }
    )*};
}

with_both! {
    any_node: r23_any_node_resumes_over_redis, r23_any_node_resumes_over_postgres;
    everything: r23_whatever_was_emitted_is_resumed_over_redis, r23_whatever_was_emitted_is_resumed_over_postgres;
    another: r24_a_pid_is_worth_nothing_to_another_over_redis, r24_a_pid_is_worth_nothing_to_another_over_postgres;
    half_open: r23_a_client_has_one_socket_over_redis, r23_a_client_has_one_socket_over_postgres;
    listed: r23_who_comes_back_elsewhere_has_not_been_away_over_redis, r23_who_comes_back_elsewhere_has_not_been_away_over_postgres;
    outside: r23_what_an_emitter_sends_is_resumed_over_redis, r23_what_an_emitter_sends_is_resumed_over_postgres;
    unaware: r23_who_did_not_ask_gets_the_same_bytes_over_redis, r23_who_did_not_ask_gets_the_same_bytes_over_postgres;
    outage: r24_an_outage_of_redis_is_a_gap, r24_an_outage_of_postgres_is_a_gap;
    overflow: r24_more_than_is_kept_is_a_gap_over_redis, r24_more_than_is_kept_is_a_gap_over_postgres;
    logged_out: r24_who_has_logged_out_elsewhere_is_another_over_redis, r24_who_has_logged_out_elsewhere_is_another_over_postgres;
}

/// A client goes from node to node, and misses what is emitted on any.
async fn any_node(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    for channel in ["/feed", "/of/7"] {
        let mut client = join(&here, channel, "ada").await;
        let pid = client.pid.clone();
        let nodes = [&here, &there].map(|node| node.sockets().channel(channel).unwrap());
        for round in 0..4 {
            let auth = client.auth();
            drop(client);
            let own = nodes[round % 2].clone();
            until("its connection is closed", || own.local_sockets().is_empty()).await;
            for (number, node) in nodes.iter().enumerate() {
                node.emit("news", (round, number)).await.unwrap();
            }
            nodes[1].emit_to_user("bob", "news", "for another").await.unwrap();
            client = resume([&there, &here][round % 2], auth, channel, Some("ada")).await;
            assert_eq!((client.gap.as_ref(), &client.pid), (None, &pid), "{channel}, round {round}");
            assert_eq!(arguments(&client.missed), [json!(round), json!(round)], "{channel}: {:?}", client.missed);
        }
        nodes[1].emit("news", "live").await.unwrap();
        assert_eq!(client.event().await, ["news", "live"]);
    }
}

/// Events for everybody, rooms, users and one client; of any node, and to one node alone.
async fn everything(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let mut client = join(&here, "/feed", "ada").await;
    assert!(client.socket.send("42/feed,1[\"join\",\"sports\"]").await);
    assert_eq!(client.socket.expect("43").await, "43/feed,1[true]");
    let instance = join(&here, "/of/7", "ada").await;
    let [own, other] = [&here, &there].map(|node| node.sockets().channel("/feed").unwrap());
    let (auth, of_instance) = (client.auth(), instance.auth());
    // It misses its own event, which goes to others.
    assert!(client.socket.send("42/feed,2[\"others\",\"not hers\"]").await);
    assert!(client.socket.send("42/feed,3[\"tell\",\"hers alone\"]").await);
    client.socket.expect("43/feed,3").await;
    drop((client, instance));
    until("its connections are closed", || own.local_sockets().is_empty()).await;
    other.to("sports").emit("news", "sports").await.unwrap();
    other.to("weather").emit("news", "weather").await.unwrap();
    own.except("sports").emit("news", "no sports").await.unwrap();
    other.emit_to_user("ada", "news", "for her").await.unwrap();
    own.local().emit("news", "of her node").await.unwrap();
    other.local().emit("news", "of another node").await.unwrap();
    other.emit("news", Bytes::from_static(b"binary")).await.unwrap();
    own.emit("news", "x".repeat(20_000)).await.unwrap();
    there.sockets().of::<Of>().unwrap().emit("news", "on all instances").await.unwrap();
    let back = resume(&there, auth, "/feed", Some("ada")).await;
    assert_eq!(back.gap, None);
    let expected = ["\"hers alone\"", "\"sports\"", "\"for her\"", "\"of her node\"", "{\"_placeholder\"", "\"xxx"];
    assert_eq!(back.missed.len(), expected.len(), "{:?}", back.missed);
    for (packet, expected) in back.missed.iter().zip(expected) {
        assert!(packet.contains(expected), "{packet} is not {expected}");
    }
    let back = resume(&there, of_instance, "/of/7", Some("ada")).await;
    assert_eq!(arguments(&back.missed), ["on all instances"]);
}

async fn another(server: Server) {
    let [a, b, c] = [node(&server).await, node(&server).await, node(&server).await];
    let ada = join(&a, "/feed", "ada").await;
    let auth = ada.auth();
    a.sockets().channel("/feed").unwrap().emit_to_user("ada", "secret", 1).await.unwrap();
    for name in [Some("bob"), None] {
        let other = resume(&b, auth.clone(), "/feed", name).await;
        assert_eq!(other.gap, Some(json!({ "reason": "identity" })));
        assert!(other.missed.is_empty(), "{:?}", other.missed);
        assert_ne!(other.pid, ada.pid, "it is a new client");
    }
    let pid = ada.pid.clone();
    drop(ada);
    let ada = resume(&c, auth, "/feed", Some("ada")).await;
    assert_eq!((ada.gap.as_ref(), &ada.pid), (None, &pid), "it is still hers");
    assert_eq!(arguments(&ada.missed), [1]);
    let guessed = json!({ "pid": "0".repeat(32), "offset": ada.offset });
    assert_eq!(resume(&b, guessed, "/feed", Some("ada")).await.gap.unwrap()["reason"], "expired");
    // Who has left by itself does not come back.
    let mut ada = ada;
    let auth = ada.auth();
    assert!(ada.socket.send("41/feed,").await);
    let there = c.sockets().channel("/feed").unwrap();
    until("she has left", || there.local_sockets().is_empty()).await;
    let deadline = tokio::time::Instant::now() + carolina_sockets_tests::DEADLINE;
    loop {
        // What other nodes know follows at once, but not in the same moment.
        let back = resume(&a, auth.clone(), "/feed", Some("ada")).await;
        if back.gap.is_some_and(|gap| gap["reason"] == "expired") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
}

/// The first connection has not ended when the client comes back to another node.
async fn half_open(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let first = join(&here, "/feed", "ada").await;
    let own = here.sockets().channel("/feed").unwrap();
    let mut second = resume(&there, first.auth(), "/feed", Some("ada")).await;
    assert_eq!((second.gap.as_ref(), &second.pid), (None, &first.pid));
    until("its first socket has ended", || own.local_sockets().is_empty()).await;
    own.emit("news", 2).await.unwrap();
    assert_eq!(second.event().await, ["news".into(), Value::from(2)]);
    drop(first);
    // For the handlers it has never left.
    let mut asker = here.client().auth(json!({})).connect("/feed").await.unwrap();
    assert_eq!(asker.request::<usize>("left", ()).await.unwrap(), 0);
    let third = resume(&here, second.auth(), "/feed", Some("ada")).await;
    assert_eq!((third.gap, third.pid), (None, second.pid));
    assert_eq!(asker.request::<usize>("left", ()).await.unwrap(), 0);
}

/// Presence lists a client all the time, and once in the end.
async fn listed(server: Server) {
    let [a, b, c] = [node(&server).await, node(&server).await, node(&server).await];
    let list = async || {
        let here = c.sockets().channel("/here").unwrap().presence().list::<Value>().await.unwrap();
        here.into_iter().find(|present| present.key == "ada").map(|present| present.metas.len())
    };
    let deadline = || tokio::time::Instant::now() + carolina_sockets_tests::DEADLINE;
    let mut client = Wire::join(&a.url(), "/here", json!({ "resume": true, "name": "ada" })).await;
    let until = deadline();
    while list().await.is_none() {
        assert!(tokio::time::Instant::now() < until, "she is not listed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // With the connection before still there, and without it.
    for (here, there, is_lost) in [(&a, &b, false), (&b, &a, true)] {
        let own = here.sockets().channel("/here").unwrap();
        let before = std::mem::replace(&mut client.socket, RawSocket::open(&there.url()).await);
        let mut before = Some(before);
        if is_lost {
            before = None;
            carolina_sockets_tests::until("its connection is closed", || own.local_sockets().is_empty()).await;
        }
        client = resume(there, client.auth(), "/here", Some("ada")).await;
        assert_eq!(client.gap, None);
        let until = deadline();
        loop {
            let count = list().await.expect("she has not been away");
            if count == 1 && own.local_sockets().is_empty() {
                break;
            }
            assert!(tokio::time::Instant::now() < until, "she is listed {count} times");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(before);
    }
}

/// A process that serves no sockets.
async fn outside(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let emitter = Emitter::connect_with_secret(&server.url(), "carolina", SECRET).await.unwrap();
    let mut feed = join(&here, "/feed", "ada").await;
    let mut instance = join(&here, "/of/7", "ada").await;
    let mut plain = here.client().connect("/plain").await.unwrap();
    let channels = ["/feed", "/of/7"].map(|path| emitter.channel(path));
    // Which channels have logs is told to other processes after the start.
    let deadline = tokio::time::Instant::now() + carolina_sockets_tests::DEADLINE;
    loop {
        channels[0].emit("first", ()).await.unwrap();
        let offset = feed.offset.clone();
        assert_eq!(feed.event().await, ["first"]);
        if feed.offset != offset {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
    channels[1].emit("first", ()).await.unwrap();
    assert_eq!(instance.event().await, ["first"]);
    emitter.channel("/plain").emit("first", 1).await.unwrap();
    assert_eq!(plain.expect::<u8>("first").await.unwrap(), 1);
    let (auth, of_instance) = (feed.auth(), instance.auth());
    drop((feed, instance));
    channels[0].emit("news", "for all").await.unwrap();
    channels[0].to("nobody").emit("news", "for nobody").await.unwrap();
    channels[0].emit_to_user("ada", "news", "for her").await.unwrap();
    channels[1].emit("news", "for 7").await.unwrap();
    emitter.channel("/of/{id}").emit("news", "for any").await.unwrap();
    let feed = resume(&there, auth, "/feed", Some("ada")).await;
    assert_eq!((feed.gap, arguments(&feed.missed)), (None, vec!["for all".into(), "for her".into()]));
    let instance = resume(&there, of_instance, "/of/7", Some("ada")).await;
    assert_eq!((instance.gap, arguments(&instance.missed)), (None, vec!["for 7".into(), "for any".into()]));
}

async fn unaware(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let mut packets = Vec::new();
    for channel in ["/plain", "/feed"] {
        let mut client = Unaware::join(&here.url(), channel).await;
        client.send("1[\"shout\",\"a\"]", 2).await;
        client.send("2[\"tell\",\"b\"]", 2).await;
        let others = there.sockets().channel(channel).unwrap();
        for value in [json!({ "from": "another node" }), json!("x".repeat(20_000))] {
            others.emit("news", value).await.unwrap();
            client.receive().await;
        }
        packets.push(client.received());
    }
    assert_eq!(packets[0], packets[1], "an emit comes before the answer of the handler that has sent it, too");
}

/// While the server is away, a node's own clients are served. Afterwards everybody is told of a gap, who was connected all the time too.
async fn outage(mut server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let (mut own, mut other) = (join(&here, "/feed", "ada").await, join(&there, "/feed", "bob").await);
    let away = join(&there, "/feed", "cy").await;
    let auth = away.auth();
    drop(away);
    let handle = here.sockets().channel("/feed").unwrap();
    handle.emit("news", "before").await.unwrap();
    for client in [&mut own, &mut other] {
        assert_eq!(client.event().await, ["news", "before"]);
    }
    tokio::task::block_in_place(|| server.stop());
    let lost = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    handle.emit("news", "meanwhile").await.unwrap();
    assert_eq!(own.event().await, ["news", "meanwhile"]);
    tokio::task::block_in_place(|| server.start_again());
    for client in [&mut own, &mut other] {
        let gap = client.event().await;
        assert_eq!((&gap[0], &gap[1]["reason"]), (&json!("carolina:gap"), &json!("epoch")), "{gap:?}");
        assert!(gap[1]["since"].as_u64().is_some_and(|since| u128::from(since) <= lost), "{gap:?} since {lost}");
    }
    there.sockets().channel("/feed").unwrap().emit("news", "after").await.unwrap();
    for client in [&mut own, &mut other] {
        assert_eq!(client.event().await, ["news", "after"]);
    }
    assert_eq!(resume(&here, auth, "/feed", Some("cy")).await.gap.unwrap()["reason"], "epoch");
    // From then on all is as before.
    let auth = own.auth();
    drop(own);
    until("its connection is closed", || handle.local_sockets().len() < 2).await;
    handle.emit("news", "missed").await.unwrap();
    let own = resume(&there, auth, "/feed", Some("ada")).await;
    assert_eq!((own.gap, arguments(&own.missed)), (None, vec!["missed".into()]));
}

async fn overflow(server: Server) {
    let (here, there) = (node(&server).await, node(&server).await);
    let client = join(&here, "/feed", "ada").await;
    let auth = client.auth();
    drop(client);
    let handle = there.sockets().channel("/feed").unwrap();
    for number in 0..60 {
        handle.emit("news", number).await.unwrap();
    }
    // A node that has not been there, too.
    for node in [there, node(&server).await] {
        let back = resume(&node, auth.clone(), "/feed", Some("ada")).await;
        assert_eq!((back.gap.unwrap()["reason"].clone(), back.missed.len()), ("overflow".into(), 0));
    }
}

/// A session ends on another node while its client is away.
async fn logged_out(server: Server) {
    let nodes: [Node; 2] =
        std::array::from_fn(|_| Node::start_with(&server.url(), &[("CAROLINA_RESUME__CHANNELS", "all")]));
    let cookie = nodes[0].login("ada");
    let session = cookie.split_once('=').unwrap().1.to_owned();
    let with = |mut auth: Value| {
        auth["sessionId"] = session.clone().into();
        auth
    };
    let client = Wire::join(&nodes[0].url(), "/open", with(json!({ "resume": true }))).await;
    let auth = client.auth();
    drop(client);
    let client = Wire::join(&nodes[1].url(), "/open", with(auth)).await;
    assert_eq!(client.gap, None);
    let auth = client.auth();
    drop(client);
    let response = nodes[0].http("POST", "/logout", Some(&cookie), None);
    assert_eq!(response.status, 200);
    nodes[0].emit(json!({ "event": "n", "data": 1, "user": "ada" }));
    let client = Wire::join(&nodes[0].url(), "/open", with(auth)).await;
    assert_eq!((client.gap.unwrap()["reason"].clone(), client.missed.len()), ("identity".into(), 0));
}

/// The data of a Redis are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn r24_a_server_that_has_lost_its_data_is_another_epoch() {
    let redis = Redis::start();
    let port = redis.port().to_string();
    let server = Server::Redis(redis);
    let (here, there) = (node(&server).await, node(&server).await);
    let (mut own, mut other) = (join(&here, "/feed", "ada").await, join(&there, "/feed", "bob").await);
    let away = join(&there, "/feed", "cy").await;
    let auth = away.auth();
    drop(away);
    let flushed = std::process::Command::new("redis-cli").args(["-p", &port, "flushall"]).output();
    assert!(flushed.unwrap().status.success());
    here.sockets().channel("/feed").unwrap().emit("news", 1).await.unwrap();
    for client in [&mut own, &mut other] {
        assert_eq!(client.event().await[1]["reason"], "epoch", "a client that is connected is told");
        assert_eq!(client.event().await, ["news".into(), Value::from(1)]);
    }
    let epoch = other.offset.split_once(':').unwrap().0.to_owned();
    assert_eq!(resume(&here, auth, "/feed", Some("cy")).await.gap.unwrap()["reason"], "epoch");
    // Who is there was written again.
    let auth = other.auth();
    drop(other);
    let back = resume(&here, auth, "/feed", Some("bob")).await;
    assert!(back.gap.is_none() && back.offset.starts_with(&epoch), "{back:?}");
}

/// What is written into the server by hand does not reach clients.
#[tokio::test(flavor = "multi_thread")]
async fn r24_what_no_node_has_written_is_not_delivered() {
    let redis = Redis::start();
    let port = redis.port().to_string();
    let server = Server::Redis(redis);
    let (here, there) = (node(&server).await, node(&server).await);
    let client = join(&here, "/feed", "ada").await;
    let (epoch, last) =
        client.offset.split_once(':').map(|(epoch, last)| (epoch.to_owned(), last.parse::<u64>().unwrap())).unwrap();
    let auth = client.auth();
    drop(client);
    here.sockets().channel("/feed").unwrap().emit("news", 1).await.unwrap();
    let command = |arguments: &[&str]| {
        let ran = std::process::Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        assert!(ran.status.success());
        String::from_utf8(ran.stdout).unwrap()
    };
    let forged = json!({ "id": 1, "payload": "[\"forged\",1]" }).to_string();
    let (stream, head) = ("carolina-log-entries:/feed", "carolina-log-head:/feed");
    command(&["xadd", stream, &format!("{}-1", last + 2), "t", "1", "e", &forged]);
    command(&["hset", head, "last", &(last + 2).to_string()]);
    command(&["publish", "carolina-log", &format!("{epoch} {} 1 /feed\n{forged}", last + 2)]);
    here.sockets().channel("/feed").unwrap().emit("news", 3).await.unwrap();
    let back = resume(&there, auth, "/feed", Some("ada")).await;
    assert_eq!((back.gap.unwrap()["reason"].clone(), back.missed.len()), ("overflow".into(), 0), "a hole is told");
}

/// A node ends, and its clients are somewhere else while it does.
#[tokio::test(flavor = "multi_thread")]
async fn r23_a_node_that_ends_hands_its_clients_over() {
    let server = redis();
    let (here, there) = (node(&server).await, node(&server).await);
    let client = join(&here, "/feed", "ada").await;
    let auth = client.auth();
    tokio::time::timeout(Duration::from_secs(20), here.sockets().shutdown()).await.expect("it ends");
    there.sockets().channel("/feed").unwrap().emit("news", 1).await.unwrap();
    let back = resume(&there, auth, "/feed", Some("ada")).await;
    assert_eq!((back.gap, arguments(&back.missed)), (None, vec![Value::from(1)]));
}
