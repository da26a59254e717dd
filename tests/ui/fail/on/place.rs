use carolina_sockets::prelude::*;

struct Plain;

impl Plain {
    #[on("event")]
    fn event(&self) {}

    #[on("function")]
    fn function() {}
}

#[on(connect)]
fn free() {}

#[on("event")]
struct Item;

#[channel]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("constant")]
    const CONSTANT: u8 = 1;

    #[on("one")]
    #[on("two", rate = "1/s")]
    fn both(&self) {}
}

fn main() {
    Plain.event();
    Plain::function();
    Custom.both();
    free();
    let _ = (Item, Custom::CONSTANT);
}
