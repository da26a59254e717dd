//! Channels with parameters: each instance is a namespace for its clients, and all instances of a template are one
//! namespace for socketioxide.
//!
//! socketioxide has dynamic namespaces, which it makes before a middleware has decided, once for each of two first clients,
//! and never removes; each has an adapter, and is looked into whenever any client leaves. Here, the namespace of the
//! template `/orders/{id}` is joined once by each connection that opens an instance. The client does not see it: what it
//! sends to `/orders/42` comes as events of that namespace ([`super::translate`]), with the number of the opened instance
//! beside the acknowledgement's id. What is sent to the client names the instance. In the adapter's rooms, an instance's
//! name stands before that of the room, so that one adapter and one subscription serve them all.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use socketioxide::{
    ProtocolVersion,
    handler::{ConnectHandler, DisconnectHandler, MessageHandler},
};
use socketioxide_core::{
    Str, Value,
    adapter::{BroadcastOptions, CoreAdapter, errors::SocketError},
    packet::Packet,
};

use super::{
    client::ClientConnection,
    event::EventPayload,
    hooks::{Auth, NamespaceHooks, SocketHooks, call_event, read_auth},
    id::SocketId,
    reason::DisconnectReason,
    rejoin::Rejoin,
    socket::{EngineSocket, SendError},
    translate::{Code, Kind, Translator},
};
use crate::{
    background::Background,
    backplane::{Backplane, Directory, RawSocket},
    error::{EventError, code},
    template::Template,
};

/// The templates of all channels with parameters.
#[derive(Default)]
pub(super) struct Templates(RwLock<Option<Arc<Known>>>);

/// What a stream needs to know of channels.
pub(super) struct Known {
    pub(super) templates: Vec<Template>,
    /// Knows the paths without parameters.
    pub(super) rejoin: Arc<Rejoin>,
    /// How many instances a connection may open.
    pub(super) most: usize,
}

impl Templates {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.read().as_ref().map_or(0, |known| known.templates.len())
    }

    pub(super) fn add(&self, template: Template, rejoin: Arc<Rejoin>, most: usize) {
        let mut known = self.0.write();
        let mut templates = known.as_ref().map_or_else(Vec::new, |known| known.templates.clone());
        templates.push(template);
        *known = Some(Arc::new(Known { templates, rejoin, most }));
    }

    /// For a new stream; `None` if no channel has parameters.
    pub(super) fn translator(&self) -> Option<Box<Translator>> {
        self.0.read().clone().map(|known| Box::new(Translator::new(known)))
    }
}

/// The instances that one connection has opened.
#[derive(Default)]
pub(super) struct Opened {
    state: Mutex<OpenedState>,
    /// Whether the client writes any path in another way than the canonical one.
    has_aliases: AtomicBool,
    /// Whether the connection will be closed if its client is not let in anywhere.
    is_watched: AtomicBool,
}

#[derive(Default)]
struct OpenedState {
    last: u32,
    /// By the path as the client writes it.
    by_path: BTreeMap<Box<str>, OpenInstance>,
    /// What the client writes, by the canonical path, where the two differ.
    aliases: HashMap<Box<str>, Box<str>>,
    /// What has been opened and not been read by the namespace yet.
    requested: HashMap<u32, Request>,
    /// The namespaces joined, and whether that is done.
    joined: Vec<(usize, bool)>,
}

struct OpenInstance {
    key: InstanceKey,
    /// From when the client has been let in until it leaves.
    entered: Weak<Entered>,
}

/// The number of an open instance, and its template.
#[derive(Clone, Copy)]
pub(super) struct InstanceKey {
    pub(super) number: u32,
    pub(super) template: usize,
}

/// A CONNECT packet.
struct Request {
    written: Str,
    canonical: Str,
    auth: Option<Auth>,
    refused: Option<EventError>,
}

/// Whether a namespace is joined by a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    Not,
    Begun,
    Done,
}

