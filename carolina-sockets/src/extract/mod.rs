//! What a handler may take as arguments: extractors.
//!
//! Every argument of an [`#[on]`](macro@crate::on) method is an extractor, a type that implements [`FromEvent`]. They may stand in any order, there may be
//! any number of them, and several may read the same event. When one of them fails, the handler does not run and the
//! client is answered with the extractor's error (rule R7).
//!
//! # The extractors
//!
//! | argument | what it gives | fails with | in |
//! |---|---|---|---|
//! | [`Data<T>`](Data) | the event's arguments, as `T` | `invalid_payload` | events |
//! | `Valid<T>`, with the feature `valid` | the same as `Data<T>`, checked by the rules at its fields | `invalid_payload` | events |
//! | [`TryData<T>`](TryData) | the same as a `Result`; the handler decides | never | events |
//! | [`Args<T>`](Args) | all arguments, however many: `Args<Vec<T>>` | `invalid_payload` | events |
//! | [`Ack`] | the acknowledgement, to answer before or after the handler returns | never | events |
//! | [`Event`] | the event's name | never | events |
//! | [`Socket`](crate::Socket) | the client on this channel: to emit, join rooms, disconnect | never | all but `init` |
//! | [`Handshake`](crate::Handshake) | headers, query, cookies, address and `auth` payload | never | all but `init` |
//! | [`Path<T>`](Path) | the parameters of the channel's path | the client is refused with `invalid_path` | all but `init`, where the path has parameters |
//! | [`User`] | the user behind the socket | `unauthenticated` | all but `init` |
//! | `Option<User>` | the same, `None` where there is none | never | all but `init` |
//! | [`Session`](crate::http::Session) | the session behind the socket | `unauthenticated` | all but `init` |
//! | `Option<Session>` | the same, `None` where there is none | never | all but `init` |
//! | [`SocketData<T>`](SocketData) | what [`Socket::set`](crate::Socket::set) has left on the socket | `internal`, when nothing has | all but `init` |
//! | `Option<SocketData<T>>` | the same, `None` where there is none | never | all but `init` |
//! | [`State<T>`](State) | what the application provided by `.state(value)` | start-up (rule R1) | all |
//! | [`Sockets`](crate::Sockets) | the service, to emit to other channels | `internal`, when the service was dropped | all |
//! | [`DisconnectReason`](crate::DisconnectReason) | why the socket has left | never | `disconnect` |
//!
//! *Events* are `#[on("event")]` and `#[on(any)]`; *all* are these, `authorize`, `connect`, `disconnect` and `init`. An argument that has nothing
//! to read in its handler does not compile. What `#[on(init)]` takes implements [`FromInit`].
//!
//! # From JavaScript to Rust
//!
//! | JavaScript sends | argument | what arrives |
//! |---|---|---|
//! | `emit("e", { desk: "A", items: [1] })` | `Data<Checkin>`, a struct that derives `Deserialize` | `Checkin { desk: "A", items: vec![1] }` |
//! | `emit("e", "A")` | `Data<String>` | `"A"` |
//! | `emit("e", "A", 2)` | `Data<(String, u8)>` | `("A", 2)` |
//! | `emit("e", "A", 2)` | `Data<String>` | `"A"`: arguments that are not asked for are ignored |
//! | `emit("e", "A")` | `Data<(String, Option<u8>)>` | `("A", None)`: a missing argument reads as `null` |
//! | `emit("e")` | `Data<Option<String>>` | `None` |
//! | `emit("e")` | `Data<String>` | `invalid_payload`; the handler does not run |
//! | `emit("e", [1, 2, 3])` | `Data<Vec<u8>>` | `vec![1, 2, 3]`: one argument, an array |
//! | `emit("e", 1, 2, 3)` | `Args<Vec<u8>>` | `vec![1, 2, 3]`: three arguments |
//! | `emit("e", new Uint8Array([1, 2]))` | `Data<Bytes>` | two bytes |
//! | `emit("e", "text")` | `Data<Bytes>` | `invalid_payload`: text is not binary |
//! | `emit("e", { name: "a", file: buffer })` | `Data<Upload>` with a field `file: Bytes` | binary values are read wherever they are |
//! | `emit("e", …)` | no argument | what was sent is not read |
//!
//! Names of fields are as `serde` has them: `#[serde(rename_all = "camelCase")]` for those of JavaScript.
//!
//! # From Rust to JavaScript
//!
//! The same holds for what is emitted (`socket.on("e", listener)`) and for what a handler returns (`emit("e", callback)`). `await emitWithAck("e")`
//! gives the first argument of several, and `undefined` where there is none.
//!
//! | Rust | value | JavaScript calls |
//! |---|---|---|
//! | a struct, a map | `Seat { row: 1 }` | `listener({ row: 1 })` |
//! | text, a number, `bool` | `"A"` | `listener("A")` |
//! | a newtype | `Id(1)` | `listener(1)` |
//! | `Bytes` | `Bytes::from_static(&[1, 2])` | `listener(buffer)` |
//! | `Vec`, a slice | `vec![1, 2]` | `listener([1, 2])`: one argument |
//! | an array | `[1, 2]` | `listener(1, 2)`: several |
//! | a tuple | `(1, "A")` | `listener(1, "A")`: several |
//! | [`Args`] | `Args(vec![1, 2])` | `listener(1, 2)`: several |
//! | an array as one argument | `([1, 2],)` | `listener([1, 2])` |
//! | `Some` | `Some(1)`, `Some((1, 2))` | `listener(1)`, `listener([1, 2])`: one argument |
//! | `None`, JSON's `null` | `None::<u8>` | `listener(null)` |
//! | `()` | `()` | `listener()` |
//!
//! In a field of a struct or a part of a tuple, arrays and tuples are JavaScript's arrays, and `()` is `null`.
//!
//! ```
//! use carolina_sockets::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Upload {
//!     name: String,
//!     file: Bytes,
//! }
//!
//! #[channel("/files")]
//! #[derive(Default)]
//! struct Files;
//!
//! #[channel]
//! impl Files {
//!     /// `emit("upload", { name: "a.txt", file: buffer })`
//!     #[on("upload")]
//!     async fn upload(&self, user: User, Data(upload): Data<Upload>) -> String {
//!         format!("{}/{}: {} bytes", user.id(), upload.name, upload.file.len())
//!     }
//!
//!     /// `emit("move", "a.txt", "b.txt")`, or with one name
//!     #[on("move")]
//!     async fn rename(&self, Data((from, to)): Data<(String, Option<String>)>) -> (String, String) {
//!         let to = to.unwrap_or_else(|| format!("{from}.bak"));
//!         (from, to) // two arguments of the acknowledgement
//!     }
//!
//!     /// `emit("delete", "a.txt", "b.txt", …)`
//!     #[on("delete")]
//!     async fn delete(&self, Args(names): Args<Vec<String>>) -> usize {
//!         names.len()
//!     }
//!
//!     #[on(any)]
//!     async fn others(&self, Event(name): Event, TryData(data): TryData<String>) -> Result<String, EventError> {
//!         Ok(format!("{name}: {}", data?))
//!     }
//! }
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use carolina_sockets::{Identity, Sockets, testing::TestService};
//! # struct Ada;
//! # #[carolina_sockets::identity::async_trait]
//! # impl Identify for Ada {
//! #     async fn identify(&self, _: &Handshake) -> Result<Identity, EventError> {
//! #         Ok(Identity::user("ada"))
//! #     }
//! # }
//! # #[derive(Serialize)]
//! # struct Sent {
//! #     name: &'static str,
//! #     file: Bytes,
//! # }
//! # let builder = Sockets::builder().discover(false).mount::<Files>("/files").identify(Ada);
//! # let service = TestService::start(builder).await?;
//! # let mut client = service.connect("/files").await?;
//! # let sent = Sent { name: "a.txt", file: Bytes::from_static(b"hello") };
//! # assert_eq!(client.request::<String>("upload", sent).await?, "ada/a.txt: 5 bytes");
//! # assert_eq!(client.request::<(String, String)>("move", ("a", "b")).await?, ("a".into(), "b".into()));
//! # assert_eq!(client.request::<(String, String)>("move", "a").await?, ("a".into(), "a.bak".into()));
//! # assert_eq!(client.request::<usize>("delete", ("a", "b", "c")).await?, 3);
//! # assert_eq!(client.request::<String>("else", ("a", 2)).await?, "else: a");
//! # assert_eq!(client.request::<String>("else", ()).await.unwrap_err().code(), "invalid_payload");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```
//!
//! # Guards
//!
//! What several handlers check goes into a guard: a function, `async` or not, whose arguments are extractors, and which returns `Result<(), E>` or
//! `bool`. `guard = path::to::function` on [`#[channel]`](macro@crate::channel) covers every event of the channel, `#[on(any)]` included, on
//! [`#[on]`](macro@crate::on) its handler. The channel's guards run first, several of one attribute in the order in which they are written, within
//! the handler's timeout and in the socket's order. The error of a guard is the event's answer (rule R29), `false` is `forbidden`.
//!
//! Hooks have no guards: who may join is decided by `#[on(authorize)]`. An event without a handler is answered with `unknown_event` before any
//! guard runs.
//!
//! ```
//! use carolina_sockets::prelude::*;
//!
//! /// Fails with `unauthenticated` where there is no user, which is the extractor's error.
//! async fn is_member(user: User, members: State<Vec<String>>) -> Result<(), EventError> {
//!     if !members.iter().any(|member| member == user.id()) {
//!         return Err(EventError::new("no_member", "for members only"));
//!     }
//!     Ok(())
//! }
//!
//! fn is_short(Data(text): Data<String>) -> bool {
//!     text.len() < 200
//! }
//!
//! #[channel("/club", guard = is_member)]
//! #[derive(Default)]
//! struct Club;
//!
//! #[channel]
//! impl Club {
//!     #[on("say", guard = is_short)]
//!     async fn say(&self, socket: Socket, Data(text): Data<String>) -> Result<(), EventError> {
//!         socket.broadcast().emit("said", &text).await?;
//!         Ok(())
//!     }
//! }
//! # #[cfg(feature = "testing")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use carolina_sockets::{Identity, testing::TestService};
//! # struct ByName;
//! # #[carolina_sockets::identity::async_trait]
//! # impl Identify for ByName {
//! #     async fn identify(&self, handshake: &Handshake) -> Result<Identity, EventError> {
//! #         Ok(handshake.query().get("name").map_or_else(Identity::anonymous, Identity::user))
//! #     }
//! # }
//! # let builder = Sockets::builder().discover(false).mount::<Club>("/club").state(vec!["ada".to_owned()]).identify(ByName);
//! # let service = TestService::start(builder).await?;
//! # let mut ada = service.client().query("name", "ada").connect("/club").await?;
//! # ada.request::<()>("say", "hello").await?;
//! # assert_eq!(ada.request::<()>("say", "x".repeat(200)).await.unwrap_err().code(), "forbidden");
//! # let mut bob = service.client().query("name", "bob").connect("/club").await?;
//! # assert_eq!(bob.request::<()>("say", "hello").await.unwrap_err().code(), "no_member");
//! # let mut nobody = service.connect("/club").await?;
//! # assert_eq!(nobody.request::<()>("say", "hello").await.unwrap_err().code(), "unauthenticated");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "testing"))]
//! # fn main() {}
//! ```
//!
//! # Extractors of your own
//!
//! Implement [`FromEvent`] for a type. It may call other extractors, wait for a database, and fail with an error for the client:
//!
//! ```
//! use carolina_sockets::{EventContext, FromEvent, extract::Needs, prelude::*};
//!
//! # struct Database;
//! # impl Database {
//! #     async fn account(&self, user: &str) -> Result<Option<u64>, std::io::Error> { Ok(user.parse().ok()) }
//! # }
//! /// The account of the socket's user, from the database.
//! struct Account {
//!     id: u64,
//! }
//!
//! impl FromEvent for Account {
//!     async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
//!         let user = User::from_event(context).await?; // `unauthenticated` without a user
//!         let database = State::<Database>::from_event(context).await?;
//!         let account = database.account(user.id()).await?; // a failure of the database is `internal`
//!         let id = account.ok_or_else(|| EventError::new("no_account", "open an account first"))?;
//!         Ok(Account { id })
//!     }
//!
//!     /// Start-up fails if the application does not provide the database.
//!     fn needs(needs: &mut Needs) {
//!         needs.state::<Database>();
//!     }
//! }
//!
//! #[channel("/orders")]
//! #[derive(Default)]
//! struct Orders;
//!
//! #[channel]
//! impl Orders {
//!     #[on("order")]
//!     async fn order(&self, account: Account, Data(article): Data<String>) -> String {
//!         format!("{article} for account {}", account.id)
//!     }
//! }
//! ```

