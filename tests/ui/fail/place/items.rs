use carolina_sockets::prelude::*;

#[channel("/a")]
enum A {}

#[channel("/b")]
struct B;

#[channel("/b")]
impl B {}

#[channel("c")]
struct C;

#[channel("/d", privat)]
struct D;

struct E;

#[channel]
impl E {
    #[on("e")]
    fn e(&self) {}
}

fn main() {}
