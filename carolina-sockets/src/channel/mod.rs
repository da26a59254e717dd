//! [`ChannelHandle`], [`Broadcast`] and [`Emitter`]: the handles for emitting from anywhere in an application.

mod emitter;
mod parameters;
mod presence;
mod rooms;
mod sockets;

use std::{collections::BTreeSet, fmt, future::Future, panic::Location, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    backplane::{Message, Question, SharedLog, record_lost},
    core::{CLOSED_EVENT, ChannelCore, Closed, end},
    engine::{DisconnectReason, EncodedPayload, EngineNamespace, Recipients, SocketId, encode_event},
    error::{Error, Result},
    identity::{UserKey, mask_room, session_room, user_of_room, user_room},
    resume::instances_of,
    telemetry::{Cause, metric, undelivered},
};

pub use emitter::{Emitter, EmitterChannel};
pub use presence::ChannelPresence;
pub use rooms::Rooms;
pub(crate) use rooms::checked;
pub use sockets::SocketInfo;
pub(crate) use sockets::{instances_for_others, sockets_for_others};

/// A channel, for emitting to its clients on every node (rule R17). Cheap to clone.
///
/// [`Sockets::channel`](crate::Sockets::channel) gives it by path, [`Sockets::of`](crate::Sockets::of) by driver.
///
/// ```no_run
/// # async fn example() -> carolina_sockets::Result {
/// let news = carolina_sockets::sockets().channel("/news")?;
/// let delivery = news.emit("headline", "it rains").await?; // everybody
/// if delivery.missed() > 0 {
///     println!("{} clients read too slowly", delivery.missed());
/// }
/// news.to(["sports", "weather"]).except("muted").emit("headline", "it still rains").await?;
/// for answer in news.to("editors").emit_with_ack::<bool>("approve", "it rains").await? {
///     println!("{answer:?}"); // an error for an editor who did not answer within 5 seconds
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ChannelHandle {
    core: Arc<ChannelCore>,
    /// Why it is none: parameters that do not fit the path.
    fault: Option<Arc<str>>,
}

/// The result of a broadcast on this node (rule R9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    missed: usize,
}

impl Delivery {
    /// How many of this node's clients missed it, because their buffers (`limits.send_queue`, `limits.send_buffer`) were full.
    pub fn missed(self) -> usize {
        self.missed
    }
}

impl ChannelHandle {
    pub(crate) fn new(core: Arc<ChannelCore>) -> Self {
        Self { core, fault: None }
    }

    /// The instance of a channel with parameters: by one value for one parameter, by a tuple for several in order, or by a struct or a map
    /// whose fields have their names. Values are percent-encoded where a path needs it.
    ///
    /// ```no_run
    /// # use carolina_sockets::prelude::*;
    /// # #[channel("/orders/{id}")]
    /// # #[derive(Default)]
    /// # struct Orders;
    /// # #[channel("/shops/{shop}/{number}")]
    /// # #[derive(Default)]
    /// # struct Shops;
    /// # async fn example(sockets: Sockets) -> carolina_sockets::Result {
    /// sockets.of::<Orders>()?.at(42).emit("changed", "paid").await?; // those on /orders/42
    /// sockets.of::<Shops>()?.at(("books", 7)).emit("changed", "paid").await?; // those on /shops/books/7
    /// sockets.of::<Orders>()?.emit("closing", ()).await?; // everybody on any order
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Where the values do not fit the path, whatever is done with the result fails with [`Error::Parameters`].
    pub fn at(&self, parameters: impl Serialize) -> Self {
        let Some(template) = self.core.template() else {
            return self.faulty("it has no parameters".to_owned());
        };
        match parameters::texts(&parameters, &template.names()) {
            Ok(texts) => {
                let path = template.fill(texts.iter().map(String::as_str));
                // From the channel of all instances, also where this is one of them.
                Self { core: self.core.all_instances().instance(&path), fault: self.fault.clone() }
            }
            Err(reason) => self.faulty(reason),
        }
    }

    fn faulty(&self, reason: String) -> Self {
        Self { core: self.core.clone(), fault: Some(self.fault.clone().unwrap_or_else(|| reason.into())) }
    }