impl Opened {
    /// Of a client that may have none.
    pub(super) fn of(client: &ClientConnection) -> Option<&Self> {
        client.opened.get().map(|opened| &**opened)
    }

    fn or_new(client: &ClientConnection) -> &Self {
        client.opened.get_or_init(Box::default)
    }

    pub(super) fn joined(client: &ClientConnection, template: usize) -> Joined {
        let Some(opened) = Self::of(client) else { return Joined::Not };
        let state = opened.state.lock();
        match state.joined.iter().find(|(joined, _)| *joined == template) {
            None => Joined::Not,
            Some((_, false)) => Joined::Begun,
            Some((_, true)) => Joined::Done,
        }
    }

    /// The client is about to join a template's namespace.
    pub(super) fn begin_joining(client: &ClientConnection, template: usize) {
        Self::or_new(client).state.lock().joined.push((template, false));
    }

    pub(super) fn end_joining(&self, template: usize) {
        let mut state = self.state.lock();
        for (_, done) in state.joined.iter_mut().filter(|(joined, _)| *joined == template) {
            *done = true;
        }
    }

    /// Opens an instance for a CONNECT packet; `None` if it is open already, as it is ignored then.
    pub(super) fn open(
        client: &ClientConnection,
        (template, of): (usize, &Template),
        written: &str,
        auth: Option<&str>,
        most: usize,
    ) -> Option<u32> {
        let opened = Self::or_new(client);
        let mut guard = opened.state.lock();
        let state = &mut *guard;
        if state.by_path.contains_key(written) {
            return None;
        }
        let canonical = of.canonical(written);
        let is_alias = canonical != written;
        let mut refused = None;
        if state.by_path.len() + state.requested.values().filter(|request| request.refused.is_some()).count() >= most {
            let text = format!(
                "{most} channels with parameters are open, as many as a connection may have (limits.channels_per_connection)"
            );
            refused = Some(EventError::new(code::TOO_MANY_CHANNELS, text));
        } else if state.aliases.contains_key(&*canonical) || is_alias && state.by_path.contains_key(&*canonical) {
            let text = "the channel is open already, by another spelling of its path";
            refused = Some(EventError::new(code::INVALID_PATH, text));
        }
        loop {
            state.last = if state.last >= Code::LAST_NUMBER { 1 } else { state.last + 1 };
            let last = state.last;
            if !state.by_path.values().any(|open| open.key.number == last) && !state.requested.contains_key(&last) {
                break;
            }
        }
        let number = state.last;
        if refused.is_none() {
            let open = OpenInstance { key: InstanceKey { number, template }, entered: Weak::new() };
            state.by_path.insert(written.into(), open);
            if is_alias {
                state.aliases.insert((&*canonical).into(), written.into());
                opened.has_aliases.store(true, Ordering::Release);
            }
        }
        let request = Request {
            written: Str::copy_from_slice(written),
            canonical: Str::copy_from_slice(&canonical),
            auth: auth.filter(|auth| !auth.is_empty()).map(Str::copy_from_slice),
            refused,
        };
        state.requested.insert(number, request);
        Some(number)
    }

    /// An open instance by its path, and who takes its events.
    pub(super) fn find(&self, written: &str) -> Option<(InstanceKey, Option<Arc<Entered>>)> {
        self.state.lock().by_path.get(written).map(|open| (open.key, open.entered.upgrade()))
    }

    /// A client has been let in.
    fn enter(&self, entered: &Arc<Entered>) {
        let InstanceSocket { written, number, .. } = &*entered.instance;
        if let Some(open) = self.state.lock().by_path.get_mut(&**written)
            && open.key.number == *number
        {
            open.entered = Arc::downgrade(entered);
        }
    }

    /// The client leaves an instance.
    pub(super) fn close(&self, written: &str) -> Option<InstanceKey> {
        self.remove(written, |_| true)
    }

