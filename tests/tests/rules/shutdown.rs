//! The end of a service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use carolina_sockets::{Config, Data, DisconnectReason, State, channel, on, testing::TestService};
use carolina_sockets_tests::{by_hand, engine_io::Polling, nodes, start};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{sync::Notify, time::sleep};

#[derive(Default)]
struct Work {
    begun: Notify,
    go_on: Notify,
    done: AtomicBool,
    left: AtomicBool,
}

#[channel]
struct Workshop {
    work: State<Arc<Work>>,
}

#[channel]
impl Workshop {
    #[on(init)]
    fn new(work: State<Arc<Work>>) -> Self {
        Self { work }
    }

    #[on("work")]
    async fn work(&self) {
        self.work.begun.notify_one();
        self.work.go_on.notified().await;
        self.work.done.store(true, SeqCst);
    }

    #[on("echo", concurrent)]
    fn echo(&self, Data(number): Data<u8>) -> u8 {
        number
    }

    #[on(disconnect)]
    fn disconnect(&self, _: DisconnectReason) {
        self.work.left.store(true, SeqCst);
    }
}

#[tokio::test]
async fn r8_shutdown_lets_running_handlers_finish_and_refuses_the_rest() {
    let work = Arc::<Work>::default();
    let service = start(by_hand().mount::<Workshop>("/workshop").state(work.clone())).await;
    let mut client = service.connect("/workshop").await.unwrap();
    let running = client.send_request("work", ()).unwrap();
    work.begun.notified().await;
    let sockets = service.sockets().clone();
    let shutdown = tokio::spawn(async move { sockets.shutdown().await });
    // It has begun when nobody is let in any more.
    while service.connect("/workshop").await.is_ok() {}
    // While it waits for the handler, it refuses events, and nobody is disconnected yet.
    assert_eq!(client.request::<u8>("echo", 1).await.unwrap_err().code(), "shutting_down");
    assert!(!shutdown.is_finished());
    work.go_on.notify_one();
    shutdown.await.unwrap();
    assert!(work.done.load(SeqCst));
    client.answer::<()>(running).await.unwrap();
    let closed: serde_json::Value = client.expect("carolina:closed").await.unwrap();
    assert_eq!(closed["code"], "shutting_down", "{closed}");
    client.expect_disconnect().await.unwrap();
    assert!(work.left.load(SeqCst), "the disconnect handler has run");
}

/// A service with a port that closes its clients so long after it was asked to, and over such a time.
async fn draining(work: &Arc<Work>, delay: Duration, over: Duration) -> TestService {
    let mut config = Config::default();
    (config.drain.delay, config.drain.over) = (delay, over);
    let builder = by_hand().config(config).mount::<Workshop>("/workshop").state(work.clone());
    start(builder).await.listen().await.unwrap()
}

