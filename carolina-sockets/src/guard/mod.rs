//! Limits on who may connect, how many and how fast (rule R14), and who waits for whom.

mod address;
mod bytes;
mod connections;
mod host;
mod origin;
pub(crate) mod rate;
mod refusal;
mod streams;
mod turns;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{StatusCode, request::Parts};
use parking_lot::RwLock;

pub use address::OverTls;
pub(crate) use address::is_secure;
pub(crate) use bytes::ByteBudget;
pub(crate) use connections::{Connections, Counted, Permit};
pub use rate::Rate;
pub(crate) use refusal::Refusal;
pub(crate) use streams::AcceptedStream;
#[cfg(feature = "serve")]
pub(crate) use streams::StreamGuard;
#[cfg(feature = "cli")]
pub(crate) use streams::{most_connections, open_files};
pub(crate) use turns::{Turn, Turns};

use crate::{
    config::Config,
    error::code,
    telemetry::{Cause, refused},
};
use address::{UNKNOWN, Unreadable};
use host::Hosts;
use origin::Origins;

/// The checks on a request before the engine sees it.
pub(crate) struct Guard {
    /// Which pages may connect. It is set anew while the service runs.
    pages: RwLock<(Origins, Hosts)>,
    connections: Arc<Connections>,
    trusted_proxies: Vec<ipnet::IpNet>,
    /// Has warned that addresses are not known.
    has_warned: AtomicBool,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            pages: RwLock::new((Origins::new(&config.origins), Hosts::new(&config.hosts))),
            connections: Connections::new(
                Counted::Clients,
                config.limits.connections,
                config.limits.connections_per_address,
            ),
            trusted_proxies: config.trusted_proxies.clone(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// The address a request came from, past the proxies that are trusted.
    pub(crate) fn address(&self, parts: &Parts) -> Result<IpAddr, Refusal> {
        address::of(parts, &self.trusted_proxies).map_err(|Unreadable(entry)| {
            let message =
                format!("a trusted proxy forwards `{entry}` in X-Forwarded-For, which is not a client's address");
            refused(Cause::Forwarded, &message);
            Refusal { status: StatusCode::BAD_REQUEST, code: code::BAD_REQUEST, message }
        })
    }

    /// Refuses a request by a name that is not the server's, and a page of an origin that is neither the server's own
    /// nor allowed by the configuration. Returns the origin that CORS headers may name.
    pub(crate) fn check_origin(&self, parts: &Parts) -> Result<Option<http::HeaderValue>, Refusal> {
        let forwarded = address::is_from_proxy(parts, &self.trusted_proxies);
        let refuse = |cause, message: String| {
            refused(cause, &message);
            Refusal { status: StatusCode::FORBIDDEN, code: code::FORBIDDEN, message }
        };
        let (origins, hosts) = &*self.pages.read();
        let origin = origins.check(&parts.headers, &parts.uri, forwarded);
        let origin = origin.map_err(|message| refuse(Cause::Origin, message))?;
        let host = hosts.check(&parts.headers, &parts.uri, forwarded);
        host.map_err(|message| refuse(Cause::Host, message))?;
        Ok(origin)
    }

    /// Counts a new connection from this address, within the limits. Without an address it counts in the total only: all
    /// clients would otherwise share what one address may have.
    pub(crate) fn count_connection(&self, address: IpAddr) -> Result<Permit, Refusal> {
        let known = Some(address).filter(|address| *address != UNKNOWN);
        if known.is_none() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the server does not tell the addresses of clients, so limits.connections_per_address does not hold; serve the \
                 router by `into_make_service_with_connect_info::<SocketAddr>()`"
            );
        }
        self.connections.acquire(known).map_err(|(cause, message)| {
            refused(cause, &message);
            Refusal { status: StatusCode::SERVICE_UNAVAILABLE, code: code::OVERLOADED, message }
        })
    }

    /// Replaces `origins` and `hosts`.
    #[cfg(feature = "serve")]
    pub(crate) fn set_pages(&self, config: &Config) {
        *self.pages.write() = (Origins::new(&config.origins), Hosts::new(&config.hosts));
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.count()
    }
}