    /// Whether its parameters are what the path takes.
    fn check(&self) -> Result {
        match &self.fault {
            Some(reason) => Err(Error::Parameters { path: self.path().to_owned(), reason: reason.to_string() }),
            None => Ok(()),
        }
    }

    /// The channel's path.
    pub fn path(&self) -> &str {
        &self.core.path
    }

    /// How many instances of a channel with parameters there are on this node: those that somebody is on, or that the application holds a
    /// handle of. 1 for any other channel.
    pub fn instances(&self) -> usize {
        self.core.each().len()
    }

    /// Who is on the channel, as `#[channel("/rooms", presence)]` keeps it (rule R20).
    pub fn presence(&self) -> ChannelPresence {
        ChannelPresence::new(self.clone())
    }

    fn everyone(&self) -> Broadcast {
        Broadcast::new(self.clone(), Recipients::all())
    }

    /// Sends an event to every client on the channel.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    #[track_caller]
    pub fn emit(&self, event: &str, data: impl Serialize) -> impl Future<Output = Result<Delivery>> {
        let (everyone, place) = (self.everyone(), Location::caller());
        async move { everyone.emit_from(place, event, data).await }
    }

    /// Sends an event to every socket of a user on this channel: all tabs, all devices.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    #[track_caller]
    pub fn emit_to_user(
        &self,
        user: impl UserKey,
        event: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<Delivery>> {
        let (theirs, place) = (self.to_user(user), Location::caller());
        async move { theirs.emit_from(place, event, data).await }
    }

    /// Sends an event to every socket of a session on this channel: all tabs of one browser.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit`].
    #[track_caller]
    pub fn emit_to_session(
        &self,
        session: impl AsRef<str>,
        event: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<Delivery>> {
        let (theirs, place) = (self.to_session(session), Location::caller());
        async move { theirs.emit_from(place, event, data).await }
    }

    /// Sends an event to everybody on the channel and collects their acknowledgements, for up to 5 seconds.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::emit_with_ack`].
    #[track_caller]
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<Vec<Result<T>>>> {
        let (everyone, place) = (self.everyone(), Location::caller());
        async move { everyone.emit_with_ack_from(place, event, data).await }
    }

    /// Selects the clients in at least one of these rooms; no room at all selects nobody.
    pub fn to(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().to(rooms)
    }

    /// Selects the clients in none of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Broadcast {
        self.everyone().except(rooms)
    }

    /// The sockets of a user.
    pub fn to_user(&self, user: impl UserKey) -> Broadcast {
        self.everyone().to_user(user)
    }

    /// The sockets of a session.
    pub fn to_session(&self, session: impl AsRef<str>) -> Broadcast {
        self.everyone().to_session(session)
    }

    /// Everybody but the sockets of a user.
    pub fn except_user(&self, user: impl UserKey) -> Broadcast {
        self.everyone().except_user(user)
    }

    /// Everybody but the sockets of a session.
    pub fn except_session(&self, session: impl AsRef<str>) -> Broadcast {
        self.everyone().except_session(session)
    }

    /// Selects the clients connected to this node, whatever the backplane.
    pub fn local(&self) -> Broadcast {
        self.everyone().local()
    }

    /// Disconnects every client from the channel.
    ///
    /// # Errors
    ///
    /// As [`Broadcast::disconnect`].
    pub async fn disconnect(&self) -> Result {
        self.everyone().disconnect().await
    }

    /// The users on the channel, on every node, in alphabetical order: each once, however many sockets they have. Clients without a
    /// user are not among them.
    ///
    /// It asks every node each time. To show people who is there, declare the channel with `presence` instead: then
    /// [`presence`](Self::presence) has the list without asking, with what the application wants to show of each, clients are told of
    /// every join and leave, and one who comes back after a moment has not been away.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be queried.
    pub async fn online_users(&self) -> Result<Vec<String>> {
        let rooms = self.everyone().rooms().await?;
        let mut users: Vec<String> = rooms.iter().filter_map(|room| user_of_room(room).map(str::to_owned)).collect();
        users.sort();
        users.dedup();
        Ok(users)
    }

    /// The sockets on the channel, on every node, the oldest first.
    ///
    /// ```no_run
    /// # async fn example() -> carolina_sockets::Result {
    /// for socket in carolina_sockets::sockets().channel("/chat")?.sockets().await? {
    ///     println!("{} of {:?} from {}, in {:?}", socket.id, socket.user_id, socket.remote_address, socket.rooms);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Broadcast::sockets`].
    pub async fn sockets(&self) -> Result<Vec<SocketInfo>> {
        self.everyone().sockets().await
    }

    /// The sockets on the channel that are connected to this node, the oldest first.
    pub fn local_sockets(&self) -> Vec<SocketInfo> {
        sockets::sockets_here(&self.core, &Recipients::all())
    }

    /// Whether a user is on the channel, on any node. It asks every node each time: for many users, or to be told of changes,
    /// [`presence`](Self::presence) is the better tool.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be queried.
    pub async fn is_online(&self, user: impl UserKey) -> Result<bool> {
        Ok(!self.to_user(user).rooms().await?.is_empty())
    }
}

impl fmt::Debug for ChannelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelHandle").field(&self.path()).finish()
    }
}

