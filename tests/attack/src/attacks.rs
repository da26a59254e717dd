//! The attacks. Each says what it does, does it, and fails when the server let through what it must not.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::sleep};

use crate::{
    Scale,
    client::{self, BINARY, TEXT, WebSocket, connect, frame},
};

type Outcome = Result<(), String>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One kind of attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) run: fn(SocketAddr, Scale) -> Running,
    /// As many clients as the scale has rounds, in place of its clients.
    many: bool,
}

impl Attack {
    /// How many hostile clients there are at the same time.
    pub(crate) fn clients(&self, scale: Scale) -> usize {
        if self.many { scale.clients * 10 } else { scale.clients }
    }
}

macro_rules! attacks {
    ($($name:literal => $function:ident $(, $many:ident)?;)*) => {
        pub(crate) const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            run: |address, scale| Box::pin($function(address, scale)),
            many: attacks!(@ $($many)?),
        }),*];
    };
    (@) => { false };
    (@ many) => { true };
}

attacks! {
    "upgrades that fail, before and after the probe" => failed_upgrades;
    "one attachment with 3,000 placeholders" => placeholders;
    "a polling session taken over by a socket's id" => stolen_id;
    "bodies that do not come" => bodies_that_do_not_come, many;
    "request heads that do not end" => slow_heads, many;
    "connections that say nothing" => silent_connections, many;
    "frames that do not end" => slow_frames;
    "echoes that are not read" => unread_echoes;
    "refusals that are not read" => unread_refusals;
    "events behind a slow handler" => full_mailbox;
    "events behind a slow handler, and gone" => full_mailbox_and_gone;
    "large headers" => header_stuffing;
    "an `auth` payload as large as a packet" => large_auth;
    "joins and leaves without end" => connect_storm;
    "4,500 forged cookies" => forged_cookies;
    "a room of another user's" => reserved_rooms;
    "pings and pongs without end" => ping_flood;
    "no pong at all" => no_pong, many;
    "open and abort" => open_and_abort, many;
    "a crowd that vanishes" => vanish, many;
    "two polls, two bodies, wrong bodies" => polling_misuse;
    "mutated frames and packets" => mutated_packets;
    "pages of other origins" => foreign_origins;
}

fn told(error: io::Error) -> String {
    error.to_string()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Runs so many of them at the same time.
async fn crowd<F: Future<Output = Outcome> + Send + 'static>(count: usize, one: impl Fn(usize) -> F) -> Outcome {
    let mut running = JoinSet::new();
    for number in 0..count {
        running.spawn(one(number));
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn failed_upgrades(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients, move |number| async move {
        let sid = client::open_polling(address).await.map_err(told)?;
        client::post(address, &sid, b"40/open,").await.map_err(told)?;
        let joined = client::poll(address, &sid).await.map_err(told)?;
        ensure(joined.contains("40/open"), || format!("not joined: {joined}"))?;
        let mut socket = WebSocket::open(address, &format!("&sid={sid}"), "").await.map_err(told)?;
        if number % 2 == 1 {
            socket.send("2probe").await.map_err(told)?;
            socket.expect("3probe").await.map_err(told)?;
        }
        drop(socket);
        // The session goes on by polling.
        client::post(address, &sid, b"42/open,7[\"echo\",1]").await.map_err(told)?;
        for _ in 0..5 {
            let fetched = client::poll(address, &sid).await.map_err(told)?;
            if fetched.contains("43/open,7[1]") {
                return Ok(());
            }
        }
        Err("a session whose upgrade failed is not served any more".to_owned())
    })
    .await
}

async fn placeholders(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients, move |_| async move {
        let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
        let each = "{\"_placeholder\":true,\"num\":0}";
        let text = format!("451-/open,5[\"bytes\",[{}]]", vec![each; 2_500].join(","));
        socket.send(&text).await.map_err(told)?;
        let attachment = frame(BINARY, &vec![7; 20_000]);
        socket.stream.write_all(&attachment).await.map_err(told)?;
        let answer = socket.expect("43/open,5").await.map_err(told)?;
        ensure(answer.contains("invalid_payload"), || format!("it was answered with {answer:.100}"))
    })
    .await
}

