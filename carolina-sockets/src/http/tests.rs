use std::collections::HashMap;

use axum::{Router, body::Body, routing::get};
use tower_sessions::{SessionStore, session::Record};

use super::*;
use crate::{config::Config, identity::SharedStore};

const OLD: &str = "an old secret that has been in use for years";
const NEW: &str = "a new secret that nobody has seen up to now!";
const TTL: i64 = 1000;

struct App {
    app: SessionService<Router>,
    store: Arc<NotifyingStore>,
}

async fn log_in(session: Session) {
    session.cycle_id().await.unwrap();
    session.insert("user_id", 7).await.unwrap();
}

async fn whoami(session: Session) -> String {
    format!("{:?}", session.get::<u64>("user_id").await.unwrap())
}

fn routes() -> Router {
    Router::new()
        .route("/static", get(|| async { "nothing about sessions" }))
        .route("/whoami", get(whoami))
        .route("/login", get(log_in))
        .route("/logout", get(|session: Session| async move { session.flush().await.unwrap() }))
        .route(
            "/brief",
            get(|session: Session| async move {
                log_in(session.clone()).await;
                session.set_expiry(Some(Expiry::OnInactivity(Duration::seconds(60))));
            }),
        )
        .route(
            "/browser",
            get(|session: Session| async move {
                log_in(session.clone()).await;
                session.set_expiry(Some(Expiry::OnSessionEnd));
            }),
        )
        .route(
            "/fails",
            get(|session: Session| async move {
                session.insert("user_id", 8).await.unwrap();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
}

impl App {
    fn new(secrets: &[&str]) -> Self {
        Self::of(SharedStore::new(tower_sessions::MemoryStore::default()), secrets, None)
    }

    fn of(store: SharedStore, secrets: &[&str], secure: Option<bool>) -> Self {
        let ttl = std::time::Duration::from_secs(TTL as u64);
        Self::over(Arc::new(NotifyingStore::new(store, ttl)), secrets, secure)
    }

    fn over(store: Arc<NotifyingStore>, secrets: &[&str], secure: Option<bool>) -> Self {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let keys = Arc::new(CookieKeys::new("sid", &secrets));
        let mut config = Config::default();
        config.session.secure = secure;
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        Self { app: SessionLayer::new(store.clone(), keys, &config).layer(routes()), store }
    }

    async fn send(&mut self, request: Request<Body>) -> (StatusCode, Option<String>, String) {
        let response = self.app.call(request).await.unwrap();
        let mut lines =
            response.headers().get_all(SET_COOKIE).into_iter().map(|line| line.to_str().unwrap().to_owned());
        let (status, cookie) = (response.status(), lines.next());
        // The marker comes and goes with the session's cookie, and is the only other one.
        let marker = lines.next();
        assert_eq!(cookie.is_some(), marker.as_ref().is_some_and(|line| line.starts_with("sid.marker=")), "{marker:?}");
        assert_eq!(lines.next(), None);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, cookie, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The line that sets a cookie, if any, and the body.
    async fn get(&mut self, path: &str, cookie: &str) -> (Option<String>, String) {
        let request = Request::get(path).header("cookie", format!("other=1; {cookie}")).body(Body::empty()).unwrap();
        let (_, cookie, body) = self.send(request).await;
        (cookie, body)
    }

    async fn logged_in(&mut self, path: &str) -> String {
        pair(&self.get(path, "").await.0.unwrap())
    }
}

/// `name=value` of a line that sets a cookie.
fn pair(line: &str) -> String {
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn r10_a_session_begins_with_what_a_handler_puts_into_it() {
    let mut app = App::new(&[NEW]);
    assert_eq!(app.get("/whoami", "").await, (None, "None".into()));
    let line = app.get("/login", "").await.0.unwrap();
    for part in ["sid=", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=1000"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("Secure") && !line.contains("Domain"), "{line}");
    assert_eq!(app.get("/whoami", &pair(&line)).await, (None, "Some(7)".into()));
}

#[tokio::test]
async fn r11_a_log_out_removes_the_cookie_and_the_old_one_is_worth_nothing() {
    let mut app = App::new(&[NEW]);
    let cookie = app.logged_in("/login").await;
    let line = app.get("/logout", &cookie).await.0.unwrap();
    assert!(line.starts_with("sid=;") && line.contains("Max-Age=0") && line.contains("Path=/"), "{line}");
    let (line, body) = app.get("/whoami", &cookie).await;
    assert_eq!(body, "None");
    assert!(line.unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn r11_a_marker_tells_scripts_of_a_log_in() {
    let mut app = App::new(&[NEW]);
    let mut markers = async |path: &str, cookie: &str| {
        let request = Request::get(path).header("cookie", cookie).body(Body::empty()).unwrap();
        let response = app.app.call(request).await.unwrap();
        let lines = response.headers().get_all(SET_COOKIE).into_iter().map(|line| line.to_str().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    let set = markers("/login", "").await;
    let value = pair(&set[1]);
    assert!(value.starts_with("sid.marker=") && !value.ends_with('.'), "{value}");
    assert!(
        !set[1].contains("HttpOnly") && set[1].contains("; Path=/") && set[1].contains("; Max-Age=1000"),
        "{set:?}"
    );
    let again = markers("/login", &pair(&set[0])).await;
    assert_ne!(pair(&again[1]), value);
    let removed = markers("/logout", &pair(&again[0])).await;
    assert!(removed[1].starts_with("sid.marker=;") && removed[1].contains("Max-Age=0"), "{removed:?}");

    let mut config = Config::default();
    config.session.marker = false;
    let keys = Arc::new(CookieKeys::new("sid", &[NEW.to_owned()]));
    let mut app = SessionLayer::new(app.store, keys, &config).layer(routes());
    let response = app.call(Request::get("/login").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers().get_all(SET_COOKIE).into_iter().count(), 1);
}

#[tokio::test]
async fn r10_a_log_in_renews_the_id() {
    let mut app = App::new(&[NEW]);
    let before = app.logged_in("/login").await;
    let after = pair(&app.get("/login", &before).await.0.unwrap());
    assert_eq!(app.get("/whoami", &before).await.1, "None");
    assert_eq!(app.get("/whoami", &after).await.1, "Some(7)");
}

#[tokio::test]
async fn r10_keys_rotate_without_logging_anybody_out() {
    let mut old = App::new(&[OLD]);
    let cookie = old.logged_in("/login").await;
    let mut both = App::over(old.store.clone(), &[NEW, OLD], None);
    // An answer that has nothing to do with sessions may be cached, and carries no cookie.
    assert_eq!(both.get("/static", &cookie).await.0, None);
    let (line, body) = both.get("/whoami", &cookie).await;
    assert_eq!(body, "Some(7)");
    let fresh = line.unwrap();
    let mut new = App::over(old.store.clone(), &[NEW], None);
    assert_eq!(new.get("/whoami", &pair(&fresh)).await, (None, "Some(7)".into()));
    assert_eq!(new.get("/whoami", &cookie).await, (None, "None".into()));
}

#[tokio::test]
async fn r15_forged_cookies_are_no_session_and_break_nothing() {
    let mut app = App::new(&[NEW]);
    let cookie = app.logged_in("/login").await;
    for forged in
        ["sid=", "sid=x", "sid=%", &cookie[..30], &format!("sid={}", "A".repeat(5000)), "sid", ";;;=", "sid=\u{fc}"]
    {
        assert_eq!(app.get("/whoami", forged).await, (None, "None".into()), "{forged:.50}");
    }
    // Nor does another application's cookie hide this one.
    assert_eq!(app.get("/whoami", &format!("theirs=caf\u{e9}; %ff=%ff; {cookie}")).await.1, "Some(7)");
    let fresh = app.get("/login", "sid=forged").await.0.unwrap();
    assert_eq!(app.get("/whoami", &pair(&fresh)).await.1, "Some(7)");
}

#[tokio::test]
async fn r11_a_session_in_use_is_prolonged_when_a_tenth_is_over() {
    let mut app = App::new(&[NEW]);
    let cookie = app.logged_in("/login").await;
    let id = match app.app.settings.keys.open(cookie.strip_prefix("sid=").unwrap()) {
        Some(opened) => opened.id,
        None => panic!("the cookie does not open"),
    };
    let set = async |store: &NotifyingStore, seconds: i64| {
        let record = store.load(&id).await.unwrap().unwrap();
        let ends = OffsetDateTime::now_utc() + Duration::seconds(seconds);
        // Past what dates records, as time does it.
        store.backdate(&Record { expiry_date: ends, ..record }).await;
    };
    set(&app.store, 950).await;
    assert_eq!(app.get("/whoami", &cookie).await, (None, "Some(7)".into()));
    set(&app.store, 800).await;
    assert_eq!(app.get("/static", &cookie).await.0, None);
    let line = app.get("/whoami", &cookie).await.0.unwrap();
    assert!(line.contains("Max-Age=1000"), "{line}");
    let ends = app.store.load(&id).await.unwrap().unwrap().expiry_date;
    assert!(ends > OffsetDateTime::now_utc() + Duration::seconds(TTL - 50));
    set(&app.store, -1).await;
    assert_eq!(app.get("/whoami", &cookie).await.1, "None");
}

#[tokio::test]
async fn r11_a_session_keeps_a_lifetime_of_its_own() {
    let mut app = App::new(&[NEW]);
    let line = app.get("/brief", "").await.0.unwrap();
    assert!(line.contains("Max-Age=60"), "{line}");
    let again = app.get("/login", &pair(&line)).await.0.unwrap();
    assert!(again.contains("Max-Age=60"), "{again}");
    let line = app.get("/browser", "").await.0.unwrap();
    assert!(!line.contains("Max-Age"), "{line}");
    let again = app.get("/login", &pair(&line)).await.0.unwrap();
    assert!(!again.contains("Max-Age"), "{again}");
}

#[tokio::test]
async fn r14_the_cookie_is_for_tls_when_the_request_came_by_it_or_the_configuration_says_so() {
    let request = |from: &str| {
        let from: std::net::SocketAddr = from.parse().unwrap();
        let request = Request::get("/login").header("x-forwarded-proto", "https");
        request.extension(axum::extract::ConnectInfo(from)).body(Body::empty()).unwrap()
    };
    let cases = [
        (None, "10.0.0.1:1", true),
        (None, "198.51.100.1:1", false),
        (Some(true), "198.51.100.1:1", true),
        (Some(false), "10.0.0.1:1", false),
    ];
    for (secure, from, expected) in cases {
        let mut app = App::of(SharedStore::new(tower_sessions::MemoryStore::default()), &[NEW], secure);
        let line = app.send(request(from)).await.1.unwrap();
        assert_eq!(line.contains("; Secure"), expected, "{secure:?} {from}: {line}");
    }
}

#[tokio::test]
async fn r14_the_cookie_is_for_tls_when_the_server_ends_tls_itself() {
    let mut app = App::new(&[NEW]);
    let request = |uri: &str| {
        let from: std::net::SocketAddr = "198.51.100.1:1".parse().unwrap();
        Request::get(uri).extension(axum::extract::ConnectInfo(from)).body(Body::empty()).unwrap()
    };
    let line = app.send(request("/login")).await.1.unwrap();
    assert!(!line.contains("; Secure"), "{line}");
    // HTTP/2 has the scheme in each request; of HTTP/1.1 the server that ends TLS says it.
    let line = app.send(request("https://app.example/login")).await.1.unwrap();
    assert!(line.contains("; Secure"), "{line}");
    let mut marked = request("/login");
    marked.extensions_mut().insert(OverTls);
    let line = app.send(marked).await.1.unwrap();
    assert!(line.contains("; Secure"), "{line}");
}

#[tokio::test]
async fn r14_the_cookie_goes_where_the_configuration_says() {
    let (store, keys) = (App::new(&[NEW]).store, Arc::new(CookieKeys::new("sid", &[NEW.to_owned()])));
    for (same_site, expected) in [
        (SameSite::Strict, "; SameSite=Strict"),
        (SameSite::Lax, "; SameSite=Lax"),
        (SameSite::None, "; SameSite=None"),
    ] {
        let mut config = Config::default();
        config.session.same_site = same_site;
        config.session.secure = Some(true);
        config.session.domain = Some("example.com".to_owned());
        config.session.path = "/socket.io".to_owned();
        let app = SessionLayer::new(store.clone(), keys.clone(), &config).layer(routes());
        let mut app = App { app, store: store.clone() };
        let set = app.get("/login", "").await.0.unwrap();
        // A browser removes only what has the same domain and path.
        let removed = app.get("/logout", &pair(&set)).await.0.unwrap();
        for line in [set, removed] {
            for part in [expected, "; Secure", "; HttpOnly", "; Domain=example.com", "; Path=/socket.io"] {
                assert!(line.contains(part), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn r11_a_server_error_drops_changes() {
    let mut app = App::new(&[NEW]);
    let cookie = app.logged_in("/login").await;
    assert_eq!(app.get("/fails", &cookie).await.0, None);
    assert_eq!(app.get("/whoami", &cookie).await.1, "Some(7)");
}

/// Reads, and cannot write.
#[derive(Debug)]
struct Full;

#[async_trait::async_trait]
impl SessionStore for Full {
    async fn save(&self, _: &Record) -> tower_sessions::session_store::Result<()> {
        Err(tower_sessions::session_store::Error::Backend("the disk is full".into()))
    }

    async fn load(&self, id: &Id) -> tower_sessions::session_store::Result<Option<Record>> {
        let expiry_date = OffsetDateTime::now_utc() + Duration::seconds(10);
        Ok(Some(Record { id: *id, data: HashMap::from([("user_id".into(), 7.into())]), expiry_date }))
    }

    async fn delete(&self, _: &Id) -> tower_sessions::session_store::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn r11_a_log_in_that_cannot_be_saved_fails_and_one_that_can_be_read_holds() {
    let mut app = App::of(SharedStore::new(Full), &[NEW], None);
    let request = Request::get("/login").body(Body::empty()).unwrap();
    let (status, cookie, body) = app.send(request).await;
    assert_eq!((status, cookie, body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, None, ""));
    // It is due to be prolonged, which fails; the answer is good all the same.
    let cookie = format!("sid={}", app.app.settings.keys.seal(Id(7)));
    assert_eq!(app.get("/whoami", &cookie).await, (None, "Some(7)".into()));
}
