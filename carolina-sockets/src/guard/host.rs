use http::{HeaderMap, Uri, header, uri::Authority};

/// The host that the client requested, in lower case.
pub(super) fn requested(headers: &HeaderMap, uri: &Uri, behind_proxy: bool) -> Option<String> {
    // The last line is the proxy's own, should the client have sent one as well.
    let forwarded = headers.get_all("x-forwarded-host").iter().next_back().filter(|_| behind_proxy);
    let host = match forwarded.or_else(|| headers.get(header::HOST)) {
        Some(host) => host.to_str().ok()?.rsplit(',').next()?.trim(),
        None => uri.authority()?.as_str(),
    };
    Some(host.to_ascii_lowercase())
}

/// The names under which the server may be requested. A page whose own name is made to resolve to this server (DNS
/// rebinding) has an origin that equals the requested host, but not one of these.
pub(crate) struct Hosts {
    /// Empty if every name is allowed.
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Checks the requested host. A request that names none passes: it is not from a browser.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri, behind_proxy: bool) -> Result<(), String> {
        let is_named = headers.contains_key(header::HOST) || uri.authority().is_some();
        if self.allowed.is_empty() || !is_named {
            return Ok(());
        }
        let host = requested(headers, uri, behind_proxy).and_then(|host| host.parse::<Authority>().ok());
        if host.as_ref().is_some_and(|host| self.allowed.iter().any(|allowed| is_same(allowed, host))) {
            return Ok(());
        }
        let host: String = host.iter().flat_map(|host| host.as_str().chars()).take(128).collect();
        Err(format!("the host `{host}` is not one of this server's; add it to `hosts` if it should be"))
    }
}

/// An entry without a port stands for any port; one with a port for that port, which a client leaves out if it is the
/// default.
fn is_same(allowed: &str, host: &Authority) -> bool {
    if allowed == host.as_str() || allowed == host.host() {
        return true;
    }
    let default = [":443", ":80"].iter().find_map(|port| allowed.strip_suffix(port));
    default.is_some_and(|allowed| allowed == host.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], headers: &[(&'static str, &str)], behind_proxy: bool) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let allowed: Vec<String> = allowed.iter().map(|host| (*host).to_owned()).collect();
        Hosts::new(&allowed).check(&map, &Uri::from_static("/socket.io/"), behind_proxy).is_ok()
    }

    #[test]
    fn r14_hosts_are_compared_with_and_without_a_port() {
        for (allowed, host, passes) in [
            ("app.example", "app.example", true),
            ("app.example", "APP.example:8443", true),
            ("App.example", "app.example", true),
            ("app.example:8443", "app.example:8443", true),
            ("app.example:8443", "app.example", false),
            ("app.example:8443", "app.example:8444", false),
            ("app.example:443", "app.example", true),
            ("127.0.0.1", "127.0.0.1:3000", true),
            ("[::1]", "[::1]:3000", true),
            ("[::1]:3000", "[::1]:3000", true),
            ("app.example", "evil.example", false),
            ("app.example", "app.example.evil.example", false),
            ("app.example", "evil.example:app.example", false),
            ("app.example", "", false),
            ("localhost", "127.0.0.1:3000", false),
        ] {
            assert_eq!(check(&[allowed], &[("host", host)], false), passes, "{host} with {allowed}");
        }
        assert!(check(&[], &[("host", "evil.example")], false), "without the setting every host passes");
        assert!(check(&["app.example"], &[], false), "no browser leaves it out");
    }

    #[test]
    fn r14_a_forwarded_host_counts_from_trusted_proxies_alone() {
        let forwarded = [("host", "10.0.0.5"), ("x-forwarded-host", "app.example")];
        assert!(check(&["app.example"], &forwarded, true));
        assert!(!check(&["app.example"], &forwarded, false));
    }
}
