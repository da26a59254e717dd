//! The stores behind features, each with the real thing: a file, or a server of the test's own.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

use super::{NotifyingStore, SharedStore};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("carolina-sockets-{:032x}", Id::default().0));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What every store must do.
async fn keeps_sessions(url: &str) {
    let stop = CancellationToken::new();
    let open = async || {
        let store = SharedStore::connect(url, &stop).await.unwrap_or_else(|error| panic!("{error}"));
        Arc::new(NotifyingStore::new(store, Duration::from_secs(1000)))
    };
    let store = open().await;
    let session = store.session(None);
    session.insert("user_id", 7).await.unwrap();
    session.insert("name", "Ada \u{1F980}").await.unwrap();
    session.insert("deep", json!({ "list": [1, 2.5, null, true] })).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    // Another node, or the same one after a restart, sees it.
    let other = open().await;
    let read = other.load(&id).await.unwrap().unwrap();
    assert_eq!(read.data.get("deep"), Some(&json!({ "list": [1, 2.5, null, true] })));
    let changed = other.session(Some(id));
    assert_eq!(changed.get::<String>("name").await.unwrap().as_deref(), Some("Ada \u{1F980}"));
    changed.insert("user_id", 8).await.unwrap();
    changed.save().await.unwrap();
    assert_eq!(store.session(Some(id)).get::<u64>("user_id").await.unwrap(), Some(8));
    // No two have one id.
    let mut twin =
        Record { id, data: HashMap::new(), expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(100) };
    store.create(&mut twin).await.unwrap();
    assert_ne!(twin.id, id);
    // A log-out holds, whoever was on the way.
    let slow = other.session(Some(id));
    slow.insert("late", true).await.unwrap();
    store.session(Some(id)).flush().await.unwrap();
    slow.save().await.unwrap();
    assert!(store.load(&id).await.unwrap().is_none());
    assert!(store.prolong(&id).await.unwrap().is_none());
    assert!(store.prolong(&twin.id).await.unwrap().unwrap() > twin.expiry_date);
    // What expires is gone in that second.
    let mut brief = Record {
        id: Id::default(),
        data: HashMap::new(),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_millis(1500),
    };
    store.create(&mut brief).await.unwrap();
    assert!(store.load(&brief.id).await.unwrap().is_some());
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.load(&brief.id).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "an expired session is still found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(OffsetDateTime::now_utc() >= brief.expiry_date - Duration::from_secs(1));
    stop.cancel();
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn r13_sqlite_keeps_sessions() {
    let folder = Folder::new();
    keeps_sessions(&format!("sqlite://{}", folder.0.join("sessions.db").display())).await;
    let error = SharedStore::connect(&format!("sqlite://{}", folder.0.display()), &CancellationToken::new()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&*folder.0.to_string_lossy()) && error.contains("unable to open"), "{error}");
}

#[cfg(any(feature = "redis", feature = "postgres"))]
mod servers {
    use std::process::{Child, Command, Stdio};

    use tokio::net::TcpSocket;

    use super::*;

    /// A server at a port of its own, ended with the test.
    struct Server {
        child: Child,
        port: Port,
        _folder: Folder,
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// A port that is kept for a server, also while the server is away: Linux lets it bind where a socket is bound that does
    /// not listen, as both set `SO_REUSEADDR`, and gives the port to nobody else.
    struct Port(TcpSocket);

    impl Port {
        fn reserve() -> Self {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            Self(socket)
        }

        fn number(&self) -> u16 {
            self.0.local_addr().unwrap().port()
        }
    }

    fn quiet(command: &mut Command) -> &mut Command {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
    }

