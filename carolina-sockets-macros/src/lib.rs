//! The two attributes of [carolina-sockets](https://docs.rs/carolina-sockets): `#[channel]` and `#[on]`.
//!
//! Use them through `carolina_sockets`, which re-exports both and holds all that their expansions name.

mod channel;
mod errors;
mod on;
mod paths;

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
///
/// A channel is built once per mount: by its `#[on(init)]` function, otherwise by `Default`.
///
/// # On an impl block
///
/// `#[channel]` makes the block's methods under `#[on(…)]` the channel's handlers. Several blocks add up, wherever they
/// stand. `#[cfg]` on a handler is honoured.
///
/// # What does not compile
///
/// Generic channels; `&mut self` and `self`; a duplicate event; an unknown word or option; an option given twice; an
/// argument that no extractor reads; a return value that cannot be an answer. Each is reported where it stands, all of
/// a block at once, with what to write instead.
#[proc_macro_attribute]
pub fn channel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    channel::expand(arguments.into(), item.into()).into()
}

/// Makes a method a handler, inside an impl block under `#[channel]`.
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
/// | `concurrent` | events | the handler stands outside its socket's order |
/// | `timeout = "5s"` | all but `init` | replaces `limits.handler_timeout` |
/// | `rate = "20/s"` | events | at most so many of these events per socket; `/s`, `/m`, `/h` or any duration, as `5/500ms` |
///
/// A handler may be `async` or not, and may leave `&self` out. Its arguments are extractors, in any order.
#[proc_macro_attribute]
pub fn on(arguments: TokenStream, item: TokenStream) -> TokenStream {
    on::alone(arguments.into(), item.into()).into()
}
