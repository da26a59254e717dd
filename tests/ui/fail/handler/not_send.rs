use std::{cell::RefCell, rc::Rc, sync::Mutex};

use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom {
    number: Mutex<u8>,
}

#[channel]
impl Custom {
    #[on("event")]
    async fn event(&self, socket: Socket) -> Result<(), EventError> {
        let held = Rc::new(1);
        socket.emit("held", &*held).await?;
        drop(held);
        Ok(())
    }

    #[on("guard")]
    async fn guard(&self, socket: Socket) -> Result<(), EventError> {
        let held = self.number.lock().unwrap();
        socket.emit("held", *held).await?;
        Ok(())
    }

    #[on("borrow")]
    async fn borrow(&self, socket: Socket) -> Result<(), EventError> {
        let cell = RefCell::new(1);
        let held = cell.borrow();
        socket.emit("held", *held).await?;
        Ok(())
    }
}

fn main() {}
