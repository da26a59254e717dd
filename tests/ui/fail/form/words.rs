use carolina_sockets::prelude::*;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on(checkin)]
    fn a(&self) {}
    #[on(conect)]
    fn b(&self) {}
    #[on("connect")]
    fn c(&self) {}
    #[on("session_id")]
    fn d(&self) {}
    #[on()]
    fn e(&self) {}
    #[on(connect, "f")]
    fn f(&self) {}
    #[on(7)]
    fn g(&self) {}
}

fn main() {
    // The block is still there.
    A.a();
}
