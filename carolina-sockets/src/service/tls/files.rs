use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::certificate::not_after;
use crate::config::TlsConfig;

/// A certificate that ends within this time is mentioned in the log.
const SOON: std::time::Duration = std::time::Duration::from_secs(14 * 24 * 60 * 60);

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub(super) struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// When the files were last written, and their lengths; `None` for one that cannot be seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamps([Option<(SystemTime, u64)>; 2]);

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` and `{}`", self.cert.display(), self.key.display())
    }
}

impl Files {
    pub(super) fn new(config: &TlsConfig) -> Self {
        Self { cert: config.cert.clone(), key: config.key.clone() }
    }

    pub(super) fn stamps(&self) -> Stamps {
        let stamp = |path: &Path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        Stamps([stamp(&self.cert), stamp(&self.key)])
    }

    /// Reads the pair.
    ///
    /// # Errors
    ///
    /// What is wrong with which file.
    pub(super) fn read(&self) -> Result<CertifiedKey, String> {
        let (cert, key) = (self.cert.display(), self.key.display());
        let pem = read_file("tls.cert", &self.cert)?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("tls.cert: `{cert}` is not a PEM file of certificates: {error}"))?;
        if chain.is_empty() {
            return Err(format!(
                "tls.cert: `{cert}` holds no certificate: it has to have a line `-----BEGIN CERTIFICATE-----`"
            ));
        }
        let pem = read_file("tls.key", &self.key)?;
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
            if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
                return format!(
                    "tls.key: the key in `{key}` is encrypted, and nobody is there to enter the password: write it decrypted, as \
                     `openssl pkey -in {key} -out decrypted.pem` does, readable for the server alone"
                );
            }
            format!("tls.key: `{key}` holds no private key: it has to be a PEM file with a line `-----BEGIN PRIVATE KEY-----` ({error})")
        })?;
        CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "tls: the key in `{key}` is not that of the certificate in `{cert}`, which has to be the first in its file"
            ),
            rustls::Error::InvalidCertificate(error) => format!("tls.cert: the certificate in `{cert}` is not valid: {error}"),
            error => format!("tls.key: the key in `{key}` cannot be used: {error}; there are RSA, ECDSA P-256 and P-384, and Ed25519"),
        })
    }

    /// Whether a certificate has expired, and that it has or is about to.
    pub(super) fn end(&self, pair: &CertifiedKey) -> Option<(bool, String)> {
        let (end, cert) = (not_after(pair.cert.first()?)?, self.cert.display());
        let date = humantime::format_rfc3339_seconds(end);
        match end.duration_since(SystemTime::now()) {
            Err(_) => Some((
                true,
                format!("tls.cert: the certificate in `{cert}` has expired on {date}, so clients refuse it; renew it"),
            )),
            Ok(left) if left < SOON => {
                Some((false, format!("tls.cert: the certificate in `{cert}` expires on {date}; renew it")))
            }
            Ok(_) => None,
        }
    }

    /// Logs the same.
    pub(super) fn tell_end(&self, pair: &CertifiedKey) {
        match self.end(pair) {
            Some((true, problem)) => tracing::error!("{problem}"),
            Some((false, problem)) => tracing::warn!("{problem}"),
            None => {}
        }
    }
}

fn read_file(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "; name a file that exists, from the folder in which the server runs",
            io::ErrorKind::PermissionDenied => "; let the user that the server runs as read it",
            _ => "",
        };
        format!("{key}: cannot read `{}`: {error}{help}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/certificates");

    fn read(cert: &str, key: &str) -> Result<CertifiedKey, String> {
        let at = Path::new(CERTIFICATES);
        Files { cert: at.join(cert), key: at.join(key) }.read()
    }

    #[test]
    fn r28_a_pair_that_does_not_fit_is_refused_with_what_and_where() {
        read("server.pem", "server.key").unwrap();
        for (cert, key, told) in [
            ("none.pem", "server.key", "tls.cert: cannot read `"),
            ("server.key", "server.key", "server.key` holds no certificate"),
            ("server.pem", "none.key", "tls.key: cannot read `"),
            ("server.pem", "server.pem", "server.pem` holds no private key"),
            ("server.pem", "renewed.key", "renewed.key` is not that of the certificate in `"),
            ("server.pem", "encrypted.key", "is encrypted, and nobody is there to enter the password"),
        ] {
            let problem = read(cert, key).unwrap_err();
            assert!(problem.contains(told), "{cert} {key}: {problem}");
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let of = |name: &str| {
            let pem = std::fs::read(Path::new(CERTIFICATES).join(name)).unwrap();
            let certificate = CertificateDer::from_pem_slice(&pem).unwrap();
            humantime::format_rfc3339_seconds(not_after(&certificate).unwrap()).to_string()
        };
        assert_eq!(of("server.pem"), "2126-10-31T23:47:28Z");
        assert_eq!(of("expired.pem"), "2020-01-02T00:00:00Z");
    }
}
