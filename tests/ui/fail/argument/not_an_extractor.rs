use carolina_sockets::prelude::*;

#[derive(Deserialize)]
struct Checkin {
    desk: String,
}

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("checkin")]
    async fn checkin(&self, socket: Socket, checkin: Checkin) {
        drop((socket, checkin.desk));
    }
}

fn main() {}