mod ack;
mod context;
mod data;
mod handshake;
mod keys;
mod path;
mod presence;
mod resumed;
mod session;
mod socket;
mod socket_data;
mod state;
#[cfg(feature = "valid")]
mod valid;

use std::{any::TypeId, future::Future};

pub use ack::Ack;
pub use context::EventContext;
pub(crate) use context::Trigger;
pub use data::{Args, Data, Event, TryData};
pub use keys::Keys;
pub use path::Path;
pub(crate) use path::{PathFault, PathNeed};
pub use presence::Presence;
pub use resumed::Resumed;
pub use session::User;
pub use socket_data::SocketData;
pub use state::State;
#[cfg(feature = "valid")]
pub use valid::Valid;

use crate::{
    core::States,
    error::{EventError, Result},
};

/// Something a handler can take as an argument.
///
/// Implement it for a type of your own to read it in one place and use it in any handler. A type that only puts
/// others together calls their `from_event` in turn; one that looks something up may wait, since the function is
/// asynchronous.
///
/// ```
/// use carolina_sockets::prelude::*;
/// use carolina_sockets::{EventContext, FromEvent};
///
/// /// The language that the client's browser asks for.
/// struct Language(String);
///
/// impl FromEvent for Language {
///     async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
///         let handshake = Handshake::from_event(context).await?;
///         let header = handshake.headers().get("accept-language");
///         let value = header.and_then(|value| value.to_str().ok()).unwrap_or("en");
///         Ok(Language(value.to_owned()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of a handler",
    label = "not an extractor",
    note = "a handler may take: `Socket`, `Data<T>` and `TryData<T>` with `T: Deserialize`, `Valid<T>`, `Args<T>`, `Ack`, `Event`, `Sockets`, `State<T>`, `Session`, `Path<T>`, `User`, `Option<User>`, `SocketData<T>`, `Presence<T>`, `Resumed`, `Handshake`, and in `#[on(disconnect)]` `DisconnectReason`",
    note = "wrap the event's payload in `Data<{Self}>`, or implement `carolina_sockets::FromEvent` for `{Self}`"
)]
pub trait FromEvent: Sized {
    /// Reads the value from an event.
    ///
    /// # Errors
    ///
    /// With any error the handler does not run, and the client is answered with it (rule R7); in `authorize` the client is refused. An error
    /// that was converted by `?` reaches the client as `internal` (rule R8).
    fn from_event(context: &mut EventContext) -> impl Future<Output = Result<Self, EventError>> + Send;

