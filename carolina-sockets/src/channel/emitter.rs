//! Emitting from a process that has no sockets of its own.

use serde::Serialize;

use super::{Refused, Rooms, allowed, refuse};
use crate::{
    backplane::{BackplaneError, Bus, Message, SharedLog, connect},
    config::{Config, SHORTEST_SECRET},
    engine::encode_event,
    error::{Error, Result},
    identity::{UserKey, session_room, user_room},
    resume::{EncodedEntry, LogTarget, LoggedChannel, instances_of, logged_channels},
};

/// Emits to the clients of all nodes from a process that serves none, such as a worker or a cron job.
///
/// Nodes that have a `session.secret` accept messages only from processes with the same secret. [`connect`](Self::connect) reads it
/// from the configuration of this process: `CAROLINA_SESSION__SECRET`, or `secret` in the section `[session]` of the file that `CAROLINA_CONFIG`
/// names, by default `config/web_sockets.toml`. Where there is none, a warning is logged. [`connect_with_secret`](Self::connect_with_secret) takes it as
/// an argument.
///
/// ```no_run
/// # async fn job() -> carolina_sockets::Result {
/// use carolina_sockets::Emitter;
///
/// let emitter = Emitter::connect("redis://127.0.0.1:6379").await?;
/// emitter.channel("/").emit_to_user(7, "report-ready", "monthly").await?;
/// let news = emitter.channel("/news");
/// for room in ["sports", "weather"] {
///     news.to(room).except("muted").emit("headline", room).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Emitter {
    bus: Bus,
}

impl Emitter {
    /// Connects to the backplane that the nodes share: `redis://…` or `postgres://…`, with the feature of that name. It signs with the
    /// configuration's `session.secret` if there is one, as the nodes do.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the configuration has mistakes; [`Error::Backplane`] with the URL, its password hidden, when
    /// the server cannot be reached, rejects the credentials, or its feature is not enabled.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with_prefix(url, "carolina").await
    }

    /// The same for nodes whose `backplane.prefix` is not the default, `carolina`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with_prefix(url: &str, prefix: &str) -> Result<Self> {
        let secrets = Config::load()?.session.secret;
        let emitter = Self::open(url, prefix, &secrets).await?;
        if secrets.is_empty() {
            tracing::warn!(
                "the configuration of this process has no session.secret: nodes that have one drop what it emits; set CAROLINA_SESSION__SECRET to that of the nodes"
            );
        }
        Ok(emitter)
    }

    /// Connects with a secret, the first of the nodes' `session.secret`, and nodes' `backplane.prefix`, by default
    /// `carolina`. The configuration of this process is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] as [`connect`](Self::connect), and when the secret has less than 32 bytes.
    pub async fn connect_with_secret(url: &str, prefix: &str, secret: &str) -> Result<Self> {
        if secret.len() < SHORTEST_SECRET {
            return Err(Error::backplane(format!(
                "the secret has {} bytes, but session.secret has at least {SHORTEST_SECRET}: give the one of the nodes",
                secret.len()
            )));
        }
        Self::open(url, prefix, &[secret.to_owned()]).await
    }

    async fn open(url: &str, prefix: &str, secrets: &[String]) -> Result<Self> {
        Ok(Self { bus: Bus::new(connect(url, prefix, secrets).await?) })
    }

    /// The channel at a path, on every node that has it. Whether any has is not known here.
    pub fn channel(&self, path: impl Into<String>) -> EmitterChannel {
        EmitterChannel {
            bus: self.bus.clone(),
            path: path.into(),
            to: Vec::new(),
            except: Vec::new(),
            nobody: false,
            refused: None,
        }
    }

    /// Disconnects a user from every channel, on every node.
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when the nodes could not be notified.
    pub async fn disconnect_user(&self, user: impl UserKey) -> Result {
        let user = user.user_key().into_owned();
        self.publish(Message::DisconnectUser { user }).await
    }

    /// Has every node read a session again from its store, and bring the sockets that belong to it up to date (rule R11).
    ///
    /// # Errors
    ///
    /// [`Error::Backplane`] when the nodes could not be notified.
    pub async fn refresh_session(&self, id: impl Into<String>) -> Result {
        self.publish(Message::Session { id: id.into(), moved_to: None }).await
    }

    async fn publish(&self, message: Message) -> Result {
        self.bus.publish(message).await.map_err(Error::backplane)
    }
}

impl std::fmt::Debug for Emitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Emitter")
    }
}

/// Which logs an event was appended to.
enum Logged {
    /// The channel has none.
    No,
    /// That of the channel, so that all nodes know.
    One,
    /// Those of these instances.
    Instances(Vec<String>),
}

