use carolina_sockets::prelude::*;

struct NoExtractor;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on("a")]
    fn a(&self, _: Socket, _: NoExtractor) {}
    #[on("b")]
    fn b(&self, _: Data<NoExtractor>) {}
}

#[channel("/b")]
struct B;

#[channel]
impl B {
    #[on(init)]
    fn new(_: Socket) -> Self {
        B
    }
}

fn main() {}
