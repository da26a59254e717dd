//! Where a request comes from. `X-Forwarded-For` and similar headers count only when set by a proxy in
//! `trusted_proxies`, as any client can send them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{HeaderMap, request::Parts};
use ipnet::IpNet;

/// The address of clients of which none is known.
pub(crate) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The address of the next hop, as seen by the listener. An embedding server provides it through axum's `ConnectInfo`.
fn next_hop(parts: &Parts) -> IpAddr {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(UNKNOWN, |ConnectInfo(address)| address.ip().to_canonical())
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Whether the next hop is a trusted proxy.
pub(super) fn is_from_proxy(parts: &Parts, trusted: &[IpNet]) -> bool {
    is_trusted(next_hop(parts), trusted)
}

/// An entry of `X-Forwarded-For`, set by a trusted proxy, that is not an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

/// The client's address: from the right, the first that is not a trusted proxy. [`UNKNOWN`] if the server does not tell.
///
/// # Errors
///
/// [`Unreadable`] when a trusted proxy forwards something else than an address. The entries to the left of it may be
/// the client's own, and the proxy's address stands for all its clients, so neither is a substitute.
pub(super) fn of(parts: &Parts, trusted: &[IpNet]) -> Result<IpAddr, Unreadable> {
    let mut address = next_hop(parts);
    for line in parts.headers.get_all("x-forwarded-for").into_iter().rev() {
        for hop in line.as_bytes().rsplit(|byte| *byte == b',') {
            if !is_trusted(address, trusted) {
                return Ok(address);
            }
            let hop = String::from_utf8_lossy(hop);
            let hop = hop.trim();
            address = forwarded(hop).ok_or_else(|| Unreadable(hop.chars().take(64).collect()))?;
        }
    }
    Ok(address)
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

/// Reads an address in the forms that proxies write: with or without a port, IPv6 with or without brackets, a zone or
/// quotes.
fn forwarded(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !port.is_empty() {
                port.strip_prefix(':')?.parse::<u16>().ok()?;
            }
            without_zone(address).parse::<Ipv6Addr>().ok()?.into()
        }
        None => match text.parse::<SocketAddr>() {
            Ok(address) => address.ip(),
            Err(_) => without_zone(text).parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

/// An IPv6 address without its zone: `fe80::1` for `fe80::1%eth0`.
fn without_zone(text: &str) -> &str {
    match text.split_once('%') {
        Some((address, zone)) if address.contains(':') && !zone.is_empty() => address,
        _ => text,
    }
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

    fn from_proxy(forwarded: &[&str]) -> Result<String, Unreadable> {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let headers: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
        of(&parts("10.0.0.1", &headers), &trusted).map(|address| address.to_string())
    }

    #[test]
    fn r14_forwarded_addresses_count_from_trusted_proxies_alone() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let forwarded = [("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.1.1.1")];
        assert_eq!(from_proxy(&["6.6.6.6, 203.0.113.7, 10.1.1.1"]).unwrap(), "203.0.113.7");
        assert_eq!(from_proxy(&["6.6.6.6", "203.0.113.7"]).unwrap(), "203.0.113.7");
        assert_eq!(of(&parts("198.51.100.1", &forwarded), &trusted).unwrap().to_string(), "198.51.100.1");
        assert_eq!(of(&parts("10.0.0.1", &forwarded), &[]).unwrap().to_string(), "10.0.0.1");
        // A request of the proxy's own.
        assert_eq!(from_proxy(&[]).unwrap(), "10.0.0.1");
    }

    #[test]
    fn r14_forwarded_addresses_are_read_in_every_form() {
        for (written, read) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:99", "203.0.113.7"),
            ("\"203.0.113.7:99\"", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("2001:DB8:0:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:99", "2001:db8::7"),
            ("\"[2001:db8::7]:99\"", "2001:db8::7"),
            ("[fe80::1%eth0]:99", "fe80::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:99", "203.0.113.7"),
        ] {
            assert_eq!(from_proxy(&[written]).as_deref(), Ok(read), "{written}");
        }
    }

    #[test]
    fn r14_an_unreadable_forwarded_address_is_an_error() {
        for written in [
            "unknown",
            "_hidden",
            "",
            "203.0.113.7,",
            "6.6.6.6, unknown, 10.1.1.1",
            "203.0.113.7:",
            "203.0.113.7:99999",
            "203.0.113.7%eth0",
            "[203.0.113.7]",
            "[2001:db8::7",
            "[2001:db8::7]99",
            "2001:db8::7]:99",
        ] {
            assert!(from_proxy(&[written]).is_err(), "{written}");
        }
        // What stands left of the client's address is not looked at.
        assert_eq!(from_proxy(&["unknown, 203.0.113.7"]).unwrap(), "203.0.113.7");
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(of(&parts("198.51.100.1", &[("x-forwarded-for", "unknown")]), &trusted).is_ok());
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
