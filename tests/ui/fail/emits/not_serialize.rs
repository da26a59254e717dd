use carolina_sockets::prelude::*;

struct Opaque;

#[channel("/opaque")]
#[emits("opaque", Opaque)]
#[derive(Default)]
struct Channel;

fn main() {}
