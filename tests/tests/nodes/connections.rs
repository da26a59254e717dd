//! R17: what a service keeps of the server between the nodes ends with it.

use carolina_sockets::{Config, channel};
use carolina_sockets_tests::{by_hand, servers::Postgres, start, until};

#[channel("/held")]
#[derive(Default)]
struct Held;

#[channel]
impl Held {}

#[tokio::test]
async fn r17_a_runtime_that_ends_leaves_no_connections_to_postgres() {
    let postgres = Postgres::start();
    let mut config = Config::default();
    config.backplane.url = Some(postgres.url());
    let connected = std::thread::spawn(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let service = start(by_hand().config(config).mount::<Held>("/held")).await;
            // It is never told that the service has ended.
            std::mem::forget(service.connect("/held").await.unwrap());
        });
    });
    connected.join().unwrap();
    until("all connections are closed", || postgres.connections() == 0).await;
}
