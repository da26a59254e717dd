//! Tests for channels: a service in the test's own process, and clients that speak Socket.IO to it.
//!
//! Behind the feature `testing`, meant for `[dev-dependencies]`. A [`TestService`] needs no port: its clients use a
//! stream in memory and pass the same checks, limits and engine as any other. [`TestService::listen`] also opens a free
//! port, for real clients and HTTP requests.
//!
//! A test client sees no more than any other. The cause of an `internal` is in the log: begin a test with `let _ =
//! tracing_subscriber::fmt().with_test_writer().try_init();` to see it.
//!
//! ```
//! use carolina_sockets::{Sockets, prelude::*, testing::TestService};
//! use serde_json::json;
//!
//! #[channel("/desk")]
//! #[derive(Default)]
//! struct Desk;
//!
//! #[channel]
//! impl Desk {
//!     #[on("checkin")]
//!     async fn checkin(&self, socket: Socket, Data(name): Data<String>) -> Result<String, EventError> {
//!         socket.emit("welcome", &name).await?;
//!         Ok(format!("hello {name}"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TestService::start(Sockets::builder().discover(false).mount::<Desk>("/desk")).await?;
//! let mut client = service.connect("/desk").await?;
//!
//! let answer: String = client.request("checkin", "Ada").await?;
//! assert_eq!(answer, "hello Ada");
//! let name: String = client.expect("welcome").await?;
//! assert_eq!(name, "Ada");
//!
//! let refused = client.request::<String>("checkin", json!({ "name": "Ada" })).await.unwrap_err();
//! assert_eq!(refused.code(), "invalid_payload");
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked how
//!
//! | to check that | write |
//! |---|---|
//! | an event is answered, with what | [`client.request`](Client::request), whose error has a [`code`](ClientError::code) |
//! | a client gets an event | [`client.assert_emitted`](Client::assert_emitted) with its data, or [`assert_emitted!`] with a pattern |
//! | it gets one, to go on with its data, such as a list | `let names: Vec<String> = client.expect("names").await?`: [`client.expect`](Client::expect) |
//! | it gets none | [`client.expect_none`](Client::expect_none) |
//! | something is emitted to a channel, a room, a user, without a client | [`service.assert_broadcast`](TestService::assert_broadcast), or [`assert_broadcast!`] with a pattern |
//! | a client is refused or disconnected | the error of [`connect`](TestService::connect), [`client.expect_disconnect`](Client::expect_disconnect) |
//! | a route of the application emits, logs in or out | [`TestService::router`], and [`http`](ClientBuilder::http) |
//!
//! # Users
//!
//! [`TestService::login_as`] is a browser whose user is logged in. A browser keeps cookies, so that it may as well log in by the application's own
//! route; its tabs share them.
//!
//! ```
//! use carolina_sockets::{Sockets, prelude::*, testing::TestService};
//!
//! #[channel("/mail", private)]
//! #[derive(Default)]
//! struct Mail;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TestService::start(Sockets::builder().discover(false).mount::<Mail>("/mail")).await?;
//! assert_eq!(service.connect("/mail").await.unwrap_err().code(), "unauthenticated");
//!
//! let ada = service.login_as("ada").await?;
//! let mut tab = ada.clone().connect("/mail").await?;
//! service.sockets().channel("/mail")?.emit_to_user("ada", "letter", 1).await?;
//! assert_eq!(tab.expect::<u32>("letter").await?, 1);
//!
//! ada.logout().await?;
//! tab.expect_disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Routes of the application
//!
//! [`TestService::router`] takes the application's router, [`TestService::http`] asks it, and [`ClientBuilder::http`] does so with a browser's cookies, which its
//! sockets send as well. [`ClientBuilder::auth`] is what `io(…, { auth })` sends.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use carolina_sockets::{Sockets, http::Session, prelude::*, testing::TestService};
//! use serde_json::{Value, json};
//!
//! #[channel("/orders")]
//! #[derive(Default)]
//! struct Orders;
//!
//! #[channel]
//! impl Orders {
//!     #[on(authorize)]
//!     fn may(&self, user: Option<User>, handshake: Handshake) -> bool {
//!         user.is_some() && handshake.auth::<Value>().is_ok_and(|auth| auth["version"] == 2)
//!     }
//! }
//!
//! async fn log_in(session: Session) -> Result<(), String> {
//!     session.insert("user_id", "ada").await.map_err(|error| error.to_string())
//! }
//!
//! async fn order(sockets: Sockets) -> Result<(), String> {
//!     let orders = sockets.channel("/orders").map_err(|error| error.to_string())?;
//!     orders.emit("ordered", 42).await.map_err(|error| error.to_string())?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sockets = Sockets::builder().discover(false).mount::<Orders>("/orders");
//! let router = Router::new().route("/login", post(log_in)).route("/orders", post(order));
//! let service = TestService::start(sockets).await?.router(router);
//!
//! let ada = service.client().auth(json!({ "version": 2 }));
//! assert_eq!(ada.clone().connect("/orders").await.unwrap_err().code(), "forbidden");
//! assert!(ada.http(Request::post("/login").body(Body::empty())?).await.status().is_success());
//! let mut tab = ada.connect("/orders").await?;
//!
//! assert!(service.http(Request::post("/orders").body(Body::empty())?).await.status().is_success());
//! assert_eq!(tab.expect::<u32>("ordered").await?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Timeouts, rates, pings, pauses and the deadlines of expectations follow tokio's clock, which a test can pause: `#[tokio::test(start_paused = true)]`,
//! with tokio's feature `test-util`. Time then passes only when nothing else is left to do, and at once: a handler's timeout of 30 seconds takes no time to
//! test. [`TestService::advance`] lets a time pass:
//!
//! ```
//! use std::time::Duration;
//!
//! use carolina_sockets::{Sockets, prelude::*, testing::TestService};
//!
//! #[channel("/votes")]
//! #[derive(Default)]
//! struct Votes;
//!
//! #[channel]
//! impl Votes {
//!     #[on("vote", rate = "1/h")]
//!     fn vote(&self) {}
//!
//!     #[on("count", timeout = "30s")]
//!     async fn count(&self) {
//!         std::future::pending().await
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TestService::start(Sockets::builder().discover(false).mount::<Votes>("/votes")).await?;
//! let mut client = service.connect("/votes").await?;
//! client.deadline(Duration::from_secs(60));
//! assert_eq!(client.request::<()>("count", ()).await.unwrap_err().code(), "timeout");
//!
//! client.request::<()>("vote", ()).await?;
//! assert_eq!(client.request::<()>("vote", ()).await.unwrap_err().code(), "rate_limited");
//! service.advance(Duration::from_secs(60 * 60)).await;
//! client.request::<()>("vote", ()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What has a date follows the system's clock instead: the end of a session (`session.ttl`) and of a token. With a paused clock nothing outside of the
//! process can be waited for, such as Redis, PostgreSQL, a browser or a client of [`TestService::listen`]: the time for it passes at once.

