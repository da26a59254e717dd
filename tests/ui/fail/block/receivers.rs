use carolina_sockets::prelude::*;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on("a")]
    fn a(&mut self) {}
    #[on("b")]
    fn b(self) {}
    #[on("c")]
    fn c<T>(&self, _: T) {}
    #[on("d")]
    fn d(&self, _: impl Copy) {}
    #[on("e")]
    fn e(&self, _: &Socket) {}
    #[on(init)]
    fn f(&self) -> Self {
        A
    }
}

fn main() {}
