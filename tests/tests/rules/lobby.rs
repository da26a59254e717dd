//! The service that sessions are tested with: a channel for everybody, one for users, and routes to log in and out.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Query, routing::get};
use carolina_sockets::{
    http::Session,
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{by_hand, start};
use tower_sessions::{Expiry, MemoryStore, SessionStore};

pub(crate) const COOKIE: &str = "carolina.sid";

/// How many further lobbies there are, at `/lobby/0` and so on.
pub(crate) const MANY: usize = 50;

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
pub(crate) type Departure = (Option<String>, Option<String>, DisconnectReason);

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

pub(crate) async fn service_over(store: impl SessionStore) -> TestService {
    service_telling(store, None).await
}

pub(crate) async fn service_telling(store: impl SessionStore, left: Option<Arc<Mutex<Vec<Departure>>>>) -> TestService {
    let mut config = carolina_sockets::Config::default();
    config.limits.events_per_second = 10_000;
    let builder = by_hand().mount::<Lobby>("/lobby").mount::<Members>("/members").session_store(store).state(left);
    let mut builder = builder.config(config);
    for number in 0..MANY {
        builder = builder.mount::<Lobby>(format!("/lobby/{number}"));
    }
    start(builder).await.router(routes())
}

pub(crate) async fn service() -> TestService {
    service_over(MemoryStore::default()).await
}

/// Sends a request with a session cookie's value, if any; returns the value that the answer sets.
pub(crate) async fn visit(service: &TestService, path: &str, cookie: Option<&str>) -> Option<String> {
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

pub(crate) async fn log_in(service: &TestService, user: &str) -> String {
    visit(service, &format!("/login?user={user}"), None).await.unwrap()
}

pub(crate) async fn join(service: &TestService, channel: &str, cookie: &str) -> Client {
    service.client().cookie(COOKIE, cookie).connect(channel).await.unwrap()
}

pub(crate) async fn whoami(client: &mut Client) -> Option<String> {
    client.request("whoami", ()).await.unwrap()
}
