//! How many connections can be open at once: what the settings say, within the system's limit on descriptors. And how
//! many of them one client may have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use prometheus_client::metrics::counter::Counter;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::seldom::seldom;
use crate::settings::Settings;
use crate::wire::peer::network;

/// Descriptors that are not for connections: the database's, the listener, the log, temporary files.
const KEPT_BACK: usize = 256;

/// The number of places for connections. Raises the soft limit on descriptors if the hard one allows it. A server
/// without descriptors can accept no connection, and its database may fail in the middle of a write (attack H06).
pub(super) fn places(wanted: usize) -> usize {
    let limit = raise_limit(wanted.saturating_add(KEPT_BACK));
    let places = fitting(wanted, limit);
    if places < wanted {
        tracing::warn!(
            limit,
            places,
            wanted,
            "http.max_connections is more than the limit on open files allows: raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    places
}

/// The soft limit afterwards.
fn raise_limit(needed: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(u64::MAX);
    let goal = (needed as u64).min(limit.maximum.unwrap_or(u64::MAX));
    let raised = rustix::process::Rlimit { current: Some(goal), ..limit };
    let now = if goal > soft && setrlimit(Resource::Nofile, raised).is_ok() { goal } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Under a very low limit, half of it is reserved: few connections are better than none.
fn fitting(wanted: usize, limit: usize) -> usize {
    wanted.min(limit - KEPT_BACK.min(limit / 2)).max(1)
}

/// The connections of each client address, so that one client can't take every place (attack H06).
pub(super) struct Addresses {
    most: usize,
    exempt: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
    closed: Counter,
}

/// One connection of an address, until it is dropped.
pub(super) struct Seat(Option<(IpAddr, Arc<Addresses>)>);

impl Addresses {
    pub(super) fn new(settings: &Settings, closed: Counter) -> Arc<Self> {
        Arc::new(Self {
            most: settings.max_connections_per_address,
            exempt: settings.trusted_proxies.clone(),
            open: Mutex::default(),
            closed,
        })
    }

    /// A seat for a client of this address; `None` if it has as many as it may. A trusted proxy brings many clients.
    pub(super) fn seat(self: &Arc<Self>, ip: IpAddr) -> Option<Seat> {
        let ip = ip.to_canonical();
        if self.exempt.iter().any(|proxies| proxies.contains(&ip)) {
            return Some(Seat(None));
        }
        let network = network(ip);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_default();
        if *count >= self.most {
            drop(open);
            self.closed.inc();
            seldom!(
                WARN,
                "further connections of an address are closed: a proxy of yours belongs into trusted_proxies",
                address = %network,
                most = self.most
            );
            return None;
        }
        *count += 1;
        Some(Seat(Some((network, self.clone()))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((network, addresses)) = &self.0 else { return };
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Origin, Values};

    #[test]
    fn h06_an_address_has_its_share_and_a_trusted_proxy_no_limit() {
        let mut values = Values::default();
        let mut set = |key, value: &str| values.set(key, value, Origin::Flag("test".into())).unwrap();
        set("http.max_connections_per_address", "2");
        set("trusted_proxies", "10.0.0.0/8");
        let addresses = Addresses::new(&Settings::read(&values).unwrap(), Counter::default());
        let seats = |address: &str| {
            let ip: IpAddr = address.parse().unwrap();
            (0..4).map(|_| addresses.seat(ip)).collect::<Vec<_>>()
        };
        let taken = |seats: &[Option<Seat>]| seats.iter().flatten().count();
        let first = seats("203.0.113.1");
        assert_eq!((taken(&first), taken(&seats("203.0.113.2")), taken(&seats("10.1.2.3"))), (2, 2, 4));
        // Another form of the address, or another address of the same /64, is the same client.
        assert_eq!(taken(&seats("::ffff:203.0.113.1")), 0);
        let sixth = seats("2001:db8::1");
        assert_eq!(
            (taken(&sixth), taken(&seats("2001:db8::2")), taken(&seats("2001:db8:0:1::1"))),
            (2, 0, 2)
        );
        drop(first);
        assert_eq!(taken(&seats("203.0.113.1")), 2);
        drop(sixth);
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    #[test]
    fn h06_connections_never_take_the_last_descriptors() {
        assert_eq!(fitting(16_384, 20_000), 16_384);
        assert_eq!(fitting(16_384, 16_400), 16_144);
        assert_eq!(fitting(16_384, 1_024), 768);
        assert_eq!(fitting(16_384, 64), 32);
        assert_eq!(fitting(16_384, 0), 1);
        assert_eq!(fitting(10, usize::MAX), 10);
    }
}