async fn stolen_id(address: SocketAddr, _: Scale) -> Outcome {
    let sid = client::open_polling(address).await.map_err(told)?;
    client::post(address, &sid, b"40/open,").await.map_err(told)?;
    let joined = client::poll(address, &sid).await.map_err(told)?;
    let id = joined.split("{\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no id")?.to_owned();
    ensure(id != sid, || "what the client proves itself with is the id that others see".to_owned())?;
    for answer in [
        client::poll(address, &id).await.map_err(told)?,
        client::post(address, &id, b"1").await.map_err(told)?,
        client::poll(address, &format!("{id}.{sid}")).await.map_err(told)?,
        client::poll(address, &sid[..sid.len() - 1]).await.map_err(told)?,
    ] {
        ensure(answer.starts_with("HTTP/1.1 400"), || format!("a stranger was answered: {answer:.100}"))?;
    }
    let upgraded = WebSocket::open(address, &format!("&sid={id}"), "").await;
    ensure(upgraded.is_err(), || "a stranger opened the WebSocket of a session".to_owned())?;
    client::post(address, &sid, b"42/open,1[\"echo\",1]").await.map_err(told)?;
    let answer = client::poll(address, &sid).await.map_err(told)?;
    ensure(answer.contains("43/open,1[1]"), || format!("the session has suffered: {answer:.100}"))
}

/// Keeps connections open that have sent this and nothing else, until the server closes them. Fails when it does not.
async fn until_closed(address: SocketAddr, count: usize, bytes: Vec<u8>) -> Outcome {
    crowd(count, move |_| {
        let bytes = bytes.clone();
        async move {
            let mut stream = connect(address).await.map_err(told)?;
            let _ = stream.write_all(&bytes).await;
            wait_for_end(&mut stream).await
        }
    })
    .await
}

async fn wait_for_end(stream: &mut TcpStream) -> Outcome {
    let mut sink = tokio::io::sink();
    match tokio::time::timeout(Duration::from_secs(20), tokio::io::copy(stream, &mut sink)).await {
        Ok(_) => Ok(()),
        Err(_) => Err("a connection that says nothing more is kept".to_owned()),
    }
}

async fn bodies_that_do_not_come(address: SocketAddr, scale: Scale) -> Outcome {
    let sid = client::open_polling(address).await.map_err(told)?;
    let request = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 5000\r\n\r\n4"
    );
    until_closed(address, scale.clients * 10, request.into_bytes()).await
}

async fn slow_heads(address: SocketAddr, scale: Scale) -> Outcome {
    until_closed(address, scale.clients * 10, b"GET /socket.io/?EIO=4 HTTP/1.1\r\nhost: x\r\nx-a: ".to_vec()).await
}

async fn silent_connections(address: SocketAddr, scale: Scale) -> Outcome {
    until_closed(address, scale.clients * 10, Vec::new()).await
}

async fn slow_frames(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients, move |_| async move {
        let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
        // The head of a frame of 90 kB, and one byte of it every now and then.
        socket.stream.write_all(&frame(TEXT, &vec![b'4'; 90_000])[..10]).await.map_err(told)?;
        for _ in 0..20 {
            if socket.stream.write_all(b"2").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    })
    .await
}

/// Sends this as often as the server takes it, and reads nothing.
async fn never_read(address: SocketAddr, count: usize, message: Vec<u8>, hold: Duration) -> Outcome {
    crowd(count, move |_| {
        let message = message.clone();
        async move {
            let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
            let all = message.repeat((20_000_000 / message.len()).clamp(1, 20_000));
            socket.push(&all, hold).await;
            Ok(())
        }
    })
    .await
}

async fn unread_echoes(address: SocketAddr, scale: Scale) -> Outcome {
    let text = format!("42/open,1[\"echo\",\"{}\"]", "x".repeat(90_000));
    never_read(address, scale.clients, frame(TEXT, text.as_bytes()), Duration::from_secs(3)).await
}

async fn unread_refusals(address: SocketAddr, scale: Scale) -> Outcome {
    let text = format!("40/{},", "n".repeat(90_000));
    never_read(address, scale.clients, frame(TEXT, text.as_bytes()), Duration::from_secs(2)).await?;
    let text = format!("42/open,1[\"{}\",1]", "e".repeat(90_000));
    never_read(address, scale.clients, frame(TEXT, text.as_bytes()), Duration::from_secs(2)).await
}

async fn full_mailbox(address: SocketAddr, scale: Scale) -> Outcome {
    let text = format!("42/open,1[\"slow\",\"{}\"]", "x".repeat(90_000));
    never_read(address, scale.clients, frame(TEXT, text.as_bytes()), Duration::from_secs(3)).await
}

async fn full_mailbox_and_gone(address: SocketAddr, scale: Scale) -> Outcome {
    let text = format!("42/open,1[\"slow\",\"{}\"]", "x".repeat(90_000));
    never_read(address, scale.clients, frame(TEXT, text.as_bytes()), Duration::from_millis(300)).await
}

