use carolina_sockets::prelude::*;

struct Checkin;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("checkin")]
    async fn checkin(&self, Data(_): Data<Checkin>) {}
}

fn main() {}
