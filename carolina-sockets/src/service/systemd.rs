//! systemd: the socket that it has opened, and what it is told.

#[cfg(all(unix, feature = "systemd"))]
pub(super) use with::{listener, ready, stopping};
#[cfg(not(all(unix, feature = "systemd")))]
pub(super) use without::{listener, ready, stopping};

#[cfg(all(unix, feature = "systemd"))]
mod with {
    use listenfd::ListenFd;
    use sd_notify::NotifyState;
    use tokio::net::TcpListener;

    use crate::error::{Error, Result};

    /// The first socket that systemd has opened for this process, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is no TCP socket that listens.
    pub(in super::super) fn listener() -> Result<Option<TcpListener>> {
        let failed = |error| {
            Error::io("cannot use the socket that systemd has opened (`ListenStream=` has to be a port)", error)
        };
        let mut sockets = ListenFd::from_env();
        if sockets.len() > 1 {
            tracing::warn!("systemd has opened {} sockets; the first is used", sockets.len());
        }
        let Some(listener) = sockets.take_tcp_listener(0).map_err(failed)? else { return Ok(None) };
        listener.set_nonblocking(true).map_err(failed)?;
        TcpListener::from_std(listener).map(Some).map_err(failed)
    }

    /// Tells that clients are served.
    pub(in super::super) fn ready(url: &str) {
        notify(&[NotifyState::Ready, NotifyState::Status(&format!("listening on {url}"))]);
    }

    /// Tells that the service ends.
    pub(in super::super) fn stopping() {
        notify(&[NotifyState::Stopping, NotifyState::Status("closing the clients")]);
    }

    fn notify(state: &[NotifyState<'_>]) {
        // Nobody to tell is no error.
        if let Err(error) = sd_notify::notify(state) {
            tracing::warn!(%error, "systemd cannot be told what the service does");
        }
    }
}

#[cfg(not(all(unix, feature = "systemd")))]
mod without {
    use tokio::net::TcpListener;

    use crate::error::Result;

    pub(in super::super) fn listener() -> Result<Option<TcpListener>> {
        if std::env::var_os("LISTEN_FDS").is_some() {
            tracing::warn!("systemd has opened a socket; the feature `systemd` of carolina-sockets would use it");
        }
        Ok(None)
    }

    pub(in super::super) fn ready(_: &str) {}

    pub(in super::super) fn stopping() {}
}