async fn header_stuffing(address: SocketAddr, scale: Scale) -> Outcome {
    let large: String = (0..40).map(|number| format!("x-{number}: {}\r\n", "h".repeat(7_000))).collect();
    crowd(scale.clients, move |_| {
        let large = large.clone();
        async move {
            let opened = WebSocket::open(address, "", &large).await;
            ensure(opened.is_err(), || "280 kB of headers were let in".to_owned())
        }
    })
    .await
}

async fn large_auth(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients, move |_| async move {
        let mut socket = WebSocket::open(address, "", "").await.map_err(told)?;
        socket.expect("0").await.map_err(told)?;
        socket.send(&format!("40/open,{{\"a\":\"{}\"}}", "x".repeat(90_000))).await.map_err(told)?;
        let answer = socket.expect("4").await.map_err(told)?;
        ensure(answer.starts_with("44/open"), || format!("it was answered with {answer:.100}"))
    })
    .await
}

async fn connect_storm(address: SocketAddr, scale: Scale) -> Outcome {
    let pair = [frame(TEXT, b"40/open,"), frame(TEXT, b"41/open,"), frame(TEXT, b"40/members,")].concat();
    let all = pair.repeat(scale.rounds);
    crowd(scale.clients.min(10), move |_| {
        let all = all.clone();
        async move {
            let mut socket = WebSocket::open(address, "", "").await.map_err(told)?;
            socket.push(&all, Duration::from_secs(3)).await;
            Ok(())
        }
    })
    .await
}

async fn forged_cookies(address: SocketAddr, scale: Scale) -> Outcome {
    let forged = STANDARD.encode([7; 50]);
    let cookies = vec![format!("carolina.sid={forged}"); 150].join("; ");
    crowd(scale.clients, move |_| {
        let header = format!("cookie: {cookies}\r\n");
        async move {
            let Ok(mut socket) = WebSocket::open(address, "", &header).await else { return Ok(()) };
            for _ in 0..50 {
                socket.send("40/members,").await.map_err(told)?;
            }
            let answer = socket.expect("44/members").await.map_err(told)?;
            ensure(answer.contains("unauthenticated"), || format!("it was answered with {answer:.100}"))
        }
    })
    .await
}

async fn reserved_rooms(address: SocketAddr, _: Scale) -> Outcome {
    let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
    for room in ["user.vic", "session.abc"] {
        socket.send(&format!("42/open,1[\"join\",\"{room}\"]")).await.map_err(told)?;
        socket.expect("43/open,1").await.map_err(told)?;
    }
    let answer = client::http(address, "GET /tell HTTP/1.1", b"").await.map_err(told)?;
    ensure(answer.ends_with("ok"), || format!("nothing was sent to the user: {answer:.100}"))?;
    socket.send("42/open,2[\"echo\",2]").await.map_err(told)?;
    let next = socket.expect("4").await.map_err(told)?;
    ensure(next.starts_with("43/open,2"), || format!("it heard what was for a user alone: {next:.100}"))
}

async fn ping_flood(address: SocketAddr, scale: Scale) -> Outcome {
    let flood = [frame(TEXT, b"3"), frame(9, b"ws"), frame(TEXT, b"43/open,9[]"), frame(10, b"")].concat();
    never_read(address, scale.clients.min(10), flood, Duration::from_secs(3)).await
}

async fn no_pong(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients * 10, move |_| async move {
        let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
        wait_for_end(&mut socket.stream).await
    })
    .await
}

async fn open_and_abort(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients * 10, move |number| async move {
        match number % 3 {
            0 => drop(WebSocket::open(address, "", "").await.map_err(told)?),
            1 => drop(client::open_polling(address).await.map_err(told)?),
            _ => {
                let mut stream = connect(address).await.map_err(told)?;
                let head = format!(
                    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.map_err(told)?;
            }
        }
        Ok(())
    })
    .await
}

/// Clients on a channel whose machines lose the network: the server hears nothing more of them.
async fn vanish(address: SocketAddr, scale: Scale) -> Outcome {
    let (sockets, sessions) = (scale.rounds / 2, scale.rounds / 10);
    for _ in 0..sockets.div_ceil(500) {
        crowd(500, move |number| async move {
            let mut socket = WebSocket::join(address, "/open").await.map_err(told)?;
            if number % 2 == 0 {
                // Without a word, not even the end of the stream in order.
                socket.stream.set_zero_linger().map_err(told)?;
            } else {
                let _ = socket.send("42/open,1[\"slow\",\"\"]").await;
            }
            Ok(())
        })
        .await?;
    }
    for _ in 0..sessions.div_ceil(500) {
        crowd(500, move |_| async move {
            let sid = client::open_polling(address).await.map_err(told)?;
            client::post(address, &sid, b"40/open,").await.map(drop).map_err(told)
        })
        .await?;
    }
    Ok(())
}

