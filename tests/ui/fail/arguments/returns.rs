use carolina_sockets::prelude::*;

struct NoAnswer;

#[channel("/a")]
#[derive(Default)]
struct A;

#[channel]
impl A {
    #[on("a")]
    fn a(&self) -> NoAnswer {
        NoAnswer
    }
    #[on("b")]
    fn b(&self) -> Result<NoAnswer, EventError> {
        Ok(NoAnswer)
    }
    #[on("c")]
    fn c(&self) -> Result<u8, NoAnswer> {
        Ok(1)
    }
    #[on(authorize)]
    fn d(&self) -> u8 {
        1
    }
    #[on(disconnect)]
    fn e(&self) -> u8 {
        1
    }
}

fn main() {}
