//! The settings of a service: from `config/web_sockets.toml` and the environment, or made in code.

mod check;
mod keys;
mod read;
mod redact;
mod source;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::error::{Error, Result};
use source::{DEFAULT_FILE, Place, Source};

pub(crate) use check::SHORTEST_SECRET;
pub(crate) use redact::without_password;

/// All settings. Every one has a default, so that an application without a configuration runs.
///
/// [`Config::load`] reads `config/web_sockets.toml`, or the file that the variable `CAROLINA_CONFIG` names, and lets
/// variables `CAROLINA_…` override it, nesting by `__`: `CAROLINA_BIND=0.0.0.0:80`, `CAROLINA_LIMITS__MAILBOX=64`. Lists are
/// separated by commas, or written as in the file; `CAROLINA_CHANNELS` is an inline table, whose entries replace the
/// file's for the same paths. In code:
///
/// ```
/// use carolina_sockets::Config;
///
/// let mut config = Config::default().bind("127.0.0.1:8080").channel("/other", "MyCustomChannel");
/// config.limits.mailbox = 64;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Whether web sockets are on; by default they are when a channel is declared or configured (rule R4).
    pub use_sockets: Option<bool>,
    /// Where `serve()` listens: `address:port`. Default `127.0.0.1:3000`; port 0 takes a free one.
    pub bind: String,
    /// Files for the browser, served by `serve()` where no route answers. Hidden files (`.env`; not `.well-known`) and links
    /// out of the folder are not served. Default none.
    pub static_dir: Option<PathBuf>,
    /// Where `serve()` answers `GET /metrics` for Prometheus: `address:port`, by the feature `prometheus`. Not for clients' eyes.
    /// Default none.
    pub metrics: Option<String>,
    /// Origins whose pages may connect beside the server's own: `https://app.example` (rule R14). Default none.
    pub origins: Vec<String>,
    /// The names that clients may connect to, with or without a port: `app.example` stands for any port,
    /// `app.example:8443` for that one. A handshake with another `Host` is refused, which stops pages whose own name is made
    /// to resolve to this server (DNS rebinding). Default none: any name, and the page's own origin is the server's if it
    /// equals the `Host`. Set it where being able to reach the server is a right by itself, as on a private network.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed: addresses or networks. A request for
    /// which one of them forwards no readable address is refused with status 400. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Paths and the drivers that serve them (rule R2).
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Sessions and their cookie.
    pub session: SessionConfig,
    /// The way to other nodes.
    pub backplane: BackplaneConfig,
    /// What a client may use.
    pub limits: Limits,
    /// How clients connect.
    pub transport: TransportConfig,
}

/// One entry of `[channels]`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The driver that serves the path; `None` keeps the one that declares it.
    pub driver: Option<String>,
    /// Whether the channel is private (rule R12); `None` keeps what the driver declares.
    pub private: Option<bool>,
    /// `false` takes the path away. Default `true`.
    pub enabled: bool,
    place: Place,
}

/// `[session]`: who sockets belong to.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The store: `memory` (default), `sqlite://…`, `redis://…` or `postgres://…`, by features of the same names.
    pub store: String,
    /// The cookie's name. Default `carolina.sid`.
    pub cookie: String,
    /// What encrypts the cookie, the newest first; older ones still open it, so that keys can be rotated. Each has at
    /// least 32 bytes. Default none: one is made at start, with a warning, and sessions do not survive a restart.
    pub secret: Vec<String>,
    /// The key in a session's data that names its user. Default `user_id`.
    pub user_key: String,
    /// How long a session lives without being used. Default 7 days.
    pub ttl: Duration,
    /// How often a session of a live socket is read anew, to notice what changed past the service. Default 60 s.
    pub recheck: Duration,
    /// Whether the cookie is sent over TLS alone; by default it is when the request came by TLS.
    pub secure: Option<bool>,
    /// The domain whose hosts all get the cookie: `example.com` for `app.example.com` as well. Default none: only the host
    /// that has set it.
    pub domain: Option<String>,
    /// Below which path of the host browsers send the cookie. Default `/`. Socket.IO's path, as browsers
    /// see it, must be below it.
    pub path: String,
    /// Whether browsers send the cookie with requests that pages of other sites make. Default `lax`.
    pub same_site: SameSite,
}

