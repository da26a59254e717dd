use carolina_sockets::prelude::*;

#[channel("/shops/{shop}/orders/{id}")]
#[derive(Default)]
struct Orders;

#[channel]
impl Orders {
    #[on("one")]
    fn one(&self, Path(id): Path<u64>) -> u64 {
        id
    }

    #[on("three")]
    fn three(&self, Path((shop, id, _)): Path<(String, u64, u64)>) -> (String, u64) {
        (shop, id)
    }

    #[on("two")]
    fn two(&self, Path((shop, id)): Path<(String, u64)>) -> (String, u64) {
        (shop, id)
    }
}

fn main() {}
