use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on]
    fn bare(&self) {}

    #[on()]
    fn empty(&self) {}

    #[on = "event"]
    fn assigned(&self) {}

    #[on(conect)]
    fn near(&self) {}

    #[on(checkin)]
    fn unquoted(&self) {}

    #[on("event", concurent)]
    fn near_option(&self) {}

    #[on(connect, disconnect)]
    fn two(&self) {}

    #[on(disconnect, disconnect)]
    fn twice(&self) {}

    #[on(any, "event")]
    fn mixed(&self) {}

    #[on(authorize "event")]
    fn no_comma(&self) {}

    #[on("called"())]
    fn called(&self) {}
}

fn main() {}
