//! Addresses of interfaces.

use std::net::IpAddr;

use crate::Prefix;

/// An address set on an interface (`RTM_NEWADDR`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The interface it is set on.
    pub ifindex: u32,
    /// The address itself.
    pub address: IpAddr,
    /// The subnet it stands for; for a point-to-point address the peer's.
    pub subnet: Prefix,
    /// The reach of the address: 0 everywhere, 253 its link, 254 this machine (rtnetlink's scopes;
    /// larger is narrower).
    pub scope: u8,
    /// Not the first address of its subnet on the interface (IPv4), or a temporary one (IPv6):
    /// never chosen as a source of its own accord.
    pub secondary: bool,
    /// Not to be used at all: still tentative, or a duplicate (RFC 4862 section 5.4).
    pub unusable: bool,
    /// To be used where there is no other: deprecated (RFC 4862 section 5.5.4), or used before the
    /// search for duplicates has ended (RFC 4429). Counts for IPv6 alone, as in the kernel.
    pub last_resort: bool,
}
