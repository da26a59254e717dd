//! The channel of `examples/quickstart`, with the commands that the example does without.

#[path = "../../../examples/quickstart/src/main.rs"]
#[allow(dead_code)] // its `main`
mod quickstart;

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    carolina_sockets::cli().await
}