    /// Opens the store once its server is up.
    async fn wait_for(server: &mut Server, url: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let stop = CancellationToken::new();
            match SharedStore::connect(url, &stop).await {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => panic!("the server does not come up: {error}"),
                Err(_) => {
                    assert_eq!(
                        server.child.try_wait().unwrap(),
                        None,
                        "the server on port {} has ended",
                        server.port.number()
                    );
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            stop.cancel();
        }
    }

    /// A server that is not there, or refuses, is told at once, by a line without the password.
    async fn is_refused(url: &str, because: &str) {
        let began = Instant::now();
        let error = SharedStore::connect(url, &CancellationToken::new()).await.unwrap_err().to_string();
        assert!(error.contains("***") && !error.contains("sesame"), "{error}");
        assert!(error.to_lowercase().contains(because) && !error.contains('\n'), "{error}");
        assert!(began.elapsed() < Duration::from_secs(15), "{error}");
    }

    #[cfg(feature = "redis")]
    fn run_redis(port: &Port, folder: &Folder) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.number().to_string()]);
        command.args(["--save", "", "--requirepass", "open sesame", "--dir"]).arg(&folder.0);
        quiet(&mut command).spawn().expect("redis-server, from Debian's package of that name")
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn r13_redis_keeps_sessions() {
        let folder = Folder::new();
        let port = Port::reserve();
        let mut server = Server { child: run_redis(&port, &folder), port, _folder: folder };
        let at = format!("127.0.0.1:{}", server.port.number());
        let url = format!("redis://:open%20sesame@{at}/1");
        wait_for(&mut server, &url).await;
        keeps_sessions(&url).await;
        is_refused(&format!("redis://:sesame@{at}"), "password").await;
        let closed = Port::reserve();
        is_refused(&format!("redis://:sesame@127.0.0.1:{}", closed.number()), "refused").await;
        let without_password = SharedStore::connect(&format!("redis://{at}"), &CancellationToken::new()).await;
        let error = without_password.unwrap_err().to_string();
        assert!(error.to_lowercase().contains("authentication required"), "{error}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn r13_what_redis_says_is_a_source() {
        use std::error::Error;

        let stop = CancellationToken::new();
        let closed = Port::reserve();
        let error = SharedStore::connect(&format!("redis://127.0.0.1:{}", closed.number()), &stop).await.unwrap_err();
        let cause = std::iter::successors(error.source(), |&error| error.source())
            .find_map(|error| error.downcast_ref::<::redis::RedisError>());
        assert!(cause.is_some_and(::redis::RedisError::is_connection_refusal), "{error}");
    }

    /// No operation fails for a server that comes back in time, whatever the store's connection has become meanwhile.
    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn r13_redis_may_be_away_for_a_moment() {
        let folder = Folder::new();
        let port = Port::reserve();
        let mut server = Server { child: run_redis(&port, &folder), port, _folder: folder };
        let url = format!("redis://:open%20sesame@127.0.0.1:{}", server.port.number());
        wait_for(&mut server, &url).await;
        let SharedStore(store) = SharedStore::connect(&url, &CancellationToken::new()).await.unwrap();
        let record = || Record {
            id: Id::default(),
            data: HashMap::from([("user_id".to_owned(), json!(7))]),
            expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(100),
        };
        let mut first = record();
        store.create(&mut first).await.unwrap();
        assert!(store.load(&first.id).await.unwrap().is_some());
        // A restart that nobody has noticed.
        let _ = server.child.kill();
        let _ = server.child.wait();
        server.child = run_redis(&server.port, &server._folder);
        let mut second = record();
        store.create(&mut second).await.unwrap();
        assert_eq!(store.load(&second.id).await.unwrap().unwrap().data, second.data);
        assert!(store.load(&first.id).await.unwrap().is_none(), "this server keeps nothing");
        // It is away while operations wait for it.
        let _ = server.child.kill();
        let _ = server.child.wait();
        let mut waiting =
            (0..20).map(|_| store.load(&second.id)).collect::<futures_util::stream::FuturesUnordered<_>>();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", server.port.number())).await.unwrap();
        let attempts = async {
            for _ in 0..3 {
                drop(listener.accept().await.unwrap());
            }
        };
        tokio::select! {
            early = futures_util::StreamExt::next(&mut waiting) => panic!("an operation has not waited: {early:?}"),
            () = attempts => {}
        }
        drop(listener);
        server.child = run_redis(&server.port, &server._folder);
        while let Some(loaded) = futures_util::StreamExt::next(&mut waiting).await {
            assert!(loaded.unwrap().is_none());
        }
    }

    #[cfg(feature = "postgres")]
    #[tokio::test]
    async fn r13_postgres_keeps_sessions() {
        let folder = Folder::new();
        let (data, password) = (folder.0.join("data"), folder.0.join("password"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&password, "sesame").unwrap();
        for path in [&folder.0, &data, &password] {
            give_away(path);
        }
        let mut init = postgres_program("initdb");
        init.args(["--username", "ada", "--auth", "scram-sha-256", "--no-sync", "--locale", "C", "--encoding", "UTF8"]);
        init.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
        assert!(quiet(&mut init).status().expect("initdb, from Debian's package postgresql").success());
        let port = Port::reserve();
        let mut command = postgres_program("postgres");
        command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-F", "-p", &port.number().to_string()]);
        command.arg("-k").arg(&folder.0);
        let child = quiet(&mut command).spawn().expect("postgres, from Debian's package postgresql");
        let mut server = Server { child, port, _folder: folder };
        let at = format!("127.0.0.1:{}", server.port.number());
        let url = format!("postgres://ada:sesame@{at}/postgres");
        wait_for(&mut server, &url).await;
        // Nodes that come up together all make the table.
        let stop = CancellationToken::new();
        let nodes = (0..8).map(|_| SharedStore::connect(&url, &stop));
        assert!(futures_util::future::join_all(nodes).await.iter().all(Result::is_ok));
        keeps_sessions(&url).await;
        is_refused(&format!("postgres://ada:not-sesame@{at}/postgres"), "password").await;
        is_refused(&format!("postgres://ada:sesame@{at}/nothing"), "does not exist").await;
        let closed = Port::reserve();
        is_refused(&format!("postgres://ada:sesame@127.0.0.1:{}/postgres", closed.number()), "refused").await;
    }

    /// PostgreSQL does not run as root; as root, it is run as the user of Debian's package.
    #[cfg(feature = "postgres")]
    fn other_user() -> Option<u32> {
        let id = |arguments: &[&str]| {
            let output = Command::new("id").args(arguments).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
        };
        (id(&["-u"]) == Some(0)).then(|| id(&["-u", "postgres"]).expect("the user `postgres`"))
    }

    #[cfg(feature = "postgres")]
    fn give_away(path: &std::path::Path) {
        if let Some(user) = other_user() {
            std::os::unix::fs::chown(path, Some(user), None).unwrap();
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres_program(name: &str) -> Command {
        use std::os::unix::process::CommandExt;

        // Debian keeps them outside the path, by version.
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let installed =
            versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
        let mut command = Command::new(installed.unwrap_or_else(|| name.into()));
        if let Some(user) = other_user() {
            command.uid(user).current_dir("/");
        }
        command
    }
}
