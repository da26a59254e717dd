use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on(authorize)]
    fn authorize(&self, handshake: Handshake, Data(token): Data<String>) -> bool {
        handshake.query().get("token").is_some_and(|other| other == token)
    }

    #[on(connect)]
    async fn connect(&self, ack: Ack, event: Event, socket: carolina_sockets::Socket) {
        drop((ack, event, socket));
    }

    #[on(disconnect)]
    async fn disconnect(&self, reason: DisconnectReason, last: TryData<u8>, all: carolina_sockets::Args<Vec<u8>>) {
        drop((reason, last, all));
    }

    #[on("event")]
    fn event(&self, reason: DisconnectReason) {
        drop(reason);
    }

    #[on(init)]
    fn init() {}
}

#[channel("/twice")]
#[derive(Default)]
struct Twice;

#[channel]
impl Twice {
    #[on(connect)]
    fn connect(&self) {}

    #[on(any)]
    fn any(&self) {}

    #[on(connect)]
    fn connect_too(&self) {}

    #[on(any, concurrent)]
    fn any_too(&self) {}
}

fn main() {}
