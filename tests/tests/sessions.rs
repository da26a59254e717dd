//! Sessions and the sockets that belong to them: rules R10 to R13.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Query, routing::get};
use carolina_sockets::{
    http::Session,
    identity::async_trait,
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{DEADLINE, Log, by_hand};
use tower_sessions::{
    Expiry, MemoryStore, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result as StoreResult},
};

const COOKIE: &str = "carolina.sid";

/// How many further lobbies there are, at `/lobby/0` and so on.
const MANY: usize = 50;

#[channel("/lobby")]
#[derive(Default)]
struct Lobby;

#[channel]
impl Lobby {
    #[on("whoami")]
    fn whoami(user: Option<User>) -> Option<String> {
        user.map(|user| user.id().to_owned())
    }

    #[on("notes")]
    async fn notes(session: Session) -> Result<Option<String>, EventError> {
        Ok(session.get("notes").await?)
    }

    #[on("become")]
    async fn become_user(session: Session, Data(user): Data<String>) -> Result<(), EventError> {
        session.insert("user_id", user).await?;
        Ok(session.save().await?)
    }
}

#[channel("/members", private)]
#[derive(Default)]
struct Members {
    left: Arc<Mutex<Vec<Departure>>>,
}

/// Who has left, and why.
type Departure = (Option<String>, Option<String>, DisconnectReason);

#[channel]
impl Members {
    #[on(init)]
    fn new(left: State<Option<Arc<Mutex<Vec<Departure>>>>>) -> Self {
        Self { left: (*left).clone().unwrap_or_default() }
    }

    #[on(disconnect)]
    fn disconnect(&self, socket: Socket, user: Option<User>, reason: DisconnectReason) {
        let user = user.map(|user| user.id().to_owned());
        self.left.lock().unwrap().push((user, socket.user_id(), reason));
    }

    #[on("whoami")]
    fn whoami(user: User) -> String {
        user.id().to_owned()
    }
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

fn routes() -> Router {
    let become_user = async |session: &Session, user: &str| session.insert("user_id", user).await.unwrap();
    Router::new()
        .route("/visit", get(|session: Session| async move { session.insert("notes", "seen").await.unwrap() }))
        .route(
            "/login",
            get(move |session: Session, login: Query<Login>| async move {
                session.cycle_id().await.unwrap();
                become_user(&session, &login.user).await;
            }),
        )
        .route(
            "/become",
            get(move |session: Session, login: Query<Login>| async move { become_user(&session, &login.user).await }),
        )
        .route(
            "/brief",
            get(move |session: Session| async move {
                become_user(&session, "brief").await;
                session.set_expiry(Some(Expiry::OnInactivity(Duration::from_secs(1).try_into().unwrap())));
            }),
        )
        .route("/user", get(|session: Session| async move { session.get::<String>("user_id").await.unwrap().unwrap() }))
        .route("/logout", get(|session: Session| async move { session.flush().await.unwrap() }))
}

async fn service_over(store: impl SessionStore) -> TestService {
    service_telling(store, None).await
}

async fn service_telling(store: impl SessionStore, left: Option<Arc<Mutex<Vec<Departure>>>>) -> TestService {
    let mut builder = by_hand().mount::<Lobby>("/lobby").mount::<Members>("/members").session_store(store).state(left);
    let mut config = carolina_sockets::Config::default();
    config.limits.events_per_second = 10_000;
    builder = builder.config(config);
    for number in 0..MANY {
        builder = builder.mount::<Lobby>(format!("/lobby/{number}"));
    }
    carolina_sockets_tests::start(builder).await.router(routes())
}

async fn service() -> TestService {
    service_over(MemoryStore::default()).await
}

/// Sends a request with a session cookie's value, if any; returns the value that the answer sets.
async fn visit(service: &TestService, path: &str, cookie: Option<&str>) -> Option<String> {
    let mut request = http::Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("{COOKIE}={cookie}"));
    }
    let response = service.http(request.body(Body::empty()).unwrap()).await;
    assert!(response.status().is_success(), "{path}: {}", response.status());
    let line = response.headers().get("set-cookie")?.to_str().unwrap().to_owned();
    let value = line.strip_prefix(&format!("{COOKIE}=")).unwrap().split(';').next().unwrap();
    Some(value.to_owned())
}