mod assert;
mod client;
mod error;
mod jar;
mod wire;

use std::{net::Ipv4Addr, panic::Location, time::Duration};

use http::Request;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

#[doc(inline)]
pub use assert::{assert_broadcast, assert_emitted};
pub use client::{Client, ClientBuilder};
pub use error::ClientError;

use crate::{
    core::Recorded,
    engine::encode_event,
    error::Result,
    service::{Builder, Sockets},
};

/// An event's payload as text, and its attachments.
type Encoded = (String, Vec<String>);

/// How often [`TestService::advance`] lets other tasks run.
const SETTLE: usize = 64;

/// A service in the test's own process. It ends when it is dropped.
///
/// # Panics
///
/// When it is dropped, if a channel has emitted an event that its `#[emits]` do not name, once it has any (rule R22). The message has the place of the emit.
#[derive(Debug)]
pub struct TestService {
    sockets: Sockets,
    router: axum::Router,
    url: Option<String>,
    stop: tokio_util::sync::CancellationToken,
}

impl TestService {
    /// Builds and starts the service.
    ///
    /// Where the variable `CAROLINA_TESTING_BACKPLANE` holds the URL of a backplane, the service is connected to it, under a
    /// prefix of its own, unless its configuration names one: so the same tests run over Redis or PostgreSQL.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`], and [`Error::Backplane`](crate::Error::Backplane) when that variable is not valid
    /// UTF-8.
    pub async fn start(builder: Builder) -> Result<Self> {
        let builder = match std::env::var("CAROLINA_TESTING_BACKPLANE") {
            Ok(url) => builder.backplane_for_tests(url, format!("test-{:016x}", rand::random::<u64>())),
            Err(std::env::VarError::NotPresent) => builder,
            Err(error) => return Err(crate::Error::backplane(format!("CAROLINA_TESTING_BACKPLANE: {error}"))),
        };
        Ok(Self::of(builder.for_tests().build().await?))
    }

