use carolina_sockets::prelude::*;

#[emits("above", String)]
#[channel("/above")]
#[derive(Default)]
struct Above;

#[emits("alone", String)]
struct Alone;

#[channel("/elsewhere")]
#[derive(Default)]
struct Elsewhere;

#[channel]
#[emits("block", String)]
impl Elsewhere {
    #[on("a")]
    #[emits("method", String)]
    fn a(&self) {}
}

fn main() {}
