//! The contract of 1,000 channels with 20 events each: how long each document takes, and whether it is the same every time.

use std::{process::Command, time::Instant};

use carolina_sockets::prelude::*;

/// A line of an order.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Line {
    article: String,
    amount: u16,
}

include!(concat!(env!("OUT_DIR"), "/channels.rs"));

#[tokio::main]
async fn main() -> carolina_sockets::Result {
    if std::env::args().len() > 1 {
        return mounted(carolina_sockets::cli().discover(false)).await;
    }
    let program = std::env::current_exe().expect("a program knows where it is");
    for form in ["--typescript", "--asyncapi", "--json-schema"] {
        let run = || {
            let began = Instant::now();
            let ran = Command::new(&program).args(["contract", form]).output().expect("it runs again");
            assert!(ran.status.success(), "{form}: {}", String::from_utf8_lossy(&ran.stderr));
            (began.elapsed(), ran.stdout)
        };
        let ((first, one), (second, other)) = (run(), run());
        assert!(one == other, "{form}: two runs differ");
        println!("{form:14}  {:6} ms  {:6} kB", first.min(second).as_millis(), one.len() / 1000);
    }
    Ok(())
}
