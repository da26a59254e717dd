//! The attributes of [carolina-sockets](https://docs.rs/carolina-sockets): `#[channel]`, `#[on]` and `#[emits]`.
//!
//! Use them through `carolina_sockets`, which re-exports them and holds all that their expansions name.

mod channel;
mod errors;
mod event_name;
mod guard;
mod names;
mod on;
mod path;
mod suggest;

use proc_macro::TokenStream;

/// Makes a struct a channel, and an impl block the home of its handlers.
///
/// # On a struct
///
/// `#[channel("/path")]` declares a driver that is called like the struct and is mounted at the path. Every linked
/// driver is found at start-up; there is no list to keep. `#[channel]` without a path declares a driver that
/// the configuration mounts.
///
/// | argument | meaning |
/// |---|---|
/// | `"/path"` | where the driver is mounted unless the configuration says otherwise |
/// | `private` | lets in only whom `#[on(authorize)]` accepts; without that hook, only sockets with a user |
/// | `presence`, `presence(linger = "15s")` | keeps a list of who is on the channel, for handlers (`Presence<T>`) and clients; `linger`, which replaces the setting `presence.linger`, is how long a client that lost its connection stays listed |
/// | `resume`, `resume(disconnect = "now")` | clients that come back get what they have missed (rule R23); `#[on(disconnect)]` of a client that lost its connection runs when it can no longer come back, or with `"now"` at once |
/// | `guard = path::to::function` | runs before each event's handler; several run in the order in which they are written |
///
/// A path begins with `/`, has no empty segment (so it ends with `/` only if it is `/`), at most 255 bytes, and neither
/// white space, control characters, quotes, backslashes nor any of `,`, `?`, `#`, `[`, `]`, `{`, `}`. Two drivers of one
/// name, and two channels at one path, are told at start-up, wherever they are linked from.
///
/// A segment may be a parameter, `{name}`, as in `"/orders/{id}"`: then each `/orders/42` is a channel for its clients, with
/// rooms and broadcasts of its own, while there is one value of the struct for all of them. Handlers read the parameters by
/// `Path<T>`. A path without parameters wins over one with them, and two with parameters that could match one path are told at
/// start-up. What a client writes for a parameter is percent-decoded and may not be empty; if it does not read as every
/// handler's `Path<T>`, the client is refused with `invalid_path`.
///
/// A channel is built once per mount: by its `#[on(init)]` function, otherwise by `Default`. It is shared by all its
/// clients, so it is `Send + Sync`, and what changes in it is in a `Mutex` or an atomic.
///
/// # On an impl block
///
/// `#[channel]` makes the block's methods under [`#[on(…)]`](macro@on) the channel's handlers. The other methods stay what
/// they are. Several blocks add up, wherever they stand.
///
/// # What does not compile
///
/// All mistakes of a block are told at once, each where it stands, with what to write instead. The block itself is left
/// in place, and so are its sound handlers; no other error follows from the ones that are told.
///
/// - On an item that is neither a struct nor an impl block, on an `impl Trait for`; a path or an option above an impl block.
/// - A generic channel. It is found at link time, before a type is chosen; wrap the one that is meant.
/// - An unknown option, one that is given twice, a path that breaks the rule above.
/// - A `Path<T>` with another number of parameters than the channel's path has, where the type shows it.
/// - An impl block of a struct that is no channel itself.
/// - Two handlers for one event, two for one word, such as `connect`. Handlers under `#[cfg]`, and those of different
///   blocks, are compared at start-up instead.
#[proc_macro_attribute]
pub fn channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    channel::expand(arguments.into(), item.into()).into()
}