/// With which requests a browser sends the session cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// With those of the site's own pages alone: not even when somebody follows a link to it.
    Strict,
    /// With those of the site's own pages, and when somebody follows a link to it.
    Lax,
    /// With all, those of other sites' pages included, as pages in frames of other sites need. It takes `secure = true`.
    None,
}

/// `[backplane]`: what connects the nodes (rules R16 and R17).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct BackplaneConfig {
    /// `redis://…` or `postgres://…`, by features of the same names. Default none: this process alone.
    pub url: Option<String>,
    /// What the channels on that server are called by, so that several applications can share it. Default `carolina`.
    pub prefix: String,
}

/// `[limits]`: what a client may use (rule R14). All have safe defaults.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet, attachments included, in bytes. Default 100 kB.
    pub max_payload: u64,
    /// The most binary attachments of one packet. Default 10.
    pub max_attachments: usize,
    /// Events that may wait per socket and channel. Default 256.
    pub mailbox: usize,
    /// Bytes of events that may wait to be handled or are being handled, per connection. An event that finds no room is
    /// answered with `overloaded`. Default 1 MB.
    pub mailbox_bytes: u64,
    /// Packets that may wait to be sent, per connection. Default 1024.
    pub send_queue: usize,
    /// Bytes that may wait to be sent, per connection; one packet may be larger. A client that does not read is not read
    /// from either. Default 1 MB.
    pub send_buffer: u64,
    /// Bytes of a handshake: the request's path and headers, and the `auth` payloads of all channels. Default 16 kB.
    pub header_bytes: u64,
    /// Events per second and connection; as many may come at once. Default 100. Those beyond are refused
    /// (`rate_limited`), and a client that goes on all the same is read from a few thousand times a second at most.
    pub events_per_second: u32,
    /// Connections in all. `serve()` accepts twice as many TCP connections and 16 more, as a polling client has two at a
    /// time, but fewer than the files that the process may open; the others are answered with status 503. Default 100000.
    pub connections: usize,
    /// Connections of one address; a /64 of IPv6 counts as one, and a /48 as four at most. `serve()` accepts twice as many TCP
    /// connections and 16 more of one address, unless it is a trusted proxy's. Default 1000.
    pub connections_per_address: usize,
    /// How long a client may take to send a request's head, the first and any later one on an open connection, and to join
    /// a first channel. Default 10 s.
    pub connect_timeout: Duration,
    /// How long the body of a polling client's request may take to arrive. Under `serve()` also how long the body of any
    /// other request may be waited for in all, with a second more for each 500 bytes that have come, and how long a client
    /// may not read a response. Default 30 s.
    pub body_timeout: Duration,
    /// How long a handler may take. Default 30 s.
    pub handler_timeout: Duration,
    /// How long `emit` waits for a client that does not read, before it closes it. Default 5 s.
    pub send_timeout: Duration,
    /// How long handlers may take to finish at shutdown. Default 10 s.
    pub shutdown_timeout: Duration,
}

/// `[transport]`: how clients connect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TransportConfig {
    /// Where Socket.IO clients connect. Default `/socket.io`.
    pub path: String,
    /// How often a client is pinged. Default 25 s.
    pub ping_interval: Duration,
    /// How long it may take to answer. Default 20 s.
    pub ping_timeout: Duration,
    /// By which transports clients may connect. Default both.
    pub transports: Vec<Transport>,
}

/// How a client talks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// HTTP long polling.
    Polling,
    /// A WebSocket.
    Websocket,
}

impl Config {
    /// Reads the configuration's file and the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with every mistake at once: each with file and line or the variable's name, the key, what is
    /// wrong with it and what would be right.
    pub fn load() -> Result<Self> {
        let source = Source::system();
        let config = read::read(&source)?;
        match &source.file {
            Some((name, _)) => tracing::info!("configured by `{name}`"),
            None => tracing::info!("no `{DEFAULT_FILE}` in this folder: the defaults hold"),
        }
        Ok(config)
    }

