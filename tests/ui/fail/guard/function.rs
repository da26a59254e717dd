use std::rc::Rc;

use carolina_sockets::prelude::*;

struct Account;

async fn has_account(_: User, _: Account) -> Result<(), EventError> {
    Ok(())
}

async fn counts(_: User) -> u8 {
    1
}

fn refuses(_: User) -> Result<(), Account> {
    Err(Account)
}

async fn holds(socket: Socket) -> Result<(), EventError> {
    let held = Rc::new(1);
    socket.emit("held", &*held).await?;
    drop(held);
    Ok(())
}

const NUMBER: u8 = 1;

#[channel("/custom", guard = has_account)]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("counts", guard = counts)]
    fn counts(&self) {}

    #[on("refuses", guard = refuses)]
    fn refuses(&self) {}

    #[on("holds", guard = holds)]
    fn holds(&self) {}

    #[on("number", guard = NUMBER)]
    fn number(&self) {}

    #[on("method", guard = Self::method)]
    fn method(&self) {}
}

fn main() {}
