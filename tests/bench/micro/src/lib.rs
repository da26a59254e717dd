//! What is measured close up: one event on its way from packet to handler to acknowledgement, and the start of a
//! service. Both within one process, over a stream in memory.

use anyhow::Result;
use carolina_sockets::{
    Builder, Config, Sockets,
    prelude::*,
    testing::{Client, TestService},
};

include!(concat!(env!("OUT_DIR"), "/channels.rs"));

/// How many events a channel declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// One.
    One,
    /// A thousand.
    Thousand,
}

/// A service and a client of it that wait for nobody else.
#[derive(Debug)]
pub struct Dispatch {
    client: Client,
    _service: TestService,
}

impl Dispatch {
    /// Starts a service whose channel declares this many events, and connects to it.
    ///
    /// # Errors
    ///
    /// When the service does not start or does not let the client in.
    pub async fn start(events: Events) -> Result<Self> {
        let mut config = Config::default();
        config.limits.events_per_second = u32::MAX;
        let builder = Sockets::builder().config(config).discover(false);
        let builder = match events {
            Events::One => builder.mount::<Narrow>("/"),
            Events::Thousand => builder.mount::<Wide>("/"),
        };
        let service = TestService::start(builder).await?;
        let client = service.connect("/").await?;
        Ok(Self { client, _service: service })
    }

    /// Sends an event and waits for its answer.
    ///
    /// # Errors
    ///
    /// When the answer is an error or does not come.
    pub async fn request(&mut self) -> Result<String> {
        Ok(self.client.request("event0", "sixty-four bytes or thereabouts, as most events are in practice").await?)
    }
}

/// Builds a service of this many channels, up to 1,000.
///
/// # Errors
///
/// When it does not start.
pub async fn start_up(channels: usize) -> Result<Sockets> {
    Ok(mount(Sockets::builder().config(Config::default()).discover(false), channels).build().await?)
}