    /// Reads a configuration from TOML text; `name` is what messages call it. The environment has no part in it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str, name: &str) -> Result<Self> {
        read::read(&Source { file: Some((name.to_owned(), text.to_owned())), ..Source::default() })
    }

    /// Switches web sockets on or off, whatever is declared (rule R4); see [`use_sockets`](Self#structfield.use_sockets).
    #[must_use]
    pub fn use_sockets(mut self, on: bool) -> Self {
        self.use_sockets = Some(on);
        self
    }

    /// Where `serve()` listens: `address:port`.
    #[must_use]
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// Lets the pages of one more origin connect, as `https://app.example` (rule R14).
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a secret of at least 32 bytes for the session cookie. The first one encrypts; those added behind it still
    /// open cookies that were made with them.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.session.secret.push(secret.into());
        self
    }

    /// Keeps sessions in this store: `memory`, `sqlite://…`, `redis://…` or `postgres://…`.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.session.store = url.into();
        self
    }

    /// Connects the nodes through this server: `redis://…` or `postgres://…` (rule R16).
    #[must_use]
    pub fn backplane_url(mut self, url: impl Into<String>) -> Self {
        self.backplane.url = Some(url.into());
        self
    }

    /// Mounts a driver at a path (rule R2).
    #[must_use]
    pub fn channel(mut self, path: impl Into<String>, driver: impl Into<String>) -> Self {
        let entry = ChannelConfig { driver: Some(driver.into()), ..ChannelConfig::default() };
        self.channels.insert(path.into(), entry);
        self
    }

    /// Checks values that were set in code as those of a file are.
    pub(crate) fn check(&self) -> Result {
        let told =
            |fault: check::Fault| format!("{}: {}: {}", fault.place.unwrap_or(Place::Code), fault.key, fault.problem);
        let problems: Vec<String> = check::faults(self).into_iter().map(told).collect();
        if problems.is_empty() { Ok(()) } else { Err(Error::Config(problems)) }
    }
}

impl ChannelConfig {
    /// Where the entry was made, for messages: a file and line, a variable, or code.
    pub(crate) fn place(&self) -> impl fmt::Display {
        &self.place
    }
}

impl PartialEq for ChannelConfig {
    /// Wherever they were made.
    fn eq(&self, other: &Self) -> bool {
        (&self.driver, self.private, self.enabled) == (&other.driver, other.private, other.enabled)
    }
}

impl std::str::FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_toml(text, "configuration")
    }
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            use_sockets: None,
            bind: "127.0.0.1:3000".to_owned(),
            static_dir: None,
            metrics: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            channels: BTreeMap::new(),
            session: SessionConfig {
                store: "memory".to_owned(),
                cookie: "carolina.sid".to_owned(),
                secret: Vec::new(),
                user_key: "user_id".to_owned(),
                ttl: seconds(7 * 24 * 60 * 60),
                recheck: seconds(60),
                secure: None,
                domain: None,
                path: "/".to_owned(),
                same_site: SameSite::Lax,
            },
            backplane: BackplaneConfig { url: None, prefix: "carolina".to_owned() },
            limits: Limits {
                max_payload: 100_000,
                max_attachments: 10,
                mailbox: 256,
                mailbox_bytes: 1_000_000,
                send_queue: 1024,
                send_buffer: 1_000_000,
                header_bytes: 16_000,
                events_per_second: 100,
                connections: 100_000,
                connections_per_address: 1000,
                connect_timeout: seconds(10),
                body_timeout: seconds(30),
                handler_timeout: seconds(30),
                send_timeout: seconds(5),
                shutdown_timeout: seconds(10),
            },
            transport: TransportConfig {
                path: "/socket.io".to_owned(),
                ping_interval: seconds(25),
                ping_timeout: seconds(20),
                transports: vec![Transport::Polling, Transport::Websocket],
            },
        }
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self { driver: None, private: None, enabled: true, place: Place::Code }
    }
}
