//! What `docs/embedding.md` says, tried: layers on outer and nested routers, an orderly end, TLS, other listeners.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use axum::{Extension, Router, body::Body, routing::get};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use carolina_sockets::{
    Sockets, channel,
    http::{OverTls, Session},
};
use carolina_sockets_tests::{DEADLINE, Log, by_hand, process::Folder, program::e2e, until};
use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    sync::oneshot,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use tower_layer::Layer;
use tower_service::Service;

#[channel]
#[derive(Default)]
struct News;

async fn sockets() -> Sockets {
    by_hand().mount::<News>("/news").build().await.unwrap()
}

/// The official client on `/news`.
struct Client {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    async fn start(url: &str, path: &str) -> Self {
        let mut command = Command::new("node");
        command.args(["listener.mjs", url, "/news", path]).current_dir(e2e()).stdout(Stdio::piped());
        command.env("NODE_EXTRA_CA_CERTS", certificate("ca.pem"));
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut this = Self { process, lines };
        assert_eq!(this.line().await, "joined");
        this
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await.expect("in time");
        line.unwrap().expect("the client goes on")
    }

    /// Checks that it gets what is emitted.
    async fn gets(&mut self, sockets: &Sockets, text: &str) {
        sockets.channel("/news").unwrap().emit("headline", text).await.unwrap();
        assert_eq!(self.line().await, format!("[\"headline\",\"{text}\"]"));
    }
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates").join(name)
}

async fn listen(app: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future());
    format!("http://{address}")
}