    /// An instance has ended.
    fn ended(&self, written: &str, number: u32) {
        self.remove(written, |key| key.number == number);
    }

    fn remove(&self, written: &str, which: impl Fn(InstanceKey) -> bool) -> Option<InstanceKey> {
        let mut state = self.state.lock();
        let key = state.by_path.get(written).map(|open| open.key).filter(|key| which(*key))?;
        state.by_path.remove(written);
        if !state.aliases.is_empty() {
            state.aliases.retain(|_, alias| **alias != *written);
            self.has_aliases.store(!state.aliases.is_empty(), Ordering::Release);
        }
        Some(key)
    }

    /// Whether [`alias`](Self::alias) may find any.
    pub(super) fn has_aliases(&self) -> bool {
        self.has_aliases.load(Ordering::Acquire)
    }

    /// How the client writes a canonical path.
    pub(super) fn alias(&self, canonical: &str) -> Option<Box<str>> {
        self.state.lock().aliases.get(canonical).cloned()
    }

    /// `true` at the first call.
    fn begin_waiting(&self) -> bool {
        !self.is_watched.swap(true, Ordering::Relaxed)
    }

    fn take_request(&self, number: u32) -> Option<Request> {
        let mut state = self.state.lock();
        let request = state.requested.remove(&number);
        state.requested.shrink_to(8);
        request
    }
}

/// A client on an instance.
pub(super) struct InstanceSocket {
    /// The path as its client writes it: the namespace of its packets.
    written: Str,
    canonical: Str,
    number: u32,
    is_connected: AtomicBool,
    /// Whether its CONNECT is answered by somebody else.
    is_answer_withheld: AtomicBool,
    members: Weak<Members>,
    backplane: Weak<Backplane>,
}

impl InstanceSocket {
    /// The canonical path.
    pub(super) fn path(&self) -> &str {
        &self.canonical
    }

    /// The namespace of its packets.
    pub(super) fn packet_path(&self) -> Str {
        self.written.clone()
    }

