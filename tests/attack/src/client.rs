//! Clients below the official ones: bytes on a stream.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long an answer is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A text frame's opcode, and a binary one's.
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;

/// A WebSocket that writes whatever it is told to.
pub(crate) struct WebSocket {
    pub(crate) stream: TcpStream,
}

/// A connection with a small receive buffer, so that a client which does not read is noticed.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(address).await
}

/// A frame as a client sends it, masked by zeros.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

impl WebSocket {
    /// Opens one. `query` is what follows the transport, `headers` are whole lines.
    pub(crate) async fn open(address: SocketAddr, query: &str, headers: &str) -> io::Result<Self> {
        let mut stream = connect(address).await?;
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(DEADLINE, stream.read_u8()).await??);
        }
        if head.starts_with(b"HTTP/1.1 101") {
            Ok(Self { stream })
        } else {
            Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()))
        }
    }

    /// Opens one and joins a channel.
    pub(crate) async fn join(address: SocketAddr, channel: &str) -> io::Result<Self> {
        let mut socket = Self::open(address, "", "").await?;
        socket.send(&format!("40{channel},")).await?;
        socket.expect(&format!("40{channel}")).await?;
        Ok(socket)
    }

    pub(crate) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(&frame(TEXT, text.as_bytes())).await
    }

    /// Writes as much as the server takes within this time.
    pub(crate) async fn push(&mut self, bytes: &[u8], within: Duration) {
        let _ = timeout(within, self.stream.write_all(bytes)).await;
    }

    /// The next text message. Pings are answered.
    pub(crate) async fn read(&mut self) -> io::Result<String> {
        loop {
            let (opcode, payload) = timeout(DEADLINE, self.read_frame()).await??;
            match opcode {
                TEXT if payload == b"2" => self.send("3").await?,
                TEXT => return Ok(String::from_utf8_lossy(&payload).into_owned()),
                8 => return Err(io::ErrorKind::ConnectionReset.into()),
                _ => {}
            }
        }
    }

    async fn read_frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await?;
        let length = match head[1] & 0x7f {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.stream.read_exact(&mut payload).await?;
        Ok((head[0] & 0x0f, payload))
    }

    /// Reads until a message begins like this.
    pub(crate) async fn expect(&mut self, beginning: &str) -> io::Result<String> {
        loop {
            let text = self.read().await?;
            if text.starts_with(beginning) {
                return Ok(text);
            }
        }
    }
}

/// Sends a request over a connection of its own, and returns the whole answer.
pub(crate) async fn http(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<String> {
    let mut stream = connect(address).await?;
    let length = body.len();
    let head = format!("{head}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The `sid` of a session that is opened by polling.
pub(crate) async fn open_polling(address: SocketAddr) -> io::Result<String> {
    let answer = http(address, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1", b"").await?;
    let sid = answer.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next());
    sid.map(str::to_owned).ok_or_else(|| io::Error::other(answer.clone()))
}

pub(crate) async fn poll(address: SocketAddr, sid: &str) -> io::Result<String> {
    http(address, &format!("GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1"), b"").await
}

pub(crate) async fn post(address: SocketAddr, sid: &str, body: &[u8]) -> io::Result<String> {
    http(address, &format!("POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1"), body).await
}
