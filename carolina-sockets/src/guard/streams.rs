//! TCP connections, counted where they are accepted: a client that sends no request at all takes an open file as well.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
#[cfg(feature = "serve")]
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

#[cfg(feature = "serve")]
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

#[cfg(feature = "tls")]
use tokio_rustls::{TlsAcceptor, server::TlsStream};

#[cfg(feature = "serve")]
use super::{Connections, Counted};
use super::{Permit, Turn, Turns};
#[cfg(feature = "serve")]
use crate::{config::Config, telemetry::refused};

/// An accepted TCP connection, counted until it is dropped.
pub(crate) struct AcceptedStream {
    stream: Carried,
    requests: Option<Box<Requests>>,
    _permit: Option<Permit>,
}

/// What a connection carries.
enum Carried {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TcpStream>>),
}

/// What holds for a connection while it is one of HTTP.
struct Requests {
    /// Writes that make no progress fail after this time: a client that does not read would otherwise hold its connection for ever.
    stall_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    turns: Turns,
    reading: Reading,
}

/// Clients [take turns](super::turns) with what they send: each time that something has arrived, and after so many bytes of it.
enum Reading {
    Nothing,
    Waits(Turn),
    /// So many bytes since its turn.
    Reads(usize),
}

/// How much is read at a turn.
const PER_TURN: usize = 16 * 1024;

impl AcceptedStream {
    /// The stream after an upgrade, whose new protocol has deadlines and turns of its own.
    pub(crate) fn upgraded(mut self) -> Self {
        self.requests = None;
        self
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(requests) = &mut self.requests else { return written };
        if written.is_ready() {
            requests.stalled = None;
            return written;
        }
        let timeout = requests.stall_timeout;
        let stalled = requests.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        stalled
            .as_mut()
            .poll(context)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }

    /// Waits until something has arrived and it is the client's turn.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(requests) = &mut self.requests else { return Poll::Ready(Ok(())) };
        loop {
            match &mut requests.reading {
                Reading::Nothing => {
                    ready!(self.stream.tcp().poll_read_ready(context))?;
                    requests.reading = Reading::Waits(requests.turns.next());
                }
                Reading::Waits(turn) => {
                    ready!(Pin::new(turn).poll(context));
                    requests.reading = Reading::Reads(0);
                }
                Reading::Reads(bytes) if *bytes >= PER_TURN => {
                    requests.reading = Reading::Waits(requests.turns.next());
                }
                Reading::Reads(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Carried {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

#[cfg(feature = "tls")]
impl AcceptedStream {
    /// The same connection under TLS, after the handshake. The limits on the connection hold during it.
    ///
    /// # Errors
    ///
    /// When the client does not finish the handshake as the protocol asks for.
    pub(crate) async fn into_tls(self, acceptor: &TlsAcceptor) -> io::Result<Self> {
        let Self { stream: Carried::Plain(stream), requests, _permit } = self else { return Ok(self) };
        let mut requests = requests;
        if let Some(requests) = &mut requests {
            // The costliest step of all.
            requests.turns.next().await;
            // What the first request begins with may have come with the end of the handshake.
            requests.reading = Reading::Reads(0);
        }
        let stream = Carried::Tls(Box::new(acceptor.accept(stream).await?));
        Ok(Self { stream, requests, _permit })
    }

    /// The first byte that the client sends, which stays to be read; `None` if it closes the connection.
    pub(crate) async fn peek(&self) -> io::Result<Option<u8>> {
        let Carried::Plain(stream) = &self.stream else { return Ok(None) };
        let mut first = [0];
        Ok((stream.peek(&mut first).await? > 0).then_some(first[0]))
    }
}

/// A stream of another server, which counts it in its own way or not at all.
impl From<TcpStream> for AcceptedStream {
    fn from(stream: TcpStream) -> Self {
        Self { stream: Carried::Plain(stream), requests: None, _permit: None }
    }
}

impl AsyncRead for AcceptedStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(context))?;
        let before = into.filled().len();
        let read = match &mut self.stream {
            Carried::Plain(stream) => Pin::new(stream).poll_read(context, into),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => Pin::new(stream).poll_read(context, into),
        };
        if let Some(Requests { reading, .. }) = self.requests.as_deref_mut() {
            match (&read, reading) {
                (Poll::Ready(Ok(())), Reading::Reads(bytes)) => *bytes += into.filled().len() - before,
                (_, reading) => *reading = Reading::Nothing,
            }
        }
        read
    }
}

impl AsyncWrite for AcceptedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Carried::Plain(stream) => Pin::new(stream).poll_write(context, data),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => Pin::new(stream).poll_write(context, data),
        };
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Carried::Plain(stream) => Pin::new(stream).poll_write_vectored(context, data),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => Pin::new(stream).poll_write_vectored(context, data),
        };
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Carried::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Carried::Plain(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => {
                // What was written may still be in the buffer of the TLS connection.
                let flushed = Pin::new(stream).poll_flush(context);
                self.watch(context, flushed)
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Carried::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "tls")]
            Carried::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Admits TCP connections within the limits.
