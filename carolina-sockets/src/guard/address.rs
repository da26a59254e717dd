//! Where a request comes from. `X-Forwarded-For` and similar headers count only when set by a proxy in
//! `trusted_proxies`, as any client can send them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{HeaderMap, request::Parts};
use ipnet::IpNet;

/// The address of the next hop, as seen by the listener. An embedding server provides it through axum's `ConnectInfo`.
fn next_hop(parts: &Parts) -> IpAddr {
    let ConnectInfo(address) = match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(info) => *info,
        None => return Ipv4Addr::UNSPECIFIED.into(),
    };
    address.ip().to_canonical()
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Whether the next hop is a trusted proxy.
pub(super) fn is_from_proxy(parts: &Parts, trusted: &[IpNet]) -> bool {
    is_trusted(next_hop(parts), trusted)
}

/// The client's address: from the right, the first that is not a trusted proxy.
pub(crate) fn of(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let mut address = next_hop(parts);
    for hop in list(&parts.headers, "x-forwarded-for").into_iter().rev() {
        if !is_trusted(address, trusted) {
            break;
        }
        match without_port(hop) {
            Some(hop) => address = hop,
            // An entry that cannot be parsed ends the search: the addresses before it cannot be trusted.
            None => break,
        }
    }
    address
}

/// Marks a request that came by TLS. HTTP/1.1 says nothing of that, so the server that ends TLS does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverTls;

/// Whether the client's request came by TLS: to a trusted proxy, which says so, or to this server, which has marked the
/// request or speaks HTTP/2, where the request itself says it.
///
/// Without proof a client may claim it, which is for its own cookie alone.
pub(crate) fn is_secure(parts: &Parts, trusted: &[IpNet]) -> bool {
    if is_from_proxy(parts, trusted)
        && let Some(scheme) = list(&parts.headers, "x-forwarded-proto").last()
    {
        return scheme.eq_ignore_ascii_case("https");
    }
    parts.extensions.get::<OverTls>().is_some() || parts.uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}

fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

fn without_port(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(from: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = http::Request::new(());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(from.parse().unwrap(), 4711)));
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    #[test]
    fn r14_forwarded_addresses_count_from_trusted_proxies_alone() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let forwarded = [("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.1.1.1")];
        assert_eq!(of(&parts("10.0.0.1", &forwarded), &trusted).to_string(), "203.0.113.7");
        assert_eq!(of(&parts("198.51.100.1", &forwarded), &trusted).to_string(), "198.51.100.1");
        assert_eq!(of(&parts("10.0.0.1", &forwarded), &[]).to_string(), "10.0.0.1");
        assert_eq!(of(&parts("10.0.0.1", &[("x-forwarded-for", "garbage")]), &trusted).to_string(), "10.0.0.1");
        assert_eq!(
            of(&parts("10.0.0.1", &[("x-forwarded-for", "203.0.113.7:99")]), &trusted).to_string(),
            "203.0.113.7"
        );
    }

    #[test]
    fn r14_tls_is_believed_of_trusted_proxies_alone() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let forwarded = [("x-forwarded-proto", "https")];
        assert!(is_secure(&parts("10.0.0.1", &forwarded), &trusted));
        assert!(!is_secure(&parts("198.51.100.1", &forwarded), &trusted));
    }

    #[test]
    fn r14_tls_that_ends_here_is_known_by_the_request() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let direct = parts("198.51.100.1", &[]);
        assert!(!is_secure(&direct, &trusted));
        // As HTTP/2 has it.
        let mut second = direct.clone();
        second.uri = "https://app.example/login".parse().unwrap();
        assert!(is_secure(&second, &trusted));
        let mut marked = direct;
        marked.extensions.insert(OverTls);
        assert!(is_secure(&marked, &trusted));
        // A proxy that comes by TLS itself, and had its client come without.
        let mut proxied = parts("10.0.0.1", &[("x-forwarded-proto", "http")]);
        proxied.extensions.insert(OverTls);
        assert!(!is_secure(&proxied, &trusted));
    }
}
