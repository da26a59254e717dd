use carolina_sockets::prelude::*;

struct Refusal;

type Answer<T> = Result<T, Refusal>;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("nothing")]
    fn nothing(&self) -> Result<(), Refusal> {
        Ok(())
    }

    #[on("something")]
    async fn something(&self) -> Result<u8, Refusal> {
        Ok(1)
    }

    #[on("text")]
    fn text(&self) -> Result<u8, String> {
        Ok(1)
    }

    #[on("alias")]
    fn alias(&self) -> Answer<u8> {
        Ok(1)
    }
}

fn main() {}
