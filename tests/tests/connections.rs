//! R14: what TCP connections may cost, below any request.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use carolina_sockets::{Config, Data, channel, on, testing::TestService};
use carolina_sockets_tests::{DEADLINE, by_hand, process::Folder, program, start, until, wire::RawSocket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    process::Command,
    time::timeout,
};

#[channel]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    fn echo(&self, Data(value): Data<u32>) -> u32 {
        value
    }
}

/// A service on a port, with routes.
async fn service(change: impl FnOnce(&mut Config), router: Router) -> TestService {
    let mut config = Config::default();
    change(&mut config);
    start(by_hand().config(config).mount::<Open>("/open")).await.router(router).listen().await.expect("a free port")
}

/// A connection from `127.0.0.{host}`.
async fn connect(url: &str, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(url.trim_start_matches("http://").parse().unwrap()).await.expect("the service listens")
}

/// Sends this and reads to the connection's end.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    let _ = stream.write_all(request.as_bytes()).await;
    to_end(stream).await
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // A connection may also end with an error, which is an end as well.
    while let Ok(read @ 1..) = timeout(DEADLINE, stream.read(&mut chunk)).await.expect("the connection ends") {
        answer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request over a connection that stays open, and reads the answer's head and what came with it.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = timeout(DEADLINE, stream.read_buf(&mut answer)).await.expect("it is answered").unwrap();
        assert_ne!(read, 0, "the connection ended");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

const LAST_REQUEST: &str = "GET /page HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn page() -> Router {
    Router::new().route("/page", get(async || "page"))
}

#[tokio::test]
async fn r14_one_address_cannot_take_all_connections() {
    let service = service(|config| config.limits.connections_per_address = 1, page()).await;
    let url = service.url();
    // Twice the clients and sixteen more. A WebSocket is one of them as long as it is open.
    let mut socket = RawSocket::join(&url, "/open").await;
    let mut silent = Vec::new();
    for _ in 0..17 {
        silent.push(connect(&url, 1).await);
    }
    let refused = exchange(&mut connect(&url, 1).await, LAST_REQUEST).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains(r#""code":"overloaded""#), "{refused}");
    let served = exchange(&mut connect(&url, 2).await, LAST_REQUEST).await;
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
    // Who is in is not affected.
    socket.send(r#"42/open,1["echo",7]"#).await;
    socket.expect("43/open,1[7]").await;
    // One that ends makes room.
    drop(silent.pop());
    let again = timeout(DEADLINE, async {
        while !exchange(&mut connect(&url, 1).await, LAST_REQUEST).await.starts_with("HTTP/1.1 200") {}
    });
    again.await.expect("there is room again");
}

#[tokio::test]
async fn r14_the_connections_of_a_trusted_proxy_count_in_the_total() {
    let change = |config: &mut Config| {
        config.limits.connections = 10;
        config.limits.connections_per_address = 1;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    };
    let service = service(change, page()).await;
    let mut silent = Vec::new();
    for _ in 0..35 {
        silent.push(connect(&service.url(), 1).await);
    }
    let mut last = connect(&service.url(), 1).await;
    assert!(ask(&mut last, "/page").await.starts_with("HTTP/1.1 200"));
    let refused = exchange(&mut connect(&service.url(), 1).await, LAST_REQUEST).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
}

#[tokio::test]
async fn r14_silent_and_idle_connections_end() {
    let service = service(|config| config.limits.connect_timeout = Duration::from_millis(200), page()).await;
    let mut silent = connect(&service.url(), 1).await;
    let mut half = connect(&service.url(), 1).await;
    half.write_all(b"GET /page HTTP/1.1\r\nhost: a\r\nx-slow: ").await.unwrap();
    let mut idle = connect(&service.url(), 1).await;
    assert!(ask(&mut idle, "/page").await.starts_with("HTTP/1.1 200"));
    for stream in [&mut silent, &mut half, &mut idle] {
        to_end(stream).await;
    }
}

#[tokio::test]
async fn r14_bodies_that_do_not_come_are_given_up_on_every_route() {
    let router = Router::new().route("/upload", post(async |body: Bytes| body.len().to_string()));
    let service = service(|config| config.limits.body_timeout = Duration::from_millis(500), router).await;
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 20000\r\n\r\n";
    for begun in ["", "some"] {
        let answer = exchange(&mut connect(&service.url(), 1).await, &format!("{head}{begun}")).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // The same time is no limit to an upload that goes on.
    let mut stream = connect(&service.url(), 1).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(&[b'x'; 1000]).await.unwrap();
    }
    let answer = to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("20000"), "{answer}");
}

#[tokio::test]
async fn r14_a_response_that_is_not_read_is_given_up() {
    let held = Arc::new(());
    let holder = held.clone();
    let endless = move || {
        let held = holder.clone();
        let chunks = futures_util::stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; 64 * 1024]))
        });
        async { Body::from_stream(chunks) }
    };
    let router = Router::new().route("/endless", get(endless));
    let service = service(|config| config.limits.body_timeout = Duration::from_millis(300), router).await;
    let mut stream = connect(&service.url(), 1).await;
    ask(&mut stream, "/endless").await;
    let before = Arc::strong_count(&held);
    until("the response is dropped", || Arc::strong_count(&held) < before).await;
}

