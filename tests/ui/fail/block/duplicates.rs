use carolina_sockets::prelude::*;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on("a")]
    fn a(&self) {}
    #[on("a")]
    fn b(&self) {}
    #[on("c", "c")]
    fn c(&self) {}
    #[on(any)]
    fn d(&self) {}
    #[on(any)]
    fn e(&self) {}
    #[on("f")]
    #[on("g")]
    fn f(&self) {}
}

fn main() {}