async fn log_in(service: &TestService, user: &str) -> String {
    visit(service, &format!("/login?user={user}"), None).await.unwrap()
}

async fn join(service: &TestService, channel: &str, cookie: &str) -> Client {
    service.client().cookie(COOKIE, cookie).connect(channel).await.unwrap()
}

async fn whoami(client: &mut Client) -> Option<String> {
    client.request("whoami", ()).await.unwrap()
}

/// Asks until the answer is the one that must come.
async fn becomes(client: &mut Client, user: Option<&str>) {
    let asked = tokio::time::timeout(DEADLINE, async {
        while whoami(client).await.as_deref() != user {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(asked.await.is_ok(), "did not become {user:?}");
}

#[tokio::test]
async fn r10_a_client_is_known_before_its_first_event_by_cookie_or_auth_and_at_any_time_by_the_event() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    assert_eq!(whoami(&mut join(&service, "/members", &cookie).await).await.as_deref(), Some("ada"));
    let auth = serde_json::json!({ "sessionId": cookie });
    let mut by_auth = service.client().auth(auth).connect("/members").await.unwrap();
    assert_eq!(whoami(&mut by_auth).await.as_deref(), Some("ada"));
    let mut late = service.connect("/lobby").await.unwrap();
    assert_eq!(whoami(&mut late).await, None);
    // What comes behind the event waits for it.
    late.emit("session_id", &cookie).await.unwrap();
    assert_eq!(whoami(&mut late).await.as_deref(), Some("ada"));
    let encoded: String = cookie.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(whoami(&mut join(&service, "/lobby", &encoded).await).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn r10_by_none_of_the_ways_in_anybody_becomes_somebody_else() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    let old = log_in(&service, "bob").await;
    visit(&service, "/logout", Some(&old)).await;
    let mut forged = cookie.clone();
    forged.replace_range(30..31, if &forged[30..31] == "A" { "B" } else { "A" });
    let long = "A".repeat(10_000);
    for value in [old.as_str(), &forged, &cookie[..40], "x", &long] {
        let mut by_cookie = join(&service, "/lobby", value).await;
        assert_eq!(whoami(&mut by_cookie).await, None, "{value:.80}");
        let auth = serde_json::json!({ "sessionId": value });
        let mut by_auth = service.client().auth(auth).connect("/lobby").await.unwrap();
        assert_eq!(whoami(&mut by_auth).await, None, "{value:.80}");
        let error = by_auth.request::<()>("session_id", value).await.unwrap_err();
        assert!(!error.to_string().contains(value), "{error:.200}");
        assert_eq!(whoami(&mut by_auth).await, None, "{value:.80}");
        assert!(service.client().cookie(COOKIE, value).connect("/members").await.is_err(), "{value:.80}");
    }
    let mut client = service.connect("/lobby").await.unwrap();
    for wrong in
        [serde_json::json!(7), serde_json::json!({ "id": 1 }), serde_json::json!(null), serde_json::json!([cookie])]
    {
        assert!(client.request::<()>("session_id", &wrong).await.is_err(), "{wrong}");
        let auth = serde_json::json!({ "sessionId": wrong });
        let mut by_auth = service.client().auth(auth).connect("/lobby").await.unwrap();
        assert_eq!(whoami(&mut by_auth).await, None, "{wrong}");
    }
    assert_eq!(whoami(&mut client).await, None);
}

#[tokio::test]
async fn r11_log_in_and_log_out_by_http_reach_open_sockets_before_the_answer() {
    let service = service().await;
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let (mut first, mut second) = (join(&service, "/lobby", &cookie).await, join(&service, "/lobby", &cookie).await);
    assert_eq!(whoami(&mut first).await, None);
    visit(&service, "/become?user=ada", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await.as_deref(), Some("ada"));
    assert_eq!(whoami(&mut second).await.as_deref(), Some("ada"));
    let mut members = join(&service, "/members", &cookie).await;
    service.sockets().channel("/lobby").unwrap().emit_to_user("ada", "news", 1).await.unwrap();
    assert_eq!(first.expect::<u8>("news").await.unwrap(), 1);
    assert_eq!(second.expect::<u8>("news").await.unwrap(), 1);
    visit(&service, "/become?user=bob", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await.as_deref(), Some("bob"));
    visit(&service, "/logout", Some(&cookie)).await;
    assert_eq!(whoami(&mut first).await, None);
    assert_eq!(whoami(&mut second).await, None);
    members.expect_disconnect().await.unwrap();
    for user in ["ada", "bob"] {
        service.sockets().channel("/lobby").unwrap().emit_to_user(user, "news", 2).await.unwrap();
    }
    first.expect_none("news").await.unwrap();
}

#[tokio::test]
async fn r11_a_renewed_session_cuts_every_socket_of_the_old_id_and_a_planted_cookie_gains_nothing() {
    let service = service().await;
    let planted = visit(&service, "/visit", None).await.unwrap();
    let mut victim = join(&service, "/lobby", &planted).await;
    // All of them come from the address of the request that logs in, as behind a proxy or NAT, or from another.
    let (same, elsewhere): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "203.0.113.7".parse().unwrap());
    let attacker = |address| service.client().address(address).cookie(COOKIE, &planted);
    let (mut near, mut far) =
        (attacker(same).connect("/lobby").await.unwrap(), attacker(elsewhere).connect("/lobby").await.unwrap());
    assert_eq!((whoami(&mut near).await, whoami(&mut far).await), (None, None));
    let renewed = visit(&service, "/login?user=ada", Some(&planted)).await.unwrap();
    assert_ne!(renewed, planted);
    for client in [&mut near, &mut far, &mut victim] {
        client.expect_disconnect().await.unwrap();
    }
    for address in [same, elsewhere] {
        assert_eq!(whoami(&mut attacker(address).connect("/lobby").await.unwrap()).await, None);
    }
    // The browser that logged in comes back with the cookie that it has now.
    let mut victim = join(&service, "/lobby", &renewed).await;
    assert_eq!(whoami(&mut victim).await.as_deref(), Some("ada"));
    // From here on the session is the new one.
    visit(&service, "/become?user=eve", Some(&planted)).await;
    assert_eq!(whoami(&mut victim).await.as_deref(), Some("ada"));
    visit(&service, "/logout", Some(&renewed)).await;
    assert_eq!(whoami(&mut victim).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r11_of_changes_at_once_the_last_one_holds() {
    let service = Arc::new(service().await);
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(join(&service, "/lobby", &cookie).await);
    }
    for round in 0..50 {
        let changes = (0..8).map(|number| {
            let (service, cookie) = (service.clone(), cookie.clone());
            let path = format!("/become?user={round}-{number}");
            tokio::spawn(async move { visit(&service, &path, Some(&cookie)).await })
        });
        futures_util::future::join_all(changes).await;
        // Read by HTTP, and so from the store.
        let request = http::Request::get("/user").header("cookie", format!("{COOKIE}={cookie}"));
        let response = service.http(request.body(Body::empty()).unwrap()).await;
        let stored = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        for client in &mut clients {
            assert_eq!(whoami(client).await.unwrap().as_bytes(), stored, "round {round}");
        }
    }
}

#[tokio::test]
async fn r11_a_session_that_expires_takes_its_user_along() {
    let service = service().await;
    let cookie = visit(&service, "/brief", None).await.unwrap();
    let mut client = join(&service, "/lobby", &cookie).await;
    let mut member = join(&service, "/members", &cookie).await;
    assert_eq!(whoami(&mut client).await.as_deref(), Some("brief"));
    becomes(&mut client, None).await;
    member.expect_disconnect().await.unwrap();
}

#[tokio::test]
async fn r11_handlers_read_the_session_as_it_is_now() {
    let service = service().await;
    let cookie = visit(&service, "/visit", None).await.unwrap();
    let mut client = join(&service, "/lobby", &cookie).await;
    assert_eq!(client.request::<Option<String>>("notes", ()).await.unwrap().as_deref(), Some("seen"));
    // A handler may change it, too; its own socket is among those that follow.
    let mut member = join(&service, "/lobby", &cookie).await;
    client.request::<()>("become", "ada").await.unwrap();
    assert_eq!(whoami(&mut client).await.as_deref(), Some("ada"));
    assert_eq!(whoami(&mut member).await.as_deref(), Some("ada"));
    let mut stranger = service.connect("/lobby").await.unwrap();
    assert_eq!(stranger.request::<()>("notes", ()).await.unwrap_err().code(), "unauthenticated");
}

/// A store that can be switched off, and remembers what it was asked for.
#[derive(Clone, Debug, Default)]
struct Switched {
    store: MemoryStore,
    off: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Id>>>,
}

impl Switched {
    fn check(&self, id: &Id) -> StoreResult<()> {
        self.seen.lock().unwrap().push(*id);
        match self.off.load(Ordering::Relaxed) {
            true => Err(Error::Backend(format!("no way to {id}"))),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl SessionStore for Switched {
    async fn create(&self, record: &mut Record) -> StoreResult<()> {
        self.check(&record.id)?;
        self.store.create(record).await
    }

    async fn save(&self, record: &Record) -> StoreResult<()> {
        self.check(&record.id)?;
        self.store.save(record).await
    }

    async fn load(&self, id: &Id) -> StoreResult<Option<Record>> {
        self.check(id)?;
        self.store.load(id).await
    }

    async fn delete(&self, id: &Id) -> StoreResult<()> {
        self.check(id)?;
        self.store.delete(id).await
    }
}

#[tokio::test]
async fn r11_who_left_is_known_after_a_log_out_and_why() {
    let left = Arc::<Mutex<Vec<Departure>>>::default();
    let service = service_telling(MemoryStore::default(), Some(left.clone())).await;
    let ended = async |expected: DisconnectReason, user: &str| {
        carolina_sockets_tests::until("the socket has left", || !left.lock().unwrap().is_empty()).await;
        let user = Some(user.to_owned());
        assert_eq!(std::mem::take(&mut *left.lock().unwrap()), [(user.clone(), user, expected)]);
    };
    // The session ends.
    let cookie = log_in(&service, "ada").await;
    let mut member = join(&service, "/members", &cookie).await;
    visit(&service, "/logout", Some(&cookie)).await;
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::LoggedOut, "ada").await;
    // It expires.
    let cookie = visit(&service, "/brief", None).await.unwrap();
    let mut member = join(&service, "/members", &cookie).await;
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::LoggedOut, "brief").await;
    // It goes on under another id.
    let cookie = log_in(&service, "bob").await;
    let mut member = join(&service, "/members", &cookie).await;
    visit(&service, "/login?user=eve", Some(&cookie)).await.unwrap();
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::SessionRenewed, "bob").await;
    // The server takes the user off, and a client leaves.
    let cookie = log_in(&service, "dan").await;
    let mut member = join(&service, "/members", &cookie).await;
    service.sockets().disconnect_user("dan").await.unwrap();
    member.expect_disconnect().await.unwrap();
    ended(DisconnectReason::ServerDisconnect, "dan").await;
    let member = join(&service, "/members", &cookie).await;
    member.leave();
    ended(DisconnectReason::ClientLeft, "dan").await;
}

#[tokio::test]
async fn r10_a_connection_that_joins_many_channels_reads_its_session_once() {
    let store = Switched::default();
    let seen = store.seen.clone();
    let service = service_over(store).await;
    let cookie = log_in(&service, "ada").await;
    let forged = format!("{COOKIE}=forged; ").repeat(3);
    let first = service.client().header("cookie", &format!("{forged}{COOKIE}={cookie}")).connect("/lobby").await;
    let first = first.unwrap();
    seen.lock().unwrap().clear();
    let joined = (0..MANY).map(|number| {
        let first = &first;
        async move { first.channel(&format!("/lobby/{number}")).await.unwrap() }
    });
    let mut joined = futures_util::future::join_all(joined).await;
    let reads = seen.lock().unwrap().len();
    // It is read again after some seconds, which a slow machine may need.
    assert!(reads <= 3, "{reads} reads");
    // All of them follow the session.
    visit(&service, "/become?user=bob", Some(&cookie)).await;
    for client in &mut joined {
        assert_eq!(whoami(client).await.as_deref(), Some("bob"));
    }
    // And whoever joins later is who the session says then.
    let mut late = first.channel("/members").await.unwrap();
    assert_eq!(whoami(&mut late).await.as_deref(), Some("bob"));
    visit(&service, "/logout", Some(&cookie)).await;
    assert!(first.channel("/members").await.is_err());
}

#[tokio::test]
async fn r10_a_cookie_in_quotes_is_read() {
    let service = service().await;
    let cookie = log_in(&service, "ada").await;
    assert!(cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{cookie}");
    // As it was written before.
    let padded = format!("{}=", cookie.replace('-', "+").replace('_', "/"));
    for value in [format!("\"{cookie}\""), format!("\"{padded}\""), padded] {
        assert_eq!(whoami(&mut join(&service, "/members", &value).await).await.as_deref(), Some("ada"), "{value}");
        assert_eq!(visit(&service, "/user", Some(&value)).await, None, "{value}");
    }
}

#[tokio::test]
async fn r13_a_store_that_fails_lets_nobody_in_and_the_service_goes_on() {
    let store = Switched::default();
    let off = store.off.clone();
    let service = service_over(store).await;
    let cookie = log_in(&service, "ada").await;
    let mut inside = join(&service, "/members", &cookie).await;
    off.store(true, Ordering::Relaxed);
    for channel in ["/lobby", "/members"] {
        let refused = service.client().cookie(COOKIE, &cookie).connect(channel).await.unwrap_err().to_string();
        assert!(refused.contains("internal") && !refused.contains("no way"), "{refused}");
    }
    let mut stranger = service.connect("/lobby").await.unwrap();
    assert_eq!(whoami(&mut stranger).await, None);
    let error = stranger.request::<()>("session_id", &cookie).await.unwrap_err();
    assert_eq!(error.code(), "internal", "{error}");
    assert_eq!(whoami(&mut inside).await.as_deref(), Some("ada"));
    off.store(false, Ordering::Relaxed);
    assert_eq!(whoami(&mut join(&service, "/members", &cookie).await).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn r11_session_ids_and_cookies_are_in_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    let store = Switched::default();
    let (seen, off) = (store.seen.clone(), store.off.clone());
    let service = service_over(store).await;
    let planted = visit(&service, "/visit", None).await.unwrap();
    let mut first = join(&service, "/lobby", &planted).await;
    let cookie = visit(&service, "/login?user=ada", Some(&planted)).await.unwrap();
    let mut late = service.connect("/lobby").await.unwrap();
    late.request::<()>("session_id", &cookie).await.unwrap();
    first.expect_disconnect().await.unwrap();
    let auth = serde_json::json!({ "sessionId": cookie });
    let member = service.client().auth(auth).connect("/members").await.unwrap();
    off.store(true, Ordering::Relaxed);
    let _ = late.request::<()>("session_id", &cookie).await;
    assert!(service.client().cookie(COOKIE, &cookie).connect("/lobby").await.is_err());
    off.store(false, Ordering::Relaxed);
    drop(member);
    visit(&service, "/logout", Some(&cookie)).await;
    becomes(&mut late, None).await;
    let text = log.text();
    assert!(text.contains("the session store failed"), "{text}");
    let ids = seen.lock().unwrap().iter().flat_map(|id| [id.to_string(), id.0.to_string()]).collect::<Vec<_>>();
    assert!(!ids.is_empty());
    for secret in ids.into_iter().chain([planted, cookie]) {
        let line = text.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}
