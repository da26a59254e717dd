use carolina_sockets::prelude::*;

struct A;

impl A {
    #[on("a")]
    fn a(&self) {}
}

#[on("b")]
fn b() {}

fn main() {
    A.a();
    b();
}
