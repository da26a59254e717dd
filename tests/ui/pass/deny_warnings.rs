//! Expansions bring no warnings of their own.
#![deny(warnings, missing_docs, unreachable_pub, unused, clippy::all)]

use carolina_sockets::{Data, EventError, Socket, channel, on};

/// Documented.
#[channel("/a", private)]
#[derive(Debug, Default)]
pub struct A;

#[channel]
impl A {
    /// Deprecated, and still a handler.
    #[deprecated = "use `b`"]
    #[on("a")]
    pub fn a(&self) {}

    #[on("b")]
    async fn b(&self, _socket: Socket, Data((mut a, _b)): Data<(u8, u8)>) -> Result<u8, EventError> {
        a += 1;
        Ok(a)
    }

    #[cfg(any())]
    #[on("c")]
    fn c(&self) {}

    #[on("d")]
    fn d() -> &'static str {
        "d"
    }
}

#[allow(missing_docs)]
fn main() {}
