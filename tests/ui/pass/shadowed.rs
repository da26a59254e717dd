//! The expansions rely on no name of the caller's, not even on the prelude's.

#![deny(warnings)]
#![no_implicit_prelude]
#![allow(dead_code, non_camel_case_types, non_upper_case_globals)]

mod std {}
mod core {}
mod alloc {}
mod inventory {}
struct Result;
struct Option;
struct Ok;
struct Err;
struct Some;
struct None;
struct Vec;
struct String;
struct Box;
struct Self_;
struct str;
struct bool;
struct u32;
struct u64;
trait Default {}
trait Fn {}
trait Future {}
trait Send {}
trait Sync {}
trait Sized {}
const channel: u8 = 0;
const context: u8 = 0;
const returned: u8 = 0;
const value: u8 = 0;
const error: u8 = 0;
const needs: u8 = 0;
const build: u8 = 0;
const argument_0: u8 = 0;
const call: u8 = 0;
const guard: u8 = 0;
const guard_0: u8 = 0;

async fn check(_: ::carolina_sockets::Socket) -> ::std::result::Result<(), ::carolina_sockets::EventError> {
    ::std::result::Result::Ok(())
}

mod checks {
    pub(super) fn not_at_all() -> ::core::primitive::bool {
        true
    }
}

#[::carolina_sockets::channel("/shadowed", private, guard = check, guard = checks::not_at_all)]
#[derive(::std::default::Default)]
struct Shadowed;

#[::carolina_sockets::channel]
impl Shadowed {
    #[::carolina_sockets::on(authorize, timeout = "5s")]
    fn authorize(&self, _: ::carolina_sockets::Handshake) -> ::core::primitive::bool {
        true
    }

    #[::carolina_sockets::on(connect)]
    async fn connect(&self, socket: ::carolina_sockets::Socket) -> ::std::result::Result<(), ::carolina_sockets::Error> {
        socket.emit("hello", &1).await
    }

    #[::carolina_sockets::on("one", "two", concurrent, timeout = "5s", rate = "20/s")]
    async fn event(
        &self,
        ::carolina_sockets::Data(number): ::carolina_sockets::Data<i8>,
        event: ::carolina_sockets::Event,
    ) -> ::std::result::Result<::std::string::String, ::carolina_sockets::EventError> {
        let _ = number;
        ::std::result::Result::Ok(event.0)
    }

    #[::carolina_sockets::on("nothing", guard = Self::has_event)]
    fn nothing() {}

    fn has_event(_: ::carolina_sockets::Event) -> ::core::primitive::bool {
        true
    }

    #[::carolina_sockets::on(any)]
    fn any(ack: ::carolina_sockets::Ack) -> i8 {
        ::std::mem::drop(ack);
        1
    }

    #[::carolina_sockets::on(disconnect)]
    fn disconnect(&self, _: ::carolina_sockets::DisconnectReason) {}
}

#[::carolina_sockets::channel]
struct Built(::carolina_sockets::State<i8>);

#[::carolina_sockets::channel]
impl Built {
    #[::carolina_sockets::on(init)]
    fn new(state: ::carolina_sockets::State<i8>, _: ::carolina_sockets::Sockets) -> Self {
        Self(state)
    }

    #[::carolina_sockets::on("get")]
    fn get(&self) -> i8 {
        *self.0
    }
}

fn main() {}
