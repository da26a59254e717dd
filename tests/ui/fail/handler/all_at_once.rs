//! One compilation tells of every mistake, and of no other: what calls the methods has nothing to complain of.

use carolina_sockets::prelude::*;

#[channel("custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on(conect)]
    fn connect(&self, _: Socket) {}

    #[on("event", rate = "20")]
    fn event(&mut self, Data(value): Data<u8>) -> u8 {
        value
    }

    #[on(disconnect)]
    fn disconnect(&self, _: Ack) {}

    /// This one is sound.
    #[on("sound")]
    fn sound(&self) -> u8 {
        Self::helper()
    }

    fn helper() -> u8 {
        1
    }
}

fn main() {
    let mut channel = Custom;
    let _: u8 = channel.event(Data(channel.sound()));
}
