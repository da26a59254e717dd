//! Limits on who may connect, how many and how fast (rule R14).

mod address;
mod bytes;
mod connections;
mod origin;
pub(crate) mod rate;
mod refusal;

use std::{net::IpAddr, sync::Arc};

use http::{StatusCode, request::Parts};

pub use address::OverTls;
pub(crate) use address::is_secure;
pub(crate) use bytes::ByteBudget;
#[cfg(test)]
pub(crate) use connections::Connections;
pub(crate) use connections::Permit;
pub use rate::Rate;
pub(crate) use refusal::Refusal;

use crate::{
    config::Config,
    telemetry::{Cause, refused},
};
#[cfg(not(test))]
use connections::Connections;
use origin::Origins;

/// The checks on a request before the engine sees it.
pub(crate) struct Guard {
    origins: Origins,
    connections: Arc<Connections>,
    trusted_proxies: Vec<ipnet::IpNet>,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            origins: Origins::new(&config.origins),
            connections: Connections::new(config.limits.connections, config.limits.connections_per_address),
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

    /// Counts a new connection from this address, within the limits.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<Permit, Refusal> {
        self.connections.admit(address).map_err(|(cause, message)| {
            refused(cause, &message);
            Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: "overloaded", message }
        })
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.count()
    }
}
