//! What the macros write into the link-time registry: one row per channel, one per handler.
//!
//! Rows are constants. Nothing runs before `main`; they hold names, locations and function pointers.

use std::{any::TypeId, collections::HashMap, fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;

use crate::{
    core::{AnyChannel, EventFuture},
    error::{Error, EventError},
    extract::{EventContext, InitContext, Needs},
    guard::Rate,
};

/// Fields for each of several keys.
pub type Extras = HashMap<String, serde_json::Map<String, serde_json::Value>>;

/// A channel without its concrete type.
pub type ErasedChannel = Arc<AnyChannel>;

/// Where in the user's source a row was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Location {
    /// A location in the source; the macros fill it in.
    pub const fn new(file: &'static str, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Items that expansions have for the contract.
#[cfg(feature = "contract")]
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_items {
    ($($items:tt)*) => { $($items)* };
}
/// Items that expansions have for the contract: none, without the feature `contract`.
#[cfg(not(feature = "contract"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_items {
    ($($items:tt)*) => {};
}
/// A value that a row has for the contract.
#[cfg(feature = "contract")]
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_value {
    ($value:expr) => {
        $value
    };
}
/// A value that a row has for the contract: none, without the feature `contract`.
#[cfg(not(feature = "contract"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_value {
    ($value:expr) => {
        ()
    };
}

/// Describes a handler, or an event that a channel emits, for the contract. Without the feature `contract` there is nothing of it in a program.
#[cfg(feature = "contract")]
pub(crate) type Describe = fn(&mut super::Description<'_>);
/// Nothing, without the feature `contract`.
#[cfg(not(feature = "contract"))]
pub(crate) type Describe = ();

/// Documentation comments, for the contract.
#[cfg(feature = "contract")]
pub(crate) type Docs = &'static str;
/// Nothing, without the feature `contract`.
#[cfg(not(feature = "contract"))]
pub(crate) type Docs = ();

/// A struct under `#[channel]`.
#[derive(Debug)]
pub struct ChannelRow {
    /// The driver's name: the struct's.
    pub driver: &'static str,
    /// The path the attribute declares, if any.
    pub path: Option<&'static str>,
    /// Whether the attribute says `private`.
    pub private: bool,
    /// Whether the attribute says `presence`, and how.
    pub presence: Option<PresenceRow>,
    /// Whether the attribute says `resume`, and how.
    pub resume: Option<ResumeRow>,
    /// What runs before each event's handler.
    pub guards: &'static [GuardRow],
    /// What the struct declares that it sends.
    pub emits: &'static [EmitRow],
    /// The struct's documentation.
    pub docs: Docs,
    /// The struct's type.
    pub channel: fn() -> TypeId,
    /// Builds the channel by `Default`; `None` where the struct has no `Default`.
    pub default: fn() -> Option<ErasedChannel>,
    /// Where the struct is declared.
    pub location: Location,
}

inventory::collect!(ChannelRow);

/// An `#[emits]` of a struct.
#[derive(Clone, Copy, Debug)]
pub struct EmitRow {
    /// The event.
    pub event: &'static str,
    /// Describes what is sent.
    pub describe: Describe,
}

/// `presence` in `#[channel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceRow {
    /// Replaces `presence.linger`.
    pub linger: Option<Duration>,
}

/// `resume` in `#[channel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeRow {
    /// Whether `#[on(disconnect)]` of a client that lost its connection runs at once.
    pub disconnect_now: bool,
}

/// A method under `#[on]`.
#[derive(Debug)]
pub struct HandlerRow {
    /// The channel struct the method belongs to.
    pub channel: fn() -> TypeId,
    /// The struct's name, for messages.
    pub driver: &'static str,
    /// The method's name.
    pub method: &'static str,
    /// What the handler is for.
    pub on: On,
    /// Its options.
    pub options: Options,
    /// What runs before the handler, behind the channel's guards.
    pub guards: &'static [GuardRow],
    /// Tells what start-up must provide for the handler's arguments.
    pub needs: fn(&mut Needs),
    /// Runs it.
    pub call: Call,
    /// Describes what it takes and answers.
    pub describe: Describe,
    /// Where the method is declared.
    pub location: Location,
}

inventory::collect!(HandlerRow);

/// A function under `guard = …`.
#[derive(Clone, Copy)]
pub struct GuardRow {
    /// The function's path, as it is written.
    pub name: &'static str,
    /// Runs it, or tells what start-up must provide for its arguments.
    pub run: for<'a> fn(GuardCall<'a>) -> EventFuture<'a>,
}

impl fmt::Debug for GuardRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardRow").field(&self.name).finish()
    }
}

/// What is wanted of a guard. Both are one function, so that what is wrong with a guard is one compile error.
#[derive(Debug)]
pub enum GuardCall<'a> {
    /// To add what start-up must provide; its future is ready at once.
    Needs(&'a mut Needs),
    /// To run before an event's handler.
    Run(&'a mut EventContext),
}

/// What a handler is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The named events.
    Events(&'static [&'static str]),
    /// Every event without a handler of its own.
    Any,
    /// Decides whether a client may join.
    Authorize,
    /// Runs once the client has joined, before its first event.
    Connect,
    /// Runs once, after the last event.
    Disconnect,
    /// Adds to what clients are told of who is on the channel.
    Presence,
    /// Builds the channel.
    Init,
}

impl On {
    /// The events or the lifecycle word, as in the attribute.
    pub(crate) fn words(self) -> Vec<String> {
        match self {
            Self::Events(names) => names.iter().map(|name| format!("\"{name}\"")).collect(),
            Self::Any => vec!["any".to_owned()],
            Self::Authorize => vec!["authorize".to_owned()],
            Self::Connect => vec!["connect".to_owned()],
            Self::Disconnect => vec!["disconnect".to_owned()],
            Self::Presence => vec!["presence".to_owned()],
            Self::Init => vec!["init".to_owned()],
        }
    }
}

/// The options of one `#[on]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Runs outside the socket's order.
    pub concurrent: bool,
    /// Replaces `limits.handler_timeout`.
    pub timeout: Option<Duration>,
    /// The limit for these events per socket.
    pub rate: Option<Rate>,
}

/// The function that runs a handler.
#[derive(Clone, Copy)]
pub enum Call {
    /// Events and the lifecycle words, but for the following two.
    Event(for<'a> fn(&'a AnyChannel, &'a mut EventContext) -> EventFuture<'a>),
    /// [`On::Presence`].
    Presence(for<'a> fn(&'a AnyChannel, InitContext) -> BoxFuture<'a, Result<Extras, EventError>>),
    /// [`On::Init`].
    Init(fn(InitContext) -> BoxFuture<'static, Result<ErasedChannel, Error>>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event(_) => "Event(..)",
            Self::Presence(_) => "Presence(..)",
            Self::Init(_) => "Init(..)",
        })
    }
}
