use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("generic")]
    fn generic<T: FromEvent>(&self, argument: T) {
        drop(argument);
    }

    #[on("sized")]
    fn sized<const N: usize>(&self, Data(bytes): Data<[u8; N]>) {
        drop(bytes);
    }

    #[on("implied")]
    fn implied(&self, argument: impl FromEvent, nested: Option<impl FromEvent>) {
        drop((argument, nested));
    }

    #[on("borrowed")]
    fn borrowed(&self, socket: &Socket) {
        drop(socket.clone());
    }

    #[on("unsafe")]
    unsafe fn unsafe_one(&self) {}

    #[on("extern")]
    extern "C" fn extern_one(&self) {}

    #[on("conditional")]
    fn conditional(&self, #[cfg(unix)] socket: Socket) {
        drop(socket);
    }

    #[on("endless", concurrent)]
    fn endless(&self) -> ! {
        panic!("no end")
    }
}

use carolina_sockets::FromEvent;

fn main() {}
