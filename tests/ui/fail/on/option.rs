use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("twice", concurrent, timeout = "1s", rate = "1/s", concurrent, timeout = "2s", rate = "2/s")]
    fn twice(&self) {}

    #[on("unknown", timeot = "1s", retries = 3)]
    fn unknown(&self) {}

    #[on("bare", timeout, rate)]
    fn bare(&self) {}

    #[on("valued", concurrent = true, timeout = 5, rate = 20)]
    fn valued(&self) {}

    #[on("soon", timeout = "soon")]
    fn soon(&self) {}

    #[on("five", timeout = "5")]
    fn five(&self) {}

    #[on("zero", timeout = "0s", rate = "0/s")]
    fn zero(&self) {}

    #[on("no-unit", rate = "20")]
    fn no_unit(&self) {}

    #[on("no-number", rate = "many/s")]
    fn no_number(&self) {}

    #[on("odd-unit", rate = "20/fortnight")]
    fn odd_unit(&self) {}

    #[on("negative", rate = "-1/s")]
    fn negative(&self) {}

    #[on("no-value", rate = )]
    fn no_value(&self) {}

    #[on(connect, concurrent, rate = "20/s", timeout = "5s")]
    fn connect(&self) {}

    #[on(disconnect, concurrent)]
    fn disconnect(&self) {}

    #[on(init, timeout = "5s")]
    fn init() -> Self {
        Self
    }
}

fn main() {}