    /// Starts a service that is already built.
    pub fn of(sockets: Sockets) -> Self {
        sockets.inner().tap().start();
        Self { sockets, router: axum::Router::new(), url: None, stop: Default::default() }
    }

    /// Serves these routes as well, under the session layer, as `serve()` does.
    #[must_use]
    pub fn router(mut self, router: axum::Router) -> Self {
        self.router = router;
        self
    }

    /// Opens a free port on the loopback address, served as by `serve()`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the system gives none.
    #[cfg(feature = "serve")]
    pub async fn listen(mut self) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| crate::Error::io("cannot listen on 127.0.0.1", error))?;
        let listening = crate::service::Listening::new(listener, self.sockets.config())?;
        self.url = Some(listening.url()?);
        let stop = self.stop.clone().cancelled_owned();
        tokio::spawn(crate::service::run(self.sockets.clone(), self.router.clone(), listening, stop));
        Ok(self)
    }

    /// The port of [`listen`](Self::listen), as `http://127.0.0.1:…`, or `https://…` with `tls`.
    ///
    /// # Panics
    ///
    /// Without [`listen`](Self::listen).
    pub fn url(&self) -> String {
        self.url.clone().expect("`url` needs `listen` first")
    }

    /// The service, to emit from.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// A client without cookies, headers or `auth`, on a channel.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::connect`].
    pub async fn connect(&self, channel: &str) -> std::result::Result<Client, ClientError> {
        self.client().connect(channel).await
    }

    /// A client with headers, cookies or an `auth` payload, to be set on the builder.
    pub fn client(&self) -> ClientBuilder {
        ClientBuilder::new(self.sockets.clone(), self.router.clone())
    }

    /// A client, not connected yet, whose session has this user: a text or a whole number, as the application would insert it. See
    /// [`ClientBuilder::login_as`].
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::login_as`].
    pub async fn login_as(&self, user: impl Serialize) -> std::result::Result<ClientBuilder, ClientError> {
        let client = self.client();
        client.login_as(user).await?;
        Ok(client)
    }

    /// Takes the first emit of this event to several clients of a channel, and waits for it up to 5 seconds. Each is taken once, in the order in
    /// which they were emitted.
    ///
    /// It counts whether or not a client is connected: everything that code of this service has emitted through
    /// [`ChannelHandle`](crate::ChannelHandle), [`Broadcast`](crate::Broadcast) and [`Socket::broadcast`](crate::Socket::broadcast), except to an empty
    /// list of rooms. What goes to a single [`Socket`](crate::Socket), or comes from another node, does not count. The 4096 newest are kept.
    ///
    /// # Errors
    ///
    /// [`ClientError::Timeout`] when there is none in time, [`ClientError::Invalid`] when its data does not read as `T`.
    pub async fn expect_broadcast<T: DeserializeOwned>(
        &self,
        channel: &str,
        event: &str,
    ) -> std::result::Result<Emitted<T>, ClientError> {
        let Recorded { to, except, payload, .. } = self.take(channel, event).await?;
        Ok(Emitted { data: client::read_event(event, payload)?, to, except })
    }

    /// Checks that the first emit of this event to several clients of a channel has this data; a tuple is several arguments. See
    /// [`expect_broadcast`](Self::expect_broadcast).
    ///
    /// ```
    /// # use carolina_sockets::{MainChannel, Sockets, testing::TestService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TestService::start(Sockets::builder().discover(false).mount::<MainChannel>("/")).await?;
    /// service.sockets().channel("/")?.emit("headline", "it rains").await?;
    /// service.assert_broadcast("/", "headline", "it rains").await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When there is no such emit within 5 seconds, or it has other data.
    #[track_caller]
    pub fn assert_broadcast(&self, channel: &str, event: &str, data: impl Serialize) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let emitted = match self.take(channel, event).await {
                Ok(recorded) => recorded.payload,
                Err(error) => panic!("{at}: `{event}` on `{channel}`: {error}"),
            };
            check_equal(at, &format!("on `{channel}` was emitted"), event, &emitted, &data);
        }
    }

    async fn take(&self, channel: &str, event: &str) -> std::result::Result<Recorded, ClientError> {
        let tap = self.sockets.inner().tap();
        tokio::time::timeout(client::DEADLINE, tap.take(channel, event)).await.map_err(|_| {
            ClientError::Timeout(format!("an emit of `{event}` on `{channel}`; there were {:?}", tap.kept()))
        })
    }

    /// Lets a time pass, by a clock that is paused, and everything happen that is due by then; see [Time](self#time).
    ///
    /// # Panics
    ///
    /// When tokio's clock is not paused, as by `#[tokio::test(start_paused = true)]`.
    #[track_caller]
    pub fn advance(&self, by: Duration) -> impl Future<Output = ()> + use<> {
        let at = Location::caller();
        async move {
            assert!(
                is_paused(),
                "{at}: `advance` needs a clock that is paused: write `#[tokio::test(start_paused = true)]` above the test"
            );
            tokio::time::sleep(by).await;
            // What was due at the same moment.
            for _ in 0..SETTLE {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Sends an HTTP request to the routes, as a client on the loopback address without cookies would. One with cookies is
    /// [`ClientBuilder::http`].
    pub async fn http(&self, request: Request<axum::body::Body>) -> http::Response<axum::body::Body> {
        self.client().http(request).await
    }
}

/// Whether tokio's clock is paused: then it stands still while this thread sleeps.
fn is_paused() -> bool {
    let before = tokio::time::Instant::now();
    std::thread::sleep(Duration::from_millis(1));
    tokio::time::Instant::now() == before
}

/// Checks that an event's arguments, encoded, are those expected.
fn check_equal(at: &Location<'_>, what: &str, event: &str, came: &Encoded, expected: &impl Serialize) {
    let expected = match encode_event(event, expected) {
        Ok(expected) => expected,
        Err(error) => panic!("{at}: {error}"),
    };
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let same = parsed(&came.0) == parsed(&expected.0) && came.1 == expected.1;
    assert!(same, "{at}: {what} {}, and expected {}", came.0, expected.0);
}

/// An emit to several clients; see [`TestService::expect_broadcast`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Emitted<T> {
    /// Its data: the first argument, or several as a tuple.
    pub data: T,
    /// The rooms it was for: none for everyone on the channel. A user's is `user.{key}`, a session's `session.{id}`.
    pub to: Vec<String>,
    /// The rooms it was not for.
    pub except: Vec<String>,
}

/// Used by [`assert_emitted!`] and [`assert_broadcast!`].
#[doc(hidden)]
#[track_caller]
pub fn __equal(data: std::result::Result<Value, ClientError>, event: &str, expected: &impl Serialize) -> Value {
    let data = match data {
        Ok(data) => data,
        Err(error) => panic!("`{event}`: {error}"),
    };
    let expected = serde_json::to_value(expected).unwrap_or_default();
    assert!(data == expected, "`{event}` came with {data}, and expected {expected}");
    data
}

/// The same for an emit.
#[doc(hidden)]
#[track_caller]
pub fn __equal_emitted(
    emitted: std::result::Result<Emitted<Value>, ClientError>,
    event: &str,
    expected: &impl Serialize,
) -> Emitted<Value> {
    match emitted {
        Ok(emitted) => Emitted { data: __equal(Ok(emitted.data), event, expected), ..emitted },
        Err(error) => panic!("`{event}`: {error}"),
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.stop.cancel();
        let undeclared = self.sockets.undeclared_emits();
        // A test that has failed already has a reason of its own.
        if !undeclared.is_empty() && !std::thread::panicking() {
            panic!("{}", undeclared.join("\n"));
        }
    }
}
