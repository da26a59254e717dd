//! `check`: broken set-ups, each named with what to do.

use std::{fs, path::Path, time::Duration};

use carolina_sockets_tests::{
    port::Port,
    process::Folder,
    program,
    servers::{Postgres, Redis},
};
use tokio::process::Command;

const SECRET: &str = "session.secret = \"0123456789abcdefghijklmnopqrstuvwxyz\"";

/// What `check` says of a configuration, and its exit code.
async fn check(config: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let folder = Folder::new();
    let file = folder.path().join("web.toml");
    fs::write(&file, config).unwrap();
    check_file(&file, arguments).await
}

/// The same of a file that is there, or not.
async fn check_file(file: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let folder = Folder::new();
    let chat = program::path("chat");
    // Fewer files than the system allows, where a test asks for it.
    let files = arguments.iter().find_map(|argument| argument.strip_prefix("files="));
    let limit = files.map(|files| format!("ulimit -n {files}; ")).unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}exec \"$0\" \"$@\"")]).arg(chat).arg("check");
    command.args(arguments.iter().filter(|argument| !argument.starts_with("files=")));
    command.env("CAROLINA_CONFIG", file).env("RUST_LOG", "off").kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(60), command.current_dir(folder.path()).output());
    let ran = ran.await.expect("it ends").unwrap();
    (String::from_utf8_lossy(&ran.stdout).into_owned(), ran.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_sound_set_up_passes() {
    let redis = Redis::start();
    let port = Port::reserve();
    let config = format!(
        "bind = \"127.0.0.1:{}\"\norigins = [\"https://app.example\"]\nhosts = [\"app.example\"]\ntrusted_proxies = [\"127.0.0.1\"]\n{SECRET}\n\
         session.store = \"{1}\"\nbackplane.url = \"{1}\"\nlimits.connections = 100\n",
        port.number(),
        redis.url()
    );
    drop(port);
    let (told, code) = check(&config, &["--strict"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.lines().all(|line| line.starts_with("ok ")), "{told}");
    for looked_at in [
        "open files are enough",
        "the session store answers",
        "the backplane answers",
        "the clock",
        "/ready says that it takes clients",
        "a page of another origin is refused",
        "pages of https://app.example are let in",
        "a proxy on this machine is believed",
    ] {
        assert!(told.contains(looked_at), "{looked_at}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_broken_set_ups_are_named_with_what_to_do() {
    let redis = Redis::start();
    let guarded = Redis::start_with_password("right");
    let postgres = Postgres::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let nobody = Port::reserve();
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates");
    let at = |name: &str| format!("{:?}", certificates.join(name));
    let url = redis.url();
    let backplane = format!("backplane.url = \"{url}\"");
    let error = Some(1);
    for (what, config, told, remedy, code) in [
        ("a file that is no TOML", "bind = = 1".to_owned(), "error    ", "web.toml:1: extra `=`", error),
        (
            "a secret that is too short",
            "session.secret = \"short\"".to_owned(),
            "error    ",
            "has 5 bytes and needs at least 32; make one with `openssl rand -base64 48`",
            error,
        ),
        (
            "a driver that is not linked",
            "[channels]\n\"/x\" = { driver = \"Chatt\" }".to_owned(),
            "web.toml:2: channels.\"/x\".driver: there is no driver `Chatt`",
            "is linked by `use that_crate as _;`",
            error,
        ),
        (
            "every site",
            "origins = [\"*\"]".to_owned(),
            "web.toml:1: origins: `*` would let every site act with your users' cookies",
            "name the origins",
            error,
        ),
        (
            "a wrong password of a store",
            format!("{SECRET}\nsession.store = {:?}", guarded.url().replace("://", "://:wrong@")),
            "Password authentication failed",
            "; correct session.store (CAROLINA_SESSION__STORE)",
            error,
        ),
        (
            "a database that does not exist",
            format!(
                "{SECRET}\nbackplane.url = \"{}\"",
                postgres.url().trim_end_matches("/postgres").to_owned() + "/none"
            ),
            "database \"none\" does not exist",
            "; correct backplane.url (CAROLINA_BACKPLANE__URL)",
            error,
        ),
        (
            "a missing certificate",
            "tls = { cert = \"none.pem\", key = \"none.key\" }".to_owned(),
            "error    tls.cert: cannot read `none.pem`",
            "name a file that exists",
            error,
        ),
        (
            "metrics for everybody",
            "bind = \"127.0.0.1:9\"\nmetrics = \"127.0.0.1:9\"".to_owned(),
            "error    metrics: 127.0.0.1:9 is also `bind`",
            "write another port",
            error,
        ),
        (
            "metrics at a port that is taken",
            format!("metrics = \"{taken}\""),
            "warning  metrics: something listens on",
            "end it before this one starts",
            Some(0),
        ),
        (
            "no collector",
            format!("otlp.endpoint = \"http://127.0.0.1:{}\"", nobody.number()),
            "warning  otlp.endpoint: the collector at http://127.0.0.1:",
            "start it, or correct the URL",
            Some(0),
        ),
        ("an unknown key", "[limits]\nmailbx = 1".to_owned(), "error    ", "did you mean `mailbox`?", error),
        (
            "no secret for many",
            backplane.clone(),
            "error    session.secret is not set",
            "openssl rand -base64 48",
            error,
        ),
        (
            "a secret that can be guessed",
            format!("session.secret = {:?}", "secret".repeat(6)),
            "error    session.secret: secret number 1 can be guessed",
            "openssl rand",
            error,
        ),
        (
            "a store that is away",
            format!("{SECRET}\nsession.store = \"redis://127.0.0.1:{}\"", nobody.number()),
            "error    session store: ",
            "start that server, or correct session.store",
            error,
        ),
        (
            "a backplane that is away",
            format!("{SECRET}\nbackplane.url = \"postgres://127.0.0.1:{}/x\"", nobody.number()),
            "error    backplane: ",
            "start that server, or correct backplane.url",
            error,
        ),
        (
            "a database without rights",
            format!("{SECRET}\nsession.store = \"sqlite:///proc/none/sessions.db\""),
            "error    session store: ",
            "cannot make the folder `/proc/none`",
            error,
        ),
        (
            "sessions of each node",
            format!("{SECRET}\n{backplane}"),
            "error    session.store is memory: each node has sessions of its own",
            "session.store = \"redis://…\"",
            error,
        ),
        (
            "a key of another certificate",
            format!("tls = {{ cert = {}, key = {} }}", at("server.pem"), at("renewed.key")),
            "error    tls: the key in",
            "is not that of the certificate",
            error,
        ),
        (
            "an expired certificate",
            format!("tls = {{ cert = {}, key = {} }}", at("expired.pem"), at("renewed.key")),
            "has expired on 2020-01-02",
            "renew it",
            error,
        ),
        (
            "everybody is a proxy",
            "trusted_proxies = [\"0.0.0.0/0\"]".to_owned(),
            "error    trusted_proxies: `0.0.0.0/0` is everybody",
            "name the proxies' own addresses",
            error,
        ),
        (
            "a missing folder",
            "static_dir = \"none\"".to_owned(),
            "error    cannot serve files from `none`",
            "name a folder that exists",
            error,
        ),
        (
            "an address of another machine",
            "bind = \"192.0.2.1:80\"".to_owned(),
            "error    bind: cannot listen on",
            "an address of this machine",
            error,
        ),
        (
            "a port that is taken",
            format!("bind = \"{taken}\""),
            "warning  bind: something listens on",
            "end it before this one starts",
            Some(0),
        ),
        (
            "no TLS at all",
            "bind = \"0.0.0.0:0\"".to_owned(),
            "warning  bind: 0.0.0.0:0 is open",
            "name its address in trusted_proxies",
            Some(0),
        ),
        (
            "pages without TLS",
            "origins = [\"http://app.example\"]".to_owned(),
            "warning  origins: pages of",
            "serve them by https",
            Some(0),
        ),
    ] {
        let (said, ended) = check(&config, &[]).await;
        let line = said.lines().find(|line| line.contains(told)).unwrap_or_else(|| panic!("{what}: {said}"));
        assert!(line.contains(remedy), "{what}: {line}");
        assert_eq!(ended, code, "{what}: {said}");
    }
    let (said, ended) = check_file(Path::new("/none/web.toml"), &[]).await;
    assert!(said.contains("error    CAROLINA_CONFIG: cannot read `/none/web.toml`"), "{said}");
    assert!(said.contains("name a file that exists, or unset the variable") && ended == error, "{said}");
    let (said, ended) = check(&format!("{SECRET}\nbind = \"127.0.0.1:0\""), &["files=300", "--strict"]).await;
    assert!(said.contains("warning  limits.connections is 100000, but the process may open 300 files"), "{said}");
    assert_eq!(ended, Some(1), "warnings count in a strict check: {said}");
    let (said, _) = check(&format!("{SECRET}\nbackplane.url = \"{}\"", postgres.url()), &[]).await;
    assert!(said.contains("ok       the clock"), "{said}");
}