    pub(super) fn withhold_answer(&self) {
        self.is_answer_withheld.store(true, Ordering::Release);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    /// Writes a packet into the client's buffer.
    pub(super) fn send(&self, raw: &RawSocket, packet: Packet) -> Result<(), SendError> {
        let Some(backplane) = self.backplane.upgrade() else { return Err(SendError::Closed) };
        match backplane.get_local().broadcast(packet, BroadcastOptions::new(raw.id)) {
            Ok(()) => Ok(()),
            Err(mut errors) => Err(socketioxide::SendError::Socket(errors.pop().unwrap_or(SocketError::Closed)).into()),
        }
    }

    /// Writes an event.
    pub(super) fn emit(&self, raw: &RawSocket, data: Value) -> Result<(), SendError> {
        if !self.is_connected() {
            return Err(SendError::Closed);
        }
        self.send(raw, Packet::event(self.packet_path(), data))
    }

    /// Writes an event that asks for an acknowledgement, and returns what comes.
    pub(super) fn emit_with_ack(
        &self,
        raw: &RawSocket,
        data: Value,
        timeout: Duration,
    ) -> Result<impl futures_core::Stream<Item = Result<Value, socketioxide::AckError>> + Send + use<>, SendError> {
        use futures_util::StreamExt;

        let backplane = self.backplane.upgrade().filter(|_| self.is_connected()).ok_or(SendError::Closed)?;
        let packet = Packet::event(self.packet_path(), data);
        let (answers, _) =
            backplane.get_local().broadcast_with_ack(packet, BroadcastOptions::new(raw.id), Some(timeout));
        Ok(answers.map(|(_, answer)| answer))
    }

    pub(super) fn join(&self, raw: &RawSocket, rooms: Vec<String>) {
        raw.join(rooms.into_iter().map(|room| room_of(&self.canonical, &room)).collect::<Vec<String>>());
    }

    pub(super) fn leave(&self, raw: &RawSocket, rooms: Vec<String>) {
        raw.leave(rooms.into_iter().map(|room| room_of(&self.canonical, &room)).collect::<Vec<String>>());
    }

    /// Its rooms on this instance, without the one that everybody is in.
    pub(super) fn rooms(&self, raw: &RawSocket) -> Vec<String> {
        raw.rooms().iter().filter_map(|room| room_in(&self.canonical, room)).map(str::to_owned).collect()
    }

    pub(super) fn leave_all(&self, raw: &RawSocket) {
        let mut rooms = self.rooms(raw);
        rooms.push(String::new());
        self.leave(raw, rooms);
    }

    /// Ends the socket and sends a DISCONNECT packet: in this order, since the client may join again at once.
    ///
    /// # Errors
    ///
    /// When there is no room for the packet; the socket has ended all the same.
    pub(super) fn disconnect(self: &Arc<Self>, raw: &Arc<RawSocket>) -> Result<(), SendError> {
        if let Some(entered) = self.members.upgrade().and_then(|members| members.take(self.number)) {
            self.end(raw, &*entered.hooks, DisconnectReason::ServerDisconnect);
        }
        match self.send(raw, Packet::disconnect(self.packet_path())) {
            Err(SendError::Full) => Err(SendError::Full),
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// It has not been let in.
    fn forget(&self, raw: &RawSocket, client: &ClientConnection) {
        if let Some(opened) = Opened::of(client) {
            opened.ended(&self.written, self.number);
        }
        self.leave_all(raw);
    }

    /// Called once it is not among the members any more.
    fn end(self: &Arc<Self>, raw: &Arc<RawSocket>, hooks: &dyn SocketHooks, reason: DisconnectReason) {
        self.is_connected.store(false, Ordering::Release);
        let socket = EngineSocket::on_instance(raw.clone(), self.clone());
        let client = socket.client();
        if let Some(opened) = client.as_deref().and_then(Opened::of) {
            opened.ended(&self.written, self.number);
        }
        let known = client.and_then(|client| client.close_reason());
        hooks.disconnected(&socket, known.unwrap_or(reason));
        self.leave_all(raw);
    }
}

/// A room of an instance as the adapter knows it. The empty room has everybody.
pub(super) fn room_of(path: &str, room: &str) -> String {
    format!("{path}\0{room}")
}

/// The room of an instance that the adapter knows by this name; `None` for other instances' rooms, and for the one that
/// everybody is in.
pub(super) fn room_in<'a>(path: &str, room: &'a str) -> Option<&'a str> {
    room.strip_prefix(path)?.strip_prefix('\0').filter(|room| !room.is_empty())
}

/// What one connection is on, of one template's instances.
#[derive(Default)]
struct Members(Mutex<MembersState>);

#[derive(Default)]
struct MembersState {
    by_number: BTreeMap<u32, Member>,
    is_closed: bool,
}

enum Member {
    /// It is being decided.
    Deciding,
    In(Arc<Entered>),
}

/// A client that has been let in to an instance.
pub(super) struct Entered {
    raw: Weak<RawSocket>,
    instance: Arc<InstanceSocket>,
    hooks: Arc<dyn SocketHooks>,
}

impl Entered {
    /// Hands over an event that its client has sent.
    pub(super) fn event(&self, payload: Value, ack: Option<i64>) {
        if let Some(raw) = self.raw.upgrade() {
            let socket = EngineSocket::on_instance(raw, self.instance.clone());
            call_event(&*self.hooks, &socket, EventPayload::new(payload), ack);
        }
    }
}

impl Members {
    fn decide(&self, number: u32) -> bool {
        let mut state = self.0.lock();
        if !state.is_closed {
            state.by_number.insert(number, Member::Deciding);
        }
        !state.is_closed
    }

