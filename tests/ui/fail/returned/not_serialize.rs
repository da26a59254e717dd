use carolina_sockets::prelude::*;

struct Welcome;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("plain")]
    async fn plain(&self) -> Welcome {
        Welcome
    }

    #[on("fallible")]
    fn fallible(&self) -> Result<Welcome, EventError> {
        Ok(Welcome)
    }

    #[on(any)]
    fn library(&self) -> carolina_sockets::Result<Welcome> {
        Ok(Welcome)
    }
}

fn main() {}