async fn polling_misuse(address: SocketAddr, scale: Scale) -> Outcome {
    crowd(scale.clients, move |_| async move {
        let sid = client::open_polling(address).await.map_err(told)?;
        client::post(address, &sid, b"40/open,").await.map_err(told)?;
        let joined = client::poll(address, &sid).await.map_err(told)?;
        ensure(joined.contains("40/open"), || format!("not joined: {joined}"))?;
        let (first, second) = tokio::join!(client::poll(address, &sid), async {
            sleep(Duration::from_millis(50)).await;
            client::poll(address, &sid).await
        });
        let second = second.map_err(told)?;
        ensure(first.is_ok() && second.starts_with("HTTP/1.1 400"), || format!("two polls: {second:.100}"))?;
        for body in [&b""[..], b"x", b"4\x1e", b"b!!!", b"\xff\xfe", b"0{}", b"6", b"5", b"bAAAA\x1e9"] {
            let sid = client::open_polling(address).await.map_err(told)?;
            let answer = client::post(address, &sid, body).await.map_err(told)?;
            ensure(answer.starts_with("HTTP/1.1 400"), || format!("{body:?} was answered with {answer:.100}"))?;
        }
        let sid = client::open_polling(address).await.map_err(told)?;
        let answer = client::post(address, &sid, &vec![b'4'; 3_000_000]).await;
        let refused = answer.map_or(true, |answer| answer.starts_with("HTTP/1.1 413"));
        ensure(refused, || "a body of 3 MB was taken".to_owned())
    })
    .await
}

/// Packets from a grammar, some of whose bytes are then changed.
async fn mutated_packets(address: SocketAddr, scale: Scale) -> Outcome {
    let rounds = scale.rounds / 10;
    crowd(scale.clients.min(20), move |number| async move {
        let mut random = StdRng::seed_from_u64(number as u64);
        let mut socket = WebSocket::join(address, "/open").await.ok();
        for _ in 0..rounds {
            let Some(open) = &mut socket else {
                socket = WebSocket::join(address, "/open").await.ok();
                continue;
            };
            let bytes = packet(&mut random);
            if open.stream.write_all(&bytes).await.is_err() {
                socket = None;
            }
        }
        Ok(())
    })
    .await
}

fn packet(random: &mut StdRng) -> Vec<u8> {
    let kind = ["40", "41", "42", "43", "44", "45", "46", "4", "2", "3", "1", "5", "6", "0", "b"].choose(random);
    let count = ["", "1-", "0-", "99999999999-", "-1-"].choose(random);
    let path = ["/open,", "/members,", "/", ",", "/none,", "/open?x=1,", "", "/\u{1F980},"].choose(random);
    let ack = ["", "1", "99999999999999999999", "-1", "0"].choose(random);
    let data = [
        "[\"echo\",1]",
        "[\"echo\"",
        "[]",
        "{}",
        "[1,2]",
        "[\"bytes\",[{\"_placeholder\":true,\"num\":0}]]",
        "[\"\\u0065cho\",\"\\ud800\"]",
        "[[[[[[[[[[[[[[[[[[[[[[",
        "null",
        "\"\"",
        "",
    ]
    .choose(random);
    let text = [kind, count, path, ack, data].map(|part| part.copied().unwrap_or_default()).concat();
    let opcode = [TEXT, TEXT, TEXT, TEXT, BINARY, 9, 10, 3].choose(random).copied().unwrap_or(TEXT);
    let mut bytes = frame(opcode, text.as_bytes());
    if random.random_ratio(1, 4) {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    bytes
}

async fn foreign_origins(address: SocketAddr, _: Scale) -> Outcome {
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"] {
        let opened = WebSocket::open(address, "", &format!("origin: {origin}\r\n")).await;
        ensure(opened.is_err(), || format!("a page of {origin} was let in"))?;
        let head = format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\norigin: {origin}");
        let answer = client::http(address, &head, b"").await.map_err(told)?;
        ensure(answer.starts_with("HTTP/1.1 403"), || format!("a page of {origin} was answered: {answer:.100}"))?;
    }
    Ok(())
}
