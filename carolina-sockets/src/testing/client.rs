use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::Location,
    sync::Arc,
    time::Duration,
};

use axum::extract::ConnectInfo;
use http::{HeaderName, HeaderValue, Request, header};
use serde::{Serialize, de::DeserializeOwned};
use socketioxide_core::{
    Value,
    packet::{Packet, PacketData},
    parser::Parse,
};
use socketioxide_parser_common::CommonParser;
use tokio::{sync::mpsc, time::Instant};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    check_equal,
    error::ClientError,
    jar::Jar,
    wire::{Incoming, Wire},
};
use crate::{
    backplane,
    channel::ChannelHandle,
    engine::{Answer, Payload},
    error::Error,
    http::Session,
    service::Sockets,
    suggest::did_you_mean,
};

/// How long a client waits for a packet.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// How many characters of data a message shows.
const SHOWN: usize = 200;
/// A path at which nothing is mounted: the server answers a CONNECT to it after everything that it has sent before.
const UNMOUNTED: &str = "/carolina-sockets-testing-unmounted";

/// A test client's handshake, and its HTTP requests.
///
/// It keeps cookies as a browser does, whatever their path and domain: those that responses to [`http`](Self::http) set are sent with later
/// requests and handshakes. Its clones, and the clients that it connects, share them, as the tabs of a browser do.
#[derive(Clone)]
#[must_use = "a client is made by `connect`"]
pub struct ClientBuilder {
    sockets: Sockets,
    router: axum::Router,
    headers: Vec<(String, String)>,
    jar: Jar,
    query: String,
    auth: Option<serde_json::Value>,
    address: IpAddr,
}

