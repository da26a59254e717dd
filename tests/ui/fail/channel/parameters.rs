use carolina_sockets::prelude::*;

#[channel("/orders/{}")]
struct Nameless;

#[channel("/orders/no-{id}")]
struct Half;

#[channel("/{id}/lines/{id}")]
struct Twice;

fn main() {}
