//! Address prefixes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address prefix (RFC 4632 for IPv4, RFC 4291 section 2.3 for IPv6). Bits beyond the length
/// are always zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of `length` bits that `address` lies in. A length beyond the address's own is
    /// taken as the whole address.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(width(address));
        Self {
            address: mask(address, length),
            length,
        }
    }

    /// The prefix that holds this address alone.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self::new(address, width(address))
    }

    /// The first address of the prefix.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The number of bits that all addresses of the prefix share.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether `address` lies in the prefix. Addresses of the other family never do.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && mask(address, self.length) == self.address
    }

    /// Whether the prefix holds every address of its family: a default route's.
    #[must_use]
    pub const fn is_default(&self) -> bool {
        self.length == 0
    }
}

/// The number of bits of an address of this family.
const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits beyond `length` cleared.
fn mask(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & kept))
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept))
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn bits_beyond_the_length_are_cleared() {
        assert_eq!(
            Prefix::new(address("192.0.2.77"), 26).to_string(),
            "192.0.2.64/26"
        );
        assert_eq!(
            Prefix::new(address("2001:db8::77"), 32).to_string(),
            "2001:db8::/32"
        );
        assert_eq!(
            Prefix::new(address("192.0.2.77"), 0).to_string(),
            "0.0.0.0/0"
        );
        assert_eq!(
            Prefix::new(address("192.0.2.77"), 200).to_string(),
            "192.0.2.77/32"
        );
    }

    #[test]
    fn a_prefix_contains_its_addresses_and_no_others() {
        let subnet = Prefix::new(address("192.0.2.64"), 26);
        assert!(subnet.contains(address("192.0.2.64")) && subnet.contains(address("192.0.2.127")));
        assert!(
            !subnet.contains(address("192.0.2.63")) && !subnet.contains(address("192.0.2.128"))
        );
    }

    #[test]
    fn the_default_prefix_of_one_family_has_no_address_of_the_other() {
        let everything = Prefix::new(address("0.0.0.0"), 0);
        assert!(everything.is_default() && everything.contains(address("203.0.113.9")));
        assert!(!everything.contains(address("::1")));
    }
}
