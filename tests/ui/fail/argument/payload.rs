use carolina_sockets::prelude::*;

struct Thing;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("text")]
    fn text(&self, _: &str) {}

    #[on("thing")]
    fn thing(&self, _: &Thing) {}

    #[on("borrowed")]
    fn borrowed(&self, _: Data<&str>) {}

    #[on("parts")]
    fn parts(&self, _: Data<(u8, &str)>) {}

    #[on("two")]
    fn two(&self, _: Data<u8>, _: Data<String>) {}
}

fn main() {}
