use carolina_sockets::prelude::*;

#[channel("/custom")]
struct Custom;

#[channel]
impl Custom {
    #[on(init)]
    fn new(_: Sockets, _: Socket) -> Self {
        Self
    }

    #[on(presence)]
    fn names(_: carolina_sockets::Keys, _: u8) -> Vec<(String, u8)> {
        Vec::new()
    }
}

fn main() {}
