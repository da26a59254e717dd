//! What is read again on SIGHUP: the certificate, and the settings that can change while clients are connected.

use std::sync::Arc;

use super::{Sockets, tls::Tls};
use crate::config::Reading;

/// The signals SIGHUP.
pub(super) struct Hangups(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangups {
    /// Listens from now on. Without this, the signal ends the process.
    #[cfg(unix)]
    pub(super) fn listen() -> Self {
        use std::io::IsTerminal;
        // The terminal sends it when it is closed, and then the process should end.
        let is_service = !std::io::stdin().is_terminal();
        Self(is_service.then(|| super::signals::listen(tokio::signal::unix::SignalKind::hangup(), "SIGHUP")).flatten())
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Self {
        Self()
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(hangups) = &mut self.0
            && hangups.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// Reads again at each signal. A configuration that was made in code is not: `is_read` says that it comes from file and
/// environment.
pub(super) async fn reload(mut hangups: Hangups, sockets: Sockets, tls: Option<Arc<Tls>>, is_read: bool) {
    // Not kept, or the service would keep itself.
    let service = Arc::downgrade(sockets.inner());
    drop(sockets);
    loop {
        hangups.next().await;
        let Some(service) = service.upgrade() else { return };
        tracing::info!("SIGHUP: reading the configuration again");
        if let Some(tls) = &tls {
            tls.reload().await;
        }
        if is_read {
            reload_config(&service);
        }
    }
}

fn reload_config(service: &super::Inner) {
    let mut config = match Reading::system().into_result() {
        Ok(config) => config,
        Err(error) => return tracing::error!("the configuration stays as it was: {error}"),
    };
    service.guard.set_pages(&config);
    let running = &service.config;
    (config.origins, config.hosts) = (running.origins.clone(), running.hosts.clone());
    let others = running.differences(&config);
    if others.is_empty() {
        tracing::info!("`origins` and `hosts` are those of the configuration");
    } else {
        tracing::warn!(
            "`origins` and `hosts` are those of the configuration; what else has changed needs a restart: {}",
            others.join(", ")
        );
    }
}
