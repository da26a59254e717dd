//! The official JavaScript client, over both transports; and the quickstart as it is documented.

use std::{path::Path, time::Duration};

use carolina_sockets::{Args, Data, EventError, Handshake, Socket, channel, on, testing::TestService};
use carolina_sockets_tests::{by_hand, program, start};
use serde_json::{Value, json};
use tokio::process::Command;

#[channel]
#[derive(Default)]
struct Official;

#[derive(serde::Deserialize)]
struct Auth {
    token: Option<String>,
}

/// One argument, whatever it holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stamp(u64);

#[channel]
impl Official {
    #[on(connect)]
    async fn connect(&self, socket: Socket, handshake: Handshake) -> Result<(), EventError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(socket.emit("welcome", handshake.auth::<Auth>()?.token).await?)
    }

    #[on("echo")]
    fn echo(&self, Data(value): Data<Value>) -> Value {
        value
    }

    #[on("reverse")]
    fn reverse(&self, Args(mut values): Args<Vec<Value>>) -> Args<Vec<Value>> {
        values.reverse();
        Args(values)
    }

    #[on("binary")]
    fn binary(&self, Data(bytes): Data<bytes::Bytes>) -> bytes::Bytes {
        bytes.iter().rev().copied().collect::<Vec<u8>>().into()
    }

    #[on("stamp")]
    async fn stamp(&self, socket: Socket, Data(stamp): Data<Stamp>) -> Result<Stamp, EventError> {
        socket.emit("stamped", &stamp).await?;
        socket.broadcast().emit("stamped", &stamp).await?;
        let again: Stamp = socket.emit_with_ack("stamp-again", &stamp).await?;
        Ok(Stamp(again.0 + 1))
    }

    #[on("maybe")]
    fn maybe(&self, Data(bytes): Data<Option<bytes::Bytes>>) -> Option<bytes::Bytes> {
        bytes
    }

    #[on("nothing")]
    async fn nothing(&self) {}

    #[on("fails")]
    fn fails(&self) -> Result<(), EventError> {
        Err(EventError::new("sold_out", "none are left").details(json!({ "waiting": 2 })))
    }

    #[on("count")]
    async fn count(&self, Data(number): Data<u32>) -> u32 {
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
        number
    }

    #[on("ask", concurrent)]
    async fn ask(&self, socket: Socket) -> Result<String, EventError> {
        Ok(socket.emit_with_ack("question", "why").await?)
    }

    #[on("dismiss")]
    fn dismiss(&self, socket: Socket) {
        drop(socket.disconnect());
    }
}

#[channel(private)]
#[derive(Default)]
struct Private;

async fn service() -> TestService {
    let mut config = carolina_sockets::Config::default();
    config.limits.events_per_second = 100_000;
    config.limits.mailbox = 2_000;
    let builder = by_hand()
        .config(config)
        .mount::<Official>("/official")
        .mount::<Official>("/other")
        .mount::<Private>("/private");
    start(builder).await.listen().await.unwrap()
}

async fn node(script: &str, arguments: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in tests/e2e first, or `make test`, which does");
    let ran = Command::new("node").arg(script).args(arguments).current_dir(folder).kill_on_drop(true).output();
    let ran = tokio::time::timeout(Duration::from_secs(60), ran).await.expect("within a minute").unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{script} {arguments:?}:\n{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_websocket() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "websocket"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_polling() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "polling"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_over_polling_with_upgrade() {
    let service = service().await;
    node("client.mjs", &[&service.url(), "polling,websocket"]).await;
}

#[tokio::test]
async fn the_quickstart_serves_its_client_and_ends_in_order() {
    let mut server = program::start(&mut Command::new(program::path("quickstart"))).await;
    let mut table = String::new();
    while let Some(line) = server.lines.next_line().await.unwrap() {
        table.push_str(&line);
        if line.contains("/custom") {
            break;
        }
    }
    assert!(table.contains("MainChannel") && table.contains("MyCustomChannel") && table.contains("checkin"), "{table}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
    let ran = Command::new("node").args(["client.mjs", &server.url]).current_dir(folder).output();
    let ran = tokio::time::timeout(Duration::from_secs(30), ran).await.unwrap().unwrap();
    let out = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && out.contains("acknowledged: { number: 1 }"), "{out}");

    let id = server.process.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(20), server.process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn start_up_mistakes_are_one_clear_message_and_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    for (variables, expected) in [
        (vec![("CAROLINA_BIND", bind.as_str())], "cannot listen on 127.0.0.1:"),
        (vec![("CAROLINA_BIND", "nowhere")], "CAROLINA_BIND: bind: `nowhere` is not an address and port"),
        (vec![("CAROLINA_CONFIG", "/nonexistent.toml")], "cannot read `/nonexistent.toml`"),
        (vec![("CAROLINA_STATIC_DIR", "/nonexistent")], "cannot serve files from `/nonexistent`"),
        (vec![("CAROLINA_LIMITS__MAILBX", "1")], "did you mean `mailbox`?"),
        (vec![("CAROLINA_SESSION__STORE", "mysql://u:secret@h/d")], "`mysql://u:***@h/d`"),
    ] {
        let ran = Command::new(program::path("quickstart")).envs(variables).kill_on_drop(true).output();
        let ran = tokio::time::timeout(Duration::from_secs(20), ran).await.unwrap().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{err}");
        let message = err.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
        assert!(message.contains(expected), "{err}");
        assert!(!err.contains("secret@"), "{err}");
    }
}
