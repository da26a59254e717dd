use axum::extract::State;
use carolina_sockets::prelude::*;

struct Database;

#[channel("/custom")]
#[derive(Default)]
struct Custom;

#[channel]
impl Custom {
    #[on("event")]
    async fn event(&self, _: State<Database>) {}
}

fn main() {}