async fn ask(app: &Router, path: &str) -> (StatusCode, String) {
    let response = app.clone().call(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn a_layer_on_the_outer_router_covers_what_is_nested() {
    let sockets = sockets().await;
    let inner = Router::new().route("/connections", get(async |sockets: Sockets| sockets.connections().to_string()));
    let app = Router::new().nest("/app", inner).layer(sockets.session_layer()).layer(sockets.layer());
    let mut client = Client::start(&listen(app.clone()).await, "/socket.io").await;
    client.gets(&sockets, "outer").await;
    assert_eq!(ask(&app, "/app/connections").await, (StatusCode::OK, "1".to_owned()));
}

#[tokio::test]
async fn a_router_may_be_nested_as_a_service() {
    let sockets = sockets().await;
    let live = sockets.layer().layer(Router::new().route("/page", get(async || "page")));
    let app = Router::new().nest_service("/app", live);
    let mut client = Client::start(&listen(app.clone()).await, "/app/socket.io").await;
    client.gets(&sockets, "nested").await;
    assert_eq!(ask(&app, "/app/page").await, (StatusCode::OK, "page".to_owned()));
}

#[tokio::test]
async fn another_path_is_a_setting() {
    let mut config = carolina_sockets::Config::default();
    config.transport.path = "/app/socket.io".to_owned();
    let sockets = by_hand().config(config).mount::<News>("/news").build().await.unwrap();
    let inner = Router::new().route("/page", get(async || "page"));
    let app = Router::new().nest("/app", inner).layer(sockets.layer());
    let mut client = Client::start(&listen(app.clone()).await, "/app/socket.io").await;
    client.gets(&sockets, "below").await;
    assert_eq!(ask(&app, "/app/page").await.1, "page");
}

#[tokio::test]
async fn what_is_missing_is_told_by_the_names_of_this_librarys_layers() {
    let log = Log::default();
    let written = log.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_writer(move || written.clone()).with_ansi(false).finish(),
    );
    let sockets = sockets().await;
    let routes = || {
        Router::new()
            .route("/sockets", get(async |_: Sockets| "sockets"))
            .route("/session", get(async |_: Session| "session"))
    };
    // No layer at all.
    for (path, told) in [
        ("/sockets", "the route for /sockets asks for `Sockets`, and there is no `Sockets::layer()` above it"),
        ("/session", "the route for /session asks for `Session`, and there is no `Sockets::session_layer()` above it"),
    ] {
        let (status, body) = ask(&routes(), path).await;
        assert_eq!((status, body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
        assert!(log.text().contains(told), "{}", log.text());
    }
    assert!(!log.text().contains("SessionManagerLayer"), "{}", log.text());

    // A layer of a nested router.
    let nested = routes().layer(sockets.session_layer()).layer(sockets.layer());
    let app = Router::new().nest("/app", nested);
    let (status, _) = ask(&app, "/app/socket.io/?EIO=4&transport=polling").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "Socket.IO is not reached");
    for _ in 0..2 {
        assert_eq!(ask(&app, "/app/sockets").await, (StatusCode::OK, "sockets".to_owned()));
    }
    let told = r#"`Sockets::layer()` is below `nest("/app")`"#;
    assert_eq!(log.text().matches(told).count(), 1, "{}", log.text());
    assert!(log.text().contains("/app/socket.io/: put the layer on the outer router"), "{}", log.text());
}

#[tokio::test]
async fn axum_ends_in_order() {
    let sockets = sockets().await;
    let app = Router::new().layer(sockets.session_layer()).layer(sockets.layer());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    let ended = tokio::spawn({
        let sockets = sockets.clone();
        let ending = async move {
            let _ = stopped.await;
            sockets.shutdown().await;
        };
        server.with_graceful_shutdown(ending).into_future()
    });
    let mut client = Client::start(&url, "/socket.io").await;
    client.gets(&sockets, "before").await;
    stop.send(()).unwrap();
    tokio::time::timeout(DEADLINE, ended).await.expect("axum ends").unwrap().unwrap();
    // The client has noticed: it has no further connection to wait for.
    tokio::time::timeout(DEADLINE, client.process.wait()).await.expect("the client ends").unwrap();
}

#[tokio::test]
async fn axum_server_with_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sockets = sockets().await;
    let login = async |session: Session| session.insert("user_id", "ada").await.map_err(|error| error.to_string());
    let app = Router::new()
        .route("/login", get(login))
        .layer(sockets.session_layer())
        .layer(Extension(OverTls))
        .layer(sockets.layer());
    let tls = RustlsConfig::from_pem_file(certificate("server.pem"), certificate("server.key")).await.unwrap();
    let handle = Handle::new();
    let server = axum_server::bind_rustls(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls).handle(handle.clone());
    let ended = tokio::spawn(server.serve(app.into_make_service_with_connect_info::<SocketAddr>()));
    let address = tokio::time::timeout(DEADLINE, handle.listening()).await.unwrap().unwrap();
    let mut client = Client::start(&format!("https://{address}"), "/socket.io").await;
    client.gets(&sockets, "over TLS").await;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--include", &format!("https://{address}/login"), "--cacert"]).arg(certificate("ca.pem"));
    let answered = curl.output().await.unwrap();
    let answered = String::from_utf8_lossy(&answered.stdout).into_owned();
    let cookie = answered.lines().find(|line| line.to_lowercase().starts_with("set-cookie")).unwrap_or_default();
    assert!(cookie.contains("; Secure"), "{answered}");

    sockets.shutdown().await;
    handle.graceful_shutdown(Some(Duration::from_secs(5)));
    tokio::time::timeout(DEADLINE, ended).await.expect("it ends").unwrap().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_served_as_well() {
    let folder = Folder::new();
    let path = folder.path().join("http.sock");
    let sockets = sockets().await;
    let app = Router::new().layer(sockets.session_layer()).layer(sockets.layer());
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    // The official client takes no socket's path, so this one speaks for it.
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let request = "ws://app.example/socket.io/?EIO=4&transport=websocket".into_client_request().unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    socket.send(Message::text("40/news,")).await.unwrap();
    let mut next = async || loop {
        let message = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
        if message.is_text() && !message.to_text().unwrap().starts_with('0') {
            return message.to_text().unwrap().to_owned();
        }
    };
    assert!(next().await.starts_with("40/news,"));
    until("it is counted", || sockets.connections() == 1).await;
    sockets.channel("/news").unwrap().emit("headline", "over a socket").await.unwrap();
    assert_eq!(next().await, "42/news,[\"headline\",\"over a socket\"]");
}
