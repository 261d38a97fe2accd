//! The one client address: the "from where" of limits, sessions and the audit log.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use crate::wire::device::Device;

/// Who sent a request, as far as the network tells.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The address of the socket, or the one that a trusted proxy vouches for.
    pub(crate) ip: IpAddr,
    /// The user agent, in at most 400 bytes, without control characters.
    pub(crate) user_agent: Option<String>,
    /// Whether the request crossed a network in the clear, past the proxy that would have spoken TLS.
    pub(crate) in_the_clear: bool,
    /// Whether the page that sent it is of another site, so that the browser keeps no cookie of the answer.
    pub(crate) loses_cookies: bool,
    /// Its proof of earlier sign-ins.
    pub(crate) device: Device,
}

impl Peer {
    /// The network that limits count by: an IPv4 address, or an IPv6 /64, within which one person has 2^64 addresses
    /// (attack L03).
    pub(crate) fn network(&self) -> IpAddr {
        network(self.ip)
    }
}

/// The network of an address; see [`Peer::network`].
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// The rightmost address of `X-Forwarded-For` that no trusted proxy has: everything left of it is the client's own
/// claim (attacks L01, L02). An unreadable entry ends the search at the last known address.
pub(crate) fn client_ip(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    let mut known = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let mut claimed = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    while is_trusted(&known) {
        let Some(ip) = claimed.next().and_then(read_ip) else { break };
        known = ip;
    }
    known
}

/// The user agent, in at most 400 bytes, without control characters. Almost always a part of the header.
pub(crate) fn said_of_itself(user_agent: &HeaderValue) -> Cow<'_, str> {
    let cut = |text: &str| text.floor_char_boundary(400);
    match String::from_utf8_lossy(user_agent.as_bytes()) {
        Cow::Borrowed(text) if !text.chars().any(char::is_control) => {
            Cow::Borrowed(text.get(..cut(text)).unwrap_or_default())
        }
        text => {
            let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
            text.truncate(cut(&text));
            Cow::Owned(text)
        }
    }
}

fn read_ip(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim();
    let ip = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_ip(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn l01_an_untrusted_peer_cannot_say_who_it_is() {
        assert_eq!(seen("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn l02_behind_proxies_the_rightmost_untrusted_address_counts() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
        for garbage in ["a", "", ",", "unknown", "1.2.3", "fe80::1%eth0", "198.51.100.1, a"] {
            assert_eq!(seen("10.0.0.1", &[garbage]), "10.0.0.1", "{garbage:?}");
        }
    }

    #[test]
    fn l03_one_ipv6_network_has_one_bucket() {
        let network = |ip: &str| super::network(ip.parse().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:1:2:3"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
