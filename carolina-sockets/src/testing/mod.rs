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

mod client;
mod error;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

pub use client::{Client, ClientBuilder};
pub use error::ClientError;

use crate::{
    error::Result,
    service::{Builder, Sockets},
};

/// A service in the test's own process. It ends when it is dropped.
#[derive(Debug)]
pub struct TestService {
    sockets: Sockets,
    router: axum::Router,
    address: Option<SocketAddr>,
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
        Ok(Self::of(builder.build().await?))
    }

    /// Starts a service that is already built.
    pub fn of(sockets: Sockets) -> Self {
        Self { sockets, router: axum::Router::new(), address: None, stop: Default::default() }
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
        let address = listener.local_addr().map_err(|error| crate::Error::io("cannot listen on 127.0.0.1", error))?;
        self.address = Some(address);
        let stop = self.stop.clone().cancelled_owned();
        tokio::spawn(crate::service::run(self.sockets.clone(), self.router.clone(), listener, stop));
        Ok(self)
    }

    /// The port of [`listen`](Self::listen), as `http://127.0.0.1:…`.
    ///
    /// # Panics
    ///
    /// Without [`listen`](Self::listen).
    pub fn url(&self) -> String {
        let address = self.address.expect("`url` needs `listen` first");
        format!("http://{address}")
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
        ClientBuilder::new(self.sockets.clone())
    }

    /// Sends an HTTP request to the routes, as a client on the loopback address would.
    pub async fn http(&self, request: Request<axum::body::Body>) -> http::Response<axum::body::Body> {
        let mut request = request;
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        request.extensions_mut().insert(ConnectInfo(from));
        let mut app = self.sockets.layer().layer(self.router.clone().layer(self.sockets.session_layer()));
        match app.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
