use carolina_sockets::prelude::*;

struct Refusal;

#[channel("/custom")]
struct Custom;

#[channel]
impl Custom {
    #[on(init)]
    fn init() -> Option<Self> {
        None
    }

    #[on(authorize)]
    fn authorize(&self) -> Option<u8> {
        None
    }

    #[on(connect)]
    async fn connect(&self) -> bool {
        true
    }

    #[on(disconnect)]
    fn disconnect(&self) -> Result<(), EventError> {
        Ok(())
    }
}

#[channel("/refusing")]
#[derive(Default)]
struct Refusing;

#[channel]
impl Refusing {
    #[on(authorize)]
    fn authorize(&self) {}

    #[on(presence)]
    fn names(&self) -> Vec<u8> {
        Vec::new()
    }

    #[on(connect)]
    fn connect(&self) -> Result<(), Refusal> {
        Err(Refusal)
    }
}

fn main() {}
