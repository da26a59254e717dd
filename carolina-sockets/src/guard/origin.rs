use http::{HeaderMap, HeaderValue, Uri, header};

use super::host;

/// The origins whose pages may connect: the server's own, and those of the configuration.
pub(crate) struct Origins {
    allowed: Vec<String>,
}

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.iter().filter_map(|origin| normalized(origin)).collect() }
    }

    /// The `Origin` of a page that may connect; `None` if the request is not from a browser page, or from a page of the
    /// server's own that sends no `Origin`.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        behind_proxy: bool,
    ) -> Result<Option<HeaderValue>, String> {
        for (name, what) in [(header::ORIGIN, "origin"), (header::HOST, "host")] {
            if headers.get_all(name).iter().count() > 1 {
                return Err(format!("a request names its {what} once"));
            }
        }
        let Some(value) = headers.get(header::ORIGIN) else {
            // Browsers send `Origin` with every request whose response a script can read. The others are images,
            // scripts and the like of other sites, which are refused.
            let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
            return match site {
                Some("cross-site") => Err("a page of another site may not connect".to_owned()),
                _ => Ok(None),
            };
        };
        let origin = value.to_str().unwrap_or_default();
        let Some(named) = normalized(origin) else {
            return Err(format!("a page of the origin `{}` may not connect", displayed(origin)));
        };
        if self.allowed.contains(&named)
            || host::requested(headers, uri, behind_proxy).is_some_and(|own| same_host(&named, &own))
        {
            return Ok(Some(value.clone()));
        }
        Err(format!("a page of the origin `{}` may not connect; add it to `origins` if it should", displayed(origin)))
    }
}

/// Whether an origin has that host and port. The scheme is not compared, since a proxy may terminate TLS; the port is.
fn same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = if scheme == "https" { ":443" } else { ":80" };
    authority == host.strip_suffix(default).unwrap_or(host)
}

/// Lower case, without a default port. `None` for a text that is not an origin, including `null`.
fn normalized(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let authority = uri.authority()?.as_str().to_ascii_lowercase();
    if authority.contains('@') || uri.path_and_query().is_some_and(|path| path != "/") || origin.ends_with('/') {
        return None;
    }
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let authority = match default {
        "" => authority.as_str(),
        default => authority.strip_suffix(default).unwrap_or(&authority),
    };
    Some(format!("{scheme}://{authority}"))
}

fn displayed(origin: &str) -> String {
    origin.chars().filter(|character| !character.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: Option<&str>, host: &str, allowed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let allowed: Vec<String> = allowed.iter().map(|origin| (*origin).to_owned()).collect();
        Origins::new(&allowed).check(&headers, &Uri::from_static("/socket.io/"), false).is_ok()
    }

    #[test]
    fn r14_own_and_listed_origins_pass() {
        assert!(check(None, "app.example", &[]));
        assert!(check(Some("https://app.example"), "app.example", &[]));
        assert!(check(Some("https://app.example"), "app.example:443", &[]));
        assert!(check(Some("http://127.0.0.1:3000"), "127.0.0.1:3000", &[]));
        assert!(check(Some("https://other.example"), "app.example", &["https://OTHER.example:443"]));
    }

    #[test]
    fn r14_no_request_names_two_origins_or_hosts() {
        for name in [header::ORIGIN, header::HOST] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "app.example".parse().unwrap());
            headers.insert(header::ORIGIN, "https://app.example".parse().unwrap());
            let check = |headers: &HeaderMap| Origins::new(&[]).check(headers, &Uri::from_static("/socket.io/"), false);
            assert!(check(&headers).is_ok());
            headers.append(name, "https://evil.example".parse().unwrap());
            assert!(check(&headers).is_err());
        }
    }

    #[test]
    fn r14_other_origins_do_not() {
        for origin in [
            "https://evil.example",
            "https://app.example.evil.example",
            "https://app.example:8443",
            "https://evil@app.example",
            "https://app.example/",
            "null",
            "file://",
            "",
            "app.example",
        ] {
            assert!(!check(Some(origin), "app.example", &[]), "{origin}");
        }
        assert!(!check(Some("http://other.example"), "app.example", &["https://other.example"]));
    }
}
