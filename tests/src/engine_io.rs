//! Requests and WebSockets of Engine.IO clients, as they are on the wire: nothing is answered or left out.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::frame::coding::CloseCode},
};

/// An answer's status and body.
pub type Answer = (u16, String);

/// A connection for one request after the other.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects to a service that listens at `url`.
    pub async fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).await.expect("the service listens");
        stream.set_nodelay(true).expect("an open connection");
        Self(BufReader::new(stream))
    }

    /// Sends a request with this query.
    pub async fn send(&mut self, method: &str, query: &str, body: &str) {
        let length = body.len();
        let request =
            format!("{method} /socket.io/?{query} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}");
        self.0.write_all(request.as_bytes()).await.expect("the service takes the request");
    }

    /// Reads the answer.
    pub async fn receive(&mut self) -> Answer {
        let received = tokio::time::timeout(crate::DEADLINE, async {
            let (mut status, mut length) = (None, 0);
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line).await.expect("an answer");
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                status = status.or_else(|| line.split(' ').nth(1).and_then(|status| status.parse().ok()));
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.expect("the whole body");
            (status.expect("an answer with a status"), String::from_utf8(body).expect("text"))
        });
        received.await.expect("the service answers in time")
    }

    /// Sends a request and reads the answer.
    pub async fn request(&mut self, method: &str, query: &str, body: &str) -> Answer {
        self.send(method, query, body).await;
        self.receive().await
    }
}

/// A request over a connection of its own.
pub async fn request(url: &str, method: &str, query: &str, body: &str) -> Answer {
    Connection::open(url).await.request(method, query, body).await
}

/// A session that polls: one connection for what it fetches, one for what it posts.
#[derive(Debug)]
pub struct Polling {
    sid: String,
    fetching: Connection,
    posting: Connection,
}

impl Polling {
    /// Opens one.
    pub async fn open(url: &str) -> Self {
        let mut fetching = Connection::open(url).await;
        let (status, body) = fetching.request("GET", "EIO=4&transport=polling", "").await;
        assert_eq!(status, 200, "{body}");
        let open: serde_json::Value = serde_json::from_str(&body[1..]).expect("an open packet");
        let sid = open["sid"].as_str().expect("a session id").to_owned();
        Self { sid, fetching, posting: Connection::open(url).await }
    }

    /// The id that its requests name.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The query of its requests.
    pub fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    /// The query that upgrades it.
    pub fn upgrade(&self) -> String {
        format!("EIO=4&transport=websocket&sid={}", self.sid)
    }

    /// Polls once.
    pub async fn fetch(&mut self) -> Answer {
        let query = self.query();
        self.fetching.request("GET", &query, "").await
    }

    /// Sends packets.
    pub async fn post(&mut self, packets: &str) -> Answer {
        let query = self.query();
        self.posting.request("POST", &query, packets).await
    }

    /// Posts while it polls; returns what was fetched.
    pub async fn post_while_polling(&mut self, packets: &str) -> Answer {
        let query = self.query();
        self.fetching.send("GET", &query, "").await;
        let posted = self.posting.request("POST", &query, packets).await;
        assert_eq!(posted, (200, "ok".to_owned()));
        self.fetching.receive().await
    }

    /// Fetches until a packet begins like this, and returns it. Answers pings.
    pub async fn expect(&mut self, beginning: &str) -> String {
        loop {
            let (status, body) = self.fetch().await;
            assert_eq!(status, 200, "{body}");
            if body.split('\x1e').any(|packet| packet == "2") {
                self.post("3").await;
            }
            if let Some(packet) = body.split('\x1e').find(|packet| packet.starts_with(beginning)) {
                return packet.to_owned();
            }
        }
    }
}

/// A WebSocket.
#[derive(Debug)]
pub struct Websocket(WebSocketStream<TcpStream>);

impl Websocket {
    /// Opens one with this query; the error is the status of the refusal.
    pub async fn open(url: &str, query: &str) -> Result<Self, u16> {
        let host = url.trim_start_matches("http://");
        let stream = TcpStream::connect(host).await.expect("the service listens");
        stream.set_nodelay(true).expect("an open connection");
        match tokio_tungstenite::client_async(format!("ws://{host}/socket.io/?{query}"), stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a session of its own, past the open packet.
    pub async fn open_session(url: &str) -> Self {
        let mut socket = Self::open(url, "EIO=4&transport=websocket").await.expect("a session");
        assert!(socket.text().await.starts_with('0'));
        socket
    }

    /// Sends a text message; a connection that has ended is no error.
    pub async fn send(&mut self, text: &str) {
        let _ = self.0.send(Message::text(text)).await;
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        let _ = self.0.send(Message::binary(bytes.to_vec())).await;
    }

    /// The next message; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(crate::DEADLINE, self.0.next()).await.expect("a message or the end in time");
        next.and_then(Result::ok).filter(|message| !message.is_close())
    }

    /// The next message, which is text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("{other:?} in place of text"),
        }
    }

    /// The next message, which is binary.
    pub async fn binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("{other:?} in place of bytes"),
        }
    }

    /// Reads up to the close frame, and returns its status and reason.
    pub async fn expect_close(&mut self) -> (CloseCode, String) {
        loop {
            let next = tokio::time::timeout(crate::DEADLINE, self.0.next()).await.expect("a message in time");
            if let Message::Close(frame) = next.expect("a close frame before the end").expect("a connection in order") {
                let frame = frame.expect("a close frame with a status");
                return (frame.code, frame.reason.to_string());
            }
        }
    }

    /// Reads to the end. Fails the test when it does not come.
    pub async fn expect_end(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Nothing comes for a while.
    pub async fn expect_nothing(&mut self, time: Duration) {
        let next = tokio::time::timeout(time, self.0.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    /// Cuts the connection, without a close frame.
    pub fn abort(self) {
        drop(self);
    }
}