/// A channel on every node, or a choice of its clients; see [`Emitter::channel`].
#[derive(Clone)]
#[must_use = "a channel does nothing until something is emitted to it"]
pub struct EmitterChannel {
    bus: Bus,
    path: String,
    to: Vec<String>,
    except: Vec<String>,
    nobody: bool,
    /// The first room that was named and may not be.
    refused: Option<Refused>,
}

impl EmitterChannel {
    /// Selects the clients in at least one of these rooms; an empty list selects none.
    pub fn to(&self, rooms: impl Rooms) -> Self {
        self.with(|choice| {
            choice.to.extend(allowed(rooms, &mut choice.refused).unwrap_or_default());
            choice.nobody = choice.to.is_empty();
        })
    }

    /// Excludes the clients in any of these rooms.
    pub fn except(&self, rooms: impl Rooms) -> Self {
        self.with(|choice| choice.except.extend(allowed(rooms, &mut choice.refused).unwrap_or_default()))
    }

    /// Adds the sockets of a user.
    pub fn to_user(&self, user: impl UserKey) -> Self {
        self.with(|choice| {
            choice.to.push(user_room(&user.user_key()));
            choice.nobody = false;
        })
    }

    /// Adds the sockets of a session.
    pub fn to_session(&self, session: impl AsRef<str>) -> Self {
        self.with(|choice| {
            choice.to.push(session_room(session.as_ref()));
            choice.nobody = false;
        })
    }

    /// Leaves out the sockets of a user.
    pub fn except_user(&self, user: impl UserKey) -> Self {
        self.with(|choice| choice.except.push(user_room(&user.user_key())))
    }

    /// Leaves out the sockets of a session.
    pub fn except_session(&self, session: impl AsRef<str>) -> Self {
        self.with(|choice| choice.except.push(session_room(session.as_ref())))
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut choice = self.clone();
        change(&mut choice);
        choice
    }

    /// Sends an event to the selected clients. When this returns, it has been published to the nodes; delivery is not
    /// confirmed.
    ///
    /// # Errors
    ///
    /// [`Error::Serialize`] when `data` does not serialize, [`Error::ReservedEvent`] when Socket.IO reserves the event's
    /// name, [`Error::ReservedRoom`] when a room was named that is the library's own, [`Error::Backplane`] when the nodes
    /// could not be notified.
    pub async fn emit(&self, event: &str, data: impl Serialize) -> Result {
        refuse(self.refused.as_ref())?;
        let (payload, attachments) = encode_event(event, &data)?;
        if self.nobody {
            return Ok(());
        }
        let (path, to, except) = (self.path.clone(), self.to.clone(), self.except.clone());
        let logged = match self.bus.shared_log() {
            Some(log) => self.append(&log, &payload, &attachments).await.map_err(Error::backplane)?,
            None => Logged::No,
        };
        let logged = match logged {
            Logged::No => Vec::new(),
            Logged::One => return Ok(()),
            Logged::Instances(paths) => paths,
        };
        let message = Message::Emit { path, to, except, payload, attachments, logged };
        self.bus.publish(message).await.map_err(Error::backplane)
    }

    /// Appends an event to the logs of the channel, if the nodes keep any.
    async fn append(
        &self,
        log: &SharedLog,
        payload: &str,
        attachments: &[String],
    ) -> std::result::Result<Logged, BackplaneError> {
        let of_channel = |channel: &LoggedChannel| Some((channel.log_of(&self.path)?, channel.retention()));
        let channels = logged_channels(log).await?;
        // Where a path is declared, it is not an instance of a template that matches it.
        let mut found: Vec<_> = channels.iter().filter_map(of_channel).collect();
        found.sort_by_key(
            |(to, _)| !matches!(to, LogTarget::One(path) if channels.iter().any(|channel| channel.is_at(path))),
        );
        let Some((to, retention)) = found.into_iter().next() else { return Ok(Logged::No) };
        let (paths, logged) = match to {
            LogTarget::One(path) => (vec![path], Logged::One),
            LogTarget::Instances(of) => {
                let paths = instances_of(log, &of).await?;
                (paths.clone(), Logged::Instances(paths))
            }
        };
        for path in paths {
            let (payload, attachments) = (payload.to_owned(), attachments.to_vec());
            let entry = EncodedEntry::new(payload, attachments, self.to.clone(), self.except.clone());
            log.append(&path, retention, &entry.encode()).await?;
        }
        Ok(logged)
    }

    /// Sends an event to every socket of a user.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn emit_to_user(&self, user: impl UserKey, event: &str, data: impl Serialize) -> Result {
        self.to_user(user).emit(event, data).await
    }

    /// Sends an event to every socket of a session.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub async fn emit_to_session(&self, session: impl AsRef<str>, event: &str, data: impl Serialize) -> Result {
        self.to_session(session).emit(event, data).await
    }
}

impl std::fmt::Debug for EmitterChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmitterChannel").field("path", &self.path).finish_non_exhaustive()
    }
}