/// Makes a method a handler, inside an impl block under [`#[channel]`](macro@channel).
///
/// | form | runs | may return |
/// |---|---|---|
/// | `#[on("event")]`, `#[on("a", "b")]` | for these events | `()`, any `T: Serialize`, `Result<_, E>` with `E: Into<EventError>` |
/// | `#[on(any)]` | for an event that no other handler names | the same |
/// | `#[on(authorize)]` | before the client is let in | `bool`, `Result<(), E>` |
/// | `#[on(connect)]` | once the client is in, before its first event | `()`, `Result<(), E>` |
/// | `#[on(disconnect)]` | once, after the last event | `()` |
/// | `#[on(init)]` | at start-up; builds the channel, takes no `&self` | `Self`, `Result<Self, E>` |
///
/// | option | of | meaning |
/// |---|---|---|
/// | `concurrent` | events, `any` | the handler stands outside its socket's order |
/// | `timeout = "5s"` | all but `init` | replaces `limits.handler_timeout`; any duration, as `500ms` or `1m 30s` |
/// | `rate = "20/s"` | events, `any` | at most so many of these events per socket; `/s`, `/m`, `/h` or any duration, as `5/500ms` |
///
/// | `guard = path::to::function` | events, `any` | runs before the handler, behind the channel's own guards; several run in order |
///
/// # Guards
///
/// A guard is a function, `async` or not, whose arguments are extractors and which returns `Result<(), E>` with
/// `E: Into<EventError>`, or `bool`, of which `false` is `forbidden`. It runs before the handler, in the socket's order and within the
/// handler's `timeout`. With an error the handler does not run, and the event is answered with the error. `authorize`, `connect`, `disconnect`
/// and `init` have no guards, nor has an event without a handler.
///
/// # The method
///
/// It may be `async` or not, and may leave `&self` out. Its arguments are extractors, in any order and by any pattern;
/// those of `init` are `State<T>` and `Sockets`. What it returns is the client's acknowledgement, so it may also be
/// `impl Serialize`.
///
/// Visibility, documentation, `#[deprecated]` and every other attribute stay with the method. `#[cfg]` takes the handler
/// away together with it, and `#[cfg_attr(condition, on("event"))]` makes the method a handler under the condition.
///
/// # What does not compile
///
/// - Outside an impl block under `#[channel]`, above anything but a method, two of them above one method.
/// - An unknown word or option, an event's name without quotes, an option given twice or where it means nothing, a
///   value that is not a duration or rate.
/// - An event named twice, without a name, or by one that Socket.IO (`connect`, `connection`, `disconnecting`, …) or the library
///   (`session_id`, `exception`) keeps; a name with `"`, `\` or a control character in it.
/// - `&mut self` and `self`; `unsafe`, `extern` and generic methods; an argument that is `impl Trait`, a reference, or
///   under `#[cfg]`.
/// - An argument that is no extractor, or has nothing to read at that moment: an event's payload in `authorize`,
///   `connect` and `disconnect`, `DisconnectReason` anywhere but in `disconnect`.
/// - A return type that no answer can be made of, which is told at the type, at its `T` or at its `E`.
/// - A future that cannot move between threads.
#[proc_macro_attribute]
pub fn on(arguments: TokenStream, item: TokenStream) -> TokenStream {
    on::outside_channel(arguments.into(), item.into()).into()
}

/// Declares what a channel sends to its clients: below [`#[channel]`](macro@channel) on its struct, any number of times.
///
/// `#[emits("event", Type)]` takes the event's name and the type of its data, which implements `serde::Serialize`. A tuple or an array is several
/// arguments and `()` none, as they are when they are emitted.
///
/// With the feature `contract` the declarations are part of the contract. Once a channel has one, an emit of an event that none of them names is a
/// warning in the log of a debug build, once for each event, and fails tests that use `TestService`.
///
/// # What does not compile
///
/// - Above anything but the struct of a channel, and above its `#[channel]` instead of below.
/// - Without an event's name in quotes or without a type; with several events or types.
/// - An event that is declared twice, that Socket.IO (`connect`, …) or the library (`exception`, `carolina:…`) keeps.
/// - A type that does not implement `Serialize`.
#[proc_macro_attribute]
pub fn emits(arguments: TokenStream, item: TokenStream) -> TokenStream {
    channel::emits_outside_channel(arguments.into(), item.into()).into()
}
