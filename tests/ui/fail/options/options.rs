use carolina_sockets::prelude::*;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on("a", timeout = "soon")]
    fn a(&self) {}
    #[on("b", rate = "20")]
    fn b(&self) {}
    #[on("c", concurrent, concurrent)]
    fn c(&self) {}
    #[on("d", timeot = "5s")]
    fn d(&self) {}
    #[on(connect, rate = "1/s")]
    fn e(&self) {}
    #[on(init, timeout = "1s")]
    fn f() -> Self {
        A
    }
}

fn main() {}