#[cfg(feature = "serve")]
pub(crate) struct StreamGuard {
    streams: Arc<Connections>,
    trusted_proxies: Vec<IpNet>,
    stall_timeout: Duration,
    turns: Turns,
}

/// What a refused connection is answered, whatever it asks for.
#[cfg(feature = "serve")]
const REFUSAL: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 69\r\nconnection: close\r\n\r\n",
    r#"{"code":"overloaded","message":"the server has too many connections"}"#
);

#[cfg(feature = "serve")]
impl StreamGuard {
    /// For clients. Logs a warning if the process may not open as many files as the configuration allows connections; an
    /// information where only this machine can connect.
    pub(crate) fn new(config: &Config, turns: Turns) -> Self {
        let limits = &config.limits;
        let files = open_files();
        let (most, most_per_address) = most_streams(limits.connections, limits.connections_per_address, files);
        if let Some(files) = files.filter(|_| most < limits.connections) {
            let message = format!(
                "limits.connections is {}, but the process may open {files} files: it serves {most} TCP connections at most, \
                 {most_per_address} of one address; raise the limit (`ulimit -n`) or lower the setting",
                limits.connections
            );
            // While it is developed or tested, no such number of clients comes.
            if is_loopback(&config.bind) {
                tracing::info!("{message}");
            } else {
                tracing::warn!("{message}");
            }
        }
        Self {
            streams: Connections::new(Counted::Streams, most, most_per_address),
            trusted_proxies: config.trusted_proxies.clone(),
            stall_timeout: limits.body_timeout,
            turns,
        }
    }

    /// For a port that a few programs of the operator use.
    #[cfg(feature = "prometheus")]
    pub(crate) fn for_metrics(config: &Config) -> Self {
        Self {
            streams: Connections::new(Counted::Streams, METRICS_STREAMS, METRICS_STREAMS / 2),
            trusted_proxies: Vec::new(),
            stall_timeout: config.limits.body_timeout,
            turns: Turns::default(),
        }
    }

    /// Counts a connection. One that is beyond the limits is told so and closed.
    /// Where it speaks TLS, it is only closed.
    pub(crate) fn accept(&self, stream: TcpStream, from: SocketAddr, over_tls: bool) -> Option<AcceptedStream> {
        let address = from.ip().to_canonical();
        // The clients of a trusted proxy are counted one by one, by the addresses that it forwards.
        match self.streams.acquire(Some(address).filter(|address| !self.is_proxy(*address))) {
            Ok(permit) => {
                let requests = Requests {
                    stall_timeout: self.stall_timeout,
                    stalled: None,
                    turns: self.turns.clone(),
                    reading: Reading::Nothing,
                };
                let requests = Some(Box::new(requests));
                Some(AcceptedStream { stream: Carried::Plain(stream), requests, _permit: Some(permit) })
            }
            Err((cause, message)) => {
                refused(cause, &message);
                // Into the empty send buffer of a new connection. If that fails, the client only sees it closed.
                if !over_tls && let Ok(mut stream) = stream.into_std() {
                    let _ = io::Write::write(&mut stream, REFUSAL.as_bytes());
                }
                None
            }
        }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }
}

/// Whether only programs of this machine can connect to this `address:port`.
#[cfg(feature = "serve")]
fn is_loopback(bind: &str) -> bool {
    match bind.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => bind.rsplit_once(':').is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
    }
}

