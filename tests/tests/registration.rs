//! R1 to R4: what is found, what is mounted, and what start-up refuses.

use carolina_sockets::{Config, Error, Sockets, prelude::*, testing::TestService};
use carolina_sockets_tests::{
    again, by_hand,
    servers::{Postgres, Redis},
    start,
};
use plugin_one as _;

#[channel("/declared")]
#[derive(Default)]
struct Declared {
    count: AtomicU64,
}

#[channel]
impl Declared {
    #[on("count")]
    fn count(&self) -> u64 {
        self.count.fetch_add(1, Relaxed)
    }

    #[cfg(miri)]
    #[on("compiled-out")]
    fn compiled_out(&self, nonsense: Nowhere) {}

    #[cfg(not(miri))]
    #[on("compiled-in")]
    fn compiled_in(&self) -> bool {
        true
    }
}

mod elsewhere {
    use super::Declared;
    use carolina_sockets::{channel, on};

    #[channel]
    impl Declared {
        #[on("elsewhere")]
        fn elsewhere() -> &'static str {
            "in another block"
        }
    }
}

#[channel]
#[derive(Default)]
struct Unmounted;

#[channel]
struct Stateful {
    greeting: State<Greeting>,
}

struct Greeting(&'static str);

#[channel]
impl Stateful {
    #[on(init)]
    async fn new(greeting: State<Greeting>, sockets: Sockets) -> Result<Self, EventError> {
        assert!(sockets.is_on());
        Ok(Self { greeting })
    }

    #[on("greet")]
    fn greet(&self, also: State<Greeting>) -> (&'static str, &'static str) {
        (self.greeting.0.0, also.0.0)
    }
}

#[channel]
struct Homeless {
    _built: (),
}

#[channel]
struct Failing;

#[channel]
impl Failing {
    #[on(init)]
    fn new() -> Result<Self, std::io::Error> {
        Err(std::io::Error::other("the disk is full"))
    }
}

async fn refused(builder: carolina_sockets::Builder) -> String {
    builder.build().await.map(|_| ()).expect_err("start-up must fail").to_string()
}

#[tokio::test]
async fn r1_every_linked_channel_is_found() {
    let service = start(Sockets::builder().config(Config::default())).await;
    let mut client = service.connect("/declared").await.unwrap();
    assert_eq!(client.request::<u64>("count", ()).await.unwrap(), 0);
    assert_eq!(client.request::<String>("elsewhere", ()).await.unwrap(), "in another block");
    assert!(client.request::<bool>("compiled-in", ()).await.unwrap());
    assert_eq!(client.request::<()>("compiled-out", ()).await.unwrap_err().code(), "unknown_event");
    // In a crate of its own.
    let mut plugin = service.connect("/plugin").await.unwrap();
    assert_eq!(plugin.request::<String>("ping", ()).await.unwrap(), "pong");
    assert!(service.sockets().channel("/unmounted").is_err());
    assert!(service.sockets().of::<Unmounted>().is_err());
    assert_eq!(service.sockets().of::<Declared>().unwrap().path(), "/declared");
}

#[tokio::test]
async fn r1_state_is_provided_or_start_up_fails() {
    let service = start(by_hand().mount::<Stateful>("/s").state(Greeting("hello"))).await;
    let mut client = service.connect("/s").await.unwrap();
    assert_eq!(client.request::<(String, String)>("greet", ()).await.unwrap(), ("hello".into(), "hello".into()));
    let error = refused(by_hand().mount::<Stateful>("/s")).await;
    assert!(error.contains("registration.rs:") && error.contains("Greeting") && error.contains(".state("), "{error}");
    assert!(error.contains("Stateful::new") && error.contains("Stateful::greet"), "{error}");
}

#[tokio::test]
async fn r1_a_channel_that_nobody_can_build_is_told() {
    let error = refused(by_hand().mount::<Homeless>("/h").mount::<Failing>("/f")).await;
    assert!(error.contains("nothing builds `Homeless`") && error.contains("#[on(init)]"), "{error}");
    assert!(error.contains("`Failing` at `/f`: the disk is full"), "{error}");
}

#[tokio::test]
async fn r2_the_configuration_maps_paths_to_drivers() {
    let config = Config::from_toml(
        r#"
        [channels]
        "/a" = { driver = "Declared" }
        "/b" = { driver = "Declared", private = true }
        "/declared" = { enabled = false }
        "/plugin" = { driver = "Declared" }
        "#,
        "config/web_sockets.toml",
    );
    let service = start(Sockets::builder().config(config.unwrap())).await;
    let mut a = service.connect("/a").await.unwrap();
    assert_eq!(a.request::<u64>("count", ()).await.unwrap(), 0);
    assert_eq!(a.request::<u64>("count", ()).await.unwrap(), 1);
    // Each mount has an instance of its own; a configured path overrides a declared one.
    let mut other = service.connect("/plugin").await.unwrap();
    assert_eq!(other.request::<u64>("count", ()).await.unwrap(), 0);
    assert_eq!(service.connect("/b").await.unwrap_err().code(), "unauthenticated");
    let gone = service.connect("/declared").await.unwrap_err();
    assert!(gone.to_string().contains("Invalid namespace"), "{gone}");
    assert!(matches!(service.sockets().channel("/declared"), Err(Error::UnknownChannel { .. })));
}

#[tokio::test]
async fn r2_unknown_drivers_are_told_with_file_key_and_nearest_name() {
    let config = Config::from_toml(
        "[channels]\n\"/x\" = { driver = \"Declard\" }\n\"/y\" = { driver = \"Nothing\" }\n\"/z\" = { private = true }",
        "config/web_sockets.toml",
    );
    let error = refused(Sockets::builder().config(config.unwrap())).await;
    assert!(error.contains("config/web_sockets.toml:2: channels.\"/x\".driver"), "{error}");
    assert!(error.contains("did you mean `Declared`?"), "{error}");
    assert!(error.contains("config/web_sockets.toml:3") && error.contains("config/web_sockets.toml:4"), "{error}");
}

#[tokio::test]
async fn r3_the_main_channel_serves_the_root_unless_claimed() {
    let service = start(Sockets::builder().config(Config::default())).await;
    let mut client = service.connect("/").await.unwrap();
    service.sockets().channel("/").unwrap().emit("some-event", &7).await.unwrap();
    assert_eq!(client.expect::<u8>("some-event").await.unwrap(), 7);

    let claimed = start(Sockets::builder().config(Config::default().channel("/", "Declared"))).await;
    let mut client = claimed.connect("/").await.unwrap();
    assert_eq!(client.request::<u64>("count", ()).await.unwrap(), 0);

    let none = Config::from_toml("[channels]\n\"/\" = { enabled = false }", "c.toml").unwrap();
    let none = start(Sockets::builder().config(none)).await;
    assert!(none.sockets().channel("/").is_err());
}

#[tokio::test]
async fn r4_sockets_are_off_until_needed() {
    // With nothing mounted, there is no endpoint, and emitting is an error value.
    let off = start(by_hand()).await;
    assert!(!off.sockets().is_on());
    assert!(matches!(off.sockets().channel("/"), Err(Error::SocketsOff)));
    let request = http::Request::get("/socket.io/?EIO=4&transport=polling").body(axum::body::Body::empty()).unwrap();
    assert_eq!(off.http(request).await.status(), 404);

    let mut config = Config::default();
    config.use_sockets = Some(false);
    let off = start(Sockets::builder().config(config.clone())).await;
    assert!(!off.sockets().is_on(), "`use_sockets = false` keeps them off");

    config.use_sockets = Some(true);
    let on = start(Sockets::builder().config(config)).await;
    assert!(on.sockets().is_on());
    on.connect("/").await.unwrap();
}

#[test]
fn r4_the_global_service_is_an_error_before_serve() {
    assert!(matches!(carolina_sockets::try_sockets(), Err(Error::NotRunning)));
}

#[tokio::test]
async fn an_error_that_main_returns_reads_well() {
    let error =
        TestService::start(Sockets::builder().config(Config::default().channel("x", "Declared"))).await.unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}

#[tokio::test]
async fn r16_the_rules_hold_over_redis() {
    let redis = Redis::start();
    again::over(&redis.url(), &[]).await;
}

#[tokio::test]
async fn r16_the_rules_hold_over_postgres() {
    let postgres = Postgres::start();
    again::over(&postgres.url(), &[]).await;
}
