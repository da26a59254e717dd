use carolina_sockets::prelude::*;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on(connect)]
    fn a(&self, _: Data<u8>) {}
    #[on(disconnect)]
    fn b(&self, _: Ack) {}
    #[on("c")]
    fn c(&self, _: DisconnectReason) {}
}

fn main() {}
