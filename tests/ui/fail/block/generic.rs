use carolina_sockets::prelude::*;

#[channel("/a")]
struct A<T>(T);

#[channel]
impl<T> A<T> {
    #[on("a")]
    fn a(&self) {}
}

fn main() {}
