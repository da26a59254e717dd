//! Clients below the official ones: raw WebSockets and raw requests, for what no proper client does.

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

/// A WebSocket that reads only when it is told to.
#[derive(Debug)]
pub struct RawSocket(WebSocketStream<TcpStream>);

impl RawSocket {
    /// Opens one to a service that listens at `url`, with a small receive buffer.
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, None).await
    }

    /// The same with a cookie.
    pub async fn open_with(url: &str, cookie: Option<&str>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Self::open_by(socket, url, cookie).await
    }

    /// Opens one with a receive buffer of the usual size, which does not slow down what is read at once.
    pub async fn open_fast(url: &str) -> Self {
        Self::open_by(TcpSocket::new_v4().expect("a socket"), url, None).await
    }

    async fn open_by(socket: TcpSocket, url: &str, cookie: Option<&str>) -> Self {
        let host = url.trim_start_matches("http://");
        let stream = socket.connect(host.parse().expect("an address")).await.expect("the service listens");
        let mut request =
            format!("ws://{host}/socket.io/?EIO=4&transport=websocket").into_client_request().expect("a request");
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", cookie.parse().expect("a cookie"));
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
        Self(socket)
    }

    /// Opens one and joins a channel, up to the answer.
    pub async fn join(url: &str, channel: &str) -> Self {
        Self::join_with(url, channel, None).await
    }

    /// The same with a cookie.
    pub async fn join_with(url: &str, channel: &str, cookie: Option<&str>) -> Self {
        let mut socket = Self::open_with(url, cookie).await;
        socket.also_join(channel).await;
        socket
    }

    /// Joins a further channel with a payload.
    pub async fn also_join_with(&mut self, channel: &str, auth: &str) {
        self.send(&format!("40{channel},{auth}")).await;
        self.expect("40").await;
    }

    /// Joins a further channel.
    pub async fn also_join(&mut self, channel: &str) {
        self.send(&format!("40{channel},")).await;
        loop {
            let text = self.read().await.expect("the connection lives");
            if text.starts_with("40") {
                return;
            }
            assert!(!text.starts_with("44"), "{text}");
        }
    }

    /// Reads until a message begins like this, and returns it; others are dropped. Fails the test at its deadline.
    pub async fn expect(&mut self, beginning: &str) -> String {
        let found = tokio::time::timeout(crate::DEADLINE, async {
            loop {
                let text = self.read().await.unwrap_or_else(|| panic!("the connection ended before `{beginning}`"));
                if text.starts_with(beginning) {
                    return text;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("`{beginning}` did not come"))
    }

    /// Sends a text message; `false` when the connection has ended.
    pub async fn send(&mut self, text: &str) -> bool {
        self.0.send(Message::Text(text.into())).await.is_ok()
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> bool {
        self.0.send(Message::Binary(bytes.into())).await.is_ok()
    }

    /// Sends bytes below the protocol: frames, or parts of them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).await.is_ok()
    }

    /// Reads the next text message; `None` at the end.
    pub async fn read(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) if text.as_str() == "2" => {
                    self.send("3").await;
                }
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Fetches a page, head and body.
pub async fn get(url: &str) -> String {
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a host and a path");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(host).await.expect("the service listens");
    stream.write_all(request.as_bytes()).await.expect("it takes the request");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crate::DEADLINE, stream.read_to_end(&mut answer)).await;
    read.expect("it answers in time").expect("it closes in order");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes over a new connection and reads the head of the answer, or what comes until the connection ends.
pub async fn exchange(url: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.expect("the service listens");
    // The service may have closed it already, which is an answer too.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crate::DEADLINE, async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            // An error is the end as well: it may be closed with bytes of ours unread.
            let Ok(1..) = stream.read_buf(&mut answer).await else { return };
        }
    });
    read.await.expect("it answers or closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}
