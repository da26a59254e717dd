//! TLS of the listener (rule R28). Without the feature `tls` a configuration that asks for it is refused.

#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod files;

#[cfg(feature = "tls")]
pub(super) use with_tls::Tls;
#[cfg(not(feature = "tls"))]
pub(super) use without_tls::Tls;

/// What is wrong with the certificate of a configuration, and whether clients would refuse it.
#[cfg(feature = "cli")]
pub(crate) fn problems(config: &crate::config::Config) -> Vec<(bool, String)> {
    match Tls::load(config) {
        Err(problem) => vec![(true, problem)],
        #[cfg(feature = "tls")]
        Ok(Some(tls)) => tls.end().into_iter().collect(),
        Ok(_) => Vec::new(),
    }
}

#[cfg(not(feature = "tls"))]
mod without_tls {
    use std::{net::SocketAddr, sync::Arc, time::Duration};

    use http::HeaderValue;

    use crate::{config::Config, guard::AcceptedStream};

    /// There is none.
    pub(in super::super) enum Tls {}

    impl Tls {
        pub(in super::super) fn load(config: &Config) -> Result<Option<Arc<Self>>, String> {
            match &config.tls {
                None => Ok(None),
                Some(_) => {
                    Err("tls: this program was built without it; enable the feature `tls` of carolina-sockets"
                        .to_owned())
                }
            }
        }

        pub(in super::super) async fn handshake(
            &self,
            _: AcceptedStream,
            _: SocketAddr,
            _: Duration,
        ) -> Option<AcceptedStream> {
            match *self {}
        }

        pub(in super::super) fn hsts(&self) -> Option<HeaderValue> {
            match *self {}
        }

        pub(in super::super) async fn reload(&self) {
            match *self {}
        }

        pub(in super::super) async fn watch(self: Arc<Self>) {
            match *self {}
        }
    }
}

#[cfg(feature = "tls")]
mod with_tls {
    use std::{io, net::SocketAddr, sync::Arc, time::Duration};

    use http::HeaderValue;
    use parking_lot::{Mutex, RwLock};
    use rustls::{
        ServerConfig,
        crypto::ring,
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    };
    use tokio::{io::AsyncWriteExt, time::MissedTickBehavior};
    use tokio_rustls::TlsAcceptor;

    use super::files::{Files, Stamps};
    use crate::{config::Config, guard::AcceptedStream};

    /// How often it is looked whether the files have changed.
    const LOOK: Duration = Duration::from_secs(1);

    /// The first byte of a TLS connection.
    const HANDSHAKE: u8 = 0x16;

    /// What a client gets that speaks HTTP without TLS.
    const PLAIN: &str = concat!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 71\r\nconnection: close\r\n\r\n",
        r#"{"code":"bad_request","message":"this port speaks https and wss alone"}"#
    );

    /// The certificate of a listener, and the handshakes with it.
    pub(in super::super) struct Tls {
        acceptor: TlsAcceptor,
        files: Files,
        current: Arc<Current>,
        /// Of the files as they were last read.
        stamps: Mutex<Stamps>,
        hsts: Option<HeaderValue>,
    }

    /// The pair that new connections get.
    #[derive(Debug)]
    struct Current(RwLock<Arc<CertifiedKey>>);

    impl ResolvesServerCert for Current {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.read().clone())
        }
    }

    impl Tls {
        /// Reads the files that the configuration names, if it does.
        ///
        /// # Errors
        ///
        /// What is wrong with which file, and what it has to be.
        pub(in super::super) fn load(config: &Config) -> Result<Option<Arc<Self>>, String> {
            let Some(tls) = &config.tls else { return Ok(None) };
            let files = Files::new(tls);
            // Before they are read, so that a change in between is noticed.
            let stamps = files.stamps();
            let pair = files.read()?;
            files.tell_end(&pair);
            let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
            let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| format!("tls: {error}"))?;
            let mut server = server.with_no_client_auth().with_cert_resolver(current.clone());
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            let hsts = tls.hsts.map(|time| HeaderValue::try_from(format!("max-age={}", time.as_secs())));
            let hsts = hsts.transpose().map_err(|error| format!("tls.hsts: {error}"))?;
            let acceptor = TlsAcceptor::from(Arc::new(server));
            Ok(Some(Arc::new(Self { acceptor, files, current, stamps: Mutex::new(stamps), hsts })))
        }

        /// That the certificate has expired, or is about to.
        #[cfg(feature = "cli")]
        pub(super) fn end(&self) -> Option<(bool, String)> {
            self.files.end(&self.current.0.read())
        }

        /// The value of `Strict-Transport-Security`.
        pub(in super::super) fn hsts(&self) -> Option<HeaderValue> {
            self.hsts.clone()
        }

        /// Shakes hands with a client. `None` if it does not within that time, or speaks something else.
        pub(in super::super) async fn handshake(
            &self,
            stream: AcceptedStream,
            from: SocketAddr,
            within: Duration,
        ) -> Option<AcceptedStream> {
            let handshake = async {
                match stream.peek().await? {
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(HANDSHAKE) => stream.into_tls(&self.acceptor).await,
                    Some(_) => {
                        refuse(stream).await;
                        Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"))
                    }
                }
            };
            match tokio::time::timeout(within, handshake).await {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => tracing::debug!(%from, %error, "a TLS handshake failed"),
                Err(_) => {
                    tracing::debug!(%from, "a TLS handshake was not finished within {within:?} (limits.connect_timeout)")
                }
            }
            None
        }

        /// Reads the files again. If they are no pair, the one before stays.
        pub(in super::super) async fn reload(&self) {
            let files = self.files.clone();
            let read = tokio::task::spawn_blocking(move || (files.stamps(), files.read())).await;
            let Ok((stamps, read)) = read else { return };
            *self.stamps.lock() = stamps;
            match read {
                Ok(pair) => {
                    self.files.tell_end(&pair);
                    *self.current.0.write() = Arc::new(pair);
                    tracing::info!("new connections get the certificate that was read from {}", self.files);
                }
                Err(problem) => tracing::error!("the certificate stays as it was: {problem}"),
            }
        }

        /// Reads the files again when they have changed and do not change any more.
        pub(in super::super) async fn watch(self: Arc<Self>) {
            let mut every = tokio::time::interval(LOOK);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut before = None;
            loop {
                every.tick().await;
                let files = self.files.clone();
                let Ok(stamps) = tokio::task::spawn_blocking(move || files.stamps()).await else { return };
                // Twice the same, since two files are not replaced in one step.
                if stamps != *self.stamps.lock() && before.as_ref() == Some(&stamps) {
                    self.reload().await;
                }
                before = Some(stamps);
            }
        }
    }

    /// Tells a client that the port speaks TLS.
    async fn refuse(mut stream: AcceptedStream) {
        // What was read is not answered by a reset, with which the client would see nothing of the answer.
        let mut head = [0; 4096];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
        let _ = stream.write_all(PLAIN.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_answer_without_tls_has_the_length_that_it_says() {
            let (head, body) = PLAIN.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        }
    }
}
