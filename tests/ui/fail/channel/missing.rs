use carolina_sockets::prelude::*;

struct Custom;

#[channel]
impl Custom {
    #[on("one")]
    fn one(&self) {}

    #[on("two")]
    fn two(&self, _: Data<u8>) -> u8 {
        2
    }
}

fn main() {}
