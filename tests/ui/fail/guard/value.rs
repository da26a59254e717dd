use carolina_sockets::prelude::*;

fn check(_: User) -> bool {
    true
}

#[channel("/text", guard = "check")]
#[derive(Default)]
struct Text;

#[channel("/none", guard)]
#[derive(Default)]
struct Nothing;

#[channel("/twice", guard = check, guard = check)]
#[derive(Default)]
struct Twice;

#[channel("/custom", guard = [check])]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("closure", guard = |_: User| true)]
    fn closure(&self) {}

    #[on("called", guard = check())]
    fn called(&self) {}

    #[on("nothing", guard = )]
    fn nothing(&self) {}

    #[on(connect, guard = check)]
    fn connect(&self) {}
}

#[channel(guard = check)]
impl Text {
    #[on("event")]
    fn event(&self) {}
}

fn main() {}
