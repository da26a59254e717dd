//! R12 and R14: who may come in, from where, and how many.

use std::{
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::body::Body;
use carolina_sockets::{
    Config, Data, EventError, Handshake, Identify, Identity, Socket, State, User, channel,
    identity::async_trait,
    on,
    testing::{ClientError, TestService},
};
use carolina_sockets_tests::{by_hand, nodes::Node, start};
use http::{Method, Request, Response, StatusCode, header};

#[derive(Default)]
struct Seen {
    ran: AtomicUsize,
    rooms: Mutex<Vec<String>>,
}

/// Private, and asks further.
#[channel(private)]
struct Guarded {
    seen: State<Arc<Seen>>,
}

#[channel]
impl Guarded {
    #[on(init)]
    fn new(seen: State<Arc<Seen>>) -> Self {
        Self { seen }
    }

    #[on(authorize)]
    async fn authorize(&self, socket: Socket, user: User) -> Result<(), EventError> {
        // Whoever is refused has been in no room, this one included.
        socket.join("antechamber");
        tokio::task::yield_now().await;
        match user.id() {
            "banned" => Err(EventError::new("banned", "you may not come back")),
            "outsider" => Err(std::io::Error::other("the directory is down, user=outsider").into()),
            _ => Ok(()),
        }
    }

    #[on(connect)]
    fn connect(&self, socket: Socket) {
        self.seen.ran.fetch_add(1, SeqCst);
        *self.seen.rooms.lock().unwrap() = socket.rooms();
    }

    #[on(disconnect)]
    fn disconnect(&self) {
        self.seen.ran.fetch_add(1, SeqCst);
    }

    #[on("event")]
    fn event(&self) {
        self.seen.ran.fetch_add(1, SeqCst);
    }
}

/// Private, with nothing further.
#[channel(private)]
#[derive(Default)]
struct UsersOnly;

#[channel]
#[derive(Default)]
struct Open;

#[channel]
impl Open {
    #[on("echo")]
    fn echo(&self, Data(value): Data<serde_json::Value>) -> serde_json::Value {
        value
    }

    #[on("binary")]
    fn binary(&self, Data(parts): Data<Vec<bytes::Bytes>>) -> usize {
        parts.len()
    }
}

/// Believes whatever name the client gives.
struct ByName;

#[async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        match handshake.query().get("name") {
            None => Ok(Identity::anonymous()),
            Some("broken") => Err(std::io::Error::other("the user table is locked").into()),
            Some(name) => Ok(Identity::user(name)),
        }
    }
}

async fn service(config: Config, seen: &Arc<Seen>) -> TestService {
    let builder = by_hand()
        .config(config)
        .identify(ByName)
        .state(seen.clone())
        .mount::<Guarded>("/guarded")
        .mount::<UsersOnly>("/users")
        .mount::<Open>("/open");
    start(builder).await
}

fn polling(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/socket.io/?EIO=4&transport=polling").header(header::HOST, "app.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn websocket(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = polling(headers);
    *request.uri_mut() = "/socket.io/?EIO=4&transport=websocket".parse().unwrap();
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn r12_a_private_channel_without_a_check_lets_in_users() {
    let service = service(Config::default(), &Arc::default()).await;
    assert_eq!(service.connect("/users").await.unwrap_err().code(), "unauthenticated");
    service.client().query("name", "ada").connect("/users").await.unwrap();
}

#[tokio::test]
async fn r12_who_is_refused_has_been_nowhere_and_run_nothing() {
    let seen = Arc::<Seen>::default();
    let service = service(Config::default(), &seen).await;
    let guarded = service.sockets().channel("/guarded").unwrap();
    for (name, code) in [
        (None, "unauthenticated"),
        (Some("banned"), "banned"),
        (Some("outsider"), "internal"),
        (Some("broken"), "internal"),
    ] {
        let client = match name {
            Some(name) => service.client().query("name", name),
            None => service.client(),
        };
        // Events that it sends without waiting for an answer run nothing either.
        let refused = client.connect("/guarded").await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert!(!refused.to_string().contains("directory") && !refused.to_string().contains("locked"), "{refused}");
        assert_eq!(guarded.to("antechamber").emit("x", ()).await.unwrap().missed(), 0);
        assert!(guarded.online_users().await.unwrap().is_empty(), "{name:?}");
        assert!(!guarded.is_online("banned").await.unwrap());
    }
    assert_eq!(seen.ran.load(SeqCst), 0);
    let mut ada = service.client().query("name", "ada").connect("/guarded").await.unwrap();
    ada.request::<()>("event", ()).await.unwrap();
    assert_eq!(*seen.rooms.lock().unwrap(), ["antechamber"], "and not the library's own");
    assert_eq!(guarded.online_users().await.unwrap(), ["ada"]);
}

#[tokio::test]
async fn r14_pages_of_other_origins_are_refused_on_both_transports() {
    let mut config = Config::default();
    config.origins = vec!["https://friend.example".to_owned()];
    let service = service(config, &Arc::default()).await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://app.example", true),
        ("https://friend.example", true),
        ("https://evil.example", false),
        ("http://friend.example", false),
        ("null", false),
    ] {
        for request in [polling(&[("origin", origin)]), websocket(&[("origin", origin)])] {
            let what = format!("{origin} {}", request.uri());
            let response = service.http(request).await;
            let named = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
            match allowed {
                true => {
                    assert!([StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS].contains(&response.status()), "{what}");
                    assert_eq!(named.unwrap(), origin, "{what}");
                }
                false => {
                    assert_eq!(response.status(), StatusCode::FORBIDDEN, "{what}");
                    assert_eq!(named, None, "{what}");
                    assert!(text(response).await.contains("\"forbidden\""), "{what}");
                }
            }
        }
    }
    // Without an origin no browser's script is behind it; a foreign page's image is.
    assert_eq!(service.http(polling(&[])).await.status(), StatusCode::OK);
    assert_eq!(service.http(polling(&[("sec-fetch-site", "cross-site")])).await.status(), StatusCode::FORBIDDEN);
    // Preflights.
    for (origin, status) in
        [("https://friend.example", StatusCode::NO_CONTENT), ("https://evil.example", StatusCode::FORBIDDEN)]
    {
        let mut request = polling(&[("origin", origin), ("access-control-request-method", "POST")]);
        *request.method_mut() = Method::OPTIONS;
        let response = service.http(request).await;
        assert_eq!(response.status(), status);
        assert_eq!(
            response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_METHODS),
            status == StatusCode::NO_CONTENT
        );
    }
    let refused = service.client().header("origin", "https://evil.example").connect("/open").await.unwrap_err();
    assert_eq!(refused.code(), "forbidden");
}