async fn get(service: &TestService, path: &'static str) -> (u16, Value) {
    let port = service.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let response = tokio::task::spawn_blocking(move || nodes::http(port, "GET", path, None, None)).await.unwrap();
    (response.status, serde_json::from_str(&response.body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_a_service_says_whether_it_takes_clients() {
    let service = draining(&Arc::default(), Duration::from_secs(2), Duration::ZERO).await;
    assert_eq!(get(&service, "/live").await, (200, json!({ "status": "live" })));
    assert_eq!(get(&service, "/ready").await, (200, json!({ "status": "ready" })));
    assert!(service.sockets().is_ready().await);
    let sockets = service.sockets().clone();
    let shutdown = tokio::spawn(async move { sockets.shutdown().await });
    while service.sockets().is_ready().await {
        tokio::task::yield_now().await;
    }
    // It is told before anybody is refused.
    let mut client = service.connect("/workshop").await.expect("clients are taken during drain.delay");
    let reasons = json!({ "status": "not ready", "reasons": ["the server is shutting down"] });
    assert_eq!(get(&service, "/ready").await, (503, reasons));
    assert_eq!(get(&service, "/live").await.0, 200);
    assert_eq!(client.request::<u8>("echo", 1).await.unwrap(), 1);
    shutdown.await.unwrap();
    assert_eq!(client.expect::<Value>("carolina:closed").await.unwrap()["code"], "shutting_down");
    assert!(service.connect("/workshop").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_health_has_paths_of_its_own_or_none() {
    let own = axum::Router::new().route("/live", axum::routing::get(async || "{\"of\": \"the application\"}"));
    for (health, path, expected) in [
        ("health = false", "/live", (200, json!({ "of": "the application" }))),
        ("health = false", "/ready", (404, Value::Null)),
        ("health = { live = \"/up\" }", "/live", (200, json!({ "of": "the application" }))),
        ("health = { live = \"/up\" }", "/up", (200, json!({ "status": "live" }))),
    ] {
        let config = Config::from_toml(health, "test").unwrap();
        let service = start(by_hand().config(config)).await.router(own.clone()).listen().await.unwrap();
        assert_eq!(get(&service, path).await, expected, "{health} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_clients_are_closed_one_after_another_and_no_handler_is_cut() {
    let work = Arc::<Work>::default();
    let over = Duration::from_secs(2);
    let service = draining(&work, Duration::ZERO, over).await;
    let mut busy = service.connect("/workshop").await.unwrap();
    let running = busy.send_request("work", ()).unwrap();
    work.begun.notified().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(service.connect("/workshop").await.unwrap());
    }
    let sockets = service.sockets().clone();
    let began = Instant::now();
    let shutdown = tokio::spawn(async move { sockets.shutdown().await });
    let closing = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let told: Value = client.expect("carolina:closed").await.unwrap();
            let at = began.elapsed();
            assert_eq!(told["code"], "shutting_down");
            client.expect_disconnect().await.unwrap();
            at
        })
    });
    let mut closed = Vec::new();
    for one in closing.collect::<Vec<_>>() {
        closed.push(one.await.unwrap());
    }
    closed.sort();
    // One tenth of them in each tenth of the time, more or less.
    assert!(closed[0] < over / 4 && closed[19] > over * 3 / 4, "{closed:?}");
    assert!(closed.windows(2).all(|two| two[1] - two[0] < over / 4), "{closed:?}");
    assert!(!shutdown.is_finished(), "a handler is still running");
    // Its client is told that it is about to be closed by the refusal of what it sends.
    assert_eq!(busy.request::<u8>("echo", 1).await.unwrap_err().code(), "shutting_down");
    work.go_on.notify_one();
    busy.answer::<()>(running).await.unwrap();
    let told: Value = busy.expect("carolina:closed").await.unwrap();
    assert_eq!(told["code"], "shutting_down");
    busy.expect_disconnect().await.unwrap();
    shutdown.await.unwrap();
    assert!(work.left.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_new_clients_are_refused_while_the_others_go_on() {
    let service = draining(&Arc::default(), Duration::ZERO, Duration::from_secs(3)).await;
    let mut clients = [service.connect("/workshop").await.unwrap(), service.connect("/workshop").await.unwrap()];
    let sockets = service.sockets().clone();
    let shutdown = tokio::spawn(async move { sockets.shutdown().await });
    while service.connect("/workshop").await.is_ok() {}
    let (status, body) = get(&service, "/socket.io/?EIO=4&transport=polling").await;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE.as_u16(), &json!("shutting_down")));
    let mut answered = 0;
    for client in &mut clients {
        answered += usize::from(client.request::<u8>("echo", 1).await.is_ok());
    }
    assert!(answered > 0, "the second one's turn is later");
    shutdown.await.unwrap();
}

#[tokio::test]
async fn r25_a_session_store_that_is_away_makes_it_not_ready() {
    use tower_sessions::{
        SessionStore,
        session::{Id, Record},
        session_store::{Error, Result},
    };

    /// A store that is away when it is told to be.
    #[derive(Debug, Clone, Default)]
    struct Away(Arc<AtomicBool>);

    #[carolina_sockets::identity::async_trait]
    impl SessionStore for Away {
        async fn save(&self, _: &Record) -> Result<()> {
            Ok(())
        }
        async fn load(&self, _: &Id) -> Result<Option<Record>> {
            if self.0.load(SeqCst) { Err(Error::Backend("away".to_owned())) } else { Ok(None) }
        }
        async fn delete(&self, _: &Id) -> Result<()> {
            Ok(())
        }
    }

    for (requires, ready) in [("[\"session\"]", false), ("[\"backplane\"]", true)] {
        let away = Away::default();
        let config = Config::from_toml(&format!("health = {{ requires = {requires} }}"), "test").unwrap();
        let service = start(by_hand().config(config).session_store(away.clone())).await;
        assert!(service.sockets().is_ready().await);
        away.0.store(true, SeqCst);
        // An answer counts for a second.
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(service.sockets().is_ready().await, ready, "{requires}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_polling_clients_are_told_of_the_shutdown_before_the_connection_closes() {
    let work = Arc::<Work>::default();
    // The service is asked to end, or its server is; a poll waits for it, or comes when all has been written.
    for (by_server, is_waiting) in [(false, true), (false, false), (true, true)] {
        let service = start(by_hand().mount::<Workshop>("/workshop").state(work.clone())).await.listen().await.unwrap();
        let mut client = Polling::open(&service.url()).await;
        client.post("40/workshop,").await;
        client.expect("40/workshop,").await;
        let sockets = service.sockets().clone();
        let mut service = Some(service);
        let ((status, body), ()) = tokio::join!(
            async {
                if !is_waiting {
                    sleep(Duration::from_millis(300)).await;
                }
                client.fetch().await
            },
            async {
                if is_waiting {
                    sleep(Duration::from_millis(100)).await;
                }
                if by_server { drop(service.take()) } else { sockets.shutdown().await }
            }
        );
        assert_eq!(status, 200, "{body}");
        // Official clients drop an event that comes together with the end.
        assert!(body.starts_with("42/workshop,[\"carolina:closed\",{\"code\":\"shutting_down\""), "{body}");
        assert!(!body.contains('\x1e'), "{body}");
        if !by_server && !is_waiting {
            assert_eq!(client.fetch().await, (200, "1".to_owned()));
        }
    }
}
