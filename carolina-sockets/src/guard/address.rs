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

/// Whether a trusted proxy says that the request reached it by TLS.
pub(crate) fn is_secure(parts: &Parts, trusted: &[IpNet]) -> bool {
    is_from_proxy(parts, trusted)
        && list(&parts.headers, "x-forwarded-proto").last().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
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
}