/// A selection of a channel's clients, to emit to.
///
/// Rooms add up: who is in one of those named by [`to`](Self::to) and in none of those named by
/// [`except`](Self::except) is meant, once. With no room named, everybody on the channel is. Users and sessions count
/// as rooms do. Where a room was named that is the library's own, whatever is done with the choice fails with
/// [`Error::ReservedRoom`] (rule R30).
#[derive(Clone)]
#[must_use = "a choice of clients does nothing until something is emitted to it"]
pub struct Broadcast {
    channel: ChannelHandle,
    recipients: Recipients,
    /// The first room that was named and may not be.
    refused: Option<Refused>,
}

/// A room of the library's own that an application has named, and what to write instead.
type Refused = (String, &'static str);

impl Broadcast {
    fn new(channel: ChannelHandle, recipients: Recipients) -> Self {
        Self { channel, recipients, refused: None }
    }

    pub(crate) fn from_socket(channel: ChannelHandle, but: SocketId) -> Self {
        Self::new(channel, Recipients::all_except(but))
    }

    /// Adds the clients in at least one of these rooms. An empty list selects no client, not all.
    pub fn to(mut self, rooms: impl Rooms) -> Self {
        if let Some(rooms) = allowed(rooms, &mut self.refused) {
            self.recipients.add_rooms(rooms);
        }
        self
    }

    /// Excludes the clients in any of these rooms.
    pub fn except(mut self, rooms: impl Rooms) -> Self {
        if let Some(rooms) = allowed(rooms, &mut self.refused) {
            self.recipients.exclude_rooms(rooms);
        }
        self
    }

    /// Adds the sockets of a user.
    pub fn to_user(mut self, user: impl UserKey) -> Self {
        self.recipients.add_rooms(vec![user_room(&user.user_key())]);
        self
    }

    /// Adds the sockets of a session.
    pub fn to_session(mut self, session: impl AsRef<str>) -> Self {
        self.recipients.add_rooms(vec![session_room(session.as_ref())]);
        self
    }

    /// Leaves out the sockets of a user.
    pub fn except_user(mut self, user: impl UserKey) -> Self {
        self.recipients.exclude_rooms(vec![user_room(&user.user_key())]);
        self
    }

    /// Leaves out the sockets of a session.
    pub fn except_session(mut self, session: impl AsRef<str>) -> Self {
        self.recipients.exclude_rooms(vec![session_room(session.as_ref())]);
        self
    }

    /// Restricts it to the clients connected to this node.
    pub fn local(mut self) -> Self {
        self.recipients.local_only();
        self
    }

    /// Where they are, unless they were chosen by a room that may not be named.
    fn namespace(&self) -> Result<&EngineNamespace> {
        self.check()?;
        self.channel.core.namespace()
    }

    /// Whether rooms and channel are what may be named.
    fn check(&self) -> Result {
        self.channel.check()?;
        refuse(self.refused.as_ref())
    }

    /// The same choice on each instance that anybody is on, on any node; `None` for a channel without parameters.
    async fn instances(&self) -> Result<Option<Vec<Self>>> {
        let core = &self.channel.core;
        self.check()?;
        if !core.is_template() {
            return Ok(None);
        }
        let mut paths: BTreeSet<String> = core.each().iter().map(|instance| instance.path.clone()).collect();
        let bus = &core.services.bus;
        if !self.recipients.is_local() && bus.has_backplane() {
            let others = usize::from(core.namespace()?.nodes().await?.saturating_sub(1));
            let question = Question::Instances { path: core.path.clone() };
            for part in bus.ask(question, others).await.map_err(Error::backplane)? {
                paths.extend(serde_json::from_str::<Vec<String>>(&part).map_err(Error::backplane)?);
            }
        }
        let instance = |path: String| Self::new(ChannelHandle::new(core.instance(&path)), self.recipients.clone());
        Ok(Some(paths.into_iter().map(instance).collect()))
    }

    /// Sends an event to the selected clients on every instance of the channel, and has each node keep it for those that come back. Other nodes get it by the
    /// control channel and not by the engine's adapter, which knows neither instances nor logs.
    async fn emit_by_control(&self, event: &str, data: &impl Serialize) -> Result<Delivery> {
        let core = &self.channel.core;
        let payload = EncodedPayload::event(event, data)?;
        let log = core.resume.as_ref().and_then(|_| core.services.resumes.shared_log());
        if log.is_some() && !core.is_template() {
            return Ok(Delivery { missed: core.emit_by_log(&payload, &self.recipients).await? });
        }
        let (mut missed, mut logged) = (0, Vec::new());
        match log {
            Some(log) => (missed, logged) = self.emit_by_logs(log, &payload).await?,
            None => {
                for channel in core.each_kept() {
                    missed += channel.emit_here(&payload, &self.recipients)?;
                }
                count_missed(core.label(), event, missed);
            }
        }
        let delivery = Delivery { missed };
        let bus = &core.services.bus;
        if !self.recipients.is_local() && bus.has_backplane() {
            let (to, except) = owned_rooms(&self.recipients);
            let (payload, attachments) = payload.texts();
            let message = Message::Emit { path: core.path.clone(), to, except, payload, attachments, logged };
            if let Err(error) = bus.publish(message).await {
                record_lost(&error);
            }
        }
        Ok(delivery)
    }

    /// Sends an event to the selected clients by the logs of all instances that any node has. Returns how many of this node's missed it, and the paths.
    async fn emit_by_logs(&self, log: &SharedLog, payload: &EncodedPayload) -> Result<(usize, Vec<String>)> {
        let core = &self.channel.core;
        let here = core.each_kept();
        let mut paths: BTreeSet<String> = here.iter().map(|channel| channel.path.clone()).collect();
        if !self.recipients.is_local() {
            match instances_of(log, &core.path).await {
                Ok(instances) => paths.extend(instances),
                Err(error) => record_lost(&error),
            }
        }
        let sent = paths.iter().map(async |path| match here.iter().find(|channel| channel.path == *path) {
            Some(channel) => channel.emit_by_log(payload, &self.recipients).await,
            None => {
                let sent = core.services.resumes.emit_elsewhere(path, payload, &self.recipients).await;
                Ok(sent.inspect_err(|error| record_lost(error)).map_or(0, |()| 0))
            }
        });
        let missed = futures_util::future::try_join_all(sent).await?;
        Ok((missed.into_iter().sum(), paths.into_iter().collect()))
    }

    /// Sends an event to the selected clients. It does not wait for slow clients: a client whose buffer is full misses
    /// the event, which is counted in the result and the metrics, and logged (rule R9).
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`](crate::Error::Serialize) when `data` does not serialize,
    /// [`Error::ReservedEvent`] when Socket.IO reserves the event's name,
    /// [`Error::ReservedRoom`] when `to` or `except` named one of the library's own rooms,
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified,
    /// [`Error::Closed`](crate::Error::Closed) when the service has ended.
    #[track_caller]
    pub fn emit(&self, event: &str, data: impl Serialize) -> impl Future<Output = Result<Delivery>> {
        self.emit_from(Location::caller(), event, data)
    }

    async fn emit_from(
        &self,
        place: &'static Location<'static>,
        event: &str,
        data: impl Serialize,
    ) -> Result<Delivery> {
        let namespace = self.namespace()?;
        self.channel.core.emits.check(self.channel.core.label(), event, place);
        let core = &self.channel.core;
        let delivery = if core.is_template() || core.resume.is_some() {
            self.emit_by_control(event, &data).await?
        } else {
            let missed = namespace.emit(event, &data, &self.recipients).await?;
            count_missed(self.channel.core.label(), event, missed)
        };
        self.tell(event, &data);
        #[cfg(feature = "testing")]
        self.record(event, &data);
        Ok(delivery)
    }

    /// Sends an event to the selected clients and collects their acknowledgements, waiting up to 5 seconds: one entry
    /// per client, an error for each that did not answer in time or not with a `T`.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    #[track_caller]
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        event: &str,
        data: impl Serialize,
    ) -> impl Future<Output = Result<Vec<Result<T>>>> {
        self.emit_with_ack_from(Location::caller(), event, data)
    }

    async fn emit_with_ack_from<T: DeserializeOwned>(
        &self,
        place: &'static Location<'static>,
        event: &str,
        data: impl Serialize,
    ) -> Result<Vec<Result<T>>> {
        let instances = self.instances().await?;
        let namespace = self.namespace()?;
        self.channel.core.emits.check(self.channel.core.label(), event, place);
        self.tell(event, &data);
        #[cfg(feature = "testing")]
        self.record(event, &data);
        let Some(instances) = instances else {
            return namespace.emit_with_ack(event, &data, &self.recipients).await;
        };
        let asked = instances
            .iter()
            .map(async |instance| instance.namespace()?.emit_with_ack(event, &data, &instance.recipients).await);
        Ok(futures_util::future::try_join_all(asked).await?.into_iter().flatten().collect())
    }

    /// Tells the observer, if there is one.
    fn tell(&self, event: &str, data: &impl Serialize) {
        let core = &self.channel.core;
        core.services.observed.tell(|observer| {
            if let Ok((packet, _)) = encode_event(event, data) {
                observer.broadcast(core, &self.recipients, &packet);
            }
        });
    }

    /// Keeps an emit for tests that ask what was emitted. One to an empty list of rooms has not been.
    #[cfg(feature = "testing")]
    fn record(&self, event: &str, data: &impl Serialize) {
        let tap = &self.channel.core.services.tap;
        if !tap.is_on() || self.recipients.is_nobody() {
            return;
        }
        let Ok(payload) = encode_event(event, data) else { return };
        let (to, except) = self.recipients.rooms();
        // Without the engine's own.
        let named = |room: &&str| !room.starts_with('\0');
        tap.add(crate::core::Recorded {
            path: self.channel.path().to_owned(),
            event: event.to_owned(),
            to: to.filter(named).map(str::to_owned).collect(),
            except: except.filter(named).map(str::to_owned).collect(),
            payload,
        });
    }

    /// The rooms of the selected clients, on every node.
    async fn rooms(&self) -> Result<Vec<String>> {
        let Some(instances) = self.instances().await? else {
            return self.namespace()?.rooms(&self.recipients).await;
        };
        let asked = instances.iter().map(async |instance| instance.namespace()?.rooms(&instance.recipients).await);
        Ok(futures_util::future::try_join_all(asked).await?.into_iter().flatten().collect())
    }

    /// The selected sockets, on every node, the oldest first. With [`local`](Self::local), those that are connected to this node.
    ///
    /// Other nodes are waited for up to 5 seconds. The sockets of one that does not answer are missing, which the log says.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedRoom`] when `to` or `except` named one of the library's own rooms,
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be asked,
    /// [`Error::Closed`](crate::Error::Closed) when the service has ended.
    pub async fn sockets(&self) -> Result<Vec<SocketInfo>> {
        self.check()?;
        sockets::sockets_everywhere(&self.channel.core, &self.recipients).await
    }

    /// Adds the selected clients to one room or several.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedRoom`] when one of the rooms is the library's own; then they join none.
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn join(&self, rooms: impl Rooms) -> Result {
        let rooms = checked(rooms)?;
        let Some(instances) = self.instances().await? else {
            return self.namespace()?.join(&self.recipients, rooms).await;
        };
        for instance in instances {
            instance.namespace()?.join(&instance.recipients, rooms.clone()).await?;
        }
        Ok(())
    }

    /// Removes the selected clients from one room or several.
    ///
    /// # Errors
    ///
    /// [`Error::ReservedRoom`] when one of the rooms is the library's own; then they leave none.
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn leave(&self, rooms: impl Rooms) -> Result {
        let rooms = checked(rooms)?;
        let Some(instances) = self.instances().await? else {
            return self.namespace()?.leave(&self.recipients, rooms).await;
        };
        for instance in instances {
            instance.namespace()?.leave(&instance.recipients, rooms.clone()).await?;
        }
        Ok(())
    }

    /// Disconnects the selected clients from the channel.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`](crate::Error::Backplane) when other nodes could not be notified.
    pub async fn disconnect(&self) -> Result {
        let namespace = self.namespace()?;
        disconnect_here(&self.channel.core, &self.recipients);
        if self.recipients.is_local() {
            return Ok(());
        }
        if self.channel.core.template().is_some() {
            // An adapter would disconnect their clients from all instances.
            let (to, except) = owned_rooms(&self.recipients);
            let message = Message::Disconnect { path: self.channel.path().to_owned(), to, except };
            return self.channel.core.services.bus.publish(message).await.map_err(Error::backplane);
        }
        // The clients of this node have left by now; this reaches those of others. What prevents it prevents the next call too.
        let _ = namespace.emit(CLOSED_EVENT, &Closed::REMOVED, &self.recipients).await;
        namespace.disconnect_others(&self.recipients).await
    }
}

