use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("")]
    fn empty(&self) {}

    #[on("one", "two", "one")]
    fn repeated(&self) {}

    #[on("two")]
    fn elsewhere(&self) {}

    #[on("connect")]
    fn connect(&self) {}

    #[on("connect_error", "disconnecting", "newListener", "removeListener")]
    fn reserved(&self) {}

    #[on("connection")]
    fn connection(&self) {}

    #[on("session_id")]
    fn session_id(&self) {}

    #[on("exception")]
    fn exception(&self) {}

    #[on("a\"b", "tab\t")]
    fn quote(&self) {}

    #[on(7, b"bytes", 'c')]
    fn number(&self) {}

    // The words are fit to be events: only without quotes do they mean anything else.
    #[on("any", "authorize", "init", "concurrent", "timeout", "rate")]
    fn words(&self) {}
}

fn main() {}
