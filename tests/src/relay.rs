//! A way between two processes.

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A way to a port that can be cut, and opened again.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    open: tokio::sync::watch::Sender<Option<CancellationToken>>,
    stop: CancellationToken,
}

impl Relay {
    /// Opens one.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let stop = CancellationToken::new();
        let (open, is_open) = tokio::sync::watch::channel(Some(stop.child_token()));
        let stopped = stop.clone();
        tokio::spawn(async move {
            while let Some(Ok((mut near, _))) = stopped.run_until_cancelled(listener.accept()).await {
                // While it is cut, who connects is turned away at once.
                let Some(cut) = is_open.borrow().clone() else { continue };
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await {
                        let _ = cut.run_until_cancelled(tokio::io::copy_bidirectional(&mut near, &mut far)).await;
                    }
                });
            }
        });
        Self { port, open, stop }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts it: all connections end, and those that are opened from here on end at once.
    pub fn close(&self) {
        if let Some(open) = self.open.send_replace(None) {
            open.cancel();
        }
    }

    /// Opens it again.
    pub fn open(&self) {
        self.open.send_replace(Some(self.stop.child_token()));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
