use carolina_sockets::prelude::*;

#[channel("relative")]
#[derive(Default)]
struct Relative;

// The struct is a channel all the same, so that its handlers have nothing to complain of.
#[channel]
impl Relative {
    #[on("event")]
    fn event(&self) {}
}

#[channel("/one", "/two")]
#[derive(Default)]
struct Two;

#[channel(/unquoted)]
#[derive(Default)]
struct Unquoted;

#[channel(unquoted)]
#[derive(Default)]
struct Word;

#[channel(7)]
#[derive(Default)]
struct Number;

fn main() {}
