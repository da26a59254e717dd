//! A Socket.IO client over WebSocket.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::wire;

/// How long a client may take to get in, and to have its first event answered.
const CONNECT: Duration = Duration::from_secs(30);

/// How long an answer is waited for before its event is sent again.
const PROBE: Duration = Duration::from_millis(300);

/// What a client has room for before it has to grow: small, since there may be 10,000 of them.
const FIRST_BUFFER: usize = 2048;

/// Whether clients ask to resume, which is settled before the first.
pub(crate) static ASKS: AtomicBool = AtomicBool::new(false);

/// Before the library's own events, which are not what clients wait for.
const OWN: &[u8] = b"42[\"carolina:";

/// What a client comes back with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) pid: String,
    pub(crate) offset: String,
}

/// A client of namespace `/`.
pub(crate) struct Client {
    stream: TcpStream,
    /// Where it is, if it has asked to resume.
    pub(crate) place: Place,
    /// Events that came before it was let in.
    pub(crate) given: usize,
    input: Vec<u8>,
    /// What has arrived and was not read: `input[read..filled]`.
    read: usize,
    filled: usize,
    output: Vec<u8>,
    written: usize,
}

fn bad(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

impl Client {
    /// Connects and waits until the server has let it in.
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        Self::enter(TcpSocket::new_v4()?, server, "", Place::default()).await
    }

    /// The same in another namespace than `/`.
    pub(crate) async fn connect_to(server: SocketAddr, namespace: &str) -> io::Result<Self> {
        Self::enter(TcpSocket::new_v4()?, server, namespace, Place::default()).await
    }

    /// Joins a further namespace.
    pub(crate) async fn open(&mut self, namespace: &str) -> io::Result<()> {
        self.push(&[b"40", namespace.as_bytes(), b","]);
        self.joined(false).await
    }

    /// Leaves one of several namespaces. There is no answer.
    pub(crate) fn close(&mut self, namespace: &str) {
        self.push(&[b"41", namespace.as_bytes(), b","]);
    }

    /// Connects from this loopback address, and from the first free port at or behind `port`, which moves on: the
    /// kernel's own search for one takes longer than all the rest when there are thousands.
    pub(crate) async fn connect_from(server: SocketAddr, from: IpAddr, port: &Cell<u16>) -> io::Result<Self> {
        Self::come_back(server, from, port, Place::default()).await
    }

    /// The same, from where a client was before.
    pub(crate) async fn come_back(
        server: SocketAddr,
        from: IpAddr,
        port: &Cell<u16>,
        place: Place,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        loop {
            let bound = socket.bind((from, port.get()).into());
            port.set(port.get().checked_add(1).ok_or_else(|| bad(format!("{from} has no free ports left")))?);
            match bound {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                bound => break bound?,
            }
        }
        Self::enter(socket, server, "", place).await
    }

    async fn enter(socket: TcpSocket, server: SocketAddr, namespace: &str, place: Place) -> io::Result<Self> {
        let entering = async {
            let stream = socket.connect(server).await?;
            stream.set_nodelay(true)?;
            let (input, output) = (vec![0; FIRST_BUFFER], Vec::new());
            let mut client = Self { stream, place, given: 0, input, read: 0, filled: 0, output, written: 0 };
            client.upgrade(server).await?;
            client.join(namespace).await?;
            Ok(client)
        };
        timeout(CONNECT, entering).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer to CONNECT"))?
    }

    async fn upgrade(&mut self, server: SocketAddr) -> io::Result<()> {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.output.extend_from_slice(request.as_bytes());
        loop {
            self.exchange().await?;
            let head = &self.input[self.read..self.filled];
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                if !head.starts_with(b"HTTP/1.1 101") {
                    return Err(bad(format!("no WebSocket: {}", String::from_utf8_lossy(&head[..end]))));
                }
                self.read += end + 4;
                return Ok(());
            }
        }
    }

    async fn join(&mut self, namespace: &str) -> io::Result<()> {
        let open = self.next().await?;
        if !self.packet(open.clone()).starts_with(b"0{") {
            return Err(bad(format!("no open packet: {}", String::from_utf8_lossy(self.packet(open)))));
        }
        let asks = namespace.is_empty() && ASKS.load(Relaxed);
        match (namespace, asks, self.place.pid.is_empty()) {
            ("", false, _) => self.push(&[b"40"]),
            ("", true, true) => self.push(&[br#"40{"resume":true}"#]),
            ("", true, false) => {
                let Place { pid, offset } = &self.place;
                let packet = format!(r#"40{{"resume":true,"pid":"{pid}","offset":"{offset}"}}"#);
                self.push(&[packet.as_bytes()]);
            }
            (namespace, ..) => self.push(&[b"40", namespace.as_bytes(), b","]),
        }
        self.joined(asks).await
    }

    async fn joined(&mut self, asks: bool) -> io::Result<()> {
        loop {
            let packet = self.next().await?;
            match self.packet(packet.clone()) {
                packet if packet.starts_with(b"42") => self.given += 1,
                packet if packet.starts_with(b"40") => break self.let_in(asks, packet.to_owned()),
                other => return Err(bad(format!("not let in: {}", String::from_utf8_lossy(other)))),
            }
        }
    }

    fn let_in(&mut self, asks: bool, packet: Vec<u8>) -> io::Result<()> {
        if asks {
            let text = String::from_utf8_lossy(&packet);
            let pid = text.split_once("\"pid\":\"").and_then(|(_, after)| after.split_once('"'));
            self.place.pid = pid.ok_or_else(|| bad(format!("the server does not resume: {text}")))?.0.to_owned();
        }
        Ok(())
    }

    /// Keeps the offset of a packet that was just taken.
    pub(crate) fn keep_offset(&mut self, range: Range<usize>) {
        if let Some(offset) = wire::offset(&self.input[range]) {
            self.place.offset.clear();
            self.place.offset.push_str(offset);
        }
    }

    /// Waits until events are answered. A server may arm its handlers only after it has let a client in, and drop what
    /// comes in between; such a server is measured too, so what is dropped is sent again.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        let probing = async {
            for attempt in 0.. {
                self.push(&[br#"420["echo","?"]"#]);
                match timeout(PROBE, self.next()).await {
                    Ok(Err(error)) => return Err(error),
                    Ok(Ok(_)) if attempt == 0 => break,
                    // The probes before it may still be answered, and must not be taken for answers to what follows.
                    Ok(Ok(_)) => match timeout(PROBE, self.idle()).await {
                        Ok(error) => return Err(error),
                        Err(_) => break,
                    },
                    Err(_) => {}
                }
            }
            Ok(())
        };
        timeout(CONNECT, probing).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer to `echo`"))?
    }

    /// Sends an event and waits for its answer, a JSON array.
    pub(crate) async fn request(&mut self, event: &str, argument: &str) -> io::Result<String> {
        let event = format!(r#"420["{event}",{argument}]"#);
        self.push(&[event.as_bytes()]);
        let answer = self.next().await?;
        match wire::acknowledgement(self.packet(answer.clone())) {
            Some((0, answer)) => Ok(String::from_utf8_lossy(answer).into_owned()),
            _ => Err(bad(format!("no answer to {event}: {}", String::from_utf8_lossy(self.packet(answer))))),
        }
    }

    /// Puts a packet into the buffer; [`exchange`](Self::exchange) sends it.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) {
        wire::push_frame(&mut self.output, wire::TEXT, parts);
    }

    /// Puts frames into the buffer that were made before.
    pub(crate) fn push_frames(&mut self, frames: &[u8]) {
        self.output.extend_from_slice(frames);
    }

    /// How many bytes wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len() - self.written
    }

    /// The next packet, sending and receiving until there is one. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> io::Result<Range<usize>> {
        loop {
            if let Some(packet) = self.take()? {
                return Ok(packet);
            }
            self.exchange().await?;
        }
    }

    /// The next packet that has arrived, if one has. What keeps the connection alive is answered here.
    pub(crate) fn take(&mut self) -> io::Result<Option<Range<usize>>> {
        while let Some(frame) = wire::read_frame(&self.input[..self.filled], self.read)? {
            self.read = frame.payload.end;
            match (frame.opcode, self.input[frame.payload.clone()].first()) {
                (wire::TEXT, Some(b'2')) => self.push(&[b"3"]),
                (wire::TEXT, Some(b'6')) => {}
                (wire::TEXT, Some(b'1')) | (wire::CLOSE, _) => return Err(io::ErrorKind::ConnectionAborted.into()),
                (wire::TEXT, Some(_)) if self.input[frame.payload.clone()].starts_with(OWN) => {
                    self.keep_offset(frame.payload);
                }
                (wire::TEXT, Some(_)) => return Ok(Some(frame.payload)),
                (wire::PING, _) => {
                    let Self { input, output, .. } = self;
                    wire::push_frame(output, wire::PONG, &[&input[frame.payload]]);
                }
                (wire::PONG, _) => {}
                (opcode, _) => return Err(bad(format!("a frame of kind {opcode}"))),
            }
        }
        Ok(None)
    }

    /// Gives back the memory of a large packet. Only when all that has arrived was read.
    pub(crate) fn shrink(&mut self) {
        if self.read == self.filled && self.input.len() > 8 * FIRST_BUFFER {
            (self.input, self.read, self.filled) = (vec![0; FIRST_BUFFER], 0, 0);
        }
    }

    /// The bytes of a packet that was just taken.
    pub(crate) fn packet(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Sends what there is to send, and waits until something has arrived. May be dropped and called again.
    pub(crate) async fn exchange(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_exchange(context)).await
    }

    /// Waits until all is sent or something has arrived, whichever is first.
    pub(crate) async fn send_or_receive(&mut self) -> io::Result<()> {
        poll_fn(|context| match self.poll_send(context) {
            Poll::Ready(sent) => Poll::Ready(sent),
            Poll::Pending => self.poll_exchange(context),
        })
        .await
    }

    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        self.input.copy_within(self.read..self.filled, 0);
        self.filled -= self.read;
        self.read = 0;
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        let mut space = ReadBuf::new(&mut self.input[self.filled..]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut space))?;
        match space.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            count => {
                self.filled += count;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let unsent = &self.output[self.written..];
            self.written += ready!(Pin::new(&mut self.stream).poll_write(context, unsent))?;
        }
        self.output.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Answers pings until the connection ends; other packets are dropped.
    pub(crate) async fn idle(&mut self) -> io::Error {
        loop {
            if let Err(error) = self.next().await {
                return error;
            }
        }
    }

    /// Leaves as a well-behaved client does.
    pub(crate) async fn leave(mut self) -> io::Result<()> {
        self.push(&[b"41"]);
        wire::push_frame(&mut self.output, wire::CLOSE, &[&1000u16.to_be_bytes()]);
        poll_fn(|context| self.poll_send(context)).await
    }
}