#[tokio::test]
async fn r14_a_server_short_of_files_serves_those_who_are_in() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("page.txt"), "page").unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 256; exec \"$0\""])
        .arg(program::path("test-node"))
        .env("CAROLINA_STATIC_DIR", folder.path())
        .env("CAROLINA_LIMITS__CONNECT_TIMEOUT", "60s")
        .stderr(std::fs::File::create(&log).unwrap());
    let server = program::start(&mut command).await;
    let mut socket = RawSocket::join(&server.url, "/lab").await;
    let mut kept = connect(&server.url, 1).await;
    assert!(ask(&mut kept, "/page.txt").await.starts_with("HTTP/1.1 200"));

    let mut flood = Vec::new();
    for host in 2..6 {
        for _ in 0..100 {
            flood.push(connect(&server.url, host).await);
        }
    }
    // The last one was accepted, so that the others have been as well.
    let refused = to_end(flood.last_mut().unwrap()).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for number in 0..3 {
        socket.send(&format!(r#"42/lab,{number}["echo",7]"#)).await;
        socket.expect(&format!("43/lab,{number}[7]")).await;
        // Needs a file of its own.
        let page = ask(&mut kept, "/page.txt").await;
        assert!(page.contains("HTTP/1.1 200"), "{page}");
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("the process may open 256 files: it serves 192 TCP connections at most"), "{text}");

    drop(flood);
    let again = timeout(DEADLINE, async {
        let request = "GET /page.txt HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        while !exchange(&mut connect(&server.url, 6).await, request).await.starts_with("HTTP/1.1 200") {}
    });
    again.await.expect("new connections are served again");
}

#[tokio::test]
async fn r14_the_metrics_port_has_limits_too() {
    let mut command = Command::new(program::path("quickstart"));
    command.env("CAROLINA_METRICS", "127.0.0.1:0").env("CAROLINA_LIMITS__CONNECT_TIMEOUT", "2s");
    let mut server = program::start(&mut command).await;
    let url = loop {
        let line = server.lines.next_line().await.unwrap().expect("it says where");
        if let Some(url) = line.strip_prefix("metrics on ") {
            break url.trim_end_matches("/metrics").to_owned();
        }
    };
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(connect(&url, 1).await);
    }
    let refused = to_end(&mut connect(&url, 1).await).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let request = "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let other = exchange(&mut connect(&url, 2).await, request).await;
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    for stream in &mut silent {
        to_end(stream).await;
    }
}