    /// Names the application state that [`from_event`](Self::from_event) asks for, so that start-up fails when it was not provided
    /// (rule R1). By default none.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// Something `#[on(init)]` can take as an argument: [`State<T>`] or [`Sockets`](crate::Sockets). `#[on(presence)]` can take [`Keys`] as well.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the argument of `#[on(init)]` or `#[on(presence)]`",
    label = "there is no client here",
    note = "`#[on(init)]` may take `State<T>` and `Sockets`, `#[on(presence)]` also `Keys`"
)]
pub trait FromInit: Sized {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// With any error, start-up fails with it.
    fn from_init(context: &InitContext) -> Result<Self>;

    /// Names the application state that [`from_init`](Self::from_init) asks for (rule R1). By default none.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

/// What is known where there is no client: what [`FromInit`] reads from.
#[derive(Debug)]
pub struct InitContext {
    pub(crate) states: States,
    /// In `#[on(presence)]`.
    pub(crate) keys: Option<Vec<String>>,
}

/// Collects what handlers need from the application, so that start-up can check it (rule R1).
#[derive(Debug, Default)]
pub struct Needs {
    pub(crate) states: Vec<(TypeId, &'static str)>,
    pub(crate) paths: Vec<PathNeed>,
    /// Whether the channel has to be declared with `presence`, and for what.
    pub(crate) presence: Option<&'static str>,
}

impl Needs {
    /// A handler takes [`State<T>`]: the application has to provide a `T`.
    pub fn state<T: Send + Sync + 'static>(&mut self) {
        self.states.push((TypeId::of::<T>(), std::any::type_name::<T>()));
    }
}
