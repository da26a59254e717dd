//! Asks a service over the loopback address what its clients, its balancer and hostile pages would.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::Findings;
use crate::{
    config::Config,
    service::{Listening, Sockets, run},
};

/// An address that no client has (RFC 5737).
const ELSEWHERE: &str = "203.0.113.7";

/// A page that no application allows.
const FOREIGN: &str = "https://foreign.invalid";

/// Serves on a free port, and asks.
///
/// # Errors
///
/// When the service does not answer.
pub(super) async fn itself(
    sockets: Sockets,
    config: &Config,
    router: axum::Router,
    findings: &mut Findings,
) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let listening = Listening::new(listener, config).map_err(io::Error::other)?;
    let stop = CancellationToken::new();
    let is_on = sockets.is_on();
    let serving = tokio::spawn(run(sockets, router, listening, stop.clone().cancelled_owned()));
    let host = config.hosts.first().cloned().unwrap_or_else(|| format!("127.0.0.1:{port}"));
    let asked = ask_all(&Asker { port, host }, config, is_on, findings).await;
    stop.cancel();
    // `drain` is not waited for.
    serving.abort();
    asked
}

async fn ask_all(asker: &Asker, config: &Config, is_on: bool, findings: &mut Findings) -> io::Result<()> {
    if let Some(health) = &config.health {
        match asker.get(&health.ready, &[]).await? {
            200 => findings.ok(format!("{} says that it takes clients", health.ready)),
            status => findings.error(format!(
                "{} is answered with {status}: the service would take no clients; what it waits for is in the log",
                health.ready
            )),
        }
    }
    if !is_on {
        return Ok(());
    }
    let handshake = format!("{}/?EIO=4&transport=polling", config.transport.path.trim_end_matches('/'));
    let loopback = std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
    let is_proxy = config.trusted_proxies.iter().any(|net| net.contains(&loopback));
    // What a proxy on this machine has to send.
    let forwarded = [("x-forwarded-for", ELSEWHERE)];
    let plain: &[(&str, &str)] = if is_proxy { &forwarded } else { &[] };
    let ask = async |more: &[(&str, &str)]| asker.get(&handshake, &[plain, more].concat()).await;
    match ask(&[]).await? {
        200 => findings.ok("a client is let in"),
        status => findings.error(format!("a client that connects gets {status}: see the log for the reason")),
    }
    match ask(&[("origin", FOREIGN)]).await? {
        403 => findings.ok("a page of another origin is refused"),
        status => {
            findings.error(format!("a page of {FOREIGN} gets {status}: it has to be refused; remove it from `origins`"))
        }
    }
    for origin in &config.origins {
        match ask(&[("origin", origin)]).await? {
            200 => findings.ok(format!("pages of {origin} are let in")),
            status => findings
                .error(format!("a page of {origin}, which is in `origins`, gets {status}; see the log for the reason")),
        }
    }
    if is_proxy {
        match asker.get(&handshake, &[]).await? {
            200 => findings.ok("a proxy on this machine is believed"),
            status => findings
                .error(format!("trusted_proxies: a proxy on this machine that sends no X-Forwarded-For gets {status}")),
        }
        if asker.get(&handshake, &[("x-forwarded-for", "unknown")]).await? == 400 {
            findings.ok("a forwarded address that cannot be read is refused");
        }
    }
    Ok(())
}

struct Asker {
    port: u16,
    host: String,
}

impl Asker {
    /// The status of the response.
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> io::Result<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n", self.host);
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        let head = String::from_utf8_lossy(&response);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its answer is not HTTP"))
    }
}
