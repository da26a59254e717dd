//! R29: guards run before the handlers that they cover.

use std::sync::{Arc, Mutex};

use carolina_sockets::{Data, Error, EventError, Handshake, Identify, Identity, Socket, State, User, channel, on};
use carolina_sockets_tests::{by_hand, start};
use serde_json::{Value, json};

/// What has run, in order.
#[derive(Clone, Default)]
struct Ran(Arc<Mutex<Vec<String>>>);

impl Ran {
    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What only the guard of a channel takes.
struct Opened(bool);

mod checks {
    use super::*;

    pub(super) async fn is_user(user: User, ran: State<Ran>) -> Result<(), EventError> {
        tokio::task::yield_now().await;
        ran.note(&format!("user {user}"));
        Ok(())
    }

    pub(super) fn is_open(opened: State<Opened>, ran: State<Ran>) -> bool {
        ran.note("open");
        opened.0.0
    }
}

#[channel(guard = checks::is_user, guard = checks::is_open)]
#[derive(Default)]
struct Vault;

#[channel]
impl Vault {
    #[on(authorize)]
    fn authorize(&self) -> bool {
        true
    }

    #[on(connect)]
    async fn connect(&self, ran: State<Ran>) {
        ran.note("connect");
    }

    #[on("plain")]
    fn plain(&self, ran: State<Ran>) -> &'static str {
        ran.note("plain");
        "in"
    }

    #[on("pay", guard = Self::has_amount, guard = Self::is_affordable)]
    fn pay(&self, Data(amount): Data<u32>, ran: State<Ran>) -> u32 {
        ran.note("pay");
        amount
    }

    fn has_amount(Data(amount): Data<u32>, ran: State<Ran>) -> Result<(), EventError> {
        ran.note("amount");
        (amount > 0).then_some(()).ok_or_else(|| EventError::new("no_amount", "pay something"))
    }

    /// Fails with an error that is not meant for clients.
    async fn is_affordable(Data(amount): Data<u32>) -> Result<(), std::num::TryFromIntError> {
        u8::try_from(amount).map(drop)
    }
}

#[channel]
impl Vault {
    #[on(any)]
    fn any(&self, ran: State<Ran>) {
        ran.note("any");
    }

    #[on("slow", timeout = "50ms", guard = never)]
    fn slow(&self, ran: State<Ran>) {
        ran.note("slow");
    }

    #[on("bursts", guard = bursts)]
    fn bursts(&self) {}
}

async fn never() -> bool {
    std::future::pending().await
}

fn bursts(_: Socket) -> bool {
    panic!("a guard may panic")
}

/// Only the guard of one event is there.
#[channel]
#[derive(Default)]
struct Hall;

#[channel]
impl Hall {
    #[on("open", guard = checks::is_open)]
    fn open(&self) {}
}

struct ByName;

#[carolina_sockets::identity::async_trait]
impl Identify for ByName {
    async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
        Ok(handshake.query().get("name").map_or_else(Identity::anonymous, Identity::user))
    }
}

#[tokio::test]
async fn r29_guards_run_in_order_and_their_error_is_the_answer() {
    let ran = Ran::default();
    let builder = by_hand().identify(ByName).state(ran.clone()).state(Opened(true)).mount::<Vault>("/vault");
    let service = start(builder).await;
    let mut ada = service.client().query("name", "ada").connect("/vault").await.unwrap();
    assert_eq!(ada.request::<String>("plain", ()).await.unwrap(), "in");
    assert_eq!(ran.take(), ["connect", "user ada", "open", "plain"], "hooks have no guards");
    assert_eq!(ada.request::<u32>("pay", 7).await.unwrap(), 7);
    assert_eq!(ran.take(), ["user ada", "open", "amount", "pay"]);
    assert_eq!(ada.request::<u32>("pay", 0).await.unwrap_err().code(), "no_amount");
    assert_eq!(ran.take(), ["user ada", "open", "amount"]);
    assert_eq!(ada.request::<u32>("pay", 1_000).await.unwrap_err().code(), "internal");
    assert_eq!(ada.request::<u32>("pay", "much").await.unwrap_err().code(), "invalid_payload");
    ran.take();
    ada.request::<()>("whatever", ()).await.unwrap();
    assert_eq!(ran.take(), ["user ada", "open", "any"], "`any` is covered too");
    // Without an acknowledgement.
    ada.emit("pay", 0).await.unwrap();
    let exception: Value = ada.expect("exception").await.unwrap();
    assert_eq!(exception, json!({ "code": "no_amount", "message": "pay something", "event": "pay" }));

    let mut nobody = service.connect("/vault").await.unwrap();
    ran.take();
    assert_eq!(nobody.request::<String>("plain", ()).await.unwrap_err().code(), "unauthenticated");
    assert_eq!(ran.take(), Vec::<String>::new(), "an extractor that fails is the guard's error");
}

#[tokio::test]
async fn r29_a_guard_that_says_no_is_forbidden() {
    let ran = Ran::default();
    let builder = by_hand().state(ran.clone()).state(Opened(false)).mount::<Hall>("/hall");
    let service = start(builder).await;
    let mut client = service.connect("/hall").await.unwrap();
    assert_eq!(client.request::<()>("open", ()).await.unwrap_err().code(), "forbidden");
    // What has no handler has no guard.
    assert_eq!(client.request::<()>("nothing", ()).await.unwrap_err().code(), "unknown_event");
    assert_eq!(ran.take(), ["open"]);
}

#[tokio::test]
async fn r29_guards_are_within_the_handlers_timeout_and_their_panics_are_caught() {
    let ran = Ran::default();
    let builder = by_hand().identify(ByName).state(ran.clone()).state(Opened(true)).mount::<Vault>("/vault");
    let service = start(builder).await;
    let mut ada = service.client().query("name", "ada").connect("/vault").await.unwrap();
    assert_eq!(ada.request::<()>("slow", ()).await.unwrap_err().code(), "timeout");
    assert_eq!(ada.request::<()>("bursts", ()).await.unwrap_err().code(), "internal");
    assert_eq!(ada.request::<String>("plain", ()).await.unwrap(), "in");
    assert!(!ran.take().contains(&"slow".to_owned()));
}

#[tokio::test]
async fn r29_start_up_fails_without_the_state_that_a_guard_takes() {
    let builder = by_hand().identify(ByName).state(Ran::default()).mount::<Vault>("/vault").mount::<Hall>("/hall");
    let Err(Error::Startup(problems)) = builder.build().await else { panic!("it starts") };
    assert_eq!(problems.len(), 2, "{problems:#?}");
    for (place, problem) in
        [("`Vault`, its guard `checks::is_open`", 0), ("`Hall::open`, its guard `checks::is_open`", 1)]
    {
        let told =
            problems.iter().any(|told| told.contains(place) && told.contains("Opened>`, which was not provided"));
        assert!(told, "{problem}: {problems:#?}");
    }
}
