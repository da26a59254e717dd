use std::{pin::Pin, sync::Arc};

use carolina_sockets::prelude::*;

#[channel("/custom")]
#[derive(Default)]
struct Custom {
    count: u8,
}

#[channel]
impl Custom {
    #[on("exclusive")]
    fn exclusive(&mut self) {
        self.count += 1;
    }

    #[on("typed-exclusive")]
    fn typed_exclusive(self: &mut Self) {
        self.count += 1;
    }

    #[on("owned")]
    fn owned(self) {}

    #[on("mutable")]
    fn mutable(mut self) {
        self.count += 1;
    }

    #[on("counted")]
    fn counted(self: Arc<Self>) {}

    #[on("pinned")]
    async fn pinned(self: Pin<&mut Self>) {}

    #[on(init)]
    fn new(&self) -> Self {
        Self { count: 0 }
    }
}

fn main() {}
