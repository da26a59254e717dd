use std::rc::Rc;

use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("event")]
    async fn event(&self, socket: Socket) -> Result<(), EventError> {
        let held = Rc::new(1);
        socket.emit("held", &*held).await?;
        drop(held);
        Ok(())
    }
}

fn main() {}
