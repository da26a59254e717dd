use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::telemetry::{Cause, metric};

/// Counts connections, in total and per address.
pub(crate) struct Connections {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One counted connection, until it is dropped.
pub(crate) struct Permit {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, counts: Mutex::default() })
    }

    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, (Cause, String)> {
        let address = address_group(address);
        let mut counts = self.counts.lock();
        if counts.all >= self.most {
            let message = format!("the server has all the {} connections it may have (limits.connections)", self.most);
            return Err((Cause::Connections, message));
        }
        let own = counts.by_address.entry(address).or_default();
        if *own >= self.most_per_address {
            let message = format!(
                "this address has all the {} connections it may have (limits.connections_per_address)",
                self.most_per_address
            );
            return Err((Cause::ConnectionsPerAddress, message));
        }
        *own += 1;
        counts.all += 1;
        metric::connections(counts.all);
        Ok(Permit { connections: self.clone(), address })
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.lock().all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.all -= 1;
        metric::connections(counts.all);
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// The address under which connections are counted: a subscriber usually has a whole /64 of IPv6 addresses.
fn address_group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_places_are_counted_and_given_back() {
        let connections = Connections::new(3, 2);
        let [a, b] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let first = connections.admit(a).ok().unwrap();
        let _second = connections.admit(a).ok().unwrap();
        assert_eq!(connections.admit(a).err().unwrap().0, Cause::ConnectionsPerAddress);
        let _third = connections.admit(b).ok().unwrap();
        assert_eq!(connections.admit(b).err().unwrap().0, Cause::Connections);
        drop(first);
        assert!(connections.admit(a).is_ok());
    }

    #[test]
    fn r14_a_64_of_ipv6_counts_as_one_address() {
        let connections = Connections::new(9, 1);
        let _held = connections.admit("2001:db8::1".parse().unwrap()).ok().unwrap();
        assert!(connections.admit("2001:db8::2".parse().unwrap()).is_err());
        assert!(connections.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }
}
