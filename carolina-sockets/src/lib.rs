//! A framework for [Socket.IO](https://socket.io) servers: channels are structs, their event handlers are methods, and both are
//! found at link time. It runs on [`socketioxide`](https://docs.rs/socketioxide) and [`axum`](https://docs.rs/axum).
//!
//! # Example
//!
//! ```no_run
//! use carolina_sockets::prelude::*;
//!
//! /// Clients of `/custom`.
//! #[channel("/custom")]
//! #[derive(Default)]
//! struct MyCustomChannel {
//!     checkins: AtomicU64,
//! }
//!
//! #[derive(Deserialize)]
//! struct Checkin {
//!     desk: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Welcome {
//!     number: u64,
//! }
//!
//! #[channel]
//! impl MyCustomChannel {
//!     /// Answers with the number of the check-in, and tells everybody else on the channel.
//!     #[on("checkin")]
//!     async fn checkin(&self, socket: Socket, Data(checkin): Data<Checkin>) -> Result<Welcome, EventError> {
//!         if checkin.desk.is_empty() {
//!             return Err(EventError::new("no_desk", "name the desk to check in at"));
//!         }
//!         socket.broadcast().emit("checked-in", &checkin.desk).await?;
//!         Ok(Welcome { number: self.checkins.fetch_add(1, Relaxed) + 1 })
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> carolina_sockets::Result {
//!     carolina_sockets::serve().await
//! }
//! ```
//!
//! The client in the browser is the official one:
//!
//! ```js
//! import { io } from "socket.io-client";
//!
//! const socket = io("/custom");
//! socket.on("checked-in", (desk) => console.log(desk));
//! await socket.emitWithAck("checkin", { desk: "A" }); // { number: 1 }
//! await socket.emitWithAck("checkin", { desk: "" });  // { error: { code: "no_desk", message: "name the desk to check in at" } }
//! ```
//!
//! The rest of the application emits from wherever it is:
//!
//! ```no_run
//! # async fn example() -> carolina_sockets::Result {
//! let channel = carolina_sockets::sockets().channel("/custom")?;
//! channel.emit("opened", "the desks are open").await?; // everybody on the channel, on all nodes
//! channel.to("authenticated").except("muted").emit("news", "for members").await?;
//! channel.emit_to_user(7, "mail", "one new letter").await?; // all sockets of one user
//! # Ok(())
//! # }
//! ```
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | declare channels and handlers, with their options | [`#[channel]`](macro@channel), [`#[on]`](macro@on) |
//! | have one channel for each order, room or document | `#[channel("/orders/{id}")]`, [`Path`], [`ChannelHandle::at`] |
//! | read an event, or what else a handler needs | [`extract`]: all extractors, and how to write one |
//! | check something before several handlers | [guards](extract#guards) |
//! | keep something with a socket | [`Socket::set`], [`SocketData`] |
//! | answer, or fail on purpose | [`EventError`], [`Ack`], [`error::code`] |
//! | emit | [`Socket`], [`ChannelHandle`], [`Broadcast`]; [`Emitter`] from a process that serves no sockets |
//! | run an application | [`serve`](fn@serve), [`sockets`] |
//! | add channels to an axum or tower application | [`Sockets::builder`], [`Sockets::layer`] |
//! | know who a client is | [`identity`], [`User`], [`http::Session`] |
//! | configure | [`config`] |
//! | have the page's types written, and changes compared | [`emits`](macro@emits), [`cli`](fn@cli); the chapter [The contract](https://github.com/carolina-framework/carolina-sockets/blob/main/docs/contract.md) |
//! | test channels | `testing` (with the feature of that name) |
//!
//! # Cargo features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `serve` | yes | `serve()`: the listener, static files, signals and log output |
//! | `cli` | | `cli()`, the command line inside an application, and the program `carolina`; includes `serve` |
//! | `contract` | | the contract: TypeScript, AsyncAPI and JSON Schema from the declarations, and the setting `contract_page`; includes `cli` |
//! | `testing` | | `testing`: a service and clients in the test's own process |
//! | `redis` | | sessions and backplane in Redis |
//! | `postgres` | | sessions and backplane in PostgreSQL |
//! | `sqlite` | | sessions in SQLite |
//! | `prometheus` | | the setting `metrics`: a page for Prometheus; includes `serve` |
//! | `otlp` | | traces to a collector: the settings [`otlp`](config::OtlpConfig); includes `serve` |
//! | `tls` | | the setting `tls`: https and wss; includes `serve` |
//! | `systemd` | | `Type=notify`, and sockets that systemd has opened; includes `serve` |
//! | `jwt` | | `identity::JwtIdentify`: identity from JSON Web Tokens |
//! | `uuid` | yes | `Uuid` as a user's key, and as a parameter of a path |
//! | `anyhow` | | `anyhow::Error` by `?` in handlers, and as what they fail with |
//! | `admin` | | the official Admin UI: the settings [`admin`](config::AdminConfig); includes `serve` |
//! | `valid` | | `Valid<T>`: payloads that `validator` has checked; re-exports that crate |
//! | `legacy-clients` | | Socket.IO v2 clients (Engine.IO protocol 3) beside the current ones |
//!
//! # Settings
//!
//! An application runs without any. [`serve`](fn@serve) and [`Sockets::builder`] read `config/web_sockets.toml`, or the file that the
//! variable `CAROLINA_CONFIG` names; variables such as `CAROLINA_LIMITS__MAILBOX` override single keys. **[`config`] has the table of all
//! keys, with units and defaults**; these are the ones that most applications set:
//!
//! ```toml
//! bind = "127.0.0.1:3000"
//! origins = ["https://app.example"]           # pages that may connect, beside the server's own
//!
//! [channels]
//! "/other" = { driver = "MyCustomChannel", private = true }
//!
//! [session]
//! store = "redis://127.0.0.1:6379"            # default: in memory
//! secret = "…"                                # at least 32 bytes; encrypts the session cookie
//!
//! [backplane]
//! url = "redis://127.0.0.1:6379"              # default: this process alone
//! ```
//!
//! # Error codes
//!
//! An event that fails is answered with `{ "error": { "code", "message", "details"? } }`; an event sent without an acknowledgement gets
//! the same body, with `event` added, as the event `exception`. A client that a channel refuses gets `connect_error`, whose `message` is
//! `code: message` or the code alone. A request that is refused before there is a connection gets an HTTP response with
//! `{ "code", "message" }`. Before the server disconnects a client, it sends the event `carolina:closed` with `{ "code", "message" }`. A request that is
//! no valid Socket.IO gets the protocol's own numbers as its code.
//!
//! | code | constant | when | details |
//! |---|---|---|---|
//! | `invalid_payload` | [`INVALID_PAYLOAD`](error::code::INVALID_PAYLOAD) | the payload is not what the handler takes | `path`: the JSON path of the fault; `expected`; of `Valid<T>` a list with `path` and `message` for each failed check |
//! | `unknown_event` | [`UNKNOWN_EVENT`](error::code::UNKNOWN_EVENT) | the channel has no handler for the event | |
//! | `unauthenticated` | [`UNAUTHENTICATED`](error::code::UNAUTHENTICATED) | the event or the channel needs a user and there is none; a token or session is not valid | `reason`, for tokens |
//! | `forbidden` | [`FORBIDDEN`](error::code::FORBIDDEN) | `#[on(authorize)]` returned `false`; the socket may no longer be on the channel; the page's origin or the host is not allowed (HTTP 403) | |
//! | `rate_limited` | [`RATE_LIMITED`](error::code::RATE_LIMITED) | more events than `limits.events_per_second` or the handler's `rate` | `retry_after_ms` |
//! | `overloaded` | [`OVERLOADED`](error::code::OVERLOADED) | `limits.mailbox`, `limits.mailbox_bytes` or `limits.connections` is reached (HTTP 503 for connections) | |
//! | `shutting_down` | [`SHUTTING_DOWN`](error::code::SHUTTING_DOWN) | the event or the client comes while the server shuts down (HTTP 503 for connections); the server closes the connection (event `carolina:closed`) | |
//! | `timeout` | [`TIMEOUT`](error::code::TIMEOUT) | the handler took longer than its `timeout` or `limits.handler_timeout`; a polling request longer than `limits.body_timeout` (HTTP 408) | |
//! | `internal` | [`INTERNAL`](error::code::INTERNAL) | an error that was not meant for clients, or a panic | `reference`: finds the cause in the log |
//! | `payload_too_large` | [`PAYLOAD_TOO_LARGE`](error::code::PAYLOAD_TOO_LARGE) | an event is larger than `limits.max_payload` or has more than `limits.max_attachments`, or a handshake is larger than `limits.header_bytes` (HTTP 431, `connect_error`); see [Large messages](#large-messages) | `setting`, `actual`, `allowed` |
//! | `bad_request` | [`BAD_REQUEST`](error::code::BAD_REQUEST) | a trusted proxy forwards no readable client address (HTTP 400); a request to [publish](config::PublishConfig) that is not `POST` (HTTP 405) | |
//! | `removed` | [`REMOVED`](error::code::REMOVED) | [`Socket::disconnect`], [`Sockets::disconnect_user`] or [`Broadcast::disconnect`] (event `carolina:closed`) | |
//! | `invalid_path` | [`INVALID_PATH`](error::code::INVALID_PATH) | a parameter of the channel's path is not what its handlers take; in `connect_error`, with the three in its message | `name`, `value`, `expected` |
//! | `too_many_channels` | [`TOO_MANY_CHANNELS`](error::code::TOO_MANY_CHANNELS) | the connection has as many channels with parameters open as it may (`limits.channels_per_connection`); in `connect_error` | |
//! | `unavailable` | [`UNAVAILABLE`](error::code::UNAVAILABLE) | what was published did not reach the other nodes, or web sockets are off (HTTP 503) | |
//!
//! All other codes are the application's own, by [`EventError::new`]. What operations of the library fail with, on the server, is [`Error`].
//!
//! ## Large messages
//!
//! An event has at most `limits.max_payload` bytes (1 MB), attachments included. One that is larger is not kept: it is answered with
//! `payload_too_large`, the connection goes on, and the log says who sent it and which setting to raise. What is no event, and whatever is
//! larger than 64 MiB, closes the connection: a WebSocket with status 1009 and a reason (in the official client `details.context` of
//! `disconnect`), a polling request with HTTP status 413.
//!
//! `limits.mailbox_bytes` (1 MB) is for all events of a connection together that wait or are being handled. An event that is larger than this budget is
//! taken when no other one is kept, so that raising `limits.max_payload` is enough to let a single large event in; what comes while it is
//! handled is answered with `overloaded`. To have several large ones at a time, raise both.
//!
//! Files do not belong into events: each waits for the ones before it, pings included, and is in memory as a whole. Take them over HTTP, by a
//! route of the application's router, and emit where they are; or have the client cut them into pieces (`Blob.slice`), and send
//! the next one when the one before has been acknowledged. A proxy in front of the server has a limit of its own for polling clients, as nginx
//! has with `client_max_body_size` (1 MB).
//!
//! # Rules
//!
//! What the library guarantees. The documentation refers to these rules by number, and each has tests that are named after it.
//!
//! **Registration and start-up**
//!
//! - **R1** Every linked `#[channel]` struct is found; there is no list of them. When two drivers have one name, two channels one path, or one
//!   event two handlers, start-up fails and names every clash, with file and line of both sides. It also fails when a handler takes a
//!   [`State<T>`](State) that nobody provided.
//! - **R2** The configuration maps paths to drivers: under `[channels]`, `"/other" = { driver = "MyCustomChannel" }`. A driver may be mounted at
//!   several paths; each mount has its own instance of the channel. A configured path overrides a declared one, and `enabled = false`
//!   removes a path. On an unknown driver, key or value, start-up fails and names the file, the key and the nearest known name.
//! - **R3** `/` is served by the built-in [`MainChannel`] unless another driver is mounted there.
//! - **R4** Sockets are off until they are needed: with no channel declared, no entry under `[channels]` and no `use_sockets = true`, the service
//!   has no Socket.IO endpoint, and the log says so once. `use_sockets = false` keeps them off; `true` turns them on, with `MainChannel`
//!   alone if there is no other. Emitting while they are off is an error value ([`Error::SocketsOff`]), not a panic.
//!
//! **Events**
//!
//! - **R5** An event that a client sends as soon as it sees `connect` is never lost, and no event handler runs before
//!   `#[on(connect)]` has finished.
//! - **R6** One socket's events on one channel are handled one at a time, in the order in which they arrived; `#[on(disconnect)]` runs after the
//!   last. Handlers with the option `concurrent` are outside of that order. The queue is bounded by `limits.mailbox`.
//! - **R7** An event that is sent with an acknowledgement gets exactly one answer, always. Success acknowledges with the value that the
//!   handler returned, failure with `{ "error": { "code", "message", "details"? } }`. An event that is sent without an acknowledgement gets its failure
//!   as one event `exception`, with the same body and `event`.
//! - **R8** The library's errors have the [codes above](#error-codes); a handler's own error chooses its code. What a handler did not mean for
//!   clients never reaches them: an unknown error or a panic is logged in full, and answered with `internal` and a reference that is also in
//!   the log. A panic ends neither the socket nor the server.
//! - **R9** Nothing is dropped silently for a slow reader. [`Socket::emit`] waits for room in the client's buffer up to
//!   `limits.send_timeout`, then closes the socket with a reason in the log. A broadcast does not wait: it returns, logs and counts how many
//!   clients missed it because their buffers were full ([`Delivery::missed`]).
//! - **R29** Guards (`guard = path::to::function` on [`#[channel]`](macro@channel) and [`#[on]`](macro@on)) run before each event's handler that they
//!   cover: the channel's, then the handler's, each in the order in which they are written. With an error of a guard's the handler does not
//!   run, and the error is the event's answer. `Valid<T>` is [`Data<T>`](Data) whose failed checks are `invalid_payload` with a path and a
//!   message each. [`SocketData<T>`](SocketData) is what [`Socket::set`] has left on the socket; it goes with the socket.
//! - **R30** The rooms of sessions and users are the library's: an application cannot join, leave or address them as rooms. It gets
//!   [`Error::ReservedRoom`], which says what to write instead. The names of Socket.IO's own events (`connect`, `connect_error`, `disconnect`,
//!   `disconnecting`, `newListener`, `removeListener`) are refused by every emit with [`Error::ReservedEvent`]; handlers for them do not compile.
//!
//! **The contract**
//!
//! - **R21** With the feature `contract`, the command `contract --typescript`, `--asyncapi` or `--json-schema` writes what the channels take, answer and emit, from the
//!   declarations alone: types by `schemars`, errors with their codes, parameters of paths, binary data, documentation comments. Equal sources give
//!   equal bytes. A type without a schema is `unknown`, and named on standard error.
//! - **R22** `contract --check` with a file that was written before fails if clients of that contract would break, and names each change by which they would. `contract_page = true`
//!   serves a page that shows the contract at `/contract`. Once a channel has an [`emits`](macro@emits), an emit that is not declared is a warning in the log of
//!   a debug build, once for each event, and fails tests that use `TestService`.
//!
//! **Identity**
//!
//! - **R10** Who a socket belongs to is known before `#[on(authorize)]` and `#[on(connect)]` run, from the handshake: by the session cookie, or by
//!   `auth: { sessionId }` from clients that cannot send cookies. The event `session_id` does the same at any later time; the events
//!   behind it wait until it is resolved. The value is the cookie's, which is encrypted.
//! - **R11** A socket with a session is in the room `session.{id}`, and in `user.{user_id}` when that session has a user; [`Socket::user_id`] and
//!   [`Socket::session_id`] tell both. When a session changes its user (log-in, log-out) or ends, its sockets follow on every node: they change
//!   rooms, and leave private channels that they may no longer be on.
//! - **R12** A private channel lets in only whom `#[on(authorize)]` accepts; without that handler, only sockets with a user. A client that is
//!   refused gets `connect_error` with a code; it has been in no room and run no handler.
//! - **R13** Sessions are kept in any store of [`tower-sessions`](https://docs.rs/tower-sessions). Who a socket belongs to may also be decided by the
//!   application's own [`Identify`].
//!
//! **Limits**
//!
//! - **R14** A browser page of an origin that is neither the server's own nor listed in `origins` is refused at the handshake, on both transports.
//!   Payloads, connections (in total and per address), events per second and queues have limits, with safe [defaults](config).
//! - **R15** Malformed input of any kind (frames, packets, payloads, cookies, configuration) gives a clear error to whoever sent it. It never
//!   causes a panic, and never affects another client.
//! - **R31** What exceeds a limit is answered, or its connection closed with a reason that the client can read; it is logged with the key to raise, and
//!   counted by its cause.
//!
//! **Presence**
//!
//! - **R20** A channel that is declared with `presence` has a list of who is on it, by [`Presence<T>`](Presence) and [`ChannelHandle::presence`]. Who joins
//!   gets `presence_state`, `{ key: { metas: [{ ref, … }] } }`; all get `presence_diff`, `{ joins, leaves }` of the same shape. A key joins with its
//!   first socket and leaves with its last. A client that comes back within `linger`, to whichever node, has neither left nor joined. A node
//!   that dies takes its own entries along, and nobody else's; a rolling restart shows nobody leaving.
//!
//! **Resuming**
//!
//! - **R23** On a channel with `resume`, a client that asks by `auth: { resume: true }` and loses its connection gets its rooms back and every event it missed, in order, each once,
//!   before its `connect`, as Socket.IO's Connection State Recovery has it: from the first event on, on quiet connections, again and again, over both
//!   transports. A client that does not ask gets the same bytes as on any other channel.
//! - **R24** Nothing is lost in silence. When not all that was missed can be given, nothing of it is: the client is new, and gets `carolina:gap` with
//!   `{ reason: "expired" | "overflow" | "epoch" | "identity" | "node", since }`. Identity and `authorize` run again at every resume; a `pid` is bound to its session and user,
//!   cannot be guessed, and is worth nothing to another.
//!
//! **Scale**
//!
//! - **R16** Application code never names a backplane. `backplane.url` selects it (`redis://…`, `postgres://…`, none for this process alone), behind the
//!   cargo features of the same names.
//! - **R17** With a backplane, R11 and every emit reach all nodes. When a node dies, or the backplane is away for a while, the other nodes lose
//!   only the messages of that time, and log and metrics say so.
//!
//! # Channels in another crate
//!
//! The linker leaves out a crate that nothing refers to, and its channels are then not found. Refer to it: `use the_crate as _;`.
//!
//! # Types of other crates
//!
//! The public API names types of `axum` 0.8, `tower-sessions` 0.14, `http` 1, `serde` 1, `bytes` 1, `ipnet` 2, `uuid` 1 and `tokio` 1, and traits of
//! `tower-layer` and `tower-service`; with the feature `valid`, `validator` 0.21, and with `contract`, `schemars` 1. It names none of `socketioxide`, which may be updated by any release.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[allow(unused_extern_crates)]
extern crate self as carolina_sockets;

#[cfg(feature = "admin")]
mod admin;
mod background;
mod backplane;
mod channel;
#[cfg(feature = "cli")]
mod cli;
pub mod config;
#[cfg(feature = "contract")]
mod contract;
mod core;
mod dispatch;
mod engine;
pub mod error;
mod event_name;
pub mod extract;
#[cfg(test)]
mod fuzz;
mod guard;
pub mod http;
pub mod identity;
mod namespace;
mod path;
mod plan;
pub mod prelude;
mod presence;
#[doc(hidden)]
pub mod private;
#[cfg(feature = "redis")]
mod redis_client;
mod registry;
mod resume;
mod service;
mod session_sync;
mod socket;
mod suggest;
mod telemetry;
mod template;
#[cfg(feature = "testing")]
pub mod testing;

/// Declares a channel: above a struct, and above the impl blocks that have its handlers.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// /// Mounted at `/counter`, for sockets with a user only.
/// #[channel("/counter", private)]
/// struct Counter {
///     count: AtomicU64,
/// }
///
/// #[channel]
/// impl Counter {
///     /// Builds the channel, once per mount; without it, `Default` does.
///     #[on(init)]
///     fn new() -> Self {
///         Self { count: AtomicU64::new(100) }
///     }
///
///     #[on("count")]
///     async fn count(&self) -> u64 {
///         self.count.fetch_add(1, Relaxed)
///     }
/// }
/// ```
pub use carolina_sockets_macros::channel;
/// Declares a handler: above a method, in an impl block under [`#[channel]`](macro@channel).
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[channel("/chat")]
/// #[derive(Default)]
/// struct Chat;
///
/// #[channel]
/// impl Chat {
///     #[on(authorize)]
///     async fn authorize(&self, user: Option<User>) -> bool {
///         user.is_some()
///     }
///
///     #[on(connect)]
///     async fn connect(&self, socket: Socket) -> Result<(), EventError> {
///         socket.emit("hello", socket.user_id()).await?;
///         Ok(())
///     }
///
///     #[on("say", rate = "5/s")]
///     async fn say(&self, socket: Socket, Data(text): Data<String>) -> Result<(), EventError> {
///         socket.broadcast().emit("said", &text).await?;
///         Ok(())
///     }
///
///     #[on("search", concurrent, timeout = "10s")]
///     async fn search(&self, Data(words): Data<Vec<String>>) -> Vec<String> {
///         words
///     }
///
///     #[on(disconnect)]
///     async fn disconnect(&self, socket: Socket, reason: DisconnectReason) {
///         println!("{} has left: {reason}", socket.id());
///     }
/// }
/// ```
pub use carolina_sockets_macros::on;

/// Declares what a channel sends: below [`#[channel]`](macro@channel) on its struct, any number of times (rule R21).
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Serialize)]
/// # #[cfg_attr(feature = "contract", derive(JsonSchema))]
/// struct Position {
///     x: f64,
///     y: f64,
/// }
///
/// #[channel("/board")]
/// #[emits("moved", (String, Position))] // two arguments
/// #[emits("cleared", ())]
/// #[derive(Default)]
/// struct Board;
///
/// #[channel]
/// impl Board {
///     #[on("clear")]
///     async fn clear(&self, socket: Socket) -> Result<(), EventError> {
///         socket.channel_handle().emit("cleared", ()).await?;
///         Ok(())
///     }
/// }
/// ```
pub use carolina_sockets_macros::emits;