impl ClientBuilder {
    pub(super) fn new(sockets: Sockets, router: axum::Router) -> Self {
        Self {
            sockets,
            router,
            headers: Vec::new(),
            jar: Jar::default(),
            query: String::new(),
            auth: None,
            address: Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Adds a header to the handshake.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a cookie, its value as a browser would send it. Clones that were made before do not have it.
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.jar = self.jar.copy();
        self.jar.set(name, value);
        self
    }

    /// The value of a cookie that was set by a response or by [`cookie`](Self::cookie).
    pub fn cookie_value(&self, name: &str) -> Option<String> {
        self.jar.get(name)
    }

    /// Sends an HTTP request to the routes, with the cookies, and keeps those that the response sets.
    pub async fn http(&self, mut request: Request<axum::body::Body>) -> http::Response<axum::body::Body> {
        self.jar.add_to(request.headers_mut());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.address, 0)));
        let mut app = self.sockets.layer().layer(self.router.clone().layer(self.sockets.session_layer()));
        let response = match app.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        self.jar.keep(response.headers());
        response
    }

    /// Logs a user in: a session under a new id, whose `session.user_key` is this text or whole number, and its cookie. Sockets of
    /// this client that are connected follow, as with a log-in by the application's own route (rule R11). An application's own
    /// [`Identify`](crate::Identify) sees the session only if it reads it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Invalid`] when the user is neither a text nor a whole number, or the session store fails.
    pub async fn login_as(&self, user: impl Serialize) -> Result<(), ClientError> {
        let user = serde_json::to_value(user).map_err(|error| ClientError::Invalid(error.to_string()))?;
        if !user.is_string() && !user.is_i64() && !user.is_u64() {
            return Err(ClientError::Invalid(format!("the user is {user}, and has to be a text or a whole number")));
        }
        let key = self.sockets.config().session.user_key.clone();
        self.with_session(async move |session: Session| {
            session.cycle_id().await?;
            session.insert(&key, user).await
        })
        .await
    }

    /// Ends the session, which logs its user out.
    ///
    /// # Errors
    ///
    /// [`ClientError::Invalid`] when the session store fails.
    pub async fn logout(&self) -> Result<(), ClientError> {
        self.with_session(async |session: Session| session.flush().await).await
    }

    /// Changes the session as a route of the application would.
    async fn with_session<F>(
        &self,
        change: impl FnOnce(Session) -> F + Clone + Send + Sync + 'static,
    ) -> Result<(), ClientError>
    where
        F: Future<Output = Result<(), tower_sessions::session::Error>> + Send + 'static,
    {
        let route = axum::Router::new().fallback(async move |session: Session| {
            change(session).await.map_err(|error| (http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        });
        let response = Self { router: route, ..self.clone() }.http(Request::new(axum::body::Body::empty())).await;
        if response.status().is_success() {
            return Ok(());
        }
        let text = axum::body::to_bytes(response.into_body(), 64 * 1024).await.unwrap_or_default();
        Err(ClientError::Invalid(format!("the session could not be changed: {}", String::from_utf8_lossy(&text))))
    }

    /// Adds a parameter, percent-encoded, to the handshake's query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query = format!("{}&{name}={value}", self.query);
        self
    }

    /// The `auth` payload.
    ///
    /// # Panics
    ///
    /// When it does not serialize.
    pub fn auth(mut self, auth: impl Serialize) -> Self {
        self.auth = Some(serde_json::to_value(auth).expect("`auth` must serialize"));
        self
    }

    /// The address it comes from; `127.0.0.1` by default.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Connects and joins a channel.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the service or the channel does not let it in, [`ClientError::Timeout`] when neither happens within
    /// 5 seconds, [`ClientError::Disconnected`] when the connection is closed instead, [`ClientError::Invalid`] for a header that HTTP does not allow.
    pub async fn connect(self, channel: &str) -> Result<Client, ClientError> {
        let base = &self.sockets.config().transport.path;
        let mut request = Request::get(format!("{base}/?EIO=4&transport=websocket{}", self.query));
        let host = self.sockets.config().hosts.first().map_or("localhost", String::as_str);
        request = request.header(header::HOST, host);
        for (name, value) in &self.headers {
            let name: HeaderName =
                name.parse().map_err(|error| ClientError::Invalid(format!("header `{name}`: {error}")))?;
            let value = HeaderValue::from_str(value);
            request = request.header(name, value.map_err(|error| ClientError::Invalid(format!("a header: {error}")))?);
        }
        let request = request.body(()).map_err(|error| ClientError::Invalid(error.to_string()))?;
        let (mut parts, ()) = request.into_parts();
        self.jar.add_to(&mut parts.headers);
        parts.extensions.insert(ConnectInfo(SocketAddr::new(self.address, 0)));
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        if let Some(engine) = self.sockets.engine() {
            engine
                .connect_in_memory(theirs, parts)
                .map_err(|refusal| ClientError::Refused { code: refusal.code.to_owned(), message: refusal.message })?;
        }
        let wire = Arc::new(Wire::connect(ours).await);
        Client::join(wire, channel, self).await
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A test client on a channel.
///
/// Events are kept until they are expected, so that expectations may come in any order. Every wait is limited to 5
/// seconds; see [`deadline`](Self::deadline). It disconnects when it, and every other client on its connection, is
/// dropped.
#[derive(Debug)]
pub struct Client {
    /// For further connections and requests.
    builder: ClientBuilder,
    wire: Arc<Wire>,
    channel: String,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    events: VecDeque<(String, Value, Option<i64>)>,
    /// By acknowledgement id; `None` once it has been returned.
    answers: HashMap<i64, Option<Value>>,
    next_ack: i64,
    ended: bool,
    deadline: Duration,
}

impl Client {
    async fn join(wire: Arc<Wire>, channel: &str, builder: ClientBuilder) -> Result<Self, ClientError> {
        let mut incoming = wire.listen(channel);
        let auth = builder.auth.as_ref().map(|auth| Value::Str(auth.to_string().into(), None));
        wire.send(Packet { ns: channel.to_owned().into(), inner: PacketData::Connect(auth) });
        match tokio::time::timeout(DEADLINE, incoming.recv()).await {
            Ok(Some(Incoming::Connected)) => Ok(Self {
                builder,
                wire,
                channel: channel.to_owned(),
                incoming,
                events: VecDeque::new(),
                answers: HashMap::new(),
                next_ack: 0,
                ended: false,
                deadline: DEADLINE,
            }),
            Ok(Some(Incoming::Refused(text))) => Err(match builder.sockets.channel(channel) {
                // The engine says no more than this.
                Err(error @ Error::UnknownChannel { .. }) if text == "Invalid namespace" => {
                    unknown_channel(&builder.sockets, channel, &text, &error)
                }
                _ => ClientError::refused(&text),
            }),
            Ok(_) => Err(ClientError::Disconnected),
            Err(_) => Err(ClientError::Timeout(format!("to join `{channel}`"))),
        }
    }

    /// Joins a further channel over the same connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the channel refuses it.
    pub async fn channel(&self, channel: &str) -> Result<Client, ClientError> {
        let builder = ClientBuilder { auth: None, ..self.builder.clone() };
        Self::join(self.wire.clone(), channel, builder).await
    }

    /// As [`channel`](Self::channel), with an `auth` payload.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the channel refuses it.
    pub async fn channel_with(&self, channel: &str, auth: impl Serialize) -> Result<Client, ClientError> {
        let auth = serde_json::to_value(auth).map_err(|error| ClientError::Invalid(error.to_string()))?;
        let builder = ClientBuilder { auth: Some(auth), ..self.builder.clone() };
        Self::join(self.wire.clone(), channel, builder).await
    }

    /// Ends the client and connects again to the same channel, with the same handshake and the cookies it has now. Its
    /// connection closes unless it has clients on other channels.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::connect`].
    pub async fn reconnect(self) -> Result<Client, ClientError> {
        let Self { builder, wire, channel, deadline, .. } = self;
        wire.send(Packet::disconnect(channel.clone()));
        drop(wire);
        let mut client = builder.connect(&channel).await?;
        client.deadline = deadline;
        Ok(client)
    }

    /// Its cookies, and the requests that it sends by HTTP.
    pub fn browser(&self) -> &ClientBuilder {
        &self.builder
    }

    /// Sets how long whatever is expected from here on is waited for; 5 seconds by default.
    pub fn deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Sends an event without asking for an acknowledgement. A tuple becomes several arguments.
    ///
    /// # Errors
    ///
    /// [`ClientError::Invalid`] when the data does not serialize.
    pub async fn emit(&mut self, event: &str, data: impl Serialize) -> Result<(), ClientError> {
        self.write(event, &data, None)
    }

    /// Sends an event and waits for its acknowledgement: `T` is its first argument; a tuple takes several, `()` none.
    ///
    /// # Errors
    ///
    /// [`ClientError::Rejected`] when the event failed, [`ClientError::Timeout`] and [`ClientError::Disconnected`] when no
    /// answer came, [`ClientError::Invalid`] when the data does not serialize or the answer does not read as `T`.
    pub async fn request<T: DeserializeOwned>(&mut self, event: &str, data: impl Serialize) -> Result<T, ClientError> {
        let ack = self.send_request(event, data)?;
        self.answer(ack).await
    }

    /// Sends an event that requests an acknowledgement; [`answer`](Self::answer) waits for it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Invalid`] when the data does not serialize.
    pub fn send_request(&mut self, event: &str, data: impl Serialize) -> Result<i64, ClientError> {
        let ack = self.next_ack;
        self.next_ack += 1;
        self.write(event, &data, Some(ack))?;
        Ok(ack)
    }

    /// Waits for the answer to [`send_request`](Self::send_request).
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub async fn answer<T: DeserializeOwned>(&mut self, ack: i64) -> Result<T, ClientError> {
        let until = Instant::now() + self.deadline;
        loop {
            if let Some(answer) = self.answers.get_mut(&ack).and_then(Option::take) {
                return read_answer(answer, ack);
            }
            self.receive(until, "an acknowledgement").await?;
        }
    }

    /// Waits for an event and returns its data: the first argument, or several as a tuple. Others that arrive
    /// meanwhile are kept.
    ///
    /// The type that it is read as is that of the variable, also for a list:
    ///
    /// ```
    /// # use carolina_sockets::{MainChannel, Sockets, testing::TestService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TestService::start(Sockets::builder().discover(false).mount::<MainChannel>("/")).await?;
    /// let mut client = service.connect("/").await?;
    /// service.sockets().channel("/")?.emit("names", vec!["Ada", "Grace"]).await?;
    /// let names: Vec<String> = client.expect("names").await?;
    /// assert_eq!(names, ["Ada", "Grace"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::Timeout`] and [`ClientError::Disconnected`] when it did not arrive, [`ClientError::Invalid`] when
    /// its data does not deserialize into `T`.
    pub async fn expect<T: DeserializeOwned>(&mut self, event: &str) -> Result<T, ClientError> {
        let (data, _) = self.take(event).await?;
        read(data, event)
    }

    /// Waits for an event and checks that it has this data; a tuple, as well as an array, is several arguments, and a list is a `Vec` or a slice.
    /// See [`expect`](Self::expect).
    ///
    /// ```
    /// # use carolina_sockets::{MainChannel, Sockets, testing::TestService};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TestService::start(Sockets::builder().discover(false).mount::<MainChannel>("/")).await?;
    /// let mut client = service.connect("/").await?;
    /// service.sockets().channel("/")?.emit("names", vec!["Ada", "Grace"]).await?;
    /// client.assert_emitted("names", vec!["Ada", "Grace"]).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When the event does not come before the [`deadline`](Self::deadline), or has other data.
    #[track_caller]
    pub fn assert_emitted(&mut self, event: &str, data: impl Serialize) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let came = match self.take(event).await {
                Ok((came, _)) => backplane::encode(&came).unwrap_or_default(),
                Err(error) => panic!("{at}: `{event}` on `{}`: {error}", self.channel),
            };
            check_equal(at, &format!("on `{}` came", self.channel), event, &came, &data);
        }
    }

    /// Waits for an event and acknowledges it.
    ///
    /// # Errors
    ///
    /// As [`expect`](Self::expect); [`ClientError::Unexpected`] when the event asks for no acknowledgement, [`ClientError::Invalid`] when
    /// `answer` does not serialize.
    pub async fn expect_and_answer<T: DeserializeOwned>(
        &mut self,
        event: &str,
        answer: impl Serialize,
    ) -> Result<T, ClientError> {
        let (data, ack) = self.take(event).await?;
        let ack = ack.ok_or_else(|| ClientError::Unexpected(format!("`{event}` asks for no acknowledgement")))?;
        let written = CommonParser.encode_value(&Payload(&answer), None);
        let written = written.map_err(|error| ClientError::Invalid(error.to_string()))?;
        self.wire.send(Packet::ack(self.channel.clone(), written, ack));
        read(data, event)
    }

    async fn take(&mut self, event: &str) -> Result<(Value, Option<i64>), ClientError> {
        let until = Instant::now() + self.deadline;
        loop {
            if let Some(found) = self.events.iter().position(|(name, ..)| name == event) {
                let (_, data, ack) = self.events.remove(found).ok_or(ClientError::Disconnected)?;
                return Ok((data, ack));
            }
            self.receive(until, event).await?;
        }
    }

    /// Checks that an event is not among the packets that the server has sent to this client so far. The server is asked for
    /// an answer that comes after all of them, so there is no waiting time. What a handler, a task or another node has yet to
    /// send is not covered: wait for its completion first.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unexpected`] when it arrived, [`ClientError::Timeout`] when the server does not answer.
    pub async fn expect_none(&mut self, event: &str) -> Result<(), ClientError> {
        let until = Instant::now() + self.deadline;
        let mut answers = self.wire.listen(UNMOUNTED);
        self.wire.send(Packet { ns: UNMOUNTED.into(), inner: PacketData::Connect(None) });
        let answer = loop {
            tokio::select! {
                biased;
                answer = answers.recv() => break answer,
                received = self.receive(until, "an answer of the server") => match received {
                    Ok(()) => {}
                    // Nothing else can arrive.
                    Err(ClientError::Disconnected) => break None,
                    Err(error) => return Err(error),
                }
            }
        };
        // A channel whose path has parameters may have accepted it.
        if let Some(Incoming::Connected) = answer {
            self.wire.send(Packet::disconnect(UNMOUNTED));
        }
        while let Ok(incoming) = self.incoming.try_recv() {
            match self.keep(incoming) {
                Ok(()) | Err(ClientError::Disconnected) => {}
                Err(error) => return Err(error),
            }
        }
        if self.events.iter().any(|(name, ..)| name == event) {
            return Err(ClientError::Unexpected(format!("`{event}` came")));
        }
        Ok(())
    }

    /// Waits until the server disconnects the client from the channel or closes the connection.
    ///
    /// # Errors
    ///
    /// [`ClientError::Timeout`] when it does not before the [`deadline`](Self::deadline).
    pub async fn expect_disconnect(&mut self) -> Result<(), ClientError> {
        let until = Instant::now() + self.deadline;
        loop {
            match self.receive(until, "a disconnect").await {
                Ok(()) => {}
                Err(ClientError::Disconnected) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves the channel; the connection stays open for its other channels.
    pub fn leave(self) {
        self.wire.send(Packet::disconnect(self.channel.clone()));
    }

    /// Sends an Engine.IO packet verbatim, to test malformed input.
    pub fn send_raw(&self, packet: &str) {
        self.wire.send_text(packet.to_owned());
    }

    fn write(&self, event: &str, data: &impl Serialize, ack: Option<i64>) -> Result<(), ClientError> {
        let data = CommonParser.encode_value(&Payload(data), Some(event));
        let mut packet =
            Packet::event(self.channel.clone(), data.map_err(|error| ClientError::Invalid(error.to_string()))?);
        if let Some(ack) = ack {
            packet.inner.set_ack_id(ack);
        }
        self.wire.send(packet);
        Ok(())
    }

    /// Receives one packet.
    async fn receive(&mut self, until: Instant, what: &str) -> Result<(), ClientError> {
        if self.ended {
            return Err(ClientError::Disconnected);
        }
        match tokio::time::timeout_at(until, self.incoming.recv()).await {
            Err(_) => Err(ClientError::Timeout(format!("{what}; kept are {:?}", self.pending_events()))),
            Ok(incoming) => self.keep(incoming.unwrap_or(Incoming::Disconnected)),
        }
    }

    fn keep(&mut self, incoming: Incoming) -> Result<(), ClientError> {
        match incoming {
            Incoming::Event(data, ack) => {
                let name = CommonParser.read_event(&data).unwrap_or_default().to_owned();
                self.events.push_back((name, data, ack));
                Ok(())
            }
            Incoming::Answer(ack, answer) => {
                if self.answers.insert(ack, Some(answer)).is_some() || ack >= self.next_ack {
                    return Err(ClientError::Unexpected(format!("a second answer to event {ack}")));
                }
                Ok(())
            }
            Incoming::Connected | Incoming::Refused(_) => Ok(()),
            Incoming::Disconnected => {
                self.ended = true;
                Err(ClientError::Disconnected)
            }
        }
    }

    fn pending_events(&self) -> Vec<&str> {
        self.events.iter().map(|(name, ..)| name.as_str()).collect()
    }
}

/// Why a client cannot join a channel that is not there.
fn unknown_channel(sockets: &Sockets, channel: &str, code: &str, error: &Error) -> ClientError {
    let channels = sockets.channels();
    let near = did_you_mean(channel, channels.iter().map(ChannelHandle::path));
    ClientError::Refused { code: code.to_owned(), message: format!("{error}{near}") }
}

fn read_answer<T: DeserializeOwned>(answer: Value, ack: i64) -> Result<T, ClientError> {
    if let Ok(first) = decode::<serde_json::Value>(&mut answer.clone(), false)
        && let Some(rejected) = ClientError::in_answer(&first)
    {
        return Err(rejected);
    }
    let mut arguments = answer;
    decode(&mut arguments, false)
        .map_err(|error| ClientError::Invalid(format!("the answer to event {ack}, {}: {error}", shown(&arguments))))
}

/// Reads the arguments after an event's name.
fn read<T: DeserializeOwned>(mut arguments: Value, event: &str) -> Result<T, ClientError> {
    decode(&mut arguments, true)
        .map_err(|error| ClientError::Invalid(format!("`{event}`, which came as {}: {error}", shown(&arguments))))
}

fn decode<T: DeserializeOwned>(arguments: &mut Value, with_event: bool) -> Result<T, String> {
    let read = CommonParser.decode_value(arguments, with_event);
    read.map(|answer: Answer<T>| answer.0).map_err(|error| error.to_string())
}

/// A packet's arguments, shortened.
fn shown(arguments: &Value) -> String {
    let Value::Str(text, _) = arguments else { return "bytes".to_owned() };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// Reads an encoded event's arguments.
pub(super) fn read_event<T: DeserializeOwned>(
    event: &str,
    (payload, attachments): (String, Vec<String>),
) -> Result<T, ClientError> {
    read(backplane::decode(payload, &attachments).map_err(ClientError::Invalid)?, event)
}
