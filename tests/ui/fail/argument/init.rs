use carolina_sockets::prelude::*;

#[channel("/custom")]
struct Custom;

#[channel]
impl Custom {
    #[on(init)]
    fn new(_: Sockets, _: Socket) -> Self {
        Self
    }
}

fn main() {}
