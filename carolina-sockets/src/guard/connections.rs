use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::telemetry::{Cause, metric};

/// How many times the connections of one address a /48 of IPv6 may have.
const PER_48: usize = 4;

/// Counts connections, in total and per address.
pub(crate) struct Connections {
    of: Counted,
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Socket.IO clients, whatever their transport.
    Clients,
    /// TCP connections. The gauge does not show them.
    #[cfg_attr(not(feature = "serve"), allow(dead_code, reason = "`serve()` accepts them"))]
    Streams,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// The addresses that are counted together: their first bits, and how many of them.
type Network = (IpAddr, u8);

/// One counted connection, until it is dropped.
pub(crate) struct Permit {
    connections: Arc<Connections>,
    /// `None` if it counts in the total only.
    address: Option<IpAddr>,
}

impl Connections {
    pub(crate) fn new(of: Counted, most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { of, most, most_per_address, counts: Mutex::default() })
    }

    /// Counts a connection from this address; without one, in the total only.
    pub(crate) fn acquire(self: &Arc<Self>, address: impl Into<Option<IpAddr>>) -> Result<Permit, (Cause, String)> {
        let address = address.into();
        let mut counts = self.counts.lock();
        if counts.all >= self.most {
            let what = self.of.name();
            let message = format!("the server has all the {} {what} it may have (limits.connections)", self.most);
            return Err((Cause::Connections, message));
        }
        for network in address.into_iter().flat_map(networks) {
            let most = self.most_in(network);
            if counts.by_network.get(&network).is_some_and(|count| *count >= most) {
                let (what, who) = (self.of.name(), if network.1 == 48 { "network (a /48)" } else { "address" });
                let message =
                    format!("this {who} has all the {most} {what} it may have (limits.connections_per_address)");
                return Err((Cause::ConnectionsPerAddress, message));
            }
        }
        for network in address.into_iter().flat_map(networks) {
            *counts.by_network.entry(network).or_default() += 1;
        }
        counts.all += 1;
        self.of.show(counts.all);
        Ok(Permit { connections: self.clone(), address })
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.lock().all
    }

    fn most_in(&self, (_, bits): Network) -> usize {
        if bits == 48 { self.most_per_address.saturating_mul(PER_48) } else { self.most_per_address }
    }
}

impl Counted {
    fn name(self) -> &'static str {
        match self {
            Self::Clients => "connections",
            Self::Streams => "TCP connections",
        }
    }

    fn show(self, count: usize) {
        if self == Self::Clients {
            metric::connections(count);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.all -= 1;
        self.connections.of.show(counts.all);
        for network in self.address.into_iter().flat_map(networks) {
            if let Some(own) = counts.by_network.get_mut(&network) {
                *own -= 1;
                if *own == 0 {
                    counts.by_network.remove(&network);
                }
            }
        }
    }
}

/// The networks an address is counted in. A subscriber has at least a /64 of IPv6, and may have a /48 with 65,536 of
/// them.
fn networks(address: IpAddr) -> impl Iterator<Item = Network> {
    let networks = match address.to_canonical() {
        IpAddr::V6(address) => [Some(first_bits(address, 64)), Some(first_bits(address, 48))],
        address => [Some((address, 32)), None],
    };
    networks.into_iter().flatten()
}

fn first_bits(address: Ipv6Addr, bits: u8) -> Network {
    let unused = 128 - u32::from(bits);
    (Ipv6Addr::from_bits(address.to_bits() >> unused << unused).into(), bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_places_are_counted_and_given_back() {
        let connections = Connections::new(Counted::Clients, 3, 2);
        let [a, b]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let first = connections.acquire(a).ok().unwrap();
        let _second = connections.acquire(a).ok().unwrap();
        assert_eq!(connections.acquire(a).err().unwrap().0, Cause::ConnectionsPerAddress);
        let _third = connections.acquire(b).ok().unwrap();
        assert_eq!(connections.acquire(b).err().unwrap().0, Cause::Connections);
        drop(first);
        assert!(connections.acquire(a).is_ok());
    }

    #[test]
    fn r14_a_64_of_ipv6_counts_as_one_address() {
        let connections = Connections::new(Counted::Clients, 9, 1);
        let of = |address: &str| address.parse::<IpAddr>().unwrap();
        let _held = connections.acquire(of("2001:db8::1")).ok().unwrap();
        assert!(connections.acquire(of("2001:db8::2")).is_err());
        assert!(connections.acquire(of("2001:db8:0:1::1")).is_ok());
    }
    #[test]
    fn r14_a_48_of_ipv6_counts_as_four_addresses() {
        let connections = Connections::new(Counted::Clients, 99, 2);
        let of = |subnet: u16, host: u16| format!("2001:db8:7:{subnet:x}::{host:x}").parse::<IpAddr>().unwrap();
        let held: Vec<Permit> = (0..8).map(|number| connections.acquire(of(number, 1)).ok().unwrap()).collect();
        assert_eq!(connections.acquire(of(9, 1)).err().unwrap().0, Cause::ConnectionsPerAddress);
        assert!(connections.acquire("2001:db8:8::1".parse::<IpAddr>().unwrap()).is_ok(), "another /48");
        drop(held);
        assert!(connections.counts.lock().by_network.is_empty());
        assert!(connections.acquire(of(9, 1)).is_ok());
    }

    #[test]
    fn r14_without_an_address_only_the_total_counts() {
        let connections = Connections::new(Counted::Streams, 3, 1);
        let _held: Vec<Permit> = (0..3).map(|_| connections.acquire(None).ok().unwrap()).collect();
        assert_eq!(connections.acquire(None).err().unwrap().0, Cause::Connections);
    }
}