#[tokio::test]
async fn r14_connections_are_limited_in_all_and_per_address() {
    let mut config = Config::default();
    config.limits.connections = 3;
    config.limits.connections_per_address = 2;
    config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let service = service(config, &Arc::default()).await;
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let first = service.connect("/open").await.unwrap();
    let _second = service.connect("/open").await.unwrap();
    let refused = service.connect("/open").await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Refused { code, message } if code == "overloaded" && message.contains("limits.connections_per_address")),
        "{refused}"
    );
    // Behind a proxy that is trusted, it is the address that the proxy tells; what others write does not count.
    let behind = |proxy: &str, told: &str| service.client().address(address(proxy)).header("x-forwarded-for", told);
    let _third = behind("10.1.1.1", "127.0.0.1, 203.0.113.9").connect("/open").await.unwrap();
    let full = behind("198.51.100.1", "203.0.113.7").connect("/open").await.unwrap_err();
    assert!(full.to_string().contains("limits.connections)"), "{full}");
    assert_eq!(service.http(polling(&[])).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // A place is free again when its holder has gone.
    drop(first);
    carolina_sockets_tests::until("a place is free", || service.sockets().connections() < 3).await;
    let via_proxy = behind("10.1.1.1", "127.0.0.1").connect("/open").await;
    via_proxy.expect("one of two places of 127.0.0.1 is free");
}

#[tokio::test]
async fn r14_events_per_second_are_limited_per_connection() {
    let mut config = Config::default();
    config.limits.events_per_second = 5;
    let service = service(config, &Arc::default()).await;
    let mut client = service.connect("/open").await.unwrap();
    let mut other = service.connect("/open").await.unwrap();
    let mut limited = 0;
    for number in 0..20 {
        match client.request::<u32>("echo", number).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), "rate_limited");
                assert!(error.details().unwrap()["retry_after_ms"].as_u64().unwrap() <= 1_000);
                limited += 1;
            }
        }
    }
    assert!((10..=15).contains(&limited), "{limited}");
    assert_eq!(other.request::<u8>("echo", 1).await.unwrap(), 1);
    tokio::time::timeout(Duration::from_secs(5), async { while client.request::<u8>("echo", 1).await.is_err() {} })
        .await
        .unwrap();
}

#[tokio::test]
async fn r14_payloads_and_attachments_are_limited() {
    let mut config = Config::default();
    config.limits.max_payload = 2_000;
    config.limits.max_attachments = 2;
    let service = service(config, &Arc::default()).await;
    let bytes = |length: usize| bytes::Bytes::from(vec![1; length]);
    let mut client = service.connect("/open").await.unwrap();
    client.request::<serde_json::Value>("echo", "x".repeat(1_500)).await.unwrap();
    assert_eq!(client.request::<usize>("binary", vec![bytes(10), bytes(10)]).await.unwrap(), 2);
    client.emit("binary", vec![bytes(10), bytes(10), bytes(10)]).await.unwrap();
    client.expect_disconnect().await.unwrap();
    let mut client = service.connect("/open").await.unwrap();
    client.emit("binary", vec![bytes(1_500), bytes(1_500)]).await.unwrap();
    client.expect_disconnect().await.unwrap();
    let mut client = service.connect("/open").await.unwrap();
    client.emit("echo", "x".repeat(3_000)).await.unwrap();
    client.expect_disconnect().await.unwrap();
    service.connect("/open").await.unwrap().request::<u8>("echo", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_cross_site_page_cannot_connect() {
    // The same program twice, at two addresses that are two sites to a browser.
    let application = Node::alone();
    let other = Node::alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    let other = other.url().replace("127.0.0.1", "localhost");
    let ran = tokio::process::Command::new("node")
        .args(["cross-site.mjs", &application.url(), &other])
        .current_dir(folder)
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(Duration::from_secs(120), ran).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}\n{err}");
}