pub use channel::{Broadcast, ChannelHandle, ChannelPresence, Delivery, Emitter, EmitterChannel, Rooms, SocketInfo};
#[cfg(feature = "cli")]
pub use cli::{Cli, cli};
pub use config::{Config, Transport};
pub use engine::{DisconnectReason, InvalidSocketId, SocketId};
pub use error::{Error, EventError, Result};
#[cfg(feature = "valid")]
pub use extract::Valid;
pub use extract::{
    Ack, Args, Data, Event, EventContext, FromEvent, FromInit, InitContext, Keys, Needs, Path, Presence, Resumed,
    SocketData, State, TryData, User,
};
pub use identity::{Cookies, Handshake, Identify, Identity, Query, UserKey};
pub use presence::Present;
pub use registry::{Channel, MainChannel};
pub use resume::Resumption;
pub use service::{Builder, Sockets, SocketsLayer, SocketsService, sockets, try_sockets};
#[cfg(feature = "serve")]
pub use service::{Serve, serve};
pub use socket::Socket;

/// The crate whose `JsonSchema` the contract reads types by, for `#[derive(JsonSchema)]` without a dependency of one's own. The derive finds it by its
/// name, which the [prelude] has; elsewhere write `use carolina_sockets::schemars;`.
#[cfg(feature = "contract")]
pub use schemars;

/// The crate whose rules [`Valid`] checks, for `#[derive(Validate)]` without a dependency of one's own.
#[cfg(feature = "valid")]
pub use validator;

/// What the program `carolina` runs.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub fn carolina() -> std::process::ExitCode {
    cli::carolina()
}
