use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("short")]
    async fn short(&self) -> anyhow::Result<u8> {
        Ok(1)
    }

    #[on("long")]
    fn long(&self) -> Result<u8, anyhow::Error> {
        Ok(1)
    }
}

fn main() {}