    /// Lets a client in, if it has not left meanwhile. It is in the room of everybody then: under the lock, so that none joins it
    /// after the connection has been closed.
    fn enter(&self, raw: &RawSocket, entered: &Arc<Entered>) -> bool {
        let mut state = self.0.lock();
        let instance = &entered.instance;
        let is_awaited = state.by_number.contains_key(&instance.number) && !state.is_closed;
        if is_awaited {
            instance.join(raw, vec![String::new()]);
            state.by_number.insert(instance.number, Member::In(entered.clone()));
        }
        is_awaited
    }

    fn get(&self, number: u32) -> Option<Arc<Entered>> {
        match self.0.lock().by_number.get(&number) {
            Some(Member::In(entered)) => Some(entered.clone()),
            _ => None,
        }
    }

    fn remove(&self, number: u32) -> Option<Member> {
        self.0.lock().by_number.remove(&number)
    }

    fn take(&self, number: u32) -> Option<Arc<Entered>> {
        match self.remove(number)? {
            Member::In(entered) => Some(entered),
            Member::Deciding => None,
        }
    }

    /// The connection is closed.
    fn close(&self) -> Vec<Member> {
        let mut state = self.0.lock();
        state.is_closed = true;
        std::mem::take(&mut state.by_number).into_values().collect()
    }
}

/// The connect handler of a template's namespace: lets every connection in.
#[derive(Clone)]
pub(super) struct InstanceHook<H> {
    hooks: H,
    /// Its index among the templates.
    template: usize,
    path: Arc<str>,
    directory: Arc<Directory>,
    shared: Shared,
}

impl<H> InstanceHook<H> {
    pub(super) fn new(
        hooks: H,
        (template, path): (usize, &str),
        directory: Arc<Directory>,
        connect_timeout: Duration,
        background: Background,
    ) -> Self {
        Self { hooks, template, path: path.into(), directory, shared: Shared { connect_timeout, background } }
    }
}

impl<H: NamespaceHooks> ConnectHandler<Backplane, ()> for InstanceHook<H> {
    fn call(&self, raw: Arc<RawSocket>, _auth: Option<Value>) {
        let Some(client) = EngineSocket::new(raw).client() else { return };
        if let Some(opened) = Opened::of(&client) {
            opened.end_joining(self.template);
        }
        client.wake_reader();
    }

