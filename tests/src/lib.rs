//! What the tests share.

pub mod again;
pub mod balancers;
pub mod crowd;
pub mod cutting_proxy;
pub mod engine_io;
pub mod nodes;
pub mod numbers;
pub mod port;
pub mod presence;
pub mod process;
pub mod program;
pub mod random_cuts;
pub mod relay;
pub mod resume;
pub mod rolling;
pub mod servers;
pub mod wire;

/// The examples of the documents, which are compiled as tests of the documentation are.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../docs/identity.md")]
    struct Identity;
    #[doc = include_str!("../../docs/nodes.md")]
    struct Nodes;
    #[doc = include_str!("../../docs/presence.md")]
    struct Presence;
    #[doc = include_str!("../../docs/resume.md")]
    struct Resume;
    #[doc = include_str!("../../docs/contract.md")]
    struct Contract;
    #[doc = include_str!("../../carolina-sockets/frontend/README.md")]
    struct FrontEnd;
}

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use carolina_sockets::{Builder, Config, Sockets, testing::TestService};

/// How long a test waits for what has to happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A builder with nothing discovered.
pub fn by_hand() -> Builder {
    Sockets::builder().discover(false)
}

/// The same configuration with a certificate for the loopback address, by the authority in `ca.pem`.
pub fn with_tls(mut config: Config) -> Config {
    let (cert, key) = (program::certificate("server.pem"), program::certificate("server.key"));
    let text = format!("tls = {{ cert = {cert:?}, key = {key:?} }}");
    config.tls = Config::from_toml(&text, "test").expect("a configuration").tls;
    config
}

/// Starts a service, or fails the test with its error.
pub async fn start(builder: Builder) -> TestService {
    match TestService::start(builder).await {
        Ok(service) => service,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until something holds, or fails the test.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    if waited.await.is_err() {
        panic!("waited in vain: {what}");
    }
}

/// What was logged.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log is not poisoned")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log is not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