/// Disconnects the recipients that are connected to this node.
fn disconnect_here(core: &Arc<ChannelCore>, recipients: &Recipients) {
    for instance in core.each() {
        let Ok(namespace) = instance.namespace() else { continue };
        // Not through socketioxide's own method, which leaves clients connected whose buffers have no room for the
        // packet.
        for id in namespace.local_sockets(recipients) {
            if let Some((socket, raw)) = instance.socket(id).and_then(|socket| Some((socket.clone(), socket.raw()?))) {
                end(&socket, &raw, DisconnectReason::ServerDisconnect);
            }
        }
    }
}

/// The same for another node.
pub(crate) fn disconnect_for_others(core: &Arc<ChannelCore>, to: Vec<String>, except: Vec<String>) {
    disconnect_here(core, &Recipients::in_rooms(to, except));
}

/// The rooms of recipients, for other nodes.
fn owned_rooms(recipients: &Recipients) -> (Vec<String>, Vec<String>) {
    let (to, except) = recipients.rooms();
    (to.map(str::to_owned).collect(), except.map(str::to_owned).collect())
}

impl fmt::Debug for Broadcast {
    /// Without the rooms of sessions, whose names are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, except) = self.recipients.rooms();
        f.debug_struct("Broadcast")
            .field("channel", &self.channel.path())
            .field("to", &to.map(mask_room).collect::<Vec<_>>())
            .field("except", &except.map(mask_room).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The rooms' names; `None` for those among which is one of the library's own, of which the first is kept.
fn allowed(rooms: impl Rooms, refused: &mut Option<Refused>) -> Option<Vec<String>> {
    match checked(rooms) {
        Ok(rooms) => Some(rooms),
        Err(Error::ReservedRoom { room, instead }) => {
            refused.get_or_insert((room, instead));
            None
        }
        Err(_) => None,
    }
}

/// The error of a choice by a room that may not be named.
fn refuse(refused: Option<&Refused>) -> Result {
    match refused {
        Some((room, instead)) => Err(Error::ReservedRoom { room: room.clone(), instead }),
        None => Ok(()),
    }
}

/// Counts and logs clients that missed a broadcast because their buffers were full (rule R9).
pub(crate) fn count_missed(path: &str, event: &str, missed: usize) -> Delivery {
    if missed > 0 {
        metric::missed(path, missed);
        let message = format!("`{event}` on `{path}` missed clients whose buffers are full ({missed} of them)");
        undelivered(Cause::Missed, &message);
    }
    Delivery { missed }
}
