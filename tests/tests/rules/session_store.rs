//! R13: a session store that fails, and what is said of it and of its sessions.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use carolina_sockets::identity::async_trait;
use carolina_sockets_tests::Log;
use tower_sessions::{
    MemoryStore, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result as StoreResult},
};

use crate::lobby::{COOKIE, MANY, join, log_in, service_over, visit, whoami};

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
    assert_eq!(whoami(&mut late).await, None);
    let text = log.text();
    assert!(text.contains("the session store failed"), "{text}");
    let ids = seen.lock().unwrap().iter().flat_map(|id| [id.to_string(), id.0.to_string()]).collect::<Vec<_>>();
    assert!(!ids.is_empty());
    for secret in ids.into_iter().chain([planted, cookie]) {
        let line = text.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a secret is in the log");
    }
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
