//! A worker: it serves no sockets, runs a long job, and notifies a user when it is done, in all tabs and on any node.
//!
//! `cargo run -p worker -- USER [URL]`; without a URL, the backplane is `CAROLINA_BACKPLANE__URL`. If the nodes have a
//! `session.secret`, the worker needs it too: `CAROLINA_SESSION__SECRET`.

use std::process::ExitCode;

use carolina_sockets::Emitter;

async fn work(user: &str, url: &str) -> carolina_sockets::Result {
    let emitter = Emitter::connect(url).await?;
    let report: u64 = (1..=1_000_000_u64).filter(|number| number.is_power_of_two()).sum();
    emitter.channel("/").emit_to_user(user, "report-ready", report).await?;
    println!("told {user}: {report}");
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let user = arguments.next();
    let url = arguments.next().or_else(|| std::env::var("CAROLINA_BACKPLANE__URL").ok());
    let (Some(user), Some(url)) = (user, url) else {
        eprintln!(
            "usage: worker USER [URL]: whom to tell, and the backplane's URL, as redis://127.0.0.1:6379; or set CAROLINA_BACKPLANE__URL"
        );
        return ExitCode::from(2);
    };
    match work(&user, &url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
