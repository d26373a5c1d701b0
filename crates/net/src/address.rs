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
    /// Not to be used as a source: still tentative, a duplicate, or deprecated (RFC 4862).
    pub unusable: bool,
}
