//! The doors: who may connect, how many, how fast (rule R14).

mod address;
mod limits;
mod origin;
mod peer;
pub(crate) mod rate;
mod refusal;

use std::{net::IpAddr, sync::Arc};

use http::{StatusCode, request::Parts};

pub(crate) use address::{is_secure, of as client_address};
pub(crate) use peer::Peer;
pub(crate) use refusal::{Cause, refused, undelivered};

use crate::config::Config;
use limits::Connections;
use origin::Origins;

/// The checks on a request before socketioxide sees it.
pub(crate) struct Guard {
    origins: Origins,
    connections: Arc<Connections>,
    events_per_second: u32,
    trusted_proxies: Vec<ipnet::IpNet>,
}

/// Why a request is turned away.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            origins: Origins::new(&config.origins),
            connections: Connections::new(config.limits.connections, config.limits.connections_per_address),
            events_per_second: config.limits.events_per_second,
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// The address a request came from, past the proxies that are trusted.
    pub(crate) fn address(&self, parts: &Parts) -> IpAddr {
        address::of(parts, &self.trusted_proxies)
    }

    /// Refuses a page of an origin that is neither the server's own nor allowed by the configuration. Returns the
    /// origin that CORS headers may name.
    pub(crate) fn check_origin(&self, parts: &Parts) -> Result<Option<http::HeaderValue>, Refusal> {
        let forwarded = address::is_from_proxy(parts, &self.trusted_proxies);
        self.origins.check(&parts.headers, &parts.uri, forwarded).map_err(|message| {
            refused(Cause::Origin, &message);
            Refusal { status: StatusCode::FORBIDDEN, code: "forbidden", message }
        })
    }

    /// Lets a new connection in, within the limits.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<Arc<Peer>, Refusal> {
        let address = self.address(parts);
        let permit = self.connections.admit(address).map_err(|(cause, message)| {
            refused(cause, &message);
            Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: "overloaded", message }
        })?;
        Ok(Arc::new(Peer::new(address, self.events_per_second, permit)))
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.count()
    }
}
