//! R28: https and wss, with official clients and a certificate that is renewed.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use carolina_sockets::{Config, testing::TestService};
use carolina_sockets_tests::{
    DEADLINE, by_hand,
    process::Folder,
    program::{self, node},
    start, until,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::official_client::official;

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates")
}

fn with_tls(hsts: Option<Duration>) -> Config {
    let mut config = carolina_sockets_tests::with_tls(Config::default());
    config.tls.as_mut().unwrap().hsts = hsts;
    config
}

/// What `peer.mjs` prints.
async fn peer(url: &str, method: &str) -> Value {
    serde_json::from_str(&node("peer.mjs", &[url, method]).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_official_clients_over_https_and_wss() {
    let service = official(with_tls(None)).await;
    assert!(service.url().starts_with("https://"), "{}", service.url());
    for transports in ["polling", "websocket", "polling,websocket"] {
        // The certificate is checked.
        node("client.mjs", &[&service.url(), transports]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_cookies_are_secure_and_hsts_is_off_until_it_is_asked_for() {
    use axum::{Router, routing::post};
    use carolina_sockets::http::Session;

    let router = Router::new().route("/login", post(async |session: Session| drop(session.insert("user_id", 1).await)));
    for (hsts, expected) in [(None, Value::Null), (Some(Duration::from_secs(3600)), json!("max-age=3600"))] {
        let service: TestService =
            start(by_hand().config(with_tls(hsts))).await.router(router.clone()).listen().await.unwrap();
        let response = peer(&format!("{}/login", service.url()), "POST").await;
        assert_eq!((&response["status"], &response["hsts"]), (&json!(200), &expected), "{response}");
        let cookie = response["cookies"][0].as_str().unwrap();
        assert!(cookie.contains("; Secure"), "{cookie}");
        assert_eq!(response["protocol"], "TLSv1.3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_client_without_tls_is_told_and_one_that_does_not_finish_its_handshake_is_closed() {
    let mut config = with_tls(None);
    config.limits.connect_timeout = Duration::from_millis(500);
    // 18 TCP connections.
    (config.limits.connections, config.limits.connections_per_address) = (1, 1);
    let service = start(by_hand().config(config)).await.listen().await.unwrap();
    let port: u16 = service.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let connect = move || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    };
    let waited = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        let mut plain = connect();
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        plain.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("speaks https"), "{answer}");
        drop(plain);
        let began = Instant::now();
        let mut silent: Vec<TcpStream> = (0..18).map(|_| connect()).collect();
        // The first bytes of a handshake.
        silent[0].write_all(&[0x16, 3, 1]).unwrap();
        let one_more = connect().read(&mut [0]);
        assert!(matches!(one_more, Ok(0) | Err(_)), "it is closed at once: handshakes count");
        assert!(began.elapsed() < Duration::from_millis(450), "{:?}", began.elapsed());
        for mut stream in silent {
            assert!(matches!(stream.read(&mut [0; 64]), Ok(_) | Err(_)));
        }
        began.elapsed()
    });
    let waited = waited.await.unwrap();
    assert!(waited >= Duration::from_millis(500) && waited < DEADLINE / 2, "{waited:?}");
    assert_eq!(peer(&service.url(), "GET").await["status"], 404, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn r28_a_renewed_certificate_is_read_without_a_restart() {
    let folder = Folder::new();
    let at = |name: &str| folder.path().join(name);
    let put = |cert: &str, key: &str| {
        // As programs that renew certificates do: a new file takes the place of the old one.
        for (from, to) in [(cert, "cert.pem"), (key, "key.pem")] {
            fs::copy(certificates().join(from), at("new")).unwrap();
            fs::rename(at("new"), at(to)).unwrap();
        }
    };
    put("server.pem", "server.key");
    let mut command = Command::new(program::path("test-node"));
    command.env("CAROLINA_TLS__CERT", at("cert.pem")).env("CAROLINA_TLS__KEY", at("key.pem")).env("RUST_LOG", "info");
    command.stdin(Stdio::null()).stderr(fs::File::create(at("log")).unwrap());
    command.env("CAROLINA_CONFIG", at("config.toml"));
    fs::write(at("config.toml"), "").unwrap();
    let server = program::start(&mut command).await;
    let logged = || fs::read_to_string(at("log")).unwrap_or_default();
    let issuer = async || peer(&server.url, "GET").await["issuer"].clone();
    assert_eq!(issuer().await, "carolina tests");

    put("renewed.pem", "renewed.key");
    until("the files are read", || logged().contains("new connections get the certificate")).await;
    assert_eq!(issuer().await, "carolina tests, renewed");

    put("server.pem", "renewed.key");
    until("the pair is refused", || logged().contains("the certificate stays as it was: tls: the key in")).await;
    assert_eq!(issuer().await, "carolina tests, renewed");

    // SIGHUP reads files at once, and the configuration.
    put("server.pem", "server.key");
    fs::write(at("config.toml"), "origins = [\"https://app.example\"]\n[limits]\nmailbox = 5\n").unwrap();
    let hangup = async || {
        let id = server.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().await.unwrap().success());
    };
    let other_page = async || {
        let url = format!("{}/socket.io/?EIO=4&transport=polling", server.url);
        node("page.mjs", &[&url, "https://app.example"]).await.trim().to_owned()
    };
    assert_eq!(other_page().await, "403");
    hangup().await;
    until("it is read", || logged().contains("what else has changed needs a restart: [limits]")).await;
    assert_eq!(issuer().await, "carolina tests");
    assert_eq!(other_page().await, "200");
    fs::write(at("config.toml"), "orgins = []").unwrap();
    hangup().await;
    until("it is refused", || logged().contains("the configuration stays as it was")).await;
    assert_eq!(other_page().await, "200");
}

#[tokio::test]
async fn r28_a_pair_that_does_not_fit_does_not_start() {
    let mut command = Command::new(program::path("test-node"));
    command.env("CAROLINA_TLS__CERT", certificates().join("server.pem"));
    command.env("CAROLINA_TLS__KEY", certificates().join("renewed.key")).env("CAROLINA_BIND", "127.0.0.1:0");
    let ran = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await.expect("it ends").unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1));
    assert!(told.contains("renewed.key` is not that of the certificate in `"), "{told}");
}