    fn call_middleware<'a>(
        &'a self,
        raw: Arc<RawSocket>,
        _auth: &'a Option<Value>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Box<dyn fmt::Display + Send>>> + Send + 'a>> {
        Box::pin(async move {
            let client = EngineSocket::new(raw.clone()).client();
            let (Some(client), Some(backplane)) = (client, self.directory.get(&self.path)) else {
                return Err(Box::new("the service has ended") as Box<dyn fmt::Display + Send>);
            };
            client.set_id(SocketId::new(raw.id));
            let members = Arc::new(Members::default());
            raw.on_disconnect(InstancesGone(members.clone()));
            let backplane = Arc::downgrade(&backplane);
            raw.on_fallback(InstanceMessages {
                members,
                hooks: self.hooks.clone(),
                backplane,
                shared: self.shared.clone(),
            });
            Ok(())
        })
    }
}

/// What has been read from a connection that is on a template's instances.
struct InstanceMessages<H> {
    members: Arc<Members>,
    hooks: H,
    backplane: Weak<Backplane>,
    shared: Shared,
}

/// What a connection is closed by that has joined nothing.
#[derive(Clone)]
struct Shared {
    connect_timeout: Duration,
    background: Background,
}

impl<H: NamespaceHooks> MessageHandler<Backplane, ()> for InstanceMessages<H> {
    fn call(&self, raw: Arc<RawSocket>, payload: Value, ack: Option<i64>) {
        let Some((kind, number, ack)) = ack.and_then(Code::read) else { return };
        match kind {
            Kind::Connect => self.connect(raw, number),
            Kind::Event => {
                if let Some(entered) = self.members.get(number) {
                    entered.event(payload, ack);
                }
            }
            Kind::Disconnect => {
                if let Some(entered) = self.members.take(number) {
                    entered.instance.end(&raw, &*entered.hooks, DisconnectReason::ClientLeft);
                }
            }
        }
    }
}

impl<H: NamespaceHooks> InstanceMessages<H> {
    /// Decides whether a client may join, beside others that are being decided.
    fn connect(&self, raw: Arc<RawSocket>, number: u32) {
        let Some(client) = EngineSocket::new(raw.clone()).client() else { return };
        let Some(request) = Opened::of(&client).and_then(|opened| opened.take_request(number)) else { return };
        if !self.members.decide(number) {
            return;
        }
        let instance = Arc::new(InstanceSocket {
            written: request.written,
            canonical: request.canonical,
            number,
            is_connected: AtomicBool::new(false),
            is_answer_withheld: AtomicBool::new(false),
            members: Arc::downgrade(&self.members),
            backplane: self.backplane.clone(),
        });
        let (members, hooks, shared) = (self.members.clone(), self.hooks.clone(), self.shared.clone());
        tokio::spawn(async move {
            let socket = EngineSocket::on_instance(raw.clone(), instance.clone());
            let auth = match (request.refused, request.auth) {
                (Some(error), _) => Err(error),
                (None, Some(auth)) => read_auth(auth),
                (None, None) => Ok(None),
            };
            match hooks.let_in(socket.clone(), auth).await {
                Ok(member) => {
                    let (raw_socket, instance_socket) = (Arc::downgrade(&raw), instance.clone());
                    let entered = Arc::new(Entered { raw: raw_socket, instance: instance_socket, hooks: member });
                    if !members.enter(&raw, &entered) {
                        // It has left, or its connection is closed.
                        instance.forget(&raw, &client);
                        return;
                    }
                    if let Some(opened) = Opened::of(&client) {
                        opened.enter(&entered);
                    }
                    client.set_joined();
                    instance.is_connected.store(true, Ordering::Release);
                    if !instance.is_answer_withheld.load(Ordering::Acquire)
                        && instance.send(&raw, connect_packet(&raw, instance.packet_path())).is_err()
                    {
                        client.close_transport();
                        return;
                    }
                    hooks.connected(&socket);
                }
                Err(text) => {
                    members.remove(number);
                    instance.forget(&raw, &client);
                    if instance.send(&raw, Packet::connect_error(instance.packet_path(), text)).is_err() {
                        client.close_transport();
                    }
                    shared.close_unless_joined(&client);
                }
            }
        });
    }
}

impl Shared {
    /// Closes the connection later if its client has not been let in anywhere by then: for the engine, it has joined the
    /// template's namespace in time.
    fn close_unless_joined(&self, client: &Arc<ClientConnection>) {
        if client.has_joined() || !Opened::of(client).is_some_and(Opened::begin_waiting) {
            return;
        }
        let (client, time) = (Arc::downgrade(client), self.connect_timeout);
        self.background.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(client) = client.upgrade().filter(|client| !client.has_joined()) {
                client.close_transport();
            }
        });
    }
}

/// The answer to a CONNECT packet.
fn connect_packet(raw: &RawSocket, path: Str) -> Packet {
    let sid = (raw.protocol() == ProtocolVersion::V5).then(|| {
        let text = format!("{{\"sid\":\"{}\"}}", raw.id);
        Value::Str(text.into(), None)
    });
    Packet::connect(path, sid)
}

/// The connection is closed.
struct InstancesGone(Arc<Members>);

impl DisconnectHandler<Backplane, ()> for InstancesGone {
    fn call_with_defer(
        &self,
        raw: Arc<RawSocket>,
        reason: socketioxide::socket::DisconnectReason,
        defer: fn(Arc<RawSocket>),
    ) {
        for member in self.0.close() {
            if let Member::In(entered) = member {
                entered.instance.end(&raw, &*entered.hooks, DisconnectReason::from_engine(reason));
            }
        }
        defer(raw);
    }
}
