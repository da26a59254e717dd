//! The programs of `docs/publishing.md`, as they stand there, with the official client and on two nodes.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use carolina_sockets_tests::{DEADLINE, nodes::Node, process::Folder, program::e2e, servers::Redis, wire::RawSocket};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

const PUBLISH: &str = "what the tests sign messages with and no more";

/// The first block of the chapter in a language.
fn block(language: &str) -> String {
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/publishing.md");
    let chapter = std::fs::read_to_string(chapter).unwrap();
    let (_, rest) = chapter.split_once(&format!("\n```{language}\n")).unwrap_or_else(|| panic!("no {language}"));
    rest.split_once("\n```").unwrap().0.to_owned()
}

fn written(folder: &Folder, name: &str, language: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, block(language)).unwrap();
    path
}

fn two(redis: &Redis) -> [Node; 2] {
    std::array::from_fn(|_| {
        let channels = ("CAROLINA_CHANNELS", r#"{ "/news" = { driver = "Open" } }"#);
        Node::start_with(&redis.url(), &[("CAROLINA_PUBLISH__SECRET", PUBLISH), channels])
    })
}

async fn run(command: &mut Command, node: &Node, input: &str) -> String {
    command.env("PUBLISH_URL", format!("{}/_carolina/emit", node.url())).env("PUBLISH_SECRET", PUBLISH);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; is it installed?"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let ran = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {out}\n{err}");
    out.into_owned()
}

/// The official client on a channel of a node.
struct Listener {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listener {
    async fn start(node: &Node, channel: &str) -> Self {
        let mut command = Command::new("node");
        command.args(["listener.mjs", &node.url(), channel]).current_dir(e2e()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut this = Self { _process: process, lines };
        assert_eq!(this.line().await, "joined");
        this
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await.expect("in time");
        line.unwrap().expect("the client goes on")
    }

    async fn event(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chapters_programs_reach_official_clients_on_another_node() {
    let redis = Redis::start();
    let [a, b] = two(&redis);
    let mut listener = Listener::start(&b, "/news").await;
    let folder = Folder::new();
    for (program, file, language, from) in [
        ("bash", "publish.sh", "sh", "from curl"),
        ("python3", "publish.py", "python", "from Python"),
        ("php", "publish.php", "php", "from PHP"),
        ("node", "publish.mjs", "js", "from Node"),
    ] {
        let printed = run(Command::new(program).arg(written(&folder, file, language)), &a, "").await;
        assert!(printed.contains("emitted"), "{program}: {printed}");
        assert_eq!(listener.event().await, json!(["headline", from]));
    }
}

/// Calls the chapter's Python function.
async fn from_python(folder: &Folder, node: &Node, messages: Value) -> Value {
    let call = "import json, sys; from publish import publish\n\
                try: print(json.dumps(publish(json.load(sys.stdin))))\n\
                except RuntimeError as error: print(error)";
    let mut python = Command::new("python3");
    python.args(["-c", call]).env("PYTHONPATH", folder.path());
    let printed = run(&mut python, node, &messages.to_string()).await;
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reaches_rooms_users_and_sessions_on_two_nodes() {
    let redis = Redis::start();
    let [a, b] = two(&redis);
    let folder = Folder::new();
    written(&folder, "publish.py", "python");
    let mut listener = Listener::start(&b, "/news").await;
    let (ada, bob) = (a.login("ada"), b.login("7"));
    let mut ada_a = RawSocket::join_with(&a.url(), "/news", Some(&ada)).await;
    let mut ada_b = RawSocket::join_with(&b.url(), "/news", Some(&ada)).await;
    let mut bob_b = RawSocket::join_with(&b.url(), "/news", Some(&bob)).await;
    bob_b.send("42/news,1[\"join\",\"sports\"]").await;
    bob_b.expect("43/news,1").await;

    let message = |more: Value| {
        let mut message = json!({ "channel": "/news", "event": "e" });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let answer = from_python(
        &folder,
        &a,
        json!([
            message(json!({ "users": "ada", "arguments": ["for ada"] })),
            message(json!({ "users": [7], "rooms": ["none"], "arguments": ["for 7"] })),
            message(json!({ "rooms": "sports", "except": { "users": ["ada"] }, "arguments": ["for sports"] })),
            message(json!({ "except": { "users": ["ada", 7] }, "arguments": [{ "$base64": "AQL/" }] })),
        ]),
    );
    assert_eq!(answer.await, json!({ "emitted": 4, "repeated": 0, "missed": 0 }));
    for socket in [&mut ada_a, &mut ada_b] {
        assert_eq!(socket.expect("42/news,").await, "42/news,[\"e\",\"for ada\"]");
    }
    assert_eq!(bob_b.expect("42/news,").await, "42/news,[\"e\",\"for 7\"]");
    assert_eq!(bob_b.expect("42/news,").await, "42/news,[\"e\",\"for sports\"]");
    assert_eq!(listener.event().await, json!(["e", { "type": "Buffer", "data": [1, 2, 255] }]));

    // A mistake is told with its place.
    let answer = from_python(&folder, &a, json!([message(json!({})), message(json!({ "rooms": 5 }))])).await;
    assert_eq!((&answer["code"], &answer["path"]), (&json!("invalid_payload"), &json!("[1].rooms")), "{answer}");

    // The repetition may go to another node.
    let once = message(json!({ "arguments": ["once"], "idempotency_key": "4711" }));
    assert_eq!(from_python(&folder, &a, once.clone()).await["emitted"], 1);
    assert_eq!(listener.event().await, json!(["e", "once"]));
    // Messages between nodes arrive in their order: node B knows that key once it knows of a later one.
    let fenced = async {
        for number in 0.. {
            let fence = message(json!({ "rooms": [], "idempotency_key": format!("fence {number}") }));
            assert_eq!(from_python(&folder, &a, fence.clone()).await["emitted"], 1);
            if from_python(&folder, &b, fence).await["repeated"] == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, fenced).await.expect("node B is told of keys");
    assert_eq!(from_python(&folder, &b, once).await, json!({ "emitted": 0, "repeated": 1, "missed": 0 }));
    from_python(&folder, &b, message(json!({ "arguments": ["last"] }))).await;
    assert_eq!(listener.event().await, json!(["e", "last"]));
}