/// How many TCP connections the metrics port has.
#[cfg(feature = "prometheus")]
const METRICS_STREAMS: usize = 32;

/// How many TCP connections there may be, in all and of one address, when the process may open so many files.
///
/// A polling client has two at a time, and a page's files take some more, so these are more than the limits on clients.
/// Some files stay free for what the server opens itself. If there are too few files, one address gets half of the
/// connections at most, unless the configuration sets no limit of its own for an address.
#[cfg(feature = "serve")]
fn most_streams(connections: usize, per_address: usize, files: Option<usize>) -> (usize, usize) {
    let streams = |clients: usize| clients.saturating_mul(2).saturating_add(16);
    let (most, most_per_address) = (streams(connections), streams(per_address));
    let free = files.map(|files| files.saturating_sub((files / 8).clamp(64, 1024)).max(8));
    match free.filter(|free| *free < most) {
        Some(free) if per_address < connections => (free, most_per_address.min(free / 2)),
        Some(free) => (free, most_per_address),
        None => (most, most_per_address),
    }
}

/// How many TCP connections the process would serve with this configuration.
#[cfg(feature = "cli")]
pub(crate) fn most_connections(config: &Config) -> usize {
    most_streams(config.limits.connections, config.limits.connections_per_address, open_files()).0
}

/// How many files the process may open, if that can be found out and is limited.
#[cfg(feature = "serve")]
pub(crate) fn open_files() -> Option<usize> {
    parse_open_files(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

#[cfg(feature = "serve")]
fn parse_open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use super::*;

    #[test]
    fn r14_one_address_gets_half_of_too_few_files() {
        assert_eq!(most_streams(100_000, 1000, None), (200_016, 2016));
        assert_eq!(most_streams(100_000, 1000, Some(1_048_576)), (200_016, 2016));
        assert_eq!(most_streams(100_000, 1000, Some(1024)), (896, 448));
        assert_eq!(most_streams(100_000, 5, Some(256)), (192, 26));
        assert_eq!(most_streams(100_000, 100_000, Some(1024)), (896, 200_016));
        assert_eq!(most_streams(10, 5, Some(1024)), (36, 26));
        assert_eq!(most_streams(100_000, 1000, Some(20)), (8, 4));
    }

    #[test]
    fn loopback_addresses_are_recognized() {
        for (bind, expected) in [
            ("127.0.0.1:3000", true),
            ("127.8.0.1:0", true),
            ("[::1]:80", true),
            ("localhost:80", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("app.example:80", false),
        ] {
            assert_eq!(is_loopback(bind), expected, "{bind}");
        }
    }

    #[test]
    fn the_limit_of_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             31394                31394                processes \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(parse_open_files(limits), Some(1024));
        assert_eq!(parse_open_files("Max open files            unlimited            unlimited            files"), None);
        assert_eq!(parse_open_files(""), None);
        #[cfg(target_os = "linux")]
        assert!(open_files().is_some());
    }

    #[tokio::test]
    async fn all_that_is_ready_runs_between_two_requests() {
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
        use tokio::{
            io::{AsyncReadExt, AsyncWriteExt},
            net::TcpListener,
        };

        let guard = StreamGuard::new(&Config::default(), Turns::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut clients, mut streams) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, from) = listener.accept().await.unwrap();
            client.write_all(b"GET").await.unwrap();
            stream.readable().await.unwrap();
            clients.push(client);
            streams.push(guard.accept(stream, from, false).unwrap());
        }
        let others = Arc::new(AtomicUsize::new(0));
        let reading = streams.into_iter().map(|mut stream| {
            let others = others.clone();
            tokio::spawn(async move {
                stream.read_exact(&mut [0; 3]).await.unwrap();
                let before = others.load(Relaxed);
                for _ in 0..100 {
                    let others = others.clone();
                    tokio::spawn(async move { others.fetch_add(1, Relaxed) });
                }
                before
            })
        });
        let mut before = Vec::new();
        for read in reading.collect::<Vec<_>>() {
            before.push(read.await.unwrap());
        }
        assert_eq!(before, [0, 100, 200]);
    }

    #[test]
    fn a_refusal_has_the_length_that_it_says() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
